//! Customers as rows of numbers, which is what the clusterings take.
//!
//! A clustering measures distances, so columns must have comparable units: [`Scale`] brings them to mean 0 and deviation 1,
//! and, kept beside the model, does the same to tomorrow's customers.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Error, Result};

/// Beyond it the square of a distance may overflow.
const LARGEST: f64 = 1e100;

/// At most so many pieces, however many rows: what is held for each piece is bounded, and the sums over the pieces, which are
/// added in their order, are the same on any number of threads.
const MOST_PIECES: usize = 64;
const SMALLEST_PIECE: usize = 4_096;

/// Rows of finite numbers with their weights; at least one of the weights is above 0.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    values: &'a [f64],
    dimensions: usize,
    weights: Option<&'a [f64]>,
    total: f64,
}

impl<'a> Points<'a> {
    /// `values` row by row; each row counts once.
    pub fn new(values: &'a [f64], dimensions: usize) -> Result<Self> {
        if dimensions == 0 || values.is_empty() || !values.len().is_multiple_of(dimensions) {
            return Err(Error::TooLittle(
                "clustering needs rows of numbers, all with the same columns",
            ));
        }
        let is_usable = |value: &f64| value.abs() <= LARGEST;
        if let Some(value) = values.par_iter().find_first(|value| !is_usable(value)) {
            return Err(Error::Range {
                name: "a value to cluster by",
                range: "a finite number between -1e100 and 1e100",
                value: *value,
            });
        }
        Ok(Self {
            values,
            dimensions,
            weights: None,
            total: (values.len() / dimensions) as f64,
        })
    }

    /// A row of weight w counts as w equal rows.
    pub fn weighted(values: &'a [f64], dimensions: usize, weights: &'a [f64]) -> Result<Self> {
        let points = Self::new(values, dimensions)?;
        if weights.len() != points.len() {
            return Err(Error::TooLittle("each row needs one weight"));
        }
        let is_usable = |weight: &f64| (0.0..=LARGEST).contains(weight);
        if let Some(weight) = weights.iter().find(|weight| !is_usable(weight)) {
            return Err(Error::Range {
                name: "weight",
                range: "a finite number of at least 0",
                value: *weight,
            });
        }
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return Err(Error::TooLittle(
                "all weights are 0: there is nothing to cluster",
            ));
        }
        Ok(Self {
            weights: Some(weights),
            total,
            ..points
        })
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// Never: kept because whoever sees `len` looks for it.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub fn row(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.dimensions..(index + 1) * self.dimensions]
    }

    pub fn weight(&self, index: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[index])
    }

    /// Sum of the weights.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// How many rows a piece has; the last may have fewer.
    pub(crate) fn piece(&self) -> usize {
        self.len().div_ceil(MOST_PIECES).max(SMALLEST_PIECE)
    }

    /// `f` of each piece of the rows, on all cores; the results in the order of the pieces.
    pub(crate) fn map_pieces<T: Send>(&self, f: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        let piece = self.piece();
        let of = |n: usize| n * piece..((n + 1) * piece).min(self.len());
        let pieces = 0..self.len().div_ceil(piece);
        pieces.into_par_iter().map(|n| f(of(n))).collect()
    }

    /// Of the columns: weighted means, and variances about them.
    pub fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        // The second pass takes out what the first one rounded: a constant column has exactly no variance.
        let rounded = self.means_of(|_, x| x);
        let rest = self.means_of(|column, x| x - rounded[column]);
        let means: Vec<f64> = rounded.iter().zip(rest).map(|(a, b)| a + b).collect();
        let variances = self.means_of(|column, x| (x - means[column]).powi(2));
        (means, variances)
    }

    fn means_of(&self, f: impl Fn(usize, f64) -> f64 + Sync) -> Vec<f64> {
        let pieces = self.map_pieces(|rows| {
            let mut sums = vec![0.0; self.dimensions];
            for index in rows {
                let weight = self.weight(index);
                for (column, (sum, x)) in sums.iter_mut().zip(self.row(index)).enumerate() {
                    *sum += weight * f(column, *x);
                }
            }
            sums
        });
        let mean = |column| pieces.iter().map(|sums| sums[column]).sum::<f64>() / self.total;
        (0..self.dimensions).map(mean).collect()
    }
}

pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// What brings columns to mean 0 and deviation 1; the deviation is that of the population, Σ(x−m)²/n.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub means: Vec<f64>,
    /// 1 where a column is the same in every row.
    pub deviations: Vec<f64>,
}

impl Scale {
    pub fn of(points: &Points) -> Self {
        let (means, variances) = points.moments();
        let deviation = |variance: &f64| match variance.sqrt() {
            0.0 => 1.0,
            deviation => deviation,
        };
        Self {
            deviations: variances.iter().map(deviation).collect(),
            means,
        }
    }

    /// Scales rows in place; they have the columns of the scale.
    pub fn apply(&self, values: &mut [f64]) {
        for row in values.chunks_exact_mut(self.means.len()) {
            for ((x, mean), deviation) in row.iter_mut().zip(&self.means).zip(&self.deviations) {
                *x = (*x - mean) / deviation;
            }
        }
    }

    /// From scaled numbers back to the columns' own units: what a cluster's centre means.
    pub fn undo(&self, values: &mut [f64]) {
        for row in values.chunks_exact_mut(self.means.len()) {
            for ((x, mean), deviation) in row.iter_mut().zip(&self.means).zip(&self.deviations) {
                *x = *x * deviation + mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_column_has_mean_0_and_deviation_1() {
        let rows = [1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 6.0, 5.0];
        let scale = Scale::of(&Points::new(&rows, 2).expect("rows"));
        let mut scaled = rows.to_vec();
        scale.apply(&mut scaled);
        let (means, variances) = Points::new(&scaled, 2).expect("rows").moments();
        assert!(means.iter().all(|mean| mean.abs() < 1e-15));
        assert!((variances[0] - 1.0).abs() < 1e-15);
        assert_eq!(variances[1], 0.0);
        scale.undo(&mut scaled);
        assert_eq!(scaled, rows);
    }

    #[test]
    fn a_constant_column_is_not_blown_up() {
        let rows = [0.1; 1_000];
        let scale = Scale::of(&Points::new(&rows, 1).expect("rows"));
        assert_eq!(scale.deviations, [1.0]);
    }

    #[test]
    fn a_weight_is_as_many_rows() {
        let weighted = Points::weighted(&[1.0, 4.0], 1, &[3.0, 1.0]).expect("rows");
        let repeated = Points::new(&[1.0, 1.0, 1.0, 4.0], 1).expect("rows");
        assert_eq!(weighted.moments(), repeated.moments());
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200] {
            assert!(matches!(
                Points::new(&[1.0, value], 1),
                Err(Error::Range { .. })
            ));
            assert!(Points::weighted(&[1.0, 2.0], 1, &[1.0, value]).is_err());
        }
        assert!(Points::new(&[], 2).is_err());
        assert!(Points::new(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(Points::new(&[1.0], 0).is_err());
        assert!(Points::weighted(&[1.0], 1, &[-1.0]).is_err());
        assert!(Points::weighted(&[1.0], 1, &[0.0]).is_err());
        assert!(Points::weighted(&[1.0], 1, &[1.0, 1.0]).is_err());
    }
}
