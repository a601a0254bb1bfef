//! How good scores and probabilities are, once it is known what happened: a list of aggregates over a score and a label.

use rapport_stats::metrics::{Forecast, Ranking};
use rapport_stats::{Error, Result};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, whole, within};

pub(crate) const SECTION: &str = "How good a score is";

const SCORE: Argument = Argument::number("score", "of a model, on any scale, finite");
const PROBABILITY: Argument = Argument::number("probability", "that a model gave, between 0 and 1");
const LABEL: Argument = Argument::flag("label", "whether it happened");

/// What a ranking says of NULL and of what it refuses.
macro_rules! ranks {
    ($text:literal) => {
        concat!(
            $text,
            " Rows with a NULL are left out; NULL without any row and where all labels are the same. Refused (22023) are scores",
            " that are not finite, and a label that is neither true nor false, 1 nor 0."
        )
    };
}

/// As `ranks!`, of probabilities.
macro_rules! foretells {
    ($text:literal) => {
        concat!(
            $text,
            " Rows with a NULL are left out; NULL without any row. Refused (22023) are probabilities that do not lie between 0",
            " and 1, and a label that is neither true nor false, 1 nor 0."
        )
    };
}

const fn page(says: &'static str, example: &'static str) -> Page {
    Page {
        section: SECTION,
        says,
        example,
    }
}

pub(crate) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "auc",
        arguments: &[SCORE, LABEL],
        answer: Answer::Number,
        page: page(
            ranks!(
                "Probability that one to whom it happened has a higher score than one to whom it did not; equal scores count half. 0.5 is no better than chance, 1 perfect."
            ),
            "SELECT auc(score, churned) FROM scored;",
        ),
        work: |rows| ranked(rows, |ranking| Ok(ranking.auc())),
    },
    Aggregate {
        name: "average_precision",
        arguments: &[SCORE, LABEL],
        answer: Answer::Number,
        page: page(
            ranks!(
                "Mean share of those to whom it happened among all with at least a score, over the scores of those: the area under the curve of precision and recall. That of chance is the share of those to whom it happened."
            ),
            "SELECT average_precision(score, churned) FROM scored;",
        ),
        work: |rows| ranked(rows, |ranking| Ok(ranking.average_precision())),
    },
    Aggregate {
        name: "ks",
        arguments: &[SCORE, LABEL],
        answer: Answer::Number,
        page: page(
            ranks!(
                "How far the share of those to whom it happened and the share of the others above a score come apart at most (Kolmogorov and Smirnov): 0 for chance, 1 for a perfect score."
            ),
            "SELECT ks(score, churned) FROM scored;",
        ),
        work: |rows| ranked(rows, |ranking| Ok(ranking.ks())),
    },
    Aggregate {
        name: "lift",
        arguments: &[
            SCORE,
            LABEL,
            Argument::constant(
                "share",
                "of the rows, above 0 and at most 1, as 0.1; the same in all rows",
            ),
        ],
        answer: Answer::Number,
        page: page(
            ranks!(
                "How many times oftener it happened among the rows with the highest scores than among all: 1 is no better than chance. The share is rounded down to whole rows, at least one; of equal scores at the limit as many count as would on average be drawn. A share out of range is refused, too."
            ),
            "SELECT lift(score, churned, 0.1) FROM scored;",
        ),
        work: |rows| {
            let share = rows.constant(2).unwrap_or(f64::NAN);
            let range = "above 0 and at most 1";
            within("share", range, share, f64::MIN_POSITIVE..=1.0)?;
            ranked(rows, |ranking| ranking.lift(share))
        },
    },
    Aggregate {
        name: "brier",
        arguments: &[PROBABILITY, LABEL],
        answer: Answer::Number,
        page: page(
            foretells!(
                "Mean of the squared distance between the probability and what happened (1 or 0): the lower the better. Compare with that of giving everybody the mean, p·(1 − p)."
            ),
            "SELECT brier(probability, churned) FROM scored;",
        ),
        work: |rows| foretold(rows, |forecast| Ok(forecast.brier())),
    },
    Aggregate {
        name: "log_loss",
        arguments: &[PROBABILITY, LABEL],
        answer: Answer::Number,
        page: page(
            foretells!(
                "Mean of minus the logarithm of the probability given to what happened: the lower the better. A probability of 0 counts as 2.2e-16."
            ),
            "SELECT log_loss(probability, churned) FROM scored;",
        ),
        work: |rows| foretold(rows, |forecast| Ok(forecast.log_loss())),
    },
    Aggregate {
        name: "calibration_error",
        arguments: &[
            PROBABILITY,
            LABEL,
            Argument::constant(
                "bins",
                "how many equally wide ones, from 1 to 1000000; the same in all rows",
            ),
        ],
        answer: Answer::Number,
        page: page(
            foretells!(
                "Expected calibration error: how far, in each bin of probabilities, their mean lies from the share of those to whom it happened, weighted by the rows. 0 is perfect. Refused are bins that are not a whole number, too."
            ),
            "SELECT calibration_error(probability, churned, 10) FROM scored;",
        ),
        work: |rows| {
            let bins = rows.constant(2).unwrap_or(f64::NAN);
            let range = "a whole number from 1 to 1000000";
            let bins = whole("bins", within("bins", range, bins, 1.0..=1e6)?)?;
            foretold(rows, |forecast| {
                forecast.expected_calibration_error(bins as usize)
            })
        },
    },
];

