//! Nanoseconds a line costs: ours against Vector's `parse_grok` (Oniguruma) with 1 to 200 rules, against
//! the `regex` crate's captures with one, and ours with many rules against ours with one. What either
//! side extracts is compared line by line before anything is timed.

#[expect(dead_code, reason = "the inputs have one size here")]
#[path = "../../benches/harness/mod.rs"]
mod harness;

use std::hint::black_box;

use bumpalo::Bump;
use harness::{Input, Size, compare, wanted};
use oracle::grok::{ours, ours_on, theirs, theirs_on};
use oracle::lines;
use oracle::rule_sets::{KINDS, Kind, set};
use schemas::time::EventTime;
use stages::pipeline::grok::{Grok, Parsed};
use stages::value::Attributes;
use vrl::datadog_grok::parse_grok::parse_grok;

/// Lines of one run.
const LINES: usize = 2_000;

fn lines_of(kind: &Kind, count: usize) -> Vec<String> {
    match kind.name {
        "apache" => lines::apache(count),
        "java" => lines::java(count),
        _ => lines::server(count),
    }
}

/// Our side: attributes in an arena that is reused, as in the worker.
fn run(grok: &Grok, lines: &[String], arena: &mut Bump) -> usize {
    let mut matched = 0;
    for line in lines {
        arena.reset();
        let mut attributes = Attributes::new_in(arena);
        let parsed = grok.parse(arena, line, EventTime::default(), &mut attributes);
        matched += usize::from(parsed == Parsed::Matched);
        black_box(&attributes);
    }
    matched
}

fn against_vector(kind: &Kind, size: usize, lines: &[String], rounds: Size) {
    let name = format!("{} {size} vrl", kind.name);
    if !wanted(&name) {
        return;
    }
    let rules = set(kind, size);
    let grok = ours(&rules, "");
    let vector = theirs(&rules, "").expect("Vector takes the rules");
    for line in lines {
        assert_eq!(ours_on(&grok, line), theirs_on(&vector, line), "{line}");
    }
    let mut arena = Bump::new();
    // Two hundred regular expressions a line take their time.
    let lines = &lines[..(LINES / size).max(20).min(lines.len())];
    compare(
        &name,
        input(lines),
        rounds,
        || run(&grok, lines, &mut arena),
        || {
            let parsed = lines.iter().filter_map(|line| parse_grok(line, &vector).ok());
            parsed.map(black_box).count()
        },
    );
}

fn against_regex(kind: &Kind, lines: &[String], rounds: Size) {
    let name = format!("{} 1 regex", kind.name);
    if !wanted(&name) {
        return;
    }
    let grok = ours(&format!("only {}", kind.texts), "");
    let regex = regex::Regex::new(kind.regex).expect("an expression");
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    for line in lines {
        let expected = regex.captures(line).map(|found| {
            let fields = names.iter().filter_map(|name| Some((name, found.name(name)?.as_str())));
            let fields = fields.filter(|(_, text)| !text.is_empty());
            let mut fields: Vec<String> = fields.map(|(n, text)| format!("{n}={text}")).collect();
            fields.sort();
            fields
        });
        assert_eq!(ours_on(&grok, line), expected, "{line}");
    }
    let mut arena = Bump::new();
    let mut places = regex.capture_locations();
    compare(
        &name,
        input(lines),
        rounds,
        || run(&grok, lines, &mut arena),
        || {
            let mut matched = 0;
            for line in lines {
                matched += usize::from(regex.captures_read(&mut places, line).is_some());
                for group in 1..places.len() {
                    black_box(places.get(group).map(|(start, end)| &line[start..end]));
                }
            }
            matched
        },
    );
}

/// The ratio is the cost of many rules over the cost of one.
fn many_against_one(kind: &Kind, size: usize, lines: &[String], rounds: Size) {
    let name = format!("{} {size} own 1", kind.name);
    if !wanted(&name) {
        return;
    }
    let (one, many) = (ours(&set(kind, 1), ""), ours(&set(kind, size), ""));
    let (mut a, mut b) = (Bump::new(), Bump::new());
    compare(&name, input(lines), rounds, || run(&one, lines, &mut a), || run(&many, lines, &mut b));
}

fn input(lines: &[String]) -> Input {
    Input { events: lines.len(), bytes: lines.iter().map(String::len).sum() }
}

fn main() {
    let rounds = Size::from_arguments();
    for kind in &KINDS {
        let lines = lines_of(kind, if rounds.rounds > 1 { LINES } else { 50 });
        against_regex(kind, &lines, rounds);
        for size in [1, 10, 50, 200] {
            against_vector(kind, size, &lines, rounds);
        }
        for size in [10, 50, 200] {
            many_against_one(kind, size, &lines, rounds);
        }
    }
}
