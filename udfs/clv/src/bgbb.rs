//! `bgbb_…`: customers who buy, or do not, on each of a row of occasions, and may stop before any of them.

use rapport_stats::Result;
use rapport_stats::bgbb::{BgBb, Occasions};
use rapport_udf_face::{
    Aggregate, Argument, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told, whole,
    within,
};

use crate::history::{SECTION, WEIGHT, fit_says};

const ALPHA: Argument = Argument::number(
    "alpha",
    "first parameter of the beta distribution of buying on an occasion, above 0; as bgbb_fit finds it",
);
const BETA: Argument = Argument::number(
    "beta",
    "second parameter of the beta distribution of buying on an occasion, above 0",
);
const GAMMA: Argument = Argument::number(
    "gamma",
    "first parameter of the beta distribution of stopping before an occasion, above 0",
);
const DELTA: Argument = Argument::number(
    "delta",
    "second parameter of the beta distribution of stopping before an occasion, above 0",
);
const REPEATS: Argument = Argument::number("repeats", "occasions with a purchase, a whole number");
const RECENCY: Argument = Argument::number(
    "recency",
    "number of the last occasion with a purchase, from 1; 0 without any",
);
const OCCASIONS: Argument = Argument::number(
    "occasions",
    "how many there have been, a whole number of at most 10000",
);
const HORIZON: Argument = Argument::number(
    "horizon",
    "how many occasions to look ahead, a whole number of at most 10000",
);

/// Each history is summed over its occasions.
const MOST_OCCASIONS: f64 = 10_000.0;

macro_rules! says {
    ($text:literal) => {
        concat!(
            $text,
            " NULL if an argument is NULL. Refused (22023) are parameters that are not above 0, what is not a whole number,",
            " and histories without repeats <= recency <= occasions or in which only one of repeats and recency is 0; (22003) what double",
            " precision cannot hold."
        )
    };
}

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "bgbb_p_alive",
        arguments: &[ALPHA, BETA, GAMMA, DELTA, REPEATS, RECENCY, OCCASIONS],
        page: Page {
            section: SECTION,
            says: says!(
                "Probability that a customer has not stopped before the next occasion, after the BG/BB model."
            ),
            example: "SELECT bgbb_p_alive(1.204, 0.750, 0.657, 2.783, 6, 6, 6);",
        },
        work: Work::Number(p_alive),
    },
    Scalar {
        name: "bgbb_expected_purchases",
        arguments: &[
            ALPHA, BETA, GAMMA, DELTA, REPEATS, RECENCY, OCCASIONS, HORIZON,
        ],
        page: Page {
            section: SECTION,
            says: says!(
                "On how many of the next occasions a customer is expected to buy, after the BG/BB model."
            ),
            example: "SELECT bgbb_expected_purchases(1.204, 0.750, 0.657, 2.783, 6, 6, 6, 5);",
        },
        work: Work::Number(expected_purchases),
    },
    Scalar {
        name: "bgbb_probability_of_repeats",
        arguments: &[ALPHA, BETA, GAMMA, DELTA, REPEATS, OCCASIONS],
        page: Page {
            section: SECTION,
            says: says!(
                "Probability that a new customer buys on exactly so many of the first occasions, after the BG/BB model; 0 if there are fewer occasions."
            ),
            example: "SELECT bgbb_probability_of_repeats(1.204, 0.750, 0.657, 2.783, 0, 6);",
        },
        work: Work::Number(probability_of_repeats),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "bgbb_fit",
    arguments: &[REPEATS, RECENCY, OCCASIONS, WEIGHT],
    answer: fit_row!["alpha", "beta", "gamma", "delta"],
    page: Page {
        section: SECTION,
        says: fit_says!(
            "The parameters alpha, beta, gamma and delta of the BG/BB model of one row per customer, or per group of equal ones with its weight."
        ),
        example: "SELECT (bgbb_fit(repeats, recency, occasions, donors)).* FROM donations;",
    },
    work: fit,
}];

fn of_occasions(name: &'static str, value: f64) -> Result<u32> {
    let range = "a whole number from 0 to 10000";
    whole(name, within(name, range, value, 0.0..=MOST_OCCASIONS)?)
}

fn history(repeats: f64, recency: f64, occasions: f64) -> Result<Occasions> {
    Occasions::new(
        whole("repeats", repeats)?,
        whole("recency", recency)?,
        of_occasions("occasions", occasions)?,
    )
}

fn p_alive(row: &[f64]) -> Result<f64> {
    let [alpha, beta, gamma, delta, repeats, recency, occasions] = taken(row);
    let model = BgBb::new(alpha, beta, gamma, delta)?;
    Ok(model.p_alive(history(repeats, recency, occasions)?))
}

