//! Features as distances from their mean in standard deviations, so that a fit is as exact for incomes as for shares.
//!
//! With x = (feature − mean) / deviation, a model b₀ + Σ bⱼ·xⱼ is β₀ + Σ βⱼ·featureⱼ with βⱼ = bⱼ/deviationⱼ and
//! β₀ = b₀ − Σ βⱼ·meanⱼ.

use crate::error::not_negative;
use crate::{Error, Result};

pub struct Scaling {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

/// Refuses features that are no numbers, or not one row of them for each of the `weights`.
pub fn check(features: &[f64], n_features: usize, weights: &[f64]) -> Result<()> {
    if weights.is_empty() || features.len() != weights.len() * n_features {
        return Err(Error::TooLittle("each row needs all features and a weight"));
    }
    for weight in weights {
        not_negative("weight", *weight)?;
    }
    match features.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::Range {
            name: "feature",
            range: "a finite number",
            value: *value,
        }),
        None => Ok(()),
    }
}

impl Scaling {
    /// Of features that were [`check`]ed. What is constant keeps its unit.
    pub fn new(features: &[f64], n_features: usize, weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let average = |of: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; n_features];
            for (row, weight) in features.chunks_exact(n_features.max(1)).zip(weights) {
                for (n, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += weight * of(n, *value);
                }
            }
            sums.iter().map(|sum| sum / total).collect()
        };
        let means = average(&|_, value| value);
        let variances = average(&|n, value| (value - means[n]).powi(2));
        let deviation = |(variance, mean): (&f64, &f64)| {
            let is_constant = variance.sqrt() <= 1e-12 * mean.abs();
            if is_constant { 1.0 } else { variance.sqrt() }
        };
        let deviations = variances.iter().zip(&means).map(deviation).collect();
        Self { means, deviations }
    }

    pub fn means(&self) -> &[f64] {
        &self.means
    }

    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }

    /// Rows of a 1 and the scaled features.
    pub fn rows(&self, features: &[f64], n_rows: usize) -> Vec<f64> {
        let n = self.means.len();
        let mut rows = Vec::with_capacity(n_rows * (n + 1));
        for row in 0..n_rows {
            rows.push(1.0);
            let values = &features[row * n..(row + 1) * n];
            let scales = self.means.iter().zip(&self.deviations);
            rows.extend(values.iter().zip(scales).map(|(v, (m, d))| (v - m) / d));
        }
        rows
    }

    /// b₀ and b as β₀ and β.
    pub fn unscaled(&self, scaled: &[f64]) -> Vec<f64> {
        let mut unscaled = scaled.to_vec();
        for (n, (mean, deviation)) in self.means.iter().zip(&self.deviations).enumerate() {
            unscaled[n + 1] /= deviation;
            unscaled[0] -= unscaled[n + 1] * mean;
        }
        unscaled
    }

    /// Standard errors of β₀ and β, of the covariance of b₀ and b.
    pub fn standard_errors(&self, covariance: &[f64]) -> Vec<f64> {
        let n = self.means.len() + 1;
        let half: Vec<Vec<f64>> = covariance
            .chunks_exact(n)
            .map(|row| self.unscaled(row))
            .collect();
        let variance = |i: usize| {
            let column: Vec<f64> = half.iter().map(|row| row[i]).collect();
            self.unscaled(&column)[i]
        };
        (0..n).map(|i| variance(i).max(0.0).sqrt()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_model_says_what_the_unscaled_one_says() {
        let features = [1.0, 100.0, 2.0, 300.0, 4.0, 200.0];
        let scaling = Scaling::new(&features, 2, &[1.0, 1.0, 2.0]);
        let rows = scaling.rows(&features, 3);
        let scaled = [0.3, 1.5, -0.7];
        let unscaled = scaling.unscaled(&scaled);
        for (row, x) in rows.chunks_exact(3).zip(features.chunks_exact(2)) {
            let a: f64 = row.iter().zip(&scaled).map(|(x, b)| x * b).sum();
            let b = unscaled[0] + x[0] * unscaled[1] + x[1] * unscaled[2];
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        let weighted: f64 = rows
            .chunks_exact(3)
            .zip([1.0, 1.0, 2.0])
            .map(|(r, w)| r[1] * w)
            .sum();
        assert!(weighted.abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(check(&[1.0, f64::NAN], 1, &[1.0, 1.0]).is_err());
        assert!(check(&[1.0, 2.0], 1, &[1.0, -1.0]).is_err());
        assert!(check(&[1.0, 2.0, 3.0], 2, &[1.0]).is_err());
        assert!(check(&[], 1, &[]).is_err());
    }
}
