//! `km_…` and `log_rank`: how long customers stay, with those who are still there.

use rapport_stats::Result;
use rapport_stats::survival::{Step, kaplan_meier, log_rank, median};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, within};

use crate::durations::{DURATION, EVENT, SECTION, WEIGHT, durations};

const AT: Argument = Argument::constant(
    "at",
    "time, in the unit of duration and not below 0, the same in all rows",
);

pub(crate) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "km_survival",
        arguments: &[DURATION, EVENT, AT, WEIGHT],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: "Share of customers that stays longer than a time, after Kaplan and Meier: those still there count as long as they were seen. Rows with a NULL are left out; NULL without any row. Refused (22023) are durations, times and weights below 0, and an event that is neither true nor false, 1 nor 0.",
            example: "SELECT contract, km_survival(tenure, churned, 12) FROM customers GROUP BY contract;",
        },
        work: |rows| {
            let step = step(rows, 0.95, 3)?;
            Ok(step.map(|step| step.survival).into())
        },
    },
    Aggregate {
        name: "km_interval",
        arguments: &[
            DURATION,
            EVENT,
            AT,
            Argument::constant(
                "level",
                "of confidence, between 0 and 1, as 0.95; the same in all rows",
            ),
            WEIGHT,
        ],
        answer: Answer::Row(&[
            ("survival", Answer::Number),
            ("standard_error", Answer::Number),
            ("low", Answer::Number),
            ("high", Answer::Number),
        ]),
        page: Page {
            section: SECTION,
            says: "As km_survival, with the interval of confidence: the answer is a row of survival, standard_error (Greenwood's), low and high. The interval is that of log(-log(survival)), which stays between 0 and 1. Rows with a NULL are left out; NULL without any row. Refused (22023) is what km_survival refuses, and a level that is not between 0 and 1.",
            example: "SELECT (km_interval(tenure, churned, 12, 0.95)).* FROM customers;",
        },
        work: interval,
    },
    Aggregate {
        name: "km_curve",
        arguments: &[
            DURATION,
            EVENT,
            Argument::constant(
                "level",
                "of confidence, between 0 and 1; 0.95 if left out; the same in all rows",
            )
            .optional(),
            WEIGHT,
        ],
        answer: Answer::Rows(&[
            ("time", Answer::Number),
            ("at_risk", Answer::Number),
            ("events", Answer::Number),
            ("censored", Answer::Number),
            ("survival", Answer::Number),
            ("standard_error", Answer::Number),
            ("low", Answer::Number),
            ("high", Answer::Number),
        ]),
        page: Page {
            section: SECTION,
            says: "The whole curve after Kaplan and Meier, as an array of rows to unnest: one for time 0 and one for each time at which somebody left or was last seen. at_risk are the customers there until just before the time, events those who left at it, censored those last seen at it; survival is the share that stays longer, with its standard_error (Greenwood's) and, as low and high, the interval of confidence as of km_interval. Times are in the unit of duration. Rows with a NULL are left out; NULL without any row. Refused (22023) are durations and weights below 0, an event that is neither true nor false, 1 nor 0, and a level that is not between 0 and 1.",
            example: "SELECT (unnest(km_curve(tenure, churned))).* FROM customers;",
        },
        work: curve,
    },
    Aggregate {
        name: "km_median",
        arguments: &[DURATION, EVENT, WEIGHT],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: "The first time after which no more than half of the customers are left, after Kaplan and Meier, in the unit of duration; NULL while more than half are. Rows with a NULL are left out; NULL without any row. Refused (22023) are durations and weights below 0, and an event that is neither true nor false, 1 nor 0.",
            example: "SELECT contract, km_median(tenure, churned) FROM customers GROUP BY contract;",
        },
        work: |rows| {
            let steps = kaplan_meier(&durations(rows, Some(2))?, 0.95)?;
            Ok(median(&steps).into())
        },
    },
    Aggregate {
        name: "log_rank",
        arguments: &[
            DURATION,
            EVENT,
            Argument::label("group", "what is compared: a text, a number or a boolean"),
            WEIGHT,
        ],
        answer: Answer::Row(&[
            ("chi_squared", Answer::Number),
            ("degrees_of_freedom", Answer::Whole),
            ("p_value", Answer::Number),
        ]),
        page: Page {
            section: SECTION,
            says: "Do the groups stay equally long? The log-rank test: a row of chi_squared, degrees_of_freedom (groups less one) and p_value, small where they do not. Rows with a NULL are left out; NULL without any row. Refused (22023) are durations and weights below 0, an event that is neither true nor false, 1 nor 0, fewer than two groups, and that nobody left while two groups were there.",
            example: "SELECT (log_rank(tenure, churned, contract)).* FROM customers;",
        },
        work: compared,
    },
];

/// The curve at the time that the third argument says; `None` if no customer has a weight.
fn step(rows: &Rows, level: f64, weight: usize) -> Result<Option<Step>> {
    let at = rows.constant(2).unwrap_or(f64::NAN);
    within("at", "a finite number of at least 0", at, 0.0..=f64::MAX)?;
    let steps = kaplan_meier(&durations(rows, Some(weight))?, level)?;
    let last = steps.iter().rev().find(|step| step.time <= at).copied();
    Ok(last.or(start(&steps)))
}

