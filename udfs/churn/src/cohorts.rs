//! Customers of a contract as rows of tenure and whether they left, and as the cohorts that the models are fitted to.

use rapport_stats::sbg::Cohort;
use rapport_stats::{Error, Result};
use rapport_udf_face::{Argument, Rows, whole, within};

pub(crate) const SECTION: &str = "Churn of contracts";

pub(crate) const TENURE: Argument = Argument::number(
    "tenure",
    "renewals that the customer has come to, a whole number of at most 1000: one who leaves at the first has 1",
);
pub(crate) const HAS_LEFT: Argument = Argument::flag(
    "has_left",
    "true of one who left at the last of these renewals, false of one who stayed and was not seen later",
);
pub(crate) const WEIGHT: Argument = Argument::number(
    "weight",
    "how many customers the row stands for; 1 if left out",
)
.optional();

const MOST_RENEWALS: f64 = 1_000.0;

/// What both fits say of their answer.
macro_rules! fit_says {
    ($text:literal) => {
        concat!(
            $text,
            " One row per customer, or per tenure with the number of customers as weight. By maximum likelihood; the answer is",
            " a row: the parameters, log_likelihood, the standard error of each parameter (NULL where the likelihood is flat),",
            " customers (who came to a renewal), converged, and boundary: true where the data do not tell the parameters apart.",
            " Who stayed and has not come to a renewal yet says nothing and is left out, as are rows with a NULL; NULL without",
            " any row. Refused (22023) are a tenure that is not a whole number from 0 to 1000, one of 0 of somebody who left,",
            " weights below 0, and that nobody has come to a renewal."
        )
    };
}
pub(crate) use fit_says;

/// Of an aggregate whose arguments are tenure, whether they left, and perhaps a weight; and how many customers they are.
pub(crate) fn cohorts(rows: &Rows) -> Result<(Vec<Cohort>, f64)> {
    let (mut lost, mut stayed) = (vec![], vec![]);
    let pairs = rows.numbers(0).iter().zip(rows.flags(1));
    for ((tenure, has_left), weight) in pairs.zip(rows.weights(2)) {
        let (least, range) = match has_left {
            true => (1.0, "a whole number from 1 to 1000 of one who left"),
            false => (0.0, "a whole number from 0 to 1000"),
        };
        let tenure = within("tenure", range, *tenure, least..=MOST_RENEWALS)?;
        let weight = within(
            "weight",
            "a finite number of at least 0",
            weight,
            0.0..=f64::MAX,
        )?;
        let counts = if has_left { &mut lost } else { &mut stayed };
        add(counts, whole("tenure", tenure)? as usize, weight);
    }
    let mut cohorts = vec![];
    if lost.iter().any(|count| *count > 0.0) {
        cohorts.push(Cohort::new(survivors(&lost))?);
    }
    for (tenure, count) in stayed.into_iter().enumerate().skip(1) {
        if count > 0.0 {
            cohorts.push(Cohort::new(vec![count; tenure + 1])?);
        }
    }
    if cohorts.is_empty() {
        return Err(Error::TooLittle("nobody has come to a renewal yet"));
    }
    Ok((cohorts, customers(rows)))
}

fn add(counts: &mut Vec<f64>, tenure: usize, weight: f64) {
    if counts.len() <= tenure {
        counts.resize(tenure + 1, 0.0);
    }
    counts[tenure] += weight;
}

/// How many are there at the start and after each renewal, of customers all of whom leave.
fn survivors(lost: &[f64]) -> Vec<f64> {
    let mut left = 0.0;
    let mut survivors: Vec<f64> = lost
        .iter()
        .rev()
        .map(|count| {
            let before = left;
            left += count;
            before
        })
        .collect();
    survivors.reverse();
    survivors
}

fn customers(rows: &Rows) -> f64 {
    let weights = rows.weights(2);
    let pairs = rows.numbers(0).iter().zip(&weights);
    pairs
        .filter(|(tenure, _)| **tenure > 0.0)
        .map(|(_, w)| w)
        .sum()
}

#[cfg(test)]
pub(crate) mod tests {
    use arrow::array::ArrayRef;
    use rapport_udf_face::check;

    use super::*;

    #[test]
    fn who_leaves_is_there_until_then() {
        assert_eq!(survivors(&[0.0, 3.0, 0.0, 2.0]), [5.0, 2.0, 2.0, 0.0]);
    }

    /// Rows of a cohort of which so many are there after each renewal.
    pub(crate) fn rows(survivors: &[f64]) -> Vec<ArrayRef> {
        let last = survivors.len() - 1;
        let mut columns = [vec![], vec![], vec![]];
        for tenure in 1..=last {
            columns[0].push(tenure as f64);
            columns[1].push(1.0);
            columns[2].push(survivors[tenure - 1] - survivors[tenure]);
        }
        columns[0].push(last as f64);
        columns[1].push(0.0);
        columns[2].push(survivors[last]);
        columns.map(|column| check::column_of(&column)).to_vec()
    }

    #[test]
    fn what_no_contract_can_be_is_refused() {
        let refused = |tenure: f64, has_left: f64, what: &str| {
            let rows = [tenure, has_left].map(|value| check::column_of(&[value]));
            let answer = check::aggregate(&crate::aggregate_functions(), "sbg_fit", &rows);
            check::is_refusal(&answer.expect_err("refused"), what);
        };
        refused(0.0, 1.0, "from 1 to 1000 of one who left");
        refused(1.5, 1.0, "tenure must be a whole number");
        refused(1_001.0, 0.0, "from 0 to 1000");
        refused(0.0, 0.0, "nobody has come to a renewal yet");
    }
}
