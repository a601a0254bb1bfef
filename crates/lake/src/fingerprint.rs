//! A 128-bit sum over whole rows that does not depend on their order: two sets of rows with the same sum and number are
//! the same rows, so a compaction can prove that it lost none.
//!
//! NULL counts as nothing, so a column added later leaves the sum of older rows as it was.

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use twox_hash::XxHash3_128;

/// One running hash per row; columns may be added in any order, by several threads into several of these.
#[derive(Default)]
pub(crate) struct RowHashes {
    low: Vec<u64>,
    high: Vec<u64>,
}

impl RowHashes {
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            low: vec![0; rows],
            high: vec![0; rows],
        }
    }

    /// Add a column's values to its rows. `seed` tells the columns apart.
    pub(crate) fn add(&mut self, column: &ArrayRef, seed: u64) {
        let (low, high) = (
            &mut self.low[..column.len()],
            &mut self.high[..column.len()],
        );
        for_each_hash(column, seed, &mut |row, hash| {
            low[row] = low[row].wrapping_add(hash);
            high[row] = high[row].wrapping_add(mix(hash ^ 0x9e37_79b9_7f4a_7c15));
        });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let pairs = self.low.iter_mut().chain(&mut self.high);
        for (mine, other) in pairs.zip(other.low.iter().chain(&other.high)) {
            *mine = mine.wrapping_add(*other);
        }
    }

    pub(crate) fn sum(&self) -> u128 {
        self.low
            .iter()
            .zip(&self.high)
            .fold(0, |sum, (&low, &high)| {
                sum.wrapping_add(whole_row(low, high))
            })
    }
}

pub(crate) fn seed_of(column: &str) -> u64 {
    fold(XxHash3_128::oneshot(column.as_bytes()))
}

/// Not linear, or values could change rows without changing the sum.
fn whole_row(low: u64, high: u64) -> u128 {
    let mut row = (u128::from(high) << 64 | u128::from(low)).wrapping_add(0x2545_f491_4f6c_dd1d);
    row ^= row >> 67;
    row = row.wrapping_mul(0xda94_2042_e4dd_58b5_9e37_79b9_7f4a_7c15);
    row ^= row >> 71;
    row = row.wrapping_mul(0xc2b2_ae3d_27d4_eb4f_1656_67b1_9e37_79f9);
    row ^ (row >> 65)
}

/// Lists call it with a `dyn` of their own, or each level of lists would be another instance.
fn for_each_hash(column: &ArrayRef, seed: u64, visit: &mut (impl FnMut(usize, u64) + ?Sized)) {
    macro_rules! numbers {
        ($type:ty, $bits:expr) => {
            for (row, value) in column.as_primitive::<$type>().iter().enumerate() {
                if let Some(value) = value {
                    visit(row, mix($bits(value) ^ seed));
                }
            }
        };
    }
    macro_rules! bytes {
        ($array:expr) => {
            for (row, value) in $array.iter().enumerate() {
                if let Some(value) = value {
                    visit(
                        row,
                        fold(XxHash3_128::oneshot_with_seed(seed, value.as_ref())),
                    );
                }
            }
        };
    }
    match column.data_type() {
        DataType::Boolean => {
            for (row, value) in column.as_boolean().iter().enumerate() {
                if let Some(value) = value {
                    visit(row, mix((u64::from(value) + 1) ^ seed));
                }
            }
        }
        DataType::Int8 => numbers!(Int8Type, |value: i8| value as u64),
        DataType::Int16 => numbers!(Int16Type, |value: i16| value as u64),
        DataType::Int32 => numbers!(Int32Type, |value: i32| value as u64),
        DataType::Int64 => numbers!(Int64Type, |value: i64| value as u64),
        DataType::Date32 => numbers!(Date32Type, |value: i32| value as u64),
        DataType::Timestamp(..) => numbers!(TimestampMicrosecondType, |value: i64| value as u64),
        DataType::Float32 => numbers!(Float32Type, |value: f32| u64::from(value.to_bits())),
        DataType::Float64 => numbers!(Float64Type, f64::to_bits),
        DataType::Decimal128(..) => {
            numbers!(Decimal128Type, |value: i128| {
                mix(value as u64).wrapping_add((value >> 64) as u64)
            });
        }
        DataType::Utf8 => bytes!(column.as_string::<i32>()),
        DataType::Binary => bytes!(column.as_binary::<i32>()),
        DataType::List(_) => lists(column.as_list::<i32>(), seed, visit),
        other => unreachable!("{other} is no storage type"),
    }
}

fn lists(column: &ListArray, seed: u64, visit: &mut (impl FnMut(usize, u64) + ?Sized)) {
    let mut elements = vec![0; column.values().len()];
    let keep: &mut dyn FnMut(usize, u64) = &mut |at, hash| elements[at] = hash;
    for_each_hash(column.values(), seed, keep);
    for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
        let (from, to) = (column.value_offsets()[row], column.value_offsets()[row + 1]);
        let list = &elements[from as usize..to as usize];
        let start = mix(seed ^ list.len() as u64);
        visit(
            row,
            list.iter()
                .fold(start, |hash, element| mix(hash.rotate_left(23) ^ element)),
        );
    }
}

fn fold(hash: u128) -> u64 {
    (hash >> 64) as u64 ^ hash as u64
}

/// The finalizer of SplitMix64.
fn mix(value: u64) -> u64 {
    let mut value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    fn sum(numbers: &[Option<i64>], texts: &[Option<&str>]) -> u128 {
        let mut hashes = RowHashes::new(numbers.len());
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        hashes.add(&numbers, seed_of("number"));
        hashes.add(&texts, seed_of("text"));
        hashes.sum()
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let one = sum(&[Some(1), Some(2)], &[Some("a"), Some("b")]);
        assert_eq!(one, sum(&[Some(2), Some(1)], &[Some("b"), Some("a")]));
    }

    #[test]
    fn values_that_change_rows_are_noticed() {
        let one = sum(&[Some(1), Some(2)], &[Some("a"), Some("b")]);
        assert_ne!(one, sum(&[Some(2), Some(1)], &[Some("a"), Some("b")]));
    }

    #[test]
    fn a_doubled_and_a_lost_row_do_not_cancel_out() {
        let one = sum(&[Some(1), Some(2)], &[Some("a"), Some("b")]);
        assert_ne!(one, sum(&[Some(1), Some(1)], &[Some("a"), Some("a")]));
    }

    #[test]
    fn a_column_of_nulls_changes_nothing() {
        let mut hashes = RowHashes::new(1);
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        hashes.add(&number, seed_of("number"));
        assert_eq!(hashes.sum(), sum(&[Some(7)], &[None]));
    }

    #[test]
    fn lists_count_their_elements_in_order() {
        let list = |values: Vec<Option<Vec<Option<i32>>>>| {
            let mut hashes = RowHashes::new(values.len());
            let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(values);
            let column: ArrayRef = Arc::new(lists);
            hashes.add(&column, 1);
            hashes.sum()
        };
        assert_ne!(
            list(vec![Some(vec![Some(1), Some(2)])]),
            list(vec![Some(vec![Some(2), Some(1)])])
        );
        assert_ne!(list(vec![Some(vec![])]), list(vec![None]));
    }
}
