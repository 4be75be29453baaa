//! `tidemill audit`: reads the tables, says whether they keep the promise.

use chrono::{DateTime, Duration, Utc};
use object_store::ObjectStore;
use query::engine::{Engine, Options};
use schemas::limits::AUDIT_TIMEOUT_SECONDS;
use std::sync::Arc;

use super::draw;
use crate::audit::{self, AuditError, Report, Scope, Verdict};
use crate::cli::{AuditArgs, ReportFormat};
use crate::config::{self, Config, Overrides};
use crate::exit;

/// Inside a retention, so that no hour leaves its table while it is looked at.
const MARGIN: Duration = Duration::hours(2);

/// Checks and prints.
pub(super) async fn run(args: &AuditArgs) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: None };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::UNCHECKED;
        }
    };
    let scope = match scope(args, Utc::now()) {
        Ok(scope) => retained(&config, scope, Utc::now()),
        Err(error) => {
            eprintln!("tidemill: {error}");
            return exit::UNCHECKED;
        }
    };
    match check(&config, &scope).await {
        Ok(report) => {
            print(&report, args.format);
            match report.verdict() {
                Verdict::Proven => exit::OK,
                Verdict::Violated => exit::FAILED,
                Verdict::Unsettled => exit::UNCHECKED,
            }
        }
        Err(error) => {
            eprintln!("tidemill: {error}");
            exit::UNCHECKED
        }
    }
}

async fn check(config: &Config, scope: &Scope) -> Result<Report, AuditError> {
    let place = schemas::table::Table::Ledger.path();
    let missing = |dir: std::path::PathBuf| !dir.join(&place).join("_delta_log").is_dir();
    if config.local_store().is_some_and(missing) {
        return Err(AuditError::NoLedger(config.storage.url.clone()));
    }
    let store = stream::store::open(&config.storage)?;
    audit::audit(&engine(config, store)?, scope).await
}

/// The query engine, read-only as always, with time for large tables.
pub(crate) fn engine(config: &Config, store: Arc<dyn ObjectStore>) -> Result<Engine, AuditError> {
    let options = Options {
        memory_bytes: config.query.memory_bytes,
        timeout: std::time::Duration::from_secs(AUDIT_TIMEOUT_SECONDS),
        max_rows: usize::MAX,
        ..Options::default()
    };
    Ok(Engine::open(store, options)?)
}

/// Without `--from`, where tables have a retention: what is younger than the shortest of them. Older rows are
/// gone by intention, and the ledger does not tell which.
pub(crate) fn retained(config: &Config, mut scope: Scope, now: DateTime<Utc>) -> Scope {
    let upkeep = &config.upkeep;
    let shortest = upkeep.retention.values().chain(upkeep.index_retention.values()).min();
    let shortest = shortest.and_then(|shortest| Duration::from_std(*shortest).ok());
    if let (None, Some(shortest)) = (&scope.from, shortest) {
        let from = now.checked_sub_signed(shortest - MARGIN).map(|from| from.to_rfc3339());
        if let Some(from) = &from {
            eprintln!(
                "tidemill: tables have a retention: units received before {from} are left out"
            );
        }
        scope.from = from;
    }
    scope
}

fn scope(args: &AuditArgs, now: DateTime<Utc>) -> Result<Scope, String> {
    let read = |name: &str, text: &Option<String>| {
        match text {
        None => Ok(None),
        Some(text) => moment(text, now).map(Some).ok_or_else(|| {
            format!("--{name} {text:?} is no time; write 2026-03-02T00:00:00Z, 2026-03-02, or 6h for six hours ago")
        }),
    }
    };
    Ok(Scope { from: read("from", &args.from)?, to: read("to", &args.to)? })
}

/// RFC 3339, a day, or an age such as `6h`, `2d`, `30m`; as RFC 3339.
pub(super) fn moment(text: &str, now: DateTime<Utc>) -> Option<String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc).to_rfc3339());
    }
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        return Some(day.and_hms_opt(0, 0, 0)?.and_utc().to_rfc3339());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    let age = match unit {
        "m" => Duration::try_minutes(number),
        "h" => Duration::try_hours(number),
        "d" => Duration::try_days(number),
        _ => None,
    }?;
    now.checked_sub_signed(age).map(|time| time.to_rfc3339())
}

fn print(report: &Report, format: ReportFormat) {
    match format {
        ReportFormat::Json => println!("{}", report.json()),
        ReportFormat::Table => {
            println!("{}", draw(&report.partitions_table()));
            if !report.findings.is_empty() {
                println!("{}", draw(&report.findings_table()));
            }
            report.notes().iter().for_each(|note| println!("note: {note}"));
            println!("{}", report.sentence());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_an_age() {
        let now = DateTime::parse_from_rfc3339("2026-03-02T12:00:00Z").expect("time").to_utc();
        for (text, expected) in [
            ("2026-03-01T10:00:00+02:00", Some("2026-03-01T08:00:00+00:00")),
            ("2026-03-01", Some("2026-03-01T00:00:00+00:00")),
            ("6h", Some("2026-03-02T06:00:00+00:00")),
            ("2d", Some("2026-02-28T12:00:00+00:00")),
            ("-6h", None),
            ("6", None),
            ("", None),
            ("yesterday'; --", None),
        ] {
            assert_eq!(moment(text, now).as_deref(), expected, "{text}");
        }
    }
}
