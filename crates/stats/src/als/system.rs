//! The linear systems of ALS: the vectors of one side that suit the other's best.

use rayon::prelude::*;

use super::Settings;
use crate::fit::IsCancelled;
use crate::{Error, Result, linear};

/// What the systems of one side have in common.
pub(super) struct System<'a> {
    settings: &'a Settings,
    others: &'a [f64],
    /// Σ y·yᵀ + λ·1; the lower triangle.
    gram: Vec<f64>,
    is_cancelled: IsCancelled<'a>,
}

/// Entries between two looks at whether the answer is still wanted.
const OFTEN: usize = 1_024;

impl<'a> System<'a> {
    pub fn new(settings: &'a Settings, others: &'a [f64], is_cancelled: IsCancelled<'a>) -> Self {
        let f = settings.factors;
        let mut gram = gram(others, f, is_cancelled);
        for i in 0..f {
            gram[i * f + i] += settings.regularisation;
        }
        Self {
            settings,
            others,
            gram,
            is_cancelled,
        }
    }

    pub fn n_factors(&self) -> usize {
        self.settings.factors
    }

    /// `matrix` is room to work in.
    pub fn solve(
        &self,
        entries: impl Iterator<Item = (u32, f64)>,
        matrix: &mut [f64],
        vector: &mut [f64],
    ) -> Result<()> {
        let f = self.settings.factors;
        matrix.copy_from_slice(&self.gram);
        vector.fill(0.0);
        let mut is_empty = true;
        for (n, (other, strength)) in entries.enumerate() {
            if n.is_multiple_of(OFTEN) && (self.is_cancelled)() {
                return Err(Error::Cancelled);
            }
            is_empty = false;
            let surer = self.settings.confidence * strength;
            let other = &self.others[other as usize * f..][..f];
            add_product(matrix, other, surer);
            for (sum, y) in vector.iter_mut().zip(other) {
                *sum += (1.0 + surer) * y;
            }
        }
        if is_empty {
            return Ok(());
        }
        let lower = linear::cholesky(matrix, f).ok_or(Error::TooLittle(
            "the strengths are too large to be told apart: scale them, or raise the regularisation",
        ))?;
        vector.copy_from_slice(&linear::solve(&lower, f, vector));
        Ok(())
    }
}

/// Adds weight × y·yᵀ to a lower triangle.
fn add_product(matrix: &mut [f64], y: &[f64], weight: f64) {
    for (i, row) in matrix.chunks_exact_mut(y.len()).enumerate() {
        let factor = weight * y[i];
        for (sum, y) in row[..=i].iter_mut().zip(y) {
            *sum += factor * y;
        }
    }
}

/// Σ y·yᵀ, the lower triangle, in pieces that do not depend on the number of threads. Once it is cancelled, what is left is
/// left out.
pub(super) fn gram(vectors: &[f64], f: usize, is_cancelled: IsCancelled) -> Vec<f64> {
    const MOST_PIECES: usize = 64;
    let piece = (vectors.len() / f).div_ceil(MOST_PIECES).max(1) * f;
    let of = |vectors: &[f64]| {
        let mut sum = vec![0.0; f * f];
        for (n, vector) in vectors.chunks_exact(f).enumerate() {
            if n.is_multiple_of(OFTEN) && is_cancelled() {
                break;
            }
            add_product(&mut sum, vector, 1.0);
        }
        sum
    };
    let pieces: Vec<Vec<f64>> = vectors.par_chunks(piece).map(of).collect();
    let mut gram = vec![0.0; f * f];
    for part in pieces {
        for (sum, part) in gram.iter_mut().zip(part) {
            *sum += part;
        }
    }
    gram
}
