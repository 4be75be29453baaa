//! What a set of rows adds up to, whatever their order and however they lie in files: the number
//! of rows and the sum of their hashes. Two sets with the same fingerprint hold the same rows.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Hash of a value that is not there.
const NULL: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number of rows and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Rows.
    pub rows: u64,
    /// Sum of their hashes, modulo 2^128.
    sum: u128,
}

impl Fingerprint {
    /// Counts these rows in. Every value of a row counts, and which column it stands in.
    ///
    /// # Errors
    /// A column of a type no table has.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let mut hashes = vec![0_u64; rows.num_rows()];
        for column in rows.columns() {
            let values = values(column)?;
            for (hash, value) in hashes.iter_mut().zip(values) {
                *hash = mix(*hash, value);
            }
        }
        self.rows = self.rows.wrapping_add(hashes.len() as u64);
        for hash in hashes {
            // Twice, with different seeds: 128 bits against accidental equality of sums.
            let wide = (u128::from(mix(1, hash)) << 64) | u128::from(mix(2, hash));
            self.sum = self.sum.wrapping_add(wide);
        }
        Ok(())
    }
}

/// Order matters: the same values in other columns give another hash.
fn mix(hash: u64, value: u64) -> u64 {
    xxh3_64_with_seed(&value.to_le_bytes(), hash)
}

/// One hash per value.
pub(crate) fn values(array: &ArrayRef) -> Result<Vec<u64>, ArrowError> {
    let mut hashes = hashes_of(array)?;
    if let Some(nulls) = array.logical_nulls() {
        for (place, hash) in hashes.iter_mut().enumerate() {
            if nulls.is_null(place) {
                *hash = NULL;
            }
        }
    }
    Ok(hashes)
}

fn hashes_of(array: &ArrayRef) -> Result<Vec<u64>, ArrowError> {
    let bytes = |bytes: &[u8]| xxh3_64_with_seed(bytes, 0);
    Ok(match array.data_type() {
        DataType::Int32 => {
            array.as_primitive::<Int32Type>().values().iter().map(|v| mix(0, *v as u64)).collect()
        }
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().values().iter().map(|v| mix(0, *v as u64)).collect()
        }
        DataType::Int64 => {
            array.as_primitive::<Int64Type>().values().iter().map(|v| mix(0, *v as u64)).collect()
        }
        DataType::Timestamp(..) => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            values.iter().map(|v| mix(0, *v as u64)).collect()
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            values.iter().map(|v| mix(0, v.to_bits())).collect()
        }
        DataType::Boolean => {
            array.as_boolean().values().iter().map(|v| mix(0, u64::from(v))).collect()
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            (0..texts.len()).map(|row| bytes(texts.value(row).as_bytes())).collect()
        }
        DataType::Binary => {
            let texts = array.as_binary::<i32>();
            (0..texts.len()).map(|row| bytes(texts.value(row))).collect()
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            ranges(list.value_offsets(), &values(list.values())?)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            ranges(map.value_offsets(), &values(&entries)?)
        }
        DataType::Struct(_) => {
            let mut hashes = vec![0_u64; array.len()];
            for column in array.as_struct().columns() {
                for (hash, value) in hashes.iter_mut().zip(values(column)?) {
                    *hash = mix(*hash, value);
                }
            }
            hashes
        }
        other => {
            return Err(ArrowError::NotYetImplemented(format!("fingerprint of {other}")));
        }
    })
}

/// One hash per list from those of its elements, in their order.
fn ranges(offsets: &[i32], elements: &[u64]) -> Vec<u64> {
    let list = |pair: &[i32]| {
        let (from, to) = match pair {
            [from, to] => (usize::try_from(*from), usize::try_from(*to)),
            _ => (Ok(0), Ok(0)),
        };
        let within = elements.get(from.unwrap_or(0)..to.unwrap_or(0)).unwrap_or_default();
        within.iter().fold(mix(3, within.len() as u64), |hash, element| mix(hash, *element))
    };
    offsets.windows(2).map(list).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Int64Array, ListArray, MapBuilder, StringArray, StringBuilder};
    use arrow::compute::concat_batches;

    fn batch(rows: &[(i64, Option<&str>, &[i64])]) -> RecordBatch {
        let numbers = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
        let texts = StringArray::from_iter(rows.iter().map(|row| row.1));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(
            rows.iter().map(|row| Some(row.2.iter().map(|v| Some(*v)))),
        );
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in rows {
            maps.keys().append_value("key");
            maps.values().append_option(row.1);
            maps.append(true).expect("appends");
        }
        RecordBatch::try_from_iter([
            ("number", Arc::new(numbers) as ArrayRef),
            ("text", Arc::new(texts)),
            ("list", Arc::new(lists)),
            ("map", Arc::new(maps.finish())),
        ])
        .expect("batch")
    }

    fn of(batches: &[RecordBatch]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        batches.iter().for_each(|rows| fingerprint.add(rows).expect("known types"));
        fingerprint
    }

    #[test]
    fn order_and_files_do_not_count() {
        let rows: [(i64, Option<&str>, &[i64]); 4] =
            [(1, Some("a"), &[1, 2]), (2, None, &[]), (3, Some(""), &[3]), (4, Some("d"), &[4])];
        let one = batch(&rows);
        let mut turned = rows;
        turned.reverse();
        assert_eq!(of(std::slice::from_ref(&one)), of(&[batch(&turned)]));
        assert_eq!(of(std::slice::from_ref(&one)), of(&[one.slice(0, 1), one.slice(1, 3)]));
        let joined = concat_batches(&one.schema(), &[one.slice(2, 2), one.slice(0, 2)]);
        assert_eq!(of(&[one]), of(&[joined.expect("joins")]));
    }

    #[test]
    fn every_value_and_its_place_count() {
        let good = of(&[batch(&[(1, Some("a"), &[1, 2]), (2, Some("b"), &[3])])]);
        for (what, bad) in [
            ("a row less", batch(&[(1, Some("a"), &[1, 2])])),
            ("a row twice", batch(&[(1, Some("a"), &[1, 2]), (1, Some("a"), &[1, 2])])),
            ("texts swapped", batch(&[(1, Some("b"), &[1, 2]), (2, Some("a"), &[3])])),
            ("null for text", batch(&[(1, None, &[1, 2]), (2, Some("b"), &[3])])),
            ("an element moved", batch(&[(1, Some("a"), &[1]), (2, Some("b"), &[2, 3])])),
            ("elements turned", batch(&[(1, Some("a"), &[2, 1]), (2, Some("b"), &[3])])),
        ] {
            assert_ne!(of(&[bad]), good, "{what}");
        }
    }
}
