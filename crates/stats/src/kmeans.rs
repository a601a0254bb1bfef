//! k-means: groups of customers who lie close to the middle of their group.
//!
//! Sought are k centres for which the inertia, Σ w·|x − c(x)|² over the rows x of weight w and the centres c(x) nearest to
//! them, is least. From a start, rows go to their nearest centre and centres to the mean of their rows, in turn, until no row
//! moves; that ends in a local minimum, so the best of several starts is taken. Clusters are numbered by their weight, the
//! heaviest first. The same seed gives the same bits on any number of threads.
//!
//! Most rows need no distance in most rounds: by the triangle inequality, one whose distance from its own centre is at most
//! half of that centre's distance from the next, or at most its distance from any other centre, stays. The two bounds are kept
//! for each row (24 bytes a row, whatever k) and moved along with the centres. The result is that of the plain method.
//!
//! Source: Lloyd (1982); starts: Arthur & Vassilvitskii (2007), "k-means++", of several draws the best; bounds: Hamerly (2010),
//! "Making k-means even faster".

mod nearest;
mod start;

use rayon::prelude::*;

use self::nearest::{Centres, Nearest};
use crate::fit::IsCancelled;
use crate::points::{Points, squared_distance};
use crate::random::Random;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub clusters: usize,
    pub starts: usize,
    pub most_iterations: usize,
    /// A run ends when the squares of the centres' moves add up to less than this share of the columns' mean variance.
    pub tolerance: f64,
    pub seed: u64,
}

impl Settings {
    pub fn new(clusters: usize) -> Self {
        Self {
            clusters,
            starts: 10,
            most_iterations: 300,
            tolerance: 1e-4,
            seed: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// Row by row, the heaviest cluster's first.
    pub centres: Vec<f64>,
    /// Of the clusters: the sum of their rows' weights.
    pub weights: Vec<f64>,
    /// Of the rows: the number of their cluster, from 0.
    pub labels: Vec<u32>,
    /// Σ of weight times squared distance from the nearest centre.
    pub inertia: f64,
    /// Of the best start.
    pub iterations: usize,
    /// The best start ended before it ran out of iterations.
    pub converged: bool,
}

/// The best of the starts. Fails where fewer rows differ than clusters are asked for.
pub fn fit(points: &Points, settings: &Settings, is_cancelled: IsCancelled) -> Result<KMeans> {
    check(points, settings)?;
    let (_, variances) = points.moments();
    let variance = variances.iter().sum::<f64>() / points.dimensions() as f64;
    let mut best: Option<KMeans> = None;
    for start in 0..settings.starts {
        let mut random = Random::part(settings.seed, start as u64);
        let centres = start::seed(points, settings.clusters, &mut random, is_cancelled)?;
        let run = Run::new(points, centres, is_cancelled);
        let found = run.descend(settings.most_iterations, settings.tolerance * variance)?;
        if best
            .as_ref()
            .is_none_or(|best| found.inertia < best.inertia)
        {
            best = Some(found);
        }
    }
    let best = best.ok_or(Error::TooLittle("k-means needs at least one start"))?;
    Ok(best.heaviest_first())
}

fn check(points: &Points, settings: &Settings) -> Result<()> {
    crate::error::not_negative("tolerance", settings.tolerance)?;
    if settings.clusters == 0 || u32::try_from(settings.clusters).is_err() {
        return Err(Error::Range {
            name: "clusters",
            range: "at least 1",
            value: settings.clusters as f64,
        });
    }
    if settings.clusters > points.len() {
        return Err(Error::TooLittle("there are fewer rows than clusters"));
    }
    Ok(())
}

/// The cluster of a row, by the centres of a fit: the nearest, of equally near ones the first.
pub fn assign(centres: &[f64], row: &[f64]) -> usize {
    let mut nearest = (0, f64::INFINITY);
    for (cluster, centre) in centres.chunks_exact(row.len()).enumerate() {
        let square = squared_distance(row, centre);
        if square < nearest.1 {
            nearest = (cluster, square);
        }
    }
    nearest.0
}

/// What is known of a row without measuring it.
#[derive(Clone, Copy)]
struct Bounds {
    cluster: u32,
    /// At least the distance from the own centre.
    upper: f64,
    /// At most the distance from any other.
    lower: f64,
}

/// What the rows of each cluster add up to.
struct Sums {
    weights: Vec<f64>,
    values: Vec<f64>,
    /// Rows that have another cluster than before.
    changed: usize,
}

/// How far the centres moved, in what changes the bounds.
struct Moves {
    of_centres: Vec<f64>,
    farthest: usize,
    /// Of all but the farthest.
    second: f64,
    total_of_squares: f64,
}

struct Run<'a> {
    points: &'a Points<'a>,
    centres: Vec<f64>,
    bounds: Vec<Bounds>,
    is_cancelled: IsCancelled<'a>,
}

impl<'a> Run<'a> {
    fn new(points: &'a Points<'a>, centres: Vec<f64>, is_cancelled: IsCancelled<'a>) -> Self {
        // Nothing is known yet: every row is measured.
        let unknown = Bounds {
            cluster: u32::MAX,
            upper: f64::INFINITY,
            lower: 0.0,
        };
        Self {
            points,
            centres,
            bounds: vec![unknown; points.len()],
            is_cancelled,
        }
    }

