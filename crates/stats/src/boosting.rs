//! Gradient-boosted trees: many small trees, each of which mends what those before it got wrong.
//!
//! The score is F(x) = Σ tree(x), each tree grown on the slope and curvature of the loss where the ones before left it. Trees
//! find thresholds and interactions by themselves and have a place for missing values. How many of them is found by folds:
//! each quarter of the rows is foretold by trees grown on the others. The same scores of rows not seen calibrate the
//! probabilities ([`Platt`]), so that the order of the scores stays. Reasons are Shapley values of the trees.
//!
//! The answer depends on rows, settings and `seed`, and not on the number of threads. It can be cancelled between the trees.
//!
//! Source: Friedman (2001), Annals of Statistics 29; Chen & Guestrin (2016), "XGBoost", KDD; Lundberg et al. (2020), Nature
//! Machine Intelligence 2. The trees are those of the crate `forust-ml`.

mod growing;
mod stored;

use forust_ml::data::Matrix;
use forust_ml::gradientbooster::ContributionsMethod;
use forust_ml::metric::Metric;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, errors::ForustError};
use serde::{Deserialize, Serialize};

use self::growing::Held;
use crate::calibration::Platt;
use crate::encoding::{Encoding, Missing, Numbers};
use crate::error::positive;
use crate::fit::IsCancelled;
use crate::learner::{Goal, Learner, Predictor, Reasons, Table};
use crate::logistic::sigmoid;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boosting {
    pub goal: Goal,
    /// Growing ends here if the folds have not ended it before.
    pub most_trees: usize,
    /// How many questions in a row a tree asks.
    pub depth: usize,
    /// The share of its mending that a tree is believed.
    pub learning_rate: f32,
    /// Decides which rows make a fold.
    pub seed: u64,
}

impl Boosting {
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            most_trees: 500,
            depth: 3,
            learning_rate: 0.05,
            seed: 0,
        }
    }
}

/// Fitted trees, to be kept as JSON.
#[derive(Serialize, Deserialize)]
pub struct Boosted {
    goal: Goal,
    encoding: Encoding,
    trees: GradientBooster,
    /// From what the trees say to log-odds, or to the targets' own unit.
    slope: f64,
    intercept: f64,
}

const FOLDS: usize = 4;
/// Growing ends after so many trees without a gain on the rows not seen.
const PATIENCE: usize = 25;
const L2: f32 = 1.0;

impl Learner for Boosting {
    type Model = Boosted;

    /// Refuses labels of which there are fewer than two of a kind.
    fn fit(
        &self,
        table: &Table,
        targets: &[f64],
        weights: &[f64],
        is_cancelled: IsCancelled,
    ) -> Result<Boosted> {
        self.goal.check(table, targets, weights)?;
        positive("learning rate", f64::from(self.learning_rate))?;
        let rows: Vec<usize> = (0..targets.len()).filter(|n| weights[*n] > 0.0).collect();
        let of = |column: &[f64]| -> Vec<f64> { rows.iter().map(|n| column[*n]).collect() };
        let (table, targets, weights) = (table.select(&rows), of(targets), of(weights));
        let encoding = Encoding::new(&table, &weights, Missing::Kept, is_cancelled)?;
        let unit = self.unit(&targets, &weights)?;
        let data = Data {
            numbers: encoding.apply(&table, is_cancelled)?,
            targets: targets
                .iter()
                .map(|y| (y - unit.mean) / unit.deviation)
                .collect(),
            weights: weights.iter().map(|weight| weight / unit.weight).collect(),
        };
        let folds = self.folds(&data.targets)?;
        let (n_trees, unseen) = self.cross_fit(&data, &folds, is_cancelled)?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut trees = self.settings(n_trees);
        growing::grow(&mut trees, &data.select(&all), None, is_cancelled)?;
        let (slope, intercept) = match self.goal {
            Goal::Mean => (unit.deviation, unit.mean),
            Goal::Probability => {
                let labels: Vec<bool> = data.targets.iter().map(|y| *y > 0.5).collect();
                let platt = Platt::fit(&unseen, &labels, &weights, is_cancelled)?;
                (platt.slope, platt.intercept)
            }
        };
        Ok(Boosted {
            goal: self.goal,
            encoding,
            trees,
            slope,
            intercept,
        })
    }
}

