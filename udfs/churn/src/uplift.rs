//! What a campaign changed, and how well an order of customers would have used it.

use rapport_stats::Result;
use rapport_stats::trial::{Targeting, Trial};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, within};

use crate::metrics::known;

const SECTION: &str = "Uplift";

const UPLIFT: Argument = Argument::number(
    "uplift",
    "that a model foretold for the customer, on any scale, finite",
);
const OUTCOME: Argument = Argument::flag("outcome", "whether the customer did it");
const AMOUNT: Argument = Argument::number(
    "outcome",
    "what the customer did: a finite number, of a boolean outcome::int",
);
const TREATED: Argument = Argument::flag(
    "treated",
    "true of a customer who was addressed, false of one left alone; drawn by lot",
);

/// What each of them says of NULL.
macro_rules! says {
    ($text:literal) => {
        concat!(
            $text,
            " Rows with a NULL are left out; NULL without any row, and where there are not two customers in each group. Refused",
            " (22023) are numbers that are not finite, and flags that are neither true nor false, 1 nor 0."
        )
    };
}

pub(crate) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "qini",
        arguments: &[UPLIFT, OUTCOME, TREATED],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: says!(
                "Area of the Qini curve above that of no order, as a share of that of a perfect order: what addressing customers in the order of their uplift would have gained. 0 is no better than chance, 1 perfect; equal uplifts are addressed together. NULL where all outcomes are the same, too."
            ),
            example: "SELECT qini(uplift, visited, treated) FROM trial;",
        },
        work: |rows| targeted(rows, |targeting| targeting.qini()),
    },
    Aggregate {
        name: "auuc",
        arguments: &[UPLIFT, OUTCOME, TREATED],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: says!(
                "Area under the uplift curve above that of no order, as a share of that of a perfect order: as qini, with both groups brought to the number addressed. NULL where all outcomes are the same, too."
            ),
            example: "SELECT auuc(uplift, visited, treated) FROM trial;",
        },
        work: |rows| targeted(rows, |targeting| targeting.auuc()),
    },
    Aggregate {
        name: "uplift_at",
        arguments: &[
            UPLIFT,
            AMOUNT,
            TREATED,
            Argument::constant(
                "share",
                "of the customers, above 0 and at most 1, as 0.3; the same in all rows",
            ),
        ],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: says!(
                "By how much the mean outcome of the treated exceeds that of the others among the customers with the highest uplift, in the unit of outcome. The share is rounded down to whole customers, of equal uplifts at the limit any; NULL where it holds customers of one group only, too. A share out of range is refused."
            ),
            example: "SELECT uplift_at(uplift, spend, treated, 0.3) FROM trial;",
        },
        work: |rows| {
            let share = rows.constant(3).unwrap_or(f64::NAN);
            let range = "above 0 and at most 1";
            within("share", range, share, f64::MIN_POSITIVE..=1.0)?;
            targeted(rows, |targeting| targeting.uplift_at(share))
        },
    },
    Aggregate {
        name: "average_effect",
        arguments: &[AMOUNT, TREATED],
        answer: Answer::Row(&[
            ("effect", Answer::Number),
            ("standard_error", Answer::Number),
            ("customers", Answer::Number),
        ]),
        page: Page {
            section: SECTION,
            says: says!(
                "By how much the mean outcome of the treated exceeds that of the others, in the unit of outcome: a row of effect, its standard_error (of two means with variances of their own) and customers."
            ),
            example: "SELECT (average_effect(spend, treated)).* FROM trial;",
        },
        work: |rows| known(average_effect(rows)),
    },
];

fn targeted(rows: &Rows, of: impl Fn(&Targeting) -> Result<f64>) -> Result<Value> {
    let is_treated = rows.flags(2);
    let trial = Trial::new(rows.numbers(1), &is_treated);
    known(trial.and_then(|trial| {
        let targeting = trial.targeted_by(rows.numbers(0))?;
        Ok(of(&targeting)?.into())
    }))
}

fn average_effect(rows: &Rows) -> Result<Value> {
    let is_treated = rows.flags(1);
    let effect = Trial::new(rows.numbers(0), &is_treated)?.average_effect();
    Ok(Value::Row(vec![
        effect.effect.into(),
        effect.standard_error.into(),
        (rows.len() as f64).into(),
    ]))
}

#[cfg(test)]
mod tests {
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    const UPLIFTS: [f64; 8] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
    const OUTCOMES: [f64; 8] = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    const TREATED: [f64; 8] = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];

    fn ask(name: &str, columns: &[&[f64]]) -> Result<ScalarValue> {
        let columns: Vec<_> = columns.iter().map(|c| check::column_of(c)).collect();
        check::aggregate(&crate::aggregate_functions(), name, &columns)
    }

    fn check(name: &str, columns: &[&[f64]], expected: f64) {
        let ScalarValue::Float64(Some(got)) = ask(name, columns).expect("an answer") else {
            panic!("no number");
        };
        assert!(
            (got - expected).abs() < 1e-6,
            "{name} {got}, not {expected}"
        );
    }

    #[test]
    fn e3_the_toy_of_scikit_uplift() {
        let columns: [&[f64]; 3] = [&UPLIFTS, &OUTCOMES, &TREATED];
        check("qini", &columns, 0.0151515);
        check("auuc", &columns, -0.2517007);
    }

    #[test]
    fn among_all_the_uplift_is_the_average_effect() {
        let row = ask("average_effect", &[&OUTCOMES, &TREATED]).expect("an answer");
        assert_eq!(check::number(&row, "effect"), Some(0.5));
        assert_eq!(check::number(&row, "customers"), Some(8.0));
        // Both groups of four have a variance of 1/4 (3 and 1 of 4).
        let error = check::number(&row, "standard_error").expect("a number");
        assert!((error - (0.25_f64 / 4.0 + 0.25 / 4.0).sqrt()).abs() < 1e-12);
        check(
            "uplift_at",
            &[&UPLIFTS, &OUTCOMES, &TREATED, &[1.0; 8]],
            0.5,
        );
    }

    #[test]
    fn too_few_customers_are_null() {
        let answer = ask("average_effect", &[&[1.0, 2.0, 3.0], &[1.0, 0.0, 0.0]]);
        assert!(answer.expect("an answer").is_null());
        let columns: [&[f64]; 3] = [&UPLIFTS, &[1.0; 8], &TREATED];
        assert!(ask("qini", &columns).is_ok());
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let error = ask("qini", &[&UPLIFTS, &[2.0; 8], &TREATED]).expect_err("refused");
        check::is_refusal(&error, "outcome must be true or false");
        let columns: [&[f64]; 4] = [&UPLIFTS, &OUTCOMES, &TREATED, &[0.0; 8]];
        let error = ask("uplift_at", &columns).expect_err("refused");
        check::is_refusal(&error, "share must be");
    }
}
