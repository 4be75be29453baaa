//! Question 6: where the Delta tables lie. Their logs are read here as any other engine would, without
//! our query service, and their row counts compared with its.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use schemas::table::Table;
use serde_json::Value;

use super::{Answer, Context, text, whole};
use crate::api::{ApiError, Rows};

/// Looks at tables that still move, and the pause between two.
const LOOKS: usize = 30;
const PAUSE: Duration = Duration::from_millis(500);

/// What a table's Delta log says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    /// Last version; `None` when there is none.
    version: Option<u64>,
    /// Live files: path to bytes and rows.
    files: BTreeMap<String, (u64, u64)>,
}

impl Log {
    fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.0).sum()
    }

    fn rows(&self) -> u64 {
        self.files.values().map(|file| file.1).sum()
    }
}

fn sql() -> String {
    let count = |table: &Table| {
        format!("SELECT '{0}' AS \"table\", count(*) AS rows FROM {0}", table.name())
    };
    Table::ALL.iter().map(count).collect::<Vec<_>>().join("\nUNION ALL ")
}

pub(super) async fn ask(context: &mut Context) -> Result<Answer, ApiError> {
    let sql = sql();
    let (mut counted, mut logs) = look(context, &sql).await?;
    // The history of issues goes on for some seconds: both are counted again until they mean one moment.
    for _ in 0..LOOKS {
        if logs.iter().all(|(table, log)| log.rows() == rows_of(&counted, *table)) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        (counted, logs) = look(context, &sql).await?;
    }
    let shown = format!("{}\n\n{}", context.tables.display(), draw(&logs));
    let mut answer = Answer::new("Where the Delta tables lie", sql, shown);
    for (table, log) in &logs {
        let (rows, found) = (log.rows(), rows_of(&counted, *table));
        if rows + found > 0 {
            let said = format!("{}: {rows} rows by its own log, {found} by SQL", table.name());
            answer.check(rows == found, said);
        }
    }
    let spans =
        logs.iter().find(|(table, _)| *table == Table::Spans).map_or(0, |(_, log)| log.rows());
    answer.equal("spans in files", spans, context.truth.spans);
    let there = logs.iter().flat_map(|(table, log)| {
        log.files
            .iter()
            .map(|(path, (bytes, _))| (context.tables.join(table.name()).join(path), *bytes))
    });
    let missing = there.filter(|(path, bytes)| size_of(path) != Some(*bytes)).count() as u64;
    answer.check(missing == 0, "every file named is there, with the size named");
    Ok(answer)
}

/// Rows by SQL, and what the tables' own logs say.
async fn look(context: &mut Context, sql: &str) -> Result<(Rows, Vec<(Table, Log)>), ApiError> {
    let counted = context.api.rows(sql).await?;
    let log = |table: Table| (table, read(&context.tables.join(table.name())));
    Ok((counted, Table::ALL.into_iter().map(log).collect()))
}

fn rows_of(counted: &Rows, table: Table) -> u64 {
    let found = counted.rows.iter().find(|row| text(row, 0) == table.name());
    found.map_or(0, |row| whole(row, 1))
}

fn size_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.len())
}

fn draw(logs: &[(Table, Log)]) -> String {
    let columns = ["table", "version", "files", "rows", "bytes"];
    let columns: Vec<Value> =
        columns.iter().map(|name| serde_json::json!({ "name": name, "type": "text" })).collect();
    let rows: Vec<Value> = logs
        .iter()
        .map(|(table, log)| {
            serde_json::json!([table.name(), log.version, log.files.len(), log.rows(), log.bytes()])
        })
        .collect();
    let rows: Result<Rows, _> =
        serde_json::from_value(serde_json::json!({ "columns": columns, "rows": rows }));
    rows.map(|rows| super::table(&rows)).unwrap_or_default()
}

/// Folds the commits of `<table>/_delta_log`: what was added and not removed. Only the JSON commits are
/// read: a demo is too short for them to be cleaned up.
fn read(directory: &Path) -> Log {
    let mut log = Log::default();
    let Ok(entries) = std::fs::read_dir(directory.join("_delta_log")) else { return log };
    let mut commits: Vec<(u64, std::path::PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
            Some((version, path))
        })
        .collect();
    commits.sort();
    for (version, path) in commits {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().for_each(|line| apply(&mut log, line));
        log.version = Some(version);
    }
    log
}

fn apply(log: &mut Log, line: &str) {
    let Ok(action) = serde_json::from_str::<Value>(line) else { return };
    let path = |kind: &str| action[kind]["path"].as_str().map(decode);
    if let Some(path) = path("add") {
        let stats: Value = action["add"]["stats"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let rows = stats["numRecords"].as_u64().unwrap_or(0);
        log.files.insert(path, (action["add"]["size"].as_u64().unwrap_or(0), rows));
    }
    if let Some(path) = path("remove") {
        log.files.remove(&path);
    }
}

/// Paths in a Delta log are URL encoded.
fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex =
            tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_log_folds_to_its_live_files() {
        let dir = tempfile::tempdir().expect("temp");
        let commits = dir.path().join("_delta_log");
        std::fs::create_dir(&commits).expect("directory");
        let write = |version: u64, text: &str| {
            std::fs::write(commits.join(format!("{version:020}.json")), text).expect("write");
        };
        write(
            0,
            "{\"metaData\":{}}\n{\"add\":{\"path\":\"a%20b\",\"size\":10,\"stats\":\"{\\\"numRecords\\\":3}\"}}\n",
        );
        write(
            1,
            "{\"remove\":{\"path\":\"a%20b\"}}\n{\"add\":{\"path\":\"c\",\"size\":20,\"stats\":\"{\\\"numRecords\\\":5}\"}}\nnonsense\n",
        );
        let log = read(dir.path());
        assert_eq!((log.version, log.rows(), log.bytes()), (Some(1), 5, 20));
        assert_eq!(read(&dir.path().join("none")), Log::default());
    }

    #[test]
    fn paths_are_url_decoded() {
        assert_eq!(decode("date=2026-01-01/a%20b%"), "date=2026-01-01/a b%");
    }
}
