//! `platt_fit`: scores made into probabilities.

use rapport_stats::Result;
use rapport_stats::calibration::Platt;
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel};

use crate::metrics::SECTION;

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "platt_fit",
    arguments: &[
        Argument::number("score", "of a model, on any scale"),
        Argument::flag("label", "whether it happened"),
    ],
    answer: Answer::Row(&[("slope", Answer::Number), ("intercept", Answer::Number)]),
    page: Page {
        section: SECTION,
        says: "Slope and intercept for which logistic(slope * score + intercept) is the probability that it happens (Platt's calibration), as a row; the slope is never below 0. Fit it on rows that the scoring model has not seen. Rows with a NULL are left out; NULL without any row. Refused (22023) are scores that are not finite, and a label that is neither true nor false, 1 nor 0.",
        example: "SELECT (platt_fit(score, churned)).* FROM held_out;",
    },
    work: fit,
}];

fn fit(rows: &Rows) -> Result<Value> {
    let weights = vec![1.0; rows.len()];
    let platt = Platt::fit(rows.numbers(0), &rows.flags(1), &weights, &cancel::asked())?;
    Ok(Value::Row(vec![platt.slope.into(), platt.intercept.into()]))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    fn ask(scores: &[f64], labels: &[f64]) -> datafusion_common::ScalarValue {
        let columns = [check::column_of(scores), check::column_of(labels)];
        let answer = check::aggregate(&crate::aggregate_functions(), "platt_fit", &columns);
        answer.expect("fits")
    }

    #[test]
    fn scores_that_stand_the_right_way_round_have_a_slope() {
        let row = ask(&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0, 1.0, 1.0]);
        assert!(check::number(&row, "slope").is_some_and(|slope| slope > 0.0));
    }

    #[test]
    fn those_that_do_not_are_given_the_mean() {
        let row = ask(&[1.0, 2.0, 3.0, 4.0], &[1.0, 1.0, 0.0, 0.0]);
        assert_eq!(check::number(&row, "slope"), Some(0.0));
        assert!(check::number(&row, "intercept").is_some_and(|i| i.abs() < 1e-9));
    }
}
