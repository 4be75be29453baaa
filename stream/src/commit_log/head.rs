//! The head: what all records up to some sequence number add up to. A pure fold, so every reader
//! of the log agrees, even about records a faulty writer should never have appended.

mod maintenance;
mod operator;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use schemas::table::Table;

use super::record::{
    Anchor, Bits, Body, Claim, Column, Commit, FileAdd, MaintenanceKind, Record, StateRef,
    TableChange, Unit, UnitPartition,
};
use crate::mutant::{Mutant, planted};
use crate::operator::DECIDE;
use stages::pipeline::quota::{self, KeptByDay};
use stages::record::TopicPartition;

/// Where one partition stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionHead {
    /// Times it was claimed.
    pub generation: u64,
    /// Who holds it.
    pub owner: String,
    /// First offset not committed.
    pub next_offset: i64,
    /// Last valid record that touched it.
    pub last_seq: u64,
    /// Its logical clock as of the last unit, nanoseconds: what the next owner goes on from. `None` before the
    /// first unit.
    #[serde(default)]
    pub clock_ns: Option<i64>,
    /// A message of the topic that was read, by which another one under its name is told. `None` before the first unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
}

/// What is known of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableHead {
    /// Its Delta id, once a claim has named it.
    pub id: Option<String>,
    /// Last record with a valid change of its files. A publish cursor at or past it has nothing
    /// to do.
    pub last_add_seq: Option<u64>,
    /// Last valid maintenance of it.
    #[serde(default)]
    pub last_maintenance_seq: Option<u64>,
    /// Columns it has gained since it was made, and their Delta fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

/// The fold's state. Its snapshots deny fields they do not know, as records do: an older version that dropped what a
/// newer one added would fold on from a head that says less than it should.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Where the next record goes.
    pub next_seq: u64,
    /// What its `previous` must be.
    pub last_hash: Bits,
    /// Identity of the Kafka cluster, once a claim has named it.
    pub cluster_id: Option<String>,
    /// The consumer group of the workers, once a claim has named it or a person has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Tables.
    pub tables: BTreeMap<Table, TableHead>,
    /// The pipeline's state, for one that keeps any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRef>,
    /// Partitions.
    #[serde(with = "pairs")]
    pub partitions: BTreeMap<TopicPartition, PartitionHead>,
    /// Logs kept by index and day, where an index has a daily limit.
    #[serde(default, with = "pairs")]
    pub kept: KeptByDay,
}

/// Why a claim, a unit or a maintenance is not valid on a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It names nothing, or something twice, or what can not be.
    #[error("it names {0}")]
    Malformed(&'static str),
    /// Somebody else has claimed the partition since.
    #[error(
        "{topic}-{partition} is at generation {current}, this is for {given}: another worker took it"
    )]
    Generation {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The head's.
        current: u64,
        /// The record's.
        given: u64,
    },
    /// It does not continue where the partition stands.
    #[error(
        "{topic}-{partition} stands at offset {next_offset} of seq {last_seq}, this continues offset {from_offset} of seq {parent_seq}"
    )]
    NotNext {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The head's.
        next_offset: i64,
        /// The head's.
        last_seq: u64,
        /// The record's.
        from_offset: i64,
        /// The record's.
        parent_seq: u64,
    },
    /// Another cluster.
    #[error(
        "this store belongs to Kafka cluster {expected}, the brokers are cluster {found}; point the worker at the right brokers, or give the new cluster a store of its own"
    )]
    Cluster {
        /// The head's.
        expected: String,
        /// The claim's.
        found: String,
    },
    /// Another consumer group.
    #[error(
        "the workers of this store are in group {expected}, this one is to be in group {found}: two groups take the partitions from each other for ever. Set worker.group to {expected}; or, when no worker of it runs any more, decide that they are in the other one from now on: {DECIDE}adopt-group --group {found} --reason TEXT"
    )]
    Group {
        /// The head's.
        expected: String,
        /// The claim's.
        found: String,
    },
    /// Another table under the same path.
    #[error(
        "table {table} has id {found}, this log publishes to {expected}: it was dropped or replaced; restore it, or start a new store"
    )]
    Table {
        /// Its name.
        table: &'static str,
        /// The head's.
        expected: String,
        /// The claim's.
        found: String,
    },
    /// Another maintenance of the table came first: the plan may name files that are gone.
    #[error(
        "table {table} was last maintained by {}, this was planned after {}: plan it again",
        maintenance::seq(*.current),
        maintenance::seq(*.given)
    )]
    Maintained {
        /// Its name.
        table: &'static str,
        /// The head's last maintenance.
        current: Option<u64>,
        /// The plan's.
        given: Option<u64>,
    },
    /// A table has gained a column of this name and another type.
    #[error(
        "column {column} of table {table} is {expected}, this version writes {found}: run the version that added it"
    )]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// The head's field.
        expected: String,
        /// The record's.
        found: String,
    },
}

