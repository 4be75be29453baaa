//! `tidemill fsck`: reads the commit log, the tables and the listing of storage, says what does not fit.

use std::sync::Arc;

use chrono::Utc;
use object_store::ObjectStore;
use schemas::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};
use serde_json::{Value, json};
use stream::fsck::{FsckError, Report};

use super::draw;
use crate::api::{Column, Rows};
use crate::cli::{FsckArgs, ReportFormat};
use crate::config::{self, Overrides};
use crate::exit;

/// Orphans shown to a person; a program gets all.
const SHOWN: usize = 20;

/// Checks and prints.
pub(super) async fn run(args: &FsckArgs) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: None };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::UNCHECKED;
        }
    };
    // Opening a local store would make its directory.
    if config.local_store().is_some_and(|dir| !dir.is_dir()) {
        eprintln!("tidemill: {}: {}", config.storage.url, FsckError::Nothing);
        return exit::UNCHECKED;
    }
    let store = match stream::store::open(&config.storage) {
        Ok(store) => store,
        Err(error) => {
            eprintln!("tidemill: {error}");
            return exit::UNCHECKED;
        }
    };
    let now = Utc::now().timestamp_millis();
    match check(&store, now).await {
        Ok(report) => {
            match args.format {
                ReportFormat::Json => println!("{}", as_json(&report)),
                ReportFormat::Table => print(&report),
            }
            if report.problems.count == 0 { exit::OK } else { exit::FAILED }
        }
        Err(error) => {
            eprintln!("tidemill: {}: {error}", config.storage.url);
            exit::UNCHECKED
        }
    }
}

/// Both pipelines; one of issues is there once a worker with error tracking has run.
async fn check(store: &Arc<dyn ObjectStore>, now: i64) -> Result<Report, FsckError> {
    let mut report = stream::fsck::fsck(store, LIVE_PIPELINE, now).await?;
    match stream::fsck::fsck(store, ISSUES_PIPELINE, now).await {
        Ok(issues) => report.join(issues),
        Err(FsckError::Nothing) => {}
        Err(error) => return Err(error),
    }
    Ok(report)
}

fn as_json(report: &Report) -> Value {
    json!({
        "verdict": if report.problems.count == 0 { "sound" } else { "problems" },
        "records": report.records,
        "first_seq": report.first_seq,
        "next_seq": report.next_seq,
        "rejected": report.rejected,
        "snapshots": report.snapshots,
        "tables": report.tables,
        "orphans": report.orphans,
        "foreign": report.foreign,
        "problems": report.problems.kept,
        "problem_count": report.problems.count,
    })
}

fn print(report: &Report) {
    let row = |t: &stream::fsck::contents::TableReport| {
        vec![
            json!(t.table),
            json!(t.version),
            json!(t.cursor),
            json!(t.files),
            json!(t.bytes),
            json!(t.pending),
            json!(t.removed),
            json!(t.orphans),
        ]
    };
    let names = ["table", "version", "seq", "files", "bytes", "pending", "removed", "orphans"];
    println!("{}", draw(&table(&names, report.tables.iter().map(row).collect())));
    if !report.problems.kept.is_empty() {
        let row = |p: &stream::fsck::Problem| vec![json!(p.fault), json!(p.place), json!(p.detail)];
        let rows = report.problems.kept.iter().map(row).collect();
        println!("{}", draw(&table(&["problem", "place", "what"], rows)));
    }
    print_files("orphan", &report.orphans);
    print_files("not ours, left alone; move it away", &report.foreign);
    println!("{}", sentence(report));
}

fn print_files(what: &str, files: &[stream::fsck::contents::Orphan]) {
    if files.is_empty() {
        return;
    }
    let row = |file: &stream::fsck::contents::Orphan| {
        let hours = file.age_seconds / 3_600;
        vec![json!(format!("{}/{}", file.table, file.path)), json!(file.bytes), json!(hours)]
    };
    let rows = files.iter().take(SHOWN).map(row).collect();
    println!("{}", draw(&table(&[what, "bytes", "age, hours"], rows)));
}

fn sentence(report: &Report) -> String {
    let Report { records, first_seq, next_seq, rejected, snapshots, .. } = report;
    let orphans = report.orphans.len();
    let log = format!(
        "{records} records, seq {first_seq} up to before {next_seq}, {snapshots} snapshots, {rejected} parts without effect"
    );
    match report.problems.count {
        0 => {
            let foreign = match report.foreign.len() {
                0 => String::new(),
                count => format!("; {count} files below tables that are not ours, left alone"),
            };
            format!("sound: {log}; {orphans} orphaned files, which maintenance collects{foreign}")
        }
        count => format!("PROBLEMS: {count}; {log}"),
    }
}

fn table(names: &[&str], rows: Vec<Vec<Value>>) -> Rows {
    let column = |name: &&str| Column { name: (*name).to_owned(), kind: "text".to_owned() };
    Rows { columns: names.iter().map(column).collect(), rows, meta: Value::Null }
}
