//! Sets of rules of a given size: the one that matches stands last, behind rules for the same
//! kind of line with other texts in it, and rules for other kinds.

/// One kind of line.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// For the report.
    pub name: &'static str,
    /// The rule that matches its lines.
    pub rule: &'static str,
    /// The same, every field a text: what a regular expression captures.
    pub texts: &'static str,
    /// The regular expression of `texts`, fields as named groups.
    pub regex: &'static str,
    /// The rule with `{}` where a text stands that no line has.
    similar: &'static str,
}

/// Apache's combined format.
pub const APACHE: Kind = Kind {
    name: "apache",
    rule: r#"%{ipOrHost:network.client.ip} %{notSpace:http.ident:nullIf("-")} %{notSpace:http.auth:nullIf("-")} \[%{date("dd/MMM/yyyy:HH:mm:ss Z"):date_access}\] "%{word:http.method} %{notSpace:http.url} HTTP\/%{regex("\\d+\\.\\d+"):http.version}" %{integer:http.status_code} (%{integer:network.bytes_written}|-)( "%{regex("[^\\\"]*"):http.referer}" "%{regex("[^\\\"]*"):http.useragent}")?.*"#,
    texts: r#"%{notSpace:ip} %{notSpace:ident} %{notSpace:auth} \[%{regex("[^\\]]*"):date}\] "%{regex("\\w+"):method} %{notSpace:url} HTTP\/%{regex("\\d+\\.\\d+"):version}" %{integerStr:status} %{notSpace:bytes} "%{regex("[^\\\"]*"):referer}" "%{regex("[^\\\"]*"):agent}".*"#,
    regex: r#"(?s)\A(?P<ip>\S+) (?P<ident>\S+) (?P<auth>\S+) \[(?P<date>[^\]]*)\] "(?P<method>\w+) (?P<url>\S+) HTTP/(?P<version>\d+\.\d+)" (?P<status>[+-]?\d+) (?P<bytes>\S+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)".*\z"#,
    similar: r#"%{ipOrHost:network.client.ip} %{notSpace:http.ident} %{notSpace:http.auth} \[%{date("dd/MMM/yyyy:HH:mm:ss Z"):date_access}\] "%{word:http.method} \/{}\/%{notSpace:http.url} HTTP\/%{regex("\\d+\\.\\d+"):http.version}" %{integer:http.status_code} %{integer:network.bytes_written}"#,
};

/// A Java shop's lines.
pub const JAVA: Kind = Kind {
    name: "java",
    rule: r#"%{notSpace:time} %{word:level}\s+%{notSpace:logger.name}#%{integer:logger.line} TraceID: %{word:dd.trace_id} SpanID: %{word:dd.span_id} \[%{data:method}\]\[%{data:what}\]%{data:rest}"#,
    texts: r#"%{regex("[\\d:.]+"):time} %{regex("\\w+"):level}\s+%{regex("[^#\\s]+"):logger}#%{integerStr:line} TraceID: %{regex("\\w+"):trace} SpanID: %{regex("\\w+"):span} \[%{data:method}\]\[%{data:what}\]%{data:rest}"#,
    regex: r"(?s)\A(?P<time>[\d:.]+) (?P<level>\w+)\s+(?P<logger>[^#\s]+)#(?P<line>[+-]?\d+) TraceID: (?P<trace>\w+) SpanID: (?P<span>\w+) \[(?P<method>.*?)\]\[(?P<what>.*?)\](?P<rest>.*?)\z",
    similar: r#"%{notSpace:time} %{word:level}\s+%{notSpace:logger.name}#%{integer:logger.line} TraceID: %{word:dd.trace_id} SpanID: %{word:dd.span_id} \[{}\]\[%{data:what}\]%{data:rest}"#,
};

