//! `pnbd_…`: customers buy at their own rate and may stop at any moment.

use rapport_stats::Result;
use rapport_stats::history::History;
use rapport_stats::pareto_nbd::ParetoNbd;
use rapport_udf_face::{
    Aggregate, Argument, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told,
};

use crate::bgnbd::{ALPHA, R};
use crate::history::{AGE, HORIZON, RECENCY, REPEATS, SECTION, WEIGHT, customers, fit_says, says};

const S: Argument = Argument::number(
    "s",
    "shape of the distribution of rates of stopping, above 0; as pnbd_fit finds it",
);
const BETA: Argument = Argument::number(
    "beta",
    "rate of the distribution of rates of stopping, above 0, in the unit of age",
);
const DISCOUNT: Argument = Argument::number(
    "discount",
    "continuously compounded rate per unit of age, above 0: 15 % a year is ln(1.15)/52 a week",
);

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "pnbd_p_alive",
        arguments: &[R, ALPHA, S, BETA, REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: says!(
                "Probability that a customer has not stopped buying by now, after the Pareto/NBD model."
            ),
            example: "SELECT pnbd_p_alive(0.553, 10.578, 0.606, 11.669, 26, 30.857, 31);",
        },
        work: Work::Number(p_alive),
    },
    Scalar {
        name: "pnbd_expected_purchases",
        arguments: &[R, ALPHA, S, BETA, REPEATS, RECENCY, AGE, HORIZON],
        page: Page {
            section: SECTION,
            says: says!(
                "Purchases that a customer is expected to make within the horizon, after the Pareto/NBD model."
            ),
            example: "SELECT pnbd_expected_purchases(0.553, 10.578, 0.606, 11.669, 26, 30.857, 31, 52);",
        },
        work: Work::Number(expected_purchases),
    },
    Scalar {
        name: "pnbd_expected_purchases_of_new",
        arguments: &[R, ALPHA, S, BETA, HORIZON],
        page: Page {
            section: SECTION,
            says: "Purchases beyond the first that a new customer is expected to make within the horizon, after the Pareto/NBD model. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0 and a horizon below 0; (22003) what double precision cannot hold.",
            example: "SELECT pnbd_expected_purchases_of_new(0.553, 10.578, 0.606, 11.669, 52);",
        },
        work: Work::Number(expected_purchases_of_new),
    },
    Scalar {
        name: "pnbd_discounted_residual",
        arguments: &[R, ALPHA, S, BETA, REPEATS, RECENCY, AGE, DISCOUNT],
        page: Page {
            section: SECTION,
            says: says!(
                "All purchases that a customer is still expected to make, each worth the less the later it comes, after the Pareto/NBD model (DERT, discounted expected residual transactions). Times the expected spend per purchase it is the customer's remaining lifetime value."
            ),
            example: "SELECT pnbd_discounted_residual(0.5629966, 12.5590370, 0.4081095, 10.5148048, 7, 35, 77.86, 0.0027);",
        },
        work: Work::Number(discounted_residual),
    },
    Scalar {
        name: "pnbd_log_likelihood",
        arguments: &[R, ALPHA, S, BETA, REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: says!(
                "Logarithm of the density of a customer's history after the Pareto/NBD model; the sum over customers says how well the parameters fit them."
            ),
            example: "SELECT pnbd_log_likelihood(0.553, 10.578, 0.606, 11.669, 2, 30.43, 38.86);",
        },
        work: Work::Number(log_likelihood),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "pnbd_fit",
    arguments: &[REPEATS, RECENCY, AGE, WEIGHT],
    answer: fit_row!["r", "alpha", "s", "beta"],
    page: Page {
        section: SECTION,
        says: fit_says!(
            "The parameters r, alpha, s and beta of the Pareto/NBD model of one row per customer, or per group of equal ones with its weight. Where nobody seems to stop, boundary is true: nbd_fit is the model then."
        ),
        example: "SELECT (pnbd_fit(repeats, recency, age)).* FROM summaries;",
    },
    work: fit,
}];

