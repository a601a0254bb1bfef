//! Maximum likelihood for models of a few positive parameters.
//!
//! The search runs over the logarithms of the parameters (so that all of them stay positive and a change of units is a
//! shift) by BFGS with exact gradients, from several starts; of many customers first with a few that stand for all, and
//! then, from where that led, with all. Sums over customers are taken in pieces of a fixed size and added in their order,
//! so that any number of threads gives the same bits.

use rayon::prelude::*;

use crate::dual::{Dual, Real};
use crate::linear;
use crate::{Error, Result};

/// A model's log-likelihood of its data, in nats.
pub trait Likelihood<const N: usize>: Sync + Sized {
    /// Of a cancelled fit nothing is expected but an early end.
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; N],
        is_cancelled: IsCancelled,
    ) -> R;

    /// Sum of the weights: how many customers the data stand for.
    fn weight(&self) -> f64;

    /// The same of a few rows that stand for all, as [`crate::alike::few`] takes them; nothing where all are few.
    fn few(&self) -> Option<Self> {
        None
    }
}

/// Asked every few thousand customers; a fit that is no longer wanted ends with [`Error::Cancelled`].
pub type IsCancelled<'a> = &'a (dyn Fn() -> bool + Sync);

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit<const N: usize> {
    /// In the order in which the model names them.
    pub parameters: [f64; N],
    pub log_likelihood: f64,
    /// From the curvature at the maximum; NaN where it is flat.
    pub standard_errors: [f64; N],
    /// Evaluations of likelihood and gradient, from all starts.
    pub evaluations: usize,
    /// The gradient is zero, as far as numbers go, and likelihood and parameters are finite.
    pub converged: bool,
    /// The maximum lies at the edge of what the parameters may be, or is flat: the data do not tell them apart. The
    /// likelihood is right, the parameters are not to be read one by one.
    pub boundary: bool,
}

/// Of the gradient of the mean log-likelihood by the logarithms.
const FLAT: f64 = 1e-9;
/// Of the same, where the last digits of the likelihood are reached.
const NEARLY_FLAT: f64 = 1e-4;
/// Of the mean log-likelihood: what the order of summing and the last digits of lnΓ change.
const ROUNDING: f64 = 1e-12;
/// Steps one after the other that win no more than that.
const MOST_IN_VAIN: usize = 3;
const MOST_STEPS: usize = 500;
/// A step of the logarithms that changes no digit of the standard errors that is shown.
const SAME: f64 = 1e-6;
/// A parameter that is e^±EDGE of where it started has run away.
const EDGE: f64 = 25.0;
/// An uncertainty of a parameter's logarithm at which nothing is known about it.
const UNKNOWN: f64 = 5.0;
const PIECE: usize = 1_024;

/// The sum of `f` over `rows`, on all cores, the same on any number of them. Once it is cancelled, what is left is left out.
pub fn sum<T: Sync, R: Real + Send>(
    rows: &[T],
    is_cancelled: IsCancelled,
    f: impl Fn(&T) -> R + Sync,
) -> R {
    let none = || R::constant(0.0);
    let of_piece = |piece: &[T]| match is_cancelled() {
        true => none(),
        false => piece.iter().fold(none(), |sum, row| sum + f(row)),
    };
    let pieces: Vec<R> = rows.par_chunks(PIECE).map(of_piece).collect();
    pieces.into_iter().fold(none(), |sum, piece| sum + piece)
}

/// The best maximum that is reached from any of the `starts`.
pub fn maximise<const N: usize>(
    model: &impl Likelihood<N>,
    starts: &[[f64; N]],
    is_cancelled: IsCancelled,
) -> Result<Fit<N>> {
    if model.weight().is_nan() || model.weight() <= 0.0 {
        return Err(Error::TooLittle("there is nothing to fit"));
    }
    let mut search = Search {
        model,
        is_cancelled,
        evaluations: 0,
    };
    if let Some(few) = model.few() {
        let mut ahead = Search {
            model: &few,
            is_cancelled,
            evaluations: 0,
        };
        let near = ahead.highest(starts)?;
        search.evaluations = ahead.evaluations;
        if near.converged && !is_far(&near.at.logs, &near.start) {
            let mut climb = search.climb(near.at.logs, Some(near.inverse))?;
            climb.start = near.start;
            if climb.converged {
                return search.finish(&climb);
            }
        }
    }
    let highest = search.highest(starts)?;
    search.finish(&highest)
}

struct Search<'a, L, const N: usize> {
    model: &'a L,
    is_cancelled: IsCancelled<'a>,
    evaluations: usize,
}