    fn n_clusters(&self) -> usize {
        self.centres.len() / self.points.dimensions()
    }

    fn descend(mut self, most_iterations: usize, tolerance: f64) -> Result<KMeans> {
        let mut moves = None;
        let mut iterations = 0;
        loop {
            let sums = self.assign(moves.as_ref())?;
            if sums.changed == 0 {
                return Ok(self.finish(sums, iterations, true));
            }
            let is_still = |moves: &Moves| moves.total_of_squares <= tolerance;
            let converged = moves.as_ref().is_some_and(is_still);
            if converged || iterations == most_iterations {
                return Ok(self.finish(sums, iterations, converged));
            }
            moves = Some(self.move_centres(sums));
            iterations += 1;
        }
    }

    /// Every row to its nearest centre.
    fn assign(&mut self, moves: Option<&Moves>) -> Result<Sums> {
        if (self.is_cancelled)() {
            return Err(Error::Cancelled);
        }
        let (points, n) = (self.points, self.n_clusters());
        let dimensions = points.dimensions();
        let centres = Centres::new(&self.centres, dimensions);
        let gaps = centres.half_gaps();
        let piece = points.piece();
        let pieces: Vec<Sums> = self
            .bounds
            .par_chunks_mut(piece)
            .enumerate()
            .map(|(part, bounds)| {
                let mut sums = Sums::new(n, dimensions);
                for (offset, bounds) in bounds.iter_mut().enumerate() {
                    let index = part * piece + offset;
                    let row = points.row(index);
                    if let Some(moves) = moves {
                        bounds.follow(moves);
                    }
                    sums.changed += usize::from(bounds.tighten(row, &centres, &gaps));
                    sums.add(bounds.cluster as usize, points.weight(index), row);
                }
                sums
            })
            .collect();
        Ok(Sums::all(pieces, n, dimensions))
    }

    fn move_centres(&mut self, mut sums: Sums) -> Moves {
        let dimensions = self.points.dimensions();
        self.fill_empty(&mut sums);
        let mut moves = Vec::with_capacity(sums.weights.len());
        let rows = sums.values.chunks_exact(dimensions).zip(&sums.weights);
        for (centre, (sum, weight)) in self.centres.chunks_exact_mut(dimensions).zip(rows) {
            if *weight <= 0.0 {
                moves.push(0.0);
                continue;
            }
            let mean: Vec<f64> = sum.iter().map(|sum| sum / weight).collect();
            moves.push(squared_distance(centre, &mean).sqrt());
            centre.copy_from_slice(&mean);
        }
        Moves::new(moves)
    }

