//! `tidemill pipeline ...`: write, check and try a log pipeline without starting anything.

mod check;
mod import;
mod ready;
mod run;
mod test;
mod versions;

use std::path::Path;

use crate::cli::PipelineCommand;
use crate::config::Problems;
use crate::pipeline::Note;

/// Runs the command.
pub(super) async fn run(command: &PipelineCommand) -> u8 {
    match command {
        PipelineCommand::Run(args) => run::run(args),
        PipelineCommand::Check(args) => check::run(args),
        PipelineCommand::Test(args) => test::run(args),
        PipelineCommand::Import(args) => import::run(args),
        PipelineCommand::Versions(args) => versions::run(args).await,
        PipelineCommand::List => ready::list(),
        PipelineCommand::Show { name, tests } => ready::show(name, *tests),
    }
}

/// Says what is wrong, and how much it is.
fn refuse(problems: &Problems) {
    eprintln!("{problems}");
    let count = problems.0.len();
    eprintln!("{count} problem{}", if count == 1 { "" } else { "s" });
}

/// `file:line:column: field: reason`.
fn say(note: &Note) -> String {
    let Note { file, line, column, field, reason } = note;
    format!("{}:{line}:{column}: {field}: {reason}", file.display())
}

/// A path as people name it.
fn name(path: &Path) -> String {
    path.display().to_string()
}
