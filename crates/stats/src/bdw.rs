//! Beta-discrete-Weibull: as [`crate::sbg`], but a customer's own probability of leaving may rise or fall with time.
//!
//! A customer is still there after t renewals with probability (1−θ)^(t^c): with c above 1 leaving becomes likelier the
//! longer somebody stays, with c below 1 less likely, with c = 1 it is the shifted-beta-geometric.
//!
//! Source: Fader, Hardie, Liu, Davin & Steenburgh (2018), "How to Project Customer Retention" Revisited, J. of Interactive
//! Marketing 43, 1-16.

use crate::Result;
use crate::dual::{Real, ln_beta_fall, ln_diff_exp};
use crate::error::positive;
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::sbg::Cohort;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaDiscreteWeibull {
    alpha: f64,
    beta: f64,
    c: f64,
}

impl BetaDiscreteWeibull {
    pub fn new(alpha: f64, beta: f64, c: f64) -> Result<Self> {
        Ok(Self {
            alpha: positive("alpha", alpha)?,
            beta: positive("beta", beta)?,
            c: positive("c", c)?,
        })
    }

    /// Parameters in the order α, β, c.
    pub fn fit(cohorts: &[Cohort], is_cancelled: IsCancelled) -> Result<Fit<3>> {
        let starts = [[1.0, 1.0, 1.0], [0.5, 2.0, 1.5]];
        fit::maximise(&Data(cohorts), &starts, is_cancelled)
    }

    /// Share of a cohort that is still there after `periods`.
    pub fn survival(&self, periods: f64) -> f64 {
        ln_survival([self.alpha, self.beta, self.c], periods).exp()
    }
}

/// ln of B(α, β + t^c) / B(α, β).
fn ln_survival<R: Real>([alpha, beta, c]: [R; 3], periods: f64) -> R {
    if periods == 0.0 {
        return R::constant(0.0);
    }
    let power = (c * periods.ln()).exp();
    match power.value().is_finite() {
        true => ln_beta_fall(alpha, beta, power),
        false => R::constant(f64::NEG_INFINITY),
    }
}

struct Data<'a>(&'a [Cohort]);

impl Likelihood<3> for Data<'_> {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; 3],
        _is_cancelled: IsCancelled,
    ) -> R {
        let mut sum = R::constant(0.0);
        for cohort in self.0 {
            for (period, lost) in cohort.losses().filter(|(_, lost)| *lost > 0.0) {
                let left = ln_diff_exp(
                    ln_survival(parameters, period - 1.0),
                    ln_survival(parameters, period),
                );
                sum = sum + left * lost;
            }
            let (periods, left) = cohort.left_over();
            if left > 0.0 {
                sum = sum + ln_survival(parameters, periods) * left;
            }
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
    use crate::sbg::ShiftedBetaGeometric;

    fn check(survivors: &[f64], expected: [f64; 3], log_likelihood: f64) {
        let cohort = Cohort::new(survivors.to_vec()).expect("a cohort");
        let fit = BetaDiscreteWeibull::fit(&[cohort], &|| false).expect("fitted");
        for (got, expected) in fit.parameters.iter().zip(expected) {
            assert!((got - expected).abs() < 0.001, "{fit:?}");
        }
        assert!(
            (fit.log_likelihood - log_likelihood).abs() < 0.01,
            "{fit:?}"
        );
    }

    #[test]
    fn b4_high_end_and_regular() {
        let high_end = [1000.0, 869.0, 743.0, 653.0, 593.0, 551.0, 517.0, 491.0];
        check(&high_end, [0.2143, 1.4266, 1.7236], -1605.314);
        let regular = [1000.0, 631.0, 468.0, 382.0, 326.0, 289.0, 262.0, 241.0];
        check(&regular, [0.4556, 0.7793, 1.2835], -1679.603);
    }

    #[test]
    fn powers_beyond_all_numbers_leave_nobody() {
        let model = BetaDiscreteWeibull::new(0.5, 2.0, 300.0).expect("positive");
        assert_eq!(model.survival(45.0), 0.0);
        assert!(model.survival(1.0) > 0.0);
    }

    #[test]
    fn b4_with_c_1_it_is_the_shifted_beta_geometric() {
        let ours = BetaDiscreteWeibull::new(0.668, 3.806, 1.0).expect("positive");
        let theirs = ShiftedBetaGeometric::new(0.668, 3.806).expect("positive");
        for periods in 0..20 {
            let periods = f64::from(periods);
            assert!((ours.survival(periods) - theirs.survival(periods)).abs() < 1e-12);
        }
    }
}
