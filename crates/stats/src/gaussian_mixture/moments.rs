//! What the rows add up to for each component of a mixture, by their responsibilities.

/// Per component: Σ r, Σ r·δ and the lower triangle of Σ r·δδᵀ, with δ the difference from the mean before.
pub(super) struct Moments {
    pub weights: Vec<f64>,
    pub first: Vec<f64>,
    pub second: Vec<f64>,
    pub log_likelihood: f64,
}

impl Moments {
    pub fn new(k: usize, d: usize) -> Self {
        Self {
            weights: vec![0.0; k],
            first: vec![0.0; k * d],
            second: vec![0.0; k * d * d],
            log_likelihood: 0.0,
        }
    }

    pub fn add(&mut self, component: usize, weight: f64, row: &[f64], mean: &[f64]) {
        if weight == 0.0 {
            return;
        }
        let d = row.len();
        self.weights[component] += weight;
        let first = &mut self.first[component * d..(component + 1) * d];
        let second = &mut self.second[component * d * d..(component + 1) * d * d];
        for (i, line) in second.chunks_exact_mut(d).enumerate() {
            let weighted = weight * (row[i] - mean[i]);
            first[i] += weighted;
            for ((sum, x), mean) in line[..=i].iter_mut().zip(row).zip(mean) {
                *sum += weighted * (x - mean);
            }
        }
    }

    pub fn all(pieces: Vec<Self>, k: usize, d: usize) -> Self {
        let mut all = Self::new(k, d);
        let add = |sums: &mut [f64], parts: &[f64]| {
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += part;
            }
        };
        for piece in &pieces {
            add(&mut all.weights, &piece.weights);
            add(&mut all.first, &piece.first);
            add(&mut all.second, &piece.second);
            all.log_likelihood += piece.log_likelihood;
        }
        all
    }
}
