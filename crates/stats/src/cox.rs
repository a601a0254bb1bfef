//! Cox's proportional hazards: what makes customers leave sooner, without a guess at how leaving goes with time.
//!
//! The hazard of a customer with features x is h₀(t)·exp(β·x). Ties (several leaving at one time) by Efron's approximation.
//!
//! Source: Cox (1972), J. of the Royal Statistical Society B 34; Efron (1977), J. of the American Statistical Association 72.

use crate::fit::IsCancelled;
use crate::linear;
use crate::survival::Duration;
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub struct Cox {
    /// Logarithm of the hazard's ratio per unit of each feature.
    pub coefficients: Vec<f64>,
    pub standard_errors: Vec<f64>,
    /// Partial, at the maximum.
    pub log_likelihood: f64,
    /// Partial, without any feature.
    pub log_likelihood_of_none: f64,
    /// Harrell's C: how often the one with the higher risk leaves first.
    pub concordance: f64,
    pub iterations: usize,
}

const MOST_ITERATIONS: usize = 100;

/// Newton-Raphson with halved steps. `features` row by row, one row per duration, no constant among them.
pub fn fit(
    durations: &[Duration],
    features: &[f64],
    n_features: usize,
    is_cancelled: IsCancelled,
) -> Result<Cox> {
    if durations.is_empty() || n_features == 0 || features.len() != durations.len() * n_features {
        return Err(Error::TooLittle("each duration needs one row of features"));
    }
    if let Some(value) = features.iter().find(|value| !value.is_finite()) {
        return Err(Error::Range {
            name: "feature",
            range: "a finite number",
            value: *value,
        });
    }
    let centred = centred(durations, features, n_features);
    // From the longest duration to the shortest: who is at risk is who came before.
    let mut order: Vec<usize> = (0..durations.len()).collect();
    order.sort_by(|a, b| durations[*b].time.total_cmp(&durations[*a].time));
    let data = Data {
        durations,
        features: &centred,
        n: n_features,
        order,
        is_cancelled,
    };
    let mut beta = vec![0.0; n_features];
    let mut at = data.evaluate(&beta)?;
    let log_likelihood_of_none = at.log_likelihood;
    let mut iterations = 0;
    loop {
        let lower = linear::cholesky(&at.information, n_features).ok_or(Error::TooLittle(
            "the features depend on each other, or nobody left: leave one out",
        ))?;
        let step = linear::solve(&lower, n_features, &at.score);
        let gain: f64 = step.iter().zip(&at.score).map(|(a, b)| a * b).sum();
        if gain < 1e-18 * at.log_likelihood.abs().max(1.0) || iterations == MOST_ITERATIONS {
            break;
        }
        iterations += 1;
        let mut length = 1.0;
        loop {
            let tried: Vec<f64> = beta
                .iter()
                .zip(&step)
                .map(|(b, s)| b + length * s)
                .collect();
            let next = data.evaluate(&tried)?;
            if next.log_likelihood >= at.log_likelihood - 1e-12 * at.log_likelihood.abs() {
                (beta, at) = (tried, next);
                break;
            }
            length *= 0.5;
            if length < 1e-8 {
                return Err(Error::TooLittle(
                    "the likelihood rises without end: a feature tells exactly who leaves",
                ));
            }
        }
    }
    let covariance = linear::inverse(&at.information, n_features).ok_or(Error::TooLittle(
        "the features depend on each other: leave one out",
    ))?;
    Ok(Cox {
        standard_errors: (0..n_features)
            .map(|i| covariance[i * n_features + i].sqrt())
            .collect(),
        concordance: data.concordance(&beta),
        coefficients: beta,
        log_likelihood: at.log_likelihood,
        log_likelihood_of_none,
        iterations,
    })
}

