//! Two ways of doing the same, measured against one another.
//!
//! Only ratios inside one run count: the two sides run interleaved (A B B A), the first round warms
//! up and is dropped, the median ratio of the rounds is reported with its quartiles; the speed is
//! that of our fastest run. A fixed piece
//! of work before and after every round is the control: if it drifts by more than five percent the
//! machine was busy, and the line says so.

use std::hint::black_box;
use std::time::Instant;

/// The allocator of the binary, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// Whether the command line asks for this case: `cargo bench --bench decode -- json`.
pub(crate) fn wanted(name: &str) -> bool {
    let mut names =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|wanted| name.contains(&wanted))
}

/// Time this thread spends on a processor, where the kernel tells, so that others who want the
/// machine do not count; else the clock on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    wall: Instant,
    processor: Option<u64>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { processor: processor_nanos(), wall: Instant::now() }
    }

    pub(crate) fn seconds(&self) -> f64 {
        match (self.processor, processor_nanos()) {
            (Some(start), Some(end)) => end.saturating_sub(start) as f64 / 1e9,
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// The first number of this thread's `schedstat` (Linux, proc(5)).
fn processor_nanos() -> Option<u64> {
    // Giving the processor away makes the kernel bring the count up to date.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// What goes in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    /// Events.
    pub(crate) events: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

/// Runs both sides, which return their number of rows, and prints a line.
pub(crate) fn compare(
    name: &str,
    input: Input,
    size: Size,
    mut ours: impl FnMut() -> usize,
    mut naive: impl FnMut() -> usize,
) {
    if std::env::args().any(|argument| argument == "--ours") {
        // For a profiler: nothing else runs.
        return (0..4 * size.rounds).for_each(|_| _ = black_box(ours()));
    }
    let (mut ratios, mut best, mut controls) = (Vec::new(), f64::MAX, Vec::new());
    for round in 0..=size.rounds {
        controls.push(time(control).0);
        let (a1, rows) = time(&mut ours);
        let (b1, naive_rows) = time(&mut naive);
        let (b2, _) = time(&mut naive);
        let (a2, _) = time(&mut ours);
        assert_eq!(rows, naive_rows, "{name}: both sides must make the same rows");
        assert!(rows > 0, "{name}: no rows");
        // With a single round there is nothing to drop.
        if round > 0 || size.rounds <= 1 {
            ratios.push((b1 + b2) / (a1 + a2));
            best = best.min(a1).min(a2);
        }
    }
    ratios.sort_by(f64::total_cmp);
    controls.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share).round() as usize];
    let drift = controls[controls.len() - 1] / controls[0] - 1.0;
    let busy = if drift > 0.05 {
        format!("  control drifted {:.0} %", drift * 100.0)
    } else {
        String::new()
    };
    println!(
        "{name:<16} {:>9.0} events/s  {:>6.1} MB/s  {:>5.2}x naive  (quartiles {:.2} to {:.2}){busy}",
        input.events as f64 / best,
        input.bytes as f64 / best / 1e6,
        at(0.5),
        at(0.25),
        at(0.75),
    );
}

fn time(mut work: impl FnMut() -> usize) -> (f64, usize) {
    let start = Stopwatch::start();
    let rows = black_box(work());
    (start.seconds(), rows)
}

/// Fixed work: zstd level 3 of fixed bytes.
fn control() -> usize {
    let bytes: Vec<u8> =
        (0u32..200_000).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect();
    zstd::encode_all(bytes.as_slice(), 3).map_or(0, |packed| packed.len())
}
