//! `bgnbd_…`: customers buy at their own rate and may stop after any purchase.

use rapport_stats::Result;
use rapport_stats::bgnbd::BgNbd;
use rapport_stats::history::History;
use rapport_udf_face::{
    Aggregate, Argument, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told, whole,
};

use crate::history::{AGE, HORIZON, RECENCY, REPEATS, SECTION, WEIGHT, customers, fit_says, says};

pub(crate) const R: Argument = Argument::number(
    "r",
    "shape of the distribution of purchase rates, above 0; as bgnbd_fit finds it",
);
pub(crate) const ALPHA: Argument = Argument::number(
    "alpha",
    "rate of the distribution of purchase rates, above 0, in the unit of age",
);
pub(crate) const A: Argument = Argument::number(
    "a",
    "first parameter of the beta distribution of stopping after a purchase, above 0",
);
pub(crate) const B: Argument = Argument::number(
    "b",
    "second parameter of the beta distribution of stopping after a purchase, above 0",
);

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "bgnbd_p_alive",
        arguments: &[R, ALPHA, A, B, REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: says!(
                "Probability that a customer has not stopped buying by now, after the BG/NBD model. It is 1 for everybody without a repeat, who has had no occasion to stop: mbgnbd_p_alive does not assume so."
            ),
            example: "SELECT bgnbd_p_alive(0.243, 4.414, 0.793, 2.426, 2, 30.43, 38.86);",
        },
        work: Work::Number(p_alive),
    },
    Scalar {
        name: "bgnbd_expected_purchases",
        arguments: &[R, ALPHA, A, B, REPEATS, RECENCY, AGE, HORIZON],
        page: Page {
            section: SECTION,
            says: says!(
                "Purchases that a customer is expected to make within the horizon, after the BG/NBD model."
            ),
            example: "SELECT bgnbd_expected_purchases(0.243, 4.414, 0.793, 2.426, 2, 30.43, 38.86, 39);",
        },
        work: Work::Number(expected_purchases),
    },
    Scalar {
        name: "bgnbd_expected_purchases_of_new",
        arguments: &[R, ALPHA, A, B, HORIZON],
        page: Page {
            section: SECTION,
            says: "Purchases beyond the first that a new customer is expected to make within the horizon, after the BG/NBD model. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0 and a horizon below 0; (22003) what double precision cannot hold.",
            example: "SELECT bgnbd_expected_purchases_of_new(0.243, 4.414, 0.793, 2.426, 52);",
        },
        work: Work::Number(expected_purchases_of_new),
    },
    Scalar {
        name: "bgnbd_probability_of_repeats",
        arguments: &[R, ALPHA, A, B, REPEATS, HORIZON],
        page: Page {
            section: SECTION,
            says: "Probability that a new customer makes exactly so many purchases beyond the first within the horizon, after the BG/NBD model. NULL if an argument is NULL. Refused (22023) are parameters or a horizon that are not above 0, and repeats that are not a whole number from 0 to 1000000; (22003) what double precision cannot hold.",
            example: "SELECT bgnbd_probability_of_repeats(0.243, 4.414, 0.793, 2.426, 0, 39);",
        },
        work: Work::Number(probability_of_repeats),
    },
    Scalar {
        name: "bgnbd_log_likelihood",
        arguments: &[R, ALPHA, A, B, REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: says!(
                "Logarithm of the density of a customer's history after the BG/NBD model; the sum over customers says how well the parameters fit them."
            ),
            example: "SELECT bgnbd_log_likelihood(0.25, 4, 0.8, 2.5, 200, 38, 40);",
        },
        work: Work::Number(log_likelihood),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "bgnbd_fit",
    arguments: &[REPEATS, RECENCY, AGE, WEIGHT],
    answer: fit_row!["r", "alpha", "a", "b"],
    page: Page {
        section: SECTION,
        says: fit_says!(
            "The parameters r, alpha, a and b of the BG/NBD model of one row per customer, or per group of equal ones with its weight. Where nobody seems to stop, boundary is true: nbd_fit is the model then, or mbgnbd_fit."
        ),
        example: "SELECT (bgnbd_fit(repeats, recency, age)).* FROM summaries;",
    },
    work: fit,
}];

fn p_alive(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, recency, age] = taken(row);
    let model = BgNbd::new(r, alpha, a, b)?;
    Ok(model.p_alive(History::new(repeats, recency, age)?))
}

fn expected_purchases(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, recency, age, horizon] = taken(row);
    let model = BgNbd::new(r, alpha, a, b)?;
    model.expected_purchases(History::new(repeats, recency, age)?, horizon)
}

fn expected_purchases_of_new(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, horizon] = taken(row);
    BgNbd::new(r, alpha, a, b)?.expected_purchases_of_new(horizon)
}

fn probability_of_repeats(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, horizon] = taken(row);
    BgNbd::new(r, alpha, a, b)?.probability_of_repeats(whole("repeats", repeats)?, horizon)
}

