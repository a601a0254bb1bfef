//! `customer_lifetime_value`: what a customer will still bring, in money of today.
//!
//! As `lifetimes` has it, with one period for its month: with E(t) the purchases expected within t and s the expected spend
//! per purchase, Σ s·(E(t) − E(t−1)) / (1 + discount)^t over the periods t = 1, 2, … up to the horizon; a last part of a
//! period is discounted at its end.

use rapport_stats::bgnbd::BgNbd;
use rapport_stats::gamma_gamma::GammaGamma;
use rapport_stats::history::History;
use rapport_stats::{Error, Result};
use rapport_udf_face::{Argument, Page, Scalar, Work, cancel, taken, within};

use crate::bgnbd::{A, ALPHA, B, R};
use crate::gamma_gamma::{MEAN_SPEND, P, Q, V, spend};
use crate::history::{AGE, RECENCY, REPEATS, SECTION};

/// Each period costs one evaluation of the model.
const MOST_PERIODS: f64 = 10_000.0;
/// Periods between two looks at whether the answer is still wanted.
const OFTEN: u32 = 64;

pub(crate) const SCALARS: &[Scalar] = &[Scalar {
    name: "customer_lifetime_value",
    arguments: &[
        R,
        ALPHA,
        A,
        B,
        P,
        Q,
        V,
        REPEATS,
        RECENCY,
        AGE,
        MEAN_SPEND,
        Argument::number(
            "horizon",
            "how many periods to look ahead, from 0 to 10000; a period is the unit of age",
        ),
        Argument::number(
            "discount",
            "by how much money is worth less a period later, as a share of at least 0: 0.01 is 1 % per unit of age",
        ),
    ],
    page: Page {
        section: SECTION,
        says: "What a customer will spend within the horizon, in money of today and the currency of mean_spend, after the BG/NBD model of purchases and the gamma-gamma model of their values: over the periods, the purchases expected in each, times the expected spend per purchase, divided by (1 + discount) to the power of the period's number. A period is the unit of age: fit on weeks, horizon counts weeks and discount is per week. NULL if an argument is NULL. Infinity where the expected spend is. Refused (22023) is what bgnbd_expected_purchases and gamma_gamma_expected_value refuse, and a horizon or a discount out of range.",
        example: "SELECT customer_lifetime_value(0.243, 4.414, 0.793, 2.426, 6.25, 3.74, 15.44, 2, 30.43, 38.86, 22.35, 52, 0.0027);",
    },
    work: Work::NumberOrInfinity(lifetime_value),
}];

fn lifetime_value(row: &[f64]) -> Result<f64> {
    let [
        r,
        alpha,
        a,
        b,
        p,
        q,
        v,
        repeats,
        recency,
        age,
        mean_spend,
        horizon,
        discount,
    ] = taken(row);
    let model = BgNbd::new(r, alpha, a, b)?;
    let history = History::new(repeats, recency, age)?;
    let value = GammaGamma::new(p, q, v)?.expected_spend(spend(repeats, mean_spend)?);
    within(
        "horizon",
        "a number from 0 to 10000",
        horizon,
        0.0..=MOST_PERIODS,
    )?;
    within(
        "discount",
        "a finite number of at least 0",
        discount,
        0.0..=f64::MAX,
    )?;
    let (mut sum, mut before) = (0.0, 0.0);
    for period in 1..=horizon.ceil() as u32 {
        if period % OFTEN == 0 && cancel::is_cancelled() {
            return Err(Error::Cancelled);
        }
        let end = f64::from(period).min(horizon);
        let until = model.expected_purchases(history, end)?;
        sum += (until - before) / (1.0 + discount).powf(end);
        before = until;
    }
    Ok(if sum == 0.0 { 0.0 } else { value * sum })
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    fn ask(history: [f64; 4], horizon: f64, discount: f64) -> datafusion_common::Result<f64> {
        let parameters = [0.243, 4.414, 0.793, 2.426, 6.25, 3.74, 15.44];
        let arguments = [&parameters[..], &history, &[horizon, discount]].concat();
        check::scalar(&crate::functions(), "customer_lifetime_value", &arguments)
    }

    const CUSTOMER: [f64; 4] = [2.0, 30.43, 38.86, 22.35];

    fn check(horizon: f64, discount: f64, expected: f64) {
        let got = ask(CUSTOMER, horizon, discount).expect("an answer");
        assert!((got - expected).abs() < 1e-3, "{got}, not {expected}");
    }

    #[test]
    fn without_discount_it_is_purchases_times_spend() {
        // 1.226028 purchases (A10) of 24.6637 each (A9).
        check(39.0, 0.0, 1.226028 * 24.663_714);
        check(0.0, 0.01, 0.0);
    }

    #[test]
    fn money_of_tomorrow_is_worth_less() {
        let of = |discount: f64| ask(CUSTOMER, 39.0, discount).expect("an answer");
        assert!(of(0.01) < of(0.001) && of(0.001) < of(0.0));
    }

    #[test]
    fn a_part_of_a_period_counts_as_such() {
        let of = |horizon: f64| ask(CUSTOMER, horizon, 0.01).expect("an answer");
        assert!(of(4.0) < of(4.5) && of(4.5) < of(5.0));
    }

    #[test]
    fn one_without_a_repeat_is_expected_to_spend_as_others() {
        let value = ask([0.0, 0.0, 38.86, 0.0], 39.0, 0.0).expect("an answer");
        assert!(value > 0.0 && value.is_finite());
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let refused = |horizon: f64, discount: f64, what: &str| {
            let error = ask(CUSTOMER, horizon, discount).expect_err("refused");
            check::is_refusal(&error, what);
        };
        refused(-1.0, 0.0, "horizon must be a number from 0 to 10000");
        refused(1e9, 0.0, "horizon");
        refused(39.0, -0.01, "discount");
        refused(39.0, f64::NAN, "discount");
    }
}
