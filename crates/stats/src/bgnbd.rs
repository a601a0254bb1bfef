//! BG/NBD: customers buy at their own steady rate and may stop after any purchase.
//!
//! While active, a customer buys as a Poisson process with rate λ; after each purchase they stop for good with probability
//! p. Rates differ between customers as a gamma distribution (shape r, rate α), stopping as a beta distribution (a, b), and
//! the two are independent. A customer without a repeat has had no occasion to stop, and so counts as active.
//!
//! Source: Fader, Hardie & Lee (2005), "Counting Your Customers the Easy Way", Marketing Science 24(2), 275-284,
//! doi 10.1287/mksc.1040.0098; overflow: Fader & Hardie, note 027. Expectations are evaluated after Euler's transformation
//! of ₂F₁, where nothing overflows or cancels.

use std::borrow::Cow;

use crate::dual::{Real, ln_beta_ratio, ln_rising, ln_sum_exp};
use crate::error::{not_negative, positive};
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::history::{Customers, History, in_spans};
use crate::special::{ln_gamma, purchases_while_active};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BgNbd {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

impl BgNbd {
    pub fn new(r: f64, alpha: f64, a: f64, b: f64) -> Result<Self> {
        Ok(Self {
            r: positive("r", r)?,
            alpha: positive("alpha", alpha)?,
            a: positive("a", a)?,
            b: positive("b", b)?,
        })
    }

    /// Parameters in the order r, α, a, b.
    ///
    /// Where nobody seems to stop, a goes to 0 and the fit is told to lie on the boundary: the likelihood is then that of
    /// [`crate::nbd`], which is the model to use.
    pub fn fit(customers: &Customers, is_cancelled: IsCancelled) -> Result<Fit<4>> {
        let rate = customers.rate();
        let starts = [
            [1.0, 1.0 / rate, 1.0, 2.5],
            [0.3, 0.3 / rate, 0.5, 3.0],
            [3.0, 3.0 / rate, 0.1, 1.0],
        ];
        fit::maximise(&Data(Cow::Borrowed(customers)), &starts, is_cancelled)
    }

    /// ln of equation (6) of the paper: the density of the purchases' times.
    pub fn log_likelihood(&self, history: History) -> f64 {
        let parameters = [self.r, self.alpha, self.a, self.b];
        of_repeats(parameters, history.repeats) + of_times(parameters, history)
    }

    /// Probability that the customer has not stopped by now.
    pub fn p_alive(&self, history: History) -> f64 {
        1.0 / (1.0 + self.odds_of_having_stopped(history))
    }

    fn odds_of_having_stopped(&self, history: History) -> f64 {
        let History {
            repeats: x,
            recency,
            age,
        } = history;
        if x == 0.0 {
            return 0.0;
        }
        let silence = (self.r + x) * in_spans(age - recency, self.alpha, recency).ln_1p();
        (self.a.ln() - (self.b + (x - 1.0)).ln() + silence).exp()
    }

    /// Purchases expected in the next `horizon`, in the unit of the histories.
    pub fn expected_purchases(&self, history: History, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        let History {
            repeats: x, age, ..
        } = history;
        let (r, a, b) = (self.r, self.a, self.b);
        let spans = in_spans(horizon, self.alpha, age);
        Ok(purchases_while_active(r + x, a, b + x, spans) * self.p_alive(history))
    }

    /// Purchases, beyond the first, that a new customer is expected to make within `horizon`.
    pub fn expected_purchases_of_new(&self, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        let spans = horizon / self.alpha;
        Ok(purchases_while_active(self.r, self.a, self.b, spans))
    }

    /// Probability that a new customer makes exactly `repeats` purchases beyond the first within `horizon`: equation (8).
    pub fn probability_of_repeats(&self, repeats: u32, horizon: f64) -> Result<f64> {
        positive("horizon", horizon)?;
        let (r, alpha, a, b) = (self.r, self.alpha, self.a, self.b);
        let x = f64::from(repeats);
        let (stay, bought) = (-(horizon / alpha).ln_1p(), -(alpha / horizon).ln_1p());
        let count = |j: f64| ln_rising(r, j) - ln_gamma(j + 1.0) + r * stay + j * bought;
        let goes_on = (ln_beta_ratio(a, b, 0.0, x) + count(x)).exp();
        if repeats == 0 {
            return Ok(goes_on);
        }
        let fewer = (count(x - 1.0) + ln_of_fewer(r, bought.exp(), repeats - 1)).exp();
        let stops = ln_beta_ratio(a, b, 1.0, x - 1.0).exp();
        Ok(goes_on + stops * (1.0 - fewer).max(0.0))
    }
}

/// ln of how probable it is to buy no more than `most` times, beside exactly `most` times, where each purchase is followed by
/// another with chance `z`.
fn ln_of_fewer(r: f64, z: f64, most: u32) -> f64 {
    let (mut term, mut sum, mut log) = (1.0, 1.0, 0.0);
    for j in (1..=most).rev() {
        let j = f64::from(j);
        let ratio = j / ((r + (j - 1.0)) * z);
        term *= ratio;
        sum += term;
        if ratio < 1.0 && term * ratio <= 1e-17 * (1.0 - ratio) * sum {
            break;
        }
        if sum > 1e250 {
            (term, sum, log) = (term / 1e250, sum / 1e250, log + 1e250_f64.ln());
        }
    }
    log + sum.ln()
}

struct Data<'a>(Cow<'a, Customers>);

