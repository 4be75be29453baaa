//! Every bound in the system, with its unit and its reason. What is refused because of one of
//! these is counted and named to whoever sent it.

/// One mebibyte, in bytes.
const MIB: usize = 1 << 20;

// ---- Intake: requests ----------------------------------------------------------------------------

/// Bytes of a refused body that are still read, and thrown away, so that the client gets to read why.
/// Twice the largest body taken, which covers clients that are wrong by a little.
pub const MAX_DISCARDED_BODY_BYTES: usize = 128 * MIB;
/// Bytes of a trace request body as sent. The Datadog agent's own limit.
pub const MAX_TRACE_BODY_BYTES: usize = 25 * MIB;
/// Bytes of a Datadog logs body as sent; the uncompressed limit of the public API is 5 MB.
pub const MAX_LOGS_BODY_BYTES: usize = 8 * MIB;
/// Bytes of an OTLP body as sent; OTLP 1.11 recommends 64 MiB after decompression.
pub const MAX_OTLP_BODY_BYTES: usize = 32 * MIB;
/// Bytes of any body after decompression.
pub const MAX_DECOMPRESSED_BYTES: usize = 64 * MIB;
/// Largest ratio of decompressed to compressed bytes, judged above [`RATIO_FLOOR_BYTES`].
pub const MAX_DECOMPRESSION_RATIO: usize = 100;
/// Bytes below which the ratio is not judged: small repetitive bodies compress well.
pub const RATIO_FLOOR_BYTES: usize = 4 * MIB;
/// Entries of one Datadog logs array.
pub const MAX_LOGS_PER_REQUEST: usize = 1_000;
/// Traces in one trace request.
pub const MAX_TRACES_PER_REQUEST: usize = 100_000;
/// Spans, log records or data points in one request.
pub const MAX_ITEMS_PER_REQUEST: usize = 1_000_000;
/// Nesting of JSON, msgpack or protobuf values.
pub const MAX_DEPTH: usize = 64;
/// Seconds a request may take, from its first byte to the answer.
pub const REQUEST_DEADLINE_SECONDS: u64 = 30;
/// Seconds within which the headers of a request must arrive.
pub const HEADER_DEADLINE_SECONDS: u64 = 10;
/// Open connections per listener.
pub const MAX_CONNECTIONS: usize = 4_096;
/// Concurrent HTTP/2 streams per connection.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 256;
/// Bytes of HTTP headers.
pub const MAX_HEADER_BYTES: usize = 64 << 10;
/// Bytes of request bodies held at once, compressed and decompressed; above it requests are told
/// to come back (429, 503, UNAVAILABLE).
pub const MAX_BYTES_IN_FLIGHT: usize = 512 * MIB;

// ---- Kafka ---------------------------------------------------------------------------------------

/// Bytes of one message value we produce. Brokers refuse more than 1 MiB by default, headers
/// included.
pub const MAX_MESSAGE_BYTES: usize = 1_000_000;
/// Bytes the producer may queue before it tells callers to come back.
pub const MAX_PRODUCER_QUEUE_BYTES: usize = 256 * MIB;
/// Messages the producer may queue before it tells callers to come back: bounds what small messages
/// cost beyond their bytes.
pub const MAX_PRODUCER_QUEUE_MESSAGES: usize = 500_000;
/// Bytes of key and headers one produced message may have beyond its value; with the value it stays
/// below the 1,048,588 bytes brokers take by default.
pub const MAX_MESSAGE_HEADER_BYTES: usize = 40_000;
/// Milliseconds a message may wait for its acknowledgement.
pub const PRODUCE_TIMEOUT_MILLIS: u64 = 20_000;
/// Bytes of one message value we consume; a topic of the user's own may hold larger ones than we write.
pub const MAX_CONSUMED_MESSAGE_BYTES: usize = 64 * MIB;
/// Messages in the queue of one partition before it is paused.
pub const MAX_PARTITION_QUEUE_MESSAGES: usize = 4_096;
/// Bytes in the queue of one partition before it is paused.
pub const MAX_PARTITION_QUEUE_BYTES: usize = 32 * MIB;
/// Messages handed to the worker in one batch: large enough to share the cost of a hand-over, small
/// enough that threads take turns.
pub const MAX_BATCH_MESSAGES: usize = 1_024;
/// Seconds to wait for Kafka to answer about topics and offsets before start-up is given up.
pub const KAFKA_START_SECONDS: u64 = 30;
/// Partitions of a topic we create.
pub const DEFAULT_PARTITIONS: i32 = 4;

