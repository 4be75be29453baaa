//! One message through decode, stages and into the columns, with every event accounted for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bumpalo::Bump;
use schemas::ledger::Action;
use schemas::topic::{CONTENT_TYPE, Signal};

use super::KeepRaw;
use crate::crash_point;
use crate::unit::Columns;
use stages::columns::{DeadLetter, Lineage};
use stages::decode::{self, Decoded, Items, Refusal};
use stages::event::LogEvent;
use stages::input::Input;
use stages::pipeline::quota::Quotas;
use stages::pipeline::{Fate, MetricWindows, Pipeline};
use stages::record::Record;
use stages::tally::Tally;

/// Dead-letter reason: the payload has no bytes (a tombstone).
pub(super) const EMPTY_PAYLOAD: &str = "empty_payload";
/// Dead-letter reason: the decoder panicked. A bug of ours; the record is kept for its fix.
pub(super) const DECODER_PANIC: &str = "decoder_panic";
/// Dead-letter reason: a stage panicked on this event.
pub(super) const PIPELINE_PANIC: &str = "pipeline_panic";

/// Dead-letter reason: the record crashed a lane twice, outside of what is guarded.
pub(super) const QUARANTINED: &str = "quarantined";
/// A payload that crashes the lane, in tests.
#[cfg(test)]
pub(super) const TRAP: &[u8] = b"crash the lane";

/// The place of one message: its partition's state and where its rows go.
pub(super) struct Message<'l> {
    pub(super) pipeline: &'l Pipeline,
    pub(super) signal: Signal,
    pub(super) input: &'l Input,
    pub(super) windows: &'l mut MetricWindows,
    pub(super) tally: &'l mut Tally,
    pub(super) quotas: &'l mut Quotas,
    pub(super) columns: &'l mut Columns,
    pub(super) keep_raw: KeepRaw,
    /// Events of the message that were excluded.
    pub(super) excluded: i64,
    pub(super) lineage: Lineage<'l>,
}

