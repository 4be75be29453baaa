//! The commands: each takes what was typed, does it, and ends with an exit code.

mod check;
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
        Command::Sql(_) | Command::Config(_) | Command::Demo(_) => "error",
    };
    let filter =
        EnvFilter::try_from_env("TIDEMILL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
}
