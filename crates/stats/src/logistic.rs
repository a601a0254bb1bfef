//! Logistic regression: how features move the odds that something happens, such as that a customer leaves.
//!
//! ln(p / (1 − p)) = β₀ + β·x. The log-likelihood Σ w·(y·η − ln(1 + e^η)), with η the log-odds, is concave: Newton's method
//! (for this model the same as iteratively reweighted least squares) finds its only maximum. With `l2` above 0,
//! ½·l2·Σ βⱼ² is taken off, as with C = 1/l2 elsewhere; the intercept is not held back.
//!
//! Where the features tell some of the outcomes without an error there is no maximum: the odds run away to infinity. Such a
//! fit says that it is `separated`; its probabilities are good, its coefficients mean nothing.
//!
//! Source: Cox (1958), J. of the Royal Statistical Society B 20; separation: Albert & Anderson (1984), Biometrika 71.

use crate::error::not_negative;
use crate::fit::IsCancelled;
use crate::linear;
use crate::newton::{self, Evaluated, Top};
use crate::scaling::{self, Scaling};
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    pub intercept: f64,
    /// Logarithm of the odds' ratio per unit of each feature.
    pub coefficients: Vec<f64>,
    pub intercept_standard_error: f64,
    /// Of the coefficients; infinite where nothing is known. With `l2` they say nothing of the bias that it brings.
    pub standard_errors: Vec<f64>,
    /// At the estimate, without the penalty.
    pub log_likelihood: f64,
    /// Of the intercept alone.
    pub log_likelihood_of_none: f64,
    pub iterations: usize,
    pub converged: bool,
    /// Some outcomes are told without an error: a maximum does not exist.
    pub separated: bool,
}

/// Fits `targets`, each 0 or 1, or the share of ones where a row stands for several.
///
/// `features` row by row, no constant among them. Refuses targets that are all 0 or all 1, and, unless `l2` is above 0,
/// features of which one follows from the others.
pub fn fit(
    features: &[f64],
    n_features: usize,
    targets: &[f64],
    weights: &[f64],
    l2: f64,
    is_cancelled: IsCancelled,
) -> Result<Logistic> {
    scaling::check(features, n_features, weights)?;
    not_negative("l2", l2)?;
    let share = share_of_ones(targets, weights)?;
    let scaling = Scaling::new(features, n_features, weights);
    let data = Data {
        rows: &scaling.rows(features, targets.len()),
        n: n_features + 1,
        targets,
        weights,
        penalties: penalties(&scaling, l2),
        is_cancelled,
    };
    let mut start = vec![0.0; n_features + 1];
    start[0] = (share / (1.0 - share)).ln();
    let top = newton::maximise(start, |beta| data.evaluate(beta), is_cancelled)?;
    Ok(data.told(&scaling, &top, share))
}

impl Logistic {
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        let pairs = self.coefficients.iter().zip(row);
        self.intercept + pairs.map(|(b, x)| b * x).sum::<f64>()
    }

    pub fn probability(&self, row: &[f64]) -> f64 {
        sigmoid(self.log_odds(row))
    }
}

/// The probability of which `log_odds` are the log-odds.
pub fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn share_of_ones(targets: &[f64], weights: &[f64]) -> Result<f64> {
    if targets.len() != weights.len() {
        return Err(Error::TooLittle("each row needs a target"));
    }
    if let Some(value) = targets.iter().find(|target| !(0.0..=1.0).contains(*target)) {
        return Err(Error::Range {
            name: "target",
            range: "between 0 and 1",
            value: *value,
        });
    }
    let ones: f64 = targets.iter().zip(weights).map(|(y, w)| y * w).sum();
    let share = ones / weights.iter().sum::<f64>();
    if share > 0.0 && share < 1.0 {
        return Ok(share);
    }
    Err(Error::TooLittle("the targets are all the same"))
}

/// Of the scaled coefficients: ½·l2·β² is ½·(l2 / deviation²)·b².
fn penalties(scaling: &Scaling, l2: f64) -> Vec<f64> {
    let of = |deviation: &f64| l2 / (deviation * deviation);
    std::iter::once(0.0)
        .chain(scaling.deviations().iter().map(of))
        .collect()
}

struct Data<'a> {
    rows: &'a [f64],
    n: usize,
    targets: &'a [f64],
    weights: &'a [f64],
    penalties: Vec<f64>,
    is_cancelled: IsCancelled<'a>,
}

