//! `tidemill demo`: shows the product, and proves it.
//!
//! In reading order: [`shop`] is the model, [`story`] tells ten minutes of it, [`truth`] counts the
//! story, [`datadog`] and [`otlp`] say it in the words of real clients, [`send`] sends it through the
//! real ports, [`wait`] waits until it can be asked about, [`questions`] asks and compares.

mod datadog;
mod otlp;
mod questions;
mod rng;
mod send;
mod setup;
mod shop;
mod story;
mod truth;
mod wait;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::cli::DemoArgs;
use crate::commands::run::until_stopped;
use crate::config::Config;
use crate::engine::{Engine, Roles, Signals};
use crate::exit;

use send::Sent;
use truth::Truth;

/// Runs the demo; the exit code is 0 only if every answer was right (with `--exit`) or the drain was
/// clean (without).
pub async fn run(args: &DemoArgs) -> u8 {
    let config = match setup::config(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("tidemill demo: {error}");
            return exit::USAGE;
        }
    };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("tidemill demo: cannot listen for signals: {error}");
            return exit::UNAVAILABLE;
        }
    };
    println!("Tidemill demo: ten minutes of a small shop, in {}", config.data_dir.display());
    let engine = tokio::select! {
        started = Engine::start(&config, Roles::All) => started,
        _ = signals.next() => return exit::OK,
    };
    let mut engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!(
                "tidemill demo: {error}\n    hint: `tidemill demo --free-ports` takes ports that are free"
            );
            return exit::UNAVAILABLE;
        }
    };
    let outcome = tokio::select! {
        outcome = show(args, &config) => outcome,
        failure = engine.failed() => Err(failure.to_string()),
        signal = signals.next() => Err(format!("stopped by {signal}")),
    };
    finish(args, &config, engine, signals, outcome).await
}

/// How many answers were right.
async fn show(args: &DemoArgs, config: &Config) -> Result<usize, String> {
    let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(0);
    let shop = story::tell(args.seed, now);
    let truth = Truth::of(&shop);
    println!(
        "  {} requests of customers: {} spans, {} logs, {} metric points",
        truth.customers, truth.spans, truth.logs, truth.points
    );
    send_all(shop, &truth, config).await?;
    let mut api = Api::new(config.query.http.to_string());
    wait::until_queryable(&mut api, &truth).await?;
    let tables = config.local_store().unwrap_or_default().join(schemas::table::PREFIX);
    let mut context = questions::Context { api, truth, tables };
    let mut right = 0;
    for number in 0..questions::COUNT {
        println!("\n{}", "─".repeat(96));
        match questions::ask(number, &mut context).await {
            Ok(answer) => {
                print_answer(number, &answer);
                right += usize::from(answer.is_right());
            }
            Err(error) => println!("{}. ✗ no answer: {error}", number + 1),
        }
    }
    println!("\n{}", "─".repeat(96));
    println!("{right} of {} answers are right", questions::COUNT);
    Ok(right)
}

/// Sends the story, with a line that tells how far it is.
async fn send_all(shop: shop::Shop, truth: &Truth, config: &Config) -> Result<(), String> {
    let all = truth.spans + truth.logs + truth.points;
    let sent = Arc::new(Sent::default());
    let started = Instant::now();
    let sending = send::all(Arc::new(shop), config.intake, Arc::clone(&sent));
    tokio::pin!(sending);
    let outcome = loop {
        tokio::select! {
            outcome = &mut sending => break outcome,
            () = tokio::time::sleep(Duration::from_millis(250)) => {
                let events = sent.events.load(Ordering::Relaxed);
                progress(&format!("  sending {events} of {all}"));
            }
        }
    };
    progress("");
    outcome.map_err(|error| error.to_string())?;
    let (events, took) = (sent.events.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    println!(
        "  sent and acknowledged: {events} events in {} requests, {:.1} MB, in {took:.1} s ({:.0} events/s, {} retries)",
        sent.requests.load(Ordering::Relaxed),
        sent.bytes.load(Ordering::Relaxed) as f64 / 1e6,
        events as f64 / took.max(0.001),
        sent.retries.load(Ordering::Relaxed),
    );
    Ok(())
}

/// One line that is overwritten; nothing where nobody watches.
fn progress(text: &str) {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        // A terminal that is gone is no reason to stop.
        let _ = write!(out, "\r\u{1b}[2K{text}").and_then(|()| out.flush());
    }
}

fn print_answer(number: usize, answer: &questions::Answer) {
    let mark = |right: bool| if right { '✓' } else { '✗' };
    println!("{}. {}\n", number + 1, answer.title);
    for line in answer.sql.lines() {
        println!("   {line}");
    }
    println!("\n{}\n", answer.shown);
    for check in &answer.checks {
        println!("   {} {}", mark(check.right), check.text);
    }
}

/// Stays up or ends, as asked.
async fn finish(
    args: &DemoArgs,
    config: &Config,
    engine: Engine,
    mut signals: Signals,
    outcome: Result<usize, String>,
) -> u8 {
    let all_right = match &outcome {
        Ok(right) => *right == questions::COUNT,
        Err(error) => {
            eprintln!("tidemill demo: {error}");
            false
        }
    };
    if args.exit || outcome.is_err() {
        let drained = engine.shutdown().await;
        if let Err(incomplete) = &drained {
            eprintln!("tidemill demo: {incomplete}");
        }
        return if all_right && drained.is_ok() { exit::OK } else { exit::FAILED };
    }
    print_addresses(config);
    let code = until_stopped(engine, &mut signals).await;
    if all_right { code } else { exit::FAILED }
}

fn print_addresses(config: &Config) {
    println!("\nIt stays up; Ctrl-C drains and stops.");
    for (setting, address) in config.listeners() {
        println!("  {setting:<22} {address}");
    }
    let dir = config.data_dir.display();
    println!("\nAsk it something of your own:");
    println!("  tidemill sql --data-dir {dir} \"SELECT status, count(*) FROM logs GROUP BY 1\"");
    println!(
        "  psql -h {} -p {} tidemill",
        config.query.postgres.ip(),
        config.query.postgres.port()
    );
}
