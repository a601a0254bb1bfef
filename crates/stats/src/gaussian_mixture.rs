//! Gaussian mixture: segments with soft borders, each with its own size, spread and slant.
//!
//! A row comes from component j with probability π_j and is then normal with mean μ_j and covariance Σ_j. By EM: the
//! responsibilities r_ij = π_j N(x_i; μ_j, Σ_j) / Σ_l π_l N(x_i; μ_l, Σ_l), then π, μ and Σ as the weighted moments by them;
//! the likelihood rises in each round. It starts from k-means and takes the best of several starts.
//!
//! Without a floor the likelihood rises without end where a component collapses onto equal rows: each variance gets a millionth
//! of its column's added, which leaves the model independent of units. BIC = −2 ln L + p ln n (lower is better), with
//! p = k − 1 + kd + kd(d+1)/2 parameters and n the sum of the weights.
//!
//! Source: Dempster, Laird & Rubin (1977), J. of the Royal Statistical Society B 39; Schwarz (1978), Annals of Statistics 6.

mod densities;
mod moments;

use self::densities::Densities;
use self::moments::Moments;
use crate::fit::IsCancelled;
use crate::points::Points;
use crate::{Error, Result, kmeans};

/// Of a column's variance, added to that of each component.
const FLOOR: f64 = 1e-6;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub components: usize,
    pub starts: usize,
    pub most_iterations: usize,
    /// A run ends when the mean log-likelihood of a row rises by less.
    pub tolerance: f64,
    pub seed: u64,
}

impl Settings {
    pub fn new(components: usize) -> Self {
        Self {
            components,
            starts: 5,
            most_iterations: 1_000,
            tolerance: 1e-8,
            seed: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixture {
    /// π, the largest first.
    pub weights: Vec<f64>,
    /// μ, row by row.
    pub means: Vec<f64>,
    /// Σ, one d × d matrix after the other.
    pub covariances: Vec<f64>,
    pub log_likelihood: f64,
    pub bic: f64,
    pub iterations: usize,
    pub converged: bool,
}

/// The best of the starts. Fails where fewer rows differ than components are asked for, or a column does not vary.
pub fn fit(
    points: &Points,
    settings: &Settings,
    is_cancelled: IsCancelled,
) -> Result<GaussianMixture> {
    crate::error::not_negative("tolerance", settings.tolerance)?;
    let (_, variances) = points.moments();
    let floor: Vec<f64> = variances.iter().map(|variance| FLOOR * variance).collect();
    if floor.iter().any(|floor| *floor <= 0.0) {
        return Err(Error::TooLittle(
            "a column is the same in every row: leave it out",
        ));
    }
    let em = Em {
        points,
        floor,
        is_cancelled,
    };
    let mut best: Option<GaussianMixture> = None;
    for start in 0..settings.starts {
        let found = em.climb(settings, start as u64)?;
        let is_better = |best: &GaussianMixture| found.log_likelihood > best.log_likelihood;
        if best.as_ref().is_none_or(is_better) {
            best = Some(found);
        }
    }
    let best = best.ok_or(Error::TooLittle("a mixture needs at least one start"))?;
    Ok(best.largest_first(points.dimensions()))
}

struct Em<'a> {
    points: &'a Points<'a>,
    floor: Vec<f64>,
    is_cancelled: IsCancelled<'a>,
}

/// Rows between two looks at whether the answer is still wanted.
const OFTEN: usize = 1_024;

impl Em<'_> {
    /// Whether to go on with a row. Of a cancelled fit nothing is expected but an early end.
    fn is_wanted(&self, index: usize) -> bool {
        !(index.is_multiple_of(OFTEN) && (self.is_cancelled)())
    }

    fn climb(&self, settings: &Settings, start: u64) -> Result<GaussianMixture> {
        let mut at = self.start(settings, start)?;
        let mut before = f64::NEG_INFINITY;
        let mut iterations = 0;
        loop {
            let sums = self.expect(&at)?;
            if (self.is_cancelled)() {
                return Err(Error::Cancelled);
            }
            let mean = sums.log_likelihood / self.points.total();
            let converged = mean - before < settings.tolerance;
            if converged || iterations == settings.most_iterations {
                at.log_likelihood = sums.log_likelihood;
                at.bic = self.bic(&at);
                return Ok(GaussianMixture {
                    iterations,
                    converged,
                    ..at
                });
            }
            before = mean;
            self.maximise(&mut at, &sums);
            iterations += 1;
        }
    }

    /// The clusters of k-means as components.
    fn start(&self, settings: &Settings, start: u64) -> Result<GaussianMixture> {
        let (points, d) = (self.points, self.points.dimensions());
        let clustering = kmeans::Settings {
            starts: 1,
            seed: settings.seed.wrapping_add(start),
            ..kmeans::Settings::new(settings.components)
        };
        let found = kmeans::fit(points, &clustering, self.is_cancelled)?;
        let pieces = points.map_pieces(|rows| {
            let mut sums = Moments::new(settings.components, d);
            for index in rows.take_while(|index| self.is_wanted(*index)) {
                let cluster = found.labels[index] as usize;
                let centre = &found.centres[cluster * d..(cluster + 1) * d];
                sums.add(cluster, points.weight(index), points.row(index), centre);
            }
            sums
        });
        let mut at = GaussianMixture {
            weights: vec![0.0; settings.components],
            means: found.centres,
            covariances: vec![0.0; settings.components * d * d],
            log_likelihood: f64::NEG_INFINITY,
            bic: f64::NAN,
            iterations: 0,
            converged: false,
        };
        if (self.is_cancelled)() {
            return Err(Error::Cancelled);
        }
        self.maximise(&mut at, &Moments::all(pieces, settings.components, d));
        Ok(at)
    }

    /// The moments that the rows have by their responsibilities.
    fn expect(&self, at: &GaussianMixture) -> Result<Moments> {
        let (points, d) = (self.points, self.points.dimensions());
        let k = at.weights.len();
        let densities = Densities::new(at.components(), d)?;
        let pieces = points.map_pieces(|rows| {
            let mut sums = Moments::new(k, d);
            let (mut shares, mut room) = (vec![0.0; k], vec![0.0; d]);
            for index in rows.take_while(|index| self.is_wanted(*index)) {
                let (row, weight) = (points.row(index), points.weight(index));
                sums.log_likelihood += weight * densities.share(row, &mut shares, &mut room);
                for (component, mean) in at.means.chunks_exact(d).enumerate() {
                    sums.add(component, weight * shares[component], row, mean);
                }
            }
            sums
        });
        Ok(Moments::all(pieces, k, d))
    }

    fn maximise(&self, at: &mut GaussianMixture, sums: &Moments) {
        let d = self.points.dimensions();
        for (component, weight) in sums.weights.iter().enumerate() {
            at.weights[component] = weight / self.points.total();
            if *weight <= f64::MIN_POSITIVE {
                // No row is left to it: it stays where it is, with no weight.
                continue;
            }
            let first = &sums.first[component * d..(component + 1) * d];
            let second = &sums.second[component * d * d..(component + 1) * d * d];
            let covariance = &mut at.covariances[component * d * d..(component + 1) * d * d];
            for i in 0..d {
                at.means[component * d + i] += first[i] / weight;
                for j in 0..=i {
                    let moved = first[i] / weight * (first[j] / weight);
                    let mut value = second[i * d + j] / weight - moved;
                    if i == j {
                        value = value.max(0.0) + self.floor[i];
                    }
                    covariance[i * d + j] = value;
                    covariance[j * d + i] = value;
                }
            }
        }
    }

    fn bic(&self, at: &GaussianMixture) -> f64 {
        let (k, d) = (at.weights.len() as f64, self.points.dimensions() as f64);
        let parameters = k - 1.0 + k * d + k * d * (d + 1.0) / 2.0;
        parameters * self.points.total().ln() - 2.0 * at.log_likelihood
    }
}

/// What a mixture is made of, as [`GaussianMixture`] has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Components<'a> {
    pub weights: &'a [f64],
    pub means: &'a [f64],
    pub covariances: &'a [f64],
}

