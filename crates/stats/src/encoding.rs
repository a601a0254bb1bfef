//! Tables made into numbers, the same way for those who are learned from and those who are foretold.
//!
//! Each of a column's commonest words becomes a column of zeros and ones; rare words, and words not seen before, are zero in
//! all of them. A missing word is one more. Nothing is learned from the targets here, so nothing can leak.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fit::IsCancelled;
use crate::learner::{Column, Table};
use crate::{Error, Result};

/// What becomes of a missing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// It stays NaN: trees have a place for it.
    Kept,
    /// It becomes the mean, and a column of its own tells that it was missing.
    Replaced,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    missing: Missing,
    columns: Vec<Encoded>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Encoded {
    Numbers {
        mean: f64,
        has_missing: bool,
    },
    Words {
        words: Vec<String>,
        has_missing: bool,
    },
}

/// Columns of numbers, and from which column of the table each came.
pub struct Numbers {
    pub columns: Vec<Vec<f64>>,
    pub origins: Vec<usize>,
}

const MOST_WORDS: usize = 32;
/// So many words are counted between two questions whether it is cancelled.
const OFTEN: usize = 65_536;
const OTHER_TABLE: Error =
    Error::TooLittle("the table has other columns than the model learned from");

impl Encoding {
    pub fn new(
        table: &Table,
        weights: &[f64],
        missing: Missing,
        is_cancelled: IsCancelled,
    ) -> Result<Self> {
        let encoded = |column: &Column| match column {
            _ if is_cancelled() => Err(Error::Cancelled),
            Column::Numbers(numbers) => Ok(of_numbers(numbers, weights)),
            Column::Categories(categories) => of_categories(categories, weights, is_cancelled),
        };
        Ok(Self {
            missing,
            columns: table.columns().iter().map(encoded).collect::<Result<_>>()?,
        })
    }

    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// How many columns [`Self::apply`] makes of a table.
    pub fn n_numbers(&self) -> usize {
        let of = |encoded: &Encoded| match encoded {
            Encoded::Numbers { has_missing, .. } => match self.missing {
                Missing::Kept => 1,
                Missing::Replaced => 1 + usize::from(*has_missing),
            },
            Encoded::Words { words, has_missing } => words.len() + usize::from(*has_missing),
        };
        self.columns.iter().map(of).sum()
    }

    pub fn apply(&self, table: &Table, is_cancelled: IsCancelled) -> Result<Numbers> {
        if table.columns().len() != self.columns.len() {
            return Err(OTHER_TABLE);
        }
        let mut numbers = Numbers {
            columns: vec![],
            origins: vec![],
        };
        for (origin, (encoded, column)) in self.columns.iter().zip(table.columns()).enumerate() {
            let made = encoded.apply(column, self.missing, is_cancelled)?;
            numbers.columns.extend(made);
            numbers.origins.resize(numbers.columns.len(), origin);
        }
        Ok(numbers)
    }
}

impl Encoded {
    fn apply(
        &self,
        column: &Column,
        missing: Missing,
        is_cancelled: IsCancelled,
    ) -> Result<Vec<Vec<f64>>> {
        match (self, column) {
            (Self::Numbers { .. }, Column::Numbers(numbers)) if missing == Missing::Kept => {
                Ok(vec![numbers.clone()])
            }
            (Self::Numbers { mean, has_missing }, Column::Numbers(numbers)) => {
                let known = |number: &f64| if number.is_nan() { *mean } else { *number };
                let mut columns = vec![numbers.iter().map(known).collect()];
                if *has_missing {
                    columns.push(numbers.iter().map(|number| is(number.is_nan())).collect());
                }
                Ok(columns)
            }
            (Self::Words { words, has_missing }, Column::Categories(categories)) => {
                let of = |word: Option<&String>| -> Result<Vec<f64>> {
                    if is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                    let equals = categories.iter().map(|category| category.as_ref() == word);
                    Ok(equals.map(is).collect())
                };
                let missing = has_missing.then_some(None);
                words.iter().map(Some).chain(missing).map(of).collect()
            }
            _ => Err(OTHER_TABLE),
        }
    }
}

fn is(claim: bool) -> f64 {
    f64::from(u8::from(claim))
}

fn of_numbers(numbers: &[f64], weights: &[f64]) -> Encoded {
    let (mut sum, mut total) = (0.0, 0.0);
    for (number, weight) in numbers.iter().zip(weights) {
        if !number.is_nan() {
            sum += weight * number;
            total += weight;
        }
    }
    let mean = sum / total;
    Encoded::Numbers {
        mean: if mean.is_finite() { mean } else { 0.0 },
        has_missing: numbers.iter().any(|number| number.is_nan()),
    }
}

