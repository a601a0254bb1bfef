//! `cox_fit`: what makes customers leave sooner.

use rapport_stats::Result;
use rapport_stats::cox;
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel};

use crate::durations::{DURATION, EVENT, SECTION, durations};

pub(crate) const FEATURES: Argument = Argument::features(
    "feature",
    "what may matter, as numbers or booleans, or as one array of numbers; no constant among them",
);

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "cox_fit",
    arguments: &[DURATION, EVENT, FEATURES],
    answer: Answer::Row(&[
        ("coefficients", Answer::Numbers),
        ("standard_errors", Answer::Numbers),
        ("log_likelihood", Answer::Number),
        ("log_likelihood_of_none", Answer::Number),
        ("concordance", Answer::Number),
        ("customers", Answer::Number),
        ("iterations", Answer::Whole),
    ]),
    page: Page {
        section: SECTION,
        says: "Cox's proportional hazards, ties by Efron: the answer is a row of coefficients (an array, in the order of the features: the logarithm of the factor by which a unit of it makes leaving likelier), their standard_errors, the partial log_likelihood, that without any feature, concordance (how often the one with the higher risk leaves first), customers and iterations. Rows with a NULL are left out; NULL without any row. Refused (22023) are durations below 0, features that are not finite, depend on each other or tell exactly who leaves.",
        example: "SELECT (cox_fit(tenure, churned, monthly, is_senior)).* FROM customers;",
    },
    work: fit,
}];

fn fit(rows: &Rows) -> Result<Value> {
    let (features, n_features) = rows.features(2);
    let fit = cox::fit(
        &durations(rows, None)?,
        features,
        n_features,
        &cancel::asked(),
    )?;
    Ok(Value::Row(vec![
        fit.coefficients.into(),
        fit.standard_errors.into(),
        fit.log_likelihood.into(),
        fit.log_likelihood_of_none.into(),
        fit.concordance.into(),
        (rows.len() as f64).into(),
        fit.iterations.into(),
    ]))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    use crate::freireich;

    #[test]
    fn b7_cox_of_6_mp() {
        let columns = freireich::all();
        let row = check::aggregate(&crate::aggregate_functions(), "cox_fit", &columns);
        let row = row.expect("fits");
        let first = |name: &str| check::numbers(&check::column(&row, name))[0];
        assert!((first("coefficients") + 1.572125).abs() < 1e-5);
        assert!((first("standard_errors") - 0.412397).abs() < 1e-5);
        assert_eq!(check::number(&row, "customers"), Some(42.0));
    }

    #[test]
    fn a_constant_feature_is_refused() {
        let columns = [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [5.0, 5.0, 5.0]];
        let columns = columns.map(|column| check::column_of(&column));
        let answer = check::aggregate(&crate::aggregate_functions(), "cox_fit", &columns);
        check::is_refusal(&answer.expect_err("refused"), "depend on each other");
    }
}
