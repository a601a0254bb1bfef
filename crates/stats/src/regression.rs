//! Straight lines over tables: logistic regression for probabilities, least squares for means.
//!
//! Columns are made into numbers ([`crate::encoding`]) and measured in standard deviations from their mean, so that `l2` holds
//! all of them back alike; a column that says nothing, or what another one says, does no harm. The plain opponent of
//! [`crate::boosting`], and often as good.
//!
//! Source: Hoerl & Kennard (1970), Technometrics 12, for the penalty.

use serde::{Deserialize, Serialize};

use crate::encoding::{Encoding, Missing};
use crate::error::positive;
use crate::fit::IsCancelled;
use crate::learner::{Goal, Learner, Predictor, Reasons, Table};
use crate::linear;
use crate::logistic::{self, sigmoid};
use crate::scaling::{self, Scaling};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regression {
    pub goal: Goal,
    /// Of the coefficients per standard deviation; must be above 0.
    pub l2: f64,
}

impl Regression {
    pub fn new(goal: Goal) -> Self {
        Self { goal, l2: 1.0 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    encoding: Encoding,
    is_logistic: bool,
    intercept: f64,
    coefficients: Vec<f64>,
    /// What each of the numbers is compared with.
    means: Vec<f64>,
}

impl Learner for Regression {
    type Model = Line;

    fn fit(
        &self,
        table: &Table,
        targets: &[f64],
        weights: &[f64],
        is_cancelled: IsCancelled,
    ) -> Result<Line> {
        self.goal.check(table, targets, weights)?;
        positive("l2", self.l2)?;
        let encoding = Encoding::new(table, weights, Missing::Replaced, is_cancelled)?;
        let (rows, n) = rows(&encoding, table, is_cancelled)?;
        scaling::check(&rows, n, weights)?;
        let scaling = Scaling::new(&rows, n, weights);
        let scaled = scaling.rows(&rows, targets.len());
        let solved = match self.goal {
            Goal::Probability => self.logistic(&scaled, n, targets, weights, is_cancelled)?,
            Goal::Mean => self.least_squares(&scaled, n, targets, weights)?,
        };
        Ok(Line {
            encoding,
            is_logistic: self.goal == Goal::Probability,
            // At the means all that is scaled is 0.
            intercept: solved[0],
            coefficients: scaling.unscaled(&solved)[1..].to_vec(),
            means: scaling.means().to_vec(),
        })
    }
}

impl Regression {
    fn logistic(
        &self,
        scaled: &[f64],
        n: usize,
        targets: &[f64],
        weights: &[f64],
        is_cancelled: IsCancelled,
    ) -> Result<Vec<f64>> {
        let rows: Vec<f64> = without_the_ones(scaled, n);
        let fit = logistic::fit(&rows, n, targets, weights, self.l2, is_cancelled)?;
        let mut solved = vec![fit.intercept];
        solved.extend(fit.coefficients);
        Ok(solved)
    }

    /// Solves (XᵀWX + l2)·b = XᵀWy, the intercept not held back.
    fn least_squares(
        &self,
        scaled: &[f64],
        n: usize,
        targets: &[f64],
        weights: &[f64],
    ) -> Result<Vec<f64>> {
        let n = n + 1;
        let (mut matrix, mut right) = (vec![0.0; n * n], vec![0.0; n]);
        for (row, (target, weight)) in scaled.chunks_exact(n).zip(targets.iter().zip(weights)) {
            for (i, x) in row.iter().enumerate() {
                right[i] += weight * target * x;
                for (j, y) in row.iter().enumerate() {
                    matrix[i * n + j] += weight * x * y;
                }
            }
        }
        for i in 1..n {
            matrix[i * n + i] += self.l2;
        }
        let lower = linear::cholesky(&matrix, n).ok_or(Error::TooLittle("no row has a weight"))?;
        let solved = linear::solve(&lower, n, &right);
        match solved.iter().find(|b| !b.is_finite()) {
            Some(value) => Err(Error::Range {
                name: "sum of the targets",
                range: "a finite number",
                value: *value,
            }),
            None => Ok(solved),
        }
    }
}

impl Line {
    fn score(&self, row: &[f64]) -> f64 {
        let terms = row.iter().zip(&self.means).zip(&self.coefficients);
        self.intercept + terms.map(|((x, mean), b)| b * (x - mean)).sum::<f64>()
    }
}

impl Predictor for Line {
    fn predict(&self, table: &Table) -> Result<Vec<f64>> {
        let (rows, n) = rows(&self.encoding, table, &|| false)?;
        let of = |row: usize| {
            let score = self.score(&rows[row * n..(row + 1) * n]);
            if self.is_logistic {
                sigmoid(score)
            } else {
                score
            }
        };
        Ok((0..table.n_rows()).map(of).collect())
    }

    fn reasons(&self, table: &Table) -> Result<Reasons> {
        let numbers = self.encoding.apply(table, &|| false)?;
        let width = self.encoding.n_columns();
        let mut additions = vec![0.0; table.n_rows() * width];
        for (n, (column, origin)) in numbers.columns.iter().zip(&numbers.origins).enumerate() {
            for (row, x) in column.iter().enumerate() {
                additions[row * width + origin] += self.coefficients[n] * (x - self.means[n]);
            }
        }
        Ok(Reasons {
            base: self.intercept,
            additions,
        })
    }
}

/// Encoded, row by row, and how many numbers there are in a row.
fn rows(
    encoding: &Encoding,
    table: &Table,
    is_cancelled: IsCancelled,
) -> Result<(Vec<f64>, usize)> {
    let columns = encoding.apply(table, is_cancelled)?.columns;
    let of_row = |row: usize| columns.iter().map(move |column| column[row]);
    Ok((
        (0..table.n_rows()).flat_map(of_row).collect(),
        columns.len(),
    ))
}

fn without_the_ones(scaled: &[f64], n: usize) -> Vec<f64> {
    let rows = scaled.chunks_exact(n + 1);
    rows.flat_map(|row| &row[1..]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::Column;

    fn table() -> Table {
        let numbers = vec![1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0, 7.0, 8.0];
        let words = ["a", "b", "a", "b", "a", "b", "b", "c"].map(|word| Some(word.to_owned()));
        let columns = vec![
            Column::Numbers(numbers),
            Column::Categories(words.to_vec()),
            Column::Numbers(vec![3.0; 8]),
        ];
        Table::new(columns).expect("a table")
    }

    const LABELS: [f64; 8] = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0];

    fn fit(goal: Goal, targets: &[f64]) -> Line {
        let weights = vec![1.0; targets.len()];
        let regression = Regression::new(goal);
        regression
            .fit(&table(), targets, &weights, &|| false)
            .expect("fitted")
    }

    #[test]
    fn additions_and_the_base_make_the_score() {
        for goal in [Goal::Probability, Goal::Mean] {
            let line = fit(goal, &LABELS);
            let reasons = line.reasons(&table()).expect("reasons");
            let predicted = line.predict(&table()).expect("predicted");
            for (row, predicted) in reasons.additions.chunks_exact(3).zip(predicted) {
                let score = reasons.base + row.iter().sum::<f64>();
                let expected = if goal == Goal::Mean {
                    score
                } else {
                    sigmoid(score)
                };
                assert!(
                    (predicted - expected).abs() < 1e-12,
                    "{predicted} {expected}"
                );
                assert_eq!(row[2], 0.0);
            }
        }
    }

    #[test]
    fn the_mean_of_what_was_seen_is_kept() {
        for goal in [Goal::Probability, Goal::Mean] {
            let predicted = fit(goal, &LABELS).predict(&table()).expect("predicted");
            assert!(
                (predicted.iter().sum::<f64>() - 4.0).abs() < 1e-9,
                "{predicted:?}"
            );
        }
    }

    #[test]
    fn a_line_is_found() {
        let numbers: Vec<f64> = (0..1_000).map(f64::from).collect();
        let targets: Vec<f64> = numbers.iter().map(|x| 3.0 + 0.5 * x).collect();
        let table = Table::new(vec![Column::Numbers(numbers)]).expect("a table");
        let regression = Regression {
            goal: Goal::Mean,
            l2: 1e-9,
        };
        let line = regression
            .fit(&table, &targets, &[1.0; 1_000], &|| false)
            .expect("fitted");
        let ten = Table::new(vec![Column::Numbers(vec![10.0])]).expect("a table");
        assert!((line.predict(&ten).expect("predicted")[0] - 8.0).abs() < 1e-6);
    }

    #[test]
    fn a_table_without_columns_has_its_mean() {
        let nothing = Table::new(vec![]).expect("a table");
        let regression = Regression::new(Goal::Mean);
        assert!(regression.fit(&nothing, &[], &[], &|| false).is_err());
    }

    #[test]
    fn targets_beyond_all_bounds_are_refused() {
        let regression = Regression::new(Goal::Mean);
        let result = regression.fit(&table(), &[f64::MAX; 8], &[1.0; 8], &|| false);
        assert!(result.is_err());
    }

    #[test]
    fn labels_of_one_kind_are_refused() {
        let regression = Regression::new(Goal::Probability);
        let result = regression.fit(&table(), &[1.0; 8], &[1.0; 8], &|| false);
        assert!(result.is_err());
        assert!(
            regression
                .fit(&table(), &LABELS, &[0.0; 8], &|| false)
                .is_err()
        );
    }
}
