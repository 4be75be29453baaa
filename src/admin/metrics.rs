//! `GET /metrics`: the process, the intake and the worker in Prometheus' text format, version 0.0.4.
//!
//! Labels are closed sets, and topic names from the configuration, so the number of series is bounded
//! by the configuration and not by what clients send.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use ingest::Counter;
use stream::upkeep::report::TableReport;
use stream::worker::Status;

use super::Report;
use crate::monitors::Shown;

/// The whole document.
pub(super) fn render(report: &Report) -> String {
    let mut text = Text::default();
    text.family("tidemill_ready", "gauge", "Whether every role runs.");
    let ready = u8::from(report.phase == super::Phase::Ready);
    text.sample(&[("role", report.role), ("version", report.version)], ready);
    text.family("tidemill_uptime_seconds", "gauge", "Seconds since the start.");
    text.sample(&[], report.uptime_seconds);
    if report.worker.is_some() || report.halted.is_some() {
        let help = "Whether the worker waits for an operator's decision.";
        text.family("tidemill_worker_halted", "gauge", help);
        text.sample(&[], u8::from(report.halted.is_some()));
    }
    if let Some(counters) = &report.intake {
        intake(&mut text, counters);
    }
    if let Some(status) = &report.worker {
        worker(&mut text, status);
        sharing(&mut text, status);
        upkeep(&mut text, status);
        partitions(&mut text, status);
        quotas(&mut text, status);
    }
    if let Some(status) = &report.issues {
        issues(&mut text, status);
    }
    if let Some(shown) = &report.monitors {
        monitors(&mut text, shown);
    }
    text.0
}

