//! A table that somebody drops, while the engine rests and while it runs: the worker halts and names it, nothing is put
//! in its place, and it goes on when the table is back.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Engine;
use crate::http;

/// Longest wait until the worker has met what was done to it.
const DEADLINE: Duration = Duration::from_secs(60);

const COUNT: &str =
    "SELECT count(*), count(DISTINCT attributes['n']) FROM logs WHERE service = 'dropped'";

fn send(engine: &Engine, from: usize, to: usize) {
    let line = |n| json!({ "message": format!("line {n}"), "service": "dropped", "n": n });
    engine.send_logs(&(from..to).map(line).collect::<Vec<Value>>());
}

fn halted(engine: &Engine) -> Option<String> {
    let health = http::request("GET", engine.ports.health, "/", "text/plain", b"").ok()?;
    health.json()["worker_halted"].as_str().map(str::to_owned)
}

fn wait_halted(engine: &Engine, is_halted: bool) -> String {
    let end = Instant::now() + DEADLINE;
    loop {
        let found = halted(engine);
        if found.is_some() == is_halted {
            return found.unwrap_or_default();
        }
        assert!(Instant::now() < end, "{found:?}\n{}", engine.tail());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Moves what is below `from` to `to`, where files written since may be. The Delta log comes last and in one step: the
/// engine looks again every few seconds.
fn put_back(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    let mut entries: Vec<_> =
        fs::read_dir(from).expect("reads").map(|entry| entry.expect("reads").path()).collect();
    entries.sort_by_key(|path| path.ends_with("_delta_log"));
    for path in entries {
        let place = to.join(path.file_name().expect("a name"));
        if path.is_dir() && place.is_dir() {
            put_back(&path, &place);
        } else {
            fs::rename(&path, &place).expect("moves");
        }
    }
}

#[test]
fn a_table_that_was_dropped_halts_the_worker_until_it_is_back() {
    let mut engine = Engine::started();
    let (table, aside) = (engine.data().join("tables/logs"), engine.data().join("aside"));
    send(&engine, 0, 100);
    engine.wait_for(COUNT, &json!([[100, 100]]));
    assert!(engine.stop().success(), "{}", engine.tail());

    fs::rename(&table, &aside).expect("drops the table");
    engine.start();
    let told = wait_halted(&engine, true);
    assert!(told.contains("table logs: tables/logs/_delta_log is gone"), "{told}");
    send(&engine, 100, 200);
    assert!(!table.exists(), "nothing is put in its place");
    let (code, said) = engine.command(&["fsck"]);
    assert!(code == Some(1) && said.contains("table_missing"), "{code:?} {said}");
    put_back(&aside, &table);
    engine.wait_for(COUNT, &json!([[200, 200]]));
    wait_halted(&engine, false);

    fs::remove_dir_all(&aside).expect("empty");
    fs::rename(&table, &aside).expect("drops it under the worker");
    send(&engine, 200, 300);
    let told = wait_halted(&engine, true);
    assert!(told.contains("table logs: tables/logs/_delta_log is gone"), "{told}");
    assert!(!table.join("_delta_log").exists(), "no version of a table that is not there");
    put_back(&aside, &table);
    engine.wait_for(COUNT, &json!([[300, 300]]));
    for command in ["audit", "fsck"] {
        let (code, said) = engine.command(&[command]);
        assert_eq!(code, Some(0), "{command}: {said}");
    }
}
