//! `logistic_…`: how features move the odds that something happens.

use rapport_stats::logistic::{self, sigmoid};
use rapport_stats::{Error, Result};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Array, Page, Rows, Scalar, Value, Work, cancel, taken, within,
};

use crate::cox::FEATURES;

pub(crate) const SECTION: &str = "Propensity";

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "logistic",
        arguments: &[Argument::number(
            "log_odds",
            "logarithm of the odds, any number, infinite ones among them",
        )],
        page: Page {
            section: SECTION,
            says: "The probability of which these are the log-odds: 1 / (1 + exp(-log_odds)). NULL if the argument is NULL. Refused (22023) is NaN.",
            example: "SELECT logistic(intercept + slope * score) FROM scored;",
        },
        work: Work::Number(|row| {
            let [log_odds] = taken(row);
            let all = f64::NEG_INFINITY..=f64::INFINITY;
            Ok(sigmoid(within("log_odds", "a number", log_odds, all)?))
        }),
    },
    Scalar {
        name: "logistic_probability",
        arguments: &[
            Argument::number("intercept", "as logistic_fit finds it"),
            Argument::numbers("coefficients", "an array, as logistic_fit finds it"),
            Argument::numbers(
                "features",
                "an array of the row's features, in the order of the coefficients",
            ),
        ],
        page: Page {
            section: SECTION,
            says: "Probability of what was fitted for a row with these features: logistic(intercept + Σ coefficient · feature). NULL if an argument is NULL or an array holds a NULL. Refused (22023) are numbers that are not finite, and arrays of different lengths.",
            example: "SELECT logistic_probability(-13.02135, ARRAY[2.82611, 0.09516, 2.37869], ARRAY[3.26, 25, 0]);",
        },
        work: Work::NumberOfArrays(probability),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "logistic_fit",
    arguments: &[Argument::flag("label", "whether it happened"), FEATURES],
    answer: Answer::Row(&[
        ("intercept", Answer::Number),
        ("coefficients", Answer::Numbers),
        ("log_likelihood", Answer::Number),
        ("log_likelihood_of_none", Answer::Number),
        ("intercept_standard_error", Answer::Number),
        ("standard_errors", Answer::Numbers),
        ("customers", Answer::Number),
        ("iterations", Answer::Whole),
        ("converged", Answer::Flag),
        ("separated", Answer::Flag),
    ]),
    page: Page {
        section: SECTION,
        says: "Logistic regression, not regularised: the answer is a row of intercept, coefficients (an array, in the order of the features: the logarithm of the factor by which a unit of it multiplies the odds), log_likelihood, that of the intercept alone, the standard errors, customers, iterations, converged, and separated: true where the features tell some outcomes without an error, so that probabilities are good but coefficients mean nothing. Rows with a NULL are left out; NULL without any row. Refused (22023) are a label that is neither true nor false, 1 nor 0, labels that are all the same, and features that are not finite or depend on each other.",
        example: "SELECT (logistic_fit(churned, tenure, monthly, is_senior)).* FROM customers;",
    },
    work: fit,
}];

fn probability(row: &[Array]) -> Result<f64> {
    let [intercept, coefficients, features] = taken(row);
    if coefficients.values.len() != features.values.len() {
        return Err(Error::Contradiction(
            "there must be as many features as coefficients",
        ));
    }
    let mut log_odds = finite("intercept", intercept.number())?;
    for (coefficient, feature) in coefficients.values.iter().zip(features.values) {
        log_odds += finite("coefficient", *coefficient)? * finite("feature", *feature)?;
    }
    Ok(sigmoid(log_odds))
}

fn finite(name: &'static str, value: f64) -> Result<f64> {
    within(name, "a finite number", value, f64::MIN..=f64::MAX)
}

