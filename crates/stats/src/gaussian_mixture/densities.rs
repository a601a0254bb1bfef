//! How likely a row is under each component of a mixture.

use std::f64::consts::PI;

use super::Components;
use crate::{Error, Result, linear};

/// The components, ready to be evaluated.
pub(super) struct Densities<'a> {
    means: &'a [f64],
    d: usize,
    /// Lower triangles L with L·Lᵀ = Σ.
    lowers: Vec<Vec<f64>>,
    /// ln π − ½ ln((2π)^d |Σ|).
    constants: Vec<f64>,
}

impl<'a> Densities<'a> {
    pub fn new(model: Components<'a>, dimensions: usize) -> Result<Self> {
        let d = dimensions;
        let mut densities = Self {
            means: model.means,
            d,
            lowers: vec![],
            constants: vec![],
        };
        let covariances = model.covariances.chunks_exact(d * d);
        for (covariance, weight) in covariances.zip(model.weights) {
            let lower = linear::cholesky(covariance, d).ok_or(Error::TooLittle(
                "a component has collapsed: ask for fewer, or leave out columns that follow from others",
            ))?;
            let half_log: f64 = (0..d).map(|i| lower[i * d + i].ln()).sum();
            let constant = weight.ln() - 0.5 * d as f64 * (2.0 * PI).ln() - half_log;
            densities.constants.push(constant);
            densities.lowers.push(lower);
        }
        Ok(densities)
    }

    /// ln of the row's density; writes the components' responsibilities, which add up to 1. `room`, to work in, is as long as
    /// the row.
    pub fn share(&self, row: &[f64], shares: &mut [f64], room: &mut [f64]) -> f64 {
        let mut most = f64::NEG_INFINITY;
        for (component, share) in shares.iter_mut().enumerate() {
            *share = self.constants[component] - 0.5 * self.square(component, row, room);
            most = most.max(*share);
        }
        if most == f64::NEG_INFINITY {
            // Infinitely far from all of them, as far as numbers go.
            shares.fill(1.0 / shares.len() as f64);
            return most;
        }
        let mut sum = 0.0;
        for share in shares.iter_mut() {
            *share = (*share - most).exp();
            sum += *share;
        }
        for share in shares.iter_mut() {
            *share /= sum;
        }
        most + sum.ln()
    }

    /// Mahalanobis': (x − μ)ᵀ Σ⁻¹ (x − μ).
    fn square(&self, component: usize, row: &[f64], room: &mut [f64]) -> f64 {
        let (d, lower) = (self.d, &self.lowers[component]);
        let mean = &self.means[component * d..(component + 1) * d];
        let mut square = 0.0;
        for i in 0..d {
            let line = &lower[i * d..=i * d + i];
            let dot: f64 = line.iter().zip(&room[..i]).map(|(l, x)| l * x).sum();
            room[i] = (row[i] - mean[i] - dot) / line[i];
            square += room[i] * room[i];
        }
        square
    }
}