// ---- Records -------------------------------------------------------------------------------------

/// Bytes of a log message; longer ones are cut, and marked with the attribute `_truncated`.
pub const MAX_MESSAGE_TEXT_BYTES: usize = MIB;
/// Attributes of one log, span or point; more are dropped and counted in `_dropped_attributes`.
pub const MAX_ATTRIBUTES: usize = 1_024;
/// Bytes of one attribute value; longer ones are cut at a character boundary.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 64 << 10;
/// Bytes of one attribute key; longer keys are dropped and counted.
pub const MAX_ATTRIBUTE_KEY_BYTES: usize = 512;
/// Tags of one log.
pub const MAX_TAGS: usize = 256;
/// Links of one span.
pub const MAX_LINKS: usize = 128;
/// Events of one span.
pub const MAX_EVENTS: usize = 128;
/// Buckets of one histogram.
pub const MAX_HISTOGRAM_BUCKETS: usize = 4_096;
/// Exemplar trace ids kept per point.
pub const MAX_EXEMPLARS_PER_POINT: usize = 8;
/// Records that crashed a lane which a worker remembers, to quarantine them the second time.
pub const MAX_SUSPECTS: usize = 1_000;
/// Records in one consumed message.
pub const MAX_RECORDS_PER_MESSAGE: usize = 1_000_000;
/// Bytes one message may expand to where a part of it stands for many rows: resource attributes
/// repeated on every record, string tables. Few bytes could otherwise ask for all memory.
pub const MAX_EXPANDED_MESSAGE_BYTES: usize = 512 * MIB;
/// Bytes of a payload kept in `dead_letters`.
pub const MAX_DEAD_LETTER_PAYLOAD_BYTES: usize = 64 << 10;
/// Bytes of a dead letter's detail.
pub const MAX_DEAD_LETTER_DETAIL_BYTES: usize = 1_024;

// ---- Inputs --------------------------------------------------------------------------------------

/// Bytes of one line, row or JSON value of a file or a message of many lines; the rest of a longer one is
/// dropped, and counted. Well above [`MAX_MESSAGE_TEXT_BYTES`], so that an envelope of JSON around a
/// text of that size is still whole.
pub const MAX_LINE_BYTES: usize = 4 * MIB;
/// Lines joined into one log, by default; deep stack traces have a few hundred.
pub const MAX_JOINED_LINES: usize = 1_000;
/// Lines joined into one log that a configuration may ask for.
pub const MAX_CONFIGURED_JOINED_LINES: usize = 100_000;
/// Bytes of text joined into one log: no more than a message may have.
pub const MAX_JOINED_BYTES: usize = MAX_MESSAGE_TEXT_BYTES;
/// Lines of another stream (stdout, stderr) after which a log that got no line is over.
pub const MAX_INTERLEAVED_LINES: usize = 100;
/// Envelopes opened around one log: JSON of a shipper around CRI around syslog is three.
pub const MAX_ENVELOPES: usize = 4;
/// Columns of a CSV file: no more than a log has attributes.
pub const MAX_CSV_COLUMNS: usize = MAX_ATTRIBUTES;
/// Tags made of Kubernetes labels and names, per log.
pub const MAX_ENVELOPE_TAGS: usize = 32;

// ---- Pipeline ------------------------------------------------------------------------------------