/// Lines as in the `rebar` collection.
pub const SERVER: Kind = Kind {
    name: "server",
    rule: r#"%{date("yyyy/MM/dd HH:mm:ss"):time} %{word:level}: %{integer:pid}:%{integer:thread}:\(%{integer:task}\) :%{word:component}:%{notSpace:file}:%{integer:line}: worker took %{integer:duration}ms for request %{word:request} of client %{ipv4:network.client.ip} \(%{data:rest}\)"#,
    texts: r#"%{regex("[\\d/]+ [\\d:]+"):time} %{regex("\\w+"):level}: %{integerStr:pid}:%{integerStr:thread}:\(%{integerStr:task}\) :%{regex("\\w+"):component}:%{regex("[^:]+"):file}:%{integerStr:line}: worker took %{integerStr:duration}ms for request %{regex("\\w+"):request} of client %{regex("[\\d.]+"):ip} \(%{data:rest}\)"#,
    regex: r"(?s)\A(?P<time>[\d/]+ [\d:]+) (?P<level>\w+): (?P<pid>[+-]?\d+):(?P<thread>[+-]?\d+):\((?P<task>[+-]?\d+)\) :(?P<component>\w+):(?P<file>[^:]+):(?P<line>[+-]?\d+): worker took (?P<duration>[+-]?\d+)ms for request (?P<request>\w+) of client (?P<ip>[\d.]+) \((?P<rest>.*?)\)\z",
    similar: r#"%{date("yyyy/MM/dd HH:mm:ss"):time} %{word:level}: %{integer:pid}:%{integer:thread}:\(%{integer:task}\) :%{word:component}:%{notSpace:file}:%{integer:line}: {} %{data:rest}"#,
};

/// All kinds.
pub const KINDS: [Kind; 3] = [APACHE, JAVA, SERVER];

/// Rules for other sources, `{}` for a text of their own.
const OTHERS: [&str; 8] = [
    r#"%{date("yyyy/MM/dd HH:mm:ss"):time} \[%{word:level}\] %{integer:pid}#%{integer:tid}: \*%{integer:connection} {} %{data:message}"#,
    r#"%{date("MMM dd HH:mm:ss"):time} %{notSpace:host} {}\[%{integer:pid}\]: %{data:message}"#,
    r#"%{date("yyyy-MM-dd HH:mm:ss.SSS z"):time} \[%{integer:pid}\] {}@%{word:db} %{word:level}:\s+%{data:message}"#,
    r#"%{integer:pid}:%{regex("[XCSM]"):role} %{date("dd MMM yyyy HH:mm:ss.SSS"):time} %{regex("[.*#-]"):level} {} %{data:message}"#,
    r#"\[%{date("yyyy-MM-dd HH:mm:ss,SSS"):time}\] %{word:level} \[{}\] %{data:message} \(%{notSpace:logger}\)"#,
    r#"%{regex("[IWEF]"):level}%{date("MMdd HH:mm:ss.SSSSSS"):time}\s+%{integer:thread} {}.go:%{integer:line}\] %{data:message}"#,
    r#"time="%{notSpace:time}" level=%{word:level} msg="{} %{data:message}" %{data::keyvalue}"#,
    r#"{} %{word:level} %{date("yyyy-MM-dd'T'HH:mm:ss.SSSZ"):time} %{ipOrHost:client}:%{port:port} %{data:message}"#,
];

/// `size` rules for a kind, as `name pattern` lines.
pub fn set(kind: &Kind, size: usize) -> String {
    let mut rules = String::new();
    for index in 1..size {
        // Texts as people write them, each once, none of which the lines have.
        let text = format!("{}{}", WORDS[index % WORDS.len()], index);
        let shape = if index % 2 == 0 { kind.similar } else { OTHERS[index / 2 % OTHERS.len()] };
        rules.push_str(&format!("rule_{index} {}\n", shape.replace("{}", &text)));
    }
    rules.push_str(&format!("last {}\n", kind.rule));
    rules
}

const WORDS: [&str; 10] = [
    "createInvoice",
    "reserveSeat",
    "paymentGateway",
    "sessionStore",
    "mailSender",
    "auditTrail",
    "stockLevel",
    "priceFeed",
    "loginAttempt",
    "shardBalancer",
];
