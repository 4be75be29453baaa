//! `tidemill maintain`: upkeep by hand, beside a running engine or on a store that rests.

use schemas::limits::DELETE_INTERVAL_SECONDS;
use schemas::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};
use schemas::table::Table;
use stream::clock::{Clock as _, System};
use stream::commit_log::log::BACKOFF;
use stream::upkeep::Settings;
use stream::upkeep::pass::{Keeper, PassError, Scope, World};
use stream::upkeep::report::{Report, Step, TableReport, size};
use tokio_util::sync::CancellationToken;

use crate::api::{Column, Rows};
use crate::cli::{MaintainArgs, ReportFormat};
use crate::config::{self, Config, Overrides};
use crate::engine::Signals;
use crate::exit;

use super::draw;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum MaintainError {
    #[error(transparent)]
    Store(#[from] stream::store::Error),
    #[error("{0}: {1}")]
    Pass(String, PassError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

/// Does one pass, or passes until a signal comes; prints what was done.
pub(super) async fn run(args: &MaintainArgs) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: None };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::USAGE;
        }
    };
    // Opening a local store would make its directory.
    if config.local_store().is_some_and(|dir| !dir.is_dir()) {
        eprintln!("tidemill: {}: {}", config.storage.url, PassError::Empty);
        return exit::UNAVAILABLE;
    }
    match maintain(args, &config).await {
        Ok(true) => exit::OK,
        Ok(false) => exit::FAILED,
        Err(error) => {
            eprintln!("tidemill: {error}");
            exit::UNAVAILABLE
        }
    }
}

/// Whether everything that was to be done is done.
async fn maintain(args: &MaintainArgs, config: &Config) -> Result<bool, MaintainError> {
    let system = System::shared();
    let stop = CancellationToken::new();
    let mut signals = Signals::listen().map_err(MaintainError::Signals)?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        stopping.cancel();
    });
    let world = World {
        store: stream::store::open(&config.storage)?,
        clock: system.clone(),
        entropy: system.clone(),
        backoff: BACKOFF,
        stop: stop.clone(),
    };
    let settings: Settings = config.upkeep.clone();
    let interval = settings.interval;
    let author = format!("maintain-{}", std::process::id());
    let mut keepers = [LIVE_PIPELINE, ISSUES_PIPELINE].map(|pipeline| {
        (pipeline, Keeper::new(world.clone(), pipeline, settings.clone(), author.clone()))
    });
    let tables = if args.tables.is_empty() { Table::ALL.to_vec() } else { args.tables.clone() };
    let once = args.once || args.dry_run;
    // A pass of its own looks once and trusts the clock; one of many looks twice.
    let settle = std::time::Duration::from_secs(if once { 0 } else { DELETE_INTERVAL_SECONDS / 2 });
    let mut complete = true;
    loop {
        let begun = system.monotonic();
        let tell = |step: Step| eprintln!("{step}");
        let mut report = Report { dry_run: args.dry_run, ..Report::default() };
        for (pipeline, keeper) in &mut keepers {
            let scope = Scope {
                tables: Table::of(pipeline).filter(|table| tables.contains(table)).collect(),
                dry_run: args.dry_run,
                publish: true,
                delete: Some(settle),
                by_hand: once,
            };
            match keeper.pass(&scope, &tell).await {
                Ok(done) => report.add(&done),
                // A store without error tracking: nothing to do there.
                Err(PassError::Empty) if *pipeline == ISSUES_PIPELINE => {}
                Err(error) => {
                    return Err(MaintainError::Pass(config.storage.url.clone(), error));
                }
            }
        }
        print(&report, args.format, system.monotonic().saturating_sub(begun));
        complete &= report.is_complete();
        if once || stop.is_cancelled() {
            return Ok(complete && !(once && stop.is_cancelled()));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(complete),
            () = tokio::time::sleep(interval) => {}
        }
    }
}

fn print(report: &Report, format: ReportFormat, took: std::time::Duration) {
    match format {
        ReportFormat::Json => println!("{}", serde_json::json!(report)),
        ReportFormat::Table => {
            println!("{}", draw(&rows(report)));
            for (name, table) in &report.tables {
                if let Some(reason) = &table.skipped {
                    println!("{name}: not all done: {reason}");
                }
            }
            let (did, log) =
                if report.dry_run { ("would be", "would be deleted") } else { ("were", "deleted") };
            println!(
                "{} commit-log objects {log}; the tables {did} changed as above; {:.1} s",
                report.deleted_log_objects,
                took.as_secs_f64()
            );
        }
    }
}

/// One line per table.
fn rows(report: &Report) -> Rows {
    let names = ["table", "files", "size", "expired", "compacted", "into", "saved", "deleted"];
    let column = |name: &str| Column { name: name.to_owned(), kind: "text".to_owned() };
    let text = |value: String| serde_json::Value::String(value);
    let line = |(name, table): (&&str, &TableReport)| {
        let compacted = &table.compacted;
        let saved = compacted.bytes_before.saturating_sub(compacted.bytes_after);
        let bytes = |bytes: u64| size(i64::try_from(bytes).unwrap_or(i64::MAX));
        vec![
            text((*name).to_owned()),
            table.files.into(),
            text(bytes(table.bytes)),
            table.expired.files_before.into(),
            compacted.files_before.into(),
            if report.dry_run { text("?".to_owned()) } else { compacted.files_after.into() },
            text(if report.dry_run { "?".to_owned() } else { bytes(saved) }),
            table.deleted_files.into(),
        ]
    };
    Rows {
        columns: names.iter().map(|name| column(name)).collect(),
        rows: report.tables.iter().map(line).collect(),
        meta: serde_json::Value::Null,
    }
}
