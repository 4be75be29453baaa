//! Envelopes as their documentation shows them and as shippers send them.

use bumpalo::Bump;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};

use super::*;
use crate::decode::{Items, decode_input};
use crate::input::{Input, Multiline};
use crate::pipeline::{MetricWindows, Pipeline, config};
use crate::record::Record;
use schemas::status::Status;

const RECEIVED: EventTime = EventTime::from_nanos(1_700_000_000_000_000_000);

/// One log of one payload, through decode and an empty pipeline.
fn with<T>(
    envelope: Envelope,
    format: Format,
    payload: &str,
    look: impl FnOnce(&LogEvent<'_>) -> T,
) -> T {
    let input = Input { envelope, multiline: Multiline::Lines, ..Input::from(format) };
    let (arena, payload) = (Bump::new(), payload.as_bytes().to_vec());
    let record = Record { timestamp: RECEIVED, payload, ..Record::default() };
    let decoded = decode_input(&arena, &record, Signal::Logs, &input).expect("decodes");
    let Items::Logs(mut logs) = decoded.items else { panic!("no logs") };
    assert_eq!((logs.len(), decoded.refused.len()), (1, 0));
    let pipeline = Pipeline::compile(&config::Config::default()).expect("compiles");
    pipeline.process(&arena, &mut logs[0], 0, &mut MetricWindows::new(&pipeline));
    look(&logs[0])
}

/// Attributes as `path=value`, sorted.
fn attributes(log: &LogEvent<'_>) -> Vec<String> {
    let mut pairs: Vec<String> =
        log.attributes.iter().map(|(path, value)| format!("{path}={value}")).collect();
    pairs.sort();
    pairs
}

fn nanos(text: &str) -> i64 {
    let time = chrono::DateTime::parse_from_rfc3339(text).expect("a time");
    time.timestamp_nanos_opt().expect("in range")
}

const DOCKER: &str = r#"{"log":"it \"works\"\n","stream":"stderr","attrs":{"tag":"web"},"time":"2023-01-29T08:42:22.383150913Z"}"#;

#[test]
fn a_docker_line_is_its_text_time_and_stream() {
    for (envelope, format) in [
        (Envelope::Docker, Format::Raw),
        (Envelope::Docker, Format::Json),
        (Envelope::Auto, Format::Raw),
        (Envelope::Auto, Format::Json),
    ] {
        with(envelope, format, DOCKER, |log| {
            assert_eq!(log.message, "it \"works\"");
            assert_eq!(log.time().nanos(), nanos("2023-01-29T08:42:22.383150913Z"));
            assert_eq!(attributes(log), ["attrs.tag=web", "stream=stderr"]);
        });
    }
}

#[test]
fn json_within_docker_is_read_and_its_time_wins() {
    let line = r#"{"log":"{\"level\":\"warn\",\"timestamp\":\"2020-01-01T00:00:00Z\",\"message\":\"x\"}\n","stream":"stdout","time":"2023-01-29T08:42:22Z"}"#;
    with(Envelope::Auto, Format::Raw, line, |log| {
        assert_eq!((log.message, log.status), ("x", Some(Status::Warn)));
        assert_eq!(log.time().nanos(), nanos("2020-01-01T00:00:00Z"));
        assert_eq!(log.observed.map(EventTime::nanos), Some(nanos("2023-01-29T08:42:22Z")));
    });
}

#[test]
fn json_that_only_resembles_an_envelope_stays_as_it_is() {
    for line in [
        r#"{"log":"x","time":"2023-01-29T08:42:22Z"}"#,
        r#"{"log":{"a":1},"stream":"stdout","time":"now"}"#,
    ] {
        with(Envelope::Auto, Format::Json, line, |log| {
            assert!(log.attributes.iter().any(|(path, _)| path.starts_with("log")), "{line}");
        });
    }
    with(Envelope::Docker, Format::Raw, "no JSON", |log| {
        assert_eq!(log.message, "no JSON");
        assert_eq!(attributes(log), [r#"pipeline_errors=["envelope: not in the form of docker"]"#]);
    });
}

#[test]
fn a_line_of_the_container_runtime_is_its_text_time_and_stream() {
    for envelope in [Envelope::Cri, Envelope::Auto] {
        let line = "2016-10-06T00:17:09.669794202Z stdout F The content of the log entry 1";
        with(envelope, Format::Raw, line, |log| {
            assert_eq!(log.message, "The content of the log entry 1");
            assert_eq!(log.time().nanos(), nanos("2016-10-06T00:17:09.669794202Z"));
            assert_eq!(attributes(log), ["stream=stdout"]);
        });
        with(envelope, Format::Raw, "2016-10-06T00:17:09.6+02:00 stderr F:x:y  two", |log| {
            assert_eq!(log.message, " two");
        });
    }
    with(Envelope::Auto, Format::Raw, "2016-10-06T00:17:09Z stdin F x", |log| {
        assert_eq!(log.message, "2016-10-06T00:17:09Z stdin F x");
    });
}

#[test]
fn syslog_of_rfc_5424_is_read_as_its_examples_say() {
    let line = "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Appli\\\"ca\\]tion\\n\"][examplePriority@32473 class=\"high\"] \u{feff}An application event log entry...";
    for envelope in [Envelope::Syslog, Envelope::Auto] {
        with(envelope, Format::Raw, line, |log| {
            assert_eq!(log.message, "An application event log entry...");
            assert_eq!((log.host, log.service), ("mymachine.example.com", "evntslog"));
            assert_eq!(log.status, Some(Status::Notice));
            assert_eq!(log.time().nanos(), nanos("2003-10-11T22:14:15.003Z"));
            assert_eq!(
                attributes(log),
                [
                    "syslog.appname=evntslog",
                    "syslog.facility=20",
                    "syslog.hostname=mymachine.example.com",
                    "syslog.msgid=ID47",
                    "syslog.severity=5",
                    "syslog.structured_data.examplePriority@32473.class=high",
                    "syslog.structured_data.exampleSDID@32473.eventSource=Appli\"ca]tion\\n",
                    "syslog.structured_data.exampleSDID@32473.iut=3",
                    "syslog.timestamp=2003-10-11T22:14:15.003Z",
                    "syslog.version=1",
                ]
            );
        });
    }
    let bare = "<34>1 - - - - - -";
    with(Envelope::Syslog, Format::Raw, bare, |log| {
        assert_eq!((log.message, log.time()), ("", RECEIVED));
        assert_eq!(attributes(log), ["syslog.facility=4", "syslog.severity=2", "syslog.version=1"]);
    });
}

#[test]
fn syslog_of_rfc_3164_is_read_as_it_is_found() {
    for (line, message, host, app, pid, status) in [
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            "'su root' failed",
            "mymachine",
            "su",
            None,
            Status::Critical,
        ),
        (
            "<13>Feb  5 17:32:18 10.0.0.99 sshd[123]: Accepted",
            "Accepted",
            "10.0.0.99",
            "sshd",
            Some("123"),
            Status::Notice,
        ),
        ("<13>2024-02-05T17:32:18.1+01:00 web app: x", "x", "web", "app", None, Status::Notice),
        ("<13>Feb  5 17:32:18 kernel: up", "up", "", "kernel", None, Status::Notice),
        ("<14>no header at all", "no header at all", "", "", None, Status::Info),
        (
            "Feb  5 17:32:18 host cron[9]: (root) CMD",
            "(root) CMD",
            "host",
            "cron",
            Some("9"),
            Status::Info,
        ),
        (
            "<13>Feb  5 17:32:18 host just text: here",
            "just text: here",
            "host",
            "",
            None,
            Status::Notice,
        ),
    ] {
        with(Envelope::Syslog, Format::Raw, line, |log| {
            assert_eq!((log.message, log.host, log.service), (message, host, app), "{line}");
            assert_eq!(log.attributes.get_str("syslog.procid"), pid, "{line}");
            assert_eq!(log.status, Some(status), "{line}");
        });
    }
    // The year is the one that brings it closest to when it was received, November 2023.
    with(Envelope::Auto, Format::Raw, "<34>Oct 11 22:14:15 m su: x", |log| {
        assert_eq!(log.time().nanos(), nanos("2023-10-11T22:14:15Z"));
    });
    for line in ["<999>x", "<html>x", "no syslog"] {
        with(Envelope::Syslog, Format::Raw, line, |log| {
            assert_eq!(log.message, line);
            assert!(log.attributes.get(ERRORS).is_some(), "{line}");
        });
    }
}

#[test]
fn kubernetes_metadata_become_the_tags_of_datadogs_agent() {
    let fluent_bit = r#"{"@timestamp":"2024-05-01T10:00:00Z","log":"hello\n","stream":"stdout","logtag":"F","time":"2024-05-01T10:00:00.5Z","kubernetes":{"pod_name":"web-1","namespace_name":"shop","labels":{"app":"web","tags.datadoghq.com/env":"prod"},"host":"node-1","container_name":"nginx","docker_id":"abc","container_image":"reg.example.org:5000/x/nginx:1.25"}}"#;
    let filebeat = r#"{"@timestamp":"2024-05-01T10:00:00.5Z","message":"hello","stream":"stdout","kubernetes":{"pod":{"name":"web-1"},"namespace":"shop","labels":{"app_kubernetes_io/name":"web","tags_datadoghq_com/env":"prod"},"node":{"name":"node-1"},"container":{"name":"nginx"}},"container":{"id":"abc","image":{"name":"nginx:1.25"}}}"#;
    let vector = r#"{"file":"/var/log/pods/x.log","message":"hello","stream":"stdout","timestamp":"2024-05-01T10:00:00.5Z","source_type":"kubernetes_logs","kubernetes":{"pod_name":"web-1","pod_namespace":"shop","pod_labels":{"app.kubernetes.io/name":"web","tags.datadoghq.com/env":"prod"},"pod_node_name":"node-1","container_name":"nginx","container_id":"containerd://abc","container_image":"nginx:1.25"}}"#;
    for (shipper, line) in [("fluent bit", fluent_bit), ("filebeat", filebeat), ("vector", vector)]
    {
        for (envelope, format) in [
            (Envelope::Kubernetes, Format::Json),
            (Envelope::Auto, Format::Json),
            (Envelope::Auto, Format::Raw),
        ] {
            with(envelope, format, line, |log| {
                assert_eq!(log.message, "hello", "{shipper}");
                assert_eq!(
                    (log.service, log.env, log.host),
                    ("web", "prod", "node-1"),
                    "{shipper}"
                );
                assert_eq!(log.source, "nginx", "{shipper}");
                assert_eq!(log.time().nanos(), nanos("2024-05-01T10:00:00.5Z"), "{shipper}");
                for tag in [
                    "pod_name:web-1",
                    "kube_namespace:shop",
                    "kube_container_name:nginx",
                    "container_id:abc",
                ] {
                    assert_eq!(
                        log.tags.iter().filter(|found| **found == tag).count(),
                        1,
                        "{shipper}: {tag}"
                    );
                }
            });
        }
    }
}

#[test]
fn a_runtimes_line_within_what_a_shipper_sends_is_opened_as_well() {
    let line = r#"{"log":"2016-10-06T00:17:09.669794202Z stderr P part","kubernetes":{"container_name":"web"}}"#;
    for envelope in [Envelope::Kubernetes, Envelope::Auto] {
        with(envelope, Format::Json, line, |log| {
            assert_eq!((log.message, log.service), ("part", "web"));
            assert_eq!(log.attributes.get_str("stream"), Some("stderr"));
        });
    }
}

#[test]
fn a_log_of_a_datadog_archive_comes_back_as_it_was() {
    let line = r#"{"_id":"123456789abcdefg","date":"2018-05-15T14:31:16.003Z","host":"i-12345","source":"ruby","service":"web-app","status":"warn","message":"2018-05-15T14:31:16.003Z INFO rid='acb-123' duration=70","tags":["team:test","env:prod"],"attributes":{"rid":"abc-123","duration":70,"http":{"status_code":200},"service":"inner"}}"#;
    for (envelope, format) in [
        (Envelope::Datadog, Format::Json),
        (Envelope::Auto, Format::Json),
        (Envelope::Auto, Format::Raw),
    ] {
        with(envelope, format, line, |log| {
            assert_eq!((log.host, log.source, log.service), ("i-12345", "ruby", "web-app"));
            assert_eq!((log.status, log.env), (Some(Status::Warn), "prod"));
            assert_eq!(log.time().nanos(), nanos("2018-05-15T14:31:16.003Z"));
            assert!(log.message.starts_with("2018-05-15T14:31:16.003Z INFO"));
            assert_eq!(&log.tags[..], ["team:test", "env:prod"]);
            assert_eq!(
                attributes(log),
                ["_id=123456789abcdefg", "duration=70", "http.status_code=200", "rid=abc-123"]
            );
        });
    }
}