/// A place, its mean log-likelihood, and the gradient of that.
#[derive(Clone, Copy)]
struct Point<const N: usize> {
    logs: [f64; N],
    value: f64,
    gradient: [f64; N],
}

struct Climb<const N: usize> {
    start: [f64; N],
    at: Point<N>,
    /// What was learned of the inverse of minus the curvature.
    inverse: [[f64; N]; N],
    converged: bool,
}

impl<L: Likelihood<N>, const N: usize> Search<'_, L, N> {
    fn evaluate(&mut self, logs: [f64; N]) -> Result<Point<N>> {
        self.evaluations += 1;
        let parameters = std::array::from_fn(|n| Dual::<N>::variable(logs[n], n).exp());
        let sum = self.model.log_likelihood(parameters, self.is_cancelled);
        if (self.is_cancelled)() {
            return Err(Error::Cancelled);
        }
        let mean = sum / self.model.weight();
        Ok(Point {
            logs,
            value: if mean.value.is_nan() {
                f64::NEG_INFINITY
            } else {
                mean.value
            },
            gradient: mean.by,
        })
    }

    fn highest(&mut self, starts: &[[f64; N]]) -> Result<Climb<N>> {
        let mut highest: Option<Climb<N>> = None;
        for start in starts {
            let climb = self.climb(start.map(f64::ln), None)?;
            if highest
                .as_ref()
                .is_none_or(|highest| climb.at.value > highest.at.value)
            {
                highest = Some(climb);
            }
        }
        highest.ok_or(Error::TooLittle("there is nowhere to start from"))
    }

    /// BFGS: the inverse of the curvature is learned from the gradients met on the way, on top of what is `known` of it.
    fn climb(&mut self, logs: [f64; N], known: Option<[[f64; N]; N]>) -> Result<Climb<N>> {
        let mut at = self.evaluate(logs)?;
        let mut is_fresh = known.is_none();
        let mut inverse = known.unwrap_or_else(identity);
        let ended = |at, inverse, converged| Climb {
            start: logs,
            at,
            inverse,
            converged,
        };
        let mut in_vain = 0;
        for _ in 0..MOST_STEPS {
            if largest(&at.gradient) < FLAT {
                return Ok(ended(at, inverse, true));
            }
            let mut direction = times(&inverse, &at.gradient);
            if dot(&direction, &at.gradient) <= 0.0 {
                (inverse, is_fresh) = (identity(), true);
                direction = at.gradient;
            }
            // A step multiplies no parameter by more than e².
            let scale = (2.0 / largest(&direction)).min(1.0);
            let direction = direction.map(|d| d * scale);
            if dot(&direction, &at.gradient) <= ROUNDING * at.value.abs() {
                // What could still be won is lost in the rounding of the sum.
                return Ok(ended(at, inverse, true));
            }
            let Some(next) = self.step(&at, &direction)? else {
                if is_fresh {
                    // Not even straight uphill is there anything higher.
                    let converged = largest(&at.gradient) < 1e3 * FLAT;
                    return Ok(ended(at, inverse, converged));
                }
                (inverse, is_fresh) = (identity(), true);
                continue;
            };
            learn(&mut inverse, &at, &next, is_fresh);
            is_fresh = false;
            in_vain = match next.value - at.value > ROUNDING * at.value.abs() {
                true => 0,
                false => in_vain + 1,
            };
            at = next;
            if in_vain == MOST_IN_VAIN || is_far(&at.logs, &logs) {
                return Ok(ended(at, inverse, largest(&at.gradient) < 1e3 * FLAT));
            }
        }
        Ok(ended(at, inverse, false))
    }

    /// Along `direction`, to where the likelihood rises enough and the slope has eased.
    fn step(&mut self, at: &Point<N>, direction: &[f64; N]) -> Result<Option<Point<N>>> {
        let slope = dot(direction, &at.gradient);
        let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
        let mut best: Option<Point<N>> = None;
        for tried in 0..40 {
            let next =
                self.evaluate(std::array::from_fn(|n| at.logs[n] + length * direction[n]))?;
            if next.value >= at.value + 1e-4 * length * slope {
                if best.is_none_or(|best| next.value >= best.value) {
                    best = Some(next);
                }
                if dot(direction, &next.gradient) <= 0.9 * slope {
                    return Ok(Some(next));
                }
                low = length;
            } else {
                high = length;
            }
            if high - low < 1e-10 * length || (best.is_some() && tried > 10) {
                break;
            }
            length = match high.is_finite() {
                true => 0.5 * (low + high),
                false => 2.0 * length,
            };
            if length * largest(direction) > 8.0 {
                break;
            }
        }
        Ok(best)
    }

    fn finish(&mut self, climb: &Climb<N>) -> Result<Fit<N>> {
        // The gradient is exact where the likelihood is rounded: steps of it get the last digits.
        let mut at = self.nearer(climb.at, times(&climb.inverse, &climb.at.gradient))?;
        let mut covariance = self.covariance(&at)?;
        if let Some(known) = &covariance {
            let step: [f64; N] = std::array::from_fn(|i| {
                let row = &known[i * N..(i + 1) * N];
                let product: f64 = row.iter().zip(&at.gradient).map(|(c, g)| c * g).sum();
                product * self.model.weight()
            });
            if largest(&step) < SAME {
                at.logs = std::array::from_fn(|n| at.logs[n] + step[n]);
            } else {
                let next = self.nearer(at, step)?;
                if next.logs != at.logs {
                    covariance = self.covariance(&next)?;
                    at = next;
                }
            }
        }
        let logs = at.logs;
        let parameters = logs.map(f64::exp);
        let errors = |n: usize| match &covariance {
            Some(covariance) => covariance[n * N + n].sqrt(),
            None => f64::NAN,
        };
        let of_logs: [f64; N] = std::array::from_fn(errors);
        let has_run_away = is_far(&logs, &climb.start);
        let boundary = has_run_away
            || of_logs
                .iter()
                .any(|error| error.is_nan() || *error >= UNKNOWN);
        let log_likelihood = at.value * self.model.weight();
        let are_numbers =
            log_likelihood.is_finite() && parameters.iter().all(|value| value.is_finite());
        // Far out the gradient is what rounding leaves of it.
        let is_flat = largest(&at.gradient) < NEARLY_FLAT || has_run_away;
        Ok(Fit {
            parameters,
            log_likelihood,
            standard_errors: std::array::from_fn(|n| of_logs[n] * parameters[n]),
            evaluations: self.evaluations,
            converged: (climb.converged || boundary) && are_numbers && is_flat,
            boundary,
        })
    }

    /// A small `step` onwards, if it flattens the gradient.
    fn nearer(&mut self, at: Point<N>, step: [f64; N]) -> Result<Point<N>> {
        if largest(&step) >= 1e-2 {
            return Ok(at);
        }
        let next = self.evaluate(std::array::from_fn(|n| at.logs[n] + step[n]))?;
        match largest(&next.gradient) < largest(&at.gradient) {
            true => Ok(next),
            false => Ok(at),
        }
    }

    /// Of the logarithms: the inverse of minus the curvature, by differences of the gradient.
    fn covariance(&mut self, at: &Point<N>) -> Result<Option<Vec<f64>>> {
        const H: f64 = 1e-6;
        let mut curvature = vec![0.0; N * N];
        for i in 0..N {
            let mut logs = at.logs;
            logs[i] += H;
            let moved = self.evaluate(logs)?;
            for j in 0..N {
                let second = (moved.gradient[j] - at.gradient[j]) / H * self.model.weight();
                curvature[i * N + j] -= 0.5 * second;
                curvature[j * N + i] -= 0.5 * second;
            }
        }
        Ok(linear::inverse(&curvature, N))
    }
}

