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

mod descent;
mod nearest;
mod start;
mod sums;

use self::descent::Run;
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

/// The cluster of a new row, by the centres of a fit: the nearest, of equally near ones the first.
pub fn assign(centres: &[f64], row: &[f64]) -> Result<usize> {
    let row = Points::new(row, row.len())?.row(0);
    if centres.is_empty() || !centres.len().is_multiple_of(row.len()) {
        return Err(Error::TooLittle("a row needs the columns of the centres"));
    }
    let mut nearest = (0, f64::INFINITY);
    for (cluster, centre) in centres.chunks_exact(row.len()).enumerate() {
        let square = squared_distance(row, centre);
        if square < nearest.1 {
            nearest = (cluster, square);
        }
    }
    Ok(nearest.0)
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
    use super::sums::Sums;
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
            let cluster = assign(&found.centres, points.row(index)).expect("a row");
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
    fn a_row_that_cannot_be_assigned_is_refused() {
        let centres = [0.0, 0.0, 4.0, 4.0];
        assert_eq!(assign(&centres, &[3.0, 3.0]), Ok(1));
        assert_eq!(assign(&centres, &[2.0, 2.0]), Ok(0));
        assert!(assign(&centres, &[3.0, f64::NAN]).is_err());
        assert!(assign(&centres, &[1.0, 2.0, 3.0]).is_err());
        assert!(assign(&centres, &[]).is_err());
        assert!(assign(&[], &[1.0]).is_err());
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
            starts: 1,
            most_iterations: 10,
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
            let cluster = assign(&found.centres, points.row(index)).expect("a row");
            assert_eq!(cluster as u32, found.labels[index]);
            sums.add(cluster, 1.0, points.row(index));
        }
        for (index, centre) in found.centres.iter().enumerate() {
            assert!((centre - sums.values[index] / sums.weights[index / 3]).abs() < 1e-12);
        }
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
