//! Grouping quality and speed on labelled log lines: the 2,000 lines of each of loghub's 16 systems.
//!
//! `TIDEMILL_LOGHUB=DIRECTORY cargo bench -p grouping --bench loghub`, where the directory holds
//! `*/*_2k.log_structured.csv` of github.com/logpai/loghub; without it the bench says that it is
//! skipped. `benches/loghub.py` runs it together with drain3.
//!
//! The names of users, and everything in the miner, were tuned on every other system by name, Apache
//! first (`tuned on`); the figures of the others (`held out`) were looked at once before and not again until the
//! rules stood. The masks before those were made with all 16 in sight.
//!
//! GA, group accuracy: the share of lines whose group holds exactly the lines of their label. FGA: the
//! F1 score of groups that are exactly a label's (Khan et al., "Guidelines for Assessing the Accuracy
//! of Log Message Template Identification Techniques", ICSE 2022).

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bumpalo::Bump;
use grouping::miner::Miner;
use grouping::{ErrorInput, Grouper, IssueId, RulesConfig, no_attributes};

/// One system's lines and their labels.
struct System {
    name: String,
    lines: Vec<(String, String)>,
}

fn systems() -> Option<Vec<System>> {
    let root = PathBuf::from(std::env::var_os("TIDEMILL_LOGHUB")?);
    let mut systems = Vec::new();
    for directory in std::fs::read_dir(root).ok()?.flatten() {
        let name = directory.file_name().to_string_lossy().into_owned();
        let file = directory.path().join(format!("{name}_2k.log_structured.csv"));
        if let Ok(text) = std::fs::read_to_string(file) {
            systems.push(System { name, lines: lines(&text) });
        }
    }
    systems.sort_by(|a, b| a.name.cmp(&b.name));
    (!systems.is_empty()).then_some(systems)
}

/// Columns `Content` and `EventId`.
fn lines(csv: &str) -> Vec<(String, String)> {
    let mut rows = csv.lines().map(fields);
    let header = rows.next().unwrap_or_default();
    let column = |name: &str| header.iter().position(|field| field == name);
    let (Some(content), Some(label)) = (column("Content"), column("EventId")) else {
        return Vec::new();
    };
    rows.filter_map(|row| Some((row.get(content)?.clone(), row.get(label)?.clone()))).collect()
}

/// One line of CSV; no field of these files holds a line break.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

/// Group accuracy and F1 of groups.
fn scores<G: std::hash::Hash + Eq + Copy>(groups: &[G], lines: &[(String, String)]) -> (f64, f64) {
    let mut by_group: HashMap<G, Vec<usize>> = HashMap::new();
    let mut by_label: HashMap<&str, usize> = HashMap::new();
    for (at, (group, (_, label))) in groups.iter().zip(lines).enumerate() {
        by_group.entry(*group).or_default().push(at);
        *by_label.entry(label).or_default() += 1;
    }
    let exact = by_group.values().filter(|members| {
        let label = &lines[members[0]].1;
        members.iter().all(|at| lines[*at].1 == *label) && by_label[label.as_str()] == members.len()
    });
    let (mut right, mut hits) = (0, 0);
    for members in exact {
        right += members.len();
        hits += 1;
    }
    let f1 = 2.0 * f64::from(hits) / (by_group.len() + by_label.len()) as f64;
    (right as f64 / lines.len() as f64, f1)
}

/// The ids of one pass, and how long it took.
fn group(grouper: &Grouper, system: &System) -> (Vec<IssueId>, Duration) {
    let mut arena = Bump::new();
    let mut ids = Vec::with_capacity(system.lines.len());
    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
    let start = Instant::now();
    for (text, _) in &system.lines {
        arena.reset();
        let input = ErrorInput { service: "shop", text, ..ErrorInput::default() };
        ids.push(grouper.group(&arena, &input, &no_attributes).issue_id);
    }
    (ids, start.elapsed())
}

/// How many ids the miner has merged, and how many of them into an issue of their own label.
fn merges(system: &System, ids: &[IssueId], leaders: &[usize]) -> (usize, usize) {
    let firsts: HashMap<IssueId, usize> =
        ids.iter().enumerate().rev().map(|(at, id)| (*id, at)).collect();
    let merged: Vec<usize> = firsts.into_values().filter(|at| leaders[*at] != *at).collect();
    let label = |at: usize| &system.lines[at].1;
    let right = merged.iter().filter(|at| label(**at) == label(leaders[**at])).count();
    (merged.len(), right)
}

/// The issue of each line, as whoever keeps issues does it: a new id joins a known issue or is one.
fn mined(system: &System, ids: &[IssueId]) -> Vec<usize> {
    let mut miner = Miner::default();
    let mut issues: HashMap<IssueId, usize> = HashMap::new();
    let lines = system.lines.iter().zip(ids).enumerate();
    let leaders = lines.map(|(at, ((text, _), id))| {
        *issues.entry(*id).or_insert_with(|| {
            let leader = miner.leader("shop", "", text).and_then(|leader| leader.parse().ok());
            if leader.is_none() {
                miner.insert("shop", "", &at.to_string(), text);
            }
            leader.unwrap_or(at)
        })
    });
    leaders.collect()
}

