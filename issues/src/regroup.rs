//! What a replay after a change of the grouping rules does: errors get other ids, issues stay.
//!
//! An issue goes on under its id when one new id has most of its errors: the new id becomes an alias of it. New
//! ids that got a smaller part of an issue become issues of their own, in the state of the one they come from.
//! Issues whose errors all came under one new id become one, under the id of the oldest. Nobody is alerted:
//! these errors are known.

use std::collections::BTreeMap;

use crate::issue::Issue;
use crate::occurrence::Deltas;
use crate::place::Place;
use crate::tracker::Tracker;

/// Where errors went: (old id, new id) of grouping, and how many.
pub type Moves = BTreeMap<(String, String), u64>;

impl Tracker {
    /// A replay has taken rows away and put others in their place.
    pub fn regroup(&mut self, removed: &Deltas, added: &Deltas, moves: &Moves) {
        let heirs = self.heirs(moves);
        let mut becomes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (old, new) in &heirs {
            becomes.entry(new).or_default().push(old);
        }
        for (id, delta) in &removed.0 {
            let holder = self.holder(id, delta).map(|issue| issue.id.clone());
            let Some(issue) = holder else { continue };
            if let Some(found) = self.issues.get_mut(&issue) {
                let member = if found.is_overflow() { &issue } else { id };
                found.take(member, delta);
                self.unsaved.insert(issue);
            }
        }
        for (new, olds) in becomes {
            self.become_one(new, &olds);
        }
        for (new, delta) in &added.0 {
            // The new rules say what is one: the miner is not asked.
            let known = self.resolve(new).to_owned();
            let is_known = self.issues.contains_key(&known);
            let Place { issue: id, member, .. } =
                if is_known { Place::under(known, new) } else { self.room(new, &delta.service) };
            if !self.issues.contains_key(&id) {
                let mut issue = self.founded(&id, delta);
                let from = moves.iter().filter(|((_, to), _)| to == new).max_by_key(|(_, n)| **n);
                // What there is no room for is of no state in particular.
                let parent = from.and_then(|((old, _), _)| self.get(old));
                if let Some(parent) = parent.filter(|_| member == *new) {
                    let Issue { state, state_since, resolved_at, impact_told, .. } = *parent;
                    issue = Issue { state, state_since, resolved_at, impact_told, ..issue };
                    issue.state_by.clone_from(&parent.state_by);
                    issue.regression.clone_from(&parent.regression);
                }
                self.insert(issue);
            }
            for (version, seen) in &delta.versions {
                self.versions.see(&delta.service, version, seen.first);
            }
            if let Some(issue) = self.issues.get_mut(&id) {
                issue.count(&member, delta, true);
                // They were counted as late when they came first, or not: they do not come again.
                issue.late = issue.late.saturating_sub(delta.seen.count);
            }
            self.change(&id, "regrouped", "", "");
        }
    }

    /// The new id that has most errors of each issue the moves name; of equals the smaller id.
    fn heirs(&self, moves: &Moves) -> BTreeMap<String, String> {
        let mut parts: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((old, new), count) in moves {
            let issue = self.resolve(old).to_owned();
            *parts.entry(issue).or_default().entry(new).or_default() += count;
        }
        let largest = |parts: BTreeMap<&str, u64>| {
            let heir = parts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(a.0)));
            heir.map(|(new, _)| new.to_owned())
        };
        parts.into_iter().filter_map(|(old, parts)| Some((old, largest(parts)?))).collect()
    }

    /// These issues go on as the one of them that is the oldest, which `new` is an alias of.
    fn become_one(&mut self, new: &str, olds: &[&str]) {
        let own = self.resolve(new).to_owned();
        let candidates = olds.iter().copied().chain([own.as_str()]);
        let known = candidates.filter_map(|id| self.issues.get(id));
        let oldest = known.min_by_key(|issue| (issue.seen.first, issue.id.clone()));
        let Some(into) = oldest.map(|issue| issue.id.clone()) else { return };
        for id in olds.iter().copied().chain([own.as_str()]) {
            self.merge(&into, id, "regrouped", (self.clock, "", "one by the new rules"));
        }
        if new != into {
            self.aliases.insert(new.to_owned(), into.clone());
            if let Some(issue) = self.issues.get_mut(&into) {
                issue.members.entry(new.to_owned()).or_default();
            }
        }
        self.unsaved.insert(into);
    }
}
