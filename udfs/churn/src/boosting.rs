//! `boosting_…`: the probability that something happens by gradient-boosted trees, which find thresholds, interactions and a
//! place for what is missing by themselves.

use rapport_stats::boosting::{Boosted, Boosting};
use rapport_stats::learner::{Column, Goal, Learner, Predictor, Table};
use rapport_stats::{Error, Result};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Scalar, Value, Work, cancel};

use crate::logistic::SECTION;

const MODEL: Argument = Argument::text("model", "a text, as boosting_fit answers it");
const FEATURES: Argument = Argument::features_or_null(
    "feature",
    "of the row, in the order in which the model was fitted to them: numbers or booleans, or one array of numbers; NULL is missing",
);

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "boosting_probability",
        arguments: &[MODEL, FEATURES],
        page: Page {
            section: SECTION,
            says: "Probability of what was fitted for a row with these features, calibrated. A feature that is NULL is missing, which the model has learned to deal with. NULL if the model, or the array of features, is NULL. Refused (22023) are a text that is no model, infinite features, and as many features as the model does not know.",
            example: "SELECT boosting_probability(model, tenure, monthly) FROM customers, (SELECT boosting_fit(churned, tenure, monthly) AS model FROM customers) AS fit;",
        },
        work: Work::NumberOfModel(|model, features, width| {
            read(model)?.predict(&table(features, width)?)
        }),
    },
    Scalar {
        name: "boosting_reasons",
        arguments: &[MODEL, FEATURES],
        page: Page {
            section: SECTION,
            says: "Why the probability is what it is: what each feature adds to the log-odds of this row against those of nobody in particular (Shapley values of the trees), as an array in the order of the features; above 0 it speaks for it, below 0 against it. Costly: some ten thousand rows a second. NULL and refusals are as of boosting_probability.",
            example: "SELECT boosting_reasons(model, tenure, monthly) FROM customers, (SELECT boosting_fit(churned, tenure, monthly) AS model FROM customers) AS fit;",
        },
        work: Work::NumbersOfModel(|model, features, width| {
            Ok(read(model)?.reasons(&table(features, width)?)?.additions)
        }),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "boosting_fit",
    arguments: &[
        Argument::flag("label", "whether it happened"),
        Argument::features_or_null(
            "feature",
            "what may matter, as numbers or booleans, or as one array of numbers; NULL is missing",
        ),
    ],
    answer: Answer::Text,
    page: Page {
        section: SECTION,
        says: "Gradient-boosted trees: the model as a text (JSON), for boosting_probability and boosting_reasons; keep it in a table. How many trees are grown is found by folds, and the probabilities are calibrated on rows that the trees have not seen; the same rows give the same model, in whatever order they come. Features need no common unit, and one that is NULL is missing and counts. Rows whose label, or array of features, is NULL are left out; NULL without any row. Refused (22023) are a label that is neither true nor false, 1 nor 0, fewer than two rows of each label, and infinite features.",
        example: "SELECT boosting_fit(churned, tenure, monthly) FROM customers;",
    },
    work: fit,
}];

fn read(model: &str) -> Result<Boosted> {
    let refused = |_| Error::Contradiction("the model is none that boosting_fit answered");
    Boosted::from_json(model).map_err(refused)
}

fn table(features: &[f64], width: usize) -> Result<Table> {
    let column = |at: usize| features.iter().skip(at).step_by(width).copied().collect();
    Table::new((0..width).map(|at| Column::Numbers(column(at))).collect())
}

fn fit(rows: &Rows) -> Result<Value> {
    let (features, width) = rows.features(1);
    let table = table(features, width)?;
    let labels = rows.numbers(0);
    let order = order(features, width, labels);
    let labels: Vec<f64> = order.iter().map(|row| labels[*row]).collect();
    let boosting = Boosting::new(Goal::Probability);
    let weights = vec![1.0; labels.len()];
    let fitted = boosting.fit(&table.select(&order), &labels, &weights, &cancel::asked())?;
    Ok(fitted.to_json()?.into())
}