    /// A cluster that lost all its rows starts again at the row that is worst served.
    fn fill_empty(&self, sums: &mut Sums) {
        let mut taken = vec![];
        for cluster in 0..sums.weights.len() {
            if sums.weights[cluster] > 0.0 {
                continue;
            }
            let Some(index) = self.worst_served(&taken, sums) else {
                return;
            };
            let (row, weight) = (self.points.row(index), self.points.weight(index));
            sums.add(self.bounds[index].cluster as usize, -weight, row);
            sums.add(cluster, weight, row);
            taken.push(index);
        }
    }

    /// Not one that would leave its own cluster empty.
    fn worst_served(&self, taken: &[usize], sums: &Sums) -> Option<usize> {
        let served = |index: usize| {
            let (row, weight) = (self.points.row(index), self.points.weight(index));
            let cluster = self.bounds[index].cluster as usize;
            if taken.contains(&index) || sums.weights[cluster] <= weight {
                return 0.0;
            }
            weight * squared_distance(row, self.centre(cluster))
        };
        let worse = |a: (usize, f64), b: (usize, f64)| if b.1 > a.1 { b } else { a };
        let of = |rows: std::ops::Range<usize>| {
            rows.map(|index| (index, served(index)))
                .fold((usize::MAX, 0.0), worse)
        };
        let (index, cost) = self
            .points
            .map_pieces(of)
            .into_iter()
            .fold((usize::MAX, 0.0), worse);
        (cost > 0.0).then_some(index)
    }

    fn centre(&self, cluster: usize) -> &[f64] {
        let dimensions = self.points.dimensions();
        &self.centres[cluster * dimensions..(cluster + 1) * dimensions]
    }

    fn finish(self, sums: Sums, iterations: usize, converged: bool) -> KMeans {
        let cost = |index: usize| {
            let centre = self.centre(self.bounds[index].cluster as usize);
            self.points.weight(index) * squared_distance(self.points.row(index), centre)
        };
        let pieces = self.points.map_pieces(|rows| rows.map(cost).sum::<f64>());
        KMeans {
            inertia: pieces.iter().sum(),
            weights: sums.weights,
            labels: self.bounds.iter().map(|bounds| bounds.cluster).collect(),
            centres: self.centres,
            iterations,
            converged,
        }
    }
}

impl Bounds {
    /// Keeps the bounds true after the centres have moved.
    fn follow(&mut self, moves: &Moves) {
        let own = self.cluster as usize;
        self.upper += moves.of_centres[own];
        self.lower -= if own == moves.farthest {
            moves.second
        } else {
            moves.of_centres[moves.farthest]
        };
    }

    /// Measures the row if the bounds leave its nearest centre open; whether that has changed.
    fn tighten(&mut self, row: &[f64], centres: &Centres, gaps: &[f64]) -> bool {
        let own = self.cluster as usize;
        if let Some(gap) = gaps.get(own) {
            let safe = self.lower.max(*gap);
            if self.upper <= safe {
                return false;
            }
            self.upper = centres.distance(row, own);
            if self.upper <= safe {
                return false;
            }
        }
        let Nearest {
            cluster,
            square,
            second,
        } = centres.nearest(row);
        self.upper = square.sqrt();
        self.lower = second.sqrt();
        let before = std::mem::replace(&mut self.cluster, cluster as u32);
        before != self.cluster
    }
}

impl Moves {
    fn new(of_centres: Vec<f64>) -> Self {
        let mut farthest = 0;
        for (cluster, length) in of_centres.iter().enumerate() {
            if *length > of_centres[farthest] {
                farthest = cluster;
            }
        }
        let others = of_centres.iter().enumerate();
        let others = others.filter(|(cluster, _)| *cluster != farthest);
        Self {
            second: others.map(|(_, length)| *length).fold(0.0, f64::max),
            total_of_squares: of_centres.iter().map(|length| length * length).sum(),
            farthest,
            of_centres,
        }
    }
}

impl Sums {
    fn new(n: usize, dimensions: usize) -> Self {
        Self {
            weights: vec![0.0; n],
            values: vec![0.0; n * dimensions],
            changed: 0,
        }
    }

