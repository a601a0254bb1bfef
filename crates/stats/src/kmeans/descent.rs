//! One run of k-means, from a start to a local minimum.

use std::ops::Range;

use rayon::prelude::*;

use super::KMeans;
use super::nearest::{Centres, Nearest};
use super::sums::{Moves, Sums};
use crate::fit::IsCancelled;
use crate::points::{Points, squared_distance};
use crate::{Error, Result};

/// Rows between two looks at whether the answer is still wanted.
const OFTEN: usize = 1_024;

pub(super) struct Run<'a> {
    points: &'a Points<'a>,
    centres: Vec<f64>,
    bounds: Vec<Bounds>,
    is_cancelled: IsCancelled<'a>,
}

impl<'a> Run<'a> {
    pub fn new(points: &'a Points<'a>, centres: Vec<f64>, is_cancelled: IsCancelled<'a>) -> Self {
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

    pub fn descend(mut self, most_iterations: usize, tolerance: f64) -> Result<KMeans> {
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
            moves = Some(self.move_centres(sums)?);
            iterations += 1;
        }
    }

    /// Every row to its nearest centre.
    fn assign(&mut self, moves: Option<&Moves>) -> Result<Sums> {
        let (points, n, is_cancelled) = (self.points, self.n_clusters(), self.is_cancelled);
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
                    if offset.is_multiple_of(OFTEN) && is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                    let index = part * piece + offset;
                    let row = points.row(index);
                    if let Some(moves) = moves {
                        bounds.follow(moves);
                    }
                    sums.changed += usize::from(bounds.tighten(row, &centres, &gaps));
                    sums.add(bounds.cluster as usize, points.weight(index), row);
                }
                Ok(sums)
            })
            .collect::<Result<_>>()?;
        Ok(Sums::all(pieces, n, dimensions))
    }

    fn move_centres(&mut self, mut sums: Sums) -> Result<Moves> {
        let dimensions = self.points.dimensions();
        self.fill_empty(&mut sums)?;
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
        Ok(Moves::new(moves))
    }

    /// A cluster that lost all its rows starts again at the row that is worst served.
    fn fill_empty(&self, sums: &mut Sums) -> Result<()> {
        let mut taken = vec![];
        for cluster in 0..sums.weights.len() {
            if sums.weights[cluster] > 0.0 {
                continue;
            }
            if (self.is_cancelled)() {
                return Err(Error::Cancelled);
            }
            let Some(index) = self.worst_served(&taken, sums) else {
                return Ok(());
            };
            let (row, weight) = (self.points.row(index), self.points.weight(index));
            sums.add(self.bounds[index].cluster as usize, -weight, row);
            sums.add(cluster, weight, row);
            taken.push(index);
        }
        Ok(())
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
        let of = |rows: Range<usize>| {
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

/// What is known of a row without measuring it.
#[derive(Clone, Copy)]
struct Bounds {
    cluster: u32,
    /// At least the distance from the own centre.
    upper: f64,
    /// At most the distance from any other.
    lower: f64,
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
