//! `weibull_aft_…`: what makes customers stay longer, and for how long each of them will.

use rapport_stats::weibull_aft::{self, WeibullAft};
use rapport_stats::{Error, Result};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Array, Page, Rows, Scalar, Value, Work, cancel, taken, within,
};

use crate::cox::FEATURES;
use crate::durations::{DURATION, EVENT, SECTION, durations};

const INTERCEPT: Argument = Argument::number("intercept", "as weibull_aft_fit finds it");
const COEFFICIENTS: Argument =
    Argument::numbers("coefficients", "an array, as weibull_aft_fit finds it");
const LOG_SHAPE: Argument = Argument::number("log_shape", "as weibull_aft_fit finds it");
const VALUES: Argument = Argument::numbers(
    "features",
    "an array of the customer's features, in the order of the coefficients",
);

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "weibull_aft_survival",
        arguments: &[
            INTERCEPT,
            COEFFICIENTS,
            LOG_SHAPE,
            VALUES,
            Argument::number("time", "in the unit of the fitted durations, not below 0"),
        ],
        page: Page {
            section: SECTION,
            says: "Probability that a customer with these features stays longer than a time, after a Weibull model of accelerated failure time. NULL if an argument is NULL or an array holds a NULL. Refused (22023) are numbers that are not finite, a time below 0, and arrays of different lengths.",
            example: "SELECT weibull_aft_survival(2.248348, ARRAY[1.267332], 0.311709, ARRAY[1], 10);",
        },
        work: Work::NumberOfArrays(survival),
    },
    Scalar {
        name: "weibull_aft_median",
        arguments: &[INTERCEPT, COEFFICIENTS, LOG_SHAPE, VALUES],
        page: Page {
            section: SECTION,
            says: "Time that half of the customers with these features stay longer than, in the unit of the fitted durations, after a Weibull model of accelerated failure time. NULL if an argument is NULL or an array holds a NULL. Refused (22023) are numbers that are not finite, and arrays of different lengths.",
            example: "SELECT weibull_aft_median(2.248348, ARRAY[1.267332], 0.311709, ARRAY[1]);",
        },
        work: Work::NumberOfArrays(median),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "weibull_aft_fit",
    arguments: &[DURATION, EVENT, FEATURES],
    answer: Answer::Row(&[
        ("intercept", Answer::Number),
        ("coefficients", Answer::Numbers),
        ("log_shape", Answer::Number),
        ("log_likelihood", Answer::Number),
        ("intercept_standard_error", Answer::Number),
        ("standard_errors", Answer::Numbers),
        ("log_shape_standard_error", Answer::Number),
        ("customers", Answer::Number),
        ("iterations", Answer::Whole),
        ("converged", Answer::Flag),
    ]),
    page: Page {
        section: SECTION,
        says: "A Weibull model of accelerated failure time: the answer is a row of intercept, coefficients (an array, in the order of the features: the logarithm of the factor by which a unit of it stretches time), log_shape (above 0, leaving becomes likelier with time), log_likelihood, the standard errors of these, customers, iterations and converged, which is false where nobody of a group left or all at one time. Rows with a NULL are left out; NULL without any row. Refused (22023) are durations that are not above 0, features that are not finite or depend on each other, and that nobody left.",
        example: "SELECT (weibull_aft_fit(tenure, churned, monthly, is_senior)).* FROM customers;",
    },
    work: fit,
}];

/// Of numbers that are finite, and of as many features as coefficients.
fn model(
    intercept: Array,
    coefficients: Array,
    log_shape: Array,
    features: Array,
) -> Result<WeibullAft> {
    if coefficients.values.len() != features.values.len() {
        return Err(Error::Contradiction(
            "there must be as many features as coefficients",
        ));
    }
    for (name, array) in [
        ("intercept", intercept),
        ("coefficient", coefficients),
        ("log_shape", log_shape),
        ("feature", features),
    ] {
        for value in array.values {
            within(name, "a finite number", *value, f64::MIN..=f64::MAX)?;
        }
    }
    Ok(WeibullAft {
        intercept: intercept.number(),
        coefficients: coefficients.values.to_vec(),
        intercept_standard_error: 0.0,
        standard_errors: vec![],
        log_shape: log_shape.number(),
        log_shape_standard_error: 0.0,
        log_likelihood: 0.0,
        iterations: 0,
        converged: true,
    })
}

