//! A trial of a campaign, and how well an order of customers would have used it.
//!
//! Some customers, drawn by lot, were left alone. Others are addressed in the order of the uplift foretold for each. When the
//! first N are addressed, the Qini curve stands at Y₁ − Y₀·N₁/N₀ and the uplift curve at (Y₁/N₁ − Y₀/N₀)·N (N customers and Y
//! outcomes, 1 treated, 0 not). Both are told by the area above the straight line of no order, as a share of what a perfect
//! order would have. Neither says anything alone: compare with a simple rule.
//!
//! Source: Radcliffe (2007), "Using Control Groups to Target on Predicted Lift"; areas and perfect orders are those of
//! scikit-uplift 0.5.1.

use crate::{Error, Result};

/// What customers did, and who of them was treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial<'a> {
    outcomes: &'a [f64],
    is_treated: &'a [bool],
}

/// How much more a treated customer does on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    pub effect: f64,
    pub standard_error: f64,
}

impl<'a> Trial<'a> {
    /// Needs at least two customers in each group.
    pub fn new(outcomes: &'a [f64], is_treated: &'a [bool]) -> Result<Self> {
        let treated = is_treated.iter().filter(|treated| **treated).count();
        if outcomes.len() != is_treated.len() || treated < 2 || outcomes.len() - treated < 2 {
            return Err(Error::TooLittle(
                "a trial needs an outcome of each customer, and two customers in each group",
            ));
        }
        match outcomes.iter().find(|outcome| !outcome.is_finite()) {
            Some(value) => Err(Error::Range {
                name: "outcome",
                range: "a finite number",
                value: *value,
            }),
            None => Ok(Self {
                outcomes,
                is_treated,
            }),
        }
    }

    pub fn n_customers(&self) -> usize {
        self.outcomes.len()
    }

    /// The difference between the groups' means, with that of the variances' unbiased estimates as its error.
    pub fn average_effect(&self) -> Effect {
        let [(mean, variance), (of_control, control_variance)] =
            [true, false].map(|is_treated| mean_and_variance(&self.select(is_treated).1));
        Effect {
            effect: mean - of_control,
            standard_error: (variance + control_variance).sqrt(),
        }
    }

    /// The same customers with the uplift that was foretold for each.
    pub fn targeted_by(&self, uplifts: &[f64]) -> Result<Targeting<'a>> {
        if uplifts.len() != self.outcomes.len() {
            return Err(Error::TooLittle("each customer needs an uplift"));
        }
        if let Some(value) = uplifts.iter().find(|uplift| !uplift.is_finite()) {
            return Err(Error::Range {
                name: "uplift",
                range: "a finite number",
                value: *value,
            });
        }
        let mut order: Vec<usize> = (0..uplifts.len()).collect();
        // Of equal ones the last comes first, as scikit-uplift has it.
        order.sort_by(|a, b| uplifts[*b].total_cmp(&uplifts[*a]).then(b.cmp(a)));
        let is_last = |pair: &[usize]| uplifts[pair[0]] != uplifts[pair[1]];
        let mut ends: Vec<bool> = order.windows(2).map(is_last).collect();
        ends.push(true);
        Ok(Targeting {
            trial: *self,
            order,
            ends,
        })
    }

    /// The rows of a group and their outcomes.
    pub(crate) fn select(&self, is_treated: bool) -> (Vec<usize>, Vec<f64>) {
        let rows = (0..self.outcomes.len()).filter(|n| self.is_treated[*n] == is_treated);
        rows.map(|n| (n, self.outcomes[n])).unzip()
    }

    pub(crate) fn share_treated(&self) -> f64 {
        let treated = self.is_treated.iter().filter(|treated| **treated).count();
        treated as f64 / self.is_treated.len() as f64
    }
}

/// The mean, and the variance of the mean.
fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0) / n)
}

