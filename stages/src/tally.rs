//! Counts for the ledger: what happened to the events of one topic partition in one unit, by
//! action, rule and service.

use hashbrown::{Equivalent, HashMap, HashSet};
use schemas::ledger::Action;
use schemas::limits::{MAX_LEDGER_SERVICES, OVERFLOW_VALUE};

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    action: Action,
    rule: Box<str>,
    service: Box<str>,
}

/// The same, borrowed: a look-up per event must not allocate. Hashes as [`Key`] does, because
/// the fields are the same in the same order and `Box<str>` hashes as `str`.
#[derive(Hash)]
struct KeyRef<'a> {
    action: Action,
    rule: &'a str,
    service: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.action == key.action && *self.rule == *key.rule && *self.service == *key.service
    }
}

/// Events and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Events.
    pub events: i64,
    /// Bytes, as they came.
    pub bytes: i64,
}

/// One counted line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was done.
    pub action: Action,
    /// The rule that did it.
    pub rule: Box<str>,
    /// The events' service.
    pub service: Box<str>,
    /// How many.
    pub count: Count,
}

/// The counts of one partition in the unit being built.
#[derive(Debug, Default)]
pub struct Tally {
    counts: HashMap<Key, Count>,
    services: HashSet<Box<str>>,
}

impl Tally {
    /// Counts `events` events of `bytes` bytes. Services beyond [`MAX_LEDGER_SERVICES`] are
    /// counted together.
    pub fn add(&mut self, action: Action, rule: &str, service: &str, events: i64, bytes: i64) {
        let key = KeyRef { action, rule, service };
        let count = match self.counts.get_mut(&key) {
            Some(count) => count,
            None => self.open(action, rule, service),
        };
        count.events = count.events.saturating_add(events);
        count.bytes = count.bytes.saturating_add(bytes);
    }

    /// The count of a key not seen before.
    fn open(&mut self, action: Action, rule: &str, service: &str) -> &mut Count {
        let known = service.is_empty() || self.services.contains(service);
        let service = if known {
            service
        } else if self.services.len() < MAX_LEDGER_SERVICES {
            self.services.insert(service.into());
            service
        } else {
            OVERFLOW_VALUE
        };
        let key = Key { action, rule: rule.into(), service: service.into() };
        self.counts.entry(key).or_default()
    }

    /// The lines in a fixed order; nothing is counted afterwards.
    pub fn take(&mut self) -> Vec<Line> {
        self.services.clear();
        let mut counts: Vec<(Key, Count)> = self.counts.drain().collect();
        counts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let line = |(Key { action, rule, service }, count)| Line { action, rule, service, count };
        counts.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_beyond_the_limit_are_counted_together_and_none_is_lost() {
        let mut tally = Tally::default();
        let services = MAX_LEDGER_SERVICES + 50;
        for round in 0..2 {
            for service in 0..services {
                tally.add(Action::Indexed, "main", &format!("s{service}"), 1, round);
            }
        }
        let lines = tally.take();
        assert_eq!(lines.len(), MAX_LEDGER_SERVICES + 1);
        assert_eq!(lines.iter().map(|line| line.count.events).sum::<i64>(), 2 * services as i64);
        let overflow = lines.iter().find(|line| &*line.service == OVERFLOW_VALUE);
        assert_eq!(overflow.map(|line| line.count), Some(Count { events: 100, bytes: 50 }));
        assert!(tally.take().is_empty());
    }

    #[test]
    fn lines_come_in_a_fixed_order() {
        let mut tally = Tally::default();
        tally.add(Action::DeadLetter, "x", "", 1, 1);
        tally.add(Action::Received, "", "", 1, 1);
        tally.add(Action::Indexed, "main", "b", 1, 1);
        tally.add(Action::Indexed, "main", "a", 1, 1);
        let order: Vec<_> =
            tally.take().iter().map(|l| (l.action, l.service.to_string())).collect();
        let name = str::to_owned;
        assert_eq!(
            order,
            [
                (Action::Received, name("")),
                (Action::Indexed, name("a")),
                (Action::Indexed, name("b")),
                (Action::DeadLetter, name("")),
            ]
        );
    }
}
