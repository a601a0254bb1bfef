//! Pareto/NBD: customers buy at their own steady rate and may stop at any moment.
//!
//! While active, a customer buys as a Poisson process with rate λ; the time until they stop for good is exponential with
//! rate µ. Rates of buying differ between customers as a gamma distribution (shape r, rate α), rates of stopping as another
//! (shape s, rate β), and the two are independent.
//!
//! Where α and β lie far apart, as they do when nobody seems to stop, ₂F₁ takes thousands of terms, and the integral that it
//! stands for is taken by quadrature.
//!
//! Source: Schmittlein, Morrison & Colombo (1987), Management Science 33(1); the form of the likelihood of Fader & Hardie,
//! note 009, with ₂F₁ after Euler's transformation; discounted expected residual transactions of Fader, Hardie & Lee
//! (2005), "RFM and CLV", J. of Marketing Research 42(4), doi 10.1509/jmkr.2005.42.4.415.

use std::borrow::Cow;

use crate::dual::{Real, ln_diff_exp, ln_rising, ln_sum_exp};
use crate::error::{not_negative, positive};
use crate::fit::{self, Fit, IsCancelled, Likelihood};
use crate::history::{Customers, History, in_spans};
use crate::special::{GAUSS, hyp2f1, scaled_exponential_integral};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParetoNbd {
    r: f64,
    alpha: f64,
    s: f64,
    beta: f64,
}

impl ParetoNbd {
    pub fn new(r: f64, alpha: f64, s: f64, beta: f64) -> Result<Self> {
        Ok(Self {
            r: positive("r", r)?,
            alpha: positive("alpha", alpha)?,
            s: positive("s", s)?,
            beta: positive("beta", beta)?,
        })
    }

    /// Parameters in the order r, α, s, β.
    pub fn fit(customers: &Customers, is_cancelled: IsCancelled) -> Result<Fit<4>> {
        let rate = customers.rate();
        let starts = [
            [1.0, 1.0 / rate, 1.0, 1.0 / rate],
            [0.5, 0.5 / rate, 0.5, 0.3 / rate],
        ];
        fit::maximise(&Data(Cow::Borrowed(customers)), &starts, is_cancelled)
    }

    pub fn log_likelihood(&self, history: History) -> f64 {
        let parameters = self.parameters();
        of_repeats(parameters, history.repeats) + of_times(parameters, history)
    }

    fn parameters(&self) -> [f64; 4] {
        [self.r, self.alpha, self.s, self.beta]
    }

    /// Probability that the customer has not stopped by now.
    pub fn p_alive(&self, history: History) -> f64 {
        let [active, stopped] = ways(self.parameters(), history);
        1.0 / (1.0 + (stopped - active).exp())
    }

    /// Purchases expected in the next `horizon`, in the unit of the histories.
    pub fn expected_purchases(&self, history: History, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        let time = active_time(self.s, self.beta + history.age, horizon);
        Ok(self.p_alive(history) * self.purchases_within(history, time))
    }

    /// Purchases, beyond the first, that a new customer is expected to make within `horizon`.
    pub fn expected_purchases_of_new(&self, horizon: f64) -> Result<f64> {
        not_negative("horizon", horizon)?;
        Ok(self.r * (active_time(self.s, self.beta, horizon) / self.alpha))
    }

    /// Discounted expected residual transactions: all purchases still to come, each worth e^(−`discount` · time until then).
    ///
    /// `discount` is a continuously compounded rate per unit of the histories: 15 % a year is ln(1.15)/52 a week.
    pub fn discounted_residual_purchases(&self, history: History, discount: f64) -> Result<f64> {
        positive("discount", discount)?;
        // ∫₀^∞ e^(−discount·τ) (1 + τ/(β+T))^−s dτ: the discounted time that one who is active now stays so.
        let span = self.beta + history.age;
        let time = span * scaled_exponential_integral(self.s, discount * span);
        Ok(self.p_alive(history) * self.purchases_within(history, time))
    }

    /// Of one who stays active for `time`.
    fn purchases_within(&self, history: History, time: f64) -> f64 {
        (self.r + history.repeats) * in_spans(time, self.alpha, history.age)
    }
}