/// Trees reckon with small numbers: means of any size are brought to 0 ± 1, weights to a mean of 1.
struct Unit {
    mean: f64,
    deviation: f64,
    weight: f64,
}

impl Boosting {
    fn unit(&self, targets: &[f64], weights: &[f64]) -> Result<Unit> {
        let total = positive("sum of the weights", weights.iter().sum())?;
        let average = |of: &dyn Fn(f64) -> f64| -> f64 {
            let pairs = targets.iter().zip(weights);
            pairs
                .map(|(target, weight)| weight / total * of(*target))
                .sum()
        };
        let weight = total / targets.len() as f64;
        if self.goal == Goal::Probability {
            return Ok(Unit {
                mean: 0.0,
                deviation: 1.0,
                weight,
            });
        }
        let mean = average(&|y| y);
        let deviation = average(&|y| (y - mean).powi(2)).sqrt();
        let deviation = if deviation > 0.0 { deviation } else { 1.0 };
        let deviation = positive("spread of the targets", deviation)?;
        Ok(Unit {
            mean,
            deviation,
            weight,
        })
    }

    /// The fold of each row: drawn, but with the same share of each label in all folds.
    fn folds(&self, targets: &[f64]) -> Result<Vec<usize>> {
        let is_one = |n: &usize| self.goal == Goal::Probability && targets[*n] > 0.5;
        let (ones, others): (Vec<usize>, Vec<usize>) = (0..targets.len()).partition(is_one);
        let fewest = match self.goal {
            Goal::Probability => ones.len().min(others.len()),
            Goal::Mean => others.len(),
        };
        if fewest < 2 {
            return Err(Error::TooLittle(
                "at least two rows of each label are needed",
            ));
        }
        let mut folds = vec![0; targets.len()];
        for mut group in [ones, others] {
            group.sort_by_key(|row| drawn(self.seed, *row));
            for (place, row) in group.into_iter().enumerate() {
                folds[row] = place % FOLDS.min(fewest);
            }
        }
        Ok(folds)
    }

    /// How many trees were best for rows not seen, and what they said of these.
    fn cross_fit(
        &self,
        data: &Data,
        folds: &[usize],
        is_cancelled: IsCancelled,
    ) -> Result<(usize, Vec<f64>)> {
        let n_folds = folds.iter().max().map_or(0, |fold| fold + 1);
        let (mut sum, mut unseen) = (0, vec![0.0; folds.len()]);
        for fold in 0..n_folds {
            let (held, grown): (Vec<usize>, Vec<usize>) =
                (0..folds.len()).partition(|row| folds[*row] == fold);
            let mut trees = self.settings(self.most_trees);
            let of_held = Held {
                data: &data.select(&held),
                metric: self.metric(),
                patience: PATIENCE,
            };
            let scores = growing::grow(
                &mut trees,
                &data.select(&grown),
                Some(&of_held),
                is_cancelled,
            )?;
            sum += trees.prediction_iteration.unwrap_or(trees.trees.len());
            for (row, score) in held.into_iter().zip(scores) {
                unseen[row] = score;
            }
        }
        Ok((sum.div_ceil(n_folds), unseen))
    }

    fn metric(&self) -> Metric {
        match self.goal {
            Goal::Probability => Metric::LogLoss,
            Goal::Mean => Metric::RootMeanSquaredError,
        }
    }