fn main() {
    let Some(systems) = systems() else {
        println!("SKIPPED: TIDEMILL_LOGHUB names no directory with loghub's 2k files");
        return;
    };
    let full = std::env::args().any(|argument| argument == "--bench");
    let rounds = if full { 30 } else { 1 };
    let verbose = std::env::args().any(|argument| argument == "--show");
    let grouper = Grouper::compile(&RulesConfig::default()).expect("the default compiles");
    println!(
        "{:<12} {:>6} {:>6} {:>6} {:>6} {:>12}",
        "system", "GA", "FGA", "GA*", "FGA*", "lines/s"
    );
    let (mut sums, mut total, mut count) = ([0.0; 4], Duration::ZERO, 0);
    let (mut all_merges, mut good_merges) = (0, 0);
    let mut rows = Vec::new();
    // Every round takes all systems in turn: the processor does not learn one system's lines by heart.
    let grouped: Vec<_> = systems.iter().map(|system| group(&grouper, system).0).collect();
    let mut times = vec![Vec::new(); systems.len()];
    for _ in 0..rounds {
        for ((system, ids), times) in systems.iter().zip(&grouped).zip(&mut times) {
            let (again, time) = group(&grouper, system);
            assert_eq!(black_box(&again), ids, "the same lines give the same ids");
            times.push(time);
        }
    }
    for ((system, ids), mut times) in systems.iter().zip(&grouped).zip(times) {
        times.sort();
        let median = times[times.len() / 2];
        let leaders = mined(system, ids);
        let (some, good) = merges(system, ids, &leaders);
        (all_merges, good_merges) = (all_merges + some, good_merges + good);
        let (plain, merged) = (scores(ids, &system.lines), scores(&leaders, &system.lines));
        let all = [plain.0, plain.1, merged.0, merged.1];
        rows.push(all);
        sums.iter_mut().zip(all).for_each(|(sum, score)| *sum += score);
        (total, count) = (total + median, count + system.lines.len());
        println!(
            "{:<12} {:>6.3} {:>6.3} {:>6.3} {:>6.3} {:>12.0}",
            system.name,
            all[0],
            all[1],
            all[2],
            all[3],
            system.lines.len() as f64 / median.as_secs_f64()
        );
        if verbose {
            show(system, &leaders);
        }
    }
    let mean = sums.map(|sum| sum / systems.len() as f64);
    println!(
        "{:<12} {:>6.3} {:>6.3} {:>6.3} {:>6.3} {:>12.0}",
        "mean",
        mean[0],
        mean[1],
        mean[2],
        mean[3],
        count as f64 / total.as_secs_f64()
    );
    for (name, from) in [("tuned on", 1), ("held out", 0)] {
        let half: Vec<&[f64; 4]> = rows.iter().skip(from).step_by(2).collect();
        let mean = |at: usize| half.iter().map(|row| row[at]).sum::<f64>() / half.len() as f64;
        let [a, b, c, d] = [mean(0), mean(1), mean(2), mean(3)];
        println!("{name:<12} {a:>6.3} {b:>6.3} {c:>6.3} {d:>6.3}");
    }
    println!("the miner merged {all_merges} ids, {good_merges} into an issue of their own label");
    println!("GA, FGA: ids as they are, no memory. GA*, FGA*: with the miner's merges.");
}

/// The labels that were split or mixed, the largest first.
fn show(system: &System, ids: &[usize]) {
    let mut groups: HashMap<&str, HashMap<usize, (usize, &str)>> = HashMap::new();
    for (id, (text, label)) in ids.iter().zip(&system.lines) {
        groups.entry(label).or_default().entry(*id).or_insert((0, text)).0 += 1;
    }
    let mut split: Vec<_> = groups.iter().filter(|(_, ids)| ids.len() > 1).collect();
    split.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.values().map(|(n, _)| n).sum::<usize>()));
    for (label, ids) in split.into_iter().take(6) {
        println!(
            "  {label} is {} groups, {} lines",
            ids.len(),
            ids.values().map(|(n, _)| n).sum::<usize>()
        );
        let mut ids: Vec<_> = ids.values().collect();
        ids.sort_by(|a, b| b.cmp(a));
        for (count, text) in ids.into_iter().take(3) {
            println!("    {count} {}", &text[..text.floor_char_boundary(140)]);
        }
    }
    let mut labels: HashMap<usize, HashMap<&str, (usize, &str)>> = HashMap::new();
    for (id, (text, label)) in ids.iter().zip(&system.lines) {
        labels.entry(*id).or_default().entry(label).or_insert((0, text)).0 += 1;
    }
    let mut mixed: Vec<_> = labels.values().filter(|labels| labels.len() > 1).collect();
    mixed.sort_by_key(|labels| std::cmp::Reverse(labels.values().map(|(n, _)| n).sum::<usize>()));
    for labels in mixed.into_iter().take(4) {
        println!("  one group is {} labels", labels.len());
        for (label, (count, text)) in labels.iter().take(3) {
            println!("    {label} {count} {}", &text[..text.floor_char_boundary(140)]);
        }
    }
}