impl Message<'_> {
    /// Takes the message through. A panic in the decoder costs this message, one in a stage this
    /// event: it becomes a dead letter instead of a crash loop.
    pub(super) fn process(&mut self, arena: &Bump, record: &Record) {
        #[cfg(test)]
        assert!(record.payload != TRAP, "trapped");
        crash_point::read(&record.payload);
        if record.payload.is_empty() {
            return self.refuse_whole(record, EMPTY_PAYLOAD, "the message has no bytes");
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            decode::decode_input(arena, record, self.signal, self.input)
        }));
        match decoded {
            Ok(Ok(decoded)) => self.accept(arena, record, decoded),
            Ok(Err(refusal)) => self.refuse_whole(record, refusal.reason, refusal.detail),
            Err(panic) => self.refuse_whole(record, DECODER_PANIC, panic_text(panic.as_ref())),
        }
    }

    /// Takes a message that crashed the lane out of the way, unread.
    pub(super) fn quarantine(&mut self, record: &Record, panic: &str) {
        self.refuse_whole(record, QUARANTINED, panic);
    }

    fn accept<'b>(&mut self, arena: &'b Bump, record: &Record, decoded: Decoded<'b>) {
        let items = match &decoded.items {
            Items::Logs(logs) => logs.len(),
            Items::Spans(spans) => spans.len(),
            Items::Points(points) => points.len(),
        };
        let events = items + decoded.refused.len();
        if events == 0 {
            // A well-formed payload without records: nothing to account for.
            return self.tally.add(Action::Received, "", "", 0, length(&record.payload));
        }
        self.tally.add(Action::Received, "", "", count(events), length(&record.payload));
        let even = length(&record.payload) / count(events);
        match decoded.items {
            Items::Logs(logs) => {
                for mut log in logs {
                    self.log(arena, record, &mut log, even);
                }
            }
            Items::Spans(mut spans) => {
                let looked = catch_unwind(AssertUnwindSafe(|| {
                    self.pipeline.process_spans(arena, &mut spans);
                }));
                if let Err(panic) = looked {
                    let detail = panic_text(panic.as_ref());
                    for span in &spans {
                        let (index, reason) = (span.index, PIPELINE_PANIC);
                        self.refuse(record, &Refusal { index, reason, detail, bytes: &[] }, even);
                    }
                    spans.clear();
                }
                for span in &spans {
                    self.columns.span(span, &self.lineage);
                    // One on its way up is the same occurrence as where it began.
                    for error in span.errors.iter().filter(|error| !error.is_repeat) {
                        self.columns.error_event(error, &span.attributes, &[], &self.lineage);
                    }
                    let bytes = count(span.bytes);
                    self.tally.add(Action::Indexed, "spans", span.service, 1, bytes);
                }
            }
            Items::Points(points) => {
                for point in &points {
                    self.columns.point(point, &self.lineage);
                    let bytes = count(point.bytes);
                    self.tally.add(Action::Indexed, "metrics", point.service, 1, bytes);
                }
            }
        }
        for refusal in &decoded.refused {
            self.refuse(record, refusal, even);
        }
    }

    fn log<'b>(&mut self, arena: &'b Bump, record: &Record, log: &mut LogEvent<'b>, even: i64) {
        let offset = record.offset;
        let fate = catch_unwind(AssertUnwindSafe(|| {
            self.pipeline.process(arena, log, offset, self.windows)
        }));
        let bytes = count(log.bytes);
        // Before exclusion: what is thrown away is an error all the same.
        if let (Ok(_), Some(error)) = (&fate, log.error) {
            self.columns.error_event(error, &log.attributes, &log.tags, &self.lineage);
        }
        if fate.is_ok() {
            for rule in self.pipeline.sensitive(log) {
                self.tally.add(Action::Sensitive, rule, log.service, 1, bytes);
            }
        }
        match fate {
            Ok(Fate::Indexed { index }) => match self.quotas.admit(index, record.timestamp) {
                Ok(()) => {
                    self.columns.log(log, index, &self.lineage);
                    self.tally.add(Action::Indexed, index, log.service, 1, bytes);
                }
                Err(rule) => {
                    self.excluded += 1;
                    self.tally.add(Action::Excluded, rule, log.service, 1, bytes);
                }
            },
            Ok(Fate::Excluded { rule }) => {
                self.excluded += 1;
                self.tally.add(Action::Excluded, rule, log.service, 1, bytes);
            }
            Err(panic) => {
                let detail = panic_text(panic.as_ref());
                let refusal =
                    Refusal { index: log.index, reason: PIPELINE_PANIC, detail, bytes: &[] };
                self.refuse(record, &refusal, even);
            }
        }
    }

    /// Keeps the message as it came, where that is asked for: when it was processed.
    pub(super) fn keep(&mut self, record: &Record) {
        let wanted = match self.keep_raw {
            KeepRaw::Nothing => false,
            KeepRaw::Excluded => self.excluded > 0,
            KeepRaw::Everything => true,
        };
        if wanted {
            self.columns.raw_message(record, self.signal, self.excluded, &self.lineage);
        }
    }

    /// One record of a payload refused.
    fn refuse(&mut self, record: &Record, refusal: &Refusal<'_>, bytes: i64) {
        let payload = if refusal.bytes.is_empty() { &record.payload[..] } else { refusal.bytes };
        self.letter(record, refusal.reason, refusal.detail, refusal.index, payload);
        self.tally.add(Action::DeadLetter, refusal.reason, "", 1, bytes);
    }

    /// The whole message refused: one event received, one dead letter.
    fn refuse_whole(&mut self, record: &Record, reason: &str, detail: &str) {
        let bytes = length(&record.payload);
        self.tally.add(Action::Received, "", "", 1, bytes);
        self.letter(record, reason, detail, -1, &record.payload);
        self.tally.add(Action::DeadLetter, reason, "", 1, bytes);
    }

    fn letter(&mut self, record: &Record, reason: &str, detail: &str, index: i32, payload: &[u8]) {
        let letter = DeadLetter {
            timestamp: record.timestamp,
            signal: self.signal,
            format: record.header(CONTENT_TYPE).unwrap_or(self.input.format.as_str()),
            reason,
            detail,
            index,
            payload,
        };
        self.columns.dead_letter(&letter, &self.lineage);
    }
}

fn length(payload: &[u8]) -> i64 {
    count(payload.len())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
