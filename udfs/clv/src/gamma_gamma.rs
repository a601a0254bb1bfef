//! `gamma_gamma_…`: what customers spend per purchase.

use rapport_stats::Result;
use rapport_stats::gamma_gamma::{GammaGamma, Spend, correlation};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told,
};

use crate::history::{SECTION, WEIGHT, fit_says};

pub(crate) const P: Argument = Argument::number(
    "p",
    "shape of a customer's purchases around their own mean, above 0; as gamma_gamma_fit finds it",
);
pub(crate) const Q: Argument =
    Argument::number("q", "shape of the distribution of the means, above 0");
pub(crate) const V: Argument = Argument::number(
    "v",
    "scale of the distribution of the means, above 0, in the currency of mean_spend",
);
pub(crate) const REPEATS: Argument = Argument::number(
    "repeats",
    "how many purchases the mean is taken of; not below 0",
);
pub(crate) const MEAN_SPEND: Argument = Argument::number(
    "mean_spend",
    "mean value of these purchases, above 0: refunds are netted before; not looked at where repeats is 0",
);

pub(crate) const SCALARS: &[Scalar] = &[Scalar {
    name: "gamma_gamma_expected_value",
    arguments: &[P, Q, V, REPEATS, MEAN_SPEND],
    page: Page {
        section: SECTION,
        says: "What a customer is expected to spend per purchase, in the currency of mean_spend, after the gamma-gamma model: an average of their own mean and the population's, the more their own the more they bought. The population's where repeats is 0, and Infinity then if q <= 1. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0, repeats below 0, and a mean_spend that is not above 0 where there are repeats.",
        example: "SELECT gamma_gamma_expected_value(6.25, 3.74, 15.44, 2, 22.35);",
    },
    work: Work::NumberOrInfinity(expected_value),
}];

pub(crate) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "gamma_gamma_fit",
        arguments: &[REPEATS, MEAN_SPEND, WEIGHT],
        answer: fit_row!["p", "q", "v"],
        page: Page {
            section: SECTION,
            says: fit_says!(
                "The parameters p, q and v of the gamma-gamma model of one row per customer, or per group of equal ones with its weight. Customers without repeats say nothing and are left out. The model holds where spend does not go with frequency: see gamma_gamma_correlation."
            ),
            example: "SELECT (gamma_gamma_fit(repeats, mean_spend)).* FROM summaries;",
        },
        work: fit,
    },
    Aggregate {
        name: "gamma_gamma_correlation",
        arguments: &[REPEATS, MEAN_SPEND, WEIGHT],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: "Correlation of the number of purchases and their mean value over customers with repeats: far from 0, the gamma-gamma model does not hold. Rows with a NULL are left out; NULL without any row, and where all customers are alike in either. Refused (22023) are repeats below 0 and a mean_spend that is not above 0 where there are repeats.",
            example: "SELECT gamma_gamma_correlation(repeats, mean_spend) FROM summaries;",
        },
        work: |rows| Ok(correlation(spends(rows)?).into()),
    },
];

/// Of a customer with purchases to judge by.
pub(crate) fn spend(repeats: f64, mean_spend: f64) -> Result<Option<Spend>> {
    match repeats == 0.0 {
        true => Ok(None),
        false => Spend::new(repeats, mean_spend).map(Some),
    }
}

fn expected_value(row: &[f64]) -> Result<f64> {
    let [p, q, v, repeats, mean_spend] = taken(row);
    let model = GammaGamma::new(p, q, v)?;
    Ok(model.expected_spend(spend(repeats, mean_spend)?))
}

fn spends(rows: &Rows) -> Result<Vec<(Spend, f64)>> {
    let (repeats, means) = (rows.numbers(0), rows.numbers(1));
    let mut spends = Vec::with_capacity(rows.len());
    for (index, weight) in rows.weights(2).into_iter().enumerate() {
        if let Some(spend) = spend(repeats[index], means[index])? {
            spends.push((spend, weight));
        }
    }
    Ok(spends)
}

fn fit(rows: &Rows) -> Result<Value> {
    let spends = spends(rows)?;
    let customers = spends.iter().map(|(_, weight)| weight).sum();
    Ok(told(&GammaGamma::fit(spends, &cancel::asked())?, customers))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    fn ask(rest: [f64; 2]) -> datafusion_common::Result<f64> {
        let arguments = [&[6.25, 3.74, 15.44], &rest[..]].concat();
        check::scalar(
            &crate::functions(),
            "gamma_gamma_expected_value",
            &arguments,
        )
    }

    #[test]
    fn a9_the_published_means_come_out() {
        for (given, expected) in [
            ([2.0, 22.35], 24.66),
            ([1.0, 11.77], 18.92),
            ([0.0, 0.0], 35.22),
            ([7.0, 73.74], 71.47),
        ] {
            let got = ask(given).expect("an answer");
            assert!((got - expected).abs() < 0.01, "{got}, not {expected}");
        }
    }

    #[test]
    fn purchases_for_nothing_are_refused() {
        check::is_refusal(&ask([2.0, 0.0]).expect_err("refused"), "mean spend");
        check::is_refusal(&ask([-1.0, 5.0]).expect_err("refused"), "purchases");
    }

    #[test]
    fn who_never_came_back_is_left_out_of_a_fit() {
        let columns = [
            [1.0, 2.0, 4.0, 1.0, 3.0, 0.0],
            [20.0, 31.0, 25.0, 70.0, 12.0, 0.0],
        ];
        let columns = columns.map(|column| check::column_of(&column));
        let aggregates = crate::aggregate_functions();
        let fit = check::aggregate(&aggregates, "gamma_gamma_fit", &columns).expect("fits");
        assert_eq!(check::number(&fit, "customers"), Some(5.0));
        let together = check::aggregate(&aggregates, "gamma_gamma_correlation", &columns);
        assert!(!together.expect("an answer").is_null());
        let alone = columns.map(|column| column.slice(0, 1));
        let none = check::aggregate(&aggregates, "gamma_gamma_correlation", &alone);
        assert!(none.expect("an answer").is_null());
    }

    #[test]
    fn nobody_who_came_back_is_refused() {
        let columns = [check::column_of(&[0.0]), check::column_of(&[0.0])];
        let fit = check::aggregate(&crate::aggregate_functions(), "gamma_gamma_fit", &columns);
        check::is_refusal(&fit.expect_err("refused"), "nothing to fit");
    }
}
