//! How good a clustering is: the silhouette, the agreement of two clusterings, and by them the number of clusters.
//!
//! A row's silhouette is (b − a) / max(a, b), where a is its mean distance from the other rows of its own cluster and b the
//! least of its mean distances from the rows of another: near 1 it lies well inside, near 0 between two, below 0 in the wrong
//! one. Alone in its cluster it is 0. All pairs are measured, which takes rows² distances; above a number of rows to be given,
//! the silhouette is that of a sample of so many, and says so.
//!
//! The adjusted Rand index counts the pairs of rows on which two clusterings agree (together in both or apart in both), less
//! what chance would give: 1 for equal ones, about 0 for unrelated ones.
//!
//! Source: Rousseeuw (1987), J. of Computational and Applied Mathematics 20; Hubert & Arabie (1985), J. of Classification 2.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rayon::prelude::*;

use crate::fit::IsCancelled;
use crate::kmeans;
use crate::points::{Points, squared_distance};
use crate::random::Random;
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub struct Silhouette {
    /// Over the rows, by their weights.
    pub mean: f64,
    /// Of each cluster that has rows, by its label.
    pub of_clusters: BTreeMap<u32, f64>,
    /// How many rows were measured.
    pub n_rows: usize,
    /// Whether they were a sample of the rows.
    pub is_sample: bool,
}

/// Of a clustering with at least two clusters; of a sample, drawn by `seed`, where there are more than `most_rows`.
pub fn silhouette(
    points: &Points,
    labels: &[u32],
    most_rows: usize,
    seed: u64,
    is_cancelled: IsCancelled,
) -> Result<Silhouette> {
    if labels.len() != points.len() {
        return Err(Error::TooLittle("each row needs the label of its cluster"));
    }
    let rows = sample(points.len(), most_rows, seed);
    let mut names: Vec<u32> = rows.iter().map(|row| labels[*row]).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return Err(Error::TooLittle(
            "a silhouette compares two or more clusters",
        ));
    }
    let number = |label: u32| names.partition_point(|name| *name < label);
    let numbers: Vec<usize> = rows.iter().map(|row| number(labels[*row])).collect();
    let measured = Measured::new(points, &rows, &numbers, names.len());
    let widths = (0..rows.len()).into_par_iter().map(|at| {
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(measured.width(at))
    });
    let widths = widths.collect::<Result<Vec<f64>>>()?;
    Ok(Silhouette {
        mean: measured.mean(&widths, |_| true)?,
        of_clusters: names
            .iter()
            .enumerate()
            .filter_map(|(cluster, name)| {
                let mean = measured.mean(&widths, |other| other == cluster).ok()?;
                Some((*name, mean))
            })
            .collect(),
        n_rows: rows.len(),
        is_sample: rows.len() < points.len(),
    })
}

/// All of 0..n, or `most` of them, each with the same chance, in their order.
fn sample(n: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let mut missing = most.min(n);
    let mut rows = Vec::with_capacity(missing);
    for row in 0..n {
        if random.below(n - row) < missing {
            rows.push(row);
            missing -= 1;
        }
    }
    rows
}

/// The rows that are measured against each other.
struct Measured<'a> {
    points: &'a Points<'a>,
    rows: &'a [usize],
    clusters: &'a [usize],
    /// Of the clusters.
    weights: Vec<f64>,
}

impl<'a> Measured<'a> {
    fn new(points: &'a Points<'a>, rows: &'a [usize], clusters: &'a [usize], n: usize) -> Self {
        let mut weights = vec![0.0; n];
        for (row, cluster) in rows.iter().zip(clusters) {
            weights[*cluster] += points.weight(*row);
        }
        Self {
            points,
            rows,
            clusters,
            weights,
        }
    }

