//! Table `spans`.

use arrow::array::{
    BooleanBuilder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::limits::MAX_MESSAGE_TEXT_BYTES;
use schemas::table::Table;

use super::lineage::LineageColumns;
use super::parts::{self, Held, NumberMap, TextMap, array, head};
use super::span_parts::{EventList, LinkList};
use super::{Lineage, TableColumns};
use crate::span::Span;

/// Builder of table `spans`.
#[derive(Debug, Default)]
pub struct SpanColumns {
    timestamp: TimestampMicrosecondBuilder,
    start: Int64Builder,
    duration: Int64Builder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    parent_id: StringBuilder,
    service: StringBuilder,
    env: StringBuilder,
    version: StringBuilder,
    host: StringBuilder,
    name: StringBuilder,
    resource: StringBuilder,
    span_type: StringBuilder,
    kind: StringBuilder,
    error: BooleanBuilder,
    error_kind: StringBuilder,
    error_message: StringBuilder,
    error_stack: StringBuilder,
    issue_id: StringBuilder,
    http_method: StringBuilder,
    http_route: StringBuilder,
    http_status_code: Int32Builder,
    db_system: StringBuilder,
    peer_service: StringBuilder,
    attributes: TextMap,
    metrics: NumberMap,
    links: LinkList,
    events: EventList,
    lineage: LineageColumns,
}

impl SpanColumns {
    /// Adds a row.
    pub fn push(&mut self, span: &Span<'_>, lineage: &Lineage<'_>) {
        self.timestamp.append_value(span.start.micros());
        self.start.append_value(span.start.nanos());
        self.duration.append_value(span.duration_ns);
        self.trace_id.append_value(span.trace_id.hex().as_str());
        self.span_id.append_value(span.span_id.hex().as_str());
        match span.parent_id {
            Some(parent) => self.parent_id.append_value(parent.hex().as_str()),
            None => self.parent_id.append_value(""),
        }
        self.service.append_value(span.service);
        self.env.append_value(span.env);
        self.version.append_value(span.version);
        self.host.append_value(span.host);
        self.name.append_value(span.name);
        self.resource.append_value(span.resource);
        self.span_type.append_value(span.span_type);
        self.kind.append_value(span.kind);
        self.error.append_value(span.error);
        let cut = |text: Option<_>| text.map(|text| head(text, MAX_MESSAGE_TEXT_BYTES));
        self.error_kind.append_option(cut(span.error_kind));
        self.error_message.append_option(cut(span.error_message));
        self.error_stack.append_option(cut(span.error_stack));
        parts::id_or_null(
            &mut self.issue_id,
            span.errors.first().map(|error| error.issue_id.hex()),
        );
        self.http_method.append_option(span.http_method);
        self.http_route.append_option(span.http_route);
        self.http_status_code.append_option(span.http_status_code);
        self.db_system.append_option(span.db_system);
        self.peer_service.append_option(span.peer_service);
        self.attributes.row(&span.attributes);
        self.metrics.row(&span.metrics);
        self.links.row(&span.links);
        self.events.row(&span.events);
        self.lineage.push(lineage, span.index);
    }

    fn texts(&mut self) -> [&mut StringBuilder; 11] {
        [
            &mut self.trace_id,
            &mut self.span_id,
            &mut self.parent_id,
            &mut self.service,
            &mut self.env,
            &mut self.version,
            &mut self.host,
            &mut self.name,
            &mut self.resource,
            &mut self.span_type,
            &mut self.kind,
        ]
    }
}

impl TableColumns for SpanColumns {
    const TABLE: Table = Table::Spans;

    fn rows(&self) -> usize {
        self.start.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.service,
            &self.env,
            &self.version,
            &self.host,
            &self.name,
            &self.resource,
            &self.span_type,
            &self.kind,
            &self.error_kind,
            &self.error_message,
            &self.error_stack,
            &self.issue_id,
            &self.http_method,
            &self.http_route,
            &self.db_system,
            &self.peer_service,
        ];
        // Ids are 64 bytes and three offsets, numbers 29 bytes a row.
        texts.into_iter().map(Held::held).sum::<usize>()
            + self.attributes.held()
            + self.metrics.held()
            + self.links.held()
            + self.events.held()
            + self.lineage.held()
            + self.rows() * 105
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![
            array(self.timestamp.finish().with_timezone("UTC")),
            array(self.start.finish()),
            array(self.duration.finish()),
        ];
        columns.extend(self.texts().map(|column| array(column.finish())));
        columns.extend([
            array(self.error.finish()),
            array(self.error_kind.finish()),
            array(self.error_message.finish()),
            array(self.error_stack.finish()),
            array(self.issue_id.finish()),
            array(self.http_method.finish()),
            array(self.http_route.finish()),
            array(self.http_status_code.finish()),
            array(self.db_system.finish()),
            array(self.peer_service.finish()),
            self.attributes.finish()?,
            self.metrics.finish()?,
            self.links.finish()?,
            self.events.finish()?,
        ]);
        columns.extend(self.lineage.finish()?);
        parts::batch(Self::TABLE, columns)
    }
}
