//! `tidemill pipeline list` and `show`: the pipelines that come with the program.

use stages::pipeline::library;

use crate::exit;

/// Names and what each reads.
pub(super) fn list() -> u8 {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(["name", "reads"]);
    for ready in &library::ALL {
        table.add_row([ready.name.to_owned(), ready.description()]);
    }
    println!("{table}");
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