fn log_likelihood(row: &[f64]) -> Result<f64> {
    let [r, alpha, a, b, repeats, recency, age] = taken(row);
    let model = BgNbd::new(r, alpha, a, b)?;
    Ok(model.log_likelihood(History::new(repeats, recency, age)?))
}

fn fit(rows: &Rows) -> Result<Value> {
    let customers = customers(rows)?;
    let fit = BgNbd::fit(&customers, &cancel::asked())?;
    Ok(told(&fit, customers.weight()))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    fn check(name: &str, arguments: &[f64], expected: f64, tolerance: f64) {
        let got = check::scalar(&crate::functions(), name, arguments).expect("an answer");
        assert!((got - expected).abs() <= tolerance, "{got}, not {expected}");
    }

    const PUBLISHED: [f64; 4] = [0.243, 4.414, 0.793, 2.426];

    fn with(rest: &[f64]) -> Vec<f64> {
        [&PUBLISHED[..], rest].concat()
    }

    #[test]
    fn the_published_numbers_come_out() {
        let history = with(&[2.0, 30.43, 38.86, 39.0]);
        check("bgnbd_expected_purchases", &history, 1.226028, 1e-6);
        check(
            "bgnbd_probability_of_repeats",
            &with(&[0.0, 39.0]),
            0.5737864,
            1e-6,
        );
        let new = [0.24259, 4.41360, 0.79292, 2.42591, 52.0];
        check("bgnbd_expected_purchases_of_new", &new, 1.44401, 1e-3);
        let long = [0.25, 4.0, 0.8, 2.5, 200.0, 38.0, 40.0];
        check("bgnbd_log_likelihood", &long, 100.7957, 1e-4);
    }

    #[test]
    fn one_without_a_repeat_is_alive_and_a_thousand_long_ago_are_over() {
        check("bgnbd_p_alive", &with(&[0.0, 0.0, 38.86]), 1.0, 0.0);
        check("bgnbd_p_alive", &with(&[1_000.0, 10.0, 100.0]), 0.0, 0.0);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |name: &str, arguments: &[f64], what: &str| {
            let error = check::scalar(&crate::functions(), name, arguments);
            check::is_refusal(&error.expect_err("refused"), what);
        };
        refused("bgnbd_p_alive", &with(&[2.0, 40.0, 38.86]), "recency 40");
        let negative = [-0.243, 4.414, 0.793, 2.426, 2.0, 30.43, 38.86];
        refused(
            "bgnbd_p_alive",
            &negative,
            "r must be a finite number above 0",
        );
        refused(
            "bgnbd_probability_of_repeats",
            &with(&[0.5, 39.0]),
            "repeats must be a whole",
        );
        refused("bgnbd_expected_purchases_of_new", &with(&[-1.0]), "horizon");
    }

    #[test]
    fn a_fit_on_groups_is_that_on_rows() {
        let repeats = [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 6.0, 0.0, 2.0];
        let recency = [0.0, 0.0, 0.0, 5.0, 5.0, 20.0, 30.0, 36.0, 0.0, 3.0];
        let age = [38.0, 38.0, 30.0, 38.0, 38.0, 35.0, 38.0, 37.0, 30.0, 36.0];
        let rows = [repeats, recency, age].map(|column| check::column_of(&column));
        let on_rows = check::aggregate(&crate::aggregate_functions(), "bgnbd_fit", &rows);
        let groups = [
            [0.0, 0.0, 1.0, 2.0, 3.0, 6.0, 2.0],
            [0.0, 0.0, 5.0, 20.0, 30.0, 36.0, 3.0],
            [38.0, 30.0, 38.0, 35.0, 38.0, 37.0, 36.0],
            [2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0],
        ];
        let groups = groups.map(|column| check::column_of(&column));
        let on_groups = check::aggregate(&crate::aggregate_functions(), "bgnbd_fit", &groups);
        let (on_rows, on_groups) = (on_rows.expect("fits"), on_groups.expect("fits"));
        assert_eq!(check::number(&on_rows, "customers"), Some(10.0));
        for column in ["r", "alpha", "a", "b", "log_likelihood"] {
            let (a, b) = (
                check::number(&on_rows, column),
                check::number(&on_groups, column),
            );
            assert_eq!(a, b, "{column}");
        }
    }

    #[test]
    fn no_customers_are_null_and_an_impossible_one_is_refused() {
        let none = [(); 3].map(|()| check::floats([None]));
        let answer = check::aggregate(&crate::aggregate_functions(), "bgnbd_fit", &none);
        assert!(answer.expect("an answer").is_null());
        let wrong = [1.0, 5.0, 3.0].map(|value| check::column_of(&[value]));
        let answer = check::aggregate(&crate::aggregate_functions(), "bgnbd_fit", &wrong);
        check::is_refusal(&answer.expect_err("refused"), "recency 5, age 3");
    }

    #[test]
    fn a_fit_finds_the_maximum() {
        let parameters = [
            ("r", 0.27661261),
            ("alpha", 3.90907593),
            ("a", 0.5668709),
            ("b", 2.04709444),
        ];
        crate::simulated::check("bgnbd_fit", &parameters, -1_426.080_101_3);
    }
}