/// One family per unit: requests, records, messages and bytes must not be added up.
fn intake(text: &mut Text, counters: &[Counter]) {
    let requests = |outcome: &'static str| match outcome {
        "accepted" | "discarded" => Some(outcome),
        _ => outcome.starts_with("refused_").then_some(outcome),
    };
    let records = |outcome: &'static str| match outcome {
        "records" => Some("accepted"),
        "records_rejected" => Some("rejected"),
        "records_cut" => Some("cut"),
        _ => None,
    };
    let messages = |outcome: &'static str| (outcome == "messages").then_some("acknowledged");
    let bytes = |outcome: &'static str| (outcome == "bytes").then_some("acknowledged");
    type Pick<'a> = &'a dyn Fn(&'static str) -> Option<&'static str>;
    let families: [(&str, &str, Pick<'_>); 4] = [
        ("requests", "Requests by what became of them.", &requests),
        ("records", "Spans, logs and metrics by what became of them.", &records),
        ("messages", "Messages acknowledged by Kafka.", &messages),
        ("bytes", "Payload bytes acknowledged by Kafka.", &bytes),
    ];
    for (name, help, pick) in families {
        text.family(&format!("tidemill_intake_{name}_total"), "counter", help);
        for counter in counters {
            if let Some(outcome) = pick(counter.outcome) {
                let labels = [("endpoint", counter.endpoint), ("outcome", outcome)];
                text.sample(&labels, counter.count);
            }
        }
    }
}

fn worker(text: &mut Text, status: &Status) {
    text.family("tidemill_worker_units_total", "counter", "Units committed since the start.");
    text.sample(&[], status.units);
    text.family("tidemill_worker_dead_letters_total", "counter", "Records refused by the worker.");
    text.sample(&[], status.dead_letters);
    let missing = "Offsets that never came: compaction, transaction markers.";
    text.family("tidemill_worker_missing_offsets_total", "counter", missing);
    text.sample(&[], status.missing_offsets);
    text.family("tidemill_worker_rows_total", "counter", "Rows committed since the start.");
    for (table, rows) in &status.rows {
        text.sample(&[("table", table)], rows);
    }
    if let Some(seq) = status.committed_seq {
        text.family("tidemill_worker_committed_seq", "gauge", "Last record of the commit log.");
        text.sample(&[], seq);
    }
    text.family("tidemill_worker_published_seq", "gauge", "Last seq a table contains.");
    for (table, seq) in &status.published_seq {
        if let Some(seq) = seq {
            text.sample(&[("table", table)], seq);
        }
    }
}

/// What upkeep did.
fn upkeep(text: &mut Text, status: &Status) {
    let report = &status.upkeep;
    text.family("tidemill_upkeep_passes_total", "counter", "Passes over the tables.");
    text.sample(&[], report.passes);
    text.family("tidemill_upkeep_failed_passes_total", "counter", "Passes that ended early.");
    text.sample(&[], report.failed_passes);
    type Pick = fn(&TableReport) -> u64;
    let families: [(&str, &str, &str, Pick); 9] = [
        ("table_files", "gauge", "Files of a table at the last pass.", |t| t.files),
        ("table_bytes", "gauge", "Their bytes.", |t| t.bytes),
        ("compacted_files_total", "counter", "Files put together.", |t| t.compacted.files_before),
        ("compacted_into_files_total", "counter", "Files they became.", |t| {
            t.compacted.files_after
        }),
        ("compacted_bytes_total", "counter", "Bytes put together.", |t| t.compacted.bytes_before),
        ("compaction_millis_total", "counter", "Time it took.", |t| t.compaction_millis),
        ("expired_rows_total", "counter", "Rows past their retention.", |t| t.expired.rows),
        ("deleted_files_total", "counter", "Files deleted that nothing refers to.", |t| {
            t.deleted_files
        }),
        ("skipped", "gauge", "Whether the last pass left something undone.", |t| {
            u64::from(t.skipped.is_some())
        }),
    ];
    for (name, kind, help, pick) in families {
        text.family(&format!("tidemill_upkeep_{name}"), kind, help);
        for (table, report) in &report.tables {
            text.sample(&[("table", table)], pick(report));
        }
    }
}

/// How it stands with other workers on the same topics and store.
fn sharing(text: &mut Text, status: &Status) {
    text.family("tidemill_worker_partitions", "gauge", "Partitions this worker holds.");
    text.sample(&[], status.partitions.len());
    let rejected = "Units refused because another worker had claimed a partition of theirs.";
    text.family("tidemill_worker_rejected_units_total", "counter", rejected);
    text.sample(&[], status.rejected_units);
    text.family("tidemill_worker_rebalances_total", "counter", "Decisions of the consumer group.");
    text.sample(&[], status.rebalances);
    let publishes = "Whether this worker publishes to the tables, and who holds the lease.";
    text.family("tidemill_worker_publishes", "gauge", publishes);
    let labels = [
        ("owner", status.owner.as_str()),
        ("group", status.group.as_deref().unwrap_or_default()),
        ("publisher", status.publisher.as_deref().unwrap_or_default()),
    ];
    text.sample(&labels, u8::from(status.publishes));
}

fn partitions(text: &mut Text, status: &Status) {
    text.family("tidemill_worker_generation", "gauge", "Claims of a partition so far.");
    for held in &status.partitions {
        let partition = held.partition.to_string();
        text.sample(&[("topic", &held.topic), ("partition", &partition)], held.generation);
    }
    text.family("tidemill_worker_lag", "gauge", "Messages of a partition not yet committed.");
    for held in &status.partitions {
        let partition = held.partition.to_string();
        text.sample(&[("topic", &held.topic), ("partition", &partition)], held.lag);
    }
    text.family("tidemill_worker_next_offset", "gauge", "First offset not yet committed.");
    for held in &status.partitions {
        let partition = held.partition.to_string();
        text.sample(&[("topic", &held.topic), ("partition", &partition)], held.next_offset);
    }
}

fn quotas(text: &mut Text, status: &Status) {
    let help = "Logs an index kept of the latest day of its daily limit.";
    text.family("tidemill_index_daily_kept", "gauge", help);
    for quota in &status.quotas {
        text.sample(&[("index", &quota.index)], quota.kept);
    }
    text.family("tidemill_index_daily_limit", "gauge", "Logs an index may keep a day.");
    for quota in &status.quotas {
        text.sample(&[("index", &quota.index)], quota.limit);
    }
}

/// The pipeline that keeps the issues; of several workers one keeps them.
fn issues(text: &mut Text, status: &stream::issues::Status) {
    let gauges: [(&str, &str, u64); 5] = [
        ("active", "Whether the issues are kept here.", u64::from(status.active)),
        ("known", "Issues.", status.issues as u64),
        ("lag", "Records of the commit log not taken in.", status.lag),
        ("pending_messages", "Notifications on their way.", status.pending_messages as u64),
        ("held_alerts", "Alerts that wait to be put together.", status.held_alerts),
    ];
    for (name, help, value) in gauges {
        text.family(&format!("tidemill_issues_{name}"), "gauge", help);
        text.sample(&[], value);
    }
    text.family("tidemill_issues_failures_total", "counter", "Times it ended by an error.");
    text.sample(&[], status.failures);
}

/// Names of monitors come from the configuration.
fn monitors(text: &mut Text, shown: &BTreeMap<String, Shown>) {
    let help = "Where a monitor stands: one of the three is 1.";
    text.family("tidemill_monitor_state", "gauge", help);
    for (name, shown) in shown {
        for state in ["ok", "alert", "unknown"] {
            text.sample(&[("monitor", name), ("state", state)], u8::from(shown.state == state));
        }
    }
}

/// The document so far, and the name of the family that is being written.
#[derive(Default)]
struct Text(String, String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        name.clone_into(&mut self.1);
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.0.push_str(&self.1);
        for (number, (name, value)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(self.0, "{before}{name}=\"{value}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use stream::worker::{PartitionStatus, QuotaStatus};

    use super::*;
    use crate::admin::Phase;

    #[test]
    fn every_sample_belongs_to_the_family_above_it_and_labels_are_escaped() {
        let held = PartitionStatus {
            topic: "odd\"topic\\".to_owned(),
            partition: 3,
            generation: 4,
            next_offset: 7,
            high: 9,
            lag: 2,
        };
        let counter = |outcome, count| Counter { endpoint: "datadog_logs", outcome, count };
        let report = Report {
            phase: Phase::Ready,
            role: "up",
            version: "1",
            uptime_seconds: 5,
            intake: Some(vec![
                counter("accepted", 4),
                counter("records_cut", 1),
                counter("refused_busy", 2),
            ]),
            worker: Some(Status {
                partitions: vec![held],
                owner: "me".to_owned(),
                group: Some("g".to_owned()),
                publisher: Some("other".to_owned()),
                rejected_units: 3,
                quotas: vec![QuotaStatus { index: "main".to_owned(), kept: 7, limit: 9 }],
                ..Status::default()
            }),
            halted: Some("gone".to_owned()),
            issues: Some(stream::issues::Status { issues: 8, ..Default::default() }),
            monitors: Some(BTreeMap::from([(
                "m".to_owned(),
                Shown { state: "alert", said: String::new() },
            )])),
            pipeline: None,
        };
        let text = render(&report);
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap_or_default();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line}");
            }
        }
        for line in [
            r#"tidemill_ready{role="up",version="1"} 1"#,
            "tidemill_uptime_seconds 5",
            "tidemill_worker_halted 1",
            r#"tidemill_intake_requests_total{endpoint="datadog_logs",outcome="accepted"} 4"#,
            r#"tidemill_intake_requests_total{endpoint="datadog_logs",outcome="refused_busy"} 2"#,
            r#"tidemill_intake_records_total{endpoint="datadog_logs",outcome="cut"} 1"#,
            r#"tidemill_worker_lag{topic="odd\"topic\\",partition="3"} 2"#,
            r#"tidemill_worker_generation{topic="odd\"topic\\",partition="3"} 4"#,
            r#"tidemill_worker_publishes{owner="me",group="g",publisher="other"} 0"#,
            "tidemill_worker_rejected_units_total 3",
            "tidemill_worker_partitions 1",
            r#"tidemill_index_daily_kept{index="main"} 7"#,
            r#"tidemill_index_daily_limit{index="main"} 9"#,
            "tidemill_issues_known 8",
            r#"tidemill_monitor_state{monitor="m",state="alert"} 1"#,
            r#"tidemill_monitor_state{monitor="m",state="ok"} 0"#,
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
    }
}