    fn add(&mut self, cluster: usize, weight: f64, row: &[f64]) {
        self.weights[cluster] += weight;
        let sums = &mut self.values[cluster * row.len()..(cluster + 1) * row.len()];
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += weight * x;
        }
    }

    fn all(pieces: Vec<Self>, n: usize, dimensions: usize) -> Self {
        let mut all = Self::new(n, dimensions);
        for piece in pieces {
            all.changed += piece.changed;
            for (sum, part) in all.weights.iter_mut().zip(piece.weights) {
                *sum += part;
            }
            for (sum, part) in all.values.iter_mut().zip(piece.values) {
                *sum += part;
            }
        }
        all
    }
}

impl KMeans {
    fn heaviest_first(self) -> Self {
        let n = self.weights.len();
        let dimensions = self.centres.len() / n;
        let centre = |cluster: usize| &self.centres[cluster * dimensions..][..dimensions];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| {
            let by_weight = self.weights[*b].total_cmp(&self.weights[*a]);
            by_weight.then_with(|| centre(*a).partial_cmp(centre(*b)).expect("finite"))
        });
        let mut number = vec![0; n];
        for (new, old) in order.iter().enumerate() {
            number[*old] = new as u32;
        }
        Self {
            centres: order.iter().flat_map(|old| centre(*old).to_vec()).collect(),
            weights: order.iter().map(|old| self.weights[*old]).collect(),
            labels: self
                .labels
                .iter()
                .map(|old| number[*old as usize])
                .collect(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in `n` groups, far apart on a diagonal.
    fn groups(n: usize, rows: usize) -> Vec<f64> {
        let mut random = Random::new(7);
        let of = |index: usize| {
            let middle = (index % n * 100) as f64;
            [
                middle + random.unit(),
                middle + random.unit(),
                random.unit(),
            ]
        };
        (0..rows).flat_map(of).collect()
    }

    fn fitted(points: &Points, settings: &Settings) -> KMeans {
        fit(points, settings, &|| false).expect("enough rows")
    }

    #[test]
    fn groups_far_apart_are_found() {
        let rows = groups(5, 1_000);
        let points = Points::new(&rows, 3).expect("rows");
        let found = fitted(&points, &Settings::new(5));
        assert!(found.converged);
        assert_eq!(found.weights, [200.0; 5]);
        for index in 0..1_000 {
            assert_eq!(found.labels[index], found.labels[index % 5]);
            let cluster = assign(&found.centres, points.row(index));
            assert_eq!(cluster as u32, found.labels[index]);
        }
    }

    #[test]
    fn one_cluster_is_the_mean_and_the_variance() {
        let rows = groups(3, 300);
        let points = Points::new(&rows, 3).expect("rows");
        let (means, variances) = points.moments();
        let found = fitted(&points, &Settings::new(1));
        for (centre, mean) in found.centres.iter().zip(means) {
            assert!((centre - mean).abs() < 1e-9);
        }
        let all = 300.0 * variances.iter().sum::<f64>();
        assert!((found.inertia - all).abs() < 1e-9 * all);
    }

    #[test]
    fn as_many_clusters_as_rows_leave_no_distance() {
        let rows = [4.0, 1.0, 9.0, 2.0];
        let found = fitted(&Points::new(&rows, 1).expect("rows"), &Settings::new(4));
        assert_eq!(found.inertia, 0.0);
        assert_eq!(found.centres, [1.0, 2.0, 4.0, 9.0]);
        assert_eq!(found.labels, [2, 0, 3, 1]);
    }

    #[test]
    fn more_clusters_than_different_rows_are_refused() {
        let refused = |rows: &[f64], clusters| {
            let points = Points::new(rows, 1).expect("rows");
            fit(&points, &Settings::new(clusters), &|| false).expect_err("too few")
        };
        assert!(matches!(refused(&[1.0, 2.0], 3), Error::TooLittle(_)));
        assert!(matches!(refused(&[1.0; 10], 2), Error::TooLittle(_)));
        assert!(matches!(refused(&[1.0; 10], 0), Error::Range { .. }));
    }

    #[test]
    fn equal_rows_are_one_cluster() {
        let found = fitted(
            &Points::new(&[0.1; 50], 1).expect("rows"),
            &Settings::new(1),
        );
        assert!(found.inertia < 1e-28);
        assert_eq!(found.weights, [50.0]);
    }

    #[test]
    fn a_weight_is_as_many_rows() {
        let rows = groups(4, 40);
        let weights: Vec<f64> = (0..40).map(|index| f64::from(index % 3)).collect();
        let repeated: Vec<f64> = rows
            .chunks_exact(3)
            .zip(&weights)
            .flat_map(|(row, weight)| row.repeat(*weight as usize))
            .collect();
        let weighted = Points::weighted(&rows, 3, &weights).expect("rows");
        let weighted = fitted(&weighted, &Settings::new(4));
        let repeated = fitted(&Points::new(&repeated, 3).expect("rows"), &Settings::new(4));
        assert!((weighted.inertia - repeated.inertia).abs() < 1e-9 * repeated.inertia);
        assert_eq!(weighted.weights, repeated.weights);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let mut random = Random::new(3);
        let rows: Vec<f64> = (0..40_000).map(|_| random.unit()).collect();
        let points = Points::new(&rows, 4).expect("rows");
        let settings = Settings {
            starts: 2,
            ..Settings::new(6)
        };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads")
                .install(|| fitted(&points, &settings))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn the_bounds_change_nothing() {
        let mut random = Random::new(5);
        let rows: Vec<f64> = (0..6_000).map(|_| random.unit()).collect();
        let points = Points::new(&rows, 3).expect("rows");
        let settings = Settings {
            starts: 1,
            tolerance: 0.0,
            ..Settings::new(12)
        };
        let found = fitted(&points, &settings);
        assert!(found.converged);
        // A fixed point of the plain method: nearest centres, which are means.
        let mut sums = Sums::new(12, 3);
        for index in 0..points.len() {
            let cluster = assign(&found.centres, points.row(index));
            assert_eq!(cluster as u32, found.labels[index]);
            sums.add(cluster, 1.0, points.row(index));
        }
        for (index, centre) in found.centres.iter().enumerate() {
            assert!((centre - sums.values[index] / sums.weights[index / 3]).abs() < 1e-12);
        }
    }

    #[test]
    fn a_cluster_that_lost_its_rows_starts_again() {
        let rows = [0.0, 1.0, 2.0, 10.0, 11.0, 50.0];
        let points = Points::new(&rows, 1).expect("rows");
        let run = Run::new(&points, vec![1.0, 1e6, 2e6], &|| false);
        let found = run.descend(100, 0.0).expect("not cancelled");
        assert!(found.converged);
        assert!(found.weights.iter().all(|weight| *weight > 0.0));
        assert_eq!(found.inertia, 2.5);
    }

    #[test]
    fn far_from_the_origin_the_clusters_are_the_same() {
        let near = groups(3, 90);
        let far: Vec<f64> = near.iter().map(|x| x + 1e9).collect();
        let near = fitted(&Points::new(&near, 3).expect("rows"), &Settings::new(3));
        let far = fitted(&Points::new(&far, 3).expect("rows"), &Settings::new(3));
        assert_eq!(near.weights, far.weights);
        assert!((near.inertia - far.inertia).abs() < 1e-4 * near.inertia);
    }

    #[test]
    fn a_fit_can_be_cancelled() {
        let points = Points::new(&[1.0, 2.0], 1).expect("rows");
        let got = fit(&points, &Settings::new(2), &|| true);
        assert_eq!(got, Err(Error::Cancelled));
    }
}