    fn width(&self, at: usize) -> f64 {
        let own = self.clusters[at];
        // As so many equal rows it is not at a distance from itself, but counts but once less among the others.
        let others = self.weights[own] - 1.0;
        if others <= 0.0 {
            return 0.0;
        }
        let row = self.points.row(self.rows[at]);
        let mut sums = vec![0.0; self.weights.len()];
        for (other, cluster) in self.rows.iter().zip(self.clusters) {
            let distance = squared_distance(row, self.points.row(*other)).sqrt();
            sums[*cluster] += self.points.weight(*other) * distance;
        }
        let within = sums[own] / others;
        let of_others = sums.iter().zip(&self.weights).enumerate();
        let nearest = of_others
            .filter(|(cluster, (_, weight))| *cluster != own && **weight > 0.0)
            .map(|(_, (sum, weight))| sum / weight)
            .fold(f64::INFINITY, f64::min);
        let larger = within.max(nearest);
        if larger > 0.0 && larger.is_finite() {
            (nearest - within) / larger
        } else {
            0.0
        }
    }

    fn mean(&self, widths: &[f64], is_in: impl Fn(usize) -> bool) -> Result<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        for (at, width) in widths.iter().enumerate() {
            if is_in(self.clusters[at]) {
                let weight = self.points.weight(self.rows[at]);
                sum += weight * width;
                total += weight;
            }
        }
        if total > 0.0 {
            return Ok(sum / total);
        }
        Err(Error::TooLittle("the rows of the sample have no weight"))
    }
}

/// Agreement of two clusterings of the same rows; from −0.5 to 1.
pub fn adjusted_rand_index(a: &[u32], b: &[u32]) -> Result<f64> {
    if a.is_empty() || a.len() != b.len() {
        return Err(Error::TooLittle(
            "two clusterings of the same rows can be compared, and of at least one",
        ));
    }
    let both: Vec<(u32, u32)> = a.iter().copied().zip(b.iter().copied()).collect();
    let (together, in_a, in_b) = (pairs(both), pairs(a.to_vec()), pairs(b.to_vec()));
    let n = a.len() as f64;
    let all = n * (n - 1.0) / 2.0;
    let most = 0.5 * (in_a + in_b);
    let by_chance = if all > 0.0 { in_a * in_b / all } else { 0.0 };
    if most == by_chance {
        // Both put all rows together, or all of them apart.
        return Ok(1.0);
    }
    Ok((together - by_chance) / (most - by_chance))
}

/// How many pairs of rows have the same label.
fn pairs<T: Ord>(mut labels: Vec<T>) -> f64 {
    labels.sort_unstable();
    let groups = labels.chunk_by(|a, b| a == b);
    let of = |group: &[T]| group.len() as f64 * (group.len() as f64 - 1.0) / 2.0;
    groups.map(of).sum()
}

/// One number of clusters that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    pub clusters: usize,
    /// Always falls with the number of clusters; where it stops to fall fast there is an elbow.
    pub inertia: f64,
    /// Highest where the clusters are compact and apart.
    pub silhouette: f64,
}

/// k-means with each number of clusters (from 2), to choose among them; `settings.clusters` is not used.
pub fn try_clusters(
    points: &Points,
    clusters: RangeInclusive<usize>,
    settings: &kmeans::Settings,
    most_rows: usize,
    is_cancelled: IsCancelled,
) -> Result<Vec<Tried>> {
    let of = |clusters: usize| {
        let settings = kmeans::Settings {
            clusters,
            ..*settings
        };
        let found = kmeans::fit(points, &settings, is_cancelled)?;
        let labels = &found.labels;
        let width = silhouette(points, labels, most_rows, settings.seed, is_cancelled)?;
        Ok(Tried {
            clusters,
            inertia: found.inertia,
            silhouette: width.mean,
        })
    };
    clusters.map(of).collect()
}

