//! BG/BB: customers who buy, or do not, on each of a row of occasions, and may stop before any of them.
//!
//! While active, a customer buys on an occasion with probability p; before each occasion they stop for good with probability
//! θ. Both differ between customers as beta distributions: p with (α, β), θ with (γ, δ). For gifts once a year, seasons,
//! meetings: what has occasions rather than any moment.
//!
//! Source: Fader, Hardie & Shang (2010), "Customer-Base Analysis in a Discrete-Time Noncontractual Setting", Marketing
//! Science 29(6), doi 10.1287/mksc.1100.0580.

use crate::alike::alike;
use crate::dual::{Real, ln_beta_fall, ln_beta_ratio, ln_sum_exp};
use crate::error::{not_negative, positive};
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::special::ln_gamma;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BgBb {
    alpha: f64,
    beta: f64,
    gamma: f64,
    delta: f64,
}

/// Purchases on `occasions` occasions, the last of them on the `last`-th (0 without any).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Occasions {
    purchases: u32,
    last: u32,
    occasions: u32,
}

impl Occasions {
    pub fn new(purchases: u32, last: u32, occasions: u32) -> Result<Self> {
        if last > occasions {
            return Err(Error::Recency {
                recency: f64::from(last),
                age: f64::from(occasions),
            });
        }
        if purchases > last && last > 0 {
            return Err(Error::MoreThanOccasions {
                repeats: purchases,
                recency: last,
            });
        }
        if (purchases == 0) != (last == 0) {
            return Err(Error::Repeats {
                repeats: f64::from(purchases),
                recency: f64::from(last),
            });
        }
        Ok(Self {
            purchases,
            last,
            occasions,
        })
    }
}

impl BgBb {
    pub fn new(alpha: f64, beta: f64, gamma: f64, delta: f64) -> Result<Self> {
        Ok(Self {
            alpha: positive("alpha", alpha)?,
            beta: positive("beta", beta)?,
            gamma: positive("gamma", gamma)?,
            delta: positive("delta", delta)?,
        })
    }

    /// Parameters in the order α, β, γ, δ; each history with how many customers have it.
    pub fn fit(
        rows: impl IntoIterator<Item = (Occasions, f64)>,
        is_cancelled: IsCancelled,
    ) -> Result<Fit<4>> {
        let mut data = Data {
            rows: vec![],
            weight: 0.0,
        };
        for (occasions, weight) in rows {
            if not_negative("weight", weight)? > 0.0 {
                data.weight += weight;
                data.rows.push((occasions, weight));
            }
        }
        data.rows = alike(&data.rows, |occasions| *occasions);
        let starts = [[1.0, 1.0, 1.0, 2.0], [1.0, 0.5, 0.5, 3.0]];
        fit::maximise(&data, &starts, is_cancelled)
    }

    fn parameters(&self) -> [f64; 4] {
        [self.alpha, self.beta, self.gamma, self.delta]
    }

    pub fn log_likelihood(&self, history: Occasions) -> f64 {
        density(self.parameters(), history)
    }

    /// Probability that the customer has not stopped before the next occasion.
    pub fn p_alive(&self, history: Occasions) -> f64 {
        let parameters = self.parameters();
        let next = f64::from(history.occasions) + 1.0;
        (bought(parameters, history, history.occasions) + stayed(parameters, next)
            - density(parameters, history))
        .exp()
    }

    /// Purchases expected on the next `horizon` occasions.
    pub fn expected_purchases(&self, history: Occasions, horizon: u32) -> f64 {
        let [alpha, beta, gamma, delta] = self.parameters();
        let (x, n) = (f64::from(history.purchases), f64::from(history.occasions));
        let m = f64::from(horizon);
        let buys = ln_beta_ratio(alpha, beta, x + 1.0, n - x);
        // Σ over the occasions of the probability of being there: B(γ, δ+n+i)/B(γ, δ).
        let there: f64 = (1..=horizon)
            .map(|i| ln_beta_fall(gamma, delta, n + f64::from(i)).exp())
            .sum();
        debug_assert!(there <= m);
        (buys - density(self.parameters(), history)).exp() * there
    }