/// Time that one who is active now is expected to stay so within `horizon`: (β+T)/(s−1) · \[1 − ((β+T)/(β+T+t))^(s−1)\],
/// which has no pole at s = 1.
fn active_time(s: f64, beta: f64, horizon: f64) -> f64 {
    let log = (horizon / beta).ln_1p();
    let u = (s - 1.0) * log;
    let shape = if u.abs() < 1e-300 {
        1.0
    } else {
        -(-u).exp_m1() / u
    };
    beta * log * shape
}

struct Data<'a>(Cow<'a, Customers>);

impl Likelihood<4> for Data<'_> {
    fn log_likelihood<R: Real + Send + Sync>(
        &self,
        parameters: [R; 4],
        is_cancelled: IsCancelled,
    ) -> R {
        let counts = fit::sum(&self.0.repeats, is_cancelled, |(x, weight)| {
            of_repeats(parameters, *x) * *weight
        });
        let times = fit::sum(&self.0.histories, is_cancelled, |(history, weight)| {
            of_times(parameters, *history) * *weight
        });
        counts + times
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn few(&self) -> Option<Self> {
        self.0.few().map(Cow::Owned).map(Self)
    }
}

/// The part that depends on the number of repeats only.
fn of_repeats<R: Real>([r, alpha, ..]: [R; 4], x: f64) -> R {
    ln_rising(r, R::constant(x)) - alpha.ln() * x
}

fn of_times<R: Real>(parameters: [R; 4], history: History) -> R {
    let [active, stopped] = ways(parameters, history);
    ln_sum_exp(active, stopped)
}

/// ln of the two ways to the history, α and β being the units of time: still active at its end, or stopped since the last
/// purchase.
fn ways<R: Real>([r, alpha, s, beta]: [R; 4], history: History) -> [R; 2] {
    let History {
        repeats: x,
        recency,
        age,
    } = history;
    let within = |rate: R| (R::constant(age) / rate).ln_1p();
    let active = -((r + x) * within(alpha)) - s * within(beta);
    if recency == age {
        return [active, R::constant(f64::NEG_INFINITY)];
    }
    let (least, most) = match alpha.value() < beta.value() {
        true => (alpha.value(), beta.value()),
        false => (beta.value(), alpha.value()),
    };
    // The series of ₂F₁ falls by 1 minus this a term.
    let is_slow = (least + recency) / (most + recency) < SLOW;
    let stopped = match is_slow {
        true => by_quadrature([r, alpha, s, beta], history),
        false => by_series([r, alpha, s, beta], history),
    };
    [active, stopped]
}

/// ln of s/β ∫ (1 + τ/β)^−(s+1) (1 + τ/α)^−(r+x) dτ from recency to age, τ being when the customer stopped: as the
/// difference of two integrals to infinity, each a ₂F₁.
fn by_series<R: Real>([r, alpha, s, beta]: [R; 4], history: History) -> R {
    let History {
        repeats: x,
        recency,
        age,
    } = history;
    // Of stopping later than `t` after the first purchase.
    let after = |t: f64| {
        let (a, b) = (alpha + t, beta + t);
        let [of_alpha, of_beta] = [alpha, beta].map(|rate| (R::constant(t) / rate).ln_1p());
        let one = R::constant(1.0);
        if alpha.value() >= beta.value() {
            let series = hyp2f1(one, r + x, r + s + (x + 1.0), (alpha - beta) / a);
            series.ln() - (r + x) * of_alpha - s * of_beta
        } else {
            let series = hyp2f1(one, s + 1.0, r + s + (x + 1.0), (beta - alpha) / b);
            series.ln() - (s + 1.0) * of_beta - (r + (x - 1.0)) * of_alpha + (alpha / beta).ln()
        }
    };
    s.ln() - (r + s + x).ln() + ln_diff_exp(after(recency), after(age))
}

/// Ratio of the two time scales below which the series is the longer way.
const SLOW: f64 = 0.1;
/// What lies e^−this below the integrand's peak is nothing beside it.
const NOTHING: f64 = 45.0;

