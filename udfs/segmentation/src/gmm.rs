//! `gmm_…`: groups of customers with soft borders, each with a size, a spread and a slant of its own.

use rapport_stats::gaussian_mixture::{Components, Settings, fit};
use rapport_stats::points::Points;
use rapport_stats::{Error, Result};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Array, Page, Rows, Scalar, Value, Work, cancel, taken, whole,
    within,
};

use crate::kmeans::{FEATURES, SECTION, in_order};

const ARGUMENTS: &[Argument] = &[
    Argument::numbers("weights", "an array, as gmm_fit finds them"),
    Argument::matrix(
        "means",
        "an array of arrays, one for each component, as gmm_fit finds them",
    ),
    Argument::matrix(
        "covariances",
        "an array of arrays, one for each component with its matrix row by row, as gmm_fit finds them",
    ),
    Argument::numbers(
        "features",
        "an array of the customer's features, as many as a mean has",
    ),
];

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "gmm_assign",
        arguments: ARGUMENTS,
        page: Page {
            section: SECTION,
            says: "Number of the component to which a customer most probably belongs, from 1, so that it is its place among the weights; of equally probable ones the first. NULL if an argument is NULL or an array holds a NULL. Refused (22023) are weights that do not lie between 0 and 1, numbers that are not finite, arrays that do not fit each other, and covariances that are none.",
            example: "SELECT gmm_assign(ARRAY[0.5, 0.5], ARRAY[ARRAY[0.0], ARRAY[4.0]], ARRAY[ARRAY[1.0], ARRAY[1.0]], ARRAY[3.0]);",
        },
        work: Work::WholeOfArrays(most_probable),
    },
    Scalar {
        name: "gmm_probabilities",
        arguments: ARGUMENTS,
        page: Page {
            section: SECTION,
            says: "Probabilities with which a customer belongs to each of the components, as an array in their order; they add up to 1. NULL if an argument is NULL or an array holds a NULL. Refused (22023) is what gmm_assign refuses.",
            example: "SELECT gmm_probabilities(ARRAY[0.5, 0.5], ARRAY[ARRAY[0.0], ARRAY[4.0]], ARRAY[ARRAY[1.0], ARRAY[1.0]], ARRAY[2.0]);",
        },
        work: Work::NumbersOfArrays(probabilities),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "gmm_fit",
    arguments: &[
        Argument::constant(
            "components",
            "how many, a whole number from 1 to 1000; the same in all rows",
        ),
        FEATURES,
    ],
    answer: Answer::Row(&[
        ("weights", Answer::Numbers),
        ("means", Answer::Matrix),
        ("covariances", Answer::Matrix),
        ("log_likelihood", Answer::Number),
        ("bic", Answer::Number),
        ("customers", Answer::Number),
        ("iterations", Answer::Whole),
        ("converged", Answer::Flag),
    ]),
    page: Page {
        section: SECTION,
        says: "Gaussian mixture with full covariances, by expectation-maximisation: the best of five starts, the same for the same rows in whatever order they come. The answer is a row of weights (share of the customers in each component, the largest first), means (an array of arrays), covariances (an array of arrays, one for each component with its matrix row by row), log_likelihood, bic (to choose how many components there are: lower is better), customers, iterations and converged. Rows with a NULL are left out; NULL without any row. Refused (22023) are features that are not finite or the same in every row, components out of range, and fewer different rows than components.",
        example: "SELECT (gmm_fit(3, petal_length, petal_width)).* FROM iris;",
    },
    work: mixture,
}];

fn probabilities(row: &[Array]) -> Result<Vec<f64>> {
    let [weights, means, covariances, features] = taken(row);
    for weight in weights.values {
        within("weight", "between 0 and 1", *weight, 0.0..=1.0)?;
    }
    for value in means.values.iter().chain(covariances.values) {
        let finite = f64::MIN..=f64::MAX;
        within("a mean or a covariance", "a finite number", *value, finite)?;
    }
    if means.width != features.values.len() {
        return Err(Error::Contradiction(
            "there must be as many features as a mean has",
        ));
    }
    let components = Components {
        weights: weights.values,
        means: means.values,
        covariances: covariances.values,
    };
    components.responsibilities(features.values)
}

fn most_probable(row: &[Array]) -> Result<i64> {
    let probabilities = probabilities(row)?;
    let mut best = 0;
    for (component, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = component;
        }
    }
    Ok(best as i64 + 1)
}