/// A trial's customers in the order in which they would be addressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Targeting<'a> {
    trial: Trial<'a>,
    order: Vec<usize>,
    /// Whether the next in the order has another uplift.
    ends: Vec<bool>,
}

/// The first of an order: how many of each group there are, and the sum of their outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Addressed {
    treated: f64,
    control: f64,
    of_treated: f64,
    of_control: f64,
}

impl Addressed {
    fn add(&mut self, outcome: f64, is_treated: bool) {
        if is_treated {
            self.treated += 1.0;
            self.of_treated += outcome;
        } else {
            self.control += 1.0;
            self.of_control += outcome;
        }
    }

    fn qini(&self) -> f64 {
        self.of_treated - self.of_control * ratio(self.treated, self.control)
    }

    fn uplift(&self) -> f64 {
        let difference =
            ratio(self.of_treated, self.treated) - ratio(self.of_control, self.control);
        difference * (self.treated + self.control)
    }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// A point of the Qini curve.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    addressed: f64,
    height: f64,
    /// What one in the control group does.
    mean: f64,
    /// Treated ones for each in the control group.
    ratio: f64,
}

impl Step {
    fn of(addressed: &Addressed) -> Self {
        Self {
            addressed: addressed.treated + addressed.control,
            height: addressed.qini(),
            mean: ratio(addressed.of_control, addressed.control),
            ratio: ratio(addressed.treated, addressed.control),
        }
    }

    /// By how much another customer raises the point.
    fn gained(&self, outcome: f64, is_treated: bool) -> f64 {
        match is_treated {
            true => outcome - self.mean,
            false => -self.ratio * (outcome - self.mean),
        }
    }
}

/// The points from one on, each with its share of the width: what another customer raises all of them by.
#[derive(Clone, Copy, Debug, Default)]
struct Later {
    widths: f64,
    means: f64,
    ratios: f64,
    means_of_ratios: f64,
}

impl Later {
    fn add(&mut self, step: &Step, width: f64) {
        self.widths += width;
        self.means += width * step.mean;
        self.ratios += width * step.ratio;
        self.means_of_ratios += width * step.ratio * step.mean;
    }

    fn gained(&self, outcome: f64, is_treated: bool) -> f64 {
        match is_treated {
            true => outcome * self.widths - self.means,
            false => self.means_of_ratios - outcome * self.ratios,
        }
    }
}

