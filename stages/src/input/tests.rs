//! Bytes to frames to logs: properties that hold for every way of reading, and real files.

mod real;

use std::collections::VecDeque;

use bumpalo::Bump;
use proptest::prelude::*;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};

use super::config::InputConfig;
use super::*;
use crate::decode::{Items, decode_input};
use crate::record::Record;

/// 2023-11-14: when every test record was received.
pub(super) const RECEIVED: EventTime = EventTime::from_nanos(1_700_000_000_000_000_000);

pub(super) fn record(payload: impl Into<Vec<u8>>) -> Record {
    Record { offset: 0, timestamp: RECEIVED, payload: payload.into(), headers: Vec::new() }
}

fn raw(envelope: Envelope, multiline: Multiline) -> Input {
    Input { envelope, multiline, ..Input::from(Format::Raw) }
}

/// The frames of chunks fed one after the other.
fn frames<'a>(
    input: &Input,
    split: &Split,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Frame> {
    let mut out = VecDeque::new();
    let mut framer = Framer::new(input, split);
    for chunk in chunks {
        framer.feed(chunk, &mut out);
    }
    framer.finish(&mut out);
    out.into()
}

/// Texts of the logs of one record.
pub(super) fn texts(input: &Input, payload: &[u8]) -> Vec<String> {
    let arena = Bump::new();
    let record = record(payload);
    let decoded = decode_input(&arena, &record, Signal::Logs, input).expect("decodes");
    assert!(decoded.refused.is_empty(), "{:?}", decoded.refused);
    let Items::Logs(logs) = decoded.items else { panic!("no logs") };
    logs.iter().map(|log| log.message.to_owned()).collect()
}

/// Texts of the logs of an input, frame by frame.
fn logs(input: &Input, split: &Split, bytes: &[u8]) -> Vec<String> {
    let frames = frames(input, split, [bytes]);
    frames.iter().flat_map(|frame| texts(input, &frame.payload)).collect()
}

const TEXTS: [&str; 12] = [
    "2024-05-01 10:00:00 ERROR it failed",
    "java.lang.IllegalStateException: no",
    "\tat a.B.c(B.java:1)",
    "Caused by: a.b.CException: x",
    "Traceback (most recent call last):",
    "  File \"a.py\", line 1, in <module>",
    "ValueError: bad",
    "plain text",
    "",
    "goroutine 1 [running]:",
    "{\"a\":\"b\"}",
    "é \u{1F600} \"quoted\" \\ 1;2,3",
];

/// One line of an input: a text, a stream, whether it is a part.
fn line() -> impl Strategy<Value = (&'static str, bool, bool)> {
    (prop::sample::select(&TEXTS[..]), any::<bool>(), prop::bool::weighted(0.2))
}

