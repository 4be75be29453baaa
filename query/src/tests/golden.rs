//! Golden SQL: every `tests/golden/*.sql` against its `.out`. `UPDATE=1` writes the answers anew.

use std::fmt::Write as _;
use std::path::Path;

use super::{engine, show};
use crate::testing::shop;

#[tokio::test(flavor = "multi_thread")]
async fn every_golden_statement_gives_its_answer() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let engine = engine(&shop().await);
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no golden statements in {}", directory.display());
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut answers = String::new();
        for statement in text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
        {
            let answer = match show(&engine, statement).await {
                Ok(answer) => answer,
                Err(error) => {
                    format!(
                        "{}: {}\nhint: {}",
                        error.code.as_str(),
                        error.message,
                        error.hint.unwrap_or_default()
                    )
                }
            };
            writeln!(answers, "> {}\n{answer}\n", statement.replace('\n', "\n> ")).unwrap();
        }
        let expected = file.with_extension("out");
        if update {
            std::fs::write(&expected, &answers).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != answers {
            wrong.push(format!("{}\n{answers}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "answers differ (UPDATE=1 accepts them):\n{}", wrong.join("\n"));
}
