//! Log-based metrics: partial aggregates per series and bucket, one set per topic partition.

use super::Pipeline;
use crate::point::Point;

/// The open buckets of one topic partition since the last unit.
#[derive(Debug)]
pub struct MetricWindows {}

impl MetricWindows {
    /// None open yet.
    pub fn new(pipeline: &Pipeline) -> Self {
        let _ = pipeline;
        Self {}
    }

    /// Emits every partial in the order its series and bucket first appeared, with the offset that
    /// first touched it (the lineage of the row), and forgets them.
    pub fn drain(&mut self, emit: &mut dyn FnMut(&Point<'_>, i64)) {
        let _ = emit;
    }
}
