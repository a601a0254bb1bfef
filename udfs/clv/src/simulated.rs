//! Customers of a simulation over 24 weeks, as repeats, recency, age and how many there are of the kind; an independent
//! program (scipy) found the maxima that the tests expect.

use arrow::array::ArrayRef;
use rapport_udf_face::check;

#[rustfmt::skip]
const CUSTOMERS: &[[u32; 4]] = &[
    [0, 0, 20, 117], [0, 0, 24, 110], [1, 1, 20, 2], [1, 1, 24, 8], [1, 2, 20, 8], [1, 2, 24, 3], [1, 3, 20, 1],
    [1, 3, 24, 3], [1, 4, 20, 2], [1, 4, 24, 3], [1, 5, 20, 2], [1, 5, 24, 3], [1, 6, 24, 2], [1, 7, 20, 2],
    [1, 7, 24, 2], [1, 8, 24, 2], [1, 9, 20, 1], [1, 9, 24, 1], [1, 10, 20, 2], [1, 10, 24, 1], [1, 11, 20, 4],
    [1, 12, 20, 1], [1, 14, 24, 1], [1, 15, 24, 1], [1, 16, 24, 2], [1, 17, 24, 1], [1, 20, 20, 1], [1, 20, 24, 2],
    [1, 22, 24, 1], [2, 3, 24, 3], [2, 4, 20, 1], [2, 4, 24, 2], [2, 5, 20, 1], [2, 6, 24, 1], [2, 8, 20, 1],
    [2, 8, 24, 1], [2, 10, 20, 1], [2, 10, 24, 1], [2, 11, 20, 1], [2, 11, 24, 1], [2, 12, 20, 1], [2, 12, 24, 1],
    [2, 13, 20, 2], [2, 14, 20, 2], [2, 14, 24, 1], [2, 15, 20, 2], [2, 15, 24, 2], [2, 16, 20, 1], [2, 16, 24, 1],
    [2, 17, 20, 1], [2, 19, 24, 1], [2, 20, 20, 1], [2, 21, 24, 1], [2, 23, 24, 2], [2, 24, 24, 1], [3, 4, 20, 1],
    [3, 5, 20, 1], [3, 6, 20, 1], [3, 7, 20, 1], [3, 7, 24, 2], [3, 10, 20, 1], [3, 11, 24, 2], [3, 14, 20, 1],
    [3, 14, 24, 1], [3, 15, 20, 1], [3, 15, 24, 1], [3, 16, 24, 1], [3, 17, 24, 1], [3, 18, 24, 1], [3, 19, 20, 1],
    [3, 19, 24, 2], [3, 22, 24, 2], [3, 23, 24, 1], [3, 24, 24, 1], [4, 10, 24, 1], [4, 12, 20, 1], [4, 14, 24, 1],
    [4, 15, 24, 1], [4, 16, 20, 2], [4, 19, 20, 1], [4, 23, 24, 1], [4, 24, 24, 3], [5, 6, 20, 1], [5, 15, 24, 1],
    [5, 17, 20, 1], [5, 20, 20, 1], [5, 24, 24, 2], [6, 13, 24, 1], [6, 20, 24, 1], [6, 21, 24, 1], [7, 18, 20, 1],
    [7, 23, 24, 1], [7, 24, 24, 1], [8, 20, 20, 1], [8, 23, 24, 1], [9, 17, 20, 1], [11, 17, 20, 1], [11, 22, 24, 1],
    [11, 24, 24, 1], [13, 24, 24, 1], [15, 24, 24, 1],
];

fn columns() -> Vec<ArrayRef> {
    let column = |index: usize| {
        let values = CUSTOMERS.iter().map(|row| f64::from(row[index]));
        check::column_of(&values.collect::<Vec<_>>())
    };
    (0..4).map(column).collect()
}

/// That `name` finds the parameters, each to a ten-thousandth of itself, and the likelihood to a millionth.
pub(crate) fn check(name: &str, parameters: &[(&str, f64)], log_likelihood: f64) {
    let answer = check::aggregate(&crate::aggregate_functions(), name, &columns());
    let answer = answer.expect("fits");
    for (parameter, expected) in parameters {
        let got = check::number(&answer, parameter).expect("a number");
        assert!(
            (got / expected - 1.0).abs() < 1e-4,
            "{parameter} {got}, not {expected}"
        );
        let error = check::number(&answer, &format!("{parameter}_standard_error"));
        assert!(error.is_some_and(|error| error > 0.0));
    }
    let got = check::number(&answer, "log_likelihood").expect("a number");
    assert!(
        (got / log_likelihood - 1.0).abs() < 1e-6,
        "{got}, not {log_likelihood}"
    );
    assert_eq!(check::number(&answer, "customers"), Some(377.0));
    let is =
        |name: &str| check::column(&answer, name) == datafusion_common::ScalarValue::from(true);
    assert!(is("converged") && !is("boundary"));
}
