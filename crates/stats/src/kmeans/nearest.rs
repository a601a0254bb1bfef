//! Which centre is nearest to a row: the inner loop of k-means.

use crate::points::squared_distance;

/// Centres are measured side by side, so many at once: as many sums as fit into the registers.
const LANES: usize = 8;

pub(super) struct Centres<'a> {
    rows: &'a [f64],
    dimensions: usize,
    n: usize,
    /// One block for each eight centres, in it the columns one after the other; what is missing in the last is infinitely far.
    blocks: Vec<[f64; LANES]>,
}

/// The nearest centre, of equally near ones the first; its squared distance and that of the next.
pub(super) struct Nearest {
    pub cluster: usize,
    pub square: f64,
    pub second: f64,
}

impl<'a> Centres<'a> {
    pub fn new(rows: &'a [f64], dimensions: usize) -> Self {
        let n = rows.len() / dimensions;
        let mut blocks = vec![[f64::INFINITY; LANES]; n.div_ceil(LANES) * dimensions];
        for (index, row) in rows.chunks_exact(dimensions).enumerate() {
            let block = &mut blocks[index / LANES * dimensions..][..dimensions];
            for (column, x) in block.iter_mut().zip(row) {
                column[index % LANES] = *x;
            }
        }
        Self {
            rows,
            dimensions,
            n,
            blocks,
        }
    }

    pub fn distance(&self, row: &[f64], cluster: usize) -> f64 {
        squared_distance(
            row,
            &self.rows[cluster * self.dimensions..][..self.dimensions],
        )
        .sqrt()
    }

    pub fn nearest(&self, row: &[f64]) -> Nearest {
        let mut nearest = Nearest {
            cluster: 0,
            square: f64::INFINITY,
            second: f64::INFINITY,
        };
        for (block, columns) in self.blocks.chunks_exact(self.dimensions).enumerate() {
            for (lane, square) in squares(row, columns).into_iter().enumerate() {
                // Without a branch, which nothing could foresee.
                let is_nearer = square < nearest.square;
                let beaten = if is_nearer { nearest.square } else { square };
                nearest.second = nearest.second.min(beaten);
                nearest.square = nearest.square.min(square);
                nearest.cluster = if is_nearer {
                    block * LANES + lane
                } else {
                    nearest.cluster
                };
            }
        }
        nearest
    }

    /// Squared distances from all centres, appended to `into`.
    pub fn measure(&self, row: &[f64], into: &mut Vec<f64>) {
        let start = into.len();
        for columns in self.blocks.chunks_exact(self.dimensions) {
            into.extend_from_slice(&squares(row, columns));
        }
        into.truncate(start + self.n);
    }

    /// Half of each centre's distance from the one next to it.
    pub fn half_gaps(&self) -> Vec<f64> {
        let rows = self.rows.chunks_exact(self.dimensions);
        rows.map(|row| 0.5 * self.nearest(row).second.sqrt())
            .collect()
    }
}

fn squares(row: &[f64], columns: &[[f64; LANES]]) -> [f64; LANES] {
    let mut squares = [0.0; LANES];
    for (x, column) in row.iter().zip(columns) {
        for (square, centre) in squares.iter_mut().zip(column) {
            let difference = x - centre;
            *square += difference * difference;
        }
    }
    squares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equally_near_centres_is_taken() {
        let rows: Vec<f64> = (0..20).map(|n| f64::from(n / 2 * 2)).collect();
        let centres = Centres::new(&rows, 1);
        let nearest = centres.nearest(&[12.1]);
        assert_eq!(nearest.cluster, 12);
        assert_eq!(nearest.square, nearest.second);
        assert_eq!(centres.half_gaps(), [0.0; 20]);
    }

    #[test]
    fn distances_are_those_of_the_plain_formula() {
        let rows: Vec<f64> = (0..33).map(|n| f64::from(n * n % 17)).collect();
        let centres = Centres::new(&rows, 3);
        let mut measured = vec![];
        centres.measure(&[1.0, 2.0, 3.0], &mut measured);
        assert_eq!(measured.len(), 11);
        for (cluster, square) in measured.iter().enumerate() {
            assert_eq!(square.sqrt(), centres.distance(&[1.0, 2.0, 3.0], cluster));
        }
    }
}
