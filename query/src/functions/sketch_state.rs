//! The state all sketch aggregates share: one DDSketch per group, fed by sketches or by numbers.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use schemas::sketch::Sketch;

/// A sketch as it grows, and its failure as a query's.
#[derive(Debug, Default)]
pub(crate) struct SketchState(Sketch);

impl SketchState {
    /// Adds a column of sketches (binary) or of numbers (double). Nulls are not measurements.
    pub(crate) fn update(&mut self, values: &ArrayRef) -> Result<()> {
        match values.data_type() {
            DataType::Float64 => {
                for value in values.as_primitive::<Float64Type>().iter().flatten() {
                    self.0.add(value, 1);
                }
                Ok(())
            }
            DataType::Binary => self.merge(values),
            DataType::Null => Ok(()),
            other => exec_err!("a sketch aggregate takes sketches or numbers, not {other}"),
        }
    }

    /// Adds a column of sketches.
    pub(crate) fn merge(&mut self, values: &ArrayRef) -> Result<()> {
        for bytes in values.as_binary::<i32>().iter().flatten() {
            let other = Sketch::from_bytes(bytes)
                .map_err(|error| DataFusionError::Execution(error.to_string()))?;
            self.0.merge(&other).map_err(|error| DataFusionError::Execution(error.to_string()))?;
        }
        Ok(())
    }

    /// The value at a quantile, null when nothing was measured.
    pub(crate) fn quantile(&self, q: f64) -> ScalarValue {
        ScalarValue::Float64(self.0.quantile(q))
    }

    /// The bytes of the sketch, null when nothing was measured.
    pub(crate) fn bytes(&self) -> ScalarValue {
        ScalarValue::Binary((self.0.count() > 0).then(|| self.0.to_bytes()))
    }

    /// Bytes in memory, for the memory pool: one counter per distinct bin, at most 2048 of them.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + 8 * usize::try_from(self.0.count()).unwrap_or(usize::MAX).min(2_048)
    }
}

/// The argument type an aggregate wants instead of the one it was given.
pub(crate) fn coerce(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Ok(DataType::Binary),
        given if given.is_numeric() => Ok(DataType::Float64),
        DataType::Null => Ok(DataType::Float64),
        other => plan_err!("{function} takes a sketch or a number, not {other}"),
    }
}