impl Data<'_> {
    fn evaluate(&self, beta: &[f64]) -> Evaluated {
        let n = self.n;
        let mut sum = Evaluated::sum(n, self.targets.len(), self.is_cancelled, |piece| {
            let rows = &self.rows[piece.start * n..piece.end * n];
            of_piece(
                rows,
                &self.targets[piece.clone()],
                &self.weights[piece],
                beta,
            )
        });
        for (i, penalty) in self.penalties.iter().enumerate() {
            sum.log_likelihood -= 0.5 * penalty * beta[i] * beta[i];
            sum.score[i] -= penalty * beta[i];
            sum.information[i * self.n + i] += penalty;
        }
        sum
    }

    fn told(&self, scaling: &Scaling, top: &Top, share: f64) -> Logistic {
        let covariance = linear::inverse(&top.at.information, self.n);
        let errors = match covariance {
            Some(covariance) => scaling.standard_errors(&covariance),
            None => vec![f64::INFINITY; self.n],
        };
        let beta = scaling.unscaled(&top.parameters);
        let penalised = self.penalties.iter().zip(&top.parameters);
        let penalty: f64 = penalised.map(|(penalty, b)| 0.5 * penalty * b * b).sum();
        let separated = top.runs_away(self.rows, self.n);
        let weight: f64 = self.weights.iter().sum();
        Logistic {
            intercept: beta[0],
            coefficients: beta[1..].to_vec(),
            intercept_standard_error: errors[0],
            standard_errors: errors[1..].to_vec(),
            log_likelihood: top.at.log_likelihood + penalty,
            log_likelihood_of_none: weight
                * (share * share.ln() + (1.0 - share) * (1.0 - share).ln()),
            iterations: top.iterations,
            converged: top.converged && !separated,
            separated,
        }
    }
}

