//! Column parts the tables share: lists, maps, and the accounting of bytes held.

use std::fmt::{self, Write};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, Float64Builder, Int64Builder, ListArray, MapArray, RecordBatch,
    StringArray, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use schemas::id::Hex;
use schemas::limits::MAX_ATTRIBUTE_VALUE_BYTES;
use schemas::table::{Table, list_item, map_entries};

use crate::value::{Attributes, Value};

/// Bytes a column builder holds, roughly and at once.
pub(super) trait Held {
    fn held(&self) -> usize;
}

impl Held for StringBuilder {
    fn held(&self) -> usize {
        self.values_slice().len() + self.offsets_slice().len() * 4
    }
}

impl Held for BinaryBuilder {
    fn held(&self) -> usize {
        self.values_slice().len() + self.offsets_slice().len() * 4
    }
}

/// A text column without nulls. Less than Arrow's builder does per value, which is most of what a row costs;
/// Arrow looks once at all of it in the end.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends, behind a zero.
    ends: Vec<i32>,
}

/// How much a text column holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    bytes: usize,
    values: usize,
}

/// One part in so many is reserved beyond what the last unit held.
const SLACK: usize = 16;

impl Default for Texts {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: vec![0] }
    }
}

impl Texts {
    /// Bytes and values it holds.
    pub(super) fn size(&self) -> Size {
        Size { bytes: self.bytes.len(), values: self.ends.len() }
    }

    /// Makes room for as much, and a little more.
    pub(super) fn reserve(&mut self, size: Size) {
        self.bytes.reserve(size.bytes + size.bytes / SLACK);
        self.ends.reserve(size.values + size.values / SLACK);
    }

    /// Adds a value.
    #[inline]
    pub(super) fn append_value(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end();
    }

    /// Ends a value that was written in parts.
    #[inline]
    fn end(&mut self) {
        // A unit ends at 128 MiB; Arrow refuses ends that do not grow.
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MIN));
    }

    /// The column; empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let Self { bytes, ends } = std::mem::take(self);
        if ends.last().is_some_and(|end| *end < 0) {
            return Err(ArrowError::OffsetOverflowError(bytes.len()));
        }
        Ok(array(StringArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), None)?))
    }
}

impl Write for Texts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Held for Texts {
    fn held(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

/// Any finished array as a column.
pub(super) fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// The columns as one batch of the table's file schema; Arrow checks types and nulls.
pub(super) fn batch(table: Table, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(table.file_schema(), columns)
}

/// The longest head of `text` of at most `max` bytes that ends at a character boundary.
pub(super) fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Appends text, or null where it is empty: "not there" and "empty" are one to a reader.
pub(super) fn text_or_null(column: &mut StringBuilder, text: &str) {
    if text.is_empty() { column.append_null() } else { column.append_value(text) }
}

/// Appends the hex text of an id, or null.
pub(super) fn id_or_null<const N: usize>(column: &mut StringBuilder, id: Option<Hex<N>>) {
    match id {
        Some(hex) => column.append_value(hex.as_str()),
        None => column.append_null(),
    }
}

/// Row boundaries of a list or map column.
#[derive(Debug)]
pub(super) struct Offsets(Vec<i32>);

impl Default for Offsets {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Offsets {
    /// Ends a row after `length` children.
    pub(super) fn end_row(&mut self, length: usize) {
        let last = self.0.last().copied().unwrap_or_default();
        // A unit ends at 128 MiB: its children never come near 2^31.
        self.0.push(i32::try_from(length).unwrap_or(last).max(last));
    }

    pub(super) fn held(&self) -> usize {
        self.0.len() * 4
    }

    pub(super) fn take(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(std::mem::replace(&mut self.0, vec![0]).into())
    }
}

/// `list<element>`, never null.
pub(super) fn list(offsets: &mut Offsets, children: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let item = list_item(children.data_type().clone());
    Ok(array(ListArray::try_new(item, offsets.take(), children, None)?))
}

/// `map<text, value>` of finished children, never null.
fn map(offsets: &mut Offsets, keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let entries: Arc<Field> = map_entries(values.data_type().clone());
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::SchemaError("map entries are a struct".to_owned()));
    };
    let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(array(MapArray::try_new(entries, offsets.take(), pairs, None, false)?))
}

/// A `list<text>` column.
#[derive(Debug, Default)]
pub(super) struct TextList {
    offsets: Offsets,
    items: Texts,
    length: usize,
}

impl TextList {
    /// Adds an item to the open row.
    pub(super) fn item(&mut self, text: &str) {
        self.items.append_value(text);
        self.length += 1;
    }

    pub(super) fn end_row(&mut self) {
        self.offsets.end_row(self.length);
    }

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + self.items.held()
    }

    pub(super) fn texts(&mut self) -> &mut Texts {
        &mut self.items
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.length = 0;
        let items = self.items.finish()?;
        list(&mut self.offsets, items)
    }
}

/// Attribute that says how many others a limit kept out.
const DROPPED: &str = "_dropped_attributes";