/// Series of one log-based metric per unit; further ones are added up in a series whose every
/// group-by tag is [`OVERFLOW_VALUE`].
pub const MAX_SERIES_PER_METRIC: usize = 10_000;
/// Days of an index's daily limit that are counted apart, up to the latest. Records wait in Kafka for a
/// week; what is older counts with the oldest.
pub const MAX_QUOTA_DAYS: i64 = 8;
/// The value that marks an overflow series or ledger row.
pub const OVERFLOW_VALUE: &str = "__overflow__";
/// Distinct services per unit and partition in the ledger.
pub const MAX_LEDGER_SERVICES: usize = 1_000;
/// Processors in a configuration.
pub const MAX_PROCESSORS: usize = 1_000;
/// Files of one pipeline configuration, those in directories included.
pub const MAX_PIPELINE_FILES: usize = 1_000;
/// Bytes of one line that `pipeline run` reads; longer ones are cut and say so.
pub const MAX_RUN_LINE_BYTES: usize = 16 << 20;
/// Values in all files of one pipeline configuration, what aliases repeat included; a real one has thousands.
pub const MAX_CONFIG_VALUES: usize = 2_000_000;
/// Nesting of a pipeline configuration; Datadog's own go twelve deep.
pub const MAX_CONFIG_DEPTH: usize = 64;
/// Grok rules in one grok parser, support rules included.
pub const MAX_GROK_RULES: usize = 500;
/// Steps one grok rule may take on one line, per byte of the line, before it counts as no match.
pub const MAX_GROK_STEPS_PER_BYTE: usize = 64;
/// Errors of the pipeline noted on one log; the last of them says that there were more.
pub const MAX_PIPELINE_ERRORS: usize = 16;
/// Attributes tried for one reserved field before the pipelines.
pub const MAX_PREPROCESSING_NAMES: usize = 64;
/// Characters a string builder makes; what is longer is cut. Datadog's limit.
pub const MAX_BUILT_TEXT_CHARS: usize = 256;
/// Operands an arithmetic expression holds at once: bounds its nesting.
pub const MAX_ARITHMETIC_DEPTH: usize = 64;
/// Elements of an array that an array-map processor works on; further ones are left. Datadog's limit.
pub const MAX_MAPPED_ELEMENTS: usize = 50;
/// Bytes of a URL that is taken apart: twice what servers commonly take in a request line.
pub const MAX_URL_BYTES: usize = 16 << 10;
/// Query parameters taken out of one URL.
pub const MAX_QUERY_PARAMETERS: usize = 256;
/// Bytes of a user agent that are looked at: real ones are a few hundred.
pub const MAX_USER_AGENT_BYTES: usize = 2_048;
/// User agents one thread remembers with their parts: a few hundred make up most traffic.
pub const REMEMBERED_USER_AGENTS: usize = 1_024;
/// Bytes of keys and values of all lookup and reference tables.
pub const MAX_LOOKUP_BYTES: usize = 64 * MIB;
/// Bytes of a file that a pipeline names; the largest GeoIP databases sold have a few hundred MB.
pub const MAX_PIPELINE_FILE_BYTES: u64 = 512 << 20;
/// Rules of the sensitive-data scanner.
pub const MAX_SCANNER_RULES: usize = 500;
/// Keywords of one scanner rule, its recommended ones not counted. Datadog's limit.
pub const MAX_SCANNER_KEYWORDS: usize = 30;
/// Places one scanner rule looks at in one text; what follows is hidden unread.
pub const MAX_SCANNER_PLACES: usize = 1_000;
/// The same, however long the line: some tenths of a second.
pub const MAX_GROK_STEPS: usize = 16 << 20;
/// Choices a grok rule may leave open on one line, 32 bytes each, before it counts as no match.
pub const MAX_GROK_STACK: usize = 256 << 10;
/// Bytes of a compiled regular expression.
pub const MAX_REGEX_BYTES: usize = 4 * MIB;

// ---- Error tracking -------------------------------------------------------------------------------

