//! `tidemill up | ingest | worker | query`: start, wait for a signal or a failure, drain.

use crate::cli::RunArgs;
use crate::config::{self, Config, Overrides};
use crate::engine::{Asked, Engine, Failure, Roles, Signals, Source, StartError};
use crate::exit;

/// Runs until told to stop.
pub(super) async fn run(args: &RunArgs, roles: Roles) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: args.kafka.clone() };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::USAGE;
        }
    };
    let mut signals = match Signals::listen().and_then(Signals::with_reload) {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("tidemill: cannot listen for signals: {error}");
            return exit::UNAVAILABLE;
        }
    };
    warn_about_open_ports(&config);
    let started = tokio::select! {
        started = Engine::start(&config, roles) => started,
        signal = signals.next() => {
            tracing::info!("{signal} during the start: ending; nothing was accepted yet");
            return exit::OK;
        }
    };
    match started {
        Ok(mut engine) => {
            engine.reload_from(Source { file: args.config.clone(), overrides });
            tracing::info!(health = %config.health, "ready");
            until_stopped(engine, &mut signals).await
        }
        Err(error) => {
            eprintln!("tidemill: {error}");
            match &error {
                StartError::Worker(error) if error.needs_decision() => exit::UNDECIDED,
                _ => exit::UNAVAILABLE,
            }
        }
    }
}

/// Waits for a signal or a failure, then drains; a second signal cuts the drain short.
pub(crate) async fn until_stopped(mut engine: Engine, signals: &mut Signals) -> u8 {
    let failure = until_asked_to_end(&mut engine, signals).await;
    if let Some(failure) = &failure {
        tracing::error!("{failure}; draining the rest");
    }
    let drained = tokio::select! {
        drained = engine.shutdown() => drained,
        signal = signals.next() => {
            eprintln!("tidemill: {signal} again: stopped without draining; the next start recovers");
            return exit::FORCED;
        }
    };
    match (failure, drained) {
        (None, Ok(())) => exit::OK,
        (Some(failure), drained) => {
            eprintln!("tidemill: {failure}");
            report(drained);
            match failure {
                Failure::Worker(error) if error.needs_decision() => exit::UNDECIDED,
                _ => exit::FAILED,
            }
        }
        (None, incomplete) => {
            report(incomplete);
            exit::FAILED
        }
    }
}

/// Reloads as often as it is asked to; ends with a failure, or with none when a signal says so.
async fn until_asked_to_end(engine: &mut Engine, signals: &mut Signals) -> Option<Failure> {
    let mut requests = engine.reload_requests();
    loop {
        let request = async {
            match &mut requests {
                Some(requests) => requests.recv().await,
                None => None,
            }
        };
        let answer = tokio::select! {
            failure = engine.failed() => return Some(failure),
            asked = signals.any() => match asked {
                Asked::End(signal) => {
                    tracing::info!("{signal}: draining; once more to stop at once");
                    return None;
                }
                Asked::Reload => None,
            },
            Some(answer) = request => Some(answer),
        };
        let reloaded = engine.reload().await;
        // Whoever asked may have gone.
        drop(answer.map(|answer| answer.send(reloaded)));
    }
}

fn report(drained: Result<(), crate::engine::Incomplete>) {
    if let Err(incomplete) = drained {
        eprintln!("tidemill: {incomplete}");
    }
}

/// There is no authentication: an address the network reaches is worth a word.
fn warn_about_open_ports(config: &Config) {
    for (setting, address) in config.listeners() {
        if !address.ip().is_loopback() {
            tracing::warn!(
                "{setting} listens on {address} without authentication: keep it behind a firewall"
            );
        }
    }
}
