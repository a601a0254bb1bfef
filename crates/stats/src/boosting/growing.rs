//! Growing trees one by one, so that a fit can be let go between two of them.
//!
//! The loop of `forust-ml` asks nobody. This is the same loop, without what is not used here, made of its public parts: the
//! trees are its own to the last bit.

use forust_ml::GradientBooster;
use forust_ml::binning::{BinnedData, PREDICT_MISSING_BIN, bin_for_prediction, bin_matrix};
use forust_ml::constraints::ConstraintMap;
use forust_ml::data::{JaggedMatrix, Matrix};
use forust_ml::metric::{Metric, is_comparison_better, metric_callables};
use forust_ml::objective::{ObjectiveType, calc_init_callables, gradient_hessian_callables};
use forust_ml::splitter::MissingImputerSplitter;
use forust_ml::tree::{Tree, split_bins};
use rayon::prelude::*;

use super::{Selected, refused};
use crate::fit::IsCancelled;
use crate::{Error, Result};

/// Rows whose slopes are found at a time.
const PIECE: usize = 16_384;

/// Rows that the trees do not learn from, which tell when there are enough of them.
pub(super) struct Held<'a> {
    pub data: &'a Selected,
    pub metric: Metric,
    /// Growing ends after so many trees without a gain.
    pub patience: usize,
}

/// Grows the trees that `trees` has the settings for. Of the held rows, what the best number of trees say of each.
pub(super) fn grow(
    trees: &mut GradientBooster,
    data: &Selected,
    held: Option<&Held>,
    is_cancelled: IsCancelled,
) -> Result<Vec<f64>> {
    // On the threads of the pool from here on, and not handed over at each step.
    rayon::scope(|_| {
        let base_score = calc_init_callables(&trees.objective_type);
        trees.base_score = base_score(&data.targets, &data.weights);
        let grower = Grower::new(trees, data, is_cancelled)?;
        let mut scores = vec![trees.base_score; data.targets.len()];
        let mut watch = held.map(|held| Watch::new(held, trees, &grower.cuts));
        for _ in 0..trees.iterations {
            if is_cancelled() {
                return Err(Error::Cancelled);
            }
            let tree = grower.tree(trees, &mut scores);
            let is_enough = watch
                .as_mut()
                .is_some_and(|watch| watch.is_enough(&tree, trees, &grower.cuts));
            trees.trees.push(tree);
            if is_enough {
                break;
            }
        }
        Ok(watch.map_or(vec![], |watch| watch.best))
    })
}

/// The rows that are learned from, each number as the bin that it falls into.
struct Grower<'a> {
    data: &'a Selected,
    bins: Vec<u16>,
    cuts: JaggedMatrix<f64>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    splitter: MissingImputerSplitter,
}

impl<'a> Grower<'a> {
    fn new(trees: &GradientBooster, data: &'a Selected, is_cancelled: IsCancelled) -> Result<Self> {
        let n_rows = data.targets.len();
        let of_column = |column: &[f64]| {
            if is_cancelled() {
                return Err(Error::Cancelled);
            }
            let column = Matrix::new(column, n_rows, 1);
            bin_matrix(&column, &data.weights, trees.nbins, trees.missing, false).map_err(refused)
        };
        let columns = data.numbers.par_chunks(n_rows).map(of_column);
        let columns = columns.collect::<Result<Vec<BinnedData<f64>>>>()?;
        let (bins, cuts): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .map(|column| (column.binned_data, column.cuts.data))
            .unzip();
        Ok(Self {
            data,
            bins: bins.concat(),
            cuts: JaggedMatrix::from_vecs(&cuts),
            rows: (0..n_rows).collect(),
            columns: (0..data.n_columns).collect(),
            splitter: MissingImputerSplitter {
                l1: trees.l1,
                l2: trees.l2,
                max_delta_step: trees.max_delta_step,
                gamma: trees.gamma,
                min_leaf_weight: trees.min_leaf_weight,
                learning_rate: trees.learning_rate,
                allow_missing_splits: trees.allow_missing_splits,
                constraints_map: ConstraintMap::new(),
            },
        })
    }

    /// The next tree; `scores`, which the ones before it gave the rows, get what it adds.
    fn tree(&self, trees: &GradientBooster, scores: &mut [f64]) -> Tree {
        let (slopes, curvatures) = self.slopes(&trees.objective_type, scores);
        let mut tree = Tree::new();
        let rows_of_nodes = tree.fit(
            &Matrix::new(&self.bins, self.rows.len(), self.columns.len()),
            self.rows.clone(),
            &self.columns,
            &self.cuts,
            &slopes,
            &curvatures,
            &self.splitter,
            trees.max_leaves,
            trees.max_depth,
            true,
            &trees.sample_method,
            &trees.grow_policy,
        );
        match rows_of_nodes {
            Some(rows_of_nodes) => {
                for (rows, weight) in rows_of_nodes.leaves(&tree) {
                    rows.iter().for_each(|row| scores[*row] += weight);
                }
            }
            None => {
                let added = tree.predict(&self.data.matrix(), true, &trees.missing);
                scores.iter_mut().zip(added).for_each(|(sum, x)| *sum += x);
            }
        }
        tree
    }