/// The same integral over v = ln((c + τ) / (c + recency)), where c is the lesser of α and β: the logarithm of the integrand
/// is concave, so that its slope says where to end and how fine to cut.
fn by_quadrature<R: Real>(parameters: [R; 4], history: History) -> R {
    let [r, alpha, s, beta] = parameters.map(Real::value);
    let c = alpha.min(beta);
    let first = c + history.recency;
    let time_at = |v: f64| history.recency + first * v.exp_m1();
    let log_at = |v: f64| log_integrand([r, alpha, s, beta], history.repeats, time_at(v)) + v;
    let slope_at = |v: f64| {
        let span = first * v.exp();
        let of_alpha = (r + history.repeats) * span / (alpha - c + span);
        let of_beta = (s + 1.0) * span / (beta - c + span);
        1.0 - of_alpha - of_beta
    };

    let mut range = ((history.age - history.recency) / first).ln_1p();
    let (mut peak, slope) = (0.0, slope_at(0.0));
    if slope < 0.0 {
        range = range.min(NOTHING / -slope);
    }
    if -slope_at(range) * range > NOTHING {
        peak = bisect(range, |v| slope_at(v) > 0.0);
        let least = log_at(peak) - NOTHING;
        range = bisect(range, |v| v < peak || log_at(v) > least);
    }
    let steepest = slope.abs().max(slope_at(range).abs());
    let n_panels = ((2.0 + steepest) * range / 8.0).ceil().max(1.0);
    let half = 0.5 * range / n_panels;
    let reference = log_at(peak);
    let mut sum = R::constant(0.0);
    for panel in 0..n_panels as u32 {
        let middle = half * f64::from(2 * panel + 1);
        for (node, weight) in GAUSS {
            for v in [middle - half * node, middle + half * node] {
                let log = log_integrand(parameters, history.repeats, time_at(v)) + (v - reference);
                sum = sum + log.exp() * (weight * half);
            }
        }
    }
    let [_, _, s, beta] = parameters;
    (s / beta).ln() + sum.ln() + (reference + first.ln())
}

fn log_integrand<R: Real>([r, alpha, s, beta]: [R; 4], repeats: f64, time: f64) -> R {
    let [of_alpha, of_beta] = [alpha, beta].map(|rate| (R::constant(time) / rate).ln_1p());
    -((r + repeats) * of_alpha) - (s + 1.0) * of_beta
}

