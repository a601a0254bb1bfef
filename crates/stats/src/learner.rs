//! Tables of features, and what learns from them: one shape for boosted trees, regressions and whatever comes next.

use serde::{Deserialize, Serialize};

use crate::error::not_negative;
use crate::fit::IsCancelled;
use crate::{Error, Result};

/// What is known of each customer under one name.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// NaN where it is missing.
    Numbers(Vec<f64>),
    /// One of a set of words; `None` where it is missing.
    Categories(Vec<Option<String>>),
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Categories(categories) => categories.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(numbers) => Self::Numbers(rows.iter().map(|n| numbers[*n]).collect()),
            Self::Categories(categories) => {
                Self::Categories(rows.iter().map(|n| categories[*n].clone()).collect())
            }
        }
    }
}

/// Columns of one length, with a row for each customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    n_rows: usize,
}

impl Table {
    /// Refuses infinite numbers: they are neither known nor missing.
    pub fn new(columns: Vec<Column>) -> Result<Self> {
        let n_rows = columns.first().map_or(0, Column::len);
        if columns.iter().any(|column| column.len() != n_rows) {
            return Err(Error::TooLittle(
                "all columns must have the same number of rows",
            ));
        }
        for column in &columns {
            let Column::Numbers(numbers) = column else {
                continue;
            };
            if let Some(value) = numbers.iter().find(|number| number.is_infinite()) {
                return Err(Error::Range {
                    name: "feature",
                    range: "a finite number, or missing",
                    value: *value,
                });
            }
        }
        Ok(Self { columns, n_rows })
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The rows with these numbers, in their order.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            columns: self
                .columns
                .iter()
                .map(|column| column.select(rows))
                .collect(),
            n_rows: rows.len(),
        }
    }
}

/// What is to be foretold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// The probability of a 1, from targets of 0 and 1.
    Probability,
    /// The mean of the targets.
    Mean,
}

impl Goal {
    /// Whether `targets` and `weights` fit the goal and the table.
    pub fn check(self, table: &Table, targets: &[f64], weights: &[f64]) -> Result<()> {
        let n = table.n_rows();
        if n == 0 || targets.len() != n || weights.len() != n {
            return Err(Error::TooLittle("each row needs a target and a weight"));
        }
        for weight in weights {
            not_negative("weight", *weight)?;
        }
        let is_fit = |target: f64| match self {
            Self::Probability => target == 0.0 || target == 1.0,
            Self::Mean => target.is_finite(),
        };
        match targets.iter().find(|target| !is_fit(**target)) {
            Some(value) => Err(Error::Range {
                name: "target",
                range: match self {
                    Self::Probability => "0 or 1",
                    Self::Mean => "a finite number",
                },
                value: *value,
            }),
            None => Ok(()),
        }
    }
}

/// What learns to foretell the targets of rows from their features.
pub trait Learner: Sync {
    type Model: Predictor;

    /// A row of weight 2 counts as two rows.
    fn fit(
        &self,
        table: &Table,
        targets: &[f64],
        weights: &[f64],
        is_cancelled: IsCancelled,
    ) -> Result<Self::Model>;
}

/// What was learned. Asked about a table with the columns that it learned from, in their order.
pub trait Predictor: Send + Sync {
    /// For each row a probability or a mean.
    fn predict(&self, table: &Table) -> Result<Vec<f64>>;

    /// Why it is this number. Costly for trees: some ten thousand rows a second.
    fn reasons(&self, table: &Table) -> Result<Reasons>;
}

/// What each column adds to each row's score: the log-odds of a probability, or the mean itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasons {
    /// The score of nobody in particular; with a row's additions it makes that row's score.
    pub base: f64,
    /// Row by row, one number per column of the table.
    pub additions: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_different_lengths_are_refused() {
        let columns = vec![Column::Numbers(vec![1.0]), Column::Categories(vec![])];
        assert!(Table::new(columns).is_err());
        assert!(Table::new(vec![Column::Numbers(vec![1.0, f64::INFINITY])]).is_err());
        assert!(Table::new(vec![Column::Numbers(vec![1.0, f64::NAN])]).is_ok());
    }

    #[test]
    fn rows_are_selected_in_their_order() {
        let words = ["a", "b", "c"].map(|word| Some(word.to_owned()));
        let columns = vec![
            Column::Numbers(vec![1.0, 2.0, 3.0]),
            Column::Categories(words.to_vec()),
        ];
        let table = Table::new(columns).expect("a table").select(&[2, 0, 2]);
        assert_eq!(table.n_rows(), 3);
        assert_eq!(table.columns()[0], Column::Numbers(vec![3.0, 1.0, 3.0]));
    }

    #[test]
    fn a_probability_is_learned_from_zeros_and_ones() {
        let table = Table::new(vec![Column::Numbers(vec![1.0, 2.0])]).expect("a table");
        let check = |goal: Goal, targets: &[f64]| goal.check(&table, targets, &[1.0, 1.0]);
        assert!(check(Goal::Probability, &[0.0, 1.0]).is_ok());
        assert!(check(Goal::Probability, &[0.0, 0.5]).is_err());
        assert!(check(Goal::Mean, &[0.0, 0.5]).is_ok());
        assert!(check(Goal::Mean, &[0.0, f64::NAN]).is_err());
        assert!(check(Goal::Mean, &[0.0]).is_err());
    }
}
