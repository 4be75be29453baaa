//! `tag(tags, 'key')`: the value of a tag, in a list of `key:value` texts (`logs`) or a map (`metrics`).

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::map_lookup::each_value;

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag {
    signature: Signature,
}

impl Tag {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Tag {
    fn name(&self) -> &str {
        "tag"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [
                holder @ (DataType::Map(..) | DataType::List(_)),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
            ] => Ok(vec![holder.clone(), DataType::Utf8]),
            _ => plan_err!("tag takes a tags column and a key: tag(tags, 'team')"),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [holder, keys] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("tag takes two arguments".to_owned()));
        };
        let mut values = StringBuilder::with_capacity(holder.len(), 16 * holder.len());
        each_value(holder, keys.as_string::<i32>(), |value| values.append_option(value))?;
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}
