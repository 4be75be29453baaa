//! Some consecutive records of one stretch through the stages: a unit of a replay. Units know nothing of one
//! another, so several are worked on at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use schemas::table::Table;
use schemas::topic::Signal;
use stages::input::Input;
use stages::pipeline::Pipeline;
use stages::record::{Record, TopicPartition};

use super::ReplayError;
use super::compare;
use super::diff::UnitDiff;
use super::own::Own;
use crate::archive::Position;
use crate::lane::suspects::Suspects;
use crate::lane::{Assigned, Lane, Share};
use crate::source::Batch;
use crate::unit::Part;

/// Consecutive records, to be one unit.
#[derive(Debug)]
pub struct Portion {
    /// Their partition.
    pub partition: TopicPartition,
    /// What it carries.
    pub signal: Signal,
    /// How messages are read that do not say so in a `content-type` header.
    pub input: Input,
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub to: i64,
    /// The records in between.
    pub records: Vec<Record>,
    /// Where in an archive reading goes on behind them.
    pub behind: Option<Position>,
    /// Rows the tables have of these offsets, where they are to be compared.
    pub old: Option<BTreeMap<Table, Vec<RecordBatch>>>,
}

/// A unit, not yet written.
#[derive(Debug)]
pub struct Processed {
    /// Its rows and its range.
    pub part: Part,
    /// What it changes.
    pub diff: Option<UnitDiff>,
}

/// Takes a portion through the stages, as a live lane would, and compares.
///
/// # Errors
/// Columns do not fit together, or a record crashes the lane even unread.
pub fn process(pipeline: &Arc<Pipeline>, portion: Portion) -> Result<Processed, ReplayError> {
    let Portion { partition, signal, input, from, to, records, old, .. } = portion;
    let batch = Batch { partition: partition.clone(), records };
    let suspects = Arc::new(Suspects::default());
    let part = loop {
        let mut lane =
            Lane::new(Arc::clone(pipeline), Share::of(1)).with_suspects(Arc::clone(&suspects));
        let partition = partition.clone();
        let input = input.clone();
        lane.assign(Assigned { partition, signal, input, next_offset: from, clock: None });
        lane.process(&batch);
        match lane.crash() {
            None => {
                lane.skip_to(&batch.partition, to);
                break lane.cut()?;
            }
            // Read again: the second crash of a record quarantines it.
            Some(crash) if crash.is_hopeless() => return Err(ReplayError::Hopeless(crash.clone())),
            Some(_) => {}
        }
    };
    let diff = match old {
        None => None,
        Some(old) => {
            let own = Own::of(&batch.records, signal, &input);
            Some(compare::compare(&old, &part.batches, &own)?)
        }
    };
    Ok(Processed { part, diff })
}