impl Targeting<'_> {
    /// Customers addressed and outcomes gained by it, from (0, 0) on; equal uplifts are addressed together.
    pub fn qini_curve(&self) -> Vec<[f64; 2]> {
        self.curve(Addressed::qini)
    }

    /// As [`Self::qini_curve`], with both groups brought to the number addressed.
    pub fn uplift_curve(&self) -> Vec<[f64; 2]> {
        self.curve(Addressed::uplift)
    }

    /// Area of the Qini curve above no order, as a share of that of a perfect one. Outcomes must be 0 or 1.
    pub fn qini(&self) -> Result<f64> {
        let perfect = |outcome: f64, is_treated: bool| if is_treated { outcome } else { -outcome };
        let perfect = self.perfect(perfect)?.qini_curve();
        share_of_area(&self.qini_curve(), &perfect)
    }

    /// Area under the uplift curve above no order, as a share of that of a perfect one. Outcomes must be 0 or 1.
    pub fn auuc(&self) -> Result<f64> {
        let pairs = || self.trial.outcomes.iter().zip(self.trial.is_treated);
        let of_control = pairs()
            .filter(|(y, treated)| **y == 1.0 && !**treated)
            .count();
        let lost = pairs()
            .filter(|(y, treated)| **y == 0.0 && **treated)
            .count();
        let perfect = |outcome: f64, is_treated: bool| {
            let treated = f64::from(u8::from(is_treated));
            let tie = if of_control > lost { outcome } else { treated };
            2.0 * f64::from(u8::from(outcome == treated)) + tie
        };
        let perfect = self.perfect(perfect)?.uplift_curve();
        share_of_area(&self.uplift_curve(), &perfect)
    }

    /// The difference between the groups' means among the first `share` of the order, rounded down to whole customers.
    pub fn uplift_at(&self, share: f64) -> Result<f64> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::Range {
                name: "share",
                range: "above 0 and at most 1",
                value: share,
            });
        }
        let mut first = Addressed::default();
        let n = (self.order.len() as f64 * share) as usize;
        for row in &self.order[..n] {
            first.add(self.trial.outcomes[*row], self.trial.is_treated[*row]);
        }
        if first.treated == 0.0 || first.control == 0.0 {
            return Err(Error::TooLittle(
                "the share holds customers of one group only",
            ));
        }
        Ok(first.of_treated / first.treated - first.of_control / first.control)
    }

    /// How far the Qini coefficient may be off because other customers might have been in the trial: the infinitesimal
    /// jackknife, in which each customer's weight moves the areas a little.
    ///
    /// Source: Efron (1982), "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6.
    pub fn qini_standard_error(&self) -> Result<f64> {
        let perfect = |outcome: f64, is_treated: bool| if is_treated { outcome } else { -outcome };
        let perfect = self.perfect(perfect)?;
        let curve = perfect.qini_curve();
        let (qini, best) = (
            share_of_area(&self.qini_curve(), &curve)?,
            area_above_none(&curve),
        );
        let moves = self.qini_moves().into_iter().zip(perfect.qini_moves());
        let moves: Vec<f64> = moves
            .map(|(of_area, of_best)| (of_area - qini * of_best) / best)
            .collect();
        // They are added up: the error is that of a sum.
        Ok(mean_and_variance(&moves).1.sqrt() * moves.len() as f64)
    }

    /// By how much the area of the Qini curve above no order grows with the weight of each customer, by row.
    fn qini_moves(&self) -> Vec<f64> {
        let steps = self.steps();
        let end = steps.last().map_or_else(Step::default, |step| *step);
        let mut moves = vec![0.0; self.order.len()];
        let mut later = Later::default();
        let mut right = 0.0;
        for (n, step) in steps.iter().enumerate().rev() {
            let before = n.checked_sub(1).map_or_else(Step::default, |n| steps[n]);
            let width = step.addressed - before.addressed;
            later.add(step, 0.5 * (width + right));
            right = width;
            for row in &self.order[before.addressed as usize..step.addressed as usize] {
                let (outcome, is_treated) =
                    (self.trial.outcomes[*row], self.trial.is_treated[*row]);
                let of_curve =
                    later.gained(outcome, is_treated) + 0.5 * (before.height + step.height);
                let of_none = end.addressed * end.gained(outcome, is_treated) + end.height;
                moves[*row] = of_curve - 0.5 * of_none;
            }
        }
        moves
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![];
        let mut addressed = Addressed::default();
        for (row, is_end) in self.order.iter().zip(&self.ends) {
            addressed.add(self.trial.outcomes[*row], self.trial.is_treated[*row]);
            if *is_end {
                steps.push(Step::of(&addressed));
            }
        }
        steps
    }

    fn curve(&self, height: impl Fn(&Addressed) -> f64) -> Vec<[f64; 2]> {
        let mut curve = vec![[0.0, 0.0]];
        let mut addressed = Addressed::default();
        for (row, is_end) in self.order.iter().zip(&self.ends) {
            addressed.add(self.trial.outcomes[*row], self.trial.is_treated[*row]);
            if *is_end {
                curve.push([addressed.treated + addressed.control, height(&addressed)]);
            }
        }
        curve
    }

    /// The order of who knows each outcome.
    fn perfect(&self, uplift: impl Fn(f64, bool) -> f64) -> Result<Self> {
        let outcomes = self.trial.outcomes;
        if let Some(value) = outcomes.iter().find(|y| **y != 0.0 && **y != 1.0) {
            return Err(Error::Range {
                name: "outcome",
                range: "0 or 1",
                value: *value,
            });
        }
        let pairs = outcomes.iter().zip(self.trial.is_treated);
        let uplifts: Vec<f64> = pairs.map(|(y, treated)| uplift(*y, *treated)).collect();
        self.trial.targeted_by(&uplifts)
    }
}

