//! `sketch_quantile(sketch, q)`: a quantile of each row's sketch.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use schemas::sketch::Sketch;

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SketchQuantile {
    signature: Signature,
}

impl SketchQuantile {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for SketchQuantile {
    fn name(&self) -> &str {
        "sketch_quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Binary | DataType::LargeBinary | DataType::BinaryView, q]
                if q.is_numeric() =>
            {
                Ok(vec![DataType::Binary, DataType::Float64])
            }
            _ => plan_err!(
                "sketch_quantile takes a sketch and a quantile: sketch_quantile(sketch, 0.99)"
            ),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [sketches, quantiles] = arrays.as_slice() else {
            return Err(DataFusionError::Internal(
                "sketch_quantile takes two arguments".to_owned(),
            ));
        };
        let rows =
            sketches.as_binary::<i32>().iter().zip(quantiles.as_primitive::<Float64Type>().iter());
        let values: Float64Array = rows
            .map(|(bytes, q)| match (bytes, q) {
                (Some(bytes), Some(q)) => {
                    let sketch = Sketch::from_bytes(bytes);
                    sketch
                        .map(|sketch| sketch.quantile(q))
                        .map_err(|error| DataFusionError::Execution(error.to_string()))
                }
                _ => Ok(None),
            })
            .collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(values) as ArrayRef))
    }
}
