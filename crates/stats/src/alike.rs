//! Rows that are alike are one row, with the sum of their weights: a fit then takes the time of what differs.

use std::cmp::Ordering;

/// In the order that is given, in which equal rows have to be next to each other.
pub fn alike<T: PartialEq>(
    mut rows: Vec<(T, f64)>,
    order: impl Fn(&T, &T) -> Ordering,
) -> Vec<(T, f64)> {
    rows.sort_by(|(a, _), (b, _)| order(a, b));
    rows.dedup_by(|(next, weight), (kept, total)| {
        let same = next == kept;
        if same {
            *total += *weight;
        }
        same
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_equal_rows_are_added() {
        let rows = vec![(2, 1.0), (1, 0.5), (2, 3.0)];
        assert_eq!(alike(rows, Ord::cmp), [(1, 0.5), (2, 4.0)]);
    }
}