/// Differences from the mean: the same likelihood, and exp() of smaller numbers.
fn centred(durations: &[Duration], features: &[f64], n: usize) -> Vec<f64> {
    let mut means = vec![0.0; n];
    let mut total = 0.0;
    for (duration, row) in durations.iter().zip(features.chunks_exact(n)) {
        total += duration.weight;
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += duration.weight * value;
        }
    }
    let mut centred = features.to_vec();
    for row in centred.chunks_exact_mut(n) {
        for (value, mean) in row.iter_mut().zip(&means) {
            *value -= mean / total;
        }
    }
    centred
}

struct Data<'a> {
    durations: &'a [Duration],
    features: &'a [f64],
    n: usize,
    order: Vec<usize>,
    is_cancelled: IsCancelled<'a>,
}

/// Durations between two looks at whether the answer is still wanted.
const OFTEN: usize = 1_024;

struct Evaluated {
    log_likelihood: f64,
    score: Vec<f64>,
    /// Minus the curvature.
    information: Vec<f64>,
}

/// Σ w·e^(βx), Σ w·e^(βx)·x and Σ w·e^(βx)·x·xᵀ.
#[derive(Clone)]
struct Moments {
    zeroth: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Moments {
    fn new(n: usize) -> Self {
        Self {
            zeroth: 0.0,
            first: vec![0.0; n],
            second: vec![0.0; n * n],
        }
    }

    fn add(&mut self, risk: f64, row: &[f64]) {
        self.zeroth += risk;
        for (i, x) in row.iter().enumerate() {
            self.first[i] += risk * x;
            for (j, y) in row[..=i].iter().enumerate() {
                self.second[i * row.len() + j] += risk * x * y;
            }
        }
    }
}

impl Data<'_> {
    fn row(&self, index: usize) -> &[f64] {
        &self.features[index * self.n..(index + 1) * self.n]
    }

    /// The logarithm of the hazard's ratio to that of the average customer.
    fn log_risk(&self, index: usize, beta: &[f64]) -> f64 {
        self.row(index).iter().zip(beta).map(|(x, b)| x * b).sum()
    }

    fn evaluate(&self, beta: &[f64]) -> Result<Evaluated> {
        let n = self.n;
        let mut result = Evaluated {
            log_likelihood: 0.0,
            score: vec![0.0; n],
            information: vec![0.0; n * n],
        };
        let mut at_risk = Moments::new(n);
        let mut start = 0;
        while start < self.order.len() {
            let time = self.durations[self.order[start]].time;
            let same = self.order[start..]
                .iter()
                .take_while(|index| self.durations[**index].time == time)
                .count();
            let mut dead = Moments::new(n);
            let (mut deaths, mut weight) = (0_usize, 0.0);
            for (place, &index) in (start..).zip(&self.order[start..start + same]) {
                self.check_wanted(place)?;
                let duration = &self.durations[index];
                let log_risk = self.log_risk(index, beta);
                let risk = duration.weight * log_risk.exp();
                at_risk.add(risk, self.row(index));
                if duration.is_event && duration.weight > 0.0 {
                    dead.add(risk, self.row(index));
                    deaths += 1;
                    weight += duration.weight;
                    result.log_likelihood += duration.weight * log_risk;
                    for (score, x) in result.score.iter_mut().zip(self.row(index)) {
                        *score += duration.weight * x;
                    }
                }
            }
            for k in 0..deaths {
                self.check_wanted(k)?;
                result.take_out(
                    &at_risk,
                    &dead,
                    k as f64 / deaths as f64,
                    weight / deaths as f64,
                );
            }
            start += same;
        }
        for i in 0..n {
            for j in 0..i {
                result.information[j * n + i] = result.information[i * n + j];
            }
        }
        Ok(result)
    }

