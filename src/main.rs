//! `tidemill`: one binary, every role. Reads as an operations manual:
//!
//! 1. parse the command line; a wrong one ends with status 2;
//! 2. load and check the configuration before any port is bound; a wrong one ends with status 2;
//! 3. start the roles in the order of the data; what can not start ends with status 3;
//! 4. run until a signal or a failure, drain in the order of the data, end with status 0 or 1.
//!
//! The exit codes stand in [`tidemill::exit`].

use std::process::ExitCode;

/// One allocator for the pipeline's threads: arenas of the system's cost memory and time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidemill::commands::main()
}
