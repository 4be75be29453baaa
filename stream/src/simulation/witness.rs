//! A witness of the commit log. It sees every record as it comes, adds them up by rules of its own, and so
//! knows at every seq where the partitions stand and what the table must contain.
//!
//! The letters are those of the invariants in `docs/adr/0014-proof.md`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::commit_log::Layout;
use crate::commit_log::head::Head;
use crate::commit_log::record::{
    self, Bits, Body, Claim, Commit, FileAdd, FileRemove, Maintenance, Record, Unit,
};
use stages::record::TopicPartition;

/// What is wrong, by the invariant that says so; the first of each.
pub(super) type Wrong = BTreeMap<&'static str, String>;

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand {
    generation: u64,
    owner: String,
    next: i64,
    last_seq: u64,
}

type Stands = BTreeMap<TopicPartition, Stand>;

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Witness {
    /// The bytes of every record, as they were first seen.
    records: Vec<Bytes>,
    /// Where the partitions stood before each record, and where they stand.
    stands: Vec<Stands>,
    /// The table's files after each record that changes them.
    files: BTreeMap<u64, BTreeSet<String>>,
    /// Paths that a valid part of a record has brought.
    named: BTreeSet<String>,
    /// The last maintenance.
    maintained: Option<u64>,
    /// The newest head any worker had, and its seq.
    newest: (u64, Stands),
    /// Who held a partition in a generation, as any worker's head said.
    owners: BTreeMap<(TopicPartition, u64), String>,
    pub(super) wrong: Wrong,
}

impl Default for Witness {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            stands: vec![Stands::new()],
            files: BTreeMap::new(),
            named: BTreeSet::new(),
            maintained: None,
            newest: (0, Stands::new()),
            owners: BTreeMap::new(),
            wrong: Wrong::new(),
        }
    }
}

impl Witness {
    pub(super) fn found(&mut self, invariant: &'static str, what: String) {
        self.wrong.entry(invariant).or_insert(what);
    }

    /// I6: reads what has come. A record that was there stays as it was, or is collected.
    pub(super) async fn look(&mut self, store: &dyn ObjectStore, layout: &Layout) {
        let keys: Vec<Path> = store
            .list(Some(&layout.records()))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .expect("memory lists");
        let mut seqs: Vec<u64> = keys.iter().filter_map(Layout::seq).collect();
        seqs.sort_unstable();
        for seq in seqs {
            let read = store.get(&layout.record(seq)).await.expect("listed");
            self.record(seq, &read.bytes().await.expect("memory"));
        }
    }

    /// I6: one record, old or new.
    fn record(&mut self, seq: u64, bytes: &Bytes) {
        match self.records.get(seq as usize) {
            Some(before) if before == bytes => return,
            Some(_) => return self.found("I6", format!("record {seq} is another one now")),
            None if seq != self.records.len() as u64 => {
                let missing = self.records.len();
                return self.found("I6", format!("record {missing} is missing, {seq} is there"));
            }
            None => {}
        }
        match record::decode(bytes) {
            Ok(record) if record.seq == seq && record.previous == self.hash_before(seq) => {
                self.records.push(bytes.clone());
                self.fold(&record);
            }
            Ok(record) => self.found("I6", format!("record {} at {seq} is no chain", record.seq)),
            Err(error) => self.found("I6", format!("record {seq}: {error}")),
        }
    }

    fn hash_before(&self, seq: u64) -> Bits {
        let before = seq.checked_sub(1).and_then(|seq| self.records.get(seq as usize));
        before.map_or(Bits::default(), |bytes| record::hash(bytes))
    }

    fn stands(&self) -> Stands {
        self.stands.last().cloned().unwrap_or_default()
    }

    /// Adds a record up.
    fn fold(&mut self, record: &Record) {
        let mut stands = self.stands();
        match &record.body {
            Body::Claim(claim) => fold_claim(&mut stands, record.seq, claim),
            Body::Commit(commit) => self.fold_commit(&mut stands, record.seq, commit),
            Body::Maintenance(maintenance) => self.fold_maintenance(record.seq, maintenance),
            Body::Operator(_) | Body::Schema(_) => {}
        }
        self.stands.push(stands);
    }