    fn check_wanted(&self, place: usize) -> Result<()> {
        match place.is_multiple_of(OFTEN) && (self.is_cancelled)() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// Pairs in which the one who left first is known, as a share of those where that one's risk was higher; equal risks
    /// count half. Over ranks of the risks in a Fenwick tree, so n·log n.
    fn concordance(&self, beta: &[f64]) -> f64 {
        let risks: Vec<f64> = (0..self.durations.len())
            .map(|index| self.log_risk(index, beta))
            .collect();
        let mut sorted = risks.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        let rank = |risk: f64| sorted.partition_point(|other| *other < risk);
        let mut tree = vec![0.0; sorted.len() + 1];
        let below = |tree: &[f64], upto: usize| {
            let (mut sum, mut at) = (0.0, upto);
            while at > 0 {
                sum += tree[at];
                at -= at & at.wrapping_neg();
            }
            sum
        };
        let (mut better, mut pairs) = (0.0, 0.0);
        let mut start = 0;
        while start < self.order.len() {
            let time = self.durations[self.order[start]].time;
            let same = self.order[start..]
                .iter()
                .take_while(|index| self.durations[**index].time == time)
                .count();
            let (events, censored): (Vec<usize>, Vec<usize>) = self.order[start..start + same]
                .iter()
                .partition(|index| self.durations[**index].is_event);
            let add = |tree: &mut Vec<f64>, index: usize| {
                let weight = self.durations[index].weight;
                let mut at = rank(risks[index]) + 1;
                while at < tree.len() {
                    tree[at] += weight;
                    at += at & at.wrapping_neg();
                }
            };
            // One censored at the very time was there longer than one who left at it.
            for index in censored {
                add(&mut tree, index);
            }
            let there = below(&tree, sorted.len());
            for &index in &events {
                let weight = self.durations[index].weight;
                let lower = below(&tree, rank(risks[index]));
                let equal = below(&tree, rank(risks[index]) + 1) - lower;
                better += weight * (lower + 0.5 * equal);
                pairs += weight * there;
            }
            for index in events {
                add(&mut tree, index);
            }
            start += same;
        }
        better / pairs
    }
}

impl Evaluated {
    /// One of the deaths at a time, after a `share` of them has left (Efron).
    fn take_out(&mut self, at_risk: &Moments, dead: &Moments, share: f64, weight: f64) {
        let n = self.score.len();
        let zeroth = at_risk.zeroth - share * dead.zeroth;
        self.log_likelihood -= weight * zeroth.ln();
        for i in 0..n {
            let mean = (at_risk.first[i] - share * dead.first[i]) / zeroth;
            self.score[i] -= weight * mean;
            for j in 0..=i {
                let other = (at_risk.first[j] - share * dead.first[j]) / zeroth;
                let second = (at_risk.second[i * n + j] - share * dead.second[i * n + j]) / zeroth;
                self.information[i * n + j] += weight * (second - mean * other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_cox_of_6_mp() {
        let treated = [
            (6, 1),
            (6, 1),
            (6, 1),
            (6, 0),
            (7, 1),
            (9, 0),
            (10, 1),
            (10, 0),
            (11, 0),
            (13, 1),
            (16, 1),
            (17, 0),
            (19, 0),
            (20, 0),
            (22, 1),
            (23, 1),
            (25, 0),
            (32, 0),
            (32, 0),
            (34, 0),
            (35, 0),
        ];
        let placebo = [
            1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23,
        ];
        let of = |time: i32, event: i32| {
            Duration::new(f64::from(time), event == 1, 1.0).expect("a duration")
        };
        let durations: Vec<Duration> = treated
            .iter()
            .map(|(time, event)| of(*time, *event))
            .chain(placebo.iter().map(|time| of(*time, 1)))
            .collect();
        let features: Vec<f64> = (0..42).map(|n| f64::from(u8::from(n < 21))).collect();
        let cox = fit(&durations, &features, 1, &|| false).expect("fitted");
        assert!((cox.coefficients[0] + 1.572125).abs() < 1e-5, "{cox:?}");
        assert!((cox.standard_errors[0] - 0.412397).abs() < 1e-5, "{cox:?}");
    }

    #[test]
    fn a_constant_feature_is_refused() {
        let durations = [1.0, 2.0, 3.0].map(|time| Duration::new(time, true, 1.0).expect("one"));
        assert!(fit(&durations, &[1.0, 1.0, 1.0], 1, &|| false).is_err());
    }
}