    fn settings(&self, n_trees: usize) -> GradientBooster {
        let (objective, least) = match self.goal {
            Goal::Probability => (ObjectiveType::LogLoss, 5.0),
            Goal::Mean => (ObjectiveType::SquaredLoss, 20.0),
        };
        GradientBooster::default()
            .set_objective_type(objective)
            .set_evaluation_metric(Some(self.metric()))
            .set_iterations(n_trees)
            .set_learning_rate(self.learning_rate)
            .set_max_depth(self.depth)
            .set_min_leaf_weight(least)
            .set_l2(L2)
            .set_initialize_base_score(true)
            .set_seed(self.seed)
    }
}

fn refused(error: ForustError) -> Error {
    Error::Trees(error.to_string())
}

/// A number for each row that looks drawn: one step of Steele's SplitMix64.
fn drawn(seed: u64, row: usize) -> u64 {
    let mut z = seed ^ (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Data {
    numbers: Numbers,
    targets: Vec<f64>,
    weights: Vec<f64>,
}

/// Some of the rows, column by column.
struct Selected {
    numbers: Vec<f64>,
    n_columns: usize,
    targets: Vec<f64>,
    weights: Vec<f64>,
}

impl Data {
    fn select(&self, rows: &[usize]) -> Selected {
        let of = |column: &[f64]| -> Vec<f64> { rows.iter().map(|n| column[*n]).collect() };
        let columns = &self.numbers.columns;
        Selected {
            numbers: columns.iter().flat_map(|column| of(column)).collect(),
            n_columns: columns.len(),
            targets: of(&self.targets),
            weights: of(&self.weights),
        }
    }
}

impl Selected {
    fn matrix(&self) -> Matrix<'_, f64> {
        Matrix::new(&self.numbers, self.targets.len(), self.n_columns)
    }
}

impl Boosted {
    pub fn n_trees(&self) -> usize {
        self.trees.trees.len()
    }
}

impl Boosted {
    /// What each step down the trees adds, given to the column it asks: as quick as the scores themselves, and they sum
    /// up too, but columns that are asked deep in a tree get more than their Shapley value. Source: Saabas (2014),
    /// "Interpreting random forests".
    pub fn path_reasons(&self, table: &Table) -> Result<Reasons> {
        self.reasons_by(table, ContributionsMethod::Average)
    }

    fn reasons_by(&self, table: &Table, method: ContributionsMethod) -> Result<Reasons> {
        let numbers = self.encoding.apply(table, &|| false)?;
        let n = numbers.columns.len();
        let flat = numbers.columns.concat();
        let matrix = Matrix::new(&flat, table.n_rows(), n);
        let of = self.trees.predict_contributions(&matrix, method, true);
        let width = self.encoding.n_columns();
        let mut additions = vec![0.0; table.n_rows() * width];
        for (row, of) in additions
            .chunks_exact_mut(width)
            .zip(of.chunks_exact(n + 1))
        {
            for (origin, addition) in numbers.origins.iter().zip(of) {
                row[*origin] += self.slope * addition;
            }
        }
        // The last of each row is what the trees say of nobody in particular.
        let base = of.get(n).copied().unwrap_or(self.trees.base_score);
        Ok(Reasons {
            base: self.slope * base + self.intercept,
            additions,
        })
    }
}

impl Predictor for Boosted {
    fn predict(&self, table: &Table) -> Result<Vec<f64>> {
        let data = self.encoding.apply(table, &|| false)?.columns;
        let flat = data.concat();
        let matrix = Matrix::new(&flat, table.n_rows(), data.len());
        let scores = self.trees.predict(&matrix, true).into_iter();
        let scores = scores.map(|score| self.slope * score + self.intercept);
        Ok(match self.goal {
            Goal::Probability => scores.map(sigmoid).collect(),
            Goal::Mean => scores.collect(),
        })
    }

    /// Shapley values: Lundberg et al. (2020), Nature Machine Intelligence 2, algorithm 2.
    fn reasons(&self, table: &Table) -> Result<Reasons> {
        self.reasons_by(table, ContributionsMethod::Shapley)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::Column;
    use crate::metrics::{Forecast, Ranking};

    /// Customers with an age (sometimes unknown) and a country; who is young leaves, unless in one of the countries.
    fn customers(n: usize) -> (Table, Vec<f64>) {
        let at = |row: usize, step: f64| (row as f64 * step).fract();
        let ages: Vec<f64> = (0..n)
            .map(|row| 18.0 + 60.0 * at(row, 0.618_033_988_749))
            .collect();
        let country = |row: usize| ["pl", "de", "fr"][row * 7 % 11 % 3];
        let leaves = |row: usize| {
            let p = if ages[row] < 40.0 && country(row) != "de" {
                0.7
            } else {
                0.1
            };
            f64::from(u8::from(at(row, 0.414_213_562_373) < p))
        };
        let labels = (0..n).map(leaves).collect();
        let unknown = |row: usize| if row % 10 == 3 { f64::NAN } else { ages[row] };
        let columns = vec![
            Column::Numbers((0..n).map(unknown).collect()),
            Column::Categories((0..n).map(|row| Some(country(row).to_owned())).collect()),
            Column::Numbers(vec![1.0; n]),
        ];
        (Table::new(columns).expect("a table"), labels)
    }

    fn fit(goal: Goal, n: usize) -> (Table, Vec<f64>, Boosted) {
        let (table, labels) = customers(n);
        let boosted = Boosting::new(goal).fit(&table, &labels, &vec![1.0; n], &|| false);
        (table, labels, boosted.expect("fitted"))
    }

    #[test]
    fn an_interaction_is_found_and_told_as_a_probability() {
        let (_, _, boosted) = fit(Goal::Probability, 2_000);
        let columns = vec![
            Column::Numbers(vec![25.0, 25.0, 70.0, f64::NAN]),
            Column::Categories(
                ["pl", "de", "pl", "pl"]
                    .map(|c| Some(c.to_owned()))
                    .to_vec(),
            ),
            Column::Numbers(vec![1.0; 4]),
        ];
        let asked = Table::new(columns).expect("a table");
        let p = boosted.predict(&asked).expect("predicted");
        for (got, expected) in p.iter().zip([0.7, 0.1, 0.1, 0.3]) {
            assert!((got - expected).abs() < 0.07, "{p:?}");
        }
    }

    #[test]
    fn probabilities_are_calibrated() {
        let (table, labels, boosted) = fit(Goal::Probability, 2_000);
        let labels: Vec<bool> = labels.iter().map(|label| *label == 1.0).collect();
        let p = boosted.predict(&table).expect("predicted");
        let forecast = Forecast::new(&labels, &p).expect("within 0 and 1");
        assert!(forecast.expected_calibration_error(10).expect("bins") < 0.03);
        assert!(Ranking::new(&labels, &p).expect("both labels").auc() > 0.7);
    }

    #[test]
    fn reasons_and_the_base_make_the_score() {
        for goal in [Goal::Probability, Goal::Mean] {
            let (table, _, boosted) = fit(goal, 600);
            let p = boosted.predict(&table).expect("predicted");
            for reasons in [boosted.reasons(&table), boosted.path_reasons(&table)] {
                let reasons = reasons.expect("reasons");
                for (row, p) in reasons.additions.chunks_exact(3).zip(&p) {
                    let score = reasons.base + row.iter().sum::<f64>();
                    let expected = match goal {
                        Goal::Mean => score,
                        Goal::Probability => sigmoid(score),
                    };
                    assert!((p - expected).abs() < 1e-6, "{p} {expected}");
                    assert_eq!(row[2], 0.0, "a constant is no reason");
                }
            }
        }
    }

    #[test]
    fn the_answer_is_the_same_on_any_number_of_threads() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| {
                let (table, _, boosted) = fit(Goal::Probability, 600);
                boosted.predict(&table).expect("predicted")
            })
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn what_was_stored_foretells_the_same() {
        let (table, _, boosted) = fit(Goal::Probability, 300);
        let json = boosted.to_json().expect("stored");
        let read = Boosted::from_json(&json).expect("read");
        assert_eq!(read.n_trees(), boosted.n_trees());
        assert_eq!(read.predict(&table), boosted.predict(&table));
        assert!(matches!(Boosted::from_json("{}"), Err(Error::Stored(_))));
    }

    #[test]
    fn means_are_found_in_any_unit() {
        for unit in [1e-9, 1.0, 1e60] {
            let (table, labels) = customers(500);
            let targets: Vec<f64> = labels.iter().map(|label| (label + 5.0) * unit).collect();
            let boosted = Boosting::new(Goal::Mean).fit(&table, &targets, &[1e9; 500], &|| false);
            let got = boosted.expect("fitted").predict(&table).expect("predicted");
            let mean = |of: &[f64]| of.iter().sum::<f64>() / 500.0 / unit;
            assert!((mean(&got) - mean(&targets)).abs() < 0.01, "{unit}");
        }
    }

    #[test]
    fn a_fit_can_be_cancelled() {
        let (table, labels) = customers(100);
        let result = Boosting::new(Goal::Probability).fit(&table, &labels, &[1.0; 100], &|| true);
        assert_eq!(result.err(), Some(Error::Cancelled));
    }

    #[test]
    fn too_little_is_refused() {
        let of = |numbers: &[f64], targets: &[f64], weight: f64| {
            let table = Table::new(vec![Column::Numbers(numbers.to_vec())]).expect("a table");
            let weights = vec![weight; targets.len()];
            Boosting::new(Goal::Probability)
                .fit(&table, targets, &weights, &|| false)
                .map(|_| ())
        };
        assert!(of(&[], &[], 1.0).is_err());
        assert!(of(&[1.0], &[1.0], 1.0).is_err());
        assert!(of(&[1.0, 2.0, 3.0, 4.0], &[1.0; 4], 1.0).is_err());
        assert!(of(&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0, 0.0, 1.0], 1.0).is_err());
        assert!(of(&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0, 1.0, 1.0], 0.0).is_err());
        assert!(of(&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0, 1.0, 1.0], f64::NAN).is_err());
    }

    #[test]
    fn no_setting_leads_beyond_a_probability() {
        let (table, labels) = customers(60);
        for (most_trees, depth, learning_rate) in [
            (0, 3, 0.05),
            (5, 0, 0.05),
            (500, 64, 1.0),
            (50, 3, 1e30),
            (50, 3, 1e-30),
        ] {
            let boosting = Boosting {
                most_trees,
                depth,
                learning_rate,
                ..Boosting::new(Goal::Probability)
            };
            let Ok(boosted) = boosting.fit(&table, &labels, &[1.0; 60], &|| false) else {
                continue;
            };
            let p = boosted.predict(&table).expect("predicted");
            assert!(
                p.iter().all(|p| (0.0..=1.0).contains(p)),
                "{boosting:?} {p:?}"
            );
        }
        for learning_rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let boosting = Boosting {
                learning_rate,
                ..Boosting::new(Goal::Probability)
            };
            assert!(
                boosting
                    .fit(&table, &labels, &[1.0; 60], &|| false)
                    .is_err()
            );
        }
    }

    #[test]
    fn columns_that_say_nothing_lead_to_the_mean() {
        for number in [0.0, f64::NAN, f64::MAX, -f64::MAX] {
            let table = Table::new(vec![Column::Numbers(vec![number; 8])]).expect("a table");
            let labels = [0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
            let boosted =
                Boosting::new(Goal::Probability).fit(&table, &labels, &[1.0; 8], &|| false);
            let p = boosted.expect("fitted").predict(&table).expect("predicted");
            assert!(p.iter().all(|p| (p - 0.5).abs() < 1e-6), "{number}: {p:?}");
        }
    }
}
