//! How probably two records are one person, learned without examples: the model of Fellegi and Sunter.
//!
//! A pair of records is compared field by field, each at a level: 0 is disagreement, the last one agreement, and between
//! them are degrees of likeness; a field that one of the two lacks says nothing. Levels are independent of each other among
//! pairs of one person, where field f is at level l with probability m, and among other pairs, where it is with probability
//! u. A share `prior` of the pairs are of one person. The weight of a comparison is Σ log₂(m/u), and
//!
//!   P(same) = prior · 2^weight / (1 − prior + prior · 2^weight).
//!
//! All three are estimated from the pairs themselves by expectation-maximisation, starting from "one person's fields mostly
//! agree, others' mostly do not". Half a pair is added to each level, so that no weight is infinite. Pairs have to be
//! candidates (see [`crate::blocking`]), of which a fair part is of one person: among all pairs they would be lost.
//!
//! Source: Fellegi & Sunter (1969), "A Theory for Record Linkage", J. of the American Statistical Association 64(328);
//! estimation: Winkler (1988), "Using the EM Algorithm for Weight Computation in the Fellegi-Sunter Model".

use std::collections::BTreeMap;

use crate::fit::IsCancelled;
use crate::{Error, Result};

/// The level of a field that one of the records lacks.
pub const MISSING: u8 = u8::MAX;
const MOST_ROUNDS: usize = 1_000;
const HALF_A_PAIR: f64 = 0.5;

/// The level of a likeness, given the ascending likenesses from which the levels 1, 2, … count.
pub fn level(likeness: f64, from: &[f64]) -> u8 {
    from.iter().take_while(|from| likeness >= **from).count() as u8
}

/// Compared pairs: equal comparisons are counted together.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparisons {
    n_levels: Vec<u8>,
    counts: BTreeMap<Vec<u8>, u64>,
}

impl Comparisons {
    /// Each field with its number of levels, of which it needs two.
    pub fn new(n_levels: &[u8]) -> Result<Self> {
        for n in n_levels {
            if !(2..MISSING).contains(n) {
                return Err(Error::Range {
                    name: "number of levels",
                    range: "2 to 254",
                    value: f64::from(*n),
                });
            }
        }
        Ok(Self {
            n_levels: n_levels.to_vec(),
            counts: BTreeMap::new(),
        })
    }

    /// The levels of a pair, one a field; [`MISSING`] where there is nothing to compare.
    pub fn add(&mut self, levels: &[u8]) -> Result<()> {
        let fits = |(level, n): (&u8, &u8)| *level == MISSING || level < n;
        if levels.len() != self.n_levels.len() || !levels.iter().zip(&self.n_levels).all(fits) {
            return Err(Error::Contradiction("levels do not fit the fields"));
        }
        match self.counts.get_mut(levels) {
            Some(count) => *count += 1,
            None => _ = self.counts.insert(levels.to_vec(), 1),
        }
        Ok(())
    }

