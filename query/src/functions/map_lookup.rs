//! Looking a key up in a column of maps, or of `key:value` tags.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;

/// Calls `found` once per row with the text under that row's key.
pub(crate) fn each_value(
    holder: &ArrayRef,
    keys: &StringArray,
    mut found: impl FnMut(Option<&str>),
) -> Result<()> {
    match holder.data_type() {
        DataType::Map(..) => {
            let map = holder.as_map();
            let (names, values) = (texts(map.keys())?, texts(map.values())?);
            let (names, values) = (names.as_string::<i32>(), values.as_string::<i32>());
            for (row, range) in map.value_offsets().windows(2).enumerate() {
                let range = range_of(range);
                let value = wanted(holder, keys, row).and_then(|key| {
                    let at = range.clone().find(|entry| names.value(*entry) == key)?;
                    values.is_valid(at).then(|| values.value(at))
                });
                found(value);
            }
            Ok(())
        }
        DataType::List(_) => {
            let list = holder.as_list::<i32>();
            let items = texts(list.values())?;
            let items = items.as_string::<i32>();
            for (row, range) in list.value_offsets().windows(2).enumerate() {
                let mut range = range_of(range);
                let value = wanted(holder, keys, row).and_then(|key| {
                    range.find_map(|item| items.value(item).strip_prefix(key)?.strip_prefix(':'))
                });
                found(value);
            }
            Ok(())
        }
        other => exec_err!("expected a map or a list of tags, not {other}"),
    }
}

/// The key asked for in a row whose map is there.
fn wanted<'a>(holder: &ArrayRef, keys: &'a StringArray, row: usize) -> Option<&'a str> {
    (holder.is_valid(row) && keys.is_valid(row)).then(|| keys.value(row))
}

fn range_of(offsets: &[i32]) -> std::ops::Range<usize> {
    let at = |index: usize| {
        offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
    };
    at(0)..at(1)
}

/// As 32-bit-offset text; free when it is that already.
fn texts(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(array, &DataType::Utf8)?)
}
