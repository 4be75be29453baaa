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

// ---- Pipeline ------------------------------------------------------------------------------------

/// Series of one log-based metric per unit; further ones are added up in a series whose every
/// group-by tag is [`OVERFLOW_VALUE`].
pub const MAX_SERIES_PER_METRIC: usize = 10_000;
/// The value that marks an overflow series or ledger row.
pub const OVERFLOW_VALUE: &str = "__overflow__";
/// Distinct services per unit and partition in the ledger.
pub const MAX_LEDGER_SERVICES: usize = 1_000;
/// Processors in a configuration.
pub const MAX_PROCESSORS: usize = 1_000;
/// Grok rules in one grok parser, support rules included.
pub const MAX_GROK_RULES: usize = 500;
/// Steps one grok rule may take on one line, per byte of the line, before it counts as no match.
pub const MAX_GROK_STEPS_PER_BYTE: usize = 64;
/// Bytes of a compiled regular expression.
pub const MAX_REGEX_BYTES: usize = 4 * MIB;

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
/// Services whose issues are counted apart; errors of further ones share one overflow.
pub const MAX_ERROR_SERVICES: usize = 10_000;
/// Clusters of one template miner.
pub const MAX_TEMPLATE_CLUSTERS: usize = 10_000;
/// Clusters of one length and first word: each new template is compared with all of them.
pub const MAX_TEMPLATE_CLUSTERS_PER_LEAF: usize = 256;
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
pub const MAX_RECORD_BYTES: usize = 8 * MIB;
/// Attempts at one commit-log append before the worker halts with a named reason.
pub const MAX_APPEND_ATTEMPTS: u32 = 20;
/// Attempts at one Delta publication before it is reported and tried again with the next unit.
pub const MAX_PUBLISH_ATTEMPTS: u32 = 20;
/// Delta commits between checkpoints.
pub const CHECKPOINT_INTERVAL: u64 = 100;
/// Commit-log records between snapshots of the folded head.
pub const SNAPSHOT_INTERVAL: u64 = 100;
/// Bytes of one commit-log record or snapshot before compression.
pub const MAX_RECORD_CONTENT_BYTES: usize = 64 * MIB;
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
/// Files put into one at once: each costs a batch of rows in memory and a few requests.
pub const MAX_COMPACTION_FILES: usize = 1_024;
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
    assert!(COMPACTED_FILE_BYTES < MAX_COMPACTED_FILE_BYTES);
    assert!(MAX_VACUUM_HORIZON_SECONDS < LOG_HORIZON_SECONDS);
};
