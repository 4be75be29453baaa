//! Table `logs`.

use std::cell::RefCell;

use arrow::array::{Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::error::ArrowError;
use schemas::id::{SpanId, TraceId};
use schemas::limits::{MAX_MESSAGE_TEXT_BYTES, MAX_TAGS};
use schemas::log::{ERROR_KIND_PATHS, ERROR_MESSAGE_PATHS, ERROR_STACK_PATHS};
use schemas::status::Status;
use schemas::table::Table;

use super::lineage::LineageColumns;
use super::parts::{
    self, Held, Size, TextList, TextMap, Texts, array, head, id_or_null, text_or_null,
};
use super::{Lineage, TableColumns};
use crate::event::LogEvent;
use crate::value::{Attributes, Value};

thread_local! {
    /// What each text column held when a unit was last finished. It changes no row.
    static LAST: RefCell<Vec<Size>> = const { RefCell::new(Vec::new()) };
}

/// Builder of table `logs`.
#[derive(Debug, Default)]
pub struct LogColumns {
    timestamp: TimestampMicrosecondBuilder,
    timestamp_ns: Int64Builder,
    observed: TimestampMicrosecondBuilder,
    service: Texts,
    env: Texts,
    version: Texts,
    host: Texts,
    source: Texts,
    status: Texts,
    message: Texts,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    errors: [StringBuilder; 3],
    issue_id: StringBuilder,
    index: Texts,
    attributes: TextMap,
    tags: TextList,
    lineage: LineageColumns,
}

impl LogColumns {
    /// Adds a row. The error attributes move to their columns: they are not repeated in the map.
    pub fn push(&mut self, event: &LogEvent<'_>, index: &str, lineage: &Lineage<'_>) {
        if self.rows() == 0 {
            self.begin();
        }
        let time = event.time();
        self.timestamp.append_value(time.micros());
        self.timestamp_ns.append_value(time.nanos());
        self.observed.append_value(event.observed.unwrap_or(event.received).micros());
        self.service.append_value(event.service);
        self.env.append_value(event.env);
        self.version.append_value(event.version);
        self.host.append_value(event.host);
        self.source.append_value(event.source);
        self.status.append_value(event.status.unwrap_or(Status::Info).as_str());
        self.message.append_value(head(event.message, MAX_MESSAGE_TEXT_BYTES));
        id_or_null(&mut self.trace_id, event.trace_id.map(TraceId::hex));
        id_or_null(&mut self.span_id, event.span_id.map(SpanId::hex));
        id_or_null(&mut self.issue_id, event.error.map(|error| error.issue_id.hex()));
        self.index.append_value(index);
        self.push_attributes(event);
        for tag in event.tags.iter().take(MAX_TAGS) {
            self.tags.item(tag);
        }
        self.tags.end_row();
        self.lineage.push(lineage, event.index);
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut Texts> {
        let own = [
            &mut self.service,
            &mut self.env,
            &mut self.version,
            &mut self.host,
            &mut self.source,
            &mut self.status,
            &mut self.message,
            &mut self.index,
        ];
        let parts = self.attributes.texts().into_iter().chain(self.lineage.texts());
        own.into_iter().chain(parts).chain([self.tags.texts()])
    }

    /// Makes room for as much as the last unit of this thread held: growing step by step would take twice the
    /// memory, and taking memory is the most expensive part of a row.
    fn begin(&mut self) {
        LAST.with_borrow(|last| {
            self.texts().zip(last).for_each(|(texts, size)| texts.reserve(*size))
        });
    }

    fn push_attributes(&mut self, event: &LogEvent<'_>) {
        let attributes = &event.attributes;
        // Most logs have no such attribute: one look at the first letters saves eight searches.
        let any = attributes.iter().any(|(key, _)| key.starts_with('e'));
        let paths = [ERROR_KIND_PATHS, ERROR_MESSAGE_PATHS, ERROR_STACK_PATHS];
        let moved = paths.map(|paths| if any { chosen(attributes, paths) } else { None });
        for (column, found) in self.errors.iter_mut().zip(moved) {
            match found {
                Some((_, text)) => text_or_null(column, head(text, MAX_MESSAGE_TEXT_BYTES)),
                None => column.append_null(),
            }
        }
        for (key, value) in parts::stored(attributes) {
            if !moved.iter().flatten().any(|(path, _)| *path == key) {
                self.attributes.pair(key, &value);
            }
        }
        let cut = event.message.len() > MAX_MESSAGE_TEXT_BYTES;
        if cut && attributes.get("_truncated").is_none() {
            self.attributes.pair("_truncated", &Value::Bool(true));
        }
        self.attributes.end_row(attributes.dropped());
    }
}

/// The first of `paths` that holds text.
fn chosen<'b>(
    attributes: &Attributes<'b>,
    paths: &[&'static str],
) -> Option<(&'static str, &'b str)> {
    paths.iter().find_map(|path| Some((*path, attributes.get_str(path)?)))
}

impl TableColumns for LogColumns {
    const TABLE: Table = Table::Logs;

    fn rows(&self) -> usize {
        self.timestamp_ns.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.service,
            &self.env,
            &self.version,
            &self.host,
            &self.source,
            &self.status,
            &self.message,
            &self.index,
        ];
        let ids = [&self.trace_id, &self.span_id, &self.issue_id];
        let texts: usize = texts.into_iter().map(Held::held).sum();
        texts
            + ids.into_iter().chain(&self.errors).map(Held::held).sum::<usize>()
            + self.attributes.held()
            + self.tags.held()
            + self.lineage.held()
            + self.rows() * 24
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let sizes: Vec<Size> = self.texts().map(|texts| texts.size()).collect();
        LAST.set(sizes);
        let [kind, message, stack] = self.errors.each_mut().map(|column| array(column.finish()));
        let mut columns = vec![
            array(self.timestamp.finish().with_timezone("UTC")),
            array(self.timestamp_ns.finish()),
            array(self.observed.finish().with_timezone("UTC")),
            self.service.finish()?,
            self.env.finish()?,
            self.version.finish()?,
            self.host.finish()?,
            self.source.finish()?,
            self.status.finish()?,
            self.message.finish()?,
            array(self.trace_id.finish()),
            array(self.span_id.finish()),
            kind,
            message,
            stack,
            array(self.issue_id.finish()),
            self.index.finish()?,
            self.attributes.finish()?,
            self.tags.finish()?,
        ];
        columns.extend(self.lineage.finish()?);
        parts::batch(Self::TABLE, columns)
    }
}
