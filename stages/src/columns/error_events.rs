//! Table `error_events`.

use std::collections::HashMap;

use arrow::array::{
    BooleanBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::id::{SpanId, TraceId};
use schemas::limits::{
    MAX_CONTEXT_EVENTS, MAX_CONTEXT_ISSUES, MAX_ISSUE_TEXT_BYTES, MAX_MESSAGE_TEXT_BYTES, MAX_TAGS,
};
use schemas::table::Table;
use xxhash_rust::xxh3::Xxh3;

use super::lineage::LineageColumns;
use super::parts::{self, Held, TextList, TextMap, array, head, id_or_null, text_or_null};
use super::{Lineage, TableColumns};
use crate::errors::ErrorEvent;
use crate::value::Attributes;

/// Builder of table `error_events`.
#[derive(Debug, Default)]
pub struct ErrorEventColumns {
    timestamp: TimestampMicrosecondBuilder,
    timestamp_ns: Int64Builder,
    /// `service`, `env`, `version`, `host`, `signal`, `source`, `error_kind`, `error_message`,
    /// `culprit`.
    texts: [StringBuilder; 9],
    stack: StringBuilder,
    issue_id: StringBuilder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    user: StringBuilder,
    batch: StringBuilder,
    context: BooleanBuilder,
    message: StringBuilder,
    attributes: TextMap,
    tags: TextList,
    lineage: LineageColumns,
    /// Rows with context so far, per issue and version.
    kept: HashMap<u64, u32>,
}

impl ErrorEventColumns {
    /// Adds a row, with its context while the issue has not had its share of it.
    pub fn push(
        &mut self,
        event: &ErrorEvent<'_>,
        attributes: &Attributes<'_>,
        tags: &[&str],
        lineage: &Lineage<'_>,
    ) {
        let context = self.keeps_context(event);
        self.timestamp.append_value(event.timestamp.micros());
        self.timestamp_ns.append_value(event.timestamp.nanos());
        let limit = if context { MAX_MESSAGE_TEXT_BYTES } else { MAX_ISSUE_TEXT_BYTES };
        let texts = [
            event.service,
            event.env,
            event.version,
            event.host,
            event.signal,
            event.source,
            event.kind,
            head(event.error_message, limit),
            head(event.culprit, MAX_ISSUE_TEXT_BYTES),
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        self.issue_id.append_value(event.issue_id.hex().as_str());
        id_or_null(&mut self.trace_id, event.trace_id.map(TraceId::hex));
        id_or_null(&mut self.span_id, event.span_id.map(SpanId::hex));
        text_or_null(&mut self.user, event.user);
        text_or_null(&mut self.batch, event.batch);
        self.context.append_value(context);
        let kept = |text| if context { head(text, MAX_MESSAGE_TEXT_BYTES) } else { "" };
        text_or_null(&mut self.stack, kept(event.stack));
        text_or_null(&mut self.message, kept(event.message));
        if context {
            self.attributes.row(attributes);
        } else {
            self.attributes.end_row(0);
        }
        for tag in tags.iter().take(if context { MAX_TAGS } else { 0 }) {
            self.tags.item(tag);
        }
        self.tags.end_row();
        self.lineage.push(lineage, event.index);
    }

    fn keeps_context(&mut self, event: &ErrorEvent<'_>) -> bool {
        let mut hash = Xxh3::new();
        hash.update(&event.issue_id.get().to_le_bytes());
        hash.update(event.version.as_bytes());
        let key = hash.digest();
        if self.kept.len() >= MAX_CONTEXT_ISSUES && !self.kept.contains_key(&key) {
            return false;
        }
        let kept = self.kept.entry(key).or_default();
        *kept = kept.saturating_add(1);
        *kept <= MAX_CONTEXT_EVENTS
    }
}

impl TableColumns for ErrorEventColumns {
    const TABLE: Table = Table::ErrorEvents;

    fn rows(&self) -> usize {
        self.timestamp_ns.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.stack,
            &self.issue_id,
            &self.trace_id,
            &self.span_id,
            &self.user,
            &self.batch,
            &self.message,
        ];
        texts.into_iter().chain(&self.texts).map(Held::held).sum::<usize>()
            + self.attributes.held()
            + self.tags.held()
            + self.lineage.held()
            + self.rows() * 17
            + self.kept.len() * 16
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.kept.clear();
        let mut columns = vec![
            array(self.timestamp.finish().with_timezone("UTC")),
            array(self.timestamp_ns.finish()),
        ];
        columns.extend(self.texts.each_mut().map(|column| array(column.finish())));
        columns.extend([
            array(self.stack.finish()),
            array(self.issue_id.finish()),
            array(self.trace_id.finish()),
            array(self.span_id.finish()),
            array(self.user.finish()),
            array(self.batch.finish()),
            array(self.context.finish()),
            array(self.message.finish()),
            self.attributes.finish()?,
            self.tags.finish()?,
        ]);
        columns.extend(self.lineage.finish()?);
        parts::batch(Self::TABLE, columns)
    }
}
