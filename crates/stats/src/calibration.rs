//! Scores made into probabilities: of those who are given 30 %, it shall happen to 30 %.
//!
//! Fit on rows that the scoring model has not seen. [`Isotonic`] takes the rising step function nearest to the outcomes: any
//! shape, but it needs many rows and makes ties. [`Platt`] takes σ(a·score + b): two numbers, for few rows; the order of the
//! scores is kept to the last pair.
//!
//! Source: pool adjacent violators: Ayer et al. (1955), Annals of Mathematical Statistics 26; Platt (1999), "Probabilistic
//! Outputs for Support Vector Machines", with the targets of Lin, Lin & Weng (2007), Machine Learning 68.

use crate::fit::IsCancelled;
use crate::logistic::{self, sigmoid};
use crate::scaling;
use crate::{Error, Result};

/// A probability that never falls as the score rises; straight lines between the scores seen, level beyond them.
#[derive(Clone, Debug, PartialEq)]
pub struct Isotonic {
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

/// Scores with the same probability: from, to, Σ w·y, Σ w.
#[derive(Clone, Copy)]
struct Block {
    low: f64,
    high: f64,
    ones: f64,
    weight: f64,
}

impl Block {
    fn probability(&self) -> f64 {
        self.ones / self.weight
    }
}

impl Isotonic {
    /// Rows of weight 0 say nothing.
    pub fn fit(scores: &[f64], labels: &[bool], weights: &[f64]) -> Result<Self> {
        check(scores, labels, weights)?;
        let mut order: Vec<usize> = (0..scores.len()).filter(|n| weights[*n] > 0.0).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let mut blocks: Vec<Block> = vec![];
        for index in order {
            let weight = weights[index];
            let block = Block {
                low: scores[index],
                high: scores[index],
                ones: if labels[index] { weight } else { 0.0 },
                weight,
            };
            match blocks.last_mut() {
                Some(last) if last.high == block.low => last.merge(&block),
                _ => blocks.push(block),
            }
        }
        Ok(Self::of(&pooled(blocks)))
    }

    fn of(blocks: &[Block]) -> Self {
        let (mut scores, mut probabilities) = (vec![], vec![]);
        for block in blocks {
            for score in [block.low, block.high] {
                if scores.last() != Some(&score) {
                    scores.push(score);
                    probabilities.push(block.probability());
                }
            }
        }
        Self {
            scores,
            probabilities,
        }
    }

    /// Where the probability bends, rising.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// At each of [`Self::scores`], never falling.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// `None` for a score that is no number.
    pub fn probability(&self, score: f64) -> Option<f64> {
        interpolated(&self.scores, &self.probabilities, score)
    }
}

/// Of [`Isotonic::scores`] and [`Isotonic::probabilities`] that were kept. `None` for a score that is no number.
pub fn interpolated(scores: &[f64], probabilities: &[f64], score: f64) -> Option<f64> {
    let last = scores.len().checked_sub(1)?;
    if score.is_nan() {
        return None;
    }
    let above = scores.partition_point(|seen| *seen < score);
    if above == 0 || above > last || scores[above] == score {
        return Some(probabilities[above.min(last)]);
    }
    let (low, high) = (scores[above - 1], scores[above]);
    let (from, to) = (probabilities[above - 1], probabilities[above]);
    // Halved before they are taken apart: the widest scores do not overflow.
    let way = (score / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
    Some((from + way * (to - from)).clamp(from, to))
}

impl Block {
    fn merge(&mut self, next: &Self) {
        self.high = next.high;
        self.ones += next.ones;
        self.weight += next.weight;
    }
}

/// Neighbours that would fall are joined, until none does.
fn pooled(blocks: Vec<Block>) -> Vec<Block> {
    let mut pooled: Vec<Block> = vec![];
    for mut block in blocks {
        while let Some(before) = pooled.pop_if(|before| before.probability() >= block.probability())
        {
            let mut joined = before;
            joined.merge(&block);
            block = joined;
        }
        pooled.push(block);
    }
    pooled
}

/// σ(slope·score + intercept), with a slope of at least 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platt {
    pub slope: f64,
    pub intercept: f64,
}

impl Platt {
    /// As if of each label one more had been seen: a few rows do not make anybody certain.
    ///
    /// Scores that stand the wrong way round are given the mean, as [`Isotonic`] does.
    pub fn fit(
        scores: &[f64],
        labels: &[bool],
        weights: &[f64],
        is_cancelled: IsCancelled,
    ) -> Result<Self> {
        check(scores, labels, weights)?;
        let of = |label: bool| -> f64 {
            let pairs = labels.iter().zip(weights);
            pairs.filter(|(l, _)| **l == label).map(|(_, w)| w).sum()
        };
        let (zeros, ones) = (of(false), of(true));
        let (low, high) = (1.0 / (zeros + 2.0), (ones + 1.0) / (ones + 2.0));
        let target = |label: &bool| if *label { high } else { low };
        let targets: Vec<f64> = labels.iter().map(target).collect();
        if !vary(scores, weights) {
            return Self::level(&targets, weights, is_cancelled);
        }
        let fit = logistic::fit(scores, 1, &targets, weights, 0.0, is_cancelled)?;
        if fit.coefficients[0] < 0.0 {
            return Self::level(&targets, weights, is_cancelled);
        }
        Ok(Self {
            slope: fit.coefficients[0],
            intercept: fit.intercept,
        })
    }