    /// Of the loss at each row's score, and how fast they change.
    fn slopes(&self, objective: &ObjectiveType, scores: &[f64]) -> (Vec<f32>, Vec<f32>) {
        let of = gradient_hessian_callables(objective);
        let rows = self.data.targets.par_chunks(PIECE);
        let rows = rows.zip(scores.par_chunks(PIECE));
        let rows = rows.zip(self.data.weights.par_chunks(PIECE));
        let pieces = rows.map(|((targets, scores), weights)| of(targets, scores, weights));
        let (slopes, curvatures): (Vec<_>, Vec<_>) = pieces.unzip();
        (slopes.concat(), curvatures.concat())
    }
}

/// How the held rows fare.
struct Watch<'a> {
    held: &'a Held<'a>,
    bins: Vec<u16>,
    scores: Vec<f64>,
    /// The scores when the loss was least.
    best: Vec<f64>,
    least: Option<f64>,
}

impl<'a> Watch<'a> {
    fn new(held: &'a Held<'a>, trees: &GradientBooster, cuts: &JaggedMatrix<f64>) -> Self {
        let scores = vec![trees.base_score; held.data.targets.len()];
        Self {
            held,
            bins: bin_for_prediction(&held.data.matrix(), cuts, &trees.missing, true),
            best: scores.clone(),
            scores,
            least: None,
        }
    }

    /// Adds the next tree, and notes in `trees` how many were best.
    fn is_enough(
        &mut self,
        tree: &Tree,
        trees: &mut GradientBooster,
        cuts: &JaggedMatrix<f64>,
    ) -> bool {
        let n_rows = self.scores.len();
        let (bins, splits) = (&self.bins, split_bins(tree, cuts));
        let missing = trees.missing;
        self.scores
            .par_iter_mut()
            .enumerate()
            .for_each(|(row, score)| {
                let bin = |column: usize| bins[column * n_rows + row];
                *score += tree.predict_row_from_bins(bin, &splits, PREDICT_MISSING_BIN, &missing);
            });
        let (loss_of, is_more_better) = metric_callables(&self.held.metric);
        let data = self.held.data;
        let loss = loss_of(&data.targets, &self.scores, &data.weights);
        let n = trees.trees.len();
        let is_better = |least: f64| is_comparison_better(least, loss, is_more_better);
        if self.least.is_none_or(is_better) {
            self.least = Some(loss);
            self.best.clone_from(&self.scores);
            trees.best_iteration = Some(n);
            trees.prediction_iteration = Some(n + 1);
            return false;
        }
        trees
            .best_iteration
            .is_some_and(|best| n - best >= self.held.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns, one of them with gaps, and few enough values in the other to need no bins.
    fn selected(n: usize, from: usize) -> Selected {
        let at = |row: usize, step: f64| ((row + from) as f64 * step).fract();
        let first = (0..n).map(|row| match row % 7 {
            3 => f64::NAN,
            _ => at(row, 0.618_033_988_749),
        });
        let second = (0..n).map(|row| (at(row, 0.754_877_666_247) * 5.0).floor());
        let one = |row: usize| at(row, 0.618_033_988_749) + at(row, 0.414_213_562_373) > 1.1;
        Selected {
            numbers: first.chain(second).collect(),
            n_columns: 2,
            targets: (0..n).map(|row| f64::from(u8::from(one(row)))).collect(),
            weights: (0..n).map(|row| 0.5 + at(row, 0.324_717_957_245)).collect(),
        }
    }

    fn settings(objective: ObjectiveType, metric: Metric) -> GradientBooster {
        GradientBooster::default()
            .set_objective_type(objective)
            .set_evaluation_metric(Some(metric))
            .set_early_stopping_rounds(Some(5))
            .set_iterations(60)
            .set_max_depth(3)
    }

    fn check(objective: fn() -> ObjectiveType, metric: Metric) {
        let (data, held) = (selected(900, 0), selected(300, 900));
        let mut theirs = settings(objective(), metric);
        let of_held = vec![(held.matrix(), &held.targets[..], &held.weights[..])];
        theirs
            .fit(&data.matrix(), &data.targets, &data.weights, Some(of_held))
            .expect("fitted");
        theirs.evaluation_history = None;
        let mut ours = settings(objective(), metric);
        let watched = Held {
            data: &held,
            metric,
            patience: 5,
        };
        let best = grow(&mut ours, &data, Some(&watched), &|| false).expect("grown");
        assert_eq!(ours.json_dump().ok(), theirs.json_dump().ok());
        assert_eq!(best, theirs.predict(&held.matrix(), true));
    }

    #[test]
    fn trees_of_labels_are_those_of_the_crate() {
        check(|| ObjectiveType::LogLoss, Metric::LogLoss);
    }

    #[test]
    fn trees_of_means_are_those_of_the_crate() {
        check(|| ObjectiveType::SquaredLoss, Metric::RootMeanSquaredError);
    }

    #[test]
    fn it_is_asked_before_each_tree() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let data = selected(200, 0);
        let asked = AtomicUsize::new(0);
        // Once for each column, then for each tree.
        let is_cancelled = || asked.fetch_add(1, Ordering::Relaxed) == 2 + 7;
        let mut trees = settings(ObjectiveType::LogLoss, Metric::LogLoss);
        let ended = grow(&mut trees, &data, None, &is_cancelled);
        assert_eq!(ended.err(), Some(Error::Cancelled));
        assert_eq!(trees.trees.len(), 7);
    }
}