fn p_alive(row: &[f64]) -> Result<f64> {
    let [r, alpha, s, beta, repeats, recency, age] = taken(row);
    let model = ParetoNbd::new(r, alpha, s, beta)?;
    Ok(model.p_alive(History::new(repeats, recency, age)?))
}

fn expected_purchases(row: &[f64]) -> Result<f64> {
    let [r, alpha, s, beta, repeats, recency, age, horizon] = taken(row);
    let model = ParetoNbd::new(r, alpha, s, beta)?;
    model.expected_purchases(History::new(repeats, recency, age)?, horizon)
}

fn expected_purchases_of_new(row: &[f64]) -> Result<f64> {
    let [r, alpha, s, beta, horizon] = taken(row);
    ParetoNbd::new(r, alpha, s, beta)?.expected_purchases_of_new(horizon)
}

fn discounted_residual(row: &[f64]) -> Result<f64> {
    let [r, alpha, s, beta, repeats, recency, age, discount] = taken(row);
    let model = ParetoNbd::new(r, alpha, s, beta)?;
    model.discounted_residual_purchases(History::new(repeats, recency, age)?, discount)
}

fn log_likelihood(row: &[f64]) -> Result<f64> {
    let [r, alpha, s, beta, repeats, recency, age] = taken(row);
    let model = ParetoNbd::new(r, alpha, s, beta)?;
    Ok(model.log_likelihood(History::new(repeats, recency, age)?))
}

fn fit(rows: &Rows) -> Result<Value> {
    let customers = customers(rows)?;
    let fit = ParetoNbd::fit(&customers, &cancel::asked())?;
    Ok(told(&fit, customers.weight()))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    fn check(name: &str, rest: &[f64], expected: f64, tolerance: f64) {
        let arguments = [&[0.55328, 10.5777, 0.60624, 11.6687], rest].concat();
        let got = check::scalar(&crate::functions(), name, &arguments).expect("an answer");
        assert!((got - expected).abs() <= tolerance, "{got}, not {expected}");
    }

    #[test]
    fn the_published_numbers_come_out() {
        check(
            "pnbd_expected_purchases",
            &[26.0, 30.857, 31.0, 52.0],
            25.455,
            0.01,
        );
        check("pnbd_p_alive", &[26.0, 30.857, 31.0], 0.99787, 1e-4);
        check("pnbd_expected_purchases_of_new", &[52.0], 1.47343, 1e-3);
    }

    #[test]
    fn the_manual_s_residual_comes_out() {
        let arguments = [
            0.5629966, 12.5590370, 0.4081095, 10.5148048, 7.0, 35.0, 77.86, 0.0027,
        ];
        let name = "pnbd_discounted_residual";
        let got = check::scalar(&crate::functions(), name, &arguments).expect("an answer");
        assert!((got - 1.864183328).abs() < 1e-4, "{got}");
    }

    #[test]
    fn one_seen_at_the_very_end_is_alive() {
        check("pnbd_p_alive", &[3.0, 10.0, 10.0], 1.0, 0.0);
    }

    #[test]
    fn no_discount_is_refused() {
        let arguments = [0.553, 10.578, 0.606, 11.669, 2.0, 30.43, 38.86, 0.0];
        let name = "pnbd_discounted_residual";
        let answer = check::scalar(&crate::functions(), name, &arguments);
        check::is_refusal(
            &answer.expect_err("refused"),
            "discount must be a finite number above 0",
        );
    }

    #[test]
    fn a_fit_finds_the_maximum() {
        let parameters = [
            ("r", 0.68354106),
            ("alpha", 8.86516839),
            ("s", 0.65617731),
            ("beta", 7.88534697),
        ];
        crate::simulated::check("pnbd_fit", &parameters, -1_419.858_754_5);
    }
}
