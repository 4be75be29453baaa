//! How fast a replay is against the live worker: the same records, pipeline and store. Printed, not judged; run it
//! by itself: `cargo test --workspace --lib replay_rate -- --ignored --nocapture`, which `make bench` does.

use super::*;
use crate::clock::Clock as _;

const LINES: i64 = 400_000;

fn lines(log: &MemoryLog) {
    let filler = "the quick brown fox jumps over the lazy dog and back again ".repeat(3);
    for partition in 0..4 {
        let record = |line: i64| Record {
            timestamp: EventTime::from_nanos(NOON + line * 1_000_000),
            payload: format!("even signal {line} {filler}").into_bytes(),
            ..Record::default()
        };
        log.append(&fixture::partition(partition), (0..LINES / 4).map(record).collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of minutes: `make bench` runs it"]
async fn replay_rate_against_live_rate() {
    let rule = pipeline("r %{word:parity} %{word:word} %{integer:ms} %{data:rest}");
    let clock = System::shared();
    let rate = |begun: Duration| LINES as f64 / (clock.monotonic() - begun).as_secs_f64();
    for round in 0..3 {
        let directory = tempfile::tempdir().expect("temporary directory");
        let url = directory.path().to_str().expect("utf-8").to_owned();
        let store = crate::store::open(&crate::store::Config { url, options: BTreeMap::new() });
        let store = store.expect("opens");
        let log = MemoryLog::new();
        lines(&log);
        let begun = clock.monotonic();
        live(&store, &log, rule.clone()).await;
        let live = rate(begun);
        let world = world(&store);
        let mut rates = Vec::new();
        for compares in [false, true] {
            let plan = begin(&world, &log, Asked::default(), &rule).await.expect("begins");
            let plan = Plan { compares, ..plan };
            let begun = clock.monotonic();
            finish(&world, &log, &plan, &rule).await.expect("replays");
            rates.push(rate(begun));
        }
        eprintln!(
            "round {round}: live {live:.0}/s, replay {:.0}/s ({:.2} times), with comparison {:.0}/s ({:.2} times)",
            rates[0],
            rates[0] / live,
            rates[1],
            rates[1] / live
        );
    }
}
