//! `has_token(text, 'word')`: whether a text contains a word, in any case, between characters that
//! are neither letters nor digits nor `_`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct HasToken {
    signature: Signature,
}

impl HasToken {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(
                vec![DataType::Utf8View, DataType::Utf8],
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for HasToken {
    fn name(&self) -> &str {
        "has_token"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [texts, tokens] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("has_token takes two arguments".to_owned()));
        };
        let rows = texts.as_string_view().iter().zip(tokens.as_string::<i32>().iter());
        let found: BooleanArray =
            rows.map(|(text, token)| Some(has_token(text?, token?))).collect();
        Ok(ColumnarValue::Array(Arc::new(found) as ArrayRef))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn has_token(text: &str, token: &str) -> bool {
    let (text, token) = (text.as_bytes(), token.as_bytes());
    if token.is_empty() {
        return false;
    }
    text.windows(token.len()).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(token)
            && !at
                .checked_sub(1)
                .and_then(|before| text.get(before))
                .is_some_and(|byte| is_word(*byte))
            && !text.get(at + token.len()).is_some_and(|byte| is_word(*byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_between_other_characters() {
        for (text, token, expected) in [
            ("Connection timeout: host", "timeout", true),
            ("Connection TIMEOUT", "timeout", true),
            ("timeouts happen", "timeout", false),
            ("my_timeout", "timeout", false),
            ("timeout", "timeout", true),
            ("", "timeout", false),
            ("anything", "", false),
            ("préfixe", "fixe", false),
        ] {
            assert_eq!(has_token(text, token), expected, "{text} {token}");
        }
    }
}