/// The record does not belong where it stands: the log is not one chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Its number is another.
    #[error("record {expected} says it is record {found}")]
    Seq {
        /// Its key.
        expected: u64,
        /// Its content.
        found: u64,
    },
    /// Its `previous` is another.
    #[error(
        "record {seq} continues {found}, but the record before it is {expected}: the log was forked or edited"
    )]
    Hash {
        /// The record.
        seq: u64,
        /// What it should name.
        expected: Bits,
        /// What it names.
        found: Bits,
    },
}

/// What folding a record found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// Parts of it that are no-ops, by their position (0 where a record is one part), and why.
    pub rejected: Vec<(usize, Rejection)>,
}

/// What a record changes in the files of one table.
#[derive(Debug, Clone, PartialEq)]
pub enum FilesChange<'r> {
    /// New files, of one or several units.
    Append(Vec<&'r FileAdd>),
    /// Files go and others come, at once.
    Replace(&'r MaintenanceKind, &'r TableChange),
    /// New columns; no file changes.
    Columns(&'r [Column]),
}

impl Folded {
    /// The files that come with the valid parts of `record`.
    pub fn adds<'r>(&self, record: &'r Record) -> impl Iterator<Item = &'r FileAdd> {
        self.changes(record).into_values().flat_map(|change| match change {
            FilesChange::Append(adds) => adds,
            FilesChange::Replace(_, change) => change.adds.iter().collect(),
            FilesChange::Columns(_) => Vec::new(),
        })
    }

    /// What the valid parts of `record` change, per table.
    pub fn changes<'r>(&self, record: &'r Record) -> BTreeMap<Table, FilesChange<'r>> {
        let rejected = |index: usize| {
            !planted(Mutant::RejectedPublished)
                && self.rejected.iter().any(|(part, _)| *part == index)
        };
        match &record.body {
            Body::Commit(commit) => {
                let mut tables = BTreeMap::<Table, Vec<&FileAdd>>::new();
                let valid = commit.units.iter().enumerate().filter(|(index, _)| !rejected(*index));
                for add in valid.flat_map(|(_, unit)| &unit.adds) {
                    tables.entry(add.table).or_default().push(add);
                }
                tables.into_iter().map(|(table, adds)| (table, FilesChange::Append(adds))).collect()
            }
            Body::Maintenance(maintenance) if !rejected(0) => {
                let change = |change| FilesChange::Replace(&maintenance.kind, change);
                maintenance.changes.iter().map(|c| (c.table, change(c))).collect()
            }
            Body::Operator(operator) if !rejected(0) && !operator.adds.is_empty() => {
                let adds = operator.adds.iter().collect();
                BTreeMap::from([(Table::Ledger, FilesChange::Append(adds))])
            }
            Body::Schema(schema) if !rejected(0) => {
                let columns = |gain| FilesChange::Columns(gain);
                schema.tables.iter().map(|gain| (gain.table, columns(&gain.columns))).collect()
            }
            Body::Claim(_) | Body::Maintenance(_) | Body::Operator(_) | Body::Schema(_) => {
                BTreeMap::new()
            }
        }
    }
}

impl Head {
    /// Whether tables with these cursors hold all that this head covers, so that publishing can go
    /// on with the records after it.
    pub fn is_published_at(&self, cursors: &BTreeMap<Table, Option<u64>>) -> bool {
        self.tables.iter().all(|(table, known)| {
            if planted(Mutant::SnapshotAhead) {
                return true;
            }
            let cursor = cursors.get(table).copied().flatten();
            known.last_add_seq.is_none() || known.last_add_seq <= cursor
        })
    }

