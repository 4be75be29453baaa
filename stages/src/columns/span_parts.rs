//! The nested columns of table `spans`: links and events.

use arrow::array::{ArrayRef, Int64Builder, StringBuilder, StructArray};
use arrow::error::ArrowError;
use schemas::limits::{MAX_EVENTS, MAX_LINKS};
use schemas::span::{event_fields, link_fields};

use super::parts::{Held, Offsets, TextMap, array, list, text_or_null};
use crate::span::{Link, SpanEvent};

/// `list<struct<trace_id, span_id, tracestate, attributes>>`.
#[derive(Debug, Default)]
pub(super) struct LinkList {
    offsets: Offsets,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    tracestate: StringBuilder,
    attributes: TextMap,
    length: usize,
}

impl LinkList {
    /// One row, at most [`MAX_LINKS`].
    pub(super) fn row(&mut self, links: &[Link<'_>]) {
        for link in links.iter().take(MAX_LINKS) {
            self.trace_id.append_value(link.trace_id.hex().as_str());
            self.span_id.append_value(link.span_id.hex().as_str());
            text_or_null(&mut self.tracestate, link.tracestate);
            self.attributes.row(&link.attributes);
            self.length += 1;
        }
        self.offsets.end_row(self.length);
    }

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + self.attributes.held() + self.tracestate.held() + self.length * 56
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.length = 0;
        let columns = vec![
            array(self.trace_id.finish()),
            array(self.span_id.finish()),
            array(self.tracestate.finish()),
            self.attributes.finish()?,
        ];
        let links = StructArray::try_new(link_fields(), columns, None)?;
        list(&mut self.offsets, array(links))
    }
}

/// `list<struct<time_ns, name, attributes>>`.
#[derive(Debug, Default)]
pub(super) struct EventList {
    offsets: Offsets,
    time: Int64Builder,
    name: StringBuilder,
    attributes: TextMap,
    length: usize,
}

impl EventList {
    /// One row, at most [`MAX_EVENTS`].
    pub(super) fn row(&mut self, events: &[SpanEvent<'_>]) {
        for event in events.iter().take(MAX_EVENTS) {
            self.time.append_value(event.time.nanos());
            self.name.append_value(event.name);
            self.attributes.row(&event.attributes);
            self.length += 1;
        }
        self.offsets.end_row(self.length);
    }

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + self.attributes.held() + self.name.held() + self.length * 8
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.length = 0;
        let columns =
            vec![array(self.time.finish()), array(self.name.finish()), self.attributes.finish()?];
        let events = StructArray::try_new(event_fields(), columns, None)?;
        list(&mut self.offsets, array(events))
    }
}
