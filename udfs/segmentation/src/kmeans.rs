//! `kmeans_…`: groups of customers who lie close to the middle of their group.

use rapport_stats::cluster_quality::{Tried, try_clusters};
use rapport_stats::kmeans::{Settings, assign, fit};
use rapport_stats::points::Points;
use rapport_stats::{Error, Result};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Array, Page, Rows, Scalar, Value, Work, cancel, taken, whole,
    within,
};

use crate::agreement::MOST_ROWS;

pub(crate) const SECTION: &str = "Segmentation";

pub(crate) const FEATURES: Argument = Argument::features(
    "feature",
    "what customers are compared by, as numbers or booleans, or as one array of numbers; in comparable units",
);

pub(crate) const SCALARS: &[Scalar] = &[Scalar {
    name: "kmeans_assign",
    arguments: &[
        Argument::matrix(
            "centres",
            "an array of arrays, one for each cluster, as kmeans_fit finds them",
        ),
        Argument::numbers(
            "features",
            "an array of the customer's features, as many as a centre has",
        ),
    ],
    page: Page {
        section: SECTION,
        says: "Number of the cluster whose centre is nearest to a customer, from 1, so that it is the place of its centre among the centres; of equally near ones the first. NULL if an argument is NULL or an array holds a NULL. Refused (22023) are numbers that are not finite, centres of different lengths, and as many features as no centre has.",
        example: "SELECT kmeans_assign(ARRAY[ARRAY[0.0, 0.0], ARRAY[5.0, 5.0]], ARRAY[4.0, 4.5]);",
    },
    work: Work::WholeOfArrays(nearest),
}];

pub(crate) const AGGREGATES: &[Aggregate] = &[FIT, CHOOSE];

const FIT: Aggregate = Aggregate {
    name: "kmeans_fit",
    arguments: &[
        Argument::constant(
            "clusters",
            "how many, a whole number from 1 to 10000; the same in all rows",
        ),
        FEATURES,
    ],
    answer: Answer::Row(&[
        ("centres", Answer::Matrix),
        ("sizes", Answer::Numbers),
        ("inertia", Answer::Number),
        ("customers", Answer::Number),
        ("iterations", Answer::Whole),
        ("converged", Answer::Flag),
    ]),
    page: Page {
        section: SECTION,
        says: "k-means: the best of ten starts (k-means++; of a hundred for at most 1,000 rows), the same for the same rows in whatever order they come. The answer is a row of centres (an array of arrays, the largest cluster's first), sizes (customers in each cluster), inertia (sum of squared distances from the nearest centre), customers, iterations and converged. Features count by their size: bring them to comparable units before, as by (x - avg(x)) / stddev_pop(x). Rows with a NULL are left out; NULL without any row. Refused (22023) are features that are not finite, clusters out of range, and fewer different rows than clusters.",
        example: "SELECT (kmeans_fit(3, petal_length, petal_width)).* FROM iris;",
    },
    work: clusters,
};

const CHOOSE: Aggregate = Aggregate {
    name: "kmeans_choose",
    arguments: &[
        Argument::constant(
            "most",
            "the largest number of clusters that is tried, a whole number from 2 to 100; the same in all rows",
        ),
        FEATURES,
    ],
    answer: Answer::Rows(&[
        ("clusters", Answer::Whole),
        ("inertia", Answer::Number),
        ("silhouette", Answer::Number),
    ]),
    page: Page {
        section: SECTION,
        says: "How good k-means is with each number of clusters from 2 on, to choose among them: an array of rows to unnest of clusters, inertia (sum of squared distances from the nearest centre, which always falls) and silhouette (as of the function of that name: the highest is best). Clusters are found as by kmeans_fit. Rows with a NULL are left out; NULL without any row. Refused (22023) are features that are not finite, a number of clusters out of range, and fewer different rows than clusters.",
        example: "SELECT (unnest(kmeans_choose(6, petal_length, petal_width))).* FROM iris;",
    },
    work: tried,
};

fn nearest(row: &[Array]) -> Result<i64> {
    let [centres, features] = taken(row);
    if centres.width != features.values.len() {
        return Err(Error::Contradiction(
            "there must be as many features as a centre has",
        ));
    }
    Points::new(centres.values, centres.width)?;
    Ok(assign(centres.values, features.values)? as i64 + 1)
}

fn clusters(rows: &Rows) -> Result<Value> {
    let clusters = rows.constant(0).unwrap_or(f64::NAN);
    let range = "a whole number from 1 to 10000";
    let clusters = whole(
        "clusters",
        within("clusters", range, clusters, 1.0..=10_000.0)?,
    )?;
    let (values, width) = rows.features(1);
    let values = in_order(values, width);
    let points = Points::new(&values, width)?;
    let found = fit(
        &points,
        &settings(clusters as usize, rows),
        &cancel::asked(),
    )?;
    Ok(Value::Row(vec![
        Value::Matrix(found.centres, width),
        found.weights.into(),
        found.inertia.into(),
        (rows.len() as f64).into(),
        found.iterations.into(),
        found.converged.into(),
    ]))
}