/// Rows of `error_events` one lane keeps with all their context, per issue and version and unit: a flood of one
/// error costs little more than its count, and samples are spread over time and versions.
pub const MAX_CONTEXT_EVENTS: u32 = 100;
/// Issues and versions per lane and unit whose context is counted; further ones keep none: adversarial
/// messages must not fill the memory.
pub const MAX_CONTEXT_ISSUES: usize = 20_000;
/// Issues the state holds; errors of further ones go into one issue that says so. About 5 KiB each.
pub const MAX_ISSUES: usize = 100_000;
/// Distinct versions, environments and hosts counted per issue; further ones are counted as
/// [`OVERFLOW_VALUE`].
pub const MAX_ISSUE_VALUES: usize = 50;
/// Versions remembered per service, with the time they were first seen.
pub const MAX_SERVICE_VERSIONS: usize = 200;
/// Services whose versions are remembered.
pub const MAX_VERSIONED_SERVICES: usize = 2_000;
/// Users or batches counted exactly per issue; above, the number is estimated from as many hashes.
pub const MAX_EXACT_AFFECTED: usize = 256;
/// Ids of grouping one issue may stand for after merges.
pub const MAX_ALIASES: usize = 1_000;
/// Ids an issue stands for whose message it knows, the first 256 bytes of each.
pub const MAX_ISSUE_VARIANTS: usize = 16;
/// Sample events an issue points at.
pub const MAX_SAMPLES: usize = 20;
/// Minutes an issue keeps counts for.
pub const MAX_ISSUE_MINUTES: usize = 120;
/// Hours an issue keeps counts for: five weeks, four of them to compare the same hour with.
pub const MAX_ISSUE_HOURS: usize = 35 * 24;
/// Days an issue keeps counts for.
pub const MAX_ISSUE_DAYS: usize = 400;
/// Bytes of an issue's message and culprit as its state keeps them; longer ones are cut.
pub const MAX_ISSUE_TEXT_BYTES: usize = 1_024;
/// Commit-log records of the first pipeline that one unit of the second one takes in at most.
pub const MAX_ISSUE_UNIT_RECORDS: usize = 256;
/// Commit-log records of the first pipeline after which the second one records that it has seen them, though
/// there was no error among them.
pub const MAX_QUIET_RECORDS: u64 = 100;
/// Seconds after which it records that too, however few they are: what it has not seen is kept.
pub const MAX_QUIET_SECONDS: u64 = 3_600;
/// Changed issues whose counts one unit writes into `error_issue_history`; the others follow with the next.
pub const MAX_COUNTED_ROWS: usize = 1_000;
/// Milliseconds between two rows of an issue that only its counts have changed for.
pub const ISSUE_REFRESH_MILLIS: i64 = 5_000;
/// Changes of issues between two full copies of the state.
pub const MAX_STATE_DELTAS: usize = 64;
/// Issues in one object of the state: far below [`MAX_RECORD_CONTENT_BYTES`] even if each has all it may have.
pub const MAX_STATE_PART_ISSUES: usize = 1_000;
/// Alerts of one recipient sent one by one before they are put together.
pub const ALERT_BURST: u32 = 10;
/// Seconds until one more alert may be sent alone.
pub const ALERT_REFILL_SECONDS: i64 = 60;
/// Seconds for which alerts over the burst are put together into one message.
pub const DIGEST_SECONDS: i64 = 300;
/// Alerts one message names; it says how many further ones there are.
pub const MAX_DIGEST_ALERTS: usize = 50;
/// Messages that may wait for one recipient; further alerts wait in the digest.
pub const MAX_PENDING_MESSAGES: usize = 100;
/// Seconds a message is tried for before it is given up.
pub const NOTIFY_GIVE_UP_SECONDS: i64 = 24 * 3_600;
/// Seconds between two attempts at a message: at first, and at most.
pub const NOTIFY_BACKOFF_SECONDS: (i64, i64) = (5, 600);
/// Seconds one attempt may take, its connection included.
pub const NOTIFY_TIMEOUT_SECONDS: u64 = 10;
/// Bytes of an answer that are read, to say why a target refused.
pub const MAX_NOTIFY_ANSWER_BYTES: usize = 4 << 10;
/// Messages sent at once.
pub const MAX_CONCURRENT_NOTIFICATIONS: usize = 8;
/// Monitors in a configuration.
pub const MAX_MONITORS: usize = 200;

// ---- Error grouping ------------------------------------------------------------------------------

/// Bytes of a stack trace that are read: a trace of a hundred frames has ten thousand. Of a longer
/// one its first and its last part are read.
pub const MAX_STACK_BYTES: usize = 256 << 10;
/// Bytes of the last part: where Python writes what was raised, and Java the root cause.
pub const MAX_STACK_TAIL_BYTES: usize = 64 << 10;
/// Frames kept of one exception, from where it was raised: fingerprints need the first few.
pub const MAX_STACK_FRAMES: usize = 256;
/// Exceptions kept of one chain: the reported one, those next to it, the root cause.
pub const MAX_EXCEPTIONS: usize = 16;
/// Bytes of a message that tell errors apart; what follows is mostly data.
pub const MAX_TEMPLATE_BYTES: usize = 1_024;
/// Lines of a message that tell errors apart, empty ones not counted.
pub const MAX_TEMPLATE_LINES: usize = 2;
/// Words and values of a message that tell errors apart.
pub const MAX_TEMPLATE_WORDS: usize = 128;
/// Bytes of an error's type and of a fingerprint sent with it; longer ones are cut.
pub const MAX_ERROR_KIND_BYTES: usize = 512;
/// Bytes of an issue's title and of its culprit.
pub const MAX_TITLE_BYTES: usize = 256;
/// Frames of the user's own code in a fingerprint, as configured, at most.
pub const MAX_FINGERPRINT_FRAMES: usize = 16;
/// Frames in a fingerprint where none is the user's own code: one says too little there.
pub const SYSTEM_FINGERPRINT_FRAMES: usize = 3;
/// Rules of error grouping in a configuration, merges and splits included.
pub const MAX_GROUPING_RULES: usize = 10_000;
/// Bytes of one pattern of such a rule.
pub const MAX_GROUPING_PATTERN_BYTES: usize = 512;
/// Distinct issues of one service by default; further ones become one issue that says so. A service with more kinds
/// of error than that sends data where words belong.
pub const MAX_ISSUES_PER_SERVICE: usize = 10_000;
/// Known messages one new message is compared with, for each of its ends: what a new id costs at most.
pub const MAX_MINED_CANDIDATES: usize = 64;
/// Errors one span can report: its own, and exceptions recorded as its events.
pub const MAX_ERRORS_PER_SPAN: usize = 8;

