//! `ridge_logistic_fit`: logistic regression that is held back, for many features, few rows, or outcomes that are told apart.

use rapport_stats::logistic;
use rapport_stats::{Error, Result};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel};

use crate::logistic::SECTION;

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "ridge_logistic_fit",
    arguments: &[
        Argument::flag("label", "whether it happened"),
        Argument::constant(
            "penalty",
            "how much large coefficients are held back, above 0; 1 / C elsewhere; the same in all rows",
        ),
        Argument::number(
            "weight",
            "how many customers the row stands for, not below 0",
        ),
        Argument::features(
            "feature",
            "what may matter, as numbers or booleans, or as one array of numbers; in comparable units",
        ),
    ],
    answer: Answer::Row(&[
        ("intercept", Answer::Number),
        ("coefficients", Answer::Numbers),
        ("log_likelihood", Answer::Number),
        ("log_likelihood_of_none", Answer::Number),
        ("customers", Answer::Number),
        ("iterations", Answer::Whole),
        ("converged", Answer::Flag),
    ]),
    page: Page {
        section: SECTION,
        says: "Logistic regression whose coefficients are held back: penalty / 2 · Σ coefficient² is taken off the log-likelihood, as with C = 1 / penalty in scikit-learn; the intercept is free and features are not standardised, so bring them to comparable units before, as by (x - avg(x)) / stddev_pop(x). It has an answer also where features depend on each other, do not vary, or tell the outcomes without an error. The answer is a row of intercept, coefficients (an array, in the order of the features, for logistic_probability), log_likelihood (without the penalty), that of the intercept alone, customers (the sum of the weights), iterations and converged. Rows with a NULL are left out; NULL without any row. Refused (22023) are a label that is neither true nor false, 1 nor 0, labels that are all the same, a penalty that is not above 0, weights below 0 and features that are not finite.",
        example: "SELECT (ridge_logistic_fit(churned, 1, 1, tenure, monthly)).* FROM customers;",
    },
    work: fit,
}];

fn fit(rows: &Rows) -> Result<Value> {
    let penalty = rows.constant(1).unwrap_or(f64::NAN);
    if !(penalty > 0.0 && penalty.is_finite()) {
        return Err(Error::Range {
            name: "penalty",
            range: "a finite number above 0",
            value: penalty,
        });
    }
    let (features, n_features) = rows.features(3);
    let (labels, weights) = (rows.numbers(0), rows.numbers(2));
    let fit = logistic::fit(
        features,
        n_features,
        labels,
        weights,
        penalty,
        &cancel::asked(),
    )?;
    Ok(Value::Row(vec![
        fit.intercept.into(),
        fit.coefficients.into(),
        fit.log_likelihood.into(),
        fit.log_likelihood_of_none.into(),
        weights.iter().sum::<f64>().into(),
        fit.iterations.into(),
        fit.converged.into(),
    ]))
}

#[cfg(test)]
mod tests {
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    fn ask(labels: &[f64], penalty: f64, features: &[&[f64]]) -> Result<ScalarValue> {
        let constants = [vec![penalty; labels.len()], vec![1.0; labels.len()]];
        let mut columns = vec![check::column_of(labels)];
        columns.extend(constants.iter().map(|column| check::column_of(column)));
        columns.extend(features.iter().map(|column| check::column_of(column)));
        check::aggregate(
            &crate::aggregate_functions(),
            "ridge_logistic_fit",
            &columns,
        )
    }

    /// At the top the penalty pulls as hard as the rows: penalty · coefficient = Σ (label − probability) · feature.
    #[test]
    fn outcomes_that_are_told_apart_have_an_answer() {
        let (labels, x) = ([0.0, 0.0, 1.0, 1.0], [-2.0, -1.0, 1.0, 2.0]);
        for penalty in [1e-6, 0.5, 10.0] {
            let row = ask(&labels, penalty, &[&x, &[3.0; 4], &x.map(|x| 2.0 * x)]).expect("fits");
            assert_eq!(check::column(&row, "converged"), ScalarValue::from(true));
            let beta = check::numbers(&check::column(&row, "coefficients"));
            assert!(beta[0] > 0.0 && beta[1].abs() < 1e-9, "{beta:?}");
            let intercept = check::number(&row, "intercept").expect("a number");
            let pull = |row: usize| {
                let odds = intercept + (beta[0] + 2.0 * beta[2]) * x[row];
                (labels[row] - 1.0 / (1.0 + (-odds).exp())) * x[row]
            };
            let pull: f64 = (0..4).map(pull).sum();
            assert!((pull - penalty * beta[0]).abs() < 1e-6, "{penalty}: {pull}");
        }
    }

    #[test]
    fn a_penalty_is_above_0() {
        let error = ask(&[0.0, 1.0], 0.0, &[&[1.0, 2.0]]).expect_err("refused");
        check::is_refusal(&error, "penalty must be a finite number above 0");
    }
}
