//! `isotonic` and `isotonic_fit`: scores made into probabilities by a step function that never falls.

use rapport_stats::calibration::{Isotonic, interpolated};
use rapport_stats::{Error, Result};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Array, Page, Rows, Scalar, Value, Work, taken, within,
};

use crate::metrics::SECTION;

pub(crate) const SCALARS: &[Scalar] = &[Scalar {
    name: "isotonic",
    arguments: &[
        Argument::numbers(
            "thresholds",
            "rising scores, an array, as isotonic_fit finds them",
        ),
        Argument::numbers(
            "probabilities",
            "that of each threshold, an array, as isotonic_fit finds them",
        ),
        Argument::number("score", "of the model that was calibrated"),
    ],
    page: Page {
        section: SECTION,
        says: "The probability that belongs to a score after isotonic_fit: on a straight line between two thresholds, beyond them that of the nearest. NULL if an argument is NULL or an array holds a NULL. Refused (22023) are a score that is no number, thresholds that do not rise, probabilities that fall or do not lie between 0 and 1, and arrays that are empty or of different lengths.",
        example: "SELECT isotonic(ARRAY[0.2, 0.6], ARRAY[0.1, 0.5], 0.4);",
    },
    work: Work::NumberOfArrays(probability),
}];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "isotonic_fit",
    arguments: &[
        Argument::number("score", "of a model, on any scale"),
        Argument::flag("label", "whether it happened"),
        Argument::number(
            "weight",
            "how many customers the row stands for; 1 if left out",
        )
        .optional(),
    ],
    answer: Answer::Row(&[
        ("thresholds", Answer::Numbers),
        ("probabilities", Answer::Numbers),
    ]),
    page: Page {
        section: SECTION,
        says: "The probabilities that never fall as the score rises and lie nearest to what happened (isotonic regression, by pool adjacent violators), as a row of two arrays, thresholds and probabilities, for isotonic. Their mean is the share of those to whom it happened. Fit it on rows that the scoring model has not seen, and on many: for few platt_fit is better. Rows with a NULL are left out; NULL without any row. Refused (22023) are scores that are not finite, weights below 0 or all 0, and a label that is neither true nor false, 1 nor 0.",
        example: "SELECT (isotonic_fit(score, churned)).* FROM held_out;",
    },
    work: fit,
}];

fn probability(row: &[Array]) -> Result<f64> {
    let [thresholds, probabilities, score] = taken(row);
    let all = f64::NEG_INFINITY..=f64::INFINITY;
    let score = within("score", "a number", score.number(), all)?;
    let (thresholds, probabilities) = (thresholds.values, probabilities.values);
    let is_rising = thresholds.is_sorted_by(|a, b| a < b) && !thresholds.iter().any(|t| t.is_nan());
    let is_probable = probabilities.iter().all(|p| (0.0..=1.0).contains(p));
    if thresholds.len() != probabilities.len() || !is_rising {
        return Err(Error::Contradiction(
            "there must be rising thresholds, and as many probabilities",
        ));
    }
    if !is_probable || !probabilities.is_sorted() {
        return Err(Error::Contradiction(
            "the probabilities must lie between 0 and 1 and not fall",
        ));
    }
    interpolated(thresholds, probabilities, score)
        .ok_or(Error::TooLittle("there must be at least one threshold"))
}

fn fit(rows: &Rows) -> Result<Value> {
    let fit = Isotonic::fit(rows.numbers(0), &rows.flags(1), &rows.weights(2))?;
    Ok(Value::Row(vec![
        fit.scores().to_vec().into(),
        fit.probabilities().to_vec().into(),
    ]))
}

#[cfg(test)]
mod tests {
    use datafusion_expr::ColumnarValue;
    use rapport_udf_face::check;

    #[test]
    fn neighbours_that_would_fall_are_joined() {
        let columns = [
            [1.0, 2.0, 3.0, 4.0, 5.0],
            [0.0, 1.0, 0.0, 1.0, 1.0],
            [1.0, 1.0, 3.0, 1.0, 1.0],
        ];
        let columns = columns.map(|column| check::column_of(&column));
        let row = check::aggregate(&crate::aggregate_functions(), "isotonic_fit", &columns);
        let row = row.expect("fits");
        let of = |name: &str| check::numbers(&check::column(&row, name));
        assert_eq!(of("thresholds"), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(of("probabilities"), [0.0, 0.25, 0.25, 1.0, 1.0]);
    }

    #[test]
    fn thresholds_that_do_not_rise_are_refused() {
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == "isotonic");
        let refused = |thresholds: [f64; 2], probabilities: [f64; 2], what: &str| {
            let args = [
                check::lists([thresholds]),
                check::lists([probabilities]),
                check::column_of(&[1.0]),
            ];
            let args = args.map(ColumnarValue::Array);
            let error = check::invoke(function.expect("one"), &args).expect_err("refused");
            check::is_refusal(&error, what);
        };
        refused([2.0, 2.0], [0.1, 0.2], "rising thresholds");
        refused([f64::NAN, 2.0], [0.1, 0.2], "rising thresholds");
        refused([1.0, 2.0], [0.2, 0.1], "not fall");
        refused([1.0, 2.0], [0.2, 1.1], "between 0 and 1");
    }
}