fn expected_purchases(row: &[f64]) -> Result<f64> {
    let [
        alpha,
        beta,
        gamma,
        delta,
        repeats,
        recency,
        occasions,
        horizon,
    ] = taken(row);
    let model = BgBb::new(alpha, beta, gamma, delta)?;
    let history = history(repeats, recency, occasions)?;
    Ok(model.expected_purchases(history, of_occasions("horizon", horizon)?))
}

fn probability_of_repeats(row: &[f64]) -> Result<f64> {
    let [alpha, beta, gamma, delta, repeats, occasions] = taken(row);
    let model = BgBb::new(alpha, beta, gamma, delta)?;
    let repeats = whole("repeats", repeats)?;
    Ok(model.probability_of_purchases(repeats, of_occasions("occasions", occasions)?))
}

fn fit(rows: &Rows) -> Result<Value> {
    let (repeats, recency, occasions) = (rows.numbers(0), rows.numbers(1), rows.numbers(2));
    let mut histories = Vec::with_capacity(rows.len());
    let mut customers = 0.0;
    for (index, weight) in rows.weights(3).into_iter().enumerate() {
        let history = history(repeats[index], recency[index], occasions[index])?;
        histories.push((history, weight));
        customers += weight;
    }
    Ok(told(&BgBb::fit(histories, &cancel::asked())?, customers))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    const PUBLISHED: [f64; 4] = [1.2035, 0.7497, 0.6567, 2.7834];

    fn ask(name: &str, rest: &[f64]) -> datafusion_common::Result<f64> {
        let arguments = [&PUBLISHED[..], rest].concat();
        check::scalar(&crate::functions(), name, &arguments)
    }

    #[test]
    fn the_published_probabilities_come_out() {
        for (history, expected) in [
            ([0.0, 0.0, 6.0], 0.11),
            ([2.0, 4.0, 6.0], 0.59),
            ([6.0, 6.0, 6.0], 0.93),
        ] {
            let got = ask("bgbb_p_alive", &history).expect("an answer");
            assert!((got - expected).abs() < 0.005, "{got}, not {expected}");
        }
    }

    #[test]
    fn all_numbers_of_repeats_together_are_certain() {
        let of = |repeats: f64| ask("bgbb_probability_of_repeats", &[repeats, 6.0]);
        let sum: f64 = (0..=6).map(|n| of(f64::from(n)).expect("an answer")).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        assert_eq!(of(7.0).expect("an answer"), 0.0);
    }

    #[test]
    fn on_no_occasion_nothing_is_bought() {
        let got = ask("bgbb_expected_purchases", &[2.0, 4.0, 6.0, 0.0]);
        assert_eq!(got.expect("an answer"), 0.0);
    }

    #[test]
    fn halves_and_the_endless_are_refused() {
        let refused = |rest: &[f64], what: &str| {
            let error = ask("bgbb_p_alive", rest).expect_err("refused");
            check::is_refusal(&error, what);
        };
        refused(&[0.5, 4.0, 6.0], "repeats must be a whole number");
        refused(&[1.0, 7.0, 6.0], "recency 7");
        refused(
            &[1.0, 6.0, 10_001.0],
            "occasions must be a whole number from 0 to 10000",
        );
    }

    #[test]
    fn a26_a_fit_finds_the_donors_of_the_paper() {
        let columns = [
            [
                0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0,
                4.0, 4.0, 4.0, 5.0, 5.0, 6.0,
            ],
            [
                0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0, 3.0, 4.0, 5.0, 6.0, 3.0, 4.0, 5.0, 6.0,
                4.0, 5.0, 6.0, 5.0, 6.0, 6.0,
            ],
            [
                6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0,
                6.0, 6.0, 6.0, 6.0, 6.0, 6.0,
            ],
            [
                3464.0, 1091.0, 277.0, 129.0, 78.0, 119.0, 129.0, 613.0, 255.0, 155.0, 173.0,
                234.0, 322.0, 181.0, 225.0, 357.0, 240.0, 284.0, 512.0, 335.0, 728.0, 1203.0,
            ],
        ];
        let columns = columns.map(|column| check::column_of(&column));
        let fit = check::aggregate(&crate::aggregate_functions(), "bgbb_fit", &columns);
        let fit = fit.expect("fits");
        for (column, expected, tolerance) in [
            ("alpha", 1.2035, 0.003),
            ("beta", 0.7497, 0.003),
            ("gamma", 0.6567, 0.001),
            ("delta", 2.7834, 0.005),
            ("log_likelihood", -33_225.58, 0.01),
            ("customers", 11_104.0, 0.0),
        ] {
            let got = check::number(&fit, column).expect("a number");
            assert!(
                (got - expected).abs() <= tolerance,
                "{column} {got}, not {expected}"
            );
        }
    }
}
