//! A row of `logs` or `spans` as the search syntax sees it.
//!
//! The tables store every attribute as text, so a text that is a JSON array stands for the array, as it
//! does in the worker. Error attributes have columns of their own.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::error::Result;
use schemas::{log, span};
use search::{Record, Reserved, Scalar};
use serde_json::Value;

pub(super) const ATTRIBUTES: &str = log::ATTRIBUTES;
pub(super) const SERVICE: &str = log::SERVICE;

/// Columns of free text: the first that is there.
pub(super) const TEXT: &[&str] = &[log::MESSAGE, span::RESOURCE];
/// Columns that hold attributes.
pub(super) const OWN: &[&str] =
    &[log::ATTRIBUTES, log::ERROR_KIND, log::ERROR_MESSAGE, log::ERROR_STACK, span::METRICS];
/// Columns of `*:`.
pub(super) const EVERYTHING: &[&str] = &[
    log::MESSAGE,
    span::RESOURCE,
    log::ATTRIBUTES,
    log::ERROR_KIND,
    log::ERROR_MESSAGE,
    log::ERROR_STACK,
    span::METRICS,
];
/// Columns of `key:value`.
pub(super) const TAGGED: &[&str] = &[log::TAGS, span::NAME, span::RESOURCE, span::TYPE, span::KIND];

/// Columns of a reserved attribute.
pub(super) fn reserved(field: Reserved) -> &'static [&'static str] {
    match field {
        Reserved::Service => &[log::SERVICE],
        Reserved::Env => &[log::ENV, log::TAGS],
        Reserved::Version => &[log::VERSION, log::TAGS],
        Reserved::Host => &[log::HOST],
        Reserved::Source => &[log::SOURCE],
        Reserved::Status => &[log::STATUS, span::ERROR],
        Reserved::TraceId => &[log::TRACE_ID],
        Reserved::SpanId => &[log::SPAN_ID],
    }
}

/// The columns of a batch.
pub(super) struct Columns {
    texts: Vec<(String, StringArray)>,
    attributes: Option<Map<StringArray>>,
    metrics: Option<Map<Float64Array>>,
    tags: Option<(Vec<i32>, StringArray)>,
    error: Option<BooleanArray>,
}

/// A map column in pieces.
struct Map<V> {
    offsets: Vec<i32>,
    keys: StringArray,
    values: V,
}

/// A row of them.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a Columns,
    row: usize,
}

impl Columns {
    /// Columns by name; others than those of the tables are not looked at.
    pub(super) fn new(columns: &[(&str, &ArrayRef)]) -> Result<Self> {
        let mut own =
            Self { texts: Vec::new(), attributes: None, metrics: None, tags: None, error: None };
        for (name, array) in columns {
            match array.data_type() {
                DataType::Map(..) if *name == ATTRIBUTES => {
                    let (offsets, keys, values) = map(array)?;
                    let values = text(&values)?;
                    own.attributes = Some(Map { offsets, keys, values });
                }
                DataType::Map(..) if *name == span::METRICS => {
                    let (offsets, keys, values) = map(array)?;
                    let values = cast(&values, &DataType::Float64)?;
                    let values = values.as_primitive::<Float64Type>().clone();
                    own.metrics = Some(Map { offsets, keys, values });
                }
                DataType::List(_) if *name == log::TAGS => {
                    let list = array.as_list::<i32>();
                    own.tags = Some((list.value_offsets().to_vec(), text(list.values())?));
                }
                DataType::Boolean if *name == span::ERROR => {
                    own.error = Some(array.as_boolean().clone());
                }
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                    own.texts.push(((*name).to_owned(), text(array)?));
                }
                DataType::Dictionary(..) => own.texts.push(((*name).to_owned(), text(array)?)),
                _ => {}
            }
        }
        Ok(own)
    }

    pub(super) fn row(&self, row: usize) -> Row<'_> {
        Row { columns: self, row }
    }
}

fn map(array: &ArrayRef) -> Result<(Vec<i32>, StringArray, ArrayRef)> {
    let map = array.as_map();
    Ok((map.value_offsets().to_vec(), text(map.keys())?, ArrayRef::clone(map.values())))
}

/// As 32-bit-offset text; free when it is that already.
fn text(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The entries of a row; those of a null row are none.
fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |index: usize| {
        offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
    };
    at(row)..at(row + 1)
}