    fn fold_commit(&mut self, stands: &mut Stands, seq: u64, commit: &Commit) {
        for unit in &commit.units {
            if !is_valid(stands, unit) {
                continue;
            }
            for part in &unit.partitions {
                if let Some(stand) = stands.get_mut(&part.partition) {
                    (stand.next, stand.last_seq) = (part.to_offset, seq);
                }
            }
            self.change(seq, &[], &unit.adds);
        }
    }

    fn fold_maintenance(&mut self, seq: u64, maintenance: &Maintenance) {
        for change in &maintenance.changes {
            if change.parent_seq == self.maintained {
                self.maintained = Some(seq);
                self.change(seq, &change.removes, &change.adds);
            }
        }
    }

    /// I2: a file is named once, and goes only where it is.
    fn change(&mut self, seq: u64, removes: &[FileRemove], adds: &[FileAdd]) {
        let mut files = self.files_at(Some(seq));
        for remove in removes {
            if !files.remove(&remove.path) {
                self.found("I2", format!("seq {seq} removes {}, which is not there", remove.path));
            }
        }
        for add in adds {
            if !self.named.insert(add.path.clone()) {
                self.found("I2", format!("seq {seq} names {} again", add.path));
            }
            files.insert(add.path.clone());
        }
        self.files.insert(seq, files);
    }

    fn files_at(&self, cursor: Option<u64>) -> BTreeSet<String> {
        let Some(cursor) = cursor else { return BTreeSet::new() };
        let last = self.files.range(..=cursor).next_back();
        last.map(|(_, files)| files.clone()).unwrap_or_default()
    }

    /// What a worker takes for the truth is what the records say (I6, I7).
    pub(super) fn head(&mut self, head: &Head) {
        let seen: Stands = head
            .partitions
            .iter()
            .map(|(partition, known)| {
                let stand = Stand {
                    generation: known.generation,
                    owner: known.owner.clone(),
                    next: known.next_offset,
                    last_seq: known.last_seq,
                };
                (partition.clone(), stand)
            })
            .collect();
        self.never_falls(head.next_seq, &seen);
        self.has_one_owner(&seen);
        let seq = head.next_seq;
        match self.stands.get(seq as usize) {
            None => self.found("I6", format!("a worker has read {seq} records: there are fewer")),
            Some(stands) if *stands != seen => {
                let what = format!("before seq {seq} a worker has {seen:?}, not {stands:?}");
                self.found("I6", what);
            }
            Some(_) if head.last_hash != self.hash_before(seq) => {
                self.found("I6", format!("before seq {seq} a worker has read another chain"));
            }
            Some(_) => {}
        }
    }

    /// I6: offset and generation of a partition never fall, whoever looks.
    fn never_falls(&mut self, seq: u64, seen: &Stands) {
        let (newest, before) = &self.newest;
        if seq < *newest {
            return;
        }
        let place = |stand: Option<&Stand>| stand.map(|stand| (stand.generation, stand.next));
        let fallen = before.iter().find(|(partition, before)| {
            let now = place(seen.get(*partition)).unwrap_or_default();
            now.0 < before.generation || now.1 < before.next
        });
        if let Some((partition, before)) = fallen {
            let (partition, now) = (partition.partition, seen.get(partition));
            let what =
                format!("partition {partition} fell from {before:?} to {now:?} before seq {seq}");
            self.found("I6", what);
        }
        self.newest = (seq, seen.clone());
    }

    /// I7: a generation of a partition has one owner, whoever looks.
    fn has_one_owner(&mut self, seen: &Stands) {
        for (partition, stand) in seen {
            let key = (partition.clone(), stand.generation);
            let owner = self.owners.entry(key).or_insert_with(|| stand.owner.clone()).clone();
            if owner != stand.owner {
                let (number, generation) = (partition.partition, stand.generation);
                let what = format!("{owner} and {} hold {number} of {generation}", stand.owner);
                self.found("I7", what);
            }
        }
    }

