//! `time_bucket('10 seconds', timestamp)`: the start of the bucket an instant falls in, as
//! TimescaleDB names it. Buckets begin at the epoch, in UTC.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `date_bin` under the name users know, taking the interval as text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeBucket {
    date_bin: Arc<ScalarUDF>,
    signature: Signature,
}

impl TimeBucket {
    pub(crate) fn new() -> Self {
        Self { date_bin: date_bin(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        match given {
            [width, instant] if is_width(width) => {
                let instant = match instant {
                    DataType::Timestamp(..) => instant.clone(),
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => utc(),
                    DataType::Date32 | DataType::Date64 | DataType::Null => utc(),
                    other => {
                        return plan_err!(
                            "time_bucket takes an instant as its second argument, not {other}"
                        );
                    }
                };
                Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano), instant])
            }
            _ => plan_err!(
                "time_bucket takes a width and an instant: time_bucket('10 seconds', timestamp)"
            ),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.date_bin.return_type(given)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.date_bin.invoke_with_args(args)
    }
}

fn is_width(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Interval(_)
            | DataType::Duration(_)
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
    )
}
