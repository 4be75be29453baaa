//! A loss, planted: a file taken out of table `logs` by a Delta commit that no record asked for.

use std::path::Path;

use serde_json::{Value, json};

/// Takes a file out of the table; how many rows it had.
pub(super) fn loss(store: &Path) -> i64 {
    let log = store.join("tables/logs/_delta_log");
    let mut versions: Vec<_> = std::fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    versions.sort();
    let actions = versions.iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    });
    let mut there: Vec<Value> = Vec::new();
    for action in actions {
        if let Some(add) = action.get("add") {
            there.push(add.clone());
        } else if let Some(remove) = action.get("remove") {
            there.retain(|add| add["path"] != remove["path"]);
        }
    }
    // The largest one, so that not only the rows of the last unit are gone.
    let add = there.iter().max_by_key(|add| rows(add)).expect("the table has files");
    let removal = json!({"remove": {
        "path": add["path"], "deletionTimestamp": 1, "dataChange": true,
        "extendedFileMetadata": true, "partitionValues": add["partitionValues"], "size": add["size"],
    }});
    let last = versions.last().and_then(|path| path.file_stem()?.to_str()?.parse::<u64>().ok());
    let next = log.join(format!("{:020}.json", last.unwrap() + 1));
    let info = json!({"commitInfo": {"timestamp": 1, "operation": "PLANTED"}});
    std::fs::write(next, format!("{info}\n{removal}\n")).unwrap();
    rows(add)
}

fn rows(add: &Value) -> i64 {
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    stats["numRecords"].as_i64().unwrap()
}
