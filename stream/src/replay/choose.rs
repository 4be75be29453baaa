//! Which offsets a replay reads: what was asked for, widened to whole ranges of the ledger. Pure.
//!
//! Times are those of receipt (Kafka's timestamps). The ledger knows the latest of every range, so no broker has
//! to be asked for offsets of times, which the embedded one can not answer.

use std::collections::BTreeMap;

use stages::record::TopicPartition;

use super::ReplayError;
use super::covered::Stretch;
use super::ledger::LedgerRange;

/// What to replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Messages received at or after this time, microseconds.
    pub from_micros: Option<i64>,
    /// Messages received before it.
    pub to_micros: Option<i64>,
    /// Offsets from this one on.
    pub from_offset: Option<i64>,
    /// Offsets before this one.
    pub to_offset: Option<i64>,
}

/// Offsets to read, in order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReadRange {
    /// Which offsets.
    #[serde(flatten)]
    pub stretch: Stretch,
    /// Messages the ledger says were read there; none where nobody has read it before.
    pub messages: Option<i64>,
}

/// What is read, and what is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// To read, sorted by partition and offset.
    pub reads: Vec<ReadRange>,
    /// To replace: the same with the accepted gaps in between.
    pub replaces: Vec<Stretch>,
}

/// Chooses among the ranges of the ledger, sorted by partition and offset. Those that are not `needed` are not
/// read.
///
/// # Errors
/// Nothing was received then, or the ledger's ranges do not follow one another.
pub fn choose(
    ranges: &[LedgerRange],
    asked: &Asked,
    needed: impl Fn(&LedgerRange) -> bool,
) -> Result<Chosen, ReplayError> {
    let mut partitions: BTreeMap<&TopicPartition, Vec<&LedgerRange>> = BTreeMap::new();
    for range in ranges {
        partitions.entry(&range.partition).or_default().push(range);
    }
    let mut chosen = Chosen::default();
    for (partition, ranges) in partitions {
        let ranges = within(&ranges, asked);
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { continue };
        if let Some(pair) = ranges.windows(2).find(|pair| !follow(pair)) {
            let at = pair.first().map_or(0, |range| range.to);
            return Err(ReplayError::Unproven {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset: at,
            });
        }
        let stretch = |from, to| Stretch { partition: partition.clone(), from, to };
        let mut reads: Vec<ReadRange> = Vec::new();
        for range in ranges.iter().filter(|range| !range.is_gap && needed(range)) {
            let last = reads.last_mut().filter(|last| last.stretch.to == range.from);
            match last {
                Some(last) => {
                    last.stretch.to = range.to;
                    last.messages = last.messages.map(|messages| messages + range.messages);
                }
                None => reads.push(ReadRange {
                    stretch: stretch(range.from, range.to),
                    messages: Some(range.messages),
                }),
            }
        }
        if !reads.is_empty() {
            chosen.replaces.push(stretch(first.from, last.to));
            chosen.reads.extend(reads);
        }
    }
    if chosen.reads.is_empty() { Err(ReplayError::Nothing) } else { Ok(chosen) }
}

fn follow(pair: &[&LedgerRange]) -> bool {
    matches!(pair, [a, b] if a.to == b.from)
}

