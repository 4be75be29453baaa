//! Each run is a process: this binary again, told by its environment what to do. It answers with
//! one line of numbers.

use std::process::{Command, Stdio};

use crate::sides;

const SIDE: &str = "TIDEMILL_BENCH_SIDE";
const TOPIC: &str = "TIDEMILL_BENCH_TOPIC";
const RECORDS: &str = "TIDEMILL_BENCH_RECORDS";

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// On the wall, from nothing to the last record counted or committed.
    pub(crate) seconds: f64,
    /// On processors, all threads, user and system.
    pub(crate) processor: f64,
    /// Peak of resident memory (`VmHWM`).
    pub(crate) peak_kib: f64,
    /// Bytes of all files written.
    pub(crate) stored: f64,
}

/// What a child is to do.
pub(crate) struct Job {
    side: String,
    topic: String,
    records: usize,
}

impl Job {
    /// `None` in the parent.
    pub(crate) fn from_environment() -> Option<Self> {
        let side = std::env::var(SIDE).ok()?;
        let topic = std::env::var(TOPIC).ok()?;
        let records = std::env::var(RECORDS).ok()?.parse().ok()?;
        Some(Self { side, topic, records })
    }

    pub(crate) fn run(self, address: &str) {
        let (seconds, stored) = match self.side.as_str() {
            "raw" => (sides::raw(address, &self.topic, self.records), 0),
            _ => sides::chain(address, &self.topic, self.records),
        };
        println!("{seconds} {} {} {stored}", processor_seconds(), peak_kib());
    }
}

/// Runs one side in a process of its own.
pub(crate) fn run(side: &str, topic: &str, records: usize) -> Cost {
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .env(SIDE, side)
        .env(TOPIC, topic)
        .env(RECORDS, records.to_string())
        .stderr(Stdio::inherit())
        .output()
        .expect("runs");
    assert!(output.status.success(), "side {side} failed");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let numbers: Vec<f64> =
        text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [seconds, processor, peak_kib, stored] = numbers[..] else {
        panic!("four numbers: {text}")
    };
    Cost { seconds, processor, peak_kib, stored }
}

/// User and system time of the process, in ticks of 10 ms (Linux, proc(5)).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; what follows it does not.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
