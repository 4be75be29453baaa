//! Stop, start, kill, start: what was acknowledged is there once.

use serde_json::{Value, json};

use crate::harness::Engine;

fn batch(from: usize, to: usize) -> Vec<Value> {
    (from..to)
        .map(|n| json!({ "message": format!("line {n}"), "service": "restart", "n": n }))
        .collect()
}

const COUNT: &str =
    "SELECT count(*), count(DISTINCT attributes['n']) FROM logs WHERE service = 'restart'";
const LEDGER: &str = "SELECT action, sum(events) FROM ledger GROUP BY 1 ORDER BY 1";

#[test]
fn acknowledged_records_survive_a_drain_and_a_kill_once() {
    let mut engine = Engine::started();
    engine.send_logs(&batch(0, 300));
    assert!(engine.stop().success(), "{}", engine.tail());

    engine.start();
    engine.wait_for(COUNT, &json!([[300, 300]]));
    engine.send_logs(&batch(300, 600));
    engine.kill();

    engine.start();
    engine.wait_for(COUNT, &json!([[600, 600]]));
    engine.send_logs(&batch(600, 700));
    engine.wait_for(COUNT, &json!([[700, 700]]));
    engine.wait_for(LEDGER, &json!([["indexed", 700], ["received", 700]]));

    let proven = |engine: &Engine| {
        for command in ["audit", "fsck"] {
            let (code, said) = engine.command(&[command]);
            assert_eq!(code, Some(0), "{command}: {said}");
        }
    };
    proven(&engine);
    assert!(engine.stop().success(), "{}", engine.tail());
    proven(&engine);
    let told = engine.sql_command(&["--format", "json", COUNT]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["rows"], json!([[700, 700]]), "the tables answer without a running service");
}