impl<'a> Row<'a> {
    /// The text of a column, where there is one.
    fn text(self, name: &str) -> Option<&'a str> {
        let (_, column) = self.columns.texts.iter().find(|(own, _)| own == name)?;
        column.is_valid(self.row).then(|| column.value(self.row)).filter(|text| !text.is_empty())
    }

    /// Keys and texts of the attributes, the error columns under their first names included.
    fn attributes(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let entries = self.columns.attributes.iter().flat_map(move |map| {
            range(&map.offsets, self.row)
                .filter(move |entry| map.values.is_valid(*entry))
                .map(move |entry| (map.keys.value(entry), map.values.value(entry)))
        });
        let errors = [
            (log::ERROR_KIND, log::ERROR_KIND_PATHS),
            (log::ERROR_MESSAGE, log::ERROR_MESSAGE_PATHS),
            (log::ERROR_STACK, log::ERROR_STACK_PATHS),
        ];
        entries.chain(
            errors
                .into_iter()
                .filter_map(move |(name, paths)| Some((*paths.first()?, self.text(name)?))),
        )
    }

    fn metrics(self) -> impl Iterator<Item = (&'a str, f64)> {
        self.columns.metrics.iter().flat_map(move |map| {
            range(&map.offsets, self.row)
                .filter(move |entry| map.values.is_valid(*entry))
                .map(move |entry| (map.keys.value(entry), map.values.value(entry)))
        })
    }

    fn each_tag(self) -> impl Iterator<Item = &'a str> {
        self.columns.tags.iter().flat_map(move |(offsets, texts)| {
            range(offsets, self.row)
                .filter(move |at| texts.is_valid(*at))
                .map(move |at| texts.value(at))
        })
    }
}

impl Record for Row<'_> {
    fn message(&self) -> &str {
        TEXT.iter().find_map(|name| self.text(name)).unwrap_or_default()
    }

    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool {
        if field == Reserved::Status
            && let Some(error) = &self.columns.error
        {
            return test(if error.is_valid(self.row) && error.value(self.row) {
                "error"
            } else {
                "ok"
            });
        }
        let column = reserved(field).first().and_then(|name| self.text(name));
        column.is_some_and(&mut *test)
            || (matches!(field, Reserved::Env | Reserved::Version) && self.tag(field.name(), test))
    }

    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes().any(|(key, text)| match path.strip_prefix(key) {
            Some("") => visit_text(text, test),
            Some(rest) => match (rest.strip_prefix('.'), array(text)) {
                (Some(rest), Some(items)) => visit_at(&items, rest, test),
                _ => false,
            },
            None => false,
        }) || self.metrics().any(|(key, number)| key == path && test(Scalar::Float(number)))
    }

    fn has_attribute(&self, path: &str) -> bool {
        let below = |key: &str| {
            key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.attributes().any(|(key, _)| below(key))
            || self.metrics().any(|(key, _)| below(key))
            || self.attribute(path, &mut |_| true)
    }

    /// Of spans: the columns people know by these names.
    fn tag(&self, key: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
        let column = match key {
            "operation_name" | "name" => Some(span::NAME),
            "resource_name" | "resource" => Some(span::RESOURCE),
            "type" => Some(span::TYPE),
            "kind" | "span_kind" => Some(span::KIND),
            _ => None,
        };
        column.and_then(|name| self.text(name)).is_some_and(&mut *test)
            || self.each_tag().any(|tag| match tag.strip_prefix(key) {
                Some("") => test(""),
                Some(rest) => rest.strip_prefix(':').is_some_and(&mut *test),
                None => false,
            })
    }

    fn tags(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.each_tag().any(test)
    }

    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes().any(|(_, text)| visit_text(text, test))
            || self.metrics().any(|(_, number)| test(Scalar::Float(number)))
    }
}

/// The array a text stands for.
fn array(text: &str) -> Option<Value> {
    let looks = text.starts_with('[') && text.ends_with(']');
    looks.then(|| serde_json::from_str(text).ok()).flatten()
}

fn visit_text(text: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    match array(text) {
        Some(items) => visit(&items, test),
        None => test(Scalar::Text(text)),
    }
}

fn visit(value: &Value, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => test(Scalar::Bool(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => test(Scalar::Int(number)),
            None => number.as_f64().is_some_and(|number| test(Scalar::Float(number))),
        },
        Value::String(text) => test(Scalar::Text(text)),
        Value::Array(items) => items.iter().any(|item| visit(item, test)),
        Value::Object(members) => members.values().any(|item| visit(item, test)),
    }
}

/// The scalars at a dotted path inside the objects of an array.
fn visit_at(value: &Value, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| visit_at(item, path, test)),
        Value::Object(members) => members.iter().any(|(key, item)| match path.strip_prefix(key) {
            Some("") => visit(item, test),
            Some(rest) => rest.strip_prefix('.').is_some_and(|rest| visit_at(item, rest, test)),
            None => false,
        }),
        _ => false,
    }
}