fn share_of_area(actual: &[[f64; 2]], perfect: &[[f64; 2]]) -> Result<f64> {
    let best = area_above_none(perfect);
    if best == 0.0 {
        return Err(Error::TooLittle(
            "all outcomes are the same: no order is better than another",
        ));
    }
    Ok(area_above_none(actual) / best)
}

/// Both curves of a trial end where the line of no order does.
fn area_above_none(curve: &[[f64; 2]]) -> f64 {
    let end = curve.last().map_or([0.0; 2], |end| *end);
    area(curve) - 0.5 * end[0] * end[1]
}

/// By trapezia.
fn area(curve: &[[f64; 2]]) -> f64 {
    let pairs = curve.windows(2);
    pairs
        .map(|pair| 0.5 * (pair[1][0] - pair[0][0]) * (pair[0][1] + pair[1][1]))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [f64; 8] = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    const TREATED: [bool; 8] = [true, true, false, true, false, false, true, false];
    const UPLIFTS: [f64; 8] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];

    fn check(outcomes: &[f64; 8], uplifts: &[f64; 8], qini: f64, auuc: f64) {
        let trial = Trial::new(outcomes, &TREATED).expect("a trial");
        let targeting = trial.targeted_by(uplifts).expect("targeted");
        near(targeting.qini().expect("zeros and ones"), qini);
        near(targeting.auuc().expect("zeros and ones"), auuc);
    }

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "{got}, not {expected}");
    }

    #[test]
    fn e3_qini_and_auuc_of_a_toy() {
        check(&OUTCOMES, &UPLIFTS, 0.015_151_515_152, -0.251_700_680_272);
    }

    #[test]
    fn equal_uplifts_are_addressed_together() {
        let tied = [0.9, 0.8, 0.8, 0.6, 0.6, 0.6, 0.3, 0.2];
        check(&OUTCOMES, &tied, -0.075_757_575_758, -0.272_108_843_537);
    }

    #[test]
    fn where_few_are_lost_the_perfect_order_is_another() {
        let flipped = OUTCOMES.map(|outcome| 1.0 - outcome);
        check(&flipped, &UPLIFTS, 0.257_575_757_576, 0.324_444_444_444);
    }

    #[test]
    fn a_perfect_order_has_all_of_the_area() {
        let pairs: Vec<f64> = (0..8)
            .map(|n| {
                if TREATED[n] {
                    OUTCOMES[n]
                } else {
                    -OUTCOMES[n]
                }
            })
            .collect();
        let trial = Trial::new(&OUTCOMES, &TREATED).expect("a trial");
        near(
            trial
                .targeted_by(&pairs)
                .expect("targeted")
                .qini()
                .expect("a share"),
            1.0,
        );
        let equal = trial.targeted_by(&[0.5; 8]).expect("targeted");
        near(equal.qini().expect("a share"), 0.0);
        near(equal.auuc().expect("a share"), 0.0);
    }

    #[test]
    fn uplift_at_a_share_is_that_of_the_first() {
        let trial = Trial::new(&OUTCOMES, &TREATED).expect("a trial");
        let targeting = trial.targeted_by(&UPLIFTS).expect("targeted");
        near(targeting.uplift_at(0.5).expect("both groups"), 2.0 / 3.0);
        near(
            targeting.uplift_at(1.0).expect("both groups"),
            trial.average_effect().effect,
        );
        assert!(targeting.uplift_at(0.1).is_err());
        assert!(targeting.uplift_at(f64::NAN).is_err());
    }

    /// Of 600 customers, who answer an address the more the higher their number's last digit is, if they do at all.
    fn answers(strength: usize) -> (Vec<f64>, Vec<bool>) {
        let lot = |n: usize, of: usize| (n * 7919 + n * n * 31 + n * n * n * 17) % of;
        let is_treated = |n: usize| lot(n, 97) < 50;
        let outcome = |n: usize| {
            let chance = 20 + if is_treated(n) { n % 10 * strength } else { 0 };
            f64::from(u8::from(lot(n, 101) < chance))
        };
        (
            (0..600).map(outcome).collect(),
            (0..600).map(is_treated).collect(),
        )
    }

    fn qini_of(outcomes: &[f64], is_treated: &[bool], uplifts: &[f64]) -> (f64, f64) {
        let trial = Trial::new(outcomes, is_treated).expect("a trial");
        let targeting = trial.targeted_by(uplifts).expect("targeted");
        let error = targeting.qini_standard_error();
        (
            targeting.qini().expect("zeros and ones"),
            error.expect("zeros and ones"),
        )
    }

    #[test]
    fn the_error_of_qini_is_what_leaving_out_each_customer_tells() {
        let (outcomes, is_treated) = answers(4);
        let uplifts: Vec<f64> = (0..600_i32).map(|n| f64::from(n % 10)).collect();
        let (_, error) = qini_of(&outcomes, &is_treated, &uplifts);
        let without = |left_out: usize| {
            let kept = || (0..600).filter(move |n| *n != left_out);
            let outcomes: Vec<f64> = kept().map(|n| outcomes[n]).collect();
            let is_treated: Vec<bool> = kept().map(|n| is_treated[n]).collect();
            let uplifts: Vec<f64> = kept().map(|n| uplifts[n]).collect();
            qini_of(&outcomes, &is_treated, &uplifts).0
        };
        let told: Vec<f64> = (0..600).map(without).collect();
        let jackknife = mean_and_variance(&told).1.sqrt() * 599.0;
        assert!(
            (error / jackknife - 1.0).abs() < 0.05,
            "{error}, not {jackknife}"
        );
    }

    #[test]
    fn noise_is_within_the_error_of_qini_and_an_effect_is_not() {
        let uplifts: Vec<f64> = (0..600_i32).map(|n| f64::from(n % 10)).collect();
        for (strength, is_clear) in [(0, false), (8, true)] {
            let (outcomes, is_treated) = answers(strength);
            let (qini, error) = qini_of(&outcomes, &is_treated, &uplifts);
            assert_eq!(
                qini > 1.96 * error,
                is_clear,
                "{strength}: {qini} ± {error}"
            );
        }
    }

    #[test]
    fn what_is_no_trial_is_refused() {
        assert!(Trial::new(&[1.0, 0.0, 1.0], &[true, false, true]).is_err());
        assert!(Trial::new(&[1.0; 4], &[true; 4]).is_err());
        assert!(Trial::new(&[], &[]).is_err());
        assert!(Trial::new(&[1.0, f64::NAN, 0.0, 1.0], &[true, true, false, false]).is_err());
        let trial = Trial::new(&OUTCOMES, &TREATED).expect("a trial");
        assert!(trial.targeted_by(&[f64::NAN; 8]).is_err());
        assert!(trial.targeted_by(&[0.5]).is_err());
        let spend = OUTCOMES.map(|outcome| outcome * 9.5);
        let trial = Trial::new(&spend, &TREATED).expect("a trial");
        assert!(
            trial
                .targeted_by(&UPLIFTS)
                .expect("targeted")
                .qini()
                .is_err()
        );
        let nobody = Trial::new(&[0.0; 8], &TREATED).expect("a trial");
        assert!(
            nobody
                .targeted_by(&UPLIFTS)
                .expect("targeted")
                .qini()
                .is_err()
        );
        assert!(
            nobody
                .targeted_by(&UPLIFTS)
                .expect("targeted")
                .auuc()
                .is_err()
        );
    }
}
