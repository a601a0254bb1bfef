//! Newton's method for concave log-likelihoods of a few dozen parameters, with steps that are halved until they rise.
//!
//! Where [`crate::fit`] climbs surfaces of every shape, here the curvature is given exactly and is that of one hill, so that
//! a handful of steps from anywhere reaches the top to the last digits.

use std::ops::Range;

use rayon::prelude::*;

use crate::fit::IsCancelled;
use crate::linear;
use crate::{Error, Result};

/// A log-likelihood at one place, with its slope and minus its curvature (n × n, row by row).
#[derive(Clone, Debug)]
pub struct Evaluated {
    pub log_likelihood: f64,
    pub score: Vec<f64>,
    pub information: Vec<f64>,
}

impl Evaluated {
    pub fn new(n: usize) -> Self {
        Self {
            log_likelihood: 0.0,
            score: vec![0.0; n],
            information: vec![0.0; n * n],
        }
    }

    fn add(mut self, other: &Self) -> Self {
        self.log_likelihood += other.log_likelihood;
        for (sum, value) in self.score.iter_mut().zip(&other.score) {
            *sum += value;
        }
        for (sum, value) in self.information.iter_mut().zip(&other.information) {
            *sum += value;
        }
        self
    }

    /// Of `n` parameters and `n_rows` rows, of which `of` gives what a range of them adds; of the information the lower
    /// triangle is enough.
    ///
    /// Pieces of a fixed size are added in their order: the same bits on any number of threads. Once it is cancelled, what is
    /// left is left out.
    pub fn sum(
        n: usize,
        n_rows: usize,
        is_cancelled: IsCancelled,
        of: impl Fn(Range<usize>) -> Self + Sync,
    ) -> Self {
        let starts: Vec<usize> = (0..n_rows).step_by(PIECE).collect();
        let piece = |start: &usize| match is_cancelled() {
            true => Self::new(n),
            false => of(*start..(start + PIECE).min(n_rows)),
        };
        let pieces: Vec<Self> = starts.par_iter().map(piece).collect();
        let mut sum = pieces.iter().fold(Self::new(n), Self::add);
        sum.mirror();
        sum
    }

    /// Copies the lower triangle of the information to the upper one.
    fn mirror(&mut self) {
        let n = self.score.len();
        for i in 0..n {
            for j in 0..i {
                self.information[j * n + i] = self.information[i * n + j];
            }
        }
    }
}

/// Where the climb ended.
#[derive(Clone, Debug)]
pub struct Top {
    pub parameters: Vec<f64>,
    pub at: Evaluated,
    /// The step that would come next: next to nothing at a top, large still where the hill has none.
    pub next_step: Vec<f64>,
    pub iterations: usize,
    /// No step promises a rise that could be seen.
    pub converged: bool,
}

const MOST_ITERATIONS: usize = 100;
const PIECE: usize = 4_096;
/// A next step that moves somebody's prediction by this much, where nothing is left to win, is a run-away.
const RUNS_AWAY: f64 = 1e-2;
/// A rise of the log-likelihood, as a share of it, that is lost in rounding.
const ROUNDING: f64 = 1e-12;
/// A direction of which the data know so small a share of what they know of its parameter alone is not known at all.
const DEPENDENT: f64 = 1e-10;

/// Fails at the `start` if the curvature there is flat in some direction: the parameters then depend on each other.
pub fn maximise(
    start: Vec<f64>,
    evaluate: impl Fn(&[f64]) -> Evaluated,
    is_cancelled: IsCancelled,
) -> Result<Top> {
    let n = start.len();
    let at = evaluate(&start);
    if is_cancelled() {
        return Err(Error::Cancelled);
    }
    if !is_independent(&at.information, n) {
        return Err(Error::TooLittle(
            "a feature is constant, or features depend on each other: leave one out",
        ));
    }
    let mut top = Top {
        parameters: start,
        at,
        next_step: vec![0.0; n],
        iterations: 0,
        converged: false,
    };
    loop {
        let Some(lower) = linear::cholesky(&top.at.information, n) else {
            return Ok(top);
        };
        top.next_step = linear::solve(&lower, n, &top.at.score);
        let gain: f64 = dot(&top.next_step, &top.at.score);
        let size = top.at.log_likelihood.abs().max(1.0);
        top.converged = gain < ROUNDING * size;
        if gain < 1e-6 * ROUNDING * size || top.iterations == MOST_ITERATIONS {
            return Ok(top);
        }
        let has_risen = top.rise(&evaluate);
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        if !has_risen {
            return Ok(top);
        }
        top.iterations += 1;
    }
}

impl Top {
    /// Whether the next step, though it wins nothing, would still move what is predicted for some of the `rows`: there is no
    /// maximum, the likelihood rises without end towards its bound.
    pub fn runs_away(&self, rows: &[f64], n: usize) -> bool {
        rows.chunks_exact(n)
            .any(|row| dot(row, &self.next_step).abs() > RUNS_AWAY)
    }

    /// Takes the next step, or as much of it as does not lead downwards; whether there was any.
    fn rise(&mut self, evaluate: impl Fn(&[f64]) -> Evaluated) -> bool {
        let least = self.at.log_likelihood - ROUNDING * self.at.log_likelihood.abs();
        let mut length = 1.0;
        while length > 1e-8 {
            let steps = self.parameters.iter().zip(&self.next_step);
            let tried: Vec<f64> = steps.map(|(b, s)| b + length * s).collect();
            let next = evaluate(&tried);
            if next.log_likelihood >= least {
                (self.parameters, self.at) = (tried, next);
                return true;
            }
            length *= 0.5;
        }
        false
    }
}

fn is_independent(information: &[f64], n: usize) -> bool {
    linear::cholesky(information, n).is_some_and(|lower| {
        let at = |i: usize| i * n + i;
        (0..n).all(|i| lower[at(i)].powi(2) > DEPENDENT * information[at(i)])
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// −cosh(x − 2) − cosh(y + 1), whose top is at (2, −1).
    fn hill(p: &[f64]) -> Evaluated {
        let (x, y) = (p[0] - 2.0, p[1] + 1.0);
        Evaluated {
            log_likelihood: -x.cosh() - y.cosh(),
            score: vec![-x.sinh(), -y.sinh()],
            information: vec![x.cosh(), 0.0, 0.0, y.cosh()],
        }
    }

    #[test]
    fn the_top_is_reached_from_afar() {
        let top = maximise(vec![-20.0, 15.0], hill, &|| false).expect("climbed");
        assert!(top.converged, "{top:?}");
        assert!((top.parameters[0] - 2.0).abs() < 1e-8, "{top:?}");
        assert!((top.parameters[1] + 1.0).abs() < 1e-8, "{top:?}");
    }

    #[test]
    fn a_ridge_is_refused() {
        let ridge = |p: &[f64]| Evaluated {
            log_likelihood: -(p[0] + p[1]).powi(2),
            score: vec![-2.0 * (p[0] + p[1]); 2],
            information: vec![2.0; 4],
        };
        assert!(maximise(vec![1.0, 1.0], ridge, &|| false).is_err());
    }

    #[test]
    fn a_climb_can_be_cancelled() {
        let result = maximise(vec![0.0, 0.0], hill, &|| true);
        assert_eq!(result.err(), Some(Error::Cancelled));
    }
}
