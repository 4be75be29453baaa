//! The lineage columns at the end of every raw table.

use arrow::array::{ArrayRef, Int32Builder, Int64Builder};
use arrow::error::ArrowError;

use super::parts::{Held, Texts, array};

/// Where a row came from: the lineage columns of the raw tables.
#[derive(Debug, Clone, Copy)]
pub struct Lineage<'a> {
    /// Topic of the message.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Content hash of the pipeline configuration.
    pub pipeline_version: &'a str,
}

/// `_topic`, `_partition`, `_offset`, `_index`, `_pipeline_version`.
#[derive(Debug, Default)]
pub(super) struct LineageColumns {
    topic: Texts,
    partition: Int32Builder,
    offset: Int64Builder,
    index: Int32Builder,
    version: Texts,
}

impl LineageColumns {
    pub(super) fn push(&mut self, lineage: &Lineage<'_>, index: i32) {
        self.topic.append_value(lineage.topic);
        self.partition.append_value(lineage.partition);
        self.offset.append_value(lineage.offset);
        self.index.append_value(index);
        self.version.append_value(lineage.pipeline_version);
    }

    pub(super) fn texts(&mut self) -> [&mut Texts; 2] {
        [&mut self.topic, &mut self.version]
    }

    pub(super) fn held(&self) -> usize {
        self.topic.held() + self.version.held() + self.partition.values_slice().len() * 16
    }

    pub(super) fn finish(&mut self) -> Result<[ArrayRef; 5], ArrowError> {
        Ok([
            self.topic.finish()?,
            array(self.partition.finish()),
            array(self.offset.finish()),
            array(self.index.finish()),
            self.version.finish()?,
        ])
    }
}