impl Components<'_> {
    fn check(&self, d: usize) -> Result<()> {
        let k = self.weights.len();
        if k > 0 && (self.means.len(), self.covariances.len()) == (k * d, k * d * d) {
            return Ok(());
        }
        Err(Error::TooLittle(
            "the rows need the columns that the mixture was fitted to",
        ))
    }

    /// The responsibilities of the components for one row: they add up to 1.
    pub fn responsibilities(&self, row: &[f64]) -> Result<Vec<f64>> {
        Points::new(row, row.len())?;
        self.check(row.len())?;
        let densities = Densities::new(*self, row.len())?;
        let (mut shares, mut room) = (vec![0.0; self.weights.len()], vec![0.0; row.len()]);
        densities.share(row, &mut shares, &mut room);
        Ok(shares)
    }
}

impl GaussianMixture {
    fn components(&self) -> Components<'_> {
        Components {
            weights: &self.weights,
            means: &self.means,
            covariances: &self.covariances,
        }
    }

    /// Of each row the responsibilities of the components, row by row.
    pub fn responsibilities(&self, points: &Points) -> Result<Vec<f64>> {
        let k = self.weights.len();
        let d = points.dimensions();
        let components = self.components();
        components.check(d)?;
        let densities = Densities::new(components, d)?;
        let pieces = points.map_pieces(|rows| {
            let mut all = vec![0.0; rows.len() * k];
            let mut room = vec![0.0; d];
            for (index, shares) in rows.zip(all.chunks_exact_mut(k)) {
                densities.share(points.row(index), shares, &mut room);
            }
            all
        });
        Ok(pieces.concat())
    }

    fn largest_first(self, d: usize) -> Self {
        let mut order: Vec<usize> = (0..self.weights.len()).collect();
        order.sort_by(|a, b| self.weights[*b].total_cmp(&self.weights[*a]));
        let sorted = |values: &[f64], width: usize| -> Vec<f64> {
            let of = |old: &usize| values[old * width..(old + 1) * width].to_vec();
            order.iter().flat_map(of).collect()
        };
        Self {
            weights: sorted(&self.weights, 1),
            means: sorted(&self.means, d),
            covariances: sorted(&self.covariances, d * d),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Two normal groups: 300 rows about (0, 0), slanted, and 100 about (20, 20).
    fn groups() -> Vec<f64> {
        let mut random = Random::new(11);
        let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let of = |index: usize| {
            let (x, y) = (normal(), normal());
            let middle = if index < 300 { 0.0 } else { 20.0 };
            [middle + x, middle + 0.5 * x + y]
        };
        (0..400).flat_map(of).collect()
    }

    fn fitted(points: &Points, components: usize) -> GaussianMixture {
        fit(points, &Settings::new(components), &|| false).expect("enough rows")
    }

    #[test]
    fn one_component_is_the_normal_distribution() {
        let rows = groups();
        let points = Points::new(&rows, 2).expect("rows");
        let (means, variances) = points.moments();
        let found = fitted(&points, 1);
        for column in 0..2 {
            assert!((found.means[column] - means[column]).abs() < 1e-9);
            let expected = variances[column] * (1.0 + FLOOR);
            assert!((found.covariances[column * 3] - expected).abs() < 1e-9);
        }
        assert_eq!(found.weights, [1.0]);
    }

    #[test]
    fn two_groups_are_recovered() {
        let rows = groups();
        let points = Points::new(&rows, 2).expect("rows");
        let found = fitted(&points, 2);
        assert!(found.converged);
        assert!((found.weights[0] - 0.75).abs() < 1e-6);
        assert!((found.covariances[1] - 0.5).abs() < 0.15, "{found:?}");
        assert!(found.bic < fitted(&points, 1).bic);
        let shares = found.responsibilities(&points).expect("its own rows");
        for (index, share) in shares.chunks_exact(2).enumerate() {
            assert!((share[0] + share[1] - 1.0).abs() < 1e-12);
            assert!((share[0] > 0.5) == (index < 300));
        }
    }

    #[test]
    fn units_change_nothing_but_the_density() {
        let rows = groups();
        let scaled: Vec<f64> = rows
            .chunks_exact(2)
            .flat_map(|row| [row[0] * 4.0, row[1] * 4.0])
            .collect();
        let one = fitted(&Points::new(&rows, 2).expect("rows"), 2);
        let four = fitted(&Points::new(&scaled, 2).expect("rows"), 2);
        let shift = 400.0 * 2.0 * 4.0_f64.ln();
        assert!((one.log_likelihood - shift - four.log_likelihood).abs() < 1e-6);
        assert!((one.weights[0] - four.weights[0]).abs() < 1e-9);
    }

    #[test]
    fn a_weight_is_as_many_rows() {
        let rows = groups();
        let twice = [&rows[..], &rows[..]].concat();
        let weights = vec![2.0; 400];
        let weighted = Points::weighted(&rows, 2, &weights).expect("rows");
        let weighted = fitted(&weighted, 2);
        let repeated = fitted(&Points::new(&twice, 2).expect("rows"), 2);
        assert!((weighted.log_likelihood - repeated.log_likelihood).abs() < 1e-5);
        assert!((weighted.bic - repeated.bic).abs() < 1e-5);
    }

    #[test]
    fn equal_rows_do_not_collapse() {
        let mut rows = vec![1.0; 100];
        rows.extend([2.0, 3.0, 5.0, 8.0]);
        let found = fitted(&Points::new(&rows, 1).expect("rows"), 2);
        assert!(found.log_likelihood.is_finite());
        assert!(found.covariances.iter().all(|variance| *variance > 0.0));
    }

    #[test]
    fn a_row_far_from_everything_still_has_shares() {
        let rows: Vec<f64> = groups().iter().map(|x| x * 1e-70).collect();
        let found = fitted(&Points::new(&rows, 2).expect("rows"), 2);
        let far = Points::new(&[1e100, -1e100], 2).expect("a row");
        let shares = found.responsibilities(&far).expect("the same columns");
        assert!((shares[0] + shares[1] - 1.0).abs() < 1e-12);
        assert!(
            found
                .responsibilities(&Points::new(&[1.0], 1).expect("a row"))
                .is_err()
        );
    }

    #[test]
    fn what_has_no_spread_is_refused() {
        let refused = |rows: &[f64], d, k| {
            let points = Points::new(rows, d).expect("rows");
            fit(&points, &Settings::new(k), &|| false).is_err()
        };
        assert!(refused(&[1.0, 2.0, 1.0, 3.0], 2, 1));
        assert!(refused(&[1.0], 1, 1));
        assert!(refused(&[1.0, 2.0], 1, 3));
        assert!(refused(&[1.0, 2.0], 1, 0));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let rows = groups().repeat(25);
        let points = Points::new(&rows, 2).expect("rows");
        let settings = Settings {
            starts: 1,
            most_iterations: 5,
            ..Settings::new(3)
        };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads")
                .install(|| fit(&points, &settings, &|| false).expect("enough rows"))
        };
        assert_eq!(on(1), on(3));
    }
}