/// An envelope, its lines as bytes, and how they are split.
fn written(kind: usize, lines: &[(&str, bool, bool)]) -> (Envelope, Split, Vec<u8>) {
    let mut out = Vec::new();
    let text = |text: &str| serde_json::to_string(text).expect("text");
    let split = match kind {
        3 => Split::Syslog,
        4 => Split::Values,
        5 => Split::Csv(CsvOptions::default()),
        _ => Split::Lines,
    };
    let envelope = [
        Envelope::None,
        Envelope::Docker,
        Envelope::Cri,
        Envelope::Syslog,
        Envelope::Auto,
        Envelope::Auto,
        Envelope::Auto,
    ][kind];
    match kind {
        4 => out.extend_from_slice(b" [\n"),
        5 => out.extend_from_slice(b"time,Log\r\n"),
        _ => {}
    }
    for (index, (line, err, part)) in lines.iter().enumerate() {
        let stream = if *err { "stderr" } else { "stdout" };
        let end = if *part { "" } else { "\n" };
        let json = format!(
            "{{\"log\":{},\"stream\":\"{stream}\",\"time\":\"2024-05-01T10:00:00.{index:03}Z\"}}",
            text(&format!("{line}{end}"))
        );
        let tag = if *part { 'P' } else { 'F' };
        let cri = format!("2024-05-01T10:00:00.{index:03}Z {stream} {tag} {line}");
        let syslog = format!("<34>1 2024-05-01T10:00:00Z host app 1 - - {line}");
        match kind {
            0 => out.extend_from_slice(format!("{line}\r\n").as_bytes()),
            1 => out.extend_from_slice(format!("{json}\n").as_bytes()),
            2 => out.extend_from_slice(format!("{cri}\n").as_bytes()),
            3 if *err => out.extend_from_slice(format!("{} {syslog}", syslog.len()).as_bytes()),
            3 => out.extend_from_slice(format!("{syslog}\n").as_bytes()),
            4 => {
                let comma = if index == 0 { "" } else { ",\n" };
                out.extend_from_slice(
                    format!("{comma}{{\n\"message\": {}\n}}", text(line)).as_bytes(),
                );
            }
            5 => {
                let quoted = json.replace('"', "\"\"");
                out.extend_from_slice(format!("1,\"{quoted}\"\r\n").as_bytes());
            }
            _ if *err => out.extend_from_slice(format!("{json}\n").as_bytes()),
            _ => out.extend_from_slice(format!("{cri}\n").as_bytes()),
        }
    }
    if kind == 4 {
        out.extend_from_slice(b"]\n");
    }
    (envelope, split, out)
}

fn multiline(auto: bool) -> Multiline {
    if auto { Multiline::auto() } else { Multiline::Lines }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn however_the_bytes_are_cut_the_frames_are_the_same(
        kind in 0usize..7,
        lines in prop::collection::vec(line(), 0..40),
        auto: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (envelope, split, bytes) = written(kind, &lines);
        let input = raw(envelope, multiline(auto));
        let whole = frames(&input, &split, [&bytes[..]]);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let chunks = starts.zip(&ends).map(|(start, end)| &bytes[start..*end]);
        prop_assert_eq!(&frames(&input, &split, chunks), &whole);
        let bytewise = frames(&input, &split, bytes.chunks(1));
        prop_assert_eq!(bytewise, whole);
    }

    #[test]
    fn reading_goes_on_behind_any_frame_as_if_it_had_not_stopped(
        kind in 0usize..7,
        lines in prop::collection::vec(line(), 1..60),
        auto: bool,
        stop: prop::sample::Index,
    ) {
        let (envelope, split, bytes) = written(kind, &lines);
        let input = raw(envelope, multiline(auto));
        let whole = frames(&input, &split, [&bytes[..]]);
        prop_assume!(!whole.is_empty());
        let stop = stop.index(whole.len());
        let resume = &whole[stop].next;
        let mut framer = Framer::resume(&input, &split, resume);
        let mut rest = VecDeque::new();
        let from = Framer::reads_from(&split, resume) as usize;
        framer.feed(&bytes[from..], &mut rest);
        framer.finish(&mut rest);
        prop_assert_eq!(Vec::from(rest), &whole[stop + 1..]);
    }

    #[test]
    fn a_frame_is_one_log_and_no_text_is_lost(
        kind in 0usize..4,
        lines in prop::collection::vec(line(), 1..40),
        auto: bool,
    ) {
        let (envelope, split, bytes) = written(kind, &lines);
        let input = raw(envelope, multiline(auto));
        let mut all = String::new();
        for frame in frames(&input, &split, [&bytes[..]]) {
            let logs = texts(&input, &frame.payload);
            prop_assert_eq!(logs.len(), 1, "{:?}", String::from_utf8_lossy(&frame.payload));
            all.push_str(&logs[0]);
        }
        let letters = |text: &str| {
            let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
            letters.sort_unstable();
            letters
        };
        let wanted: String = lines.iter().map(|(text, ..)| *text).collect();
        prop_assert_eq!(letters(&all), letters(&wanted));
    }

    #[test]
    fn bytes_of_any_kind_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        head in prop::sample::select(vec!["", "<34>1 ", "{\"log\":", "2016-10-06T00:17:09.66Z stdout ", "9 <", "[", "a,b\n\""]),
        kind in 0usize..7,
    ) {
        let (envelope, split, _) = written(kind, &[]);
        for input in [raw(envelope, Multiline::auto()), raw(Envelope::Auto, Multiline::Lines)] {
            let mut input = input;
            let all = [head.as_bytes(), &bytes].concat();
            for frame in frames(&input, &split, [&all[..]]) {
                for format in [Format::Raw, Format::Json] {
                    input.format = format;
                    let (arena, record) = (Bump::new(), record(frame.payload.clone()));
                    drop(decode_input(&arena, &record, Signal::Logs, &input));
                }
            }
        }
    }
}

