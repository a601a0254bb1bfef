//! Where k-means starts from: k-means++, centres drawn far from those already drawn.

use super::nearest::Centres;
use crate::fit::IsCancelled;
use crate::points::Points;
use crate::random::Random;
use crate::{Error, Result};

/// Beyond, another candidate wins too rarely to pay.
const MOST_CANDIDATES: usize = 8;

/// `n` different rows. Each is drawn with a probability proportional to its weight and its squared distance from the nearest
/// row drawn before; of a few such candidates the one that leaves the least inertia is kept.
pub(super) fn seed(
    points: &Points,
    n: usize,
    random: &mut Random,
    is_cancelled: IsCancelled,
) -> Result<Vec<f64>> {
    let mut draw = Draw {
        points,
        nearest: vec![1.0; points.len()],
        masses: vec![],
    };
    draw.weigh();
    let mut centres = draw.row(random)?.to_vec();
    draw.nearest.fill(f64::INFINITY);
    draw.come_nearer(&centres);
    let candidates = (2 + (n as f64).ln() as usize).min(MOST_CANDIDATES);
    for _ in 1..n {
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        let best = draw.best_of(candidates, random)?;
        draw.come_nearer(best);
        centres.extend_from_slice(best);
    }
    Ok(centres)
}

struct Draw<'a> {
    points: &'a Points<'a>,
    /// Of each row: squared distance from the nearest centre.
    nearest: Vec<f64>,
    /// Of each piece of the rows: Σ weight × `nearest`.
    masses: Vec<f64>,
}

impl<'a> Draw<'a> {
    fn mass(&self, index: usize) -> f64 {
        self.points.weight(index) * self.nearest[index]
    }

    fn weigh(&mut self) {
        let of = |rows: std::ops::Range<usize>| rows.map(|index| self.mass(index)).sum();
        self.masses = self.points.map_pieces(of);
    }

    fn row(&self, random: &mut Random) -> Result<&'a [f64]> {
        let mut rest = random.unit() * self.masses.iter().sum::<f64>();
        let piece = self.points.piece();
        let mut last = None;
        for (part, mass) in self.masses.iter().enumerate() {
            // Rounding may leave a rest after the last piece: then the last row that can be drawn is drawn.
            if *mass > 0.0 {
                last = Some(part);
                if rest < *mass {
                    break;
                }
                rest -= mass;
            }
        }
        let part = last.ok_or(Error::TooLittle(
            "there are fewer different rows than clusters",
        ))?;
        let rows = part * piece..((part + 1) * piece).min(self.points.len());
        let mut drawn = None;
        for index in rows.filter(|index| self.mass(*index) > 0.0) {
            drawn = Some(index);
            if rest < self.mass(index) {
                break;
            }
            rest -= self.mass(index);
        }
        let drawn = drawn.expect("a piece that has mass has a row that has mass");
        Ok(self.points.row(drawn))
    }

    fn best_of(&self, candidates: usize, random: &mut Random) -> Result<&'a [f64]> {
        let mut drawn = Vec::with_capacity(candidates);
        for _ in 0..candidates {
            drawn.push(self.row(random)?);
        }
        let rows = drawn.concat();
        let centres = Centres::new(&rows, self.points.dimensions());
        let pieces = self.points.map_pieces(|rows| {
            let (mut left, mut squares) = (vec![0.0; candidates], vec![]);
            for index in rows {
                squares.clear();
                centres.measure(self.points.row(index), &mut squares);
                let (weight, nearest) = (self.points.weight(index), self.nearest[index]);
                for (left, square) in left.iter_mut().zip(&squares) {
                    *left += weight * nearest.min(*square);
                }
            }
            left
        });
        let left = |candidate: usize| pieces.iter().map(|left| left[candidate]).sum::<f64>();
        let best = (1..candidates).fold((0, left(0)), |best, candidate| {
            let left = left(candidate);
            if left < best.1 {
                (candidate, left)
            } else {
                best
            }
        });
        Ok(drawn[best.0])
    }

    fn come_nearer(&mut self, centre: &[f64]) {
        use rayon::prelude::*;

        let points = self.points;
        let piece = points.piece();
        let parts = self.nearest.par_chunks_mut(piece).enumerate();
        parts.for_each(|(part, nearest)| {
            for (offset, nearest) in nearest.iter_mut().enumerate() {
                let row = points.row(part * piece + offset);
                *nearest = nearest.min(crate::points::squared_distance(row, centre));
            }
        });
        self.weigh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_drawn_are_different() {
        let rows: Vec<f64> = (0..12).map(|n| f64::from(n % 6)).collect();
        let points = Points::new(&rows, 1).expect("rows");
        for start in 0..50 {
            let mut random = Random::new(start);
            let mut drawn = seed(&points, 6, &mut random, &|| false).expect("six differ");
            drawn.sort_by(f64::total_cmp);
            assert_eq!(drawn, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
            assert!(seed(&points, 7, &mut random, &|| false).is_err());
        }
    }

    #[test]
    fn a_row_without_weight_is_not_drawn() {
        let points = Points::weighted(&[1.0, 2.0, 3.0], 1, &[1.0, 0.0, 2.0]).expect("rows");
        for start in 0..50 {
            let drawn = seed(&points, 2, &mut Random::new(start), &|| false);
            assert!(!drawn.expect("two differ").contains(&2.0));
        }
    }
}
