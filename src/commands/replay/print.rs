//! Replays as people and programs read them.

use std::time::Duration;

use serde_json::{Value, json};
use stages::record::TopicPartition;
use stream::replay::plan::{Origin, Plan};
use stream::replay::report::Report;
use stream::replay::restored::Excluded;
use stream::replay::stage::Progress;
use stream::upkeep::report::size;

use crate::api::{Column, Rows};
use crate::cli::ReportFormat;
use crate::commands::draw;

/// Changed fields shown to people; programs get all.
const SHOWN_FIELDS: usize = 40;

/// What it is about to do.
pub(super) fn begins(plan: &Plan) -> String {
    let mut text = format!("replay {}: pipeline {}", plan.id, plan.pipeline_version);
    for read in &plan.reads {
        let stretch = &read.stretch;
        let TopicPartition { topic, partition } = &stretch.partition;
        if matches!(plan.origin, Origin::Archive(_)) {
            text.push_str(&format!("\n  {topic}, all of it"));
            continue;
        }
        let (from, to) = (stretch.from, stretch.to);
        text.push_str(&format!("\n  {topic}-{partition} offsets {from} to {to}"));
        match read.messages {
            Some(messages) => text.push_str(&format!(", {messages} messages")),
            None => text.push_str(", as far as they were kept"),
        }
    }
    text
}

/// One line of progress, so long after the beginning.
pub(super) fn progress(id: &str, progress: Progress, took: Duration) -> String {
    let Progress { messages, before, of } = progress;
    let rate = (messages - before) as f64 / took.as_secs_f64().max(0.001);
    let Some(of) = of.filter(|of| *of > 0) else {
        return format!("replay {id}: {messages} messages, {rate:.0}/s");
    };
    let left = (of - messages) as f64 / rate.max(1.0);
    let percent = messages.saturating_mul(100) / of;
    format!("replay {id}: {messages} of {of} messages ({percent} %), {rate:.0}/s, {left:.0} s left")
}

/// The replays there are: each with whether it is staged, and the record that swapped it in.
pub(super) fn list(known: &[(Plan, bool, Option<u64>)], format: ReportFormat) {
    let state = |staged: bool, swapped: Option<u64>| match (swapped, staged) {
        (Some(seq), _) => format!("swapped in, record {seq}"),
        (None, true) => "staged".to_owned(),
        (None, false) => "unfinished".to_owned(),
    };
    if format == ReportFormat::Json {
        let all = known.iter().map(|(plan, staged, swapped)| {
            json!({"id": plan.id, "state": state(*staged, *swapped), "plan": plan})
        });
        println!("{}", Value::Array(all.collect()));
        return;
    }
    let row = |(plan, staged, swapped): &(Plan, bool, Option<u64>)| {
        let began = chrono::DateTime::from_timestamp_millis(plan.created_millis);
        let began = began.map(|at| at.format("%Y-%m-%d %H:%M").to_string());
        let messages = plan.messages().map_or(Value::Null, Value::from);
        vec![
            json!(plan.id),
            json!(began),
            json!(plan.pipeline_version),
            json!(plan.replaces.len()),
            messages,
            json!(state(*staged, *swapped)),
        ]
    };
    let names = ["replay", "began", "pipeline", "partitions", "messages", "state"];
    println!("{}", table(&names, known.iter().map(row).collect()));
}

/// What it changes; `seq` is the record that changed it.
pub(super) fn report(report: &Report, seq: Option<u64>, format: ReportFormat) {
    if format == ReportFormat::Json {
        println!("{}", json!({"report": report, "seq": seq}));
        return;
    }
    println!("{}", tables(report));
    if let Some(parsed) = report.parsed {
        println!(
            "logs parsed: {} before, {} after; unparsed: {} before, {} after",
            parsed.before, parsed.after, parsed.unparsed_before, parsed.unparsed_after
        );
    }
    println!("{}", rules(report));
    if !report.fields.is_empty() {
        println!("{}", fields(report));
    }
    if let Some(excluded) = report.excluded {
        println!("{}", searched(excluded));
    }
    let series = &report.series;
    println!(
        "metric series: {} before, {} after; {} moved, {} new, {} gone; measurements: {} before, {} after",
        series.before,
        series.after,
        series.moved,
        series.new,
        series.gone,
        series.count_before,
        series.count_after
    );
    let files = format!("{} files of {}", report.files, size(report.file_bytes));
    match seq {
        Some(seq) => {
            println!("swapped in with record {seq}: {} messages, {files}", report.messages)
        }
        None => println!("staged: {} messages, {files}", report.messages),
    }
}

/// Where a restore could look, and where not.
fn searched(Excluded { counted, looked_at }: Excluded) -> String {
    let missing = counted.saturating_sub(looked_at);
    if missing <= 0 {
        return format!("excluded events searched: {looked_at}");
    }
    format!(
        "excluded events searched: {looked_at} of {counted}; the other {missing} have no message any more (see \
         worker.keep_raw), or this pipeline does not exclude them"
    )
}

fn tables(report: &Report) -> String {
    let row = |(name, rows): (&String, &stream::replay::diff::RowsDiff)| {
        let compared = rows.same + rows.changed + rows.gone + rows.new > 0;
        let cell = |count: i64| if compared { json!(count) } else { json!("") };
        vec![
            json!(name),
            json!(rows.before),
            json!(rows.after),
            cell(rows.same),
            cell(rows.changed),
            cell(rows.gone),
            cell(rows.new),
        ]
    };
    let names = ["table", "rows before", "after", "same", "changed", "gone", "new"];
    table(&names, report.tables.iter().map(row).collect())
}

fn rules(report: &Report) -> String {
    let row = |rule: &stream::replay::report::RuleDiff| {
        vec![
            json!(rule.signal),
            json!(rule.action),
            json!(rule.rule),
            json!(rule.before.events),
            json!(rule.after.events),
            json!(size(rule.before.bytes)),
            json!(size(rule.after.bytes)),
        ]
    };
    let names = ["signal", "action", "rule", "events before", "after", "bytes before", "after"];
    table(&names, report.rules.iter().map(row).collect())
}

/// The fields with most changes, each with one example.
fn fields(report: &Report) -> String {
    let mut all: Vec<_> = report
        .fields
        .iter()
        .flat_map(|(table, fields)| fields.iter().map(move |(name, field)| (table, name, field)))
        .collect();
    all.sort_by_key(|(_, _, field)| {
        std::cmp::Reverse(field.added.saturating_add(field.removed).saturating_add(field.changed))
    });
    let more = all.len().saturating_sub(SHOWN_FIELDS);
    let row = |(table, name, field): &(&String, &String, &stream::replay::diff::FieldDiff)| {
        let sample = field.samples.first();
        let value = |value: Option<&String>| value.cloned().unwrap_or_default();
        vec![
            json!(table),
            json!(name),
            json!(field.added),
            json!(field.removed),
            json!(field.changed),
            json!(value(sample.and_then(|sample| sample.before.as_ref()))),
            json!(value(sample.and_then(|sample| sample.after.as_ref()))),
        ]
    };
    let names = ["table", "field", "added", "removed", "changed", "before, as", "after, as"];
    let mut text = table(&names, all.iter().take(SHOWN_FIELDS).map(row).collect());
    if more > 0 {
        text.push_str(&format!("\n{more} further fields: --format json has all"));
    }
    text
}

fn table(names: &[&str], rows: Vec<Vec<Value>>) -> String {
    let column = |name: &&str| Column { name: (*name).to_owned(), kind: "text".to_owned() };
    draw(&Rows { columns: names.iter().map(column).collect(), rows, meta: Value::Null })
}
