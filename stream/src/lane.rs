//! A lane: some partitions, the stages, and the columns they fill. Pure and synchronous; one
//! thread drives each lane, and benches drive one without any IO.
//!
//! For every partition and unit, `received = indexed + excluded + dead_letter` in events: each
//! event of a message is counted as received once and as exactly one of the others once.

mod message;
pub mod quota_book;
pub mod suspects;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::error::ArrowError;
use bumpalo::Bump;
use schemas::ledger::Action;
use schemas::limits::{MAX_UNIT_BYTES, MAX_UNIT_HOURS, MAX_UNIT_ROWS};
use schemas::time::EventTime;
use schemas::topic::Signal;

use crate::mutant::{Mutant, planted};
use crate::source::Batch;
use crate::unit::{Columns, OffsetRange, Part};
use quota_book::QuotaBook;
use stages::columns::{LedgerEntry, Lineage};
use stages::input::Input;
use stages::pipeline::quota::Quotas;
use stages::pipeline::{MetricWindows, Pipeline};
use stages::record::{Record, TopicPartition};
use stages::tally::{Line, Tally};
use suspects::{Crash, Suspects};

/// Bytes of payload after which the size of the columns is looked at again: asking every builder
/// is too much for every record.
const MEASURE_EVERY_BYTES: usize = 1 << 20;
/// Arena bytes kept between messages; a larger arena, left by one huge message, is given back.
const MAX_IDLE_ARENA_BYTES: usize = 8 << 20;

/// When a lane's share of a unit is full.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Bytes of columns.
    pub bytes: usize,
    /// Rows.
    pub rows: usize,
    /// Event hours per table.
    pub hours: usize,
}

impl Share {
    /// One lane's share of the unit limits, of so many lanes.
    pub fn of(lanes: usize) -> Self {
        let lanes = lanes.max(1);
        Self {
            bytes: MAX_UNIT_BYTES / lanes,
            rows: MAX_UNIT_ROWS / lanes,
            hours: (MAX_UNIT_HOURS / lanes).max(1),
        }
    }
}

/// A partition given to a lane.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The partition.
    pub partition: TopicPartition,
    /// What its topic carries.
    pub signal: Signal,
    /// How messages are read that do not say so in a `content-type` header.
    pub input: Input,
    /// First offset to process.
    pub next_offset: i64,
    /// Its logical clock as the log has it; `None` for a partition nobody has read yet.
    pub clock: Option<EventTime>,
}

/// One partition's state within a lane.
#[derive(Debug)]
struct PartitionState {
    signal: Signal,
    input: Input,
    windows: MetricWindows,
    tally: Tally,
    from: i64,
    next: i64,
    messages: i64,
    clock: EventTime,
    /// Kafka's timestamp of this unit's last message.
    last: Option<EventTime>,
    /// The clock among this unit's messages alone: the time of its ledger rows.
    latest: Option<EventTime>,
}

/// The stages and the columns of some partitions.
#[derive(Debug)]
pub struct Lane {
    pipeline: Arc<Pipeline>,
    share: Share,
    partitions: BTreeMap<TopicPartition, PartitionState>,
    columns: Columns,
    arena: Bump,
    unmeasured: usize,
    full: bool,
    missing: i64,
    suspects: Arc<Suspects>,
    crash: Option<Crash>,
    quotas: Quotas,
    book: Arc<QuotaBook>,
    keep_raw: KeepRaw,
}

/// Which messages are kept as they came, in table `raw_messages`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeepRaw {
    /// None: what was excluded can be brought back as long as Kafka has it.
    #[default]
    Nothing,
    /// Those with an excluded event.
    Excluded,
    /// All of them.
    Everything,
}

impl Lane {
    /// A lane without partitions.
    pub fn new(pipeline: Arc<Pipeline>, share: Share) -> Self {
        let quotas = Quotas::new(&pipeline);
        Self {
            pipeline,
            share,
            partitions: BTreeMap::new(),
            columns: Columns::default(),
            arena: Bump::new(),
            unmeasured: 0,
            full: false,
            missing: 0,
            suspects: Arc::default(),
            crash: None,
            quotas,
            book: Arc::default(),
            keep_raw: KeepRaw::Nothing,
        }
    }

