//! Shifted-beta-geometric: customers of a contract who renew, or do not, at the end of each period.
//!
//! At each renewal a customer leaves with their own constant probability θ; θ differs between customers as a beta
//! distribution (α, β). Retention rises with time though nobody changes: those who are likelier to leave have left.
//!
//! Source: Fader & Hardie (2007), "How to Project Customer Retention", J. of Interactive Marketing 21(1), 76-90.

use crate::dual::{Real, ln_beta_fall, ln_beta_ratio};
use crate::error::positive;
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShiftedBetaGeometric {
    alpha: f64,
    beta: f64,
}

/// A cohort that began together: how many were there at the start and after each period.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort(Vec<f64>);

impl Cohort {
    /// `survivors[0]` is the cohort's size; later numbers may not be larger than earlier ones.
    pub fn new(survivors: Vec<f64>) -> Result<Self> {
        if survivors.len() < 2 {
            return Err(Error::TooLittle(
                "a cohort needs its size and at least one count of who stayed",
            ));
        }
        for (before, after) in survivors.iter().zip(&survivors[1..]) {
            if !(*after >= 0.0 && after <= before && before.is_finite()) {
                return Err(Error::Range {
                    name: "number of survivors",
                    range: "at least 0 and no larger than the one before",
                    value: *after,
                });
            }
        }
        Ok(Self(survivors))
    }

    /// Who left at the end of each period, counted from 1, with the numbers.
    pub(crate) fn losses(&self) -> impl Iterator<Item = (f64, f64)> {
        let pairs = self.0.iter().zip(&self.0[1..]).enumerate();
        pairs.map(|(n, (before, after))| ((n + 1) as f64, before - after))
    }

    /// Periods seen, and who was still there after them.
    pub(crate) fn left_over(&self) -> (f64, f64) {
        let last = self.0.len() - 1;
        (last as f64, self.0[last])
    }

    pub(crate) fn size(&self) -> f64 {
        self.0[0]
    }
}

impl ShiftedBetaGeometric {
    pub fn new(alpha: f64, beta: f64) -> Result<Self> {
        Ok(Self {
            alpha: positive("alpha", alpha)?,
            beta: positive("beta", beta)?,
        })
    }

    /// Parameters in the order α, β; cohorts may be of different ages.
    pub fn fit(cohorts: &[Cohort], is_cancelled: IsCancelled) -> Result<Fit<2>> {
        fit::maximise(&Data(cohorts), &[[1.0, 1.0], [1.0, 4.0]], is_cancelled)
    }

    /// Share of a cohort that is still there after `periods`.
    pub fn survival(&self, periods: f64) -> f64 {
        ln_beta_fall(self.alpha, self.beta, periods).exp()
    }

    /// Share of those there before the `period`-th renewal who renew: equation (8) of the paper.
    pub fn retention(&self, period: f64) -> f64 {
        (self.beta + period - 1.0) / (self.alpha + self.beta + period - 1.0)
    }
}

struct Data<'a>(&'a [Cohort]);

impl Likelihood<2> for Data<'_> {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        [alpha, beta]: [R; 2],
        _is_cancelled: IsCancelled,
    ) -> R {
        let mut sum = R::constant(0.0);
        for cohort in self.0 {
            for (period, lost) in cohort.losses() {
                sum = sum + ln_beta_ratio(alpha, beta, 1.0, period - 1.0) * lost;
            }
            let (periods, left) = cohort.left_over();
            sum = sum + ln_beta_ratio(alpha, beta, 0.0, periods) * left;
        }
        sum
    }

    fn weight(&self) -> f64 {
        self.0.iter().map(Cohort::size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH_END: [f64; 8] = [1000.0, 869.0, 743.0, 653.0, 593.0, 551.0, 517.0, 491.0];
    const REGULAR: [f64; 8] = [1000.0, 631.0, 468.0, 382.0, 326.0, 289.0, 262.0, 241.0];

    fn check(survivors: &[f64], alpha: f64, beta: f64, log_likelihood: f64) -> Fit<2> {
        let cohort = Cohort::new(survivors.to_vec()).expect("a cohort");
        let fit = ShiftedBetaGeometric::fit(&[cohort], &|| false).expect("fitted");
        assert!(fit.converged && !fit.boundary);
        assert!((fit.parameters[0] - alpha).abs() < 0.001, "{fit:?}");
        assert!((fit.parameters[1] - beta).abs() < 0.005, "{fit:?}");
        assert!(
            (fit.log_likelihood - log_likelihood).abs() < 0.01,
            "{fit:?}"
        );
        fit
    }

    #[test]
    fn b1_high_end() {
        check(&HIGH_END, 0.668, 3.806, -1611.158);
    }

    #[test]
    fn b2_regular() {
        check(&REGULAR, 0.704, 1.182, -1680.265);
    }

    #[test]
    fn b3_regular_projected_from_four_renewals() {
        let fit = check(&REGULAR[..5], 0.7637, 1.2958, -1401.559);
        let [alpha, beta] = fit.parameters;
        let model = ShiftedBetaGeometric::new(alpha, beta).expect("positive");
        let expected = [284.5, 253.7, 229.6, 210.3, 194.3, 180.9, 169.4, 159.5];
        for (year, expected) in (5..).zip(expected) {
            let got = 1000.0 * model.survival(f64::from(year));
            assert!((got - expected).abs() < 0.1, "year {year}: {got}");
        }
    }

    #[test]
    fn survival_is_the_product_of_retentions() {
        let model = ShiftedBetaGeometric::new(0.668, 3.806).expect("positive");
        let product: f64 = (1..=7)
            .map(|year| model.retention(f64::from(year)))
            .product();
        assert!((product - model.survival(7.0)).abs() < 1e-12);
    }

    #[test]
    fn a_cohort_that_grows_is_refused() {
        assert!(Cohort::new(vec![10.0, 11.0]).is_err());
        assert!(Cohort::new(vec![10.0]).is_err());
    }
}
