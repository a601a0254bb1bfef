//! Rows that are alike are one row, with the sum of their weights: a fit then takes the time of what differs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use rayon::prelude::*;

/// So many rows are put together at a time, within reach of a core.
const SHARE: usize = 262_144;
/// Each share is looked for among all rows.
const MOST_SHARES: usize = 16;
/// So many rows show where a maximum lies, to less than the standard errors of as many customers.
const FEW: usize = 4_096;

/// In the order of their keys, which are equal where rows are.
pub fn alike<T: Clone + Send + Sync, K: Ord + Hash + Send>(
    rows: &[(T, f64)],
    key: impl Fn(&T) -> K + Sync,
) -> Vec<(T, f64)> {
    let n_shares = (rows.len() / SHARE).clamp(1, MOST_SHARES);
    let share_of = |(row, _): &(T, f64)| {
        let hash = FixedState::default().hash_one(key(row));
        (hash >> 32) as usize % n_shares
    };
    let shares: Vec<u8> = rows.par_iter().map(|row| share_of(row) as u8).collect();
    let together = |share: usize| {
        let of_share = rows.iter().zip(&shares);
        once_each(
            of_share.filter_map(|(row, of)| (usize::from(*of) == share).then_some(row)),
            &key,
        )
    };
    let kept: Vec<Vec<(T, f64)>> = (0..n_shares).into_par_iter().map(together).collect();
    let mut kept = kept.concat();
    kept.par_sort_unstable_by_key(|(row, _)| key(row));
    kept
}

fn once_each<'a, T: Clone + 'a, K: Eq + Hash>(
    rows: impl Iterator<Item = &'a (T, f64)>,
    key: impl Fn(&T) -> K,
) -> Vec<(T, f64)> {
    let mut places: HashMap<K, usize, FixedState> = HashMap::default();
    let mut kept: Vec<(T, f64)> = vec![];
    for (row, weight) in rows {
        match places.entry(key(row)) {
            Entry::Occupied(place) => kept[*place.get()].1 += weight,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((row.clone(), *weight));
            }
        }
    }
    kept
}

/// A key of a number that is not negative; those of two are in the order of the numbers.
pub fn key_of(number: f64) -> u64 {
    // Of two zeros, the one without a sign.
    (number + 0.0).to_bits()
}

/// Some 4,096 rows out of many that were put in order, at equal steps of the weight, so that each kind of row keeps its
/// share; nothing where there are not many.
pub fn few<T: Clone>(rows: &[(T, f64)]) -> Option<Vec<(T, f64)>> {
    if rows.len() < 2 * FEW {
        return None;
    }
    let total: f64 = rows.iter().map(|(_, weight)| weight).sum();
    let step = total / FEW as f64;
    let mut few = vec![];
    let (mut passed, mut next) = (0.0, step / 2.0);
    for (row, weight) in rows {
        passed += weight;
        if passed > next {
            let steps = ((passed - next) / step).ceil();
            few.push((row.clone(), steps * step));
            next += steps * step;
        }
    }
    Some(few)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_equal_rows_are_added() {
        let rows = vec![(2, 1.0), (1, 0.5), (2, 3.0)];
        assert_eq!(alike(&rows, |row| *row), [(1, 0.5), (2, 4.0)]);
    }

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        let numbers = [0.0, f64::MIN_POSITIVE, 0.5, 1.0, 1e300];
        assert!(numbers.is_sorted_by_key(|number| key_of(*number)));
        assert_eq!(key_of(-0.0), key_of(0.0));
    }

    #[test]
    fn many_rows_are_put_together_as_few_are() {
        let rows: Vec<(usize, f64)> = (0..600_000).map(|n| (n * 7 % 1_000, 1.0)).collect();
        let expected: Vec<(usize, f64)> = (0..1_000).map(|n| (n, 600.0)).collect();
        assert_eq!(alike(&rows, |row| *row), expected);
    }

    #[test]
    fn a_few_rows_keep_the_shares_of_all() {
        let light = (1..20_001).map(|n| (n, 1.0));
        let rows: Vec<(i32, f64)> = std::iter::once((0, 60_000.0)).chain(light).collect();
        let few = few(&rows).expect("many");
        assert_eq!(few[0].0, 0);
        assert!((few[0].1 / 80_000.0 - 0.75).abs() < 1e-3, "{:?}", few[0]);
        let total: f64 = few.iter().map(|(_, weight)| weight).sum();
        assert!((total / 80_000.0 - 1.0).abs() < 1e-3, "{total}");
        assert!(few.len() > 900 && few.len() <= FEW, "{}", few.len());
        assert_eq!(super::few(&rows[..100]), None);
    }
}