#[test]
fn lines_of_two_streams_do_not_break_one_anothers_traces() {
    let mut bytes = Vec::new();
    for (stream, text) in [
        ("stderr", "2024-05-01 10:00:00 ERROR it failed"),
        ("stdout", "2024-05-01 10:00:00 INFO one"),
        ("stderr", "java.lang.IllegalStateException: no"),
        ("stdout", "2024-05-01 10:00:01 INFO two"),
        ("stderr", "\tat a.B.c(B.java:1)"),
    ] {
        bytes.extend_from_slice(format!("2024-05-01T10:00:00Z {stream} F {text}\n").as_bytes());
    }
    let input = raw(Envelope::Cri, Multiline::auto());
    let trace = "2024-05-01 10:00:00 ERROR it failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)";
    let one = "2024-05-01 10:00:00 INFO one";
    let two = "2024-05-01 10:00:01 INFO two";
    assert_eq!(logs(&input, &Split::Lines, &bytes), [one, trace, two]);
    // The decoder of a message of lines says the same, each log where it began.
    assert_eq!(texts(&input, &bytes), [trace, one, two]);
}

#[test]
fn a_log_that_gets_no_line_for_long_is_over() {
    let mut bytes = b"2024-05-01T10:00:00Z stderr F java.lang.Error: x\n".to_vec();
    for _ in 0..250 {
        bytes.extend_from_slice(b"2024-05-01T10:00:00Z stdout F line\n");
    }
    let input = raw(Envelope::Cri, Multiline::auto());
    let frames = frames(&input, &Split::Lines, [&bytes[..]]);
    let at = frames.iter().position(|frame| frame.payload.ends_with(b"Error: x"));
    assert_eq!(at, Some(schemas::limits::MAX_INTERLEAVED_LINES - 1));
    assert!(frames.iter().all(|frame| frame.next.taken.len() < 110));
}

#[test]
fn parts_of_a_line_are_one_log_again() {
    let part = "x".repeat(16 << 10);
    let docker = format!(
        "{{\"log\":\"{part}\",\"stream\":\"stdout\",\"time\":\"2024-05-01T10:00:00Z\"}}\n{{\"log\":\"end\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T10:00:01Z\"}}\n"
    );
    let cri = format!("2024-05-01T10:00:00Z stdout P {part}\n2024-05-01T10:00:01Z stdout F end\n");
    for bytes in [docker, cri] {
        let input = raw(Envelope::Auto, Multiline::Lines);
        assert_eq!(logs(&input, &Split::Lines, bytes.as_bytes()), [format!("{part}end")]);
    }
}

