//! `tidemill pipeline list` and `show`: the pipelines that come with the program.

use stages::pipeline::library;

use crate::exit;

/// Names, and what each reads.
pub(super) fn list() -> u8 {
    for ready in &library::ALL {
        println!("{:<12}{}", ready.name, ready.description());
    }
    exit::OK
}

/// The pipeline as a file, or its cases.
pub(super) fn show(name: &str, tests: bool) -> u8 {
    let Some(ready) = library::find(name) else {
        eprintln!(
            "tidemill: there is no ready-made pipeline {name:?}; known: {}",
            library::names()
        );
        return exit::USAGE;
    };
    print!("{}", if tests { ready.tests } else { ready.pipeline });
    exit::OK
}