fn settings(clusters: usize, rows: &Rows) -> Settings {
    let mut settings = Settings::new(clusters);
    // Few rows cost nothing, and have local minima that ten starts may all end in.
    if rows.len() <= 1_000 {
        settings.starts = 100;
    }
    settings
}

fn tried(rows: &Rows) -> Result<Value> {
    let most = rows.constant(0).unwrap_or(f64::NAN);
    let range = "a whole number from 2 to 100";
    let most = whole("most", within("most", range, most, 2.0..=100.0)?)? as usize;
    let (values, width) = rows.features(1);
    let values = in_order(values, width);
    let points = Points::new(&values, width)?;
    let settings = settings(most, rows);
    let tried = try_clusters(&points, 2..=most, &settings, MOST_ROWS, &cancel::asked())?;
    let of = |f: fn(&Tried) -> f64| -> Vec<f64> { tried.iter().map(f).collect() };
    let clusters: Vec<usize> = tried.iter().map(|tried| tried.clusters).collect();
    Ok(Value::Rows(vec![
        clusters.into(),
        of(|tried| tried.inertia).into(),
        of(|tried| tried.silhouette).into(),
    ]))
}

/// The rows in an order of their own: that in which they come differs from one time to the next.
pub(crate) fn in_order(values: &[f64], width: usize) -> Vec<f64> {
    let mut rows: Vec<&[f64]> = values.chunks_exact(width).collect();
    rows.sort_unstable_by(|a, b| {
        let pairs = a.iter().zip(*b).map(|(a, b)| a.total_cmp(b));
        pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    rows.concat()
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use datafusion_common::{Result, ScalarValue};
    use datafusion_expr::ColumnarValue;
    use rapport_udf_face::check;

    fn fitted(k: f64, x: &[f64], y: &[f64]) -> Result<ScalarValue> {
        let columns = [vec![k; x.len()], x.to_vec(), y.to_vec()];
        let columns = columns.map(|column| check::column_of(&column));
        check::aggregate(&crate::aggregate_functions(), "kmeans_fit", &columns)
    }

    const X: [f64; 5] = [0.0, 0.0, 1.0, 9.0, 10.0];
    const Y: [f64; 5] = [0.0, 3.0, 0.0, 9.0, 9.0];

    #[test]
    fn two_groups_far_apart_are_found() {
        let row = fitted(2.0, &X, &Y).expect("fits");
        let of = |name: &str| check::numbers(&check::column(&row, name));
        assert_eq!(of("sizes"), [3.0, 2.0]);
        let third = 1.0 / 3.0;
        let pairs = of("centres").into_iter().zip([third, 1.0, 9.5, 9.0]);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12));
        let inertia = check::number(&row, "inertia").expect("a number");
        assert!(
            (inertia - (2.0 * third + 6.0 + 0.5)).abs() < 1e-12,
            "{inertia}"
        );
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter() {
        let reversed = |values: [f64; 5]| values.into_iter().rev().collect::<Vec<_>>();
        let other = fitted(2.0, &reversed(X), &reversed(Y)).expect("fits");
        assert_eq!(fitted(2.0, &X, &Y).expect("fits"), other);
    }

    #[test]
    fn more_clusters_than_rows_are_refused() {
        check::is_refusal(&fitted(6.0, &X, &Y).expect_err("refused"), "fewer rows");
        check::is_refusal(
            &fitted(0.0, &X, &Y).expect_err("refused"),
            "clusters must be",
        );
        check::is_refusal(
            &fitted(2.5, &X, &Y).expect_err("refused"),
            "clusters must be",
        );
        let error = fitted(1.0, &[f64::INFINITY], &[0.0]).expect_err("refused");
        check::is_refusal(&error, "a value to cluster by");
    }

    fn assigned(features: ArrayRef) -> Result<ScalarValue> {
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == "kmeans_assign");
        let rows = fitted(2.0, &X, &Y)?;
        let args = [
            ColumnarValue::Scalar(check::column(&rows, "centres")),
            ColumnarValue::Array(features),
        ];
        let answer = check::invoke(function.expect("one"), &args)?.into_array(1)?;
        ScalarValue::try_from_array(&answer, 0)
    }

    #[test]
    fn a_customer_belongs_to_the_nearest_centre() {
        let of = |features| assigned(check::lists([features])).expect("a cluster");
        assert_eq!(of([1.0, 2.0]), ScalarValue::from(1_i64));
        assert_eq!(of([8.0, 8.0]), ScalarValue::from(2_i64));
    }

    #[test]
    fn features_that_no_centre_has_are_refused() {
        let error = assigned(check::lists([[1.0]])).expect_err("refused");
        check::is_refusal(&error, "as many features as a centre has");
        let error = assigned(check::lists([[1.0, f64::NAN]])).expect_err("refused");
        check::is_refusal(&error, "a value to cluster by");
    }
}
