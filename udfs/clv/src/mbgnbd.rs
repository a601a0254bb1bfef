//! `mbgnbd_…`: as `bgnbd_…`, but a customer may already stop after the very first purchase.

use rapport_stats::Result;
use rapport_stats::history::History;
use rapport_stats::mbgnbd::MbgNbd;
use rapport_udf_face::{Aggregate, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told};

use crate::bgnbd::{A, ALPHA, B, R};
use crate::history::{AGE, HORIZON, RECENCY, REPEATS, SECTION, WEIGHT, customers, fit_says, says};

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "mbgnbd_p_alive",
        arguments: &[R, ALPHA, A, B, REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: says!(
                "Probability that a customer has not stopped buying by now, after the MBG/NBD model, in which one may stop after the first purchase already."
            ),
            example: "SELECT mbgnbd_p_alive(0.525, 6.183, 0.891, 1.614, 0, 0, 38.86);",
        },
        work: Work::Number(p_alive),
    },
    Scalar {
        name: "mbgnbd_expected_purchases",
        arguments: &[R, ALPHA, A, B, REPEATS, RECENCY, AGE, HORIZON],
        page: Page {
            section: SECTION,
            says: says!(
                "Purchases that a customer is expected to make within the horizon, after the MBG/NBD model."
            ),
            example: "SELECT mbgnbd_expected_purchases(0.525, 6.183, 0.891, 1.614, 2, 30.43, 38.86, 39);",
        },
        work: Work::Number(expected_purchases),
    },
    Scalar {
        name: "mbgnbd_expected_purchases_of_new",
        arguments: &[R, ALPHA, A, B, HORIZON],
        page: Page {
            section: SECTION,
            says: "Purchases beyond the first that a new customer is expected to make within the horizon, after the MBG/NBD model. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0 and a horizon below 0; (22003) what double precision cannot hold.",
            example: "SELECT mbgnbd_expected_purchases_of_new(0.525, 6.183, 0.891, 1.614, 52);",
        },
        work: Work::Number(expected_purchases_of_new),
    },
    Scalar {
        name: "mbgnbd_log_likelihood",
        arguments: &[R, ALPHA, A, B, REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: says!(
                "Logarithm of the density of a customer's history after the MBG/NBD model; the sum over customers says how well the parameters fit them."
            ),
            example: "SELECT mbgnbd_log_likelihood(0.25, 4, 0.8, 2.5, 200, 38, 40);",
        },
        work: Work::Number(log_likelihood),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "mbgnbd_fit",
    arguments: &[REPEATS, RECENCY, AGE, WEIGHT],
    answer: fit_row!["r", "alpha", "a", "b"],
    page: Page {
        section: SECTION,
        says: fit_says!(
            "The parameters r, alpha, a and b of the MBG/NBD model of one row per customer, or per group of equal ones with its weight."
        ),
        example: "SELECT (mbgnbd_fit(repeats, recency, age)).* FROM summaries;",
    },
    work: fit,
}];

fn p_alive(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, recency, age] = taken(row);
    let model = MbgNbd::new(r, alpha, a, b)?;
    Ok(model.p_alive(History::new(repeats, recency, age)?))
}

fn expected_purchases(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, recency, age, horizon] = taken(row);
    let model = MbgNbd::new(r, alpha, a, b)?;
    model.expected_purchases(History::new(repeats, recency, age)?, horizon)
}

fn expected_purchases_of_new(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, horizon] = taken(row);
    MbgNbd::new(r, alpha, a, b)?.expected_purchases_of_new(horizon)
}

fn log_likelihood(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, recency, age] = taken(row);
    let model = MbgNbd::new(r, alpha, a, b)?;
    Ok(model.log_likelihood(History::new(repeats, recency, age)?))
}

fn fit(rows: &Rows) -> Result<Value> {
    let customers = customers(rows)?;
    let fit = MbgNbd::fit(&customers, &cancel::asked())?;
    Ok(told(&fit, customers.weight()))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    fn ask(name: &str, arguments: &[f64]) -> f64 {
        check::scalar(&crate::functions(), name, arguments).expect("an answer")
    }

    const PUBLISHED: [f64; 4] = [0.525, 6.183, 0.891, 1.614];

    #[test]
    fn the_published_likelihoods_come_out() {
        let of = |history: [f64; 3]| {
            let arguments = [&[0.25, 4.0, 0.8, 2.5], &history[..]].concat();
            ask("mbgnbd_log_likelihood", &arguments)
        };
        assert!((of([0.0, 0.0, 40.0]) + 0.417928).abs() < 1e-4);
        assert!((of([200.0, 38.0, 40.0]) - 100.7869).abs() < 1e-4);
    }

    #[test]
    fn one_without_a_repeat_may_have_stopped() {
        let arguments = [&PUBLISHED[..], &[0.0, 0.0, 38.86]].concat();
        let p_alive = ask("mbgnbd_p_alive", &arguments);
        assert!(p_alive > 0.0 && p_alive < 1.0, "{p_alive}");
    }

    #[test]
    fn within_no_time_nothing_is_bought() {
        let arguments = [&PUBLISHED[..], &[2.0, 30.43, 38.86, 0.0]].concat();
        assert_eq!(ask("mbgnbd_expected_purchases", &arguments), 0.0);
        let arguments = [&PUBLISHED[..], &[0.0]].concat();
        assert_eq!(ask("mbgnbd_expected_purchases_of_new", &arguments), 0.0);
    }

    #[test]
    fn an_impossible_history_is_refused() {
        let arguments = [&PUBLISHED[..], &[0.0, 1.0, 38.86]].concat();
        let answer = check::scalar(&crate::functions(), "mbgnbd_p_alive", &arguments);
        check::is_refusal(&answer.expect_err("refused"), "0 repeats, recency 1");
    }

    #[test]
    fn a_fit_finds_the_maximum() {
        let parameters = [
            ("r", 2.19100185),
            ("alpha", 12.99168847),
            ("a", 0.63047684),
            ("b", 0.51295834),
        ];
        crate::simulated::check("mbgnbd_fit", &parameters, -1_419.096_397_1);
    }
}
