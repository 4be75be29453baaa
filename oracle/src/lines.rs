//! Lines to parse: real ones where they lie, and made ones.

use std::path::PathBuf;

/// Where real telemetry lies: `$TIDEMILL_DATA`, or `../shared/data` beside the checkout.
pub fn data() -> Option<PathBuf> {
    let given = std::env::var_os("TIDEMILL_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    [given, Some(beside)].into_iter().flatten().find(|path| path.is_dir())
}

/// Apache's combined format: real lines, else made ones.
pub fn apache(count: usize) -> Vec<String> {
    let read =
        data().and_then(|data| std::fs::read_to_string(data.join("apache/apache_logs")).ok());
    match read {
        Some(text) => text.lines().take(count).map(str::to_owned).collect(),
        None => {
            eprintln!("apache: no real lines here, made ones instead");
            (0..count).map(made_apache).collect()
        }
    }
}

fn made_apache(index: usize) -> String {
    format!(
        "10.0.{}.{} - - [17/May/2015:10:{:02}:{:02} +0000] \"GET /p/{index}.png HTTP/1.1\" 200 {} \
         \"http://a.example/{}\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
        index % 250,
        index % 199,
        index / 60 % 60,
        index % 60,
        index * 17,
        index % 31
    )
}

/// Lines of a Java shop: real ones of TrainTicket, else made ones.
pub fn java(count: usize) -> Vec<String> {
    let read = data()
        .and_then(|data| std::fs::read_to_string(data.join("trainticket/08_43_log.csv")).ok());
    let Some(text) = read else {
        eprintln!("java: no real lines here, made ones instead");
        return (0..count).map(made_java).collect();
    };
    let records = text.lines().filter_map(|line| {
        // The last column, a JSON object in CSV's quotes, with the line under `log`.
        let json = line.get(line.find("\"{")? + 1..)?.trim_end_matches('"').replace("\"\"", "\"");
        let value: serde_json::Value = serde_json::from_str(&json).ok()?;
        Some(value.get("log")?.as_str()?.trim_end().to_owned())
    });
    records.filter(|line| line.contains("TraceID: ")).take(count).collect()
}

fn made_java(index: usize) -> String {
    format!(
        "16:42:{:02}.{:03} INFO  t.s.TravelServiceImpl#{} TraceID: {index:032x} SpanID: {index:016x} \
         [getRouteByRouteId][Get Route By Id][Route is: Route(id={index})]",
        index / 1000 % 60,
        index % 1000,
        index % 900
    )
}

/// Lines as in the `rebar` collection's log benchmarks: a server's own format, 5 to 8 fields.
pub fn server(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| {
            format!(
                "2022/06/17 06:{:02}:{:02} I{}: {}:14024{:010}:({}) :Serv:Manager.cpp:{}: worker \
                 took {}ms for request {:08x} of client 192.168.{}.{} (state idle, queue {})",
                index / 60 % 60,
                index % 60,
                index % 5,
                17_000 + index % 1_000,
                index * 7_919,
                index % 9_973,
                index % 400,
                index % 3_000,
                index * 2_654_435,
                index % 256,
                index * 7 % 256,
                index % 17
            )
        })
        .collect()
}