fn fit(rows: &Rows) -> Result<Value> {
    let (features, n_features) = rows.features(1);
    let weights = vec![1.0; rows.len()];
    let labels = rows.numbers(0);
    let fit = logistic::fit(
        features,
        n_features,
        labels,
        &weights,
        0.0,
        &cancel::asked(),
    )?;
    Ok(Value::Row(vec![
        fit.intercept.into(),
        fit.coefficients.into(),
        fit.log_likelihood.into(),
        fit.log_likelihood_of_none.into(),
        fit.intercept_standard_error.into(),
        fit.standard_errors.into(),
        (rows.len() as f64).into(),
        fit.iterations.into(),
        fit.converged.into(),
        fit.separated.into(),
    ]))
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use datafusion_common::ScalarValue;
    use rapport_udf_face::check;

    /// Grade point average, test score, taught by the new method; better grade. From Spector & Mazzeo (1980).
    #[rustfmt::skip]
    const SPECTOR: [[f64; 4]; 32] = [
        [2.66, 20.0, 0.0, 0.0], [2.89, 22.0, 0.0, 0.0], [3.28, 24.0, 0.0, 0.0], [2.92, 12.0, 0.0, 0.0],
        [4.00, 21.0, 0.0, 1.0], [2.86, 17.0, 0.0, 0.0], [2.76, 17.0, 0.0, 0.0], [2.87, 21.0, 0.0, 0.0],
        [3.03, 25.0, 0.0, 0.0], [3.92, 29.0, 0.0, 1.0], [2.63, 20.0, 0.0, 0.0], [3.32, 23.0, 0.0, 0.0],
        [3.57, 23.0, 0.0, 0.0], [3.26, 25.0, 0.0, 1.0], [3.53, 26.0, 0.0, 0.0], [2.74, 19.0, 0.0, 0.0],
        [2.75, 25.0, 0.0, 0.0], [2.83, 19.0, 0.0, 0.0], [3.12, 23.0, 1.0, 0.0], [3.16, 25.0, 1.0, 1.0],
        [2.06, 22.0, 1.0, 0.0], [3.62, 28.0, 1.0, 1.0], [2.89, 14.0, 1.0, 0.0], [3.51, 26.0, 1.0, 0.0],
        [3.54, 24.0, 1.0, 1.0], [2.83, 27.0, 1.0, 1.0], [3.39, 17.0, 1.0, 1.0], [2.67, 24.0, 1.0, 0.0],
        [3.65, 21.0, 1.0, 1.0], [4.00, 23.0, 1.0, 1.0], [3.10, 21.0, 1.0, 0.0], [2.39, 19.0, 1.0, 1.0],
    ];

    fn column(index: usize) -> ArrayRef {
        check::column_of(&SPECTOR.map(|row| row[index]))
    }

    fn fitted(columns: &[ArrayRef]) -> datafusion_common::Result<ScalarValue> {
        check::aggregate(&crate::aggregate_functions(), "logistic_fit", columns)
    }

    #[test]
    fn c1_spector_and_mazzeo() {
        let row = fitted(&[column(3), column(0), column(1), column(2)]).expect("fits");
        let number = |name: &str| check::number(&row, name).expect("a number");
        let close = |got: f64, expected: f64| {
            assert!((got - expected).abs() < 1e-4, "{got}, not {expected}");
        };
        close(number("intercept"), -13.02135);
        close(number("log_likelihood"), -12.88963);
        close(number("intercept_standard_error"), 4.93132);
        let coefficients = check::numbers(&check::column(&row, "coefficients"));
        let errors = check::numbers(&check::column(&row, "standard_errors"));
        let expected = [2.82611, 0.09516, 2.37869];
        coefficients
            .iter()
            .zip(expected)
            .for_each(|(a, b)| close(*a, b));
        errors
            .iter()
            .zip([1.26294, 0.14155, 1.06456])
            .for_each(|(a, b)| close(*a, b));
    }

    #[test]
    fn an_array_is_as_good_as_its_numbers() {
        let array = check::lists(SPECTOR.map(|row| [row[0], row[1], row[2]]));
        let of_array = fitted(&[column(3), array]).expect("fits");
        let of_numbers = fitted(&[column(3), column(0), column(1), column(2)]).expect("fits");
        assert_eq!(of_array, of_numbers);
    }

    #[test]
    fn labels_that_are_all_the_same_are_refused() {
        let columns = [check::column_of(&[1.0, 1.0]), check::column_of(&[0.5, 0.6])];
        check::is_refusal(&fitted(&columns).expect_err("refused"), "all the same");
    }

    #[test]
    fn even_odds_are_a_half() {
        let of = |x: f64| check::scalar(&crate::functions(), "logistic", &[x]);
        assert_eq!(of(0.0).expect("an answer"), 0.5);
        assert_eq!(of(f64::NEG_INFINITY).expect("an answer"), 0.0);
        assert_eq!(of(f64::INFINITY).expect("an answer"), 1.0);
        check::is_refusal(
            &of(f64::NAN).expect_err("refused"),
            "log_odds must be a number",
        );
    }

    #[test]
    fn a_probability_is_that_of_the_sum() {
        use datafusion_expr::ColumnarValue;
        let functions = crate::functions();
        let function = functions
            .iter()
            .find(|f| f.name() == "logistic_probability");
        let function = function.expect("one");
        let ask = |features: ArrayRef| {
            let coefficients = check::lists([[2.82611, 0.09516, 2.37869]]);
            let args = [check::column_of(&[-13.02135]), coefficients, features];
            let args = args.map(ColumnarValue::Array);
            check::invoke(function, &args)?.into_array(1)
        };
        let answer = ask(check::lists([[3.26, 25.0, 0.0]])).expect("an answer");
        let answer = ScalarValue::try_from_array(&answer, 0).expect("one");
        let expected = 1.0 / (1.0 + (13.02135 - 2.82611 * 3.26 - 0.09516 * 25.0_f64).exp());
        assert_eq!(answer, ScalarValue::from(expected));
        let error = ask(check::lists([[3.26]])).expect_err("refused");
        check::is_refusal(&error, "as many features");
    }
}
