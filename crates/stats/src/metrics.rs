//! How good scores and probabilities are, once it is known what happened.
//!
//! A [`Ranking`] asks whether those to whom it happened stand above the others; a [`Forecast`], whether of those who were given
//! 30 % it happened to 30 %. Neither says anything alone: compare with the share of ones, or with the model in use.
//!
//! Source: AUC as Mann & Whitney's U with ties counted half: Hanley & McNeil (1982), Radiology 143; Brier (1950), Monthly
//! Weather Review 78; expected calibration error: Naeini et al. (2015), AAAI. The definitions are those of scikit-learn.

use crate::{Error, Result};

/// Labels in the order of falling scores, with equal scores together.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Zeros and ones of each distinct score, the highest first.
    groups: Vec<[f64; 2]>,
    zeros: f64,
    ones: f64,
}

impl Ranking {
    /// Needs both labels; scores on any scale.
    pub fn new(labels: &[bool], scores: &[f64]) -> Result<Self> {
        check(labels, scores)?;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut groups: Vec<[f64; 2]> = vec![];
        let mut last = f64::NAN;
        for index in order {
            if scores[index] != last {
                groups.push([0.0; 2]);
                last = scores[index];
            }
            if let Some(group) = groups.last_mut() {
                group[usize::from(labels[index])] += 1.0;
            }
        }
        let count = |label: usize| groups.iter().map(|group| group[label]).sum();
        let (zeros, ones) = (count(0), count(1));
        if zeros == 0.0 || ones == 0.0 {
            return Err(Error::TooLittle("the labels are all the same"));
        }
        Ok(Self {
            groups,
            zeros,
            ones,
        })
    }

    /// Probability that one with label 1 scores above one with label 0; equal scores count half.
    pub fn auc(&self) -> f64 {
        let (mut better, mut above) = (0.0, 0.0);
        for [zeros, ones] in &self.groups {
            better += zeros * (above + 0.5 * ones);
            above += ones;
        }
        better / (self.zeros * self.ones)
    }

    /// Σ (recall − recall before) · precision, over the distinct scores.
    pub fn average_precision(&self) -> f64 {
        let (mut sum, mut seen, mut found) = (0.0, 0.0, 0.0);
        for [zeros, ones] in &self.groups {
            seen += zeros + ones;
            found += ones;
            sum += ones / self.ones * (found / seen);
        }
        sum
    }

    /// Kolmogorov & Smirnov's: how far apart the share of ones and that of zeros above a score come at most.
    pub fn ks(&self) -> f64 {
        let (mut most, mut above) = (0.0_f64, [0.0; 2]);
        for [zeros, ones] in &self.groups {
            above = [above[0] + zeros, above[1] + ones];
            most = most.max(above[1] / self.ones - above[0] / self.zeros);
        }
        most
    }

    /// How many times more ones there are in the highest `share` (rounded down to whole rows, at least one) than overall.
    ///
    /// Of equal scores at the limit, as many count as would on average be drawn.
    pub fn lift(&self, share: f64) -> Result<f64> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::Range {
                name: "share",
                range: "above 0 and at most 1",
                value: share,
            });
        }
        let all = self.zeros + self.ones;
        let size = (all * share).floor().max(1.0);
        let (mut left, mut found) = (size, 0.0);
        for [zeros, ones] in &self.groups {
            let taken = left.min(zeros + ones);
            found += ones * taken / (zeros + ones);
            left -= taken;
            if left == 0.0 {
                break;
            }
        }
        Ok(found / size / (self.ones / all))
    }
}

/// Probabilities beside what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast<'a> {
    labels: &'a [bool],
    probabilities: &'a [f64],
}

impl<'a> Forecast<'a> {
    pub fn new(labels: &'a [bool], probabilities: &'a [f64]) -> Result<Self> {
        check(labels, probabilities)?;
        if let Some(value) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(Error::Range {
                name: "probability",
                range: "between 0 and 1",
                value: *value,
            });
        }
        Ok(Self {
            labels,
            probabilities,
        })
    }

    /// Mean of (p − y)².
    pub fn brier(&self) -> f64 {
        self.mean(|label, probability| (probability - label).powi(2))
    }

    /// Mean of −ln of the probability given to what happened, which counts as at least 2·10⁻¹⁶.
    pub fn log_loss(&self) -> f64 {
        self.mean(|label, probability| {
            let probability = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            -(label * probability.ln() + (1.0 - label) * (1.0 - probability).ln())
        })
    }

    /// Expected calibration error: over `n_bins` equally wide bins (each with its upper end), the distance between the mean
    /// probability and the share of ones, weighted by the rows.
    pub fn expected_calibration_error(&self, n_bins: usize) -> Result<f64> {
        if n_bins == 0 {
            return Err(Error::TooLittle("at least one bin is needed"));
        }
        let mut surplus = vec![0.0; n_bins];
        for (label, probability) in self.pairs() {
            let bin = (probability * n_bins as f64).ceil() as usize;
            surplus[bin.clamp(1, n_bins) - 1] += probability - label;
        }
        let sum: f64 = surplus.iter().map(|surplus: &f64| surplus.abs()).sum();
        Ok(sum / self.labels.len() as f64)
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        let labels = self.labels.iter().map(|label| f64::from(u8::from(*label)));
        labels.zip(self.probabilities.iter().copied())
    }

    fn mean(&self, of: impl Fn(f64, f64) -> f64) -> f64 {
        self.pairs().map(|(label, p)| of(label, p)).sum::<f64>() / self.labels.len() as f64
    }
}

