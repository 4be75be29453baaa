//! The examples of Datadog's documentation ("Parsing"), in milliseconds and `path=value` parted by `¦`.

/// Pattern, line, what both extract.
pub(crate) const SAME: &[(&str, &str, &str)] = &[
    (
        r#"%{word:user} connected on %{date("MM/dd/yyyy"):connect_date}"#,
        "john connected on 11/08/2017",
        "user=john¦connect_date=1510099200000",
    ),
    (
        "%{data::keyvalue}",
        "user=john connect_date=11/08/2017 id=123 action=click",
        "user=john¦id=123¦action=click",
    ),
    (
        "%{data:my_attribute:keyvalue}",
        "user=john id=123",
        "my_attribute.user=john¦my_attribute.id=123",
    ),
    (
        r#"%{data::keyvalue(": ")}"#,
        "user: john connect_date: 11/08/2017 id: 123 action: click",
        "user=john¦id=123¦action=click",
    ),
    (
        r#"%{data::keyvalue("=","/:")}"#,
        "url=https://app.datadoghq.com/event/stream user=john",
        "url=https://app.datadoghq.com/event/stream¦user=john",
    ),
    ("%{data::keyvalue}", "key=valueStr", "key=valueStr"),
    ("%{data::keyvalue}", "key=<valueStr>", "key=valueStr"),
    ("%{data::keyvalue}", "\"key\"=\"valueStr\"", "key=valueStr"),
    (r#"%{data::keyvalue(":")}"#, "key:valueStr", "key=valueStr"),
    (r#"%{data::keyvalue(":", "/")}"#, "key:\"/valueStr\"", "key=/valueStr"),
    (r#"%{data::keyvalue(":", "/")}"#, "/key:/valueStr", "/key=/valueStr"),
    (r#"%{data::keyvalue(":=", "", "{}")}"#, "key:={valueStr}", "key=valueStr"),
    (
        r#"%{data::keyvalue("=", "", "", "|")}"#,
        "key1=value1|key2=value2",
        "key1=value1¦key2=value2",
    ),
    (
        r#"%{data::keyvalue("=", "", "", "|")}"#,
        "key1=\"value1\"|key2=\"value2\"",
        "key1=value1¦key2=value2",
    ),
    (
        r#"%{data::keyvalue(":=","","<>")}"#,
        "key1:=valueStr key2:=</valueStr2> key3:=\"valueStr3\"",
        "key1=valueStr¦key2=/valueStr2",
    ),
    ("%{data::keyvalue}", "key= other=null", ""),
    (r#"%{data::keyvalue("=")}"#, "key:=valueStr", ""),
    (r#"%{date("dd/MM/yyyy"):date}"#, "11/10/2014", "date=1412985600000"),
    (
        r#"%{date("EEE MMM dd HH:mm:ss yyyy"):date}"#,
        "Thu Jun 16 08:29:03 2016",
        "date=1466065743000",
    ),
    (r#"%{date("EEE MMM d HH:mm:ss yyyy"):date}"#, "Tue Nov 1 08:29:03 2016", "date=1477988943000"),
    (
        r#"%{date("dd/MMM/yyyy:HH:mm:ss Z"):date}"#,
        "06/Mar/2013:01:36:30 +0900",
        "date=1362501390000",
    ),
    (
        r#"%{date("yyyy-MM-dd'T'HH:mm:ss.SSSZ"):date}"#,
        "2016-11-29T16:21:36.431+0000",
        "date=1480436496431",
    ),
    (
        r#"%{date("yyyy-MM-dd'T'HH:mm:ss.SSSZZ"):date}"#,
        "2016-11-29T16:21:36.431+00:00",
        "date=1480436496431",
    ),
    (
        r#"%{date("dd/MMM/yyyy:HH:mm:ss.SSS"):date}"#,
        "06/Feb/2009:12:14:14.655",
        "date=1233922454655",
    ),
    (
        r#"%{date("EEE MMM dd HH:mm:ss yyyy","UTC+5"):date}"#,
        "Thu Jun 16 08:29:03 2016",
        "date=1466047743000",
    ),
    (
        r#"%{date("EEE MMM dd HH:mm:ss yyyy","+3"):date}"#,
        "Thu Jun 16 08:29:03 2016",
        "date=1466054943000",
    ),
    (
        r#"(%{integer:user.id}|%{word:user.firstname}) connected on %{date("MM/dd/yyyy"):connect_date}"#,
        "12345 connected on 11/08/2017",
        "user.id=12345¦connect_date=1510099200000",
    ),
    (
        r#"%{word:user.firstname} (%{integer:user.id} )?connected on %{date("MM/dd/yyyy"):connect_date}"#,
        "john 1234 connected on 11/08/2017",
        "user.firstname=john¦user.id=1234¦connect_date=1510099200000",
    ),
    (
        r#"%{regex("[a-z]*"):user.firstname}_%{regex("[a-zA-Z0-9]*"):user.id} .*"#,
        "john_1a2b3c4 connected on 11/08/2017",
        "user.firstname=john¦user.id=1a2b3c4",
    ),
    (
        r#"Users %{data:users:array("[]",",")} have been added to the database"#,
        "Users [John, Oliver, Marc, Tom] have been added to the database",
        r#"users=["John"," Oliver"," Marc"," Tom"]"#,
    ),
    (
        r#"Users %{data:users:array("{}","-")} have been added to the database"#,
        "Users {John-Oliver-Marc-Tom} have been added to the database",
        r#"users=["John","Oliver","Marc","Tom"]"#,
    ),
    (
        "%{data::xml}",
        "<book category=\"CHILDREN\">\n  <title lang=\"en\">Harry Potter</title>\n  <author>J K. Rowling</author>\n  <year>2005</year>\n</book>",
        "book.year=2005¦book.author=J K. Rowling¦book.category=CHILDREN¦book.title.lang=en¦book.title.value=Harry Potter",
    ),
    (
        "%{data::xml}",
        "<bookstore><book>Harry Potter</book><book>Everyday Italian</book></bookstore>",
        r#"bookstore.book=["Harry Potter","Everyday Italian"]"#,
    ),
    (
        "%{data::rubyhash}",
        r#"{name => "John", "job" => {"company" => "Big Company", "title" => "CTO"}}"#,
        "name=John¦job.company=Big Company¦job.title=CTO",
    ),
    (
        "%{data::querystring}",
        "?productId=superproduct&promotionCode=superpromo",
        "productId=superproduct¦promotionCode=superpromo",
    ),
    ("%{data:path:decodeuricomponent}", "%2Fservice%2Ftest", "path=/service/test"),
    (r#"%{notSpace:ip:nullIf("-")} %{data:user}"#, "- x", "user=x"),
    ("%{data:a:lowercase} %{data:b:uppercase}", "AB cd", "a=ab¦b=CD"),
    ("%{number:a:scale(1000)}", "1.5", "a=1500"),
    ("%{data::json}", r#"{"a":{"b":1},"c":[true,null,"x"]}"#, r#"a.b=1¦c=[true,null,"x"]"#),
    ("%{word:a} %{word:a}", "x y", r#"a=["x","y"]"#),
    (r"(?<year>\d{4})-%{data:rest}", "2024-x", "year=2024¦rest=x"),
];

/// Pattern, line, what ours extracts, why Vector's does not.
pub(crate) const DIFFERENT: &[(&str, &str, &str, &str)] = &[
    (
        r#"%{date("HH:mm:ss"):date}"#,
        "14:20:15",
        "date=51615000",
        "a time without a date is on 1970-01-01, not today",
    ),
    (
        r#"%{date("hh:mm:ss a"):date}"#,
        "02:20:15 PM",
        "date=51615000",
        "a time without a date is on 1970-01-01, not today",
    ),
    (
        r#"%{date("yyyy-MM-dd HH:mm:ss.SSS z"):date}"#,
        "2007-08-31 19:22:22.427 ADT",
        "date=1188598942427",
        "zone abbreviations are known",
    ),
    (
        r#"%{date("EEE MMM dd HH:mm:ss yyyy","Europe/Paris"):date}"#,
        "Thu Jun 16 08:29:03 2016",
        "date=1466058543000",
        "a zone's offset is the one of the date, not today's",
    ),
    (
        r#"%{date("d MMMM yyyy","UTC","fr"):date}"#,
        "14 juillet 2016",
        "date=1468454400000",
        "the locale argument",
    ),
    (
        r#"%{data:user:csv("first_name,name,st_nb,st_name,city")}"#,
        "John,Doe,120,Jefferson St.,Riverside",
        "user.first_name=John¦user.name=Doe¦user.st_nb=120¦user.st_name=Jefferson St.¦user.city=Riverside",
        "the csv filter",
    ),
    (r#"%{data::csv("firstname,name")}"#, "John,Doe", "firstname=John¦name=Doe", "the csv filter"),
    (
        r#"%{data::csv("firstname,name")}"#,
        r#""John ""Da Man""",Doe"#,
        r#"firstname=John "Da Man"¦name=Doe"#,
        "the csv filter",
    ),
    (
        r#"%{data::csv("firstname,name",",","'")}"#,
        "'John ''Da Man''',Doe",
        "firstname=John 'Da Man'¦name=Doe",
        "the csv filter",
    ),
    (
        r#"%{data::csv("firstname,name","|")}"#,
        "John|Doe",
        "firstname=John¦name=Doe",
        "the csv filter",
    ),
    (
        r#"%{data::csv("key1,key2")}"#,
        "value1,value2,value3",
        "key1=value1¦key2=value2",
        "the csv filter",
    ),
    (
        r#"%{data::csv("key1,key2,key3")}"#,
        "value1,,value3",
        "key1=value1¦key3=value3",
        "the csv filter",
    ),
    (
        "%{data::url}",
        "https://app.example.com:8080/a/b?x=1#top",
        "scheme=https¦host=app.example.com¦port=8080¦path=/a/b¦queryString.x=1¦hash=top",
        "the url filter",
    ),
    (
        "%{data::keyvalue}",
        "a=trueish b=nullable",
        "a=trueish¦b=nullable",
        "a value is typed as a whole",
    ),
    (
        r#"%{boolean("yes","no"):a} %{boolean:b}"#,
        "YES false",
        "a=true¦b=false",
        "boolean takes patterns",
    ),
    (r#"%{boolean("y(es)?","no?"):a}"#, "y", "a=true", "boolean takes patterns"),
];