    pub fn merge(&mut self, other: Self) -> Result<()> {
        if self.n_levels != other.n_levels {
            return Err(Error::Contradiction(
                "comparisons of different fields do not add up",
            ));
        }
        for (levels, count) in other.counts {
            *self.counts.entry(levels).or_default() += count;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FellegiSunter {
    /// Share of the compared pairs that are one person.
    pub prior: f64,
    /// By field and level, among pairs of one person.
    pub m: Vec<Vec<f64>>,
    /// By field and level, among other pairs.
    pub u: Vec<Vec<f64>>,
    pub log_likelihood: f64,
    pub converged: bool,
}

impl FellegiSunter {
    pub fn fit(comparisons: &Comparisons, is_cancelled: IsCancelled) -> Result<Self> {
        if comparisons.counts.is_empty() {
            return Err(Error::TooLittle("there are no pairs to learn from"));
        }
        let mut model = Self::start(&comparisons.n_levels);
        for _ in 0..MOST_ROUNDS {
            if is_cancelled() {
                return Err(Error::Cancelled);
            }
            let next = model.improved(comparisons);
            let gain = next.log_likelihood - model.log_likelihood;
            model = next;
            if gain.abs() <= 1e-10 * model.log_likelihood.abs() {
                model.converged = true;
                break;
            }
        }
        Ok(model)
    }

    fn start(n_levels: &[u8]) -> Self {
        // The last level has `agreeing`, the others the rest in equal parts.
        let field = |n: u8, agreeing: f64| {
            let mut levels = vec![(1.0 - agreeing) / f64::from(n - 1); usize::from(n)];
            levels[usize::from(n) - 1] = agreeing;
            levels
        };
        Self {
            prior: 0.1,
            m: n_levels.iter().map(|n| field(*n, 0.9)).collect(),
            u: n_levels.iter().map(|n| field(*n, 0.1)).collect(),
            log_likelihood: f64::NEG_INFINITY,
            converged: false,
        }
    }

    /// One round: the model's own guess who is who, and the shares that follow from it. The likelihood is that of before.
    fn improved(&self, comparisons: &Comparisons) -> Self {
        let none = |n: &u8| vec![HALF_A_PAIR; usize::from(*n)];
        let mut m: Vec<Vec<f64>> = comparisons.n_levels.iter().map(none).collect();
        let mut u = m.clone();
        let (mut same, mut pairs, mut log_likelihood) = (0.0, 0.0, 0.0);
        for (levels, count) in &comparisons.counts {
            let count = *count as f64;
            let (log_m, log_u) = (self.log_of(&self.m, levels), self.log_of(&self.u, levels));
            let (a, b) = (self.prior.ln() + log_m, (1.0 - self.prior).ln() + log_u);
            let total = a.max(b) + (-(a - b).abs()).exp().ln_1p();
            let is_same = (a - total).exp();
            same += count * is_same;
            pairs += count;
            log_likelihood += count * total;
            for (field, level) in levels.iter().enumerate().filter(|(_, l)| **l != MISSING) {
                m[field][usize::from(*level)] += count * is_same;
                u[field][usize::from(*level)] += count * (1.0 - is_same);
            }
        }
        m.iter_mut().chain(&mut u).for_each(|levels| {
            let total: f64 = levels.iter().sum();
            levels.iter_mut().for_each(|level| *level /= total);
        });
        Self {
            prior: (same + HALF_A_PAIR) / (pairs + 2.0 * HALF_A_PAIR),
            m,
            u,
            log_likelihood,
            converged: false,
        }
    }

    fn log_of(&self, shares: &[Vec<f64>], levels: &[u8]) -> f64 {
        let known = shares
            .iter()
            .zip(levels)
            .filter(|(_, level)| **level != MISSING);
        known
            .map(|(shares, level)| shares[usize::from(*level)].ln())
            .sum()
    }

    /// In bits: how much more the comparison is like one person's than like two persons'.
    pub fn weight(&self, levels: &[u8]) -> f64 {
        (self.log_of(&self.m, levels) - self.log_of(&self.u, levels)) / std::f64::consts::LN_2
    }

    /// Probability that the pair is one person.
    pub fn p_same(&self, levels: &[u8]) -> f64 {
        let odds_against = (1.0 - self.prior) / self.prior * (-self.weight(levels)).exp2();
        1.0 / (1.0 + odds_against)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn go_on() -> bool {
        false
    }

    /// Pairs of which 20 % are one person, in four fields of two levels, a tenth of all values missing.
    fn simulated(n: usize) -> (Comparisons, [f64; 4], [f64; 4]) {
        let (m, u) = ([0.95, 0.9, 0.8, 0.97], [0.05, 0.1, 0.3, 0.01]);
        let mut random = Random::new(1);
        let mut comparisons = Comparisons::new(&[2; 4]).expect("levels");
        for _ in 0..n {
            let agree = if random.unit() < 0.2 { m } else { u };
            let levels = agree.map(|share| match random.unit() < 0.1 {
                true => MISSING,
                false => u8::from(random.unit() < share),
            });
            comparisons.add(&levels).expect("fits");
        }
        (comparisons, m, u)
    }

    #[test]
    fn shares_are_recovered_from_unlabelled_pairs() {
        let (comparisons, m, u) = simulated(200_000);
        let model = FellegiSunter::fit(&comparisons, &go_on).expect("pairs");
        assert!(model.converged, "{model:?}");
        assert!((model.prior - 0.2).abs() < 0.01, "{model:?}");
        for field in 0..4 {
            assert!((model.m[field][1] - m[field]).abs() < 0.01, "{model:?}");
            assert!((model.u[field][1] - u[field]).abs() < 0.01, "{model:?}");
        }
        assert!(model.p_same(&[1; 4]) > 0.999 && model.p_same(&[0; 4]) < 1e-3);
    }

    #[test]
    fn what_is_missing_says_nothing() {
        let (comparisons, ..) = simulated(2_000);
        let model = FellegiSunter::fit(&comparisons, &go_on).expect("pairs");
        assert_eq!(model.weight(&[MISSING; 4]), 0.0);
        assert!((model.p_same(&[MISSING; 4]) - model.prior).abs() < 1e-12);
    }

    #[test]
    fn merging_comparisons_is_comparing_together() {
        let (whole, ..) = simulated(500);
        let mut merged = Comparisons::new(&[2; 4]).expect("levels");
        merged.merge(whole.clone()).expect("the same fields");
        assert_eq!(merged, whole);
        let other = Comparisons::new(&[2; 3]).expect("levels");
        assert!(merged.merge(other).is_err());
    }

    #[test]
    fn levels_count_the_bounds_reached() {
        let levels = [0.2, 0.8, 0.85, 1.0].map(|likeness| level(likeness, &[0.8, 0.92, 1.0]));
        assert_eq!(levels, [0, 1, 1, 3]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Comparisons::new(&[1]).is_err());
        let mut comparisons = Comparisons::new(&[2, 3]).expect("levels");
        assert!(comparisons.add(&[0]).is_err() && comparisons.add(&[2, 0]).is_err());
        assert!(FellegiSunter::fit(&comparisons, &go_on).is_err());
        comparisons.add(&[1, MISSING]).expect("fits");
        let got = FellegiSunter::fit(&comparisons, &|| true);
        assert_eq!(got, Err(Error::Cancelled));
        assert!(FellegiSunter::fit(&comparisons, &go_on).is_ok());
    }
}
