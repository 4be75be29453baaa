//! The whole chain, from Kafka to committed Delta tables, against raw librdkafka that reads the same
//! topic and counts: `make bench-kafka`, or `TIDEMILL_KAFKA=host:port cargo bench --bench kafka`.
//!
//! Both sides run as processes of their own, one after the other (A B B A), so that each has its own
//! peak of memory. The worker is the product's: it probes the store, recovers, reads all partitions
//! and runs until the end of the topic is committed; every file and commit record is fsynced.

#[path = "payloads/lines.rs"]
mod lines;

#[path = "kafka/broker.rs"]
mod broker;
#[path = "kafka/process.rs"]
mod process;
#[path = "kafka/sides.rs"]
mod sides;

use process::Cost;

/// The binary's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the broker answers.
const ADDRESS: &str = "TIDEMILL_KAFKA";

/// One topic's worth of work.
#[derive(Debug, Clone, Copy)]
struct Case {
    records: usize,
    bytes: usize,
    /// Pairs of pairs (A B B A); the first is dropped when there are more.
    rounds: usize,
}

fn main() {
    let Ok(address) = std::env::var(ADDRESS) else {
        eprintln!("kafka: skipped, {ADDRESS} is not set; `make bench-kafka` starts a broker");
        return;
    };
    if let Some(job) = process::Job::from_environment() {
        return job.run(&address);
    }
    let full = std::env::args().any(|argument| argument == "--bench");
    let cases = if full {
        [
            Case { records: 1_000_000, bytes: 250, rounds: 3 },
            Case { records: 250_000, bytes: 2_000, rounds: 3 },
        ]
    } else {
        [
            Case { records: 2_000, bytes: 250, rounds: 1 },
            Case { records: 500, bytes: 2_000, rounds: 1 },
        ]
    };
    cases.into_iter().for_each(|case| measure(&address, case));
}

fn measure(address: &str, case: Case) {
    let topic = broker::Topic::fill(address, case.records, case.bytes);
    let (mut ratios, mut ours, mut raws) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..case.rounds {
        let a1 = process::run("chain", &topic.name, case.records);
        let b1 = process::run("raw", &topic.name, case.records);
        let b2 = process::run("raw", &topic.name, case.records);
        let a2 = process::run("chain", &topic.name, case.records);
        if round > 0 || case.rounds == 1 {
            ratios.push((b1.seconds + b2.seconds) / (a1.seconds + a2.seconds));
            ours.extend([a1, a2]);
            raws.extend([b1, b2]);
        }
    }
    broker::delete(address, &topic.name);
    let events = case.records as f64;
    let median = |costs: &[Cost], of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    ratios.sort_by(f64::total_cmp);
    println!("kafka: {} records of {} bytes, lz4", case.records, topic.bytes / case.records);
    for (name, costs) in [("raw consume", &raws), ("to Delta", &ours)] {
        let seconds = median(costs, |cost| cost.seconds);
        println!(
            "  {name:<12} {:>9.0} events/s  {:>6.1} MB/s  {:>5.0} ns of processor per event  peak {:>4.0} MiB",
            events / seconds,
            topic.bytes as f64 / seconds / 1e6,
            median(costs, |cost| cost.processor) * 1e9 / events,
            median(costs, |cost| cost.peak_kib) / 1024.0,
        );
    }
    println!(
        "  ratio {:.2} ({:.2} to {:.2}); stored {:.1} bytes per event, zstd -3 of the input {:.1}",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1],
        median(&ours, |cost| cost.stored) / events,
        topic.packed as f64 / events,
    );
}