/// The end of what holds, which begins at 0 and ends once before `most`.
fn bisect(most: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, most);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        match holds(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

impl TryFrom<[f64; 4]> for ParetoNbd {
    type Error = Error;

    fn try_from([r, alpha, s, beta]: [f64; 4]) -> Result<Self> {
        Self::new(r, alpha, s, beta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(repeats: f64, recency: f64, age: f64) -> History {
        History::new(repeats, recency, age).expect("possible")
    }

    #[test]
    fn a12_customer_1516_and_a13_a_new_one() {
        let model = ParetoNbd::new(0.55328, 10.5777, 0.60624, 11.6687).expect("positive");
        let customer = history(26.0, 30.857, 31.0);
        let expected = model.expected_purchases(customer, 52.0).expect("a horizon");
        assert!((expected - 25.455).abs() < 0.01, "{expected}");
        assert!((model.p_alive(customer) - 0.99787).abs() < 1e-4);
        let new = model.expected_purchases_of_new(52.0).expect("a horizon");
        assert!((new - 1.47343).abs() < 1e-3, "{new}");
    }

    #[test]
    fn a14_the_increasing_frequency_paradox() {
        let model = ParetoNbd::new(0.55328, 10.5777, 0.60624, 11.6687).expect("positive");
        for (x, expected) in [
            (10.0, 0.70589),
            (15.0, 0.14415),
            (20.0, 0.02249),
            (25.0, 0.00309),
        ] {
            let got = model.expected_purchases(history(x, 20.0, 39.0), 52.0);
            let got = got.expect("a horizon");
            assert!(
                (got - expected).abs() < 0.01 * expected,
                "{got}, not {expected}"
            );
        }
    }

    #[test]
    fn a17_nothing_overflows() {
        let model = ParetoNbd::new(10.465, 0.00798565, 3.0516, 2.820).expect("positive");
        for customer in [
            history(400.0, 5.0, 6.0),
            history(500.0, 1.0, 37.0),
            history(500.0, 4.0, 37.0),
        ] {
            assert!(model.log_likelihood(customer).is_finite(), "{customer:?}");
            assert!((0.0..=1.0).contains(&model.p_alive(customer)));
        }
        let model = ParetoNbd::new(0.5143, 2.8845, 0.2856, 14.1087).expect("positive");
        assert!((0.0..=1.0).contains(&model.p_alive(history(221.0, 103.43, 103.57))));
    }

    #[test]
    fn a24_discounted_residual_purchases() {
        let model = ParetoNbd::new(0.5629966, 12.5590370, 0.4081095, 10.5148048).expect("positive");
        let of = |x, recency| {
            let got = model.discounted_residual_purchases(history(x, recency, 77.86), 0.0027);
            got.expect("a discount")
        };
        assert!(
            (of(7.0, 35.0) - 1.864183328).abs() < 1e-6,
            "{}",
            of(7.0, 35.0)
        );
        let expected = [
            2.19916, 2.84353, 2.86713, 2.44541, 1.84050, 1.26242, 0.80962, 0.49480, 0.29202,
            0.16793,
        ];
        for (x, expected) in (1..).zip(expected) {
            assert!((of(f64::from(x), 30.0) - expected).abs() < 1e-4, "{x}");
        }
    }

    #[test]
    fn where_nobody_stops_the_residual_is_a_perpetuity() {
        let discount = 0.0027;
        let expected = (0.7 + 3.0) / (9.0 + 38.0) / discount;
        let of = |s, beta| {
            let model = ParetoNbd::new(0.7, 9.0, s, beta).expect("positive");
            let got = model.discounted_residual_purchases(history(3.0, 30.0, 38.0), discount);
            got.expect("a discount") / expected
        };
        for s in [1e-3, 1e-5, 1e-7, 1e-300] {
            let got = of(s, 2e6);
            assert!((got - 1.0).abs() < 1e-3 * s + 1e-12, "{s} {got}");
        }
        assert!((of(8e-7, 2e6) - 1.0).abs() < 1e-9);
        // Everybody stops at the rate s/β.
        let rate = 1e-13;
        let got = of(1e13, 1e13 / rate);
        assert!(
            (got * (discount + rate) / discount - 1.0).abs() < 1e-9,
            "{got}"
        );
        let model = ParetoNbd::new(0.7, 9.0, 1e13, 1e14).expect("positive");
        let of_last = model.discounted_residual_purchases(history(3.0, 38.0, 38.0), discount);
        let expected = (0.7 + 3.0) / (9.0 + 38.0) / (discount + 0.1);
        let got = of_last.expect("a discount");
        assert!((got / expected - 1.0).abs() < 1e-9, "{got} {expected}");
    }

    #[test]
    fn series_and_quadrature_agree() {
        for (x, recency, age) in [
            (0.0, 0.0, 39.0),
            (0.0, 0.0, 1e-3),
            (1.0, 0.5, 38.0),
            (26.0, 30.857, 31.0),
            (300.0, 20.0, 39.0),
        ] {
            for parameters in [
                [0.55, 10.6, 0.61, 11.7],
                [0.55, 10.6, 0.61, 900.0],
                [0.7, 9.4, 1e-6, 4_000.0],
                [3.0, 0.05, 2.5, 2.0],
                [0.55, 500.0, 0.61, 0.3],
                [12.0, 0.2, 0.01, 0.001],
            ] {
                let customer = history(x, recency, age);
                let series = by_series(parameters, customer);
                let quadrature = by_quadrature(parameters, customer);
                // The series is a difference, which loses digits where little time has passed.
                let lost = 1e-12 * (x + 1.0) * (age / (age - recency)).max(1.0 / age);
                assert!(
                    (series - quadrature).abs() < 1e-11 + lost,
                    "{parameters:?} {customer:?}: {series} {quadrature}"
                );
            }
        }
    }

    #[test]
    fn there_is_no_pole_at_s_equal_to_1() {
        let at = |s: f64| {
            let model = ParetoNbd::new(0.55328, 10.5777, s, 11.6687).expect("positive");
            let got = model.expected_purchases(history(2.0, 30.43, 38.86), 39.0);
            got.expect("a horizon")
        };
        assert!((at(0.999_999) - at(1.0)).abs() < 1e-5 && (at(1.000_001) - at(1.0)).abs() < 1e-5);
    }

    #[test]
    fn a_last_purchase_at_the_very_end_means_alive() {
        let model = ParetoNbd::new(0.55328, 10.5777, 0.60624, 11.6687).expect("positive");
        assert_eq!(model.p_alive(history(3.0, 20.0, 20.0)), 1.0);
    }
}