    fn level(targets: &[f64], weights: &[f64], is_cancelled: IsCancelled) -> Result<Self> {
        let fit = logistic::fit(&[], 0, targets, weights, 0.0, is_cancelled)?;
        Ok(Self {
            slope: 0.0,
            intercept: fit.intercept,
        })
    }

    pub fn probability(&self, score: f64) -> f64 {
        sigmoid(self.slope * score + self.intercept)
    }
}

/// Whether scores differ by more than what rounding makes of equal ones.
fn vary(scores: &[f64], weights: &[f64]) -> bool {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (score, weight) in scores.iter().zip(weights) {
        if *weight > 0.0 {
            (low, high) = (low.min(*score), high.max(*score));
        }
    }
    high - low > 1e-9 * low.abs().max(high.abs())
}

fn check(scores: &[f64], labels: &[bool], weights: &[f64]) -> Result<()> {
    scaling::check(scores, 1, weights)?;
    if labels.len() != weights.len() || weights.iter().sum::<f64>() <= 0.0 {
        return Err(Error::TooLittle(
            "each score needs a label, and one of them a weight",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() < tolerance, "{got}, not {expected}");
    }

    fn isotonic(scores: &[f64], labels: &[bool]) -> Isotonic {
        Isotonic::fit(scores, labels, &vec![1.0; labels.len()]).expect("fitted")
    }

    /// Scores between 0 and 1 and labels that follow them loosely.
    fn sample(n: usize) -> (Vec<f64>, Vec<bool>) {
        let at = |n: usize, step: f64| (n as f64 * step).fract();
        let scores: Vec<f64> = (0..n).map(|n| at(n, 0.618_033_988_749)).collect();
        let labels = (0..n)
            .map(|n| at(n, 0.414_213_562_373) < scores[n].powi(2))
            .collect();
        (scores, labels)
    }

    #[test]
    fn c6_isotonic_rises_and_keeps_the_mean() {
        let (scores, labels) = sample(1_000);
        let model = isotonic(&scores, &labels);
        let of = |score: f64| model.probability(score).expect("a number");
        let mean = scores.iter().map(|s| of(*s)).sum::<f64>() / 1_000.0;
        let ones = labels.iter().filter(|label| **label).count() as f64 / 1_000.0;
        near(mean, ones, 1e-9);
        let grid: Vec<f64> = (-100..=1_100).map(|n| of(f64::from(n) / 1_000.0)).collect();
        assert!(grid.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(grid.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn neighbours_that_fall_are_pooled() {
        let model = isotonic(&[1.0, 2.0, 3.0, 4.0], &[false, true, false, true]);
        let expected = [
            (0.0, 0.0),
            (1.0, 0.0),
            (2.0, 0.5),
            (2.5, 0.5),
            (3.0, 0.5),
            (3.5, 0.75),
        ];
        for (score, probability) in expected {
            near(
                model.probability(score).expect("a number"),
                probability,
                1e-12,
            );
        }
        assert_eq!(model.probability(f64::INFINITY), Some(1.0));
        assert_eq!(model.probability(f64::NAN), None);
    }

    #[test]
    fn equal_scores_get_one_probability_in_any_order() {
        let one = isotonic(&[1.0, 1.0, 1.0, 2.0], &[true, false, false, true]);
        let other = isotonic(&[1.0, 2.0, 1.0, 1.0], &[false, true, true, false]);
        assert_eq!(one, other);
        near(one.probability(1.0).expect("a number"), 1.0 / 3.0, 1e-12);
    }

    #[test]
    fn weights_are_repeated_rows() {
        let (scores, labels) = sample(60);
        let weights: Vec<f64> = (0..60).map(|n| f64::from(n % 3)).collect();
        let mut rows = (vec![], vec![]);
        for n in 0..60 {
            for _ in 0..n % 3 {
                rows.0.push(scores[n]);
                rows.1.push(labels[n]);
            }
        }
        let ones = vec![1.0; rows.0.len()];
        let weighted = Isotonic::fit(&scores, &labels, &weights).expect("fitted");
        assert_eq!(
            weighted,
            Isotonic::fit(&rows.0, &rows.1, &ones).expect("fitted")
        );
        let weighted = Platt::fit(&scores, &labels, &weights, &|| false).expect("fitted");
        let repeated = Platt::fit(&rows.0, &rows.1, &ones, &|| false).expect("fitted");
        near(weighted.slope, repeated.slope, 1e-9);
        near(weighted.intercept, repeated.intercept, 1e-9);
    }

    #[test]
    fn platt_keeps_the_order_and_is_never_certain() {
        let labels = [false, false, true, true];
        let model = Platt::fit(&[1.0, 2.0, 3.0, 4.0], &labels, &[1.0; 4], &|| false);
        let model = model.expect("fitted");
        let of: Vec<f64> = (0..60)
            .map(|n| model.probability(f64::from(n) / 10.0))
            .collect();
        assert!(of.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(of.iter().all(|p| *p > 0.0 && *p < 1.0));
    }

    #[test]
    fn scores_the_wrong_way_round_are_given_the_mean() {
        let labels = [true, true, false, false];
        let model = Platt::fit(&[1.0, 2.0, 3.0, 4.0], &labels, &[1.0; 4], &|| false);
        near(model.expect("fitted").probability(9.0), 0.5, 1e-9);
        let flat = isotonic(&[1.0, 2.0, 3.0, 4.0], &labels);
        assert_eq!(flat.probability(9.0), Some(0.5));
    }

    #[test]
    fn one_score_or_one_label_is_enough() {
        let model = Platt::fit(&[3.0; 4], &[true, false, false, false], &[1.0; 4], &|| {
            false
        });
        assert_eq!(model.expect("fitted").slope, 0.0);
        let nearly = [3.0, 3.0 + 1e-15, 3.0, 3.0];
        let model = Platt::fit(&nearly, &[true, false, false, false], &[1.0; 4], &|| false);
        assert_eq!(model.expect("fitted").slope, 0.0);
        let model = Platt::fit(&[1.0, 2.0], &[true, true], &[1.0; 2], &|| false);
        near(model.expect("fitted").probability(1.5), 0.75, 1e-9);
        assert_eq!(isotonic(&[3.0], &[true]).probability(-1.0), Some(1.0));
    }

    #[test]
    fn what_is_no_score_is_refused() {
        for hostile in [f64::NAN, f64::INFINITY] {
            let scores = [1.0, hostile];
            assert!(Isotonic::fit(&scores, &[true, false], &[1.0; 2]).is_err());
            assert!(Platt::fit(&scores, &[true, false], &[1.0; 2], &|| false).is_err());
        }
        assert!(Isotonic::fit(&[], &[], &[]).is_err());
        assert!(Isotonic::fit(&[1.0], &[true], &[0.0]).is_err());
        let widest = isotonic(&[-f64::MAX, f64::MAX], &[false, true]);
        assert_eq!(widest.probability(0.0), Some(0.5));
    }
}
