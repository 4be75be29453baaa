//! The commands: each takes what was typed, does it, and ends with an exit code.

mod audit;
mod check;
mod fsck;
mod import;
mod issues;
mod maintain;
mod operator;
mod pipeline;
mod redrive;
mod replay;
pub(crate) mod run;
pub(crate) mod sql;
mod table;

pub(crate) use table::draw;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::engine::Roles;
use crate::{demo, exit};

/// Parses the command line, runs the command, gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing(&cli.command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tidemill: cannot start threads: {error}");
            return ExitCode::from(exit::UNAVAILABLE);
        }
    };
    let code = runtime.block_on(dispatch(cli.command));
    // What is still blocking has been given up on by the drain; it must not hold the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn dispatch(command: Command) -> u8 {
    match command {
        Command::Up(args) => run::run(&args, Roles::All).await,
        Command::Ingest(args) => run::run(&args, Roles::Ingest).await,
        Command::Worker(args) => run::run(&args, Roles::Worker).await,
        Command::Query(args) => run::run(&args, Roles::Query).await,
        Command::Sql(args) => sql::run(&args).await,
        Command::Audit(args) => audit::run(&args).await,
        Command::Fsck(args) => fsck::run(&args).await,
        Command::Redrive(args) => redrive::run(&args).await,
        Command::Replay(args) => replay::run(&args).await,
        Command::Import(args) => import::run(&args).await,
        Command::Restore(args) => replay::restore(&args).await,
        Command::Maintain(args) => maintain::run(&args).await,
        Command::Operator(command) => operator::run(&command).await,
        Command::Pipeline(command) => pipeline::run(&command).await,
        Command::Issues(command) => issues::run(&command).await,
        Command::Config(ConfigCommand::Check { file }) => check::run(&file),
        Command::Demo(args) => demo::run(&args).await,
    }
}

/// Messages go to standard error, so that answers on standard output stay clean.
fn tracing(command: &Command) {
    let default = match command {
        Command::Up(_) | Command::Ingest(_) | Command::Worker(_) | Command::Query(_) => {
            "warn,tidemill=info,ingest=info,stream=info,query=info"
        }
        Command::Sql(_)
        | Command::Audit(_)
        | Command::Fsck(_)
        | Command::Redrive(_)
        | Command::Replay(_)
        | Command::Import(_)
        | Command::Restore(_)
        | Command::Maintain(_)
        | Command::Operator(_)
        | Command::Pipeline(_)
        | Command::Issues(_)
        | Command::Config(_)
        | Command::Demo(_) => "error",
    };
    let filter = log_filter(std::env::var("TIDEMILL_LOG").ok().as_deref(), default);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
}

/// The filter asked for, else the default. The embedded broker's own lines are held back by
/// directives before those of the user, who may ask for them by name.
fn log_filter(asked: Option<&str>, default: &str) -> EnvFilter {
    #[cfg(feature = "embedded-broker")]
    let broker = ::broker::LOG_DIRECTIVES.join(",");
    #[cfg(not(feature = "embedded-broker"))]
    let broker = "";
    let own = format!("{broker},{default}");
    let asked = asked.filter(|text| !text.trim().is_empty());
    // A later directive replaces an equal one, so what the user names is what counts.
    asked
        .and_then(|asked| EnvFilter::try_new(format!("{broker},{asked}")).ok())
        .unwrap_or_else(|| EnvFilter::new(own))
}

#[cfg(test)]
mod tests {
    use super::log_filter;

    #[cfg(feature = "embedded-broker")]
    #[test]
    fn the_embedded_broker_stays_quiet_unless_it_is_named() {
        for asked in
            [None, Some("info"), Some("debug,stream=trace"), Some("not=a=filter"), Some("")]
        {
            let filter = log_filter(asked, "warn").to_string();
            assert!(filter.contains("nisshi_storage=warn"), "{asked:?}: {filter}");
        }
        let named = log_filter(Some("info,nisshi_storage=debug"), "warn").to_string();
        assert!(named.contains("nisshi_storage=debug") && !named.contains("nisshi_storage=warn"));
    }
}