    /// A table that contains a record this log does not have, and the record: the log was emptied or
    /// replaced.
    pub fn is_behind(&self, cursors: &BTreeMap<Table, Option<u64>>) -> Option<(Table, u64)> {
        cursors.iter().find_map(|(table, cursor)| {
            let seq = cursor.filter(|cursor| *cursor >= self.next_seq)?;
            Some((*table, seq))
        })
    }

    /// Whether `body` would take full effect as the next record.
    pub fn check(&self, body: &Body) -> Result<(), Rejection> {
        match body {
            Body::Claim(claim) => self.check_claim(claim),
            Body::Commit(commit) => {
                let mut after = self.clone();
                after
                    .fold_commit(self.next_seq, commit)
                    .into_iter()
                    .next()
                    .map_or(Ok(()), |r| Err(r.1))
            }
            Body::Maintenance(maintenance) => self.check_maintenance(maintenance),
            Body::Operator(operator) => self.check_operator(operator),
            Body::Schema(schema) => self.check_schema(schema),
        }
    }

    /// Adds the next record. `stored` is the [`super::record::hash`] of its bytes. An invalid
    /// claim or unit changes nothing but the log's length; a record out of its chain is an error.
    pub fn fold(&mut self, record: &Record, stored: Bits) -> Result<Folded, ChainError> {
        if record.seq != self.next_seq {
            return Err(ChainError::Seq { expected: self.next_seq, found: record.seq });
        }
        if record.previous != self.last_hash {
            let (expected, found) = (self.last_hash, record.previous);
            return Err(ChainError::Hash { seq: record.seq, expected, found });
        }
        let rejected = match &record.body {
            Body::Claim(claim) => self.fold_claim(record.seq, claim),
            Body::Commit(commit) => self.fold_commit(record.seq, commit),
            Body::Maintenance(maintenance) => self.fold_maintenance(record.seq, maintenance),
            Body::Operator(operator) => self.fold_operator(record.seq, operator),
            Body::Schema(schema) => self.fold_schema(record.seq, schema),
        };
        self.next_seq = self.next_seq.saturating_add(1);
        self.last_hash = stored;
        Ok(Folded { rejected })
    }

    fn fold_claim(&mut self, seq: u64, claim: &Claim) -> Vec<(usize, Rejection)> {
        if let Err(rejection) = self.check_claim(claim) {
            return vec![(0, rejection)];
        }
        if let Some(id) = &claim.cluster_id {
            self.cluster_id.get_or_insert_with(|| id.clone());
        }
        if let Some(group) = &claim.group {
            self.group.get_or_insert_with(|| group.clone());
        }
        for (table, id) in &claim.tables {
            self.tables.entry(*table).or_default().id.get_or_insert_with(|| id.clone());
        }
        for part in &claim.partitions {
            let known = self.partitions.get(&part.partition);
            let head = PartitionHead {
                generation: part.generation,
                owner: claim.owner.clone(),
                next_offset: part.start_offset,
                last_seq: seq,
                clock_ns: known.and_then(|head| head.clock_ns),
                anchor: known.and_then(|head| head.anchor),
            };
            self.partitions.insert(part.partition.clone(), head);
        }
        Vec::new()
    }

    fn fold_commit(&mut self, seq: u64, commit: &Commit) -> Vec<(usize, Rejection)> {
        let mut rejected = Vec::new();
        for (index, unit) in commit.units.iter().enumerate() {
            match self.check_unit(unit) {
                Ok(()) => self.apply_unit(seq, unit),
                Err(rejection) => rejected.push((index, rejection)),
            }
        }
        rejected
    }

    fn apply_unit(&mut self, seq: u64, unit: &Unit) {
        for part in &unit.partitions {
            if let Some(head) = self.partitions.get_mut(&part.partition) {
                head.next_offset = part.to_offset;
                head.last_seq = seq;
                head.clock_ns = head.clock_ns.max(Some(part.clock_ns));
                head.anchor = part.anchor.or(head.anchor);
            }
        }
        if !unit.kept.is_empty() {
            quota::add_kept(&mut self.kept, &unit.kept);
        }
        for add in &unit.adds {
            self.tables.entry(add.table).or_default().last_add_seq = Some(seq);
        }
        if unit.state.is_some() {
            self.state.clone_from(&unit.state);
        }
    }