#[test]
fn a_log_over_its_limits_goes_on_in_the_next() {
    let mut errors = Vec::new();
    let rule: config::MultilineConfig =
        serde_json::from_str(r#"{"continuation":"^ ","max_lines":3}"#).expect("reads");
    let written = InputConfig { multiline: Some(rule), ..InputConfig::default() };
    let input = config::compile(Format::Raw, &written, &mut errors);
    assert!(errors.is_empty(), "{errors:?}");
    let bytes = b"a\n 1\n 2\n 3\n 4\n 5\nb\n";
    assert_eq!(logs(&input, &Split::Lines, bytes), ["a\n 1\n 2", " 3\n 4\n 5", "b"]);
    assert_eq!(texts(&input, bytes), ["a\n 1\n 2", " 3\n 4\n 5", "b"]);
    let huge = format!("a\n {}\n {}\n", "x".repeat(700_000), "y".repeat(700_000));
    let lengths: Vec<usize> =
        logs(&input, &Split::Lines, huge.as_bytes()).iter().map(String::len).collect();
    assert_eq!(lengths, [700_003, 700_001]);
}

#[test]
fn what_is_wrong_with_an_input_is_said() {
    let mut errors = Vec::new();
    for (format, envelope, multiline) in [
        (Format::Raw, Some("podman"), "\"always\""),
        (Format::Raw, None, r#"{"start":"(?=x)"}"#),
        (Format::Raw, None, r#"{"start":"a","continuation":"b"}"#),
        (Format::Raw, None, r#"{"start":"a","max_lines":0}"#),
        (Format::OtlpProto, Some("auto"), "\"lines\""),
    ] {
        let written = InputConfig {
            envelope: envelope.map(str::to_owned),
            multiline: Some(serde_json::from_str(multiline).expect("reads")),
            ..InputConfig::default()
        };
        config::compile(format, &written, &mut errors);
    }
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "envelope",
            "multiline",
            "multiline.start",
            "multiline.start",
            "multiline.max_lines",
            "envelope"
        ]
    );
    assert!(errors.iter().all(|error| error.reason.len() > 20), "{errors:?}");
}

#[test]
fn a_frame_in_kafka_is_one_log_with_what_its_headers_say() {
    let headers = [
        (schemas::topic::FRAME, "cri"),
        (schemas::topic::DD_SOURCE, "java"),
        (schemas::topic::DD_SERVICE, "shop"),
        (schemas::topic::DD_TAGS, "team:a,b:c"),
        (schemas::topic::OBSERVED, "42"),
        (schemas::topic::CONTENT_TYPE, "raw"),
    ];
    let mut record = record("2024-05-01T10:00:00Z stdout F one\n2024-05-01T10:00:01Z stdout F two");
    record.headers = headers.map(|(key, value)| (key.into(), value.into())).into();
    let arena = Bump::new();
    let input = Input::from(Format::Json);
    let decoded = decode_input(&arena, &record, Signal::Logs, &input).expect("decodes");
    let Items::Logs(logs) = decoded.items else { panic!("no logs") };
    assert_eq!((logs.len(), logs[0].message, logs[0].source), (1, "one\ntwo", "java"));
    assert_eq!(&logs[0].tags[..], ["team:a", "b:c", "service:shop"]);
    // The runtime saw the line; the header is for lines that do not say when.
    assert_eq!(logs[0].observed.map(EventTime::nanos), Some(1_714_557_600_000_000_000));
    let plain = Record { payload: b"plain".to_vec(), ..record.clone() };
    let decoded = decode_input(&arena, &plain, Signal::Logs, &input).expect("decodes");
    let Items::Logs(logs) = decoded.items else { panic!("no logs") };
    assert_eq!(logs[0].observed, Some(EventTime::from_nanos(42)));
}

#[test]
fn a_json_value_over_several_lines_is_one_log() {
    let input = Input {
        envelope: Envelope::Auto,
        multiline: Multiline::Lines,
        ..Input::from(Format::Json)
    };
    assert_eq!(texts(&input, b"{\"message\":\n\"one\"}"), ["one"]);
    assert_eq!(texts(&input, b"{\"message\":\"one\"}\n{\"message\":\"two\"}\n"), ["one", "two"]);
}
