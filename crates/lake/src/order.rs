//! Checks, row by row, that rows arrive in the order the files promise.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{LexicographicalComparator, SortColumn, SortOptions, concat};
use arrow::error::ArrowError;

const ASCENDING: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

pub(crate) struct OrderCheck {
    columns: Vec<usize>,
    /// The row before, in columns of one element.
    last: Vec<ArrayRef>,
    rows: u64,
}

impl OrderCheck {
    pub(crate) fn new(columns: Vec<usize>) -> Self {
        Self {
            columns,
            last: vec![],
            rows: 0,
        }
    }

    /// The number (from 1, over all batches) of the first row that is smaller than the one before it.
    pub(crate) fn first_out_of_order(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<Option<u64>, ArrowError> {
        let rows = batch.num_rows();
        if self.columns.is_empty() || rows == 0 {
            return Ok(None);
        }
        let keys: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|at| batch.column(*at).clone())
            .collect();
        if !self.last.is_empty() {
            let edge = self
                .last
                .iter()
                .zip(&keys)
                .map(|(last, key)| concat(&[last, &key.slice(0, 1)]))
                .collect::<Result<Vec<_>, _>>()?;
            if comparator(&edge)?.compare(0, 1) == Ordering::Greater {
                return Ok(Some(self.rows + 1));
            }
        }
        let compare = comparator(&keys)?;
        let wrong = (1..rows).find(|&row| compare.compare(row - 1, row) == Ordering::Greater);
        if let Some(row) = wrong {
            return Ok(Some(self.rows + row as u64 + 1));
        }
        self.last = keys.iter().map(|key| key.slice(rows - 1, 1)).collect();
        self.rows += rows as u64;
        Ok(None)
    }
}

fn comparator(keys: &[ArrayRef]) -> Result<LexicographicalComparator, ArrowError> {
    let columns: Vec<SortColumn> = keys
        .iter()
        .map(|values| SortColumn {
            values: values.clone(),
            options: Some(ASCENDING),
        })
        .collect();
    LexicographicalComparator::try_new(&columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::Int64Array;

    fn check(batches: &[&[(Option<i64>, i64)]], wrong: Option<u64>) {
        let mut order = OrderCheck::new(vec![0, 1]);
        let mut found = None;
        for rows in batches {
            let customer: Int64Array = rows.iter().map(|row| row.0).collect();
            let at: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
            let columns: [(&str, ArrayRef, bool); 2] = [
                ("customer", Arc::new(customer), true),
                ("at", Arc::new(at), true),
            ];
            let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
            found = found.or(order.first_out_of_order(&batch).expect("comparable"));
        }
        assert_eq!(found, wrong);
    }

    #[test]
    fn order_is_by_all_columns_with_nulls_last() {
        check(
            &[
                &[(Some(1), 5), (Some(1), 5), (Some(2), 1)],
                &[(Some(2), 3), (None, 0), (None, 9)],
            ],
            None,
        );
    }

    #[test]
    fn a_step_back_inside_a_batch_is_found() {
        check(&[&[(Some(1), 5), (Some(1), 4)]], Some(2));
    }

    #[test]
    fn a_step_back_between_batches_is_found() {
        check(&[&[(Some(1), 5), (None, 4)], &[(Some(2), 9)]], Some(3));
    }
}
