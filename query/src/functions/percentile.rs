//! `p50`, `p75`, `p90`, `p95`, `p99`: a percentile of a sketch column or of a numeric column.
//!
//! Both go through the same DDSketch, within one percent of the true value, so the percentile of a
//! log-based distribution and of the raw logs it came from are the same number.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::sketch_state::{SketchState, coerce};

/// Names and the percentiles they stand for.
pub(crate) const ALL: [(&str, u8); 5] =
    [("p50", 50), ("p75", 75), ("p90", 90), ("p95", 95), ("p99", 99)];

/// One of [`ALL`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Percentile {
    name: &'static str,
    percent: u8,
    signature: Signature,
}

impl Percentile {
    pub(crate) fn new((name, percent): (&'static str, u8)) -> Self {
        Self { name, percent, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [value] => Ok(vec![coerce(self.name, value)?]),
            _ => plan_err!("{} takes one argument: a sketch or a number", self.name),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("{} does not take DISTINCT", self.name);
        }
        Ok(Box::new(QuantileAccumulator::new(f64::from(self.percent) / 100.0)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![state_field(args.name)])
    }
}

/// The one state column of a sketch aggregate.
pub(crate) fn state_field(name: &str) -> FieldRef {
    Arc::new(Field::new(format!("{name}[sketch]"), DataType::Binary, true))
}

/// Collects a sketch and answers one quantile of it.
#[derive(Debug)]
pub(crate) struct QuantileAccumulator {
    q: f64,
    sketch: SketchState,
}

impl QuantileAccumulator {
    pub(crate) fn new(q: f64) -> Self {
        Self { q, sketch: SketchState::default() }
    }
}

impl Accumulator for QuantileAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.sketch.update(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.sketch.quantile(self.q))
    }

    fn size(&self) -> usize {
        self.sketch.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.sketch.bytes()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states.first().map_or(Ok(()), |states| self.sketch.merge(states))
    }
}
