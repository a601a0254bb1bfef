//! Gamma-gamma: what customers spend per purchase.
//!
//! A customer's purchases vary around their own mean as a gamma distribution (shape p), and the means differ between
//! customers, independently of how often they buy (check that: the correlation of repeats and mean spend should be near
//! 0). A customer's expected spend is a weighted average of their own mean and the population's.
//!
//! Source: Fader & Hardie (2013), "The Gamma-Gamma Model of Monetary Value", note 025.

use crate::alike::{alike, few, key_of};
use crate::dual::{Real, ln_beta};
use crate::error::{not_negative, positive};
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaGamma {
    p: f64,
    q: f64,
    v: f64,
}

/// How many purchases, and the mean of their values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spend {
    purchases: f64,
    mean: f64,
}

impl Spend {
    /// The mean has to be above 0: refunds are netted, and purchases that cost nothing left out, before.
    pub fn new(purchases: f64, mean: f64) -> Result<Self> {
        Ok(Self {
            purchases: positive("purchases", purchases)?,
            mean: positive("mean spend", mean)?,
        })
    }
}

impl GammaGamma {
    pub fn new(p: f64, q: f64, v: f64) -> Result<Self> {
        Ok(Self {
            p: positive("p", p)?,
            q: positive("q", q)?,
            v: positive("v", v)?,
        })
    }

    /// Parameters in the order p, q, v; each spend with how many customers it stands for.
    pub fn fit(
        spends: impl IntoIterator<Item = (Spend, f64)>,
        is_cancelled: IsCancelled,
    ) -> Result<Fit<3>> {
        let mut data = Data {
            spends: vec![],
            weight: 0.0,
        };
        let mut total = 0.0;
        for (spend, weight) in spends {
            if not_negative("weight", weight)? > 0.0 {
                total += weight * spend.mean;
                data.weight += weight;
                data.spends.push((spend, weight));
            }
        }
        data.spends = alike(&data.spends, |spend| {
            [spend.purchases, spend.mean].map(key_of)
        });
        let mean = total / data.weight;
        let starts = [[5.0, 4.0, 0.6 * mean], [1.0, 2.0, mean]];
        fit::maximise(&data, &starts, is_cancelled)
    }

    pub fn log_likelihood(&self, spend: Spend) -> f64 {
        density([self.p, self.q, self.v], spend)
    }

    /// Expected spend per purchase, in the currency of the means: the population's without a purchase to judge by, and
    /// infinite then if q ≤ 1.
    pub fn expected_spend(&self, spend: Option<Spend>) -> f64 {
        let (x, mean) = spend.map_or((0.0, 0.0), |spend| (spend.purchases, spend.mean));
        let rest = self.p * x + self.q - 1.0;
        if rest <= 0.0 {
            return f64::INFINITY;
        }
        self.p * (self.v + x * mean) / rest
    }
}

/// Of the number of purchases and their mean value, over customers, each spend with how many it stands for: far from 0, the
/// model does not hold. NaN where all customers are alike in either.
pub fn correlation(spends: impl IntoIterator<Item = (Spend, f64)>) -> f64 {
    let mut spends: Vec<(Spend, f64)> = spends.into_iter().collect();
    // In units in which squares neither overflow nor vanish.
    let largest = |of: &dyn Fn(&(Spend, f64)) -> f64| spends.iter().map(of).fold(0.0, f64::max);
    let units = [
        largest(&|row| row.0.purchases),
        largest(&|row| row.0.mean),
        largest(&|row| row.1),
    ];
    for (spend, weight) in &mut spends {
        spend.purchases /= units[0];
        spend.mean /= units[1];
        *weight /= units[2];
    }
    let sum = |of: &dyn Fn(&Spend) -> f64| -> f64 {
        spends
            .iter()
            .map(|(spend, weight)| weight * of(spend))
            .sum()
    };
    let n = sum(&|_| 1.0);
    let (x, mean) = (sum(&|s| s.purchases) / n, sum(&|s| s.mean) / n);
    let together = sum(&|s| (s.purchases - x) * (s.mean - mean));
    let (of_x, of_mean) = (
        sum(&|s| (s.purchases - x).powi(2)),
        sum(&|s| (s.mean - mean).powi(2)),
    );
    let correlation = together / (of_x.sqrt() * of_mean.sqrt());
    match correlation.is_finite() {
        true => correlation.clamp(-1.0, 1.0),
        false => f64::NAN,
    }
}

struct Data {
    spends: Vec<(Spend, f64)>,
    weight: f64,
}

impl Likelihood<3> for Data {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; 3],
        is_cancelled: IsCancelled,
    ) -> R {
        fit::sum(&self.spends, is_cancelled, |(spend, weight)| {
            density(parameters, *spend) * *weight
        })
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn few(&self) -> Option<Self> {
        let spends = few(&self.spends)?;
        let weight = spends.iter().map(|(_, weight)| weight).sum();
        Some(Self { spends, weight })
    }
}

/// ln of equation (1a) of the note: the density of a customer's mean.
fn density<R: Real>([p, q, v]: [R; 3], spend: Spend) -> R {
    let Spend { purchases: x, mean } = spend;
    let px = p * x;
    let share = v / (x * mean);
    -ln_beta(px, q) - mean.ln() - px * share.ln_1p() - q * (R::constant(1.0) / share).ln_1p()
}

impl TryFrom<[f64; 3]> for GammaGamma {
    type Error = Error;

    fn try_from([p, q, v]: [f64; 3]) -> Result<Self> {
        Self::new(p, q, v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a9_expected_spend() {
        let model = GammaGamma::new(6.25, 3.74, 15.44).expect("positive");
        let of = |x, mean| model.expected_spend(Some(Spend::new(x, mean).expect("positive")));
        assert!((of(2.0, 22.35) - 24.66).abs() < 0.01);
        assert!((of(1.0, 11.77) - 18.92).abs() < 0.01);
        assert!((model.expected_spend(None) - 35.22).abs() < 0.01);
        assert!((of(7.0, 73.74) - 71.47).abs() < 0.01);
    }

    #[test]
    fn correlation_of_number_and_value() {
        let of = |rows: &[(f64, f64, f64)]| {
            let spend =
                |(x, mean, n): &(f64, f64, f64)| (Spend::new(*x, *mean).expect("positive"), *n);
            correlation(rows.iter().map(spend))
        };
        assert!((of(&[(1.0, 5.0, 1.0), (3.0, 9.0, 2.0)]) - 1.0).abs() < 1e-12);
        assert!((of(&[(1.0, 9.0, 1.0), (3.0, 5.0, 1.0)]) + 1.0).abs() < 1e-12);
        assert!(of(&[(1.0, 9.0, 1.0)]).is_nan() && of(&[]).is_nan());
        for unit in [1e-300, 1e300] {
            assert!((of(&[(unit, 9.0, 1.0), (3.0 * unit, 5.0, 1.0)]) + 1.0).abs() < 1e-12);
            assert!((of(&[(1.0, 5.0 * unit, unit), (3.0, 9.0 * unit, unit)]) - 1.0).abs() < 1e-12);
        }
        let got = of(&[(1e-300, 5.0, 1.0), (2.0, 9.0, 1.0), (3e-300, 1.0, 1.0)]);
        assert!((-1.0..=1.0).contains(&got), "{got}");
    }

    #[test]
    fn purchases_that_cost_nothing_are_refused() {
        assert!(matches!(Spend::new(1.0, 0.0), Err(Error::Range { .. })));
        assert!(matches!(Spend::new(1.0, -3.0), Err(Error::Range { .. })));
    }
}
