//! NBD: customers buy at their own steady rate and never stop.
//!
//! Rates differ between customers as a gamma distribution (shape r, rate α). The baseline that a model with churn has to
//! beat, and the limit of [`crate::bgnbd`] when nobody stops.
//!
//! Source: Ehrenberg (1959), "The Pattern of Consumer Purchases", Applied Statistics 8(1); the likelihood is that of the
//! purchases' times, as in Fader, Hardie & Lee (2005).

use std::borrow::Cow;

use crate::dual::{Real, ln_rising};
use crate::error::{not_negative, positive};
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::history::{Customers, History, in_spans};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nbd {
    r: f64,
    alpha: f64,
}

impl Nbd {
    pub fn new(r: f64, alpha: f64) -> Result<Self> {
        Ok(Self {
            r: positive("r", r)?,
            alpha: positive("alpha", alpha)?,
        })
    }

    /// Parameters in the order r, α.
    pub fn fit(customers: &Customers, is_cancelled: IsCancelled) -> Result<Fit<2>> {
        let rate = customers.rate();
        let starts = [[1.0, 1.0 / rate], [0.3, 0.3 / rate]];
        fit::maximise(&Data(Cow::Borrowed(customers)), &starts, is_cancelled)
    }

    pub fn log_likelihood(&self, history: History) -> f64 {
        let parameters = [self.r, self.alpha];
        of_repeats(parameters, history.repeats) + of_times(parameters, history)
    }

    /// Purchases expected in the next `horizon`, in the unit of the histories.
    pub fn expected_purchases(&self, history: History, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        Ok((self.r + history.repeats) * in_spans(horizon, self.alpha, history.age))
    }
}

struct Data<'a>(Cow<'a, Customers>);

impl Likelihood<2> for Data<'_> {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; 2],
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

fn of_repeats<R: Real>([r, alpha]: [R; 2], x: f64) -> R {
    ln_rising(r, R::constant(x)) - alpha.ln() * x
}

fn of_times<R: Real>([r, alpha]: [R; 2], history: History) -> R {
    -((r + history.repeats) * (R::constant(history.age) / alpha).ln_1p())
}

impl TryFrom<[f64; 2]> for Nbd {
    type Error = Error;

    fn try_from([r, alpha]: [f64; 2]) -> Result<Self> {
        Self::new(r, alpha)
    }
}
