//! Weibull accelerated failure time: what makes customers stay longer, and for how long each of them will.
//!
//! A customer with features x is still there at time t with probability S(t) = exp(−(t/λ)^ρ), where ln λ = β₀ + β·x: a
//! feature stretches time by e^β. ρ above 1 says that leaving becomes likelier with time, below 1 that it becomes less so.
//! Unlike Cox's model it can say how long beyond what was seen.
//!
//! The log-likelihood Σ e·(ln ρ + u − ln t) − e^u, with u = ρ·(ln t − ln λ) and e = 1 for who left, is concave in ρ and ρβ:
//! Newton's method climbs there, and the standard errors are carried over to β and ln ρ.
//!
//! Source: Kalbfleisch & Prentice (2002), "The Statistical Analysis of Failure Time Data", chapter 3.

use crate::error::positive;
use crate::fit::IsCancelled;
use crate::linear;
use crate::newton::{self, Evaluated, Top};
use crate::scaling::{self, Scaling};
use crate::special::ln_gamma;
use crate::survival::Duration;
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub struct WeibullAft {
    /// ln λ where all features are 0.
    pub intercept: f64,
    /// Logarithm of the factor by which a unit of each feature stretches time.
    pub coefficients: Vec<f64>,
    pub intercept_standard_error: f64,
    pub standard_errors: Vec<f64>,
    /// ln ρ.
    pub log_shape: f64,
    pub log_shape_standard_error: f64,
    pub log_likelihood: f64,
    pub iterations: usize,
    /// `false` where there is no maximum: a group of which nobody left, or all left at one time.
    pub converged: bool,
}

/// `features` row by row, one row per duration, no constant among them. Durations must be above 0.
pub fn fit(
    durations: &[Duration],
    features: &[f64],
    n_features: usize,
    is_cancelled: IsCancelled,
) -> Result<WeibullAft> {
    let weights: Vec<f64> = durations.iter().map(|duration| duration.weight).collect();
    scaling::check(features, n_features, &weights)?;
    for duration in durations {
        positive("duration", duration.time)?;
    }
    let left = |duration: &Duration| f64::from(u8::from(duration.is_event));
    let events: f64 = durations.iter().map(|d| d.weight * left(d)).sum();
    if events <= 0.0 {
        return Err(Error::TooLittle("nobody left"));
    }
    // In units of the mean time per event, where the exponential distribution (ρ = 1) has ln λ = 0.
    let unit = durations.iter().map(|d| d.weight * d.time).sum::<f64>() / events;
    let scaling = Scaling::new(features, n_features, &weights);
    let data = Data {
        durations,
        rows: &scaling.rows(features, durations.len()),
        n: n_features + 1,
        log_unit: positive("mean duration", unit)?.ln(),
        is_cancelled,
    };
    let mut start = vec![0.0; n_features + 2];
    start[n_features + 1] = 1.0;
    let top = newton::maximise(start, |parameters| data.evaluate(parameters), is_cancelled)?;
    Ok(data.told(&scaling, &top))
}

impl WeibullAft {
    /// Probability of staying longer than `time`.
    pub fn survival(&self, row: &[f64], time: f64) -> f64 {
        let rate = (time.ln() - self.log_scale(row)) * self.log_shape.exp();
        (-rate.exp()).exp()
    }

    /// Time that half of such customers stay longer than.
    pub fn median(&self, row: &[f64]) -> f64 {
        let shape = self.log_shape.exp();
        (self.log_scale(row) + std::f64::consts::LN_2.ln() / shape).exp()
    }

    /// Mean time that such customers stay.
    pub fn mean(&self, row: &[f64]) -> f64 {
        (self.log_scale(row) + ln_gamma(1.0 + (-self.log_shape).exp())).exp()
    }

    fn log_scale(&self, row: &[f64]) -> f64 {
        let pairs = self.coefficients.iter().zip(row);
        self.intercept + pairs.map(|(b, x)| b * x).sum::<f64>()
    }
}

struct Data<'a> {
    durations: &'a [Duration],
    /// A 1 and the scaled features.
    rows: &'a [f64],
    n: usize,
    log_unit: f64,
    is_cancelled: IsCancelled<'a>,
}