/// An order of the rows' own: that in which they come differs from one time to the next.
fn order(features: &[f64], width: usize, labels: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let row = |row: usize| {
        let features = &features[row * width..(row + 1) * width];
        features.iter().chain(std::iter::once(&labels[row]))
    };
    order.sort_unstable_by(|a, b| {
        let mut pairs = row(*a).zip(row(*b)).map(|(a, b)| a.total_cmp(b));
        let different = pairs.find(|order| order.is_ne());
        different.unwrap_or(std::cmp::Ordering::Equal)
    });
    order
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef, AsArray};
    use arrow::datatypes::Float64Type;
    use datafusion_common::{Result, ScalarValue};
    use datafusion_expr::ColumnarValue;
    use rapport_udf_face::check;

    /// Who is young leaves; of every tenth nobody knows the age, and they leave too.
    fn customers() -> (Vec<f64>, Vec<Option<f64>>) {
        let age = |n: usize| (n % 10 != 3).then_some(18.0 + (n * 37 % 60) as f64);
        let ages: Vec<Option<f64>> = (0..400).map(age).collect();
        let leaves = ages.iter().map(|age| age.is_none_or(|age| age < 40.0));
        (
            leaves.map(|leaves| f64::from(u8::from(leaves))).collect(),
            ages,
        )
    }

    fn model(labels: &[f64], ages: &[Option<f64>]) -> Result<ScalarValue> {
        let columns = [
            check::column_of(labels),
            check::floats(ages.iter().copied()),
            check::floats(vec![None; labels.len()]),
        ];
        check::aggregate(&crate::aggregate_functions(), "boosting_fit", &columns)
    }

    fn ask(name: &str, model: ScalarValue, ages: [Option<f64>; 3]) -> Result<ArrayRef> {
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == name).expect("one");
        let args = [
            ColumnarValue::Scalar(model),
            ColumnarValue::Array(check::floats(ages)),
            ColumnarValue::Scalar(ScalarValue::Float64(None)),
        ];
        check::invoke(function, &args)?.into_array(3)
    }

    #[test]
    fn what_is_missing_is_learned_from_too() {
        let (labels, ages) = customers();
        let model = model(&labels, &ages).expect("fits");
        let asked = [Some(20.0), Some(70.0), None];
        let p = ask("boosting_probability", model.clone(), asked).expect("probabilities");
        let p = p.as_primitive::<Float64Type>();
        assert!(
            p.value(0) > 0.9 && p.value(1) < 0.1 && p.value(2) > 0.9,
            "{p:?}"
        );
        let reasons = ask("boosting_reasons", model, asked).expect("reasons");
        let reasons = reasons.as_list::<i32>();
        let of = |row: usize| {
            reasons
                .value(row)
                .as_primitive::<Float64Type>()
                .values()
                .to_vec()
        };
        assert!(of(0)[0] > 0.0 && of(1)[0] < 0.0 && of(2)[0] > 0.0);
        assert_eq!(of(0)[1], 0.0);
        assert_eq!(reasons.len(), 3);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter() {
        let (labels, ages) = customers();
        let reversed = |values: &[f64]| values.iter().rev().copied().collect::<Vec<f64>>();
        let ages_reversed: Vec<Option<f64>> = ages.iter().rev().copied().collect();
        let other = model(&reversed(&labels), &ages_reversed).expect("fits");
        assert_eq!(model(&labels, &ages).expect("fits"), other);
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let none = ScalarValue::Utf8View(Some("{}".to_owned()));
        let error = ask("boosting_probability", none, [None; 3]).expect_err("refused");
        check::is_refusal(&error, "the model is none that boosting_fit answered");
        let error = model(&[1.0, 1.0], &[Some(1.0), Some(2.0)]).expect_err("refused");
        check::is_refusal(&error, "two rows of each label");
    }
}