/// The BFGS update of the inverse curvature of minus the likelihood.
fn learn<const N: usize>(
    inverse: &mut [[f64; N]; N],
    at: &Point<N>,
    next: &Point<N>,
    is_fresh: bool,
) {
    let s: [f64; N] = std::array::from_fn(|n| next.logs[n] - at.logs[n]);
    let y: [f64; N] = std::array::from_fn(|n| at.gradient[n] - next.gradient[n]);
    let sy = dot(&s, &y);
    if sy <= 1e-14 * dot(&y, &y).sqrt() * dot(&s, &s).sqrt() {
        return;
    }
    if is_fresh {
        let size = sy / dot(&y, &y);
        *inverse = identity().map(|row: [f64; N]| row.map(|value| value * size));
    }
    let hy = times(inverse, &y);
    let factor = (1.0 + dot(&y, &hy) / sy) / sy;
    for i in 0..N {
        for j in 0..N {
            inverse[i][j] += factor * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy;
        }
    }
}

fn is_far<const N: usize>(logs: &[f64; N], start: &[f64; N]) -> bool {
    logs.iter()
        .zip(start)
        .any(|(log, start)| (log - start).abs() > EDGE)
}

fn identity<const N: usize>() -> [[f64; N]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))))
}

fn times<const N: usize>(matrix: &[[f64; N]; N], vector: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|i| dot(&matrix[i], vector))
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest<const N: usize>(vector: &[f64; N]) -> f64 {
    vector.iter().fold(0.0, |most, value| {
        if value.is_finite() {
            f64::max(most, value.abs())
        } else {
            f64::INFINITY
        }
    })
}
