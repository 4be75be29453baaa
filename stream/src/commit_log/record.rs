//! What a commit-log record says, and its codec.

use std::collections::BTreeMap;
use std::fmt;

use schemas::table::Table;
use xxhash_rust::xxh3::xxh3_128;

use super::frame::{self, FrameError, Kind};
use stages::pipeline::quota::Kept;
use stages::record::TopicPartition;

/// 128 bits written as 32 hex characters: JSON numbers do not hold them.
#[derive(Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Bits(pub u128);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({self})")
    }
}

impl From<Bits> for String {
    fn from(bits: Bits) -> String {
        bits.to_string()
    }
}

impl TryFrom<String> for Bits {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its place in the log, from 0.
    pub seq: u64,
    /// Drawn anew for every record: how an author recognises its own after an unclear answer.
    pub nonce: Bits,
    /// [`hash`] of the record before, zero for the first: forks and cuts show.
    pub previous: Bits,
    /// Wall clock of the writer, Unix milliseconds. Informational; nothing is decided by it.
    pub written_millis: i64,
    /// What it says.
    pub body: Body,
}

/// The kinds of record.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A worker takes partitions.
    Claim(Claim),
    /// Work was done.
    Commit(Commit),
    /// Files of tables are replaced by others.
    Maintenance(Maintenance),
    /// A person decided something.
    Operator(Operator),
    /// Tables gain columns.
    Schema(Schema),
}

/// A worker takes partitions: from here on only units of these generations are valid.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The worker's incarnation, new at every start.
    pub owner: String,
    /// Identity of the Kafka cluster, where the broker tells it.
    pub cluster_id: Option<String>,
    /// Delta table ids this log publishes to; a different id later means the table was replaced.
    pub tables: BTreeMap<Table, String>,
    /// What is taken.
    pub partitions: Vec<ClaimedPartition>,
    /// The consumer group it reads as a member of; none where nobody shares the topics, and in claims of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// One partition of a claim.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// One more than before; 1 for a new partition.
    pub generation: u64,
    /// Where reading begins: where the log stands, or the first offset on a new partition.
    pub start_offset: i64,
}

/// Units of work, each valid or invalid on its own.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The units, folded in this order.
    pub units: Vec<Unit>,
}

/// What one worker did in one epoch: offset ranges and the files that hold their rows. Its files
/// mix its partitions, so it is valid as a whole or not at all.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Who did it.
    pub owner: String,
    /// The ranges.
    pub partitions: Vec<UnitPartition>,
    /// The files.
    pub adds: Vec<FileAdd>,
    /// Logs kept of the daily limits of indexes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// Version of the pipeline that made its rows; none before there were versions here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// What the pipeline knows after it, for pipelines that keep a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRef>,
}

/// The state of a pipeline after a unit: objects that together are it, later ones over earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRef {
    /// A full copy, then what changed since.
    pub parts: Vec<StatePart>,
    /// The first record of this log whose decision it does not know.
    pub decisions_from: u64,
}

/// One object of a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatePart {
    /// Its key.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// Whether it belongs to the full copy.
    pub full: bool,
}

/// One partition's range in a unit.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// The claim it was done under.
    pub generation: u64,
    /// The record this one continues: the claim, or the unit before.
    pub parent_seq: u64,
    /// First offset.
    pub from_offset: i64,
    /// One past the last.
    pub to_offset: i64,
    /// Messages in the range; fewer than its offsets where the topic has gaps.
    pub messages: i64,
    /// The partition's logical clock: the latest Kafka timestamp seen, nanoseconds.
    pub clock_ns: i64,
    /// A message of the topic that is being read: whoever claims the partition finds it there, or another topic under the
    /// same name. `None` where there is no Kafka, and in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
}

/// A message of a topic, by what Kafka says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, nanoseconds.
    pub timestamp_ns: i64,
}

/// A Parquet file of a unit: all that its Delta `add` needs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileAdd {
    /// The table it belongs to.
    pub table: Table,
    /// Path below the table.
    pub path: String,
    /// Partition value `date`.
    pub date: String,
    /// Partition value `hour`.
    pub hour: i32,
    /// Bytes.
    pub size: i64,
    /// Rows.
    pub rows: i64,
    /// Delta statistics, JSON.
    pub stats: String,
    /// When it was written, Unix milliseconds. Informational.
    pub modified_millis: i64,
}

/// Files of tables are replaced by others: compaction, retention, a replay's swap. Valid as a
/// whole or not at all.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Who did it: a worker's incarnation, or a command. Informational.
    pub author: String,
    /// What for.
    pub kind: MaintenanceKind,
    /// Per table, each table once.
    pub changes: Vec<TableChange>,
}

/// What files are replaced for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceKind {
    /// The same rows in fewer files.
    Compact,
    /// Rows past their retention go.
    Retain,
    /// Rows of a replay take the place of others.
    Swap {
        /// Its name.
        replay: String,
    },
}

/// The files of one table that go and come.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableChange {
    /// The table.
    pub table: Table,
    /// The maintenance of this table this one was planned after; none before the first. Only
    /// maintenance removes files and it is serialised by this check, so a plan whose parent still
    /// holds can name no file that is gone.
    pub parent_seq: Option<u64>,
    /// Files that go. All of them are in the table.
    pub removes: Vec<FileRemove>,
    /// Files that come.
    pub adds: Vec<FileAdd>,
}

