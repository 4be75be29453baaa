//! `merge_sketch(value)`: the sketch of all rows, for several quantiles of one pass
//! (`sketch_quantile`) or to keep.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::percentile::state_field;
use super::sketch_state::{SketchState, coerce};

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MergeSketch {
    signature: Signature,
}

impl MergeSketch {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for MergeSketch {
    fn name(&self) -> &str {
        "merge_sketch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [value] => Ok(vec![coerce("merge_sketch", value)?]),
            _ => plan_err!("merge_sketch takes one argument: a sketch or a number"),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("merge_sketch does not take DISTINCT");
        }
        Ok(Box::new(MergeAccumulator(SketchState::default())))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![state_field(args.name)])
    }
}

#[derive(Debug)]
struct MergeAccumulator(SketchState);

impl Accumulator for MergeAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.0.update(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.0.bytes())
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.0.bytes()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states.first().map_or(Ok(()), |states| self.0.merge(states))
    }
}