// ---- Units and storage ---------------------------------------------------------------------------

/// Milliseconds between units on a local store.
pub const LOCAL_EPOCH_MILLIS: u64 = 5_000;
/// Milliseconds between units on an object store.
pub const REMOTE_EPOCH_MILLIS: u64 = 30_000;
/// Bytes of columns in memory that end a unit early.
pub const MAX_UNIT_BYTES: usize = 128 * MIB;
/// Rows that end a unit early.
pub const MAX_UNIT_ROWS: usize = 500_000;
/// Event hours one unit may hold open per table; an input that spreads wider ends the unit early.
pub const MAX_UNIT_HOURS: usize = 256;
/// Rows of a Parquet row group.
pub const MAX_ROW_GROUP_ROWS: usize = 512 << 10;
/// Bytes of one commit-log record, compressed.
pub const MAX_RECORD_BYTES: usize = 16 * MIB;
/// Attempts at one commit-log append before the worker halts with a named reason.
pub const MAX_APPEND_ATTEMPTS: u32 = 20;
/// Attempts at one Delta publication before it is reported and tried again with the next unit.
pub const MAX_PUBLISH_ATTEMPTS: u32 = 20;
/// Delta commits between checkpoints. Who reads a table reads all commits since the last one at once, with a decoder
/// of more than a megabyte for each.
pub const CHECKPOINT_INTERVAL: u64 = 25;
/// Commit-log records between snapshots of the folded head.
pub const SNAPSHOT_INTERVAL: u64 = 100;
/// Bytes of one commit-log record or snapshot before compression.
pub const MAX_RECORD_CONTENT_BYTES: usize = 128 * MIB;
/// Objects of the commit log that one request deletes; holes that a collection cut short can leave.
pub const COLLECTED_AT_ONCE: usize = 100;
/// Commit-log records read at once while recovering.
pub const RECOVERY_CONCURRENT_READS: usize = 16;
/// Seconds after which a writer reads the commit log's tail, and makes sure that it is the end, before it appends:
/// far below the 30 days records are kept, far above the time between two units.
pub const LOG_STALENESS_SECONDS: u64 = 60;
/// Seconds the publisher's lease lasts: how long the tables stand still after its holder died.
pub const PUBLISHER_LEASE_SECONDS: u64 = 15;
/// Seconds a worker writes what it has of partitions that another one is to get, before it gives them up anyway.
pub const REVOKE_BUDGET_SECONDS: u64 = 10;
/// Milliseconds until a worker asks again for a partition that is its own by the group but not by the log: a worker
/// that was given up for dead has claimed it and will learn so within a heartbeat or two.
pub const RECLAIM_MILLIS: u64 = 5_000;
/// Seconds a group waits for a worker it does not hear of, by default.
pub const SESSION_TIMEOUT_SECONDS: u64 = 45;
/// Files of a unit written at once: each holds its Parquet bytes in memory.
pub const MAX_CONCURRENT_FILE_WRITES: usize = 4;
/// Bytes of a text value that still go into a file's statistics; longer minima and maxima are left out.
pub const MAX_STATISTICS_TEXT_BYTES: usize = 64;
/// Commits that may wait for one table's publication before intake is held back.
pub const MAX_UNPUBLISHED_COMMITS: usize = 256;
/// Seconds between looks for new partitions and watermarks.
pub const METADATA_REFRESH_SECONDS: u64 = 30;
/// Seconds a broker may take to answer a metadata request.
pub const METADATA_DEADLINE_SECONDS: u64 = 20;

