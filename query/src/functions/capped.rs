//! Built-in functions whose result can be far larger than their arguments, with a cap.
//!
//! One short statement must not exhaust memory: `repeat('x', 4000000000)` is twenty bytes of SQL.
//! The memory pool does not see what a function allocates.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;
use schemas::limits::{MAX_FUNCTION_BYTES, MAX_SERIES_VALUES};

/// What bounds the size of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// Argument 1 is a count of copies of argument 0: text, or array elements.
    Copies,
    /// Argument 1 is a length.
    Length,
    /// The arguments are the ends and the step of a series.
    Series,
    /// Every occurrence of argument 1 in argument 0 becomes argument 2.
    Substitution,
}

const CAPPED: [(&str, Growth); 8] = [
    ("repeat", Growth::Copies),
    ("lpad", Growth::Length),
    ("rpad", Growth::Length),
    ("array_repeat", Growth::Copies),
    ("array_resize", Growth::Length),
    ("range", Growth::Series),
    ("generate_series", Growth::Series),
    ("replace", Growth::Substitution),
];

/// Replaces the functions of [`CAPPED`] and the table functions by capped ones.
pub(crate) fn register(context: &SessionContext) {
    for (name, growth) in CAPPED {
        if let Ok(inner) = context.state().udf(name) {
            context.register_udf(ScalarUDF::from(Capped { inner, growth }));
        }
    }
    for name in ["range", "generate_series"] {
        let inner = context
            .state()
            .table_functions()
            .get(name)
            .map(|function| Arc::clone(function.function()));
        if let Some(inner) = inner {
            context.register_udtf(name, Arc::new(CappedSeries { name, inner }));
        }
    }
}

/// A scalar function that looks at its arguments first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = self.growth.bytes(&args)?;
        if bytes > MAX_FUNCTION_BYTES as u64 {
            return exec_err!(
                "{} would make {bytes} bytes, more than the {MAX_FUNCTION_BYTES} a function may make at once",
                self.inner.name()
            );
        }
        self.inner.invoke_with_args(args)
    }
}

impl Growth {
    /// An upper bound of the bytes a call makes, over all rows of the batch.
    fn bytes(self, args: &ScalarFunctionArgs) -> Result<u64> {
        let rows = args.number_rows.max(1);
        match self {
            Growth::Copies => sum(&counts(args, 1)?, &sizes(args, 0)?, rows),
            Growth::Length => sum(&counts(args, 1)?, &Column::One(8), rows),
            Growth::Series => {
                let (first, last) = if args.args.len() > 1 {
                    (counts(args, 0)?, counts(args, 1)?)
                } else {
                    (Column::One(0), counts(args, 0)?)
                };
                let step = if args.args.len() > 2 { counts(args, 2)? } else { Column::One(1) };
                let mut total = 0u64;
                for row in 0..rows {
                    let span =
                        last.at(row).abs_diff(first.at(row)) / step.at(row).unsigned_abs().max(1);
                    total = total.saturating_add(span.saturating_mul(8));
                }
                Ok(total)
            }
            Growth::Substitution => {
                let (text, from, to) = (sizes(args, 0)?, sizes(args, 1)?, sizes(args, 2)?);
                let mut total = 0u64;
                for row in 0..rows {
                    let hits = text.at(row).unsigned_abs() / from.at(row).unsigned_abs().max(1) + 1;
                    total = total.saturating_add(hits.saturating_mul(to.at(row).unsigned_abs()));
                }
                // What replaces byte for byte can not be larger than the batch already is.
                Ok(if total <= (1 << 20) { 0 } else { total })
            }
        }
    }
}

/// One number per row, or one for all.
enum Column {
    One(i64),
    Each(Vec<i64>),
}

impl Column {
    fn at(&self, row: usize) -> i64 {
        match self {
            Column::One(value) => *value,
            Column::Each(values) => values.get(row).copied().unwrap_or(0),
        }
    }
}

fn sum(counts: &Column, sizes: &Column, rows: usize) -> Result<u64> {
    Ok((0..rows).fold(0u64, |total, row| {
        let count = u64::try_from(counts.at(row)).unwrap_or(0);
        total.saturating_add(count.saturating_mul(sizes.at(row).unsigned_abs().max(1)))
    }))
}

/// An integer argument; anything else counts as nothing, the function itself will complain.
fn counts(args: &ScalarFunctionArgs, index: usize) -> Result<Column> {
    match args.args.get(index) {
        Some(ColumnarValue::Scalar(value)) if value.data_type().is_integer() => {
            match value.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(Some(value)) => Ok(Column::One(value)),
                _ => Ok(Column::One(0)),
            }
        }
        Some(ColumnarValue::Array(array)) if array.data_type().is_integer() => {
            let array = cast(array, &DataType::Int64)?;
            Ok(Column::Each(
                array.as_primitive::<Int64Type>().iter().map(|value| value.unwrap_or(0)).collect(),
            ))
        }
        _ => Ok(Column::One(0)),
    }
}

/// Bytes of each row of an argument.
fn sizes(args: &ScalarFunctionArgs, index: usize) -> Result<Column> {
    let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    match args.args.get(index) {
        Some(ColumnarValue::Scalar(value)) => Ok(Column::One(match value.try_as_str() {
            Some(text) => size(text.map_or(0, str::len)),
            None => size(value.size()),
        })),
        Some(ColumnarValue::Array(array)) => match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let array = cast(array, &DataType::Utf8View)?;
                Ok(Column::Each(
                    array
                        .as_string_view()
                        .iter()
                        .map(|text| size(text.map_or(0, str::len)))
                        .collect(),
                ))
            }
            _ => Ok(Column::One(size(array.get_array_memory_size() / array.len().max(1) + 1))),
        },
        None => Ok(Column::One(0)),
    }
}

/// `generate_series` and `range` as tables.
#[derive(Debug)]
struct CappedSeries {
    name: &'static str,
    inner: Arc<dyn TableFunctionImpl>,
}

impl TableFunctionImpl for CappedSeries {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let numbers: Vec<Option<i64>> = args.exprs().iter().map(integer).collect();
        let (first, last, step) = match numbers.as_slice() {
            [Some(last)] => (0, *last, 1),
            [Some(first), Some(last)] => (*first, *last, 1),
            [Some(first), Some(last), Some(step)] => (*first, *last, *step),
            // Dates and timestamps: their step is an interval of at least a nanosecond, and rows
            // are made one batch at a time, so the timeout and the row limit bound them.
            _ => return self.inner.call_with_args(args),
        };
        let values = last.abs_diff(first) / step.unsigned_abs().max(1);
        if values > MAX_SERIES_VALUES {
            return plan_err!(
                "{} would make {values} rows, more than the {MAX_SERIES_VALUES} allowed",
                self.name
            );
        }
        self.inner.call_with_args(args)
    }
}

fn integer(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(value)) if value.is_some() && value_is_integer(expr) => value,
        _ => None,
    }
}

fn value_is_integer(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.data_type().is_integer())
}