impl Likelihood<4> for Data<'_> {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; 4],
        is_cancelled: IsCancelled,
    ) -> R {
        let counts = fit::sum(&self.0.repeats, is_cancelled, |(x, weight)| {
            of_repeats(parameters, *x) * *weight
        });
        let times = fit::sum(&self.0.histories, is_cancelled, |(history, weight)| {
            of_times(parameters, *history) * *weight
        });
        counts + times
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn few(&self) -> Option<Self> {
        self.0.few().map(Cow::Owned).map(Self)
    }
}

/// The part that depends on the number of repeats only: A1 and A2 of the paper, with the times in units of α.
fn of_repeats<R: Real>([r, alpha, a, b]: [R; 4], x: f64) -> R {
    ln_rising(r, R::constant(x)) - alpha.ln() * x + ln_beta_ratio(a, b, 0.0, x)
}

/// ln(exp A3 + exp A4) of the paper: still active at the end, or stopped after the last purchase.
fn of_times<R: Real>([r, alpha, a, b]: [R; 4], history: History) -> R {
    let x = history.repeats;
    let (purchases, per_alpha) = (r + x, R::constant(1.0) / alpha);
    let active = -(purchases * (per_alpha * history.age).ln_1p());
    if x == 0.0 {
        return active;
    }
    let stopped = (a / (b + (x - 1.0))).ln() - purchases * (per_alpha * history.recency).ln_1p();
    ln_sum_exp(active, stopped)
}

impl TryFrom<[f64; 4]> for BgNbd {
    type Error = Error;

    fn try_from([r, alpha, a, b]: [f64; 4]) -> Result<Self> {
        Self::new(r, alpha, a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> BgNbd {
        BgNbd::new(0.243, 4.414, 0.793, 2.426).expect("positive")
    }

    fn history(repeats: f64, recency: f64, age: f64) -> History {
        History::new(repeats, recency, age).expect("possible")
    }

    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance, "{got}, not {expected}");
    }

    #[test]
    fn a10_expectation_of_customer_1() {
        let expected = published().expected_purchases(history(2.0, 30.43, 38.86), 39.0);
        close(expected.expect("a horizon"), 1.226028, 1e-6);
    }

    #[test]
    fn a11_expectation_of_a_new_customer() {
        for (horizon, expected) in [
            (1.0 / 7.0, 0.007814),
            (1.0, 0.053184),
            (3.0, 0.150631),
            (31.857, 1.040490),
            (32.0, 1.043732),
            (78.0, 1.857958),
        ] {
            let model = BgNbd::new(0.24259, 4.41360, 0.79292, 2.42591).expect("positive");
            let got = model.expected_purchases_of_new(horizon);
            close(got.expect("a horizon"), expected, 1e-4);
        }
    }

    #[test]
    fn a14_the_increasing_frequency_paradox() {
        let model = BgNbd::new(0.24259, 4.41360, 0.79292, 2.42591).expect("positive");
        for (x, expected) in [
            (10.0, 0.34748),
            (15.0, 0.04284),
            (20.0, 0.004159),
            (25.0, 0.000358),
        ] {
            let got = model.expected_purchases(history(x, 20.0, 39.0), 52.0);
            close(got.expect("a horizon"), expected, 0.01 * expected);
        }
    }

    #[test]
    fn a15_probability_of_a_number_of_repeats() {
        let model = published();
        for (repeats, horizon, expected) in [
            (0, 39.0, 0.5737864),
            (10, 2.0, 1.07869e-7),
            (11, 30.0, 0.0019995),
            (12, 30.0, 0.0015170),
            (13, 30.0, 0.0011633),
        ] {
            let got = model.probability_of_repeats(repeats, horizon);
            close(got.expect("a horizon"), expected, 1e-6);
        }
    }