// ---- Upkeep --------------------------------------------------------------------------------------

/// Bytes from which a file is large enough to be left alone.
pub const COMPACTED_FILE_BYTES: usize = 128 * MIB;
/// Bytes of the files that compaction puts into one, at most: large enough that a day of a busy
/// table is a few hundred files, small enough that engines share a table among their threads.
/// They are in memory, compressed, while they are merged.
pub const MAX_COMPACTED_FILE_BYTES: usize = 256 * MIB;
/// Files put into one at once, if there is memory for so many ([`MAX_MERGE_BYTES`]).
pub const MAX_COMPACTION_FILES: usize = 1_024;
/// Bytes that files hold while they are merged, as they are stored and in their decoders, about: some 25 columns
/// with a context of zstd each are more than the rows of most files. Files beyond it are merged after these.
pub const MAX_MERGE_BYTES: usize = 512 * MIB;
/// Files that are put together while further ones still come; fewer wait.
pub const MIN_COMPACTION_FILES: usize = 4;
/// Files that one maintenance record of compaction lets go of, about.
pub const MAX_COMPACTION_BATCH_FILES: usize = 4_096;
/// Bytes of new files after which a compaction is recorded: bounds what a crash throws away.
pub const MAX_COMPACTION_BATCH_BYTES: usize = 512 * MIB;
/// Files that one maintenance record of retention lets go of, about: about 1 MB of record.
pub const MAX_REMOVES_PER_RECORD: usize = 5_000;
/// Rows merged at once.
pub const MERGE_BATCH_ROWS: usize = 8_192;
/// Bytes of rows merged at once, and of the batches they are taken from.
pub const MERGE_BATCH_BYTES: usize = 64 * MIB;
/// Bytes of one batch read from one file.
pub const MAX_READ_BATCH_BYTES: usize = 16 * MIB;
/// Seconds after which a file that a local store has staged and not put in its place is a crash's: no write
/// takes a day.
pub const LEFTOVER_SECONDS: u64 = 24 * 3_600;
/// Files of which upkeep remembers the indexes they have rows of, so that it need not read them again; above
/// it all are forgotten. About 200 bytes each.
pub const MAX_KNOWN_FILES: usize = 100_000;
/// Files fetched at once to be merged.
pub const MERGE_CONCURRENT_READS: usize = 8;
/// Seconds between passes of upkeep.
pub const UPKEEP_INTERVAL_SECONDS: u64 = 60;
/// Seconds between looks for files and records to delete, which list all of storage.
pub const DELETE_INTERVAL_SECONDS: u64 = 3_600;
/// Seconds after its end until an hour is compacted: late events have mostly come by then.
pub const COMPACT_AFTER_SECONDS: u64 = 600;
/// Seconds a file stays after its table let go of it, by default and at most: tables remember for
/// seven days what was removed (Delta's `deletedFileRetentionDuration`).
pub const MAX_VACUUM_HORIZON_SECONDS: u64 = 7 * 24 * 3_600;
/// Seconds a file stays after its table let go of it, at least: no query and no unit under way is
/// as old as that.
pub const MIN_VACUUM_HORIZON_SECONDS: u64 = 24 * 3_600;
/// Seconds commit-log records stay when nobody needs them any more. Deleting one makes its key
/// free; nobody may be away for so long and still append.
pub const LOG_HORIZON_SECONDS: u64 = 30 * 24 * 3_600;
/// Such horizons after which a record of the first pipeline goes although error tracking has not read it: it
/// may be switched off for good.
pub const UNREAD_LOG_HORIZONS: u32 = 4;

// ---- Archives ------------------------------------------------------------------------------------

