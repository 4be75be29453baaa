//! Real files nobody here wrote, where they can be found: `TIDEMILL_DATA`, else `../shared/data` beside
//! the workspace. Without them these tests say so and pass.

use std::path::PathBuf;

use super::*;

fn data(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("TIDEMILL_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = root.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no real data at {}; set TIDEMILL_DATA", path.display());
        return None;
    }
    Some(std::fs::read(path).expect("reads"))
}

#[test]
fn every_train_ticket_row_is_the_java_line_inside_of_docker_inside_of_csv() {
    let mut rows = 0;
    for name in ["08_43", "08_44", "08_59"] {
        let Some(bytes) = data(&format!("trainticket/{name}_log.csv")) else { return };
        let input = Input {
            envelope: Envelope::Auto,
            multiline: Multiline::Lines,
            ..Input::from(Format::Json)
        };
        let split = Split::Csv(CsvOptions::detect(&bytes));
        let found = frames(&input, &split, bytes.chunks(7_919));
        // Every line of these files is one row: none has a newline inside of a field.
        assert_eq!(found.len(), bytes.iter().filter(|byte| **byte == b'\n').count() - 1);
        for frame in &found {
            let (arena, record) = (Bump::new(), record(frame.payload.clone()));
            let decoded = decode_input(&arena, &record, Signal::Logs, &input).expect("decodes");
            let Items::Logs(logs) = decoded.items else { panic!("no logs") };
            let log = &logs[0];
            assert_eq!((logs.len(), decoded.refused.len()), (1, 0));
            // The envelope is gone: what is left is the text, not JSON.
            assert!(
                !log.message.contains("\\n\",") && !log.message.starts_with('{'),
                "{}",
                log.message
            );
            assert_eq!(log.attributes.get_str("stream"), Some("stdout"));
            let time = log.attributes.get_str("TimeUnixNano").and_then(|time| time.parse().ok());
            assert_eq!(log.observed.map(EventTime::nanos), time);
        }
        rows += found.len();
    }
    assert_eq!(rows, 6_924);
}

#[test]
fn real_access_logs_are_one_log_a_line_also_when_lines_are_joined() {
    let Some(bytes) = data("apache/apache_logs") else { return };
    let input = raw(Envelope::Auto, Multiline::auto());
    let found = frames(&input, &Split::Lines, bytes.chunks(4_099));
    assert_eq!(found.len(), 10_000);
    let joined: Vec<u8> =
        found.iter().flat_map(|frame| [&frame.payload[..], b"\n"].concat()).collect();
    assert!(joined == bytes, "the frames are the file");
}