/// The consecutive ranges of a partition with something of what was asked for.
fn within<'r>(ranges: &[&'r LedgerRange], asked: &Asked) -> Vec<&'r LedgerRange> {
    let begins = |range: &&LedgerRange| {
        asked.from_micros.is_none_or(|from| range.latest_micros >= from)
            && asked.from_offset.is_none_or(|from| range.to > from)
    };
    let first = ranges.iter().position(begins).unwrap_or(ranges.len());
    let rest = ranges.get(first..).unwrap_or_default();
    // A range begins no earlier than the one before it ended; of the first of all only its end is known.
    let before = |place: usize| {
        let place = first + place;
        let former = place.checked_sub(1).unwrap_or(place);
        let latest = ranges.get(former).map_or(i64::MIN, |range| range.latest_micros);
        asked.to_micros.is_none_or(|to| latest < to)
    };
    let count = rest.iter().enumerate().take_while(|(place, range)| {
        before(*place) && asked.to_offset.is_none_or(|to| range.from < to)
    });
    rest.iter().take(count.count()).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Ranges `from..to` received at a time; a negative time is a gap.
    fn ledger(ranges: &[(i64, i64, i64)]) -> Vec<LedgerRange> {
        let range = |(from, to, latest): &(i64, i64, i64)| LedgerRange {
            partition: TopicPartition { topic: "t".into(), partition: 0 },
            from: *from,
            to: *to,
            signal: "logs".to_owned(),
            latest_micros: latest.abs(),
            messages: if *latest < 0 { 0 } else { to - from },
            is_gap: *latest < 0,
            sums: BTreeMap::new(),
        };
        ranges.iter().map(range).collect()
    }

    fn reads(ranges: &[(i64, i64, i64)], asked: Asked) -> Vec<(i64, i64)> {
        let chosen = choose(&ledger(ranges), &asked, |_| true).map(|chosen| chosen.reads);
        let pair = |read: &ReadRange| (read.stretch.from, read.stretch.to);
        chosen.unwrap_or_default().iter().map(pair).collect()
    }

    const RANGES: &[(i64, i64, i64)] = &[(0, 10, 100), (10, 20, 200), (20, 30, 300), (30, 40, 400)];

    #[test]
    fn what_is_asked_for_is_widened_to_whole_ranges() {
        let offsets = |from, to| Asked { from_offset: from, to_offset: to, ..Asked::default() };
        assert_eq!(reads(RANGES, offsets(Some(12), Some(21))), [(10, 30)]);
        assert_eq!(reads(RANGES, offsets(Some(10), Some(20))), [(10, 20)]);
        assert_eq!(reads(RANGES, offsets(None, None)), [(0, 40)]);
        assert_eq!(reads(RANGES, offsets(Some(40), None)), []);
        let times = |from, to| Asked { from_micros: from, to_micros: to, ..Asked::default() };
        assert_eq!(reads(RANGES, times(Some(150), Some(250))), [(10, 30)]);
        assert_eq!(reads(RANGES, times(Some(200), Some(200))), [(10, 20)]);
        assert_eq!(reads(RANGES, times(None, Some(100))), [], "of the first only the end is known");
        assert_eq!(reads(RANGES, times(None, Some(101))), [(0, 20)]);
        assert_eq!(reads(RANGES, times(Some(401), None)), []);
    }

    #[test]
    fn an_accepted_gap_is_not_read_and_stays() {
        let ranges = [(0, 10, 100), (10, 50, -110), (50, 60, 200)];
        let chosen = choose(&ledger(&ranges), &Asked::default(), |_| true).expect("chosen");
        let pair = |read: &ReadRange| (read.stretch.from, read.stretch.to, read.messages);
        let reads: Vec<_> = chosen.reads.iter().map(pair).collect();
        assert_eq!(reads, [(0, 10, Some(10)), (50, 60, Some(10))]);
        let [all] = &chosen.replaces[..] else { panic!("one stretch: {chosen:?}") };
        assert_eq!((all.from, all.to), (0, 60));
    }

    #[test]
    fn ranges_that_do_not_follow_one_another_are_refused_with_their_place() {
        for ranges in [[(0, 10, 1), (11, 20, 2)], [(0, 10, 1), (9, 20, 2)]] {
            let refused =
                choose(&ledger(&ranges), &Asked::default(), |_| true).expect_err("refused");
            assert!(refused.to_string().contains("t-0"), "{refused}");
        }
        let none = choose(&ledger(RANGES), &Asked::default(), |_| false);
        assert!(none.is_err(), "nothing is left");
    }
}