/// Files one archive may list: their names and sizes are held in memory, about 200 bytes each.
pub const MAX_ARCHIVE_FILES: usize = 500_000;
/// Bytes of a file looked at to learn what it holds.
pub const ARCHIVE_HEAD_BYTES: u64 = 16 << 10;
/// Bytes of a file taken from storage, or out of decompression, at once.
pub const ARCHIVE_CHUNK_BYTES: usize = 64 << 10;
/// Ratio of decompressed to compressed bytes of a file, judged above [`ARCHIVE_RATIO_FLOOR_BYTES`]. Logs
/// repeat themselves and are read in a stream: the bound is against files made to never end, and
/// just below what gzip can reach.
pub const MAX_ARCHIVE_RATIO: u64 = 1_000;
/// Decompressed bytes below which the ratio of a file is not judged.
pub const ARCHIVE_RATIO_FLOOR_BYTES: u64 = 256 << 20;
/// Records handed over at once.
pub const MAX_ARCHIVE_BATCH_RECORDS: usize = 10_000;
/// Rows of a Parquet file turned into records at once.
pub const ARCHIVE_PARQUET_ROWS: usize = 1_024;
/// Bytes of a Parquet row group, which is read whole; above it a file is not taken.
pub const MAX_ARCHIVE_ROW_GROUP_BYTES: i64 = 512 << 20;
/// Bytes of records an import sends at once, all acknowledged before the next.
pub const MAX_IMPORT_BATCH_BYTES: usize = 4 * MIB;
/// Findings one batch of an archive names; further ones are added up.
pub const MAX_ARCHIVE_FINDINGS: usize = 100;
// ---- Replay --------------------------------------------------------------------------------------

/// Messages of one replay unit: large enough that an hour is a few files, small enough that a unit and those
/// beside it fit in memory and a kill costs seconds.
pub const REPLAY_UNIT_MESSAGES: usize = 200_000;
/// Bytes of payload of one replay unit.
pub const REPLAY_UNIT_BYTES: usize = 32 * MIB;
/// Rows of one table and hour in a replay unit from which they become a file of their own. Fewer are kept with
/// those of other hours until the end, so that years of history do not become millions of small files.
pub const REPLAY_FILE_ROWS: usize = 16_384;
/// Rows of a row group in the files a replay merges in the end: one of each file is in memory at once.
pub const REPLAY_RUN_GROUP_ROWS: usize = 8_192;
/// Files a replay merges at once.
pub const REPLAY_MERGE_FILES: usize = 128;
/// Bytes of records an archive hands over at once.
pub const REPLAY_ARCHIVE_BATCH_BYTES: usize = 4 * MIB;
/// Bytes of old rows that are sorted at once, to be compared with the new ones.
pub const REPLAY_SORT_BYTES: usize = 64 * MIB;
/// Files one swap lets go of and brings: about 80 MB of record, which every reader of the log decodes.
pub const MAX_SWAP_FILES: usize = 40_000;
/// Times a swap is planned again because upkeep has changed the tables meanwhile.
pub const MAX_SWAP_ATTEMPTS: u32 = 20;
/// Names of changed fields a plan tells apart; further ones are counted together.
pub const MAX_CHANGED_FIELDS: usize = 1_000;
/// Examples a plan shows of each changed field.
pub const MAX_FIELD_SAMPLES: usize = 3;
/// Bytes of a value shown as an example.
pub const MAX_SAMPLE_BYTES: usize = 120;
/// Metric series a plan compares; further ones are counted as not compared.
pub const MAX_COMPARED_SERIES: usize = 200_000;
/// Seconds a replay waits for the next message of a partition before it gives up.
pub const REPLAY_SILENCE_SECONDS: u64 = 30;

// ---- Query ---------------------------------------------------------------------------------------

/// Bytes of memory one process gives to queries.
pub const QUERY_MEMORY_BYTES: usize = 2_048 * MIB;
/// Seconds a query may run.
pub const QUERY_TIMEOUT_SECONDS: u64 = 60;
/// Rows one answer may have; the answer says when it was cut.
pub const MAX_RESULT_ROWS: usize = 100_000;
/// Bytes of one SQL text.
pub const MAX_SQL_BYTES: usize = 256 << 10;
/// Operators in one SQL text, joins and unions counted twenty times: what bounds the depth of its expressions, which planning walks recursively.
pub const MAX_SQL_OPERATORS: usize = 2_000;
/// Queries that run at once; further ones wait.
pub const MAX_CONCURRENT_QUERIES: usize = 16;
/// Queries that may wait for one of those places; further ones are told to come back.
pub const MAX_WAITING_QUERIES: usize = 64;
/// Bytes of one JSON answer, which is held in memory until its rows are complete.
pub const MAX_RESULT_BYTES: usize = 128 * MIB;
/// Bytes one call of a SQL function may make from shorter arguments (`repeat`, `lpad`): the memory
/// pool does not see them.
pub const MAX_FUNCTION_BYTES: usize = 64 * MIB;
/// Rows of `generate_series` and `range`.
pub const MAX_SERIES_VALUES: u64 = 1_000_000;
/// Bytes of spilled query data on disk.
pub const QUERY_SPILL_BYTES: u64 = 10 << 30;
/// Milliseconds after which a cached table snapshot is looked at again.
pub const SNAPSHOT_REFRESH_MILLIS: u64 = 500;

