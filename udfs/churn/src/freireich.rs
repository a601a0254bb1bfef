//! For the tests: weeks in remission of Freireich's leukaemia patients, whether they ended, and whether treated with 6-MP.

use arrow::array::ArrayRef;
use rapport_udf_face::check;

#[rustfmt::skip]
const TREATED: [(f64, f64); 21] = [
    (6.0, 1.0), (6.0, 1.0), (6.0, 1.0), (6.0, 0.0), (7.0, 1.0), (9.0, 0.0), (10.0, 1.0), (10.0, 0.0), (11.0, 0.0),
    (13.0, 1.0), (16.0, 1.0), (17.0, 0.0), (19.0, 0.0), (20.0, 0.0), (22.0, 1.0), (23.0, 1.0), (25.0, 0.0), (32.0, 0.0),
    (32.0, 0.0), (34.0, 0.0), (35.0, 0.0),
];
#[rustfmt::skip]
const PLACEBO: [f64; 21] = [
    1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 5.0, 5.0, 8.0, 8.0, 8.0, 8.0, 11.0, 11.0, 12.0, 12.0, 15.0, 17.0, 22.0, 23.0,
];

/// Duration, event.
pub(crate) fn treated() -> Vec<ArrayRef> {
    columns(&TREATED)
}

pub(crate) fn placebo() -> Vec<ArrayRef> {
    columns(&PLACEBO.map(|time| (time, 1.0)))
}

/// Duration, event, whether treated.
pub(crate) fn all() -> Vec<ArrayRef> {
    let rows: Vec<(f64, f64)> = TREATED
        .into_iter()
        .chain(PLACEBO.map(|time| (time, 1.0)))
        .collect();
    let mut columns = columns(&rows);
    let treated = (0..42).map(|n| f64::from(u8::from(n < 21)));
    columns.push(check::column_of(&treated.collect::<Vec<_>>()));
    columns
}

fn columns(rows: &[(f64, f64)]) -> Vec<ArrayRef> {
    let (times, events): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
    vec![check::column_of(&times), check::column_of(&events)]
}