fn survival(row: &[Array]) -> Result<f64> {
    let [intercept, coefficients, log_shape, features, time] = taken(row);
    let model = model(intercept, coefficients, log_shape, features)?;
    let range = "a number of at least 0";
    let time = within("time", range, time.number(), 0.0..=f64::INFINITY)?;
    Ok(model.survival(features.values, time))
}

fn median(row: &[Array]) -> Result<f64> {
    let [intercept, coefficients, log_shape, features] = taken(row);
    let model = model(intercept, coefficients, log_shape, features)?;
    Ok(model.median(features.values))
}

fn fit(rows: &Rows) -> Result<Value> {
    let (features, n_features) = rows.features(2);
    let fit = weibull_aft::fit(
        &durations(rows, None)?,
        features,
        n_features,
        &cancel::asked(),
    )?;
    Ok(Value::Row(vec![
        fit.intercept.into(),
        fit.coefficients.into(),
        fit.log_shape.into(),
        fit.log_likelihood.into(),
        fit.intercept_standard_error.into(),
        fit.standard_errors.into(),
        fit.log_shape_standard_error.into(),
        (rows.len() as f64).into(),
        fit.iterations.into(),
        fit.converged.into(),
    ]))
}

#[cfg(test)]
mod tests {
    use datafusion_common::{Result, ScalarValue};
    use datafusion_expr::ColumnarValue;
    use rapport_udf_face::{Answer, check};

    use crate::freireich;

    #[test]
    fn b10_weibull_of_6_mp() {
        let columns = freireich::all();
        let row = check::aggregate(&crate::aggregate_functions(), "weibull_aft_fit", &columns);
        let row = row.expect("fits");
        let close = |got: f64, expected: f64| {
            assert!((got - expected).abs() < 1e-4, "{got}, not {expected}");
        };
        close(check::number(&row, "intercept").expect("one"), 2.248348);
        close(
            check::numbers(&check::column(&row, "coefficients"))[0],
            1.267332,
        );
        close(check::number(&row, "log_shape").expect("one"), 0.311709);
        close(
            check::number(&row, "log_likelihood").expect("one"),
            -106.5795,
        );
    }

    fn ask(name: &str, features: &[f64], time: Option<f64>) -> Result<f64> {
        let number = |value: f64| ColumnarValue::Scalar(ScalarValue::from(value));
        let array = |values: &[f64]| {
            let columns = Answer::Numbers.data_type(&[]);
            let scalar = ScalarValue::List(ScalarValue::new_list_nullable(
                &values
                    .iter()
                    .map(|v| ScalarValue::from(*v))
                    .collect::<Vec<_>>(),
                &arrow::datatypes::DataType::Float64,
            ));
            assert_eq!(scalar.data_type(), columns);
            ColumnarValue::Scalar(scalar)
        };
        let mut args = vec![
            number(2.248348),
            array(&[1.267332]),
            number(0.311709),
            array(features),
        ];
        args.extend(time.map(number));
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == name).expect("one");
        match check::invoke(function, &args)? {
            ColumnarValue::Scalar(ScalarValue::Float64(Some(value))) => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn half_stay_longer_than_the_median() {
        let median = ask("weibull_aft_median", &[1.0], None).expect("an answer");
        let survival = ask("weibull_aft_survival", &[1.0], Some(median)).expect("an answer");
        assert!((survival - 0.5).abs() < 1e-12);
        assert!(median > ask("weibull_aft_median", &[0.0], None).expect("an answer"));
        let survival = ask("weibull_aft_survival", &[1.0], Some(0.0)).expect("an answer");
        assert_eq!(survival, 1.0);
    }

    #[test]
    fn arrays_of_different_lengths_are_refused() {
        let error = ask("weibull_aft_median", &[1.0, 2.0], None).expect_err("refused");
        check::is_refusal(&error, "as many features as coefficients");
        let error = ask("weibull_aft_survival", &[1.0], Some(-1.0)).expect_err("refused");
        check::is_refusal(&error, "time must be");
    }
}