// ---- Audit ---------------------------------------------------------------------------------------

/// Rows of a table that one step of an audit expects at most: what it holds in memory is a count per offset.
pub const MAX_AUDIT_ROWS: i64 = 2_000_000;
/// Offset ranges one step of an audit compares at most.
pub const MAX_AUDIT_RANGES: usize = 100_000;
/// Topic partitions one step of an audit compares at most: each is a condition of its questions.
pub const MAX_AUDIT_PARTITIONS: usize = 64;
/// Findings an audit or a check keeps and shows; further ones are counted.
pub const MAX_AUDIT_FINDINGS: usize = 100;
/// Dead letters one redrive sends: their payloads are held in memory, up to 64 KiB each as kept.
pub const MAX_REDRIVEN_AT_ONCE: usize = 1_000;
/// Seconds one question of an audit may run: large tables take their time.
pub const AUDIT_TIMEOUT_SECONDS: u64 = 24 * 3_600;

// ---- Process -------------------------------------------------------------------------------------

/// Seconds a drain may take, from the signal to the end of the process.
pub const SHUTDOWN_DEADLINE_SECONDS: u64 = 30;
/// Bytes of a configuration file; a real one is a few hundred lines.
pub const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// Open connections of the health endpoint: probes only.
pub const MAX_ADMIN_CONNECTIONS: usize = 64;
/// Bytes of one HTTP answer the command line reads into memory.
pub const MAX_ANSWER_BYTES: usize = 1_024 * MIB;

const _: () = {
    assert!(MAX_AUDIT_PARTITIONS <= MAX_AUDIT_RANGES);
    assert!(MAX_TRACE_BODY_BYTES <= MAX_DECOMPRESSED_BYTES);
    assert!(MAX_OTLP_BODY_BYTES <= MAX_DECOMPRESSED_BYTES);
    assert!(RATIO_FLOOR_BYTES < MAX_DECOMPRESSED_BYTES);
    assert!(2 * MAX_DECOMPRESSED_BYTES <= MAX_BYTES_IN_FLIGHT);
    assert!(MAX_MESSAGE_BYTES < MIB);
    assert!(MAX_MESSAGE_BYTES + MAX_MESSAGE_HEADER_BYTES < 1_048_588);
    assert!(MAX_BATCH_MESSAGES <= MAX_PARTITION_QUEUE_MESSAGES);
    assert!(MAX_MESSAGE_BYTES <= MAX_CONSUMED_MESSAGE_BYTES);
    assert!(PRODUCE_TIMEOUT_MILLIS < REQUEST_DEADLINE_SECONDS * 1_000);
    assert!(MAX_ATTRIBUTE_VALUE_BYTES <= MAX_MESSAGE_TEXT_BYTES);
    assert!(SNAPSHOT_REFRESH_MILLIS < 1_000);
    assert!(MAX_DEPTH <= 100);
    assert!(MAX_STACK_TAIL_BYTES < MAX_STACK_BYTES && MAX_STACK_BYTES <= MAX_MESSAGE_TEXT_BYTES);
    assert!(MAX_MESSAGE_TEXT_BYTES < MAX_LINE_BYTES);
    assert!(COMPACTED_FILE_BYTES < MAX_COMPACTED_FILE_BYTES);
    assert!(MAX_COMPACTED_FILE_BYTES < MAX_MERGE_BYTES);
    assert!(MAX_VACUUM_HORIZON_SECONDS < LOG_HORIZON_SECONDS && UNREAD_LOG_HORIZONS > 1);
    assert!(MAX_QUIET_SECONDS < MIN_VACUUM_HORIZON_SECONDS);
    assert!(MAX_ISSUES_PER_SERVICE < MAX_ISSUES && MAX_ISSUE_VARIANTS < MAX_ALIASES);
    assert!(MAX_MINED_CANDIDATES < MAX_ISSUES_PER_SERVICE);
};
