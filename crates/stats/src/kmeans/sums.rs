//! Where the centres of k-means go: what the rows of a cluster add up to, and how far that moved its centre.

/// What the rows of each cluster add up to.
pub(super) struct Sums {
    pub weights: Vec<f64>,
    pub values: Vec<f64>,
    /// Rows that have another cluster than before.
    pub changed: usize,
}

impl Sums {
    pub fn new(n: usize, dimensions: usize) -> Self {
        Self {
            weights: vec![0.0; n],
            values: vec![0.0; n * dimensions],
            changed: 0,
        }
    }

    pub fn add(&mut self, cluster: usize, weight: f64, row: &[f64]) {
        self.weights[cluster] += weight;
        let sums = &mut self.values[cluster * row.len()..(cluster + 1) * row.len()];
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += weight * x;
        }
    }

    pub fn all(pieces: Vec<Self>, n: usize, dimensions: usize) -> Self {
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

/// How far the centres moved, in what changes the bounds.
pub(super) struct Moves {
    pub of_centres: Vec<f64>,
    pub farthest: usize,
    /// Of all but the farthest.
    pub second: f64,
    pub total_of_squares: f64,
}

impl Moves {
    pub fn new(of_centres: Vec<f64>) -> Self {
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