    fn check_claim(&self, claim: &Claim) -> Result<(), Rejection> {
        distinct(claim.partitions.iter().map(|part| &part.partition))?;
        if let (Some(expected), Some(found)) = (&self.cluster_id, &claim.cluster_id)
            && expected != found
        {
            let (expected, found) = (expected.clone(), found.clone());
            return Err(Rejection::Cluster { expected, found });
        }
        self.check_group(claim.group.as_deref())?;
        for (table, found) in &claim.tables {
            let known = self.tables.get(table).and_then(|head| head.id.as_ref());
            if let Some(expected) = known.filter(|id| *id != found) {
                let (expected, found) = (expected.clone(), found.clone());
                return Err(Rejection::Table { table: table.name(), expected, found });
            }
        }
        for part in &claim.partitions {
            let head = self.partitions.get(&part.partition);
            let current = head.map_or(0, |head| head.generation);
            if current.checked_add(1) != Some(part.generation) {
                return Err(generation(&part.partition, current, part.generation));
            }
            if let Some(head) = head.filter(|head| head.next_offset != part.start_offset)
                && !planted(Mutant::ClaimOffset)
            {
                return Err(not_next(&part.partition, head, part.start_offset, head.last_seq));
            }
            if part.start_offset < 0 {
                return Err(Rejection::Malformed("a negative offset"));
            }
        }
        Ok(())
    }

    /// Whether a member of this group may claim. A claim without one says nothing of groups: the brokers of a worker
    /// alone are its own process's, which the cluster's identity tells from any other.
    pub fn check_group(&self, group: Option<&str>) -> Result<(), Rejection> {
        match (&self.group, group) {
            (Some(expected), Some(found)) if expected != found => {
                let (expected, found) = (expected.clone(), found.to_owned());
                Err(Rejection::Group { expected, found })
            }
            _ => Ok(()),
        }
    }

    fn check_unit(&self, unit: &Unit) -> Result<(), Rejection> {
        distinct(unit.partitions.iter().map(|part| &part.partition))?;
        for part in &unit.partitions {
            let Some(head) = self.partitions.get(&part.partition) else {
                return Err(generation(&part.partition, 0, part.generation));
            };
            if (head.generation != part.generation || head.owner != unit.owner)
                && !planted(Mutant::Generation)
            {
                return Err(generation(&part.partition, head.generation, part.generation));
            }
            let moved = head.next_offset != part.from_offset && !planted(Mutant::FromOffset);
            let forked = head.last_seq != part.parent_seq && !planted(Mutant::Parent);
            if moved || forked {
                return Err(not_next(&part.partition, head, part.from_offset, part.parent_seq));
            }
            if !forward(part) {
                return Err(Rejection::Malformed("a range that goes backwards"));
            }
        }
        Ok(())
    }
}

fn forward(part: &UnitPartition) -> bool {
    part.from_offset <= part.to_offset
}

fn distinct<'p>(partitions: impl Iterator<Item = &'p TopicPartition>) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    for partition in partitions {
        if !seen.insert(partition) {
            return Err(Rejection::Malformed("a partition twice"));
        }
    }
    if seen.is_empty() { Err(Rejection::Malformed("no partition")) } else { Ok(()) }
}

fn generation(partition: &TopicPartition, current: u64, given: u64) -> Rejection {
    let TopicPartition { topic, partition } = partition;
    Rejection::Generation { topic: topic.to_string(), partition: *partition, current, given }
}

fn not_next(
    partition: &TopicPartition,
    head: &PartitionHead,
    from_offset: i64,
    parent_seq: u64,
) -> Rejection {
    Rejection::NotNext {
        topic: partition.topic.to_string(),
        partition: partition.partition,
        next_offset: head.next_offset,
        last_seq: head.last_seq,
        from_offset,
        parent_seq,
    }
}

/// JSON has text keys only, so the partitions are a list of pairs.
/// Maps whose keys are no text, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K, V, S>(map: &BTreeMap<K, V>, out: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        out.collect_seq(map)
    }

    pub(super) fn deserialize<'d, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'d> + Ord,
        V: Deserialize<'d>,
        D: Deserializer<'d>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
pub(crate) mod tests;