fn of_piece(rows: &[f64], targets: &[f64], weights: &[f64], beta: &[f64]) -> Evaluated {
    let n = beta.len();
    let mut sum = Evaluated::new(n);
    for (row, (target, weight)) in rows.chunks_exact(n).zip(targets.iter().zip(weights)) {
        let log_odds: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
        let probability = sigmoid(log_odds);
        sum.log_likelihood += weight * (target * log_odds - softplus(log_odds));
        let improbability = sigmoid(-log_odds);
        // Not target − probability, which is 0 long before the probability is 1.
        let residual = weight * (target * improbability - (1.0 - target) * probability);
        let spread = weight * probability * improbability;
        for (i, x) in row.iter().enumerate() {
            sum.score[i] += residual * x;
            for (j, y) in row[..=i].iter().enumerate() {
                sum.information[i * n + j] += spread * x * y;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(features: &[f64], n: usize, targets: &[f64], l2: f64) -> Result<Logistic> {
        let weights = vec![1.0; targets.len()];
        fit(features, n, targets, &weights, l2, &|| false)
    }

    /// Grade point average, test score, taught by the new method; better grade. From Spector & Mazzeo (1980).
    const SPECTOR: [[f64; 4]; 32] = [
        [2.66, 20.0, 0.0, 0.0],
        [2.89, 22.0, 0.0, 0.0],
        [3.28, 24.0, 0.0, 0.0],
        [2.92, 12.0, 0.0, 0.0],
        [4.00, 21.0, 0.0, 1.0],
        [2.86, 17.0, 0.0, 0.0],
        [2.76, 17.0, 0.0, 0.0],
        [2.87, 21.0, 0.0, 0.0],
        [3.03, 25.0, 0.0, 0.0],
        [3.92, 29.0, 0.0, 1.0],
        [2.63, 20.0, 0.0, 0.0],
        [3.32, 23.0, 0.0, 0.0],
        [3.57, 23.0, 0.0, 0.0],
        [3.26, 25.0, 0.0, 1.0],
        [3.53, 26.0, 0.0, 0.0],
        [2.74, 19.0, 0.0, 0.0],
        [2.75, 25.0, 0.0, 0.0],
        [2.83, 19.0, 0.0, 0.0],
        [3.12, 23.0, 1.0, 0.0],
        [3.16, 25.0, 1.0, 1.0],
        [2.06, 22.0, 1.0, 0.0],
        [3.62, 28.0, 1.0, 1.0],
        [2.89, 14.0, 1.0, 0.0],
        [3.51, 26.0, 1.0, 0.0],
        [3.54, 24.0, 1.0, 1.0],
        [2.83, 27.0, 1.0, 1.0],
        [3.39, 17.0, 1.0, 1.0],
        [2.67, 24.0, 1.0, 0.0],
        [3.65, 21.0, 1.0, 1.0],
        [4.00, 23.0, 1.0, 1.0],
        [3.10, 21.0, 1.0, 0.0],
        [2.39, 19.0, 1.0, 1.0],
    ];

    fn spector() -> (Vec<f64>, Vec<f64>) {
        let features = SPECTOR.iter().flat_map(|row| row[..3].to_vec()).collect();
        (features, SPECTOR.iter().map(|row| row[3]).collect())
    }

    fn near(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance, "{got}, not {expected}");
    }

    #[test]
    fn c1_spector_mazzeo() {
        let (features, targets) = spector();
        let fit = of(&features, 3, &targets, 0.0).expect("fitted");
        assert!(fit.converged && !fit.separated, "{fit:?}");
        near(fit.intercept, -13.02135, 1e-4);
        near(fit.intercept_standard_error, 4.93132, 1e-4);
        let expected = [(2.82611, 1.26294), (0.09516, 0.14155), (2.37869, 1.06456)];
        for (n, (coefficient, error)) in expected.into_iter().enumerate() {
            near(fit.coefficients[n], coefficient, 1e-4);
            near(fit.standard_errors[n], error, 1e-4);
        }
        near(fit.log_likelihood, -12.88963, 1e-4);
    }

    #[test]
    fn weights_are_repeated_rows() {
        let (mut features, mut targets) = spector();
        let weights: Vec<f64> = (0..32).map(|n| f64::from(1 + n % 3)).collect();
        let weighted = fit(&features, 3, &targets, &weights, 0.0, &|| false).expect("fitted");
        for (n, row) in SPECTOR.iter().enumerate() {
            for _ in 0..n % 3 {
                features.extend_from_slice(&row[..3]);
                targets.push(row[3]);
            }
        }
        let repeated = of(&features, 3, &targets, 0.0).expect("fitted");
        for (a, b) in weighted.coefficients.iter().zip(&repeated.coefficients) {
            near(*a, *b, 1e-9);
        }
        near(
            weighted.standard_errors[2],
            repeated.standard_errors[2],
            1e-9,
        );
        near(weighted.log_likelihood, repeated.log_likelihood, 1e-9);
    }

    #[test]
    fn a_penalty_holds_coefficients_back_and_not_the_intercept() {
        let (features, targets) = spector();
        let held = of(&features, 3, &targets, 1e9).expect("fitted");
        for coefficient in &held.coefficients {
            near(*coefficient, 0.0, 1e-6);
        }
        near(held.intercept, (11.0_f64 / 21.0).ln(), 1e-4);
        near(held.log_likelihood, held.log_likelihood_of_none, 1e-4);
    }

    #[test]
    fn a_change_of_units_changes_only_units() {
        let (mut features, targets) = spector();
        let before = of(&features, 3, &targets, 0.0).expect("fitted");
        for row in features.chunks_exact_mut(3) {
            row[1] = row[1] * 1e9 + 1e12;
        }
        let after = of(&features, 3, &targets, 0.0).expect("fitted");
        near(after.coefficients[1] * 1e9, before.coefficients[1], 1e-6);
        near(after.log_likelihood, before.log_likelihood, 1e-9);
    }

    #[test]
    fn separation_is_told_and_stays_finite() {
        let features = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let complete = of(&features, 1, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 0.0).expect("flagged");
        let touching = [1.0, 2.0, 3.0, 3.0, 4.0, 5.0];
        let quasi = of(&touching, 1, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 0.0).expect("flagged");
        let shared = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let one_sided = of(&shared, 1, &[0.0, 1.0, 0.0, 1.0, 1.0, 1.0], 0.0).expect("flagged");
        for fit in [complete, quasi, one_sided] {
            assert!(fit.separated && !fit.converged, "{fit:?}");
            assert!(fit.intercept.is_finite() && fit.coefficients[0].is_finite());
            assert!(!fit.standard_errors[0].is_nan(), "{fit:?}");
            assert!((0.0..=1.0).contains(&fit.probability(&[2.5])));
        }
        let held = of(&features, 1, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 0.1).expect("fitted");
        assert!(held.converged && !held.separated, "{held:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let y = [0.0, 1.0, 0.0, 1.0];
        assert!(of(&[1.0, 2.0, 3.0, 5.0], 1, &[1.0; 4], 0.0).is_err());
        assert!(of(&[1.0], 1, &[1.0], 0.0).is_err());
        assert!(of(&[7.0; 4], 1, &y, 0.0).is_err());
        assert!(of(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0, 5.0, 10.0], 2, &y, 0.0).is_err());
        for hostile in [f64::NAN, f64::INFINITY] {
            assert!(of(&[1.0, 2.0, hostile, 4.0], 1, &y, 0.0).is_err());
            assert!(of(&[1.0, 2.0, 3.0, 4.0], 1, &[0.0, 1.0, hostile, 1.0], 0.0).is_err());
            assert!(of(&[1.0, 2.0, 3.0, 5.0], 1, &y, hostile).is_err());
        }
        assert!(of(&[1e300, -1e300, 3e300, 1e-300], 1, &y, 0.0).is_err());
    }

    #[test]
    fn a_penalty_admits_constant_and_repeated_features() {
        let features = [7.0, 1.0, 1.0, 7.0, 2.0, 2.0, 7.0, 3.0, 3.0, 7.0, 5.0, 5.0];
        let fit = of(&features, 3, &[0.0, 1.0, 0.0, 1.0], 1.0).expect("fitted");
        near(fit.coefficients[0], 0.0, 1e-12);
        near(fit.coefficients[1], fit.coefficients[2], 1e-9);
    }

    #[test]
    fn without_features_the_share_is_fitted() {
        let fit = of(&[], 0, &[0.0, 1.0, 0.0, 0.0], 0.0).expect("fitted");
        near(fit.probability(&[]), 0.25, 1e-12);
        near(fit.log_likelihood, fit.log_likelihood_of_none, 1e-12);
    }
}