impl Data<'_> {
    /// At ρ·β and ρ, the last of the parameters.
    fn evaluate(&self, parameters: &[f64]) -> Evaluated {
        let n = self.n;
        if parameters[n] <= 0.0 || parameters[n].is_nan() {
            let mut nowhere = Evaluated::new(n + 1);
            nowhere.log_likelihood = f64::NEG_INFINITY;
            return nowhere;
        }
        Evaluated::sum(n + 1, self.durations.len(), self.is_cancelled, |piece| {
            let mut sum = Evaluated::new(n + 1);
            for index in piece {
                let row = &self.rows[index * n..(index + 1) * n];
                self.add(&mut sum, &self.durations[index], row, parameters);
            }
            sum
        })
    }

    fn add(&self, sum: &mut Evaluated, duration: &Duration, row: &[f64], parameters: &[f64]) {
        let n = self.n;
        let (shape, log_time) = (parameters[n], duration.time.ln() - self.log_unit);
        let product: f64 = row.iter().zip(parameters).map(|(x, b)| x * b).sum();
        let u = shape * log_time - product;
        let (weight, hazard) = (duration.weight, duration.weight * u.exp());
        let event = if duration.is_event { weight } else { 0.0 };
        sum.log_likelihood += event * (shape.ln() + u - duration.time.ln()) - hazard;
        sum.score[n] += event * (1.0 / shape + log_time) - hazard * log_time;
        let of_shape = &mut sum.information[n * (n + 1)..];
        of_shape[n] += event / (shape * shape) + hazard * log_time * log_time;
        for (i, x) in row.iter().enumerate() {
            of_shape[i] -= hazard * log_time * x;
            sum.score[i] += (hazard - event) * x;
        }
        for (i, x) in row.iter().enumerate() {
            for (j, y) in row[..=i].iter().enumerate() {
                sum.information[i * (n + 1) + j] += hazard * x * y;
            }
        }
    }

    fn told(&self, scaling: &Scaling, top: &Top) -> WeibullAft {
        let n = self.n;
        let shape = top.parameters[n];
        let scaled: Vec<f64> = top.parameters[..n].iter().map(|b| b / shape).collect();
        let mut beta = scaling.unscaled(&scaled);
        beta[0] += self.log_unit;
        let (errors, log_shape_error) = match linear::inverse(&top.at.information, n + 1) {
            Some(covariance) => {
                let covariance = of_beta(&covariance, &scaled, shape);
                (scaling.standard_errors(&covariance.0), covariance.1.sqrt())
            }
            None => (vec![f64::INFINITY; n], f64::INFINITY),
        };
        WeibullAft {
            intercept: beta[0],
            coefficients: beta[1..].to_vec(),
            intercept_standard_error: errors[0],
            standard_errors: errors[1..].to_vec(),
            log_shape: shape.ln(),
            log_shape_standard_error: log_shape_error,
            log_likelihood: top.at.log_likelihood,
            iterations: top.iterations,
            converged: top.converged && !top.runs_away(self.rows, n),
        }
    }
}

