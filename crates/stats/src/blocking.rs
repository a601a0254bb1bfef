//! Which pairs of records to compare: those that agree in a key, since all pairs would be too many.
//!
//! Keys are texts such as a given name or a date of birth; a record without one is in no pair. Pairs of several keys are put
//! together by [`union`]. A block's pairs are the square of its size, so a bound on their number is part of the question.
//!
//! Source: the usual practice of record linkage, see Christen (2012), "Data Matching", chapter 4.

use std::collections::BTreeMap;

use crate::{Error, Result};

pub type Pair = (u32, u32);

/// Pairs of two records of one set, the lower number first, in order.
pub fn pairs_within(keys: &[Option<&str>], most_pairs: usize) -> Result<Vec<Pair>> {
    let mut pairs = vec![];
    for block in blocks(keys).values() {
        let n = block.len() * (block.len() - 1) / 2;
        check_room(pairs.len() + n, most_pairs)?;
        for (n, a) in block.iter().enumerate() {
            pairs.extend(block[n + 1..].iter().map(|b| (*a, *b)));
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// Pairs of a record of one set and a record of another, in order.
pub fn pairs_between(
    left: &[Option<&str>],
    right: &[Option<&str>],
    most_pairs: usize,
) -> Result<Vec<Pair>> {
    let right = blocks(right);
    let mut pairs = vec![];
    for (key, block) in blocks(left) {
        let others = right.get(key).map_or(&[][..], Vec::as_slice);
        check_room(pairs.len() + block.len() * others.len(), most_pairs)?;
        for a in block {
            pairs.extend(others.iter().map(|b| (a, *b)));
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// Pairs that are in any of several lists, each once, in order.
pub fn union(lists: impl IntoIterator<Item = Vec<Pair>>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = lists.into_iter().flatten().collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn blocks<'a>(keys: &[Option<&'a str>]) -> BTreeMap<&'a str, Vec<u32>> {
    let mut blocks: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (record, key) in (0..).zip(keys) {
        if let Some(key) = key {
            blocks.entry(key).or_default().push(record);
        }
    }
    blocks
}

fn check_room(n_pairs: usize, most: usize) -> Result<()> {
    match n_pairs > most {
        true => Err(Error::TooMany {
            what: "pairs agree in the key",
            most,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Option<&str>; 5] = [Some("a"), Some("b"), Some("a"), None, Some("a")];

    #[test]
    fn pairs_agree_in_their_key() {
        let got = pairs_within(&KEYS, 10).expect("few");
        assert_eq!(got, [(0, 2), (0, 4), (2, 4)]);
        let got = pairs_between(&KEYS, &[None, Some("b"), Some("c"), Some("a")], 10);
        assert_eq!(got.expect("few"), [(0, 3), (1, 1), (2, 3), (4, 3)]);
    }

    #[test]
    fn too_many_pairs_are_refused_before_they_are_made() {
        assert!(pairs_within(&KEYS, 2).is_err());
        assert!(pairs_between(&KEYS, &KEYS, 9).is_err());
        let crowd = vec![Some("x"); 100_000];
        assert!(pairs_within(&crowd, 1_000_000).is_err());
    }

    #[test]
    fn a_pair_found_twice_is_one() {
        let got = union([vec![(0, 1), (2, 3)], vec![(2, 3)], vec![]]);
        assert_eq!(got, [(0, 1), (2, 3)]);
        assert!(pairs_within(&[], 0).expect("few").is_empty());
    }
}