    #[test]
    fn a16_likelihood_of_many_repeats() {
        let model = BgNbd::new(0.25, 4.0, 0.8, 2.5).expect("positive");
        close(
            model.log_likelihood(history(0.0, 0.0, 40.0)),
            -0.599474,
            1e-4,
        );
        close(
            model.log_likelihood(history(200.0, 38.0, 40.0)),
            100.7957,
            1e-4,
        );
    }

    #[test]
    fn a18_a_thousand_repeats_long_ago_are_over() {
        assert_eq!(published().p_alive(history(1_000.0, 10.0, 100.0)), 0.0);
    }

    #[test]
    fn there_is_no_pole_at_a_equal_to_1() {
        let at = |a: f64| {
            let model = BgNbd::new(0.243, 4.414, a, 2.426).expect("positive");
            let got = model.expected_purchases(history(2.0, 30.43, 38.86), 39.0);
            got.expect("a horizon")
        };
        close(at(0.999999), 1.10213733, 1e-8);
        close(at(1.000001), 1.10213624, 1e-8);
        assert!(at(0.999999) > at(1.0) && at(1.0) > at(1.000001));
    }

    #[test]
    fn many_repeats_are_as_probable_as_term_by_term() {
        let of = |r: f64, alpha: f64, horizon: f64, repeats: u32| {
            let model = BgNbd::new(r, alpha, 0.793, 2.426).expect("positive");
            let count = |j: f64| {
                let z = horizon / (alpha + horizon);
                let ln = ln_gamma(r + j) - ln_gamma(r) - ln_gamma(j + 1.0);
                (ln + r * (1.0 - z).ln() + j * z.ln()).exp()
            };
            let x = f64::from(repeats);
            let fewer: f64 = (0..repeats).map(|j| count(f64::from(j))).sum();
            let goes_on = ln_beta_ratio(0.793, 2.426, 0.0, x).exp() * count(x);
            let stops = ln_beta_ratio(0.793, 2.426, 1.0, x - 1.0).exp();
            let got = model.probability_of_repeats(repeats, horizon);
            close(
                got.expect("a horizon"),
                goes_on + stops * (1.0 - fewer),
                1e-12,
            );
        };
        of(0.243, 4.414, 39.0, 12);
        of(0.243, 4.414, 39.0, 900);
        of(30.0, 4.414, 3_900.0, 20_000);
        of(30.0, 4.414, 39.0, 7);
    }

    #[test]
    fn where_nobody_stops_it_is_negative_binomial() {
        let at = |b: f64| {
            let model = BgNbd::new(0.7226, 9.424, 0.793, b).expect("positive");
            let got = model.expected_purchases(history(2.0, 30.0, 39.0), 39.0);
            (
                got.expect("a horizon"),
                model.expected_purchases_of_new(39.0).expect("a horizon"),
            )
        };
        let limit = (2.7226 / 48.424 * 39.0, 0.7226 / 9.424 * 39.0);
        for b in [1e13, 1e18, 1e50, 1e300] {
            let got = at(b);
            close(got.0 / limit.0, 1.0, 1e-12);
            close(got.1 / limit.1, 1.0, 1e-12);
        }
        close(at(1e11).0, 2.192_743_267_8, 1e-9);
        assert!(at(1e5).0 < at(1e8).0 && at(1e8).0 < at(1e11).0 && at(1e11).0 < limit.0);
    }

    #[test]
    fn far_from_one_there_is_an_answer() {
        let model = BgNbd::new(0.243, 1e-300, 0.793, 2.426).expect("positive");
        let got = model.expected_purchases_of_new(39.0).expect("a horizon");
        assert!(got.is_finite() && got > 1e50, "{got}");
        let model = BgNbd::new(0.243, 1e308, 0.793, 2.426).expect("positive");
        let got = model.p_alive(history(2.0, 1e308, 1e308));
        close(got, 1.0 / (1.0 + 0.793 / 3.426), 1e-12);
    }

    #[test]
    fn one_who_never_came_back_is_always_alive() {
        assert_eq!(published().p_alive(history(0.0, 0.0, 38.86)), 1.0);
    }

    #[test]
    fn far_and_frequent_is_finite() {
        let got = published().expected_purchases(history(1_000.0, 99.0, 100.0), 5_200.0);
        assert!(got.expect("a horizon").is_finite());
    }
}