fn mixture(rows: &Rows) -> Result<Value> {
    let components = rows.constant(0).unwrap_or(f64::NAN);
    let range = "a whole number from 1 to 1000";
    let components = within("components", range, components, 1.0..=1_000.0)?;
    let components = whole("components", components)?;
    let (values, width) = rows.features(1);
    let values = in_order(values, width);
    let points = Points::new(&values, width)?;
    let found = fit(
        &points,
        &Settings::new(components as usize),
        &cancel::asked(),
    )?;
    Ok(Value::Row(vec![
        found.weights.into(),
        Value::Matrix(found.means, width),
        Value::Matrix(found.covariances, width * width),
        found.log_likelihood.into(),
        found.bic.into(),
        (rows.len() as f64).into(),
        found.iterations.into(),
        found.converged.into(),
    ]))
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use datafusion_common::{Result, ScalarValue};
    use datafusion_expr::ColumnarValue;
    use rapport_udf_face::check;

    fn fitted(components: f64, x: &[f64]) -> Result<ScalarValue> {
        let columns = [vec![components; x.len()], x.to_vec()];
        let columns = columns.map(|column| check::column_of(&column));
        check::aggregate(&crate::aggregate_functions(), "gmm_fit", &columns)
    }

    #[test]
    fn one_component_is_the_normal_distribution() {
        let row = fitted(1.0, &[1.0, 2.0, 3.0, 6.0]).expect("fits");
        let of = |name: &str| check::numbers(&check::column(&row, name));
        assert_eq!(of("weights"), [1.0]);
        assert!((of("means")[0] - 3.0).abs() < 1e-9);
        // The variance is that of the rows and a millionth.
        assert!((of("covariances")[0] - 3.5).abs() < 1e-5);
        let log_likelihood = -2.0 * ((2.0 * std::f64::consts::PI * 3.5).ln() + 1.0);
        let found = check::number(&row, "log_likelihood").expect("a number");
        assert!((found - log_likelihood).abs() < 1e-5, "{found}");
        let bic = check::number(&row, "bic").expect("a number");
        assert!((bic - (2.0 * 4_f64.ln() - 2.0 * log_likelihood)).abs() < 1e-4);
    }

    fn ask(name: &str, args: [ArrayRef; 4]) -> Result<ScalarValue> {
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == name).expect("one");
        let answer = check::invoke(function, &args.map(ColumnarValue::Array))?.into_array(1)?;
        ScalarValue::try_from_array(&answer, 0)
    }

    fn model(weights: [f64; 2], variance: f64, x: f64) -> [ArrayRef; 4] {
        [
            check::lists([weights]),
            matrix([0.0, 4.0]),
            matrix([variance, 1.0]),
            check::lists([[x]]),
        ]
    }

    /// Two arrays of one.
    fn matrix(values: [f64; 2]) -> ArrayRef {
        use arrow::array::builder::{Float64Builder, ListBuilder};
        let mut matrix = ListBuilder::new(ListBuilder::new(Float64Builder::new()));
        for value in values {
            matrix.values().append_value([Some(value)]);
        }
        matrix.append(true);
        std::sync::Arc::new(matrix.finish())
    }

    #[test]
    fn between_two_equal_components_it_is_even() {
        let p = ask("gmm_probabilities", model([0.5, 0.5], 1.0, 2.0)).expect("probabilities");
        assert_eq!(check::numbers(&p), [0.5, 0.5]);
        // The densities at 3 are as exp(-9/2) to exp(-1/2).
        let p = ask("gmm_probabilities", model([0.5, 0.5], 1.0, 3.0)).expect("probabilities");
        assert!((check::numbers(&p)[1] - 1.0 / (1.0 + (-4_f64).exp())).abs() < 1e-12);
        let of = |x| ask("gmm_assign", model([0.5, 0.5], 1.0, x)).expect("a component");
        assert_eq!(
            [1.0, 2.0, 3.0].map(of),
            [1_i64, 1, 2].map(ScalarValue::from)
        );
    }

    #[test]
    fn what_is_no_mixture_is_refused() {
        let refused = |args: [ArrayRef; 4], what: &str| {
            check::is_refusal(&ask("gmm_assign", args).expect_err("refused"), what);
        };
        refused(
            model([0.5, 1.5], 1.0, 2.0),
            "weight must be between 0 and 1",
        );
        refused(model([0.5, 0.5], -1.0, 2.0), "collapsed");
        refused(model([0.5, 0.5], f64::NAN, 2.0), "finite");
        let [weights, means, covariances, _] = model([0.5, 0.5], 1.0, 2.0);
        refused(
            [weights, means, covariances, check::lists([[1.0, 2.0]])],
            "as many features as a mean has",
        );
        check::is_refusal(
            &fitted(0.0, &[1.0, 2.0]).expect_err("refused"),
            "components",
        );
        check::is_refusal(
            &fitted(1.0, &[1.0, 1.0]).expect_err("refused"),
            "the same in every row",
        );
    }
}
