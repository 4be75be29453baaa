//! What each lane reads, written where the next life of the process finds it.
//!
//! A panic names its record ([`crate::lane::suspects`]). What ends the whole process (an abort, memory
//! that is used up and the kernel's killer) names nothing, and a worker that starts again would read
//! the same record and end again, for ever. So each lane notes the few records it is about to read in
//! a file of its own; a write to the page cache survives the process and costs a microsecond per
//! [`GRANULE`] records. A life that finds such a note reads those records one by one; a record that is
//! noted alone then has ended two processes, and is quarantined.
//!
//! Somebody's `kill -9` leaves notes as well. It would have to come twice while the very same record is
//! being read, some microseconds each, to quarantine a sound one; that one is a dead letter then, and
//! `tidemill redrive` sends it again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use schemas::limits::MAX_SUSPECTS;
use stages::record::{Record, TopicPartition};

use crate::lane::suspects::Suspects;

/// Records that share a note.
pub(super) const GRANULE: usize = 32;
/// First byte of a note: records are being read.
const READING: u8 = b'+';
/// First byte of a note: none are.
const IDLE: u8 = b'-';
/// Bytes of a note; within one page, so that it is there whole or not at all.
const NOTE_BYTES: usize = 512;

/// Records that a process ended while it read them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Suspicion {
    topic: String,
    partition: i32,
    from: i64,
    to: i64,
    /// It is one record, and has ended two processes.
    convicted: bool,
}

impl Suspicion {
    fn covers(&self, partition: &TopicPartition, offset: i64) -> bool {
        *self.topic == *partition.topic
            && self.partition == partition.partition
            && (self.from..self.to).contains(&offset)
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.as_str().into(), partition: self.partition }
    }
}

/// The notes of a worker's lanes, and what earlier lives have left.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    directory: Option<PathBuf>,
    suspicions: Vec<Suspicion>,
}

impl Marks {
    /// Reads what the life before has left, and begins anew. `next` is where the log stands with a
    /// partition: what is committed is beyond suspicion. Without a directory, or where it can not be
    /// used, nothing is noted.
    pub(super) fn open(
        directory: Option<&Path>,
        next: impl Fn(&TopicPartition) -> Option<i64>,
    ) -> Self {
        let Some(directory) = directory else { return Self::default() };
        match Self::read(directory, next) {
            Ok(marks) => marks,
            Err(error) => {
                let path = directory.display();
                tracing::warn!(%path, %error, "a record that ends the process will not be recognised: its notes can not be kept");
                Self::default()
            }
        }
    }

    fn read(directory: &Path, next: impl Fn(&TopicPartition) -> Option<i64>) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let known = directory.join("suspicions.json");
        let mut suspicions: Vec<Suspicion> = match std::fs::read(&known) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "note") {
                if let Some(found) = parse(&std::fs::read(&path)?) {
                    suspect(&mut suspicions, found);
                }
                std::fs::remove_file(&path)?;
            }
        }
        suspicions.retain(|each| next(&each.partition()).is_none_or(|next| next < each.to));
        let excess = suspicions.len().saturating_sub(MAX_SUSPECTS);
        suspicions.drain(..excess);
        let beside = directory.join("suspicions.json.new");
        std::fs::write(&beside, serde_json::to_vec(&suspicions)?)?;
        std::fs::rename(&beside, &known)?;
        Ok(Self { directory: Some(directory.to_owned()), suspicions })
    }

    /// Tells of the records that must not be read again.
    pub(super) fn convict(&self, suspects: &Suspects) {
        for each in self.suspicions.iter().filter(|each| each.convicted) {
            let partition = each.partition();
            tracing::error!(
                ?partition,
                offset = each.from,
                "this record ended the process twice; it is quarantined"
            );
            let why =
                "the process ended twice while it was read: aborted, killed, or out of memory";
            suspects.convict(&partition, each.from, why);
        }
    }

    /// The note of one lane.
    pub(super) fn lane(&self, number: usize) -> Note {
        let create = |directory: &PathBuf| {
            let path = directory.join(format!("lane-{number}.note"));
            File::options().create(true).truncate(true).write(true).open(path)
        };
        let file = self.directory.as_ref().and_then(|directory| create(directory).ok());
        Note { file, suspicions: self.suspicions.clone() }
    }
}

/// Adds what a note says; a single record that was under suspicion before is convicted.
fn suspect(suspicions: &mut Vec<Suspicion>, mut found: Suspicion) {
    let partition = found.partition();
    let alone = found.to == found.from + 1;
    found.convicted = alone && suspicions.iter().any(|each| each.covers(&partition, found.from));
    tracing::warn!(?found, "the process ended while these records were read");
    suspicions.push(found);
}