fn check(labels: &[bool], scores: &[f64]) -> Result<()> {
    if labels.is_empty() || labels.len() != scores.len() {
        return Err(Error::TooLittle(
            "each label needs a score, and there must be one",
        ));
    }
    match scores.iter().find(|score| !score.is_finite()) {
        Some(value) => Err(Error::Range {
            name: "score",
            range: "a finite number",
            value: *value,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [bool; 6] = [true, false, true, true, false, false];
    const SCORES: [f64; 6] = [0.9, 0.8, 0.7, 0.5, 0.5, 0.1];

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "{got}, not {expected}");
    }

    fn ranking() -> Ranking {
        Ranking::new(&LABELS, &SCORES).expect("both labels")
    }

    #[test]
    fn ties_count_half_in_the_auc() {
        // Of nine pairs six are right (3 + 2 + 1) and one is tied.
        near(ranking().auc(), (3.0 + 2.0 + 1.5) / 9.0);
        let equal = Ranking::new(&LABELS, &[0.3; 6]).expect("both labels");
        near(equal.auc(), 0.5);
        near(equal.ks(), 0.0);
        near(equal.average_precision(), 0.5);
        near(equal.lift(0.5).expect("a share"), 1.0);
    }

    #[test]
    fn average_precision_steps_over_distinct_scores() {
        near(
            ranking().average_precision(),
            (1.0 + 2.0 / 3.0 + 3.0 / 5.0) / 3.0,
        );
    }

    #[test]
    fn ks_is_the_widest_gap() {
        near(ranking().ks(), 1.0 / 3.0);
    }

    #[test]
    fn lift_of_everybody_is_one() {
        near(ranking().lift(1.0).expect("a share"), 1.0);
        near(ranking().lift(0.01).expect("a share"), 2.0);
        near(ranking().lift(0.5).expect("a share"), 2.0 / 3.0 / 0.5);
        // Half of the tied pair belongs to the highest four.
        near(ranking().lift(0.67).expect("a share"), 2.5 / 4.0 / 0.5);
    }

    #[test]
    fn an_order_says_all_that_a_ranking_says() {
        let moved = SCORES.map(|score| (50.0 * score).exp());
        assert_eq!(
            Ranking::new(&LABELS, &moved).expect("both labels"),
            ranking()
        );
    }

    #[test]
    fn certain_and_right_costs_nothing() {
        let forecast = Forecast::new(&[true, false], &[1.0, 0.0]).expect("probabilities");
        near(forecast.brier(), 0.0);
        near(forecast.log_loss(), 0.0);
        near(forecast.expected_calibration_error(10).expect("bins"), 0.0);
        let wrong = Forecast::new(&[true, false], &[0.0, 1.0]).expect("probabilities");
        near(wrong.brier(), 1.0);
        near(wrong.log_loss(), -f64::EPSILON.ln());
        near(wrong.expected_calibration_error(10).expect("bins"), 1.0);
    }

    #[test]
    fn a_forecast_that_is_right_on_average_in_each_bin_is_calibrated() {
        let labels = [true, false, false, false, true, true, true, false];
        let probabilities = [0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75];
        let forecast = Forecast::new(&labels, &probabilities).expect("probabilities");
        near(forecast.expected_calibration_error(10).expect("bins"), 0.0);
        near(forecast.brier(), 0.1875);
    }

    #[test]
    fn what_is_no_score_is_refused() {
        for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Ranking::new(&[true, false], &[0.5, hostile]).is_err());
            assert!(Forecast::new(&[true, false], &[0.5, hostile]).is_err());
        }
        assert!(Ranking::new(&[true, true], &[0.5, 0.4]).is_err());
        assert!(Ranking::new(&[true], &[0.5]).is_err());
        assert!(Ranking::new(&[], &[]).is_err());
        assert!(Forecast::new(&[], &[]).is_err());
        assert!(Forecast::new(&[true], &[1.1]).is_err());
        assert!(Forecast::new(&[true], &[0.5, 0.5]).is_err());
        assert!(ranking().lift(0.0).is_err());
        assert!(ranking().lift(f64::NAN).is_err());
        assert!(
            Forecast::new(&[true], &[0.5])
                .expect("one")
                .expected_calibration_error(0)
                .is_err()
        );
    }
}