    /// Probability of exactly `purchases` on a new customer's first `occasions`.
    pub fn probability_of_purchases(&self, purchases: u32, occasions: u32) -> f64 {
        if purchases > occasions {
            return 0.0;
        }
        let [alpha, beta, gamma, delta] = self.parameters();
        let x = f64::from(purchases);
        let of = |i: f64| ln_choose(i, x) + ln_beta_ratio(alpha, beta, x, i - x);
        let n = f64::from(occasions);
        let to_the_end = (of(n) + stayed(self.parameters(), n)).exp();
        let stopped: f64 = (purchases..occasions)
            .map(f64::from)
            .map(|i| (of(i) + ln_beta_ratio(gamma, delta, 1.0, i)).exp())
            .sum();
        to_the_end + stopped
    }
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

struct Data {
    rows: Vec<(Occasions, f64)>,
    weight: f64,
}

impl Likelihood<4> for Data {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; 4],
        is_cancelled: IsCancelled,
    ) -> R {
        fit::sum(&self.rows, is_cancelled, |(history, weight)| {
            density(parameters, *history) * *weight
        })
    }

    fn weight(&self) -> f64 {
        self.weight
    }
}

/// ln of equation (5) of the paper: there to the end, or stopped before one of the occasions since the last purchase.
fn density<R: Real>(parameters: [R; 4], history: Occasions) -> R {
    let [_, _, gamma, delta] = parameters;
    let mut sum = bought(parameters, history, history.occasions)
        + stayed(parameters, f64::from(history.occasions));
    for before in history.last..history.occasions {
        let stopped = ln_beta_ratio(gamma, delta, 1.0, f64::from(before));
        sum = ln_sum_exp(sum, bought(parameters, history, before) + stopped);
    }
    sum
}

/// ln of the probability of the purchases and of the occasions without, up to the `upto`-th.
fn bought<R: Real>([alpha, beta, ..]: [R; 4], history: Occasions, upto: u32) -> R {
    let x = f64::from(history.purchases);
    ln_beta_ratio(alpha, beta, x, f64::from(upto) - x)
}

/// ln of the probability of being there on the first `n` occasions.
fn stayed<R: Real>([_, _, gamma, delta]: [R; 4], n: f64) -> R {
    ln_beta_ratio(gamma, delta, 0.0, n)
}

impl TryFrom<[f64; 4]> for BgBb {
    type Error = Error;

    fn try_from([alpha, beta, gamma, delta]: [f64; 4]) -> Result<Self> {
        Self::new(alpha, beta, gamma, delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_all_numbers_sum_to_1() {
        let model = BgBb::new(1.2035, 0.7497, 0.6567, 2.7834).expect("positive");
        let sum: f64 = (0..=6)
            .map(|purchases| model.probability_of_purchases(purchases, 6))
            .sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn what_cannot_be_is_told() {
        let told = |purchases, last| {
            Occasions::new(purchases, last, 6)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            told(5, 3),
            "need repeats <= recency, got repeats 5, recency 3"
        );
        assert!(told(5, 0).contains("5 repeats, recency 0"));
        assert!(told(0, 3).contains("0 repeats, recency 3"));
    }

    #[test]
    fn a27_probability_of_being_there() {
        let model = BgBb::new(1.2035, 0.7497, 0.6567, 2.7834).expect("positive");
        let of = |x, last| model.p_alive(Occasions::new(x, last, 6).expect("possible"));
        assert!((of(0, 0) - 0.11).abs() < 0.005, "{}", of(0, 0));
        assert!((of(2, 4) - 0.59).abs() < 0.005, "{}", of(2, 4));
        assert!((of(6, 6) - 0.93).abs() < 0.005, "{}", of(6, 6));
    }
}