/// The attributes a row stores: all but a foreign [`DROPPED`] where our own is to come.
pub(super) fn stored<'a, 'b>(
    attributes: &'a Attributes<'b>,
) -> impl Iterator<Item = (&'b str, Value<'b>)> + 'a {
    let own = attributes.dropped() > 0;
    attributes.iter().filter(move |(key, _)| !own || *key != DROPPED)
}

/// A `map<text, text>` column. Keys of one row are unique: a Delta reader would refuse the file
/// otherwise. [`Attributes`] guarantees it for its own; other pairs go through [`last_of_key`].
#[derive(Debug, Default)]
pub(super) struct TextMap {
    offsets: Offsets,
    keys: Texts,
    values: Texts,
    length: usize,
}

impl TextMap {
    /// Adds a pair to the open row; null values are not stored, long ones are cut.
    pub(super) fn pair(&mut self, key: &str, value: &Value<'_>) {
        match value {
            Value::Null => return,
            Value::Str(text) => self.values.append_value(head(text, MAX_ATTRIBUTE_VALUE_BYTES)),
            Value::Bool(true) => self.values.append_value("true"),
            Value::Bool(false) => self.values.append_value("false"),
            Value::Int(number) => digits(*number, |text| self.values.append_value(text)),
            other => {
                let mut out = Limited { out: &mut self.values, left: MAX_ATTRIBUTE_VALUE_BYTES };
                // The only error is the limit: what is there stays, cut.
                let _ = write!(out, "{other}");
                self.values.end();
            }
        }
        self.keys.append_value(key);
        self.length += 1;
    }

    /// One row of attributes.
    pub(super) fn row(&mut self, attributes: &Attributes<'_>) {
        for (key, value) in stored(attributes) {
            self.pair(key, &value);
        }
        self.end_row(attributes.dropped());
    }

    /// Ends the row; `dropped` pairs over a limit leave their number.
    pub(super) fn end_row(&mut self, dropped: u32) {
        if dropped > 0 {
            self.pair(DROPPED, &Value::Int(i64::from(dropped)));
        }
        self.offsets.end_row(self.length);
    }

    pub(super) fn texts(&mut self) -> [&mut Texts; 2] {
        [&mut self.keys, &mut self.values]
    }

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + self.keys.held() + self.values.held()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.length = 0;
        let (keys, values) = (self.keys.finish()?, self.values.finish()?);
        map(&mut self.offsets, keys, values)
    }
}

/// Shows a number as text: the formatting of the standard library takes longer than all else about it.
pub(super) fn digits(number: i64, show: impl FnOnce(&str)) {
    let mut text = [0u8; 20];
    let mut at = text.len();
    let mut left = number.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        text[at] = b'-';
    }
    show(std::str::from_utf8(&text[at..]).unwrap_or_default());
}

/// A `map<text, double>` column.
#[derive(Debug, Default)]
pub(super) struct NumberMap {
    offsets: Offsets,
    keys: StringBuilder,
    values: Float64Builder,
    length: usize,
}

impl NumberMap {
    /// One row; of a key that occurs twice the last wins.
    pub(super) fn row(&mut self, pairs: &[(&str, f64)]) {
        for (key, value) in last_of_key(pairs) {
            self.number(format_args!("{key}"), *value);
        }
        self.end_row();
    }

    /// Adds a pair to the open row.
    pub(super) fn number(&mut self, key: fmt::Arguments<'_>, value: f64) {
        match key.as_str() {
            Some(text) => self.keys.append_value(text),
            None => {
                let _ = self.keys.write_fmt(key);
                self.keys.append_value("");
            }
        }
        self.values.append_value(value);
        self.length += 1;
    }

    pub(super) fn end_row(&mut self) {
        self.offsets.end_row(self.length);
    }

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + self.keys.held() + self.length * 8
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.length = 0;
        map(&mut self.offsets, array(self.keys.finish()), array(self.values.finish()))
    }
}

/// A `map<text, long>` column. The caller gives every key of a row once.
#[derive(Debug, Default)]
pub(super) struct CountMap {
    offsets: Offsets,
    keys: StringBuilder,
    values: Int64Builder,
    length: usize,
}

impl CountMap {
    /// One row.
    pub(super) fn row<'a>(&mut self, counts: impl IntoIterator<Item = (&'a str, i64)>) {
        for (key, count) in counts {
            self.keys.append_value(key);
            self.values.append_value(count);
            self.length += 1;
        }
        self.offsets.end_row(self.length);
    }

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + self.keys.held() + self.length * 8
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.length = 0;
        map(&mut self.offsets, array(self.keys.finish()), array(self.values.finish()))
    }
}

/// The pairs without those whose key comes again later. Lists are short: a scan is the fastest set.
pub(super) fn last_of_key<'a, 'k, V>(
    pairs: &'a [(&'k str, V)],
) -> impl Iterator<Item = &'a (&'k str, V)> {
    pairs.iter().enumerate().filter_map(move |(index, pair)| {
        let later = pairs.get(index + 1..).unwrap_or_default();
        (!later.iter().any(|(key, _)| *key == pair.0)).then_some(pair)
    })
}

/// Writes at most `left` bytes, whole characters.
struct Limited<'a> {
    out: &'a mut Texts,
    left: usize,
}

impl Write for Limited<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = head(text, self.left);
        self.out.write_str(fits)?;
        self.left -= fits.len();
        if fits.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
