//! Two ways of doing the same, measured against one another.
//!
//! Only ratios inside one run count: the two sides run interleaved (A B B A), the first round warms
//! up and is dropped, the median ratio of the rounds is reported with its quartiles. A fixed piece
//! of work before and after every round is the control: if it drifts by more than five percent the
//! machine was busy, and the line says so.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How much to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Factor on the inputs.
    pub(crate) scale: usize,
}

impl Size {
    /// Full under `cargo bench` (which passes `--bench`), small otherwise.
    pub(crate) fn from_arguments() -> Self {
        let full = std::env::args().any(|argument| argument == "--bench");
        let small = std::env::args().any(|argument| argument == "--test");
        if full && !small { Self { rounds: 9, scale: 100 } } else { Self { rounds: 1, scale: 1 } }
    }
}

/// What one comparison found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Median of (time of the naive side / time of ours).
    pub(crate) ratio: f64,
    /// Bytes of input per second of our side, in millions.
    pub(crate) megabytes_per_second: f64,
}

/// Runs both sides, which return their number of rows, and prints a line.
pub(crate) fn compare(
    name: &str,
    bytes: usize,
    size: Size,
    mut ours: impl FnMut() -> usize,
    mut naive: impl FnMut() -> usize,
) -> Outcome {
    let (mut ratios, mut best, mut controls) = (Vec::new(), Duration::MAX, Vec::new());
    for round in 0..=size.rounds {
        controls.push(time(control).0.as_secs_f64());
        let (a1, rows) = time(&mut ours);
        let (b1, naive_rows) = time(&mut naive);
        let (b2, _) = time(&mut naive);
        let (a2, _) = time(&mut ours);
        assert_eq!(rows, naive_rows, "{name}: both sides must make the same rows");
        assert!(rows > 0, "{name}: no rows");
        // With a single round there is nothing to drop.
        if round > 0 || size.rounds <= 1 {
            ratios.push((b1 + b2).as_secs_f64() / (a1 + a2).as_secs_f64());
            best = best.min(a1).min(a2);
        }
    }
    ratios.sort_by(f64::total_cmp);
    controls.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share).round() as usize];
    let outcome =
        Outcome { ratio: at(0.5), megabytes_per_second: bytes as f64 / best.as_secs_f64() / 1e6 };
    let drift = controls[controls.len() - 1] / controls[0] - 1.0;
    let busy = if drift > 0.05 {
        format!("  control drifted {:.0} %", drift * 100.0)
    } else {
        String::new()
    };
    println!(
        "{name:<24} {:>8.1} MB/s  {:>5.2}x naive  (quartiles {:.2} to {:.2}){busy}",
        outcome.megabytes_per_second,
        outcome.ratio,
        at(0.25),
        at(0.75),
    );
    outcome
}

fn time(mut work: impl FnMut() -> usize) -> (Duration, usize) {
    let start = Instant::now();
    let rows = black_box(work());
    (start.elapsed(), rows)
}

/// Fixed work: zstd level 3 of fixed bytes.
fn control() -> usize {
    let bytes: Vec<u8> =
        (0u32..200_000).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect();
    zstd::encode_all(bytes.as_slice(), 3).map_or(0, |packed| packed.len())
}
