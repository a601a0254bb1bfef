//! Which of several conditions each row meets, as the bits of one number.

use arrow::array::{Array, ArrayRef, AsArray};

/// Bit n of a row's number is set if condition n + 1 holds; one that is NULL does not. `masks` is used again.
pub(crate) fn masks(conditions: &[ArrayRef], n_rows: usize, masks: &mut Vec<u64>) {
    masks.clear();
    masks.resize(n_rows, 0);
    for (n, condition) in conditions.iter().enumerate() {
        let condition = condition.as_boolean();
        let holds = match condition.nulls() {
            None => condition.values().clone(),
            Some(known) => condition.values() & known.inner(),
        };
        for row in holds.set_indices() {
            masks[row] |= 1 << n;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::BooleanArray;

    use super::*;

    #[test]
    fn a_condition_that_is_null_does_not_hold() {
        let first: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
        let second: ArrayRef = Arc::new(BooleanArray::from(vec![true, true, false]));
        let mut got = vec![9; 5];
        masks(&[first, second], 3, &mut got);
        assert_eq!(got, [0b11, 0b10, 0]);
    }
}