    /// I2: the table's transaction names a record that changes it, and its files are those that all records
    /// up to this one leave.
    pub(super) fn table(&mut self, cursor: Option<u64>, files: &BTreeSet<String>) {
        if cursor.is_some_and(|cursor| !self.files.contains_key(&cursor)) {
            self.found(
                "I2",
                format!("the table stands at {cursor:?}, which changes nothing in it"),
            );
        }
        let expected = self.files_at(cursor);
        if expected != *files {
            let more: Vec<_> = files.difference(&expected).collect();
            let less: Vec<_> = expected.difference(files).collect();
            self.found("I2", format!("at {cursor:?} the table has {more:?}, and lacks {less:?}"));
        }
    }

    /// I10: nothing is left to do.
    pub(super) fn rest(&mut self, cursor: Option<u64>, produced: &[i64]) {
        let last = self.files.last_key_value().map(|(seq, _)| *seq);
        if cursor != last {
            self.found("I10", format!("the table stands at {cursor:?}, the log at {last:?}"));
        }
        let stands = self.stands();
        for (partition, stand) in &stands {
            let high = produced.get(partition.partition as usize).copied();
            if high != Some(stand.next) {
                let (number, next) = (partition.partition, stand.next);
                self.found("I10", format!("partition {number} stands at {next} of {high:?}"));
            }
        }
    }
}

/// A claim takes each partition where it stands, in the next generation.
fn fold_claim(stands: &mut Stands, seq: u64, claim: &Claim) {
    let follows = |stands: &Stands| {
        claim.partitions.iter().all(|part| match stands.get(&part.partition) {
            Some(stand) => {
                part.generation == stand.generation + 1 && part.start_offset == stand.next
            }
            None => part.generation == 1,
        })
    };
    if !follows(stands) {
        return;
    }
    for part in &claim.partitions {
        let stand = Stand {
            generation: part.generation,
            owner: claim.owner.clone(),
            next: part.start_offset,
            last_seq: seq,
        };
        stands.insert(part.partition.clone(), stand);
    }
}

