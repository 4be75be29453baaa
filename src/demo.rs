//! Placeholder while the command line is built.

use crate::cli::DemoArgs;
use crate::exit;

/// Runs the demo.
pub async fn run(args: &DemoArgs) -> u8 {
    let _ = args;
    exit::OK
}
