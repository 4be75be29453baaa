//! What the state of issues costs: bytes in memory and as stored per issue, and the time an error takes, with
//! 10,000 and with 1,000,000 messages that are all different. `cargo bench -p issues --bench memory`.
//!
//! All come from one service, in units of a thousand errors, under the ids grouping gives them. Half of them
//! differ in every word, half in a table's name only. What has to hold is asserted: the state is bounded, no
//! error is lost, and one issue says that there are more.

use std::time::{Duration, Instant};

use grouping::IssueId;
use issues::occurrence::{Deltas, Occurrence};
use issues::settings::Settings;
use issues::tracker::Tracker;
use schemas::limits::{MAX_ALIASES, MAX_ISSUES_PER_SERVICE};

/// Errors of one unit.
const UNIT: usize = 1_000;

/// Letters only: nothing tells that they are data.
fn word(n: usize) -> String {
    format!("{n:07}").bytes().map(|digit| char::from(digit - b'0' + b'g')).collect()
}

fn message(n: usize) -> String {
    let word = word(n);
    if n.is_multiple_of(2) {
        format!("{word} is {word}, says {word} of {word}")
    } else {
        format!("cannot write to table {word} of the store")
    }
}

/// Bytes the process has in memory (Linux, proc(5)).
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0
}

/// One unit's errors.
fn unit(first: usize) -> Deltas {
    let mut deltas = Deltas::default();
    for n in first..first + UNIT {
        let (message, user) = (message(n), format!("user-{}", n % 500));
        let id = IssueId::of_message("shop", "E", &message).to_string();
        let error = Occurrence {
            at: n as i64 * 1_000,
            service: "shop",
            env: "prod",
            version: "1",
            host: "host-1",
            kind: "E",
            message: &message,
            user: &user,
            place: Some(("_ds_logs", 0, n as i64, 0)),
            ..Occurrence::default()
        };
        deltas.add(&id, &error);
    }
    deltas
}

fn measure(count: usize) {
    // A unit's own memory comes and goes.
    drop(unit(0));
    let before = resident();
    let mut tracker = Tracker::new(Settings::default());
    let mut time = Duration::ZERO;
    for first in (0..count).step_by(UNIT) {
        let (deltas, clock) = (unit(first), (first + UNIT) as i64 * 1_000);
        #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
        let start = Instant::now();
        tracker.apply(&deltas, clock);
        time += start.elapsed();
        // As the pipeline does: rows are written, parts are saved.
        tracker.flush();
        drop((tracker.take_changes(clock), tracker.take_unsaved()));
    }
    while !tracker.take_changes(i64::MAX / 2).is_empty() {}
    let held = (resident() - before).max(0.0);
    let issues = tracker.issues().count();
    let errors: u64 = tracker.issues().map(|issue| issue.seen.count).sum();
    let rest = tracker.issues().find(|issue| issue.title.starts_with("errors of further issues"));
    let (overflown, most) = (rest.map_or(0, |issue| issue.seen.count), MAX_ISSUES_PER_SERVICE + 1);
    assert!(issues <= most && (overflown > 0) == (issues == most), "bounded, and says so");
    assert_eq!(count as u64, errors, "no error is lost");
    let ids: usize = tracker.issues().map(|issue| issue.members.len()).sum();
    assert!(ids <= most + MAX_ALIASES, "ids are bounded, too");
    let parts = tracker.full();
    let stored: usize =
        parts.iter().filter_map(|part| serde_json::to_vec(part).ok()).map(|json| json.len()).sum();
    println!(
        "{count:>9} distinct messages: {issues} issues, {ids} ids, {overflown} errors in the overflow issue; {:.1} MiB, \
         {:.0} bytes per issue in memory, {:.0} stored (JSON); {:.1} µs per error",
        held / f64::from(1 << 20),
        held / issues as f64,
        stored as f64 / issues as f64,
        time.as_secs_f64() * 1e6 / count as f64,
    );
}

/// Each count in a process of its own: what the first has freed would hide what the second takes.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, name, count] = arguments.as_slice()
        && name == "--count"
    {
        return measure(count.parse().expect("a number"));
    }
    let full = arguments.iter().any(|argument| argument == "--bench");
    let program = std::env::current_exe().expect("this program");
    for count in if full { ["10000", "1000000"] } else { ["1000", "2000"] } {
        let run = std::process::Command::new(&program).args(["--count", count]).status();
        assert!(run.expect("it starts").success(), "{count} messages");
    }
}