/// Before the first step, with everybody; `None` if no customer has a weight.
fn start(steps: &[Step]) -> Option<Step> {
    steps.first().map(|first| Step {
        time: 0.0,
        events: 0.0,
        censored: 0.0,
        survival: 1.0,
        standard_error: 0.0,
        low: 1.0,
        high: 1.0,
        ..*first
    })
}

fn curve(rows: &Rows) -> Result<Value> {
    let level = rows.constant(2).unwrap_or(0.95);
    let mut steps = kaplan_meier(&durations(rows, Some(3))?, level)?;
    if steps.first().is_some_and(|first| first.time > 0.0) {
        steps.splice(..0, start(&steps));
    }
    let columns: [fn(&Step) -> f64; 8] = [
        |step| step.time,
        |step| step.at_risk,
        |step| step.events,
        |step| step.censored,
        |step| step.survival,
        |step| step.standard_error,
        |step| step.low,
        |step| step.high,
    ];
    let column = |of: fn(&Step) -> f64| steps.iter().map(of).collect::<Vec<f64>>().into();
    Ok(Value::Rows(columns.map(column).to_vec()))
}

fn interval(rows: &Rows) -> Result<Value> {
    let step = step(rows, rows.constant(3).unwrap_or(f64::NAN), 4)?;
    let columns = step.map(|step| {
        let columns = [step.survival, step.standard_error, step.low, step.high];
        Value::Row(columns.map(Value::from).to_vec())
    });
    Ok(columns.unwrap_or(Value::Null))
}

fn compared(rows: &Rows) -> Result<Value> {
    let (labels, n_labels) = rows.labels(2);
    let mut groups = vec![vec![]; n_labels];
    for (duration, label) in durations(rows, Some(3))?.into_iter().zip(labels) {
        groups[label as usize].push(duration);
    }
    let test = log_rank(&groups)?;
    Ok(Value::Row(vec![
        test.chi_squared.into(),
        test.degrees_of_freedom.into(),
        test.p_value.into(),
    ]))
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    use crate::freireich;

    fn ask(name: &str, columns: &[ArrayRef]) -> Result<ScalarValue> {
        check::aggregate(&crate::aggregate_functions(), name, columns)
    }

    fn with(mut columns: Vec<ArrayRef>, constants: &[f64]) -> Vec<ArrayRef> {
        let n_rows = columns[0].len();
        columns.extend(
            constants
                .iter()
                .map(|c| check::column_of(&vec![*c; n_rows])),
        );
        columns
    }

    fn survival(at: f64) -> f64 {
        match ask("km_survival", &with(freireich::treated(), &[at])) {
            Ok(ScalarValue::Float64(Some(survival))) => survival,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn b5_kaplan_meier_of_6_mp() {
        for (at, expected) in [
            (6.0, 0.8571),
            (10.5, 0.7529),
            (16.0, 0.6275),
            (100.0, 0.4482),
        ] {
            assert!((survival(at) - expected).abs() < 5e-5, "{at}");
        }
        assert_eq!(survival(5.9), 1.0);
        assert_eq!(survival(0.0), 1.0);
        let median = |columns: &[ArrayRef]| ask("km_median", columns).expect("an answer");
        assert_eq!(median(&freireich::treated()), ScalarValue::from(23.0));
        assert_eq!(median(&freireich::placebo()), ScalarValue::from(8.0));
    }

    #[test]
    fn while_more_than_half_are_left_there_is_no_median() {
        let columns = [[5.0, 6.0, 7.0], [1.0, 0.0, 0.0]].map(|c| check::column_of(&c));
        assert!(ask("km_median", &columns).expect("an answer").is_null());
    }

    #[test]
    fn the_interval_lies_around_the_survival() {
        let columns = with(freireich::treated(), &[10.0, 0.95]);
        let row = ask("km_interval", &columns).expect("an answer");
        let of = |name: &str| check::number(&row, name).expect("a number");
        // lifelines: 0.503200, 0.889362; Greenwood's error of S(10) is 0.0963.
        assert!((of("low") - 0.503200).abs() < 1e-4, "{}", of("low"));
        assert!((of("high") - 0.889362).abs() < 1e-4, "{}", of("high"));
        assert!((of("standard_error") - 0.0963).abs() < 1e-4);
        let columns = with(freireich::treated(), &[10.0, 1.0]);
        check::is_refusal(&ask("km_interval", &columns).expect_err("refused"), "level");
    }

    #[test]
    fn b6_log_rank_of_6_mp() {
        let mut columns = freireich::all();
        let groups = (0..42).map(|n| if n < 21 { "6-MP" } else { "placebo" });
        columns[2] = check::labels(groups);
        let row = ask("log_rank", &columns).expect("an answer");
        let of = |name: &str| check::number(&row, name).expect("a number");
        assert!((of("chi_squared") - 16.79294).abs() < 1e-4);
        assert_eq!(of("degrees_of_freedom"), 1.0);
        assert!((of("p_value") - 4.17e-5).abs() < 1e-7);
    }

    #[test]
    fn one_group_and_a_time_below_0_are_refused() {
        let mut columns = freireich::treated();
        columns.push(check::labels(["6-MP"; 21]));
        check::is_refusal(
            &ask("log_rank", &columns).expect_err("refused"),
            "two or more groups",
        );
        let columns = with(freireich::treated(), &[-1.0]);
        check::is_refusal(
            &ask("km_survival", &columns).expect_err("refused"),
            "at must be",
        );
    }
}
