//! `silhouette` and `adjusted_rand_index`: how good a grouping of customers is, and how far two of them agree.

use rapport_stats::cluster_quality::{adjusted_rand_index, silhouette};
use rapport_stats::points::Points;
use rapport_stats::{Error, Result};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel};

use crate::kmeans::FEATURES;

const SECTION: &str = "Segmentation";

/// All pairs are measured.
pub(crate) const MOST_ROWS: usize = 10_000;

pub(crate) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "silhouette",
        arguments: &[
            Argument::label("cluster", "of the customer: a number or a text"),
            FEATURES,
        ],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: "How well customers lie in their clusters, from -1 to 1: the mean over them of (b - a) / max(a, b), a being the mean distance from the others of their own cluster, b the least mean distance from those of another. Of more than 10000 customers a sample of so many is measured, the same for the same rows. Rows with a NULL are left out; NULL without any row and where there are fewer than two clusters. Refused (22023) are features that are not finite.",
            example: "SELECT silhouette(segment, recency, frequency) FROM customers;",
        },
        work: width,
    },
    Aggregate {
        name: "adjusted_rand_index",
        arguments: &[
            Argument::label(
                "a",
                "one grouping's label of the customer: a number or a text",
            ),
            Argument::label("b", "the other's"),
        ],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: "How far two groupings of the same customers agree, whatever their labels: 1 if they are equal, about 0 if they have nothing to do with each other. Rows with a NULL are left out; NULL without any row.",
            example: "SELECT adjusted_rand_index(segment, segment_last_month) FROM customers;",
        },
        work: |rows| Ok(adjusted_rand_index(&rows.labels(0).0, &rows.labels(1).0)?.into()),
    },
];

fn width(rows: &Rows) -> Result<Value> {
    let (labels, _) = rows.labels(0);
    let (values, width) = rows.features(1);
    let (labels, values) = in_order(&labels, values, width);
    let points = Points::new(&values, width)?;
    match silhouette(&points, &labels, MOST_ROWS, 0, &cancel::asked()) {
        Err(Error::TooLittle(_)) => Ok(Value::Null),
        silhouette => Ok(silhouette?.mean.into()),
    }
}

/// The rows in an order of their own: that in which they come differs from one time to the next, and so would the sample.
fn in_order(labels: &[u32], values: &[f64], width: usize) -> (Vec<u32>, Vec<f64>) {
    let mut rows: Vec<(u32, &[f64])> = labels
        .iter()
        .copied()
        .zip(values.chunks_exact(width))
        .collect();
    rows.sort_unstable_by(|(label, a), (other, b)| {
        let pairs = a.iter().zip(*b).map(|(a, b)| a.total_cmp(b));
        pairs.fold(label.cmp(other), std::cmp::Ordering::then)
    });
    let labels = rows.iter().map(|(label, _)| *label).collect();
    let values = rows.iter().flat_map(|(_, row)| row.iter().copied());
    (labels, values.collect())
}

#[cfg(test)]
mod tests {
    use datafusion_common::ScalarValue;
    use rapport_udf_face::check;

    fn silhouette(labels: &[&str], values: &[f64]) -> datafusion_common::Result<ScalarValue> {
        let columns = [
            check::labels(labels.iter().copied()),
            check::column_of(values),
        ];
        check::aggregate(&crate::aggregate_functions(), "silhouette", &columns)
    }

    #[test]
    fn the_silhouette_worked_by_hand() {
        let answer = silhouette(&["b", "b", "a", "a"], &[0.0, 1.0, 9.0, 10.0]);
        let ScalarValue::Float64(Some(width)) = answer.expect("an answer") else {
            panic!("no number");
        };
        assert!((width - 0.5 * (8.5 / 9.5 + 7.5 / 8.5)).abs() < 1e-15);
    }

    #[test]
    fn one_cluster_has_none() {
        let answer = silhouette(&["a", "a"], &[0.0, 1.0]);
        assert!(answer.expect("an answer").is_null());
        let error = silhouette(&["a", "b"], &[0.0, f64::NAN]).expect_err("refused");
        check::is_refusal(&error, "a value to cluster by");
    }

    #[test]
    fn agreement_does_not_depend_on_names() {
        let of = |a: [&str; 4], b: [&str; 4]| {
            let columns = [check::labels(a), check::labels(b)];
            let name = "adjusted_rand_index";
            let answer = check::aggregate(&crate::aggregate_functions(), name, &columns);
            match answer.expect("an answer") {
                ScalarValue::Float64(Some(index)) => index,
                other => panic!("{other}"),
            }
        };
        let pairs = ["x", "x", "y", "y"];
        assert_eq!(of(pairs, ["2", "2", "1", "1"]), 1.0);
        assert!((of(pairs, ["1", "2", "1", "2"]) + 0.5).abs() < 1e-15);
    }
}
