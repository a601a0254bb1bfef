//! MBG/NBD: as [`crate::bgnbd`], but a customer may already stop after the very first purchase.
//!
//! So one who never came back counts as active only with some probability, which the BG/NBD cannot say.
//!
//! Source: Batislam, Denizel & Filiztekin (2007), "Empirical validation and comparison of models for customer base
//! analysis", Int. J. of Research in Marketing 24(3); Hoppe & Wagner (2007). Expectations after Euler's transformation.

use std::borrow::Cow;

use crate::dual::{Real, ln_beta_ratio, ln_rising, ln_sum_exp};
use crate::error::{not_negative, positive};
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::history::{Customers, History, in_spans};
use crate::special::purchases_while_active;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MbgNbd {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

impl MbgNbd {
    pub fn new(r: f64, alpha: f64, a: f64, b: f64) -> Result<Self> {
        Ok(Self {
            r: positive("r", r)?,
            alpha: positive("alpha", alpha)?,
            a: positive("a", a)?,
            b: positive("b", b)?,
        })
    }

    /// Parameters in the order r, α, a, b.
    pub fn fit(customers: &Customers, is_cancelled: IsCancelled) -> Result<Fit<4>> {
        let rate = customers.rate();
        let starts = [
            [1.0, 1.0 / rate, 1.0, 2.5],
            [0.5, 0.5 / rate, 0.5, 1.5],
            [3.0, 3.0 / rate, 0.1, 1.0],
        ];
        fit::maximise(&Data(Cow::Borrowed(customers)), &starts, is_cancelled)
    }

    /// ln of the density of the purchases' times.
    pub fn log_likelihood(&self, history: History) -> f64 {
        let parameters = [self.r, self.alpha, self.a, self.b];
        of_repeats(parameters, history.repeats) + of_times(parameters, history)
    }

    /// Probability that the customer has not stopped by now.
    pub fn p_alive(&self, history: History) -> f64 {
        let History {
            repeats: x,
            recency,
            age,
        } = history;
        let silence = (self.r + x) * in_spans(age - recency, self.alpha, recency).ln_1p();
        1.0 / (1.0 + (self.a.ln() - (self.b + x).ln() + silence).exp())
    }

    /// Purchases expected in the next `horizon`, in the unit of the histories.
    pub fn expected_purchases(&self, history: History, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        let (r, a, b, x) = (self.r, self.a, self.b, history.repeats);
        let spans = in_spans(horizon, self.alpha, history.age);
        Ok(purchases_while_active(r + x, a, b + x + 1.0, spans) * self.p_alive(history))
    }

    /// Purchases, beyond the first, that a new customer is expected to make within `horizon`.
    pub fn expected_purchases_of_new(&self, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        let (r, a, b) = (self.r, self.a, self.b);
        let stays = 1.0 / (1.0 + a / b);
        Ok(stays * purchases_while_active(r, a, b + 1.0, horizon / self.alpha))
    }
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

/// The part that depends on the number of repeats only.
fn of_repeats<R: Real>([r, alpha, a, b]: [R; 4], x: f64) -> R {
    ln_rising(r, R::constant(x)) - alpha.ln() * x + ln_beta_ratio(a, b, 0.0, x + 1.0)
}

/// Still active at the end, or stopped after the last purchase.
fn of_times<R: Real>([r, alpha, a, b]: [R; 4], history: History) -> R {
    let x = history.repeats;
    let (purchases, per_alpha) = (r + x, R::constant(1.0) / alpha);
    let active = -(purchases * (per_alpha * history.age).ln_1p());
    let stopped = (a / (b + x)).ln() - purchases * (per_alpha * history.recency).ln_1p();
    ln_sum_exp(active, stopped)
}

impl TryFrom<[f64; 4]> for MbgNbd {
    type Error = Error;

    fn try_from([r, alpha, a, b]: [f64; 4]) -> Result<Self> {
        Self::new(r, alpha, a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_likelihood_of_many_repeats() {
        let model = MbgNbd::new(0.25, 4.0, 0.8, 2.5).expect("positive");
        let of =
            |x, recency| model.log_likelihood(History::new(x, recency, 40.0).expect("possible"));
        assert!((of(0.0, 0.0) + 0.417928).abs() < 1e-4);
        assert!((of(200.0, 38.0) - 100.7869).abs() < 1e-4);
    }

    #[test]
    fn one_who_never_came_back_is_alive_with_some_probability() {
        let model = MbgNbd::new(0.525, 6.183, 0.891, 1.614).expect("positive");
        let of = |age| model.p_alive(History::new(0.0, 0.0, age).expect("possible"));
        assert!(of(1.0) < 1.0 && of(40.0) < of(1.0) && of(40.0) > 0.0);
    }

    #[test]
    fn a_new_customer_is_one_of_age_0_who_has_not_stopped_yet() {
        let model = MbgNbd::new(0.525, 6.183, 0.891, 1.614).expect("positive");
        let new = model.expected_purchases_of_new(39.0).expect("a horizon");
        let born = History::new(0.0, 0.0, 0.0).expect("possible");
        let got = model.expected_purchases(born, 39.0).expect("a horizon");
        assert!((new - got).abs() < 1e-10, "{new} {got}");
    }
}