    /// Counts the daily limits of indexes together with other lanes.
    pub fn with_quota_book(mut self, book: Arc<QuotaBook>) -> Self {
        self.book = book;
        self
    }

    /// Keeps messages as they came.
    pub fn with_raw(mut self, keep_raw: KeepRaw) -> Self {
        self.keep_raw = keep_raw;
        self
    }

    /// Knows of records that crashed other lanes, or this one before.
    pub fn with_suspects(mut self, suspects: Arc<Suspects>) -> Self {
        self.suspects = suspects;
        self
    }

    /// The record that crashed this lane. Until it is reset it processes nothing and hands over nothing.
    pub fn crash(&self) -> Option<&Crash> {
        self.crash.as_ref()
    }

    /// Takes a partition on.
    pub fn assign(&mut self, assigned: Assigned) {
        let state = PartitionState {
            signal: assigned.signal,
            input: assigned.input,
            windows: MetricWindows::new(&self.pipeline),
            tally: Tally::default(),
            from: assigned.next_offset,
            next: assigned.next_offset,
            messages: 0,
            clock: assigned.clock.unwrap_or(EventTime::from_nanos(i64::MIN)),
            last: None,
            latest: None,
        };
        self.partitions.insert(assigned.partition, state);
    }

    /// The first offset of a partition that was not processed yet.
    pub fn next_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition).map(|state| state.next)
    }

    /// Goes on with another pipeline. Right after [`Self::cut`]: metrics of the old one that are still open would be
    /// lost.
    pub fn switch(&mut self, pipeline: &Arc<Pipeline>) {
        self.pipeline = Arc::clone(pipeline);
        self.quotas = Quotas::new(pipeline);
        for state in self.partitions.values_mut() {
            state.windows = MetricWindows::new(pipeline);
        }
    }

    /// Gives partitions up. Right after [`Self::cut`]: what came since would be lost.
    pub fn release(&mut self, partitions: &[TopicPartition]) {
        self.partitions.retain(|partition, _| !partitions.contains(partition));
    }

    /// Throws away what came since the last barrier, and all partitions: rows of one can not be told apart from
    /// those of another, so whoever loses one reads all again.
    pub fn reset(&mut self) {
        self.partitions.clear();
        self.columns = Columns::default();
        self.arena = Bump::new();
        self.crash = None;
        self.quotas = Quotas::new(&self.pipeline);
        (self.unmeasured, self.full, self.missing) = (0, false, 0);
    }

    /// Takes records through decode and stages into the columns. Offsets already seen are
    /// skipped; offsets that never came are counted. Records of partitions the lane does not hold
    /// are ignored: their owner reads them.
    pub fn process(&mut self, batch: &Batch) {
        self.process_some(&batch.partition, &batch.records);
        self.measure();
    }

    /// Some records of a batch; [`Self::measure`] is due after the last of them.
    pub(crate) fn process_some(&mut self, partition: &TopicPartition, records: &[Record]) {
        if self.crash.is_some() {
            return;
        }
        let Self { pipeline, partitions, columns, arena, suspects, quotas, book, keep_raw, .. } =
            self;
        if !quotas.is_empty() {
            quotas.rebase(&book.kept());
        }
        let Some(state) = partitions.get_mut(partition) else {
            tracing::debug!(?partition, "records of a partition not held here");
            return;
        };
        for record in records {
            if record.offset < state.next {
                continue;
            }
            self.missing += record.offset - state.next;
            state.next = record.offset.saturating_add(1);
            state.messages += 1;
            state.clock = state.clock.max(record.timestamp);
            state.last = Some(record.timestamp);
            state.latest = state.latest.max(Some(record.timestamp));
            let mut message = message::Message {
                pipeline,
                signal: state.signal,
                input: &state.input,
                windows: &mut state.windows,
                tally: &mut state.tally,
                quotas,
                columns,
                keep_raw: *keep_raw,
                excluded: 0,
                lineage: Lineage {
                    topic: &partition.topic,
                    partition: partition.partition,
                    offset: record.offset,
                    pipeline_version: pipeline.version(),
                },
            };
            let reason = suspects.quarantined(partition, record.offset);
            // Decoder and stages have guards of their own. What panics outside of them leaves columns half
            // filled: the lane is of no use until it is reset.
            let done = catch_unwind(AssertUnwindSafe(|| match reason {
                Some(panic) => message.quarantine(record, &panic),
                None => message.process(arena, record),
            }));
            if let Err(panic) = done {
                let text = message::panic_text(panic.as_ref());
                self.crash = Some(suspects.crashed(partition, record.offset, text));
                self.full = false;
                return;
            }
            message.keep(record);
            if arena.allocated_bytes() > MAX_IDLE_ARENA_BYTES {
                *arena = Bump::new();
            } else {
                arena.reset();
            }
            self.unmeasured += record.payload.len();
        }
    }

    /// Everything up to this offset was read: what did not come is not there.
    pub fn skip_to(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(state) = self.partitions.get_mut(partition) {
            self.missing += offset.saturating_sub(state.next).max(0);
            state.next = state.next.max(offset);
        }
    }

    /// Whether the lane's share of the unit is used up and a barrier is due. Judged after each
    /// batch: the last one may go over.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Whether anything has come since the last barrier.
    pub fn is_idle(&self) -> bool {
        self.partitions.values().all(|state| state.from == state.next)
    }

    /// Looks whether the share is used up.
    pub(crate) fn measure(&mut self) {
        if self.crash.is_some() {
            return;
        }
        let rows = self.columns.rows() >= self.share.rows;
        let hours = self.columns.hours() >= self.share.hours;
        self.full |= rows || hours;
        if !self.full && self.unmeasured >= MEASURE_EVERY_BYTES {
            self.unmeasured = 0;
            self.full = self.columns.bytes() >= self.share.bytes;
        }
    }

    /// The barrier: metrics and ledger are closed, and everything since the last barrier is
    /// handed over.
    pub fn cut(&mut self) -> Result<Part, ArrowError> {
        if self.crash.is_some() {
            return Ok(Part::default());
        }
        let Self { pipeline, partitions, columns, .. } = self;
        let mut ranges = Vec::new();
        for (partition, state) in partitions {
            if state.from == state.next {
                continue;
            }
            let mut lineage = Lineage {
                topic: &partition.topic,
                partition: partition.partition,
                offset: state.from,
                pipeline_version: pipeline.version(),
            };
            if !planted(Mutant::MetricsLeftOpen) {
                state.windows.drain(&mut |point, offset| {
                    columns.point(point, &Lineage { offset, ..lineage });
                });
            }
            lineage.offset = state.from;
            let range = OffsetRange {
                partition: partition.clone(),
                from: state.from,
                to: state.next,
                messages: state.messages,
                clock: state.clock,
                last: state.last,
            };
            let latest = state.latest.unwrap_or(state.clock);
            for line in state.tally.take() {
                let mut entry = entry(&line, state.signal, latest, &range);
                if state.signal == Signal::Logs {
                    entry.cost = pipeline.cost(line.action, &line.rule, line.count);
                }
                columns.ledger(&entry, &lineage);
            }
            (state.from, state.messages, state.latest) = (state.next, 0, None);
            ranges.push(range);
        }
        (self.full, self.unmeasured) = (false, 0);
        let batches = self.columns.finish()?;
        let kept = self.quotas.take();
        self.book.hand_over(&kept);
        Ok(Part { batches, ranges, kept, missing: std::mem::take(&mut self.missing) })
    }
}

fn entry<'a>(
    line: &'a Line,
    signal: Signal,
    timestamp: EventTime,
    range: &OffsetRange,
) -> LedgerEntry<'a> {
    let received = line.action == Action::Received;
    LedgerEntry {
        timestamp,
        signal,
        action: line.action,
        rule: &line.rule,
        service: &line.service,
        events: line.count.events,
        bytes: line.count.bytes,
        messages: if received { range.messages } else { 0 },
        from_offset: range.from,
        to_offset: range.to,
        cost: None,
    }
}

#[cfg(test)]
mod tests;
