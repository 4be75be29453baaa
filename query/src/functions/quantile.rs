//! `quantile(value, q)`: any quantile (0 to 1) of a sketch column or of a numeric column.

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

use super::percentile::{QuantileAccumulator, state_field};
use super::sketch_state::coerce;

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quantile {
    signature: Signature,
}

impl Quantile {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &str {
        "quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [value, q] if q.is_numeric() => Ok(vec![coerce("quantile", value)?, DataType::Float64]),
            _ => plan_err!(
                "quantile takes two arguments: a sketch or a number, and a quantile from 0 to 1"
            ),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("quantile does not take DISTINCT");
        }
        let literal = args.exprs.get(1).and_then(|expr| expr.downcast_ref::<Literal>());
        match literal.map(Literal::value) {
            Some(ScalarValue::Float64(Some(q))) if (0.0..=1.0).contains(q) => {
                Ok(Box::new(QuantileAccumulator::new(*q)))
            }
            _ => plan_err!(
                "the second argument of quantile must be a number from 0 to 1, written out"
            ),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![state_field(args.name)])
    }
}
