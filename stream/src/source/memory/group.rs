//! A group in memory: the test decides who reads what, who is given up for dead, and when that one is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::source::{Change, Changes, MAX_WAITING_CHANGES};
use stages::record::TopicPartition;

/// A group of sources on one [`super::MemoryLog`]. Moves partitions as Kafka's cooperative protocol does: a
/// partition goes to its new reader when the former one has given it back, or was given up for dead. Clones
/// share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryGroup {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    members: Vec<Member>,
    /// Who is to read each partition.
    target: BTreeMap<TopicPartition, usize>,
    /// Who reads it as far as the group knows.
    owner: BTreeMap<TopicPartition, usize>,
    /// Told to give it back, and has not yet.
    revoking: BTreeSet<TopicPartition>,
}

#[derive(Debug)]
struct Member {
    changes: mpsc::Sender<Change>,
    /// Given up for dead; what it had is told to it when it is back.
    away: bool,
    lost: Vec<TopicPartition>,
}

impl MemoryGroup {
    /// Nobody in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The partition goes to this member (by the order of joining) as soon as it is free.
    pub fn give(&self, partition: &TopicPartition, member: usize) {
        let mut shared = self.lock();
        shared.target.insert(partition.clone(), member);
        shared.settle();
    }

    /// Who reads what, as far as the group knows.
    pub fn owners(&self) -> BTreeMap<TopicPartition, usize> {
        self.lock().owner.clone()
    }

    /// Gives a member up for dead without telling it: its partitions are free.
    pub fn expel(&self, member: usize) {
        let mut shared = self.lock();
        let owned: Vec<TopicPartition> = shared.owned(member);
        for partition in &owned {
            shared.owner.remove(partition);
            shared.revoking.remove(partition);
        }
        if let Some(member) = shared.members.get_mut(member) {
            member.away = true;
            member.lost.extend(owned);
        }
        shared.settle();
    }

    /// An expelled member hears what it has lost, and belongs to the group again.
    pub fn welcome_back(&self, member: usize) {
        let mut shared = self.lock();
        if let Some(member) = shared.members.get_mut(member) {
            member.away = false;
            let lost = std::mem::take(&mut member.lost);
            // Closed when its worker has ended, full when it hangs: it then hears nothing at all.
            drop(member.changes.try_send(Change::Lost(lost)));
        }
        shared.settle();
    }

    /// A new member, with its number.
    pub(super) fn join(&self) -> (usize, Changes) {
        let (changes, told) = mpsc::channel(MAX_WAITING_CHANGES);
        let mut shared = self.lock();
        shared.members.push(Member { changes, away: false, lost: Vec::new() });
        let number = shared.members.len() - 1;
        shared.settle();
        (number, told)
    }

    /// A member has given partitions back.
    pub(super) fn removed(&self, member: usize, partitions: &[TopicPartition]) {
        let mut shared = self.lock();
        for partition in partitions {
            if shared.owner.get(partition) == Some(&member) {
                shared.owner.remove(partition);
                shared.revoking.remove(partition);
            }
        }
        shared.settle();
    }

    /// A member leaves.
    pub(super) fn leave(&self, member: usize) {
        self.expel(member);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn owned(&self, member: usize) -> Vec<TopicPartition> {
        let owned = self.owner.iter().filter(|(_, owner)| **owner == member);
        owned.map(|(partition, _)| partition.clone()).collect()
    }

    fn alive(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| !member.away && !member.changes.is_closed())
    }

    /// Tells members what they are to give back, and gives what is free.
    fn settle(&mut self) {
        let dead: Vec<TopicPartition> = {
            let dead = self.owner.iter().filter(|(_, owner)| !self.alive(**owner));
            dead.map(|(partition, _)| partition.clone()).collect()
        };
        for partition in dead {
            self.owner.remove(&partition);
            self.revoking.remove(&partition);
        }
        for number in 0..self.members.len() {
            if self.alive(number) {
                self.settle_with(number);
            }
        }
    }

    fn settle_with(&mut self, number: usize) {
        let Some(member) = self.members.get(number) else { return };
        let wanted_back: Vec<TopicPartition> = {
            let elsewhere =
                |partition: &TopicPartition| self.target.get(partition) != Some(&number);
            let owned = self.owner.iter().filter(|(_, owner)| **owner == number);
            let owned = owned.map(|(partition, _)| partition);
            owned.filter(|p| elsewhere(p) && !self.revoking.contains(*p)).cloned().collect()
        };
        // What does not fit in the queue now is told at the next occasion.
        if !wanted_back.is_empty()
            && member.changes.try_send(Change::Revoked(wanted_back.clone())).is_ok()
        {
            self.revoking.extend(wanted_back);
        }
        let free: Vec<TopicPartition> = {
            let mine = self.target.iter().filter(|(_, target)| **target == number);
            let mine = mine.map(|(partition, _)| partition);
            mine.filter(|partition| !self.owner.contains_key(*partition)).cloned().collect()
        };
        if !free.is_empty() && member.changes.try_send(Change::Assigned(free.clone())).is_ok() {
            self.owner.extend(free.into_iter().map(|partition| (partition, number)));
        }
    }
}
