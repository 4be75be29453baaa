//! `attr_num(attributes, 'key')`: the number under a key of a map column; null when there is none or
//! the text is no number.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Builder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::map_lookup::each_value;

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AttrNum {
    signature: Signature,
}

impl AttrNum {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AttrNum {
    fn name(&self) -> &str {
        "attr_num"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [
                holder @ DataType::Map(..),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
            ] => Ok(vec![holder.clone(), DataType::Utf8]),
            _ => plan_err!("attr_num takes a map and a key: attr_num(attributes, 'duration_ms')"),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [holder, keys] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("attr_num takes two arguments".to_owned()));
        };
        let mut values = Float64Builder::with_capacity(holder.len());
        each_value(holder, keys.as_string::<i32>(), |value| {
            values.append_option(value.and_then(|text| text.trim().parse().ok()))
        })?;
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}