/// What nothing can be said of yet is NULL, as is the deviation of a single row.
pub(crate) fn known(answer: Result<Value>) -> Result<Value> {
    match answer {
        Err(Error::TooLittle(_)) => Ok(Value::Null),
        other => other,
    }
}

fn ranked(rows: &Rows, of: impl Fn(&Ranking) -> Result<f64>) -> Result<Value> {
    let ranking = Ranking::new(&rows.flags(1), rows.numbers(0));
    known(ranking.and_then(|ranking| Ok(of(&ranking)?.into())))
}

fn foretold(rows: &Rows, of: impl Fn(&Forecast) -> Result<f64>) -> Result<Value> {
    let labels = rows.flags(1);
    let forecast = Forecast::new(&labels, rows.numbers(0))?;
    Ok(of(&forecast)?.into())
}

#[cfg(test)]
mod tests {
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    const SCORES: [f64; 6] = [0.9, 0.8, 0.7, 0.5, 0.5, 0.1];
    const LABELS: [f64; 6] = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0];

    fn ask(
        name: &str,
        scores: &[f64],
        labels: &[f64],
        constant: Option<f64>,
    ) -> Result<ScalarValue> {
        let mut columns = vec![check::column_of(scores), check::column_of(labels)];
        columns.extend(constant.map(|value| check::column_of(&vec![value; scores.len()])));
        check::aggregate(&crate::aggregate_functions(), name, &columns)
    }

    fn check(name: &str, constant: Option<f64>, expected: f64) {
        let got = ask(name, &SCORES, &LABELS, constant).expect("an answer");
        let ScalarValue::Float64(Some(got)) = got else {
            panic!("{got}");
        };
        assert!(
            (got - expected).abs() < 1e-12,
            "{name} {got}, not {expected}"
        );
    }

    #[test]
    fn what_scikit_learn_says() {
        check("auc", None, 6.5 / 9.0);
        check("average_precision", None, (1.0 + 2.0 / 3.0 + 0.6) / 3.0);
        check("ks", None, 1.0 / 3.0);
        check("lift", Some(0.5), 4.0 / 3.0);
        check("brier", None, 1.25 / 6.0);
        let surprise = [0.9, 0.2, 0.7, 0.5, 0.5, 0.9_f64].map(|p| -p.ln());
        check("log_loss", None, surprise.iter().sum::<f64>() / 6.0);
        // Bins up to a half and above it: 1.1 for one of three, 2.4 for two of three.
        check("calibration_error", Some(2.0), (0.1 + 0.4) / 6.0);
    }

    #[test]
    fn of_labels_that_are_all_the_same_no_order_is_known() {
        for (name, constant) in [
            ("auc", None),
            ("ks", None),
            ("average_precision", None),
            ("lift", Some(0.1)),
        ] {
            let answer = ask(name, &[0.1, 0.2], &[1.0, 1.0], constant);
            assert!(answer.expect("an answer").is_null(), "{name}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let refused = |name: &str, scores: &[f64], constant: Option<f64>, what: &str| {
            let error = ask(name, scores, &[1.0, 0.0], constant).expect_err("refused");
            check::is_refusal(&error, what);
        };
        refused("auc", &[f64::NAN, 0.0], None, "score must be");
        refused("brier", &[1.5, 0.0], None, "probability must be");
        refused("lift", &[1.0, 0.0], Some(0.0), "share must be");
        refused("calibration_error", &[1.0, 0.0], Some(0.0), "bins must be");
        refused("calibration_error", &[1.0, 0.0], Some(2.5), "bins must be");
    }
}