/// A Parquet file that leaves its table: all that its Delta `remove` needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRemove {
    /// Path below the table.
    pub path: String,
    /// Partition value `date`.
    pub date: String,
    /// Partition value `hour`.
    pub hour: i32,
    /// Bytes.
    pub size: i64,
    /// Rows.
    pub rows: i64,
}

/// Tables gain columns: a newer version writes what an older one did not. Appended before the first
/// file that has them; files written before read as null there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The worker's incarnation. Informational.
    pub author: String,
    /// Per table, each table once.
    pub tables: Vec<TableColumns>,
}

/// Columns one table gains.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableColumns {
    /// The table.
    pub table: Table,
    /// The columns.
    pub columns: Vec<Column>,
}

/// A column that comes to a table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its field in a Delta schema, JSON.
    pub field: String,
}

/// A person's decision, recorded for good.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What.
    pub decision: Decision,
    /// Files with the ledger rows that tell it to whoever asks the tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<FileAdd>,
}

/// What an operator can decide.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// These offsets are lost; reading goes on after them.
    AcceptGap {
        /// The partition.
        partition: TopicPartition,
        /// First offset lost: where the partition stands.
        from_offset: i64,
        /// One past the last.
        to_offset: i64,
    },
    /// The log was lost, and this one begins where the tables stand: a snapshot says so.
    Adopt {
        /// First offset of each partition that the tables do not have.
        partitions: Vec<(TopicPartition, i64)>,
    },
    /// The workers of this store are in another consumer group from now on.
    AdoptGroup {
        /// Its name.
        group: String,
    },
    /// About issues.
    Issues {
        /// What.
        decision: issues::decision::Decision,
        /// When, by the decider's clock, Unix microseconds.
        at_micros: i64,
    },
    /// Dead letters were sent through again.
    Redrive {
        /// Names the run; their new messages carry it.
        id: String,
        /// How many.
        letters: u64,
    },
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The frame is damaged.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The content is of a kind this version does not know.
    #[error("unreadable content: {0}; was it written by a newer Tidemill?")]
    Content(String),
}

/// Record -> stored bytes.
pub fn encode(record: &Record) -> Result<Vec<u8>, RecordError> {
    let json = serde_json::to_vec(record).map_err(|e| RecordError::Content(e.to_string()))?;
    Ok(frame::seal(Kind::Record, &json)?)
}

/// Stored bytes -> record.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    let json = frame::open(Kind::Record, bytes)?;
    serde_json::from_slice(&json).map_err(|error| RecordError::Content(error.to_string()))
}

/// What the next record's `previous` must be.
pub fn hash(stored: &[u8]) -> Bits {
    Bits(xxh3_128(stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit_log::head::tests::{claim, gap, maintenance, schema, unit};
    use proptest::prelude::*;

    fn record(seq: u64, nonce: u128, offsets: i64) -> Record {
        let units = vec![unit("a", 0, 1, 0, 0, offsets)];
        Record {
            seq,
            nonce: Bits(nonce),
            previous: Bits(!nonce),
            written_millis: 1,
            body: Body::Commit(Commit { units }),
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_refused() {
        let bytes = encode(&record(7, 9, 100)).expect("encodes");
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
        assert_eq!(frame::open(Kind::Snapshot, &bytes), Err(FrameError::Magic));
    }

    #[test]
    fn a_claim_without_a_group_is_written_as_before_and_read() {
        let written = serde_json::to_value(claim("o", 3, 1, 0)).expect("JSON");
        assert_eq!(written.get("group"), None, "older versions read it");
        let read: Claim = serde_json::from_value(written).expect("reads");
        assert_eq!(read, claim("o", 3, 1, 0));
    }

    #[test]
    fn an_unknown_kind_of_record_asks_for_an_upgrade() {
        let json =
            br#"{"seq":0,"nonce":"0","previous":"0","written_millis":0,"body":{"rewind":{}}}"#;
        let bytes = frame::seal(Kind::Record, json).expect("seals");
        let error = decode(&bytes).expect_err("refused").to_string();
        assert!(error.contains("newer Tidemill"), "{error}");
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(seq: u64, nonce: u128, offsets in 0i64..) {
            let bodies = [
                record(seq, nonce, offsets).body,
                Body::Claim(claim("o", 3, 1, 0)),
                Body::Claim(Claim { group: Some("g".to_owned()), ..claim("o", 3, 1, 0) }),
                maintenance(MaintenanceKind::Compact, &[Table::Logs, Table::Spans], Some(seq), &["a"]),
                maintenance(MaintenanceKind::Swap { replay: "r".to_owned() }, &[Table::Logs], None, &[]),
                gap(3, 0, offsets),
                schema(Table::Logs, "colour", "string"),
            ];
            for body in bodies {
                let record = Record { body, ..record(seq, nonce, offsets) };
                prop_assert_eq!(decode(&encode(&record).expect("encodes")), Ok(record));
            }
        }

        #[test]
        fn a_flipped_bit_anywhere_is_refused(nonce: u128, place: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&record(1, nonce, 5)).expect("encodes");
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
            let mut sealed = b"TMCL\x01\xff\xff\xff\x00".to_vec();
            sealed.extend_from_slice(&bytes);
            let checksum = xxhash_rust::xxh3::xxh3_64(&sealed);
            sealed.extend_from_slice(&checksum.to_le_bytes());
            prop_assert!(decode(&sealed).is_err());
        }
    }
}