/// A unit is its owner's, of the generation that holds, and goes on where each partition stands.
fn is_valid(stands: &Stands, unit: &Unit) -> bool {
    unit.partitions.iter().all(|part| {
        stands.get(&part.partition).is_some_and(|stand| {
            (stand.generation, &stand.owner) == (part.generation, &unit.owner)
                && (stand.next, stand.last_seq) == (part.from_offset, part.parent_seq)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::worker::add;
    use super::*;
    use crate::commit_log::head::PartitionHead;
    use crate::commit_log::head::tests::{claim, topic_partition, unit};

    /// A log of these records, and its witness.
    fn witness(bodies: Vec<Body>) -> Witness {
        let mut witness = Witness::default();
        for (seq, body) in (0..).zip(bodies) {
            let previous = witness.hash_before(seq);
            let record = Record { seq, nonce: Bits(1), previous, written_millis: 0, body };
            witness.record(seq, &record::encode(&record).expect("encodes").into());
        }
        witness
    }

    fn commit(parent: u64, from: i64, to: i64) -> Body {
        Body::Commit(Commit { units: vec![unit("a", 0, 1, parent, from, to)] })
    }

    fn three() -> Witness {
        witness(vec![Body::Claim(claim("a", 0, 1, 0)), commit(0, 0, 2), commit(1, 2, 5)])
    }

    fn path(from: i64) -> String {
        format!("date=2024-04-27/hour=1/part-{from}.parquet")
    }

    /// What a worker has that has read all three.
    fn head(witness: &Witness) -> Head {
        let known = PartitionHead {
            generation: 1,
            owner: "a".to_owned(),
            next_offset: 5,
            last_seq: 2,
            clock_ns: None,
            anchor: None,
        };
        Head {
            next_seq: 3,
            last_hash: witness.hash_before(3),
            partitions: BTreeMap::from([(topic_partition(0), known)]),
            ..Head::default()
        }
    }

    fn names(wrong: &Wrong) -> Vec<&'static str> {
        wrong.keys().copied().collect()
    }

    #[test]
    fn a_sound_log_with_a_sound_reader_and_a_sound_table_is_not_blamed() {
        let mut witness = three();
        witness.head(&head(&witness));
        witness.table(Some(1), &BTreeSet::from([path(0)]));
        witness.table(Some(2), &BTreeSet::from([path(0), path(2)]));
        witness.rest(Some(2), &[5]);
        assert_eq!(witness.wrong, Wrong::new());
    }

    #[test]
    fn a_table_with_a_file_more_or_less_or_another_cursor_is_noticed() {
        let all = BTreeSet::from([path(0), path(2)]);
        for (cursor, files) in [
            (Some(2), BTreeSet::from([path(0)])),
            (Some(1), all.clone()),
            (Some(0), BTreeSet::new()),
            (Some(3), all),
        ] {
            let mut witness = three();
            witness.table(cursor, &files);
            assert_eq!(names(&witness.wrong), ["I2"], "{cursor:?}");
        }
    }

    #[test]
    fn a_file_named_twice_or_removed_from_nowhere_is_noticed() {
        let twice = Body::Commit(Commit {
            units: vec![Unit { adds: vec![add(&path(0), 1)], ..unit("a", 0, 1, 1, 2, 5) }],
        });
        let named = witness(vec![Body::Claim(claim("a", 0, 1, 0)), commit(0, 0, 2), twice]);
        assert_eq!(names(&named.wrong), ["I2"]);
        let mut witness = three();
        let gone = FileRemove {
            path: "nowhere".to_owned(),
            date: String::new(),
            hour: 0,
            size: 0,
            rows: 0,
        };
        witness.change(3, &[gone], &[]);
        assert_eq!(names(&witness.wrong), ["I2"]);
    }

    #[test]
    fn an_offset_or_a_generation_that_falls_is_noticed() {
        let falls: [fn(&mut PartitionHead); 2] =
            [|known| known.next_offset = 4, |known| known.generation = 0];
        for fall in falls {
            let mut witness = three();
            let mut later = head(&witness);
            witness.head(&later);
            fall(later.partitions.get_mut(&topic_partition(0)).expect("known"));
            witness.never_falls(3, &stands_of(&later));
            assert_eq!(names(&witness.wrong), ["I6"]);
        }
    }

    fn stands_of(head: &Head) -> Stands {
        let mut witness = Witness::default();
        witness.head(head);
        witness.newest.1
    }

    #[test]
    fn a_reader_that_has_not_what_the_records_say_is_noticed() {
        let wrongs: [fn(&mut Head); 3] = [
            |head| head.last_hash = Bits(7),
            |head| head.next_seq = 4,
            |head| {
                let known = head.partitions.get_mut(&topic_partition(0)).expect("known");
                known.last_seq = 1;
            },
        ];
        for wrong in wrongs {
            let mut witness = three();
            let mut read = head(&witness);
            wrong(&mut read);
            witness.head(&read);
            assert_eq!(names(&witness.wrong), ["I6"]);
        }
    }

    #[test]
    fn a_generation_with_two_owners_is_noticed() {
        let mut witness = three();
        let mut other = head(&witness);
        witness.head(&other);
        other.partitions.get_mut(&topic_partition(0)).expect("known").owner = "b".to_owned();
        witness.head(&other);
        assert!(witness.wrong.contains_key("I7"), "{:?}", witness.wrong);
    }

    #[test]
    fn a_record_that_changes_or_is_missing_or_continues_another_is_noticed() {
        for seq in [1, 4] {
            let mut witness = three();
            let bytes = witness.records[2].clone();
            witness.record(seq, &bytes);
            assert_eq!(names(&witness.wrong), ["I6"], "seq {seq}");
        }
        let mut witness = three();
        let body = commit(2, 5, 6);
        let record = Record { seq: 3, nonce: Bits(1), previous: Bits(9), written_millis: 0, body };
        witness.record(3, &record::encode(&record).expect("encodes").into());
        assert_eq!(names(&witness.wrong), ["I6"]);
    }

    #[test]
    fn work_that_is_left_is_noticed() {
        for (cursor, high) in [(Some(1), 5), (Some(2), 6), (None, 5)] {
            let mut witness = three();
            witness.rest(cursor, &[high]);
            assert_eq!(names(&witness.wrong), ["I10"], "{cursor:?} {high}");
        }
    }
}