/// What a lane is reading.
#[derive(Debug, Default)]
pub(super) struct Note {
    file: Option<File>,
    suspicions: Vec<Suspicion>,
}

impl Note {
    /// How many of these records to read next: one where there is a suspicion.
    pub(super) fn granule(&self, partition: &TopicPartition, records: &[Record]) -> usize {
        if self.file.is_none() {
            return records.len();
        }
        let most = records.len().min(GRANULE);
        let is_suspect = |record: &Record| {
            self.suspicions.iter().any(|each| each.covers(partition, record.offset))
        };
        let suspects = records.iter().take(most).any(is_suspect);
        if suspects && !self.suspicions.is_empty() { 1 } else { most }
    }

    /// These are about to be read.
    pub(super) fn reading(&mut self, partition: &TopicPartition, records: &[Record]) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let Some(file) = &self.file else { return };
        let TopicPartition { topic, partition } = partition;
        let to = last.offset.saturating_add(1);
        let note = format!("{} {} {to} {partition} {topic}\n", char::from(READING), first.offset);
        // A note that can not be written costs a quarantine, not a record.
        if note.len() <= NOTE_BYTES {
            drop(file.write_all_at(note.as_bytes(), 0));
        }
    }

    /// They are read.
    pub(super) fn done(&mut self) {
        if let Some(file) = &self.file {
            drop(file.write_all_at(&[IDLE], 0));
        }
    }
}

/// What a note says, if its lane was reading.
fn parse(note: &[u8]) -> Option<Suspicion> {
    let line = note.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    if words.next()?.as_bytes() != [READING] {
        return None;
    }
    let (from, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let partition = words.next()?.parse().ok()?;
    let topic = words.next()?.to_owned();
    Some(Suspicion { topic, partition, from, to, convicted: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::partition;

    fn records(offsets: std::ops::Range<i64>) -> Vec<Record> {
        offsets.map(|offset| Record { offset, ..Record::default() }).collect()
    }

    /// A life that ends while it reads these records.
    fn die(directory: &Path, offsets: std::ops::Range<i64>) -> Marks {
        let marks = Marks::open(Some(directory), |_| Some(0));
        marks.lane(0).reading(&partition(1), &records(offsets));
        marks
    }

    fn convicted(marks: &Marks) -> Vec<i64> {
        marks.suspicions.iter().filter(|each| each.convicted).map(|each| each.from).collect()
    }

    #[test]
    fn a_record_that_ends_two_lives_is_convicted_and_no_other() {
        let directory = tempfile::tempdir().expect("temporary directory");
        die(directory.path(), 100..132);
        let marks = Marks::open(Some(directory.path()), |_| Some(0));
        assert!(convicted(&marks).is_empty());
        let note = marks.lane(0);
        assert_eq!(note.granule(&partition(1), &records(110..140)), 1, "one by one");
        assert_eq!(note.granule(&partition(1), &records(132..200)), GRANULE);
        assert_eq!(note.granule(&partition(0), &records(110..140)), 30, "another partition");
        die(directory.path(), 117..118);
        let marks = Marks::open(Some(directory.path()), |_| Some(0));
        assert_eq!(convicted(&marks), [117]);
        let suspects = Suspects::default();
        marks.convict(&suspects);
        assert!(suspects.quarantined(&partition(1), 117).is_some());
        assert!(suspects.quarantined(&partition(1), 118).is_none());
        // It stays so until the log has passed it.
        assert_eq!(convicted(&Marks::open(Some(directory.path()), |_| Some(117))), [117]);
        assert!(convicted(&Marks::open(Some(directory.path()), |_| Some(132))).is_empty());
    }

    #[test]
    fn records_that_were_read_leave_no_suspicion() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let marks = die(directory.path(), 5..6);
        marks.lane(0).done();
        assert_eq!(Marks::open(Some(directory.path()), |_| Some(0)).suspicions, []);
        // What ends at different records is not the fault of one.
        die(directory.path(), 5..6);
        die(directory.path(), 7..8);
        assert!(convicted(&Marks::open(Some(directory.path()), |_| Some(0))).is_empty());
    }

    #[test]
    fn damaged_notes_are_no_suspicions() {
        for note in
            ["", "+", "+ 1", "+ 1 2 x t", "? 1 2 3 t", "- 1 2 3 t", "+ 1 2 3", "\n+ 1 2 3 t"]
        {
            assert_eq!(parse(note.as_bytes()), None, "{note:?}");
        }
        assert!(parse(b"+ 1 2 3 t\nrest of a longer one").is_some());
        let marks = Marks::open(Some(Path::new("/proc/no/such/place")), |_| None);
        assert_eq!(marks.lane(0).granule(&partition(0), &records(0..100)), 100);
    }
}