/// The number of clusters with the highest silhouette, of equal ones the smallest.
pub fn best(tried: &[Tried]) -> Option<usize> {
    let better = |best: Option<Tried>, next: &Tried| match best {
        Some(best) if best.silhouette >= next.silhouette => Some(best),
        _ => Some(*next),
    };
    tried.iter().fold(None, better).map(|best| best.clusters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[f64], labels: &[u32], most: usize) -> Result<Silhouette> {
        silhouette(
            &Points::new(rows, 1).expect("rows"),
            labels,
            most,
            1,
            &|| false,
        )
    }

    #[test]
    fn the_silhouette_worked_by_hand() {
        // 0: a = 1, b = 9.5; 1: a = 1, b = 8.5; 9: a = 1, b = 8.5; 10: a = 1, b = 9.5.
        let got = of(&[0.0, 1.0, 9.0, 10.0], &[7, 7, 2, 2], 100).expect("two clusters");
        let expected = 0.5 * (8.5 / 9.5 + 7.5 / 8.5);
        assert!((got.mean - expected).abs() < 1e-15);
        assert_eq!(got.of_clusters.keys().collect::<Vec<_>>(), [&2, &7]);
        assert!(!got.is_sample);
    }

    #[test]
    fn one_alone_has_no_silhouette() {
        let got = of(&[0.0, 1.0, 9.0], &[0, 0, 1], 100).expect("two clusters");
        assert_eq!(got.of_clusters[&1], 0.0);
        assert!(of(&[0.0, 1.0], &[0, 0], 100).is_err());
        assert!(of(&[0.0, 1.0], &[0], 100).is_err());
    }

    #[test]
    fn equal_rows_in_two_clusters_are_between_them() {
        let got = of(&[1.0; 4], &[0, 0, 1, 1], 100).expect("two clusters");
        assert_eq!(got.mean, 0.0);
    }

    #[test]
    fn a_weight_is_as_many_rows() {
        let weighted = Points::weighted(&[0.0, 1.0, 5.0, 7.0], 1, &[2.0, 1.0, 1.0, 3.0]);
        let weighted = weighted.expect("rows");
        let weighted = silhouette(&weighted, &[0, 0, 1, 1], 100, 0, &|| false);
        let repeated = of(
            &[0.0, 0.0, 1.0, 5.0, 7.0, 7.0, 7.0],
            &[0, 0, 0, 1, 1, 1, 1],
            100,
        );
        let (weighted, repeated) = (weighted.expect("two"), repeated.expect("two"));
        assert!((weighted.mean - repeated.mean).abs() < 1e-15);
    }

    #[test]
    fn a_sample_is_said_to_be_one_and_is_near() {
        let rows: Vec<f64> = (0..2_000).map(|n| f64::from(n % 2 * 50 + n % 17)).collect();
        let labels: Vec<u32> = (0..2_000).map(|n| n % 2).collect();
        let all = of(&rows, &labels, 2_000).expect("two clusters");
        let some = of(&rows, &labels, 300).expect("two clusters");
        assert!(!all.is_sample && some.is_sample);
        assert_eq!(some.n_rows, 300);
        assert!((all.mean - some.mean).abs() < 0.02, "{all:?} {some:?}");
        assert_eq!(some, of(&rows, &labels, 300).expect("two clusters"));
    }

    #[test]
    fn agreement_does_not_depend_on_names() {
        let index = |a: &[u32], b: &[u32]| adjusted_rand_index(a, b).expect("rows");
        assert_eq!(index(&[0, 0, 1, 1], &[9, 9, 4, 4]), 1.0);
        assert!((index(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-15);
        // scikit-learn: 0.5714285714285714 and 0.24242424242424243.
        assert!((index(&[0, 0, 1, 2], &[0, 0, 1, 1]) - 4.0 / 7.0).abs() < 1e-15);
        assert!((index(&[0, 0, 0, 1, 1, 1], &[0, 0, 1, 1, 2, 2]) - 8.0 / 33.0).abs() < 1e-15);
        assert_eq!(index(&[3, 3], &[1, 1]), 1.0);
        assert_eq!(index(&[3], &[1]), 1.0);
        assert!(adjusted_rand_index(&[], &[]).is_err());
        assert!(adjusted_rand_index(&[1], &[1, 2]).is_err());
    }

    #[test]
    fn three_groups_are_told_to_be_three() {
        let rows: Vec<f64> = (0..90).map(|n| f64::from(n % 3 * 100 + n / 3)).collect();
        let points = Points::new(&rows, 1).expect("rows");
        let settings = kmeans::Settings::new(0);
        let tried = try_clusters(&points, 2..=6, &settings, 1_000, &|| false).expect("enough");
        assert_eq!(best(&tried), Some(3));
        assert!(
            tried
                .windows(2)
                .all(|pair| pair[0].inertia > pair[1].inertia)
        );
        assert_eq!(best(&[]), None);
    }
}