/// The covariance of β = (ρβ)/ρ and the variance of ln ρ, by their derivatives, from the covariance of ρβ and ρ.
fn of_beta(covariance: &[f64], beta: &[f64], shape: f64) -> (Vec<f64>, f64) {
    let n = beta.len();
    let at = |i: usize, j: usize| covariance[i * (n + 1) + j] / (shape * shape);
    let mut of_beta = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            of_beta[i * n + j] =
                at(i, j) - beta[i] * at(n, j) - beta[j] * at(i, n) + beta[i] * beta[j] * at(n, n);
        }
    }
    (of_beta, at(n, n))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREATED: [(f64, bool); 21] = [
        (6.0, true),
        (6.0, true),
        (6.0, true),
        (6.0, false),
        (7.0, true),
        (9.0, false),
        (10.0, true),
        (10.0, false),
        (11.0, false),
        (13.0, true),
        (16.0, true),
        (17.0, false),
        (19.0, false),
        (20.0, false),
        (22.0, true),
        (23.0, true),
        (25.0, false),
        (32.0, false),
        (32.0, false),
        (34.0, false),
        (35.0, false),
    ];
    const PLACEBO: [f64; 21] = [
        1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 5.0, 5.0, 8.0, 8.0, 8.0, 8.0, 11.0, 11.0, 12.0, 12.0,
        15.0, 17.0, 22.0, 23.0,
    ];

    /// Times of remission of Freireich et al. (1963), in weeks or another unit, and whether treated with 6-MP.
    fn freireich(unit: f64) -> (Vec<Duration>, Vec<f64>) {
        let placebo = PLACEBO.map(|time| (time, true));
        let of = |(time, is_event): &(f64, bool)| Duration::new(time * unit, *is_event, 1.0);
        let durations = TREATED
            .iter()
            .chain(&placebo)
            .map(|pair| of(pair).expect("a duration"));
        let treated = (0..42).map(|n| f64::from(u8::from(n < 21)));
        (durations.collect(), treated.collect())
    }

    fn near(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() < tolerance, "{got}, not {expected}");
    }

    #[test]
    fn b10_weibull_of_6_mp() {
        let (durations, treated) = freireich(1.0);
        let fit = fit(&durations, &treated, 1, &|| false).expect("fitted");
        assert!(fit.converged, "{fit:?}");
        near(fit.coefficients[0], 1.267332, 1e-4);
        near(fit.intercept, 2.248348, 1e-4);
        near(fit.log_shape, 0.311709, 1e-4);
        near(fit.log_likelihood, -106.5795, 1e-4);
        near(fit.standard_errors[0], 0.310638, 1e-4);
        near(fit.intercept_standard_error, 0.165972, 1e-4);
        near(fit.log_shape_standard_error, 0.147292, 1e-4);
    }

    #[test]
    fn half_stay_longer_than_the_median() {
        let (durations, treated) = freireich(1.0);
        let fit = fit(&durations, &treated, 1, &|| false).expect("fitted");
        for row in [[0.0], [1.0]] {
            near(fit.survival(&row, fit.median(&row)), 0.5, 1e-12);
            let steps = (0..100_000).map(|n| fit.survival(&row, (f64::from(n) + 0.5) * 0.01));
            near(steps.sum::<f64>() * 0.01, fit.mean(&row), 1e-4);
        }
        assert_eq!(fit.survival(&[0.0], 0.0), 1.0);
    }

    #[test]
    fn days_or_weeks() {
        let (weeks, treated) = freireich(1.0);
        let (days, _) = freireich(7.0);
        let weeks = fit(&weeks, &treated, 1, &|| false).expect("fitted");
        let days = fit(&days, &treated, 1, &|| false).expect("fitted");
        near(days.coefficients[0], weeks.coefficients[0], 1e-9);
        near(days.log_shape, weeks.log_shape, 1e-9);
        near(days.intercept, weeks.intercept + 7.0_f64.ln(), 1e-9);
        near(days.standard_errors[0], weeks.standard_errors[0], 1e-9);
    }

    #[test]
    fn weights_are_repeated_rows() {
        let (durations, treated) = freireich(1.0);
        let double = |duration: &Duration| Duration::new(duration.time, duration.is_event, 2.0);
        let weighted: Vec<Duration> = durations
            .iter()
            .map(|d| double(d).expect("a duration"))
            .collect();
        let weighted = fit(&weighted, &treated, 1, &|| false).expect("fitted");
        let twice = [durations.clone(), durations].concat();
        let features = [treated.clone(), treated].concat();
        let repeated = fit(&twice, &features, 1, &|| false).expect("fitted");
        near(weighted.coefficients[0], repeated.coefficients[0], 1e-9);
        near(
            weighted.standard_errors[0],
            repeated.standard_errors[0],
            1e-9,
        );
        near(weighted.log_likelihood, repeated.log_likelihood, 1e-9);
    }

    #[test]
    fn where_there_is_no_maximum_it_is_told() {
        let of = |time: f64, is_event: bool| Duration::new(time, is_event, 1.0).expect("one");
        let one_time = [of(5.0, true), of(5.0, true), of(5.0, true)];
        assert!(!fit(&one_time, &[], 0, &|| false).expect("told").converged);
        let one_stays = [of(1.0, true), of(2.0, true), of(3.0, false), of(4.0, false)];
        let fit = fit(&one_stays, &[0.0, 0.0, 1.0, 1.0], 1, &|| false).expect("told");
        assert!(!fit.converged && fit.coefficients[0].is_finite(), "{fit:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let of = |time: f64, is_event: bool| Duration::new(time, is_event, 1.0).expect("one");
        let good = [of(1.0, true), of(2.0, true), of(3.0, false)];
        assert!(fit(&good, &[1.0, 1.0, 1.0], 1, &|| false).is_err());
        assert!(fit(&good, &[1.0, f64::NAN, 0.0], 1, &|| false).is_err());
        assert!(fit(&good, &[1.0, 0.0], 1, &|| false).is_err());
        assert!(fit(&[of(0.0, true), of(1.0, true)], &[0.0, 1.0], 1, &|| false).is_err());
        assert!(fit(&[of(1.0, false), of(2.0, false)], &[], 0, &|| false).is_err());
        assert!(fit(&[], &[], 0, &|| false).is_err());
    }
}