/// The commonest words, in the order of the alphabet.
fn of_categories(
    categories: &[Option<String>],
    weights: &[f64],
    is_cancelled: IsCancelled,
) -> Result<Encoded> {
    let mut counts: BTreeMap<&String, f64> = BTreeMap::new();
    for (row, (category, weight)) in categories.iter().zip(weights).enumerate() {
        if row.is_multiple_of(OFTEN) && is_cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(word) = category {
            *counts.entry(word).or_default() += weight;
        }
    }
    let mut words: Vec<(&String, f64)> = counts.into_iter().collect();
    // A stable sort: of equally common words the first in the alphabet stays.
    words.sort_by(|a, b| b.1.total_cmp(&a.1));
    words.truncate(MOST_WORDS);
    words.sort_by_key(|(word, _)| *word);
    Ok(Encoded::Words {
        words: words.into_iter().map(|(word, _)| word.clone()).collect(),
        has_missing: categories.iter().any(Option::is_none),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Column {
        let of = |word: &&str| Some((*word).to_owned()).filter(|word| !word.is_empty());
        Column::Categories(words.iter().map(of).collect())
    }

    fn table(columns: Vec<Column>) -> Table {
        Table::new(columns).expect("a table")
    }

    fn learned(table: &Table, weights: &[f64], missing: Missing) -> Encoding {
        Encoding::new(table, weights, missing, &|| false).expect("learned")
    }

    fn applied(encoding: &Encoding, table: &Table) -> Result<Numbers> {
        encoding.apply(table, &|| false)
    }

    #[test]
    fn it_ends_once_it_is_cancelled() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let word = "a";
        let seen = table(vec![words(&vec![word; 3 * OFTEN])]);
        let weights = vec![1.0; 3 * OFTEN];
        let asked = AtomicUsize::new(0);
        // The column, and then its words: in the middle of them it ends.
        let soon = || asked.fetch_add(1, Ordering::Relaxed) >= 2;
        let ended = Encoding::new(&seen, &weights, Missing::Kept, &soon);
        assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
        assert_eq!(asked.into_inner(), 3);
        let encoding = learned(&seen, &weights, Missing::Kept);
        let ended = encoding.apply(&seen, &|| true).err();
        assert!(matches!(ended, Some(Error::Cancelled)), "{ended:?}");
    }

    #[test]
    fn words_become_zeros_and_ones() {
        let seen = table(vec![words(&["b", "a", "", "b"])]);
        let encoding = learned(&seen, &[1.0; 4], Missing::Kept);
        let of = applied(&encoding, &table(vec![words(&["a", "b", "c", ""])])).expect("encoded");
        let expected = [
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        assert_eq!(of.columns, expected.map(Vec::from));
        assert_eq!(of.origins, [0, 0, 0]);
    }

    #[test]
    fn rare_words_are_left_out() {
        let many: Vec<String> = (0..200).map(|n| format!("{:03}", n % 50)).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.extend(["049"; 3]);
        let seen = table(vec![words(&many)]);
        let encoding = learned(&seen, &[1.0; 203], Missing::Kept);
        let Encoded::Words { words, .. } = &encoding.columns[0] else {
            panic!("words")
        };
        assert_eq!(words.len(), MOST_WORDS);
        assert_eq!((words[0].as_str(), words[31].as_str()), ("000", "049"));
    }

    #[test]
    fn a_missing_number_is_kept_or_replaced() {
        let seen = table(vec![Column::Numbers(vec![1.0, f64::NAN, 4.0])]);
        let kept = learned(&seen, &[2.0, 1.0, 1.0], Missing::Kept);
        assert!(applied(&kept, &seen).expect("encoded").columns[0][1].is_nan());
        let replaced = learned(&seen, &[2.0, 1.0, 1.0], Missing::Replaced);
        let expected = vec![vec![1.0, 2.0, 4.0], vec![0.0, 1.0, 0.0]];
        assert_eq!(
            applied(&replaced, &seen).expect("encoded").columns,
            expected
        );
    }

    #[test]
    fn another_table_is_refused() {
        let seen = table(vec![Column::Numbers(vec![1.0])]);
        let encoding = learned(&seen, &[1.0], Missing::Kept);
        assert!(applied(&encoding, &table(vec![words(&["a"])])).is_err());
        assert!(applied(&encoding, &table(vec![])).is_err());
    }
}
