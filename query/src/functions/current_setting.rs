//! `current_setting(name)`: what PostgreSQL clients ask a server about itself.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CurrentSetting {
    signature: Signature,
}

impl CurrentSetting {
    pub(crate) fn new() -> Self {
        let name = TypeSignature::Exact(vec![DataType::Utf8]);
        let name_or_null = TypeSignature::Exact(vec![DataType::Utf8, DataType::Boolean]);
        Self { signature: Signature::one_of(vec![name, name_or_null], Volatility::Stable) }
    }
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(names) = arrays.first() else {
            return Err(DataFusionError::Internal("current_setting takes a name".to_owned()));
        };
        let values: StringArray =
            names.as_string::<i32>().iter().map(|name| name.and_then(setting)).collect();
        Ok(ColumnarValue::Array(Arc::new(values) as ArrayRef))
    }
}

/// The version is that of the protocol and catalog clients find here, not a promise of its features.
fn setting(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "server_version_num" => Some("160006"),
        "server_version" => Some("16.6"),
        "search_path" => Some(crate::postgres::search_path::SEARCH_PATH),
        "timezone" => Some("UTC"),
        "server_encoding" | "client_encoding" => Some("UTF8"),
        "default_transaction_read_only"
        | "transaction_read_only"
        | "standard_conforming_strings" => Some("on"),
        "max_index_keys" => Some("32"),
        _ => None,
    }
}
