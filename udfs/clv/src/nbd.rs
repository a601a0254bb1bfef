//! `nbd_…`: customers buy at their own rate and never stop; the baseline of the other models.

use rapport_stats::Result;
use rapport_stats::history::History;
use rapport_stats::nbd::Nbd;
use rapport_udf_face::{Aggregate, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told};

use crate::bgnbd::{ALPHA, R};
use crate::history::{AGE, HORIZON, RECENCY, REPEATS, SECTION, WEIGHT, customers, fit_says, says};

pub(crate) const SCALARS: &[Scalar] = &[Scalar {
    name: "nbd_expected_purchases",
    arguments: &[R, ALPHA, REPEATS, RECENCY, AGE, HORIZON],
    page: Page {
        section: SECTION,
        says: says!(
            "Purchases that a customer is expected to make within the horizon, after the NBD model, in which nobody ever stops: (r + repeats) / (alpha + age) · horizon. What a model with churn has to beat; recency is asked for so that one can stand in for the other."
        ),
        example: "SELECT nbd_expected_purchases(0.385, 12.072, 2, 30.43, 38.86, 39);",
    },
    work: Work::Number(expected_purchases),
}];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "nbd_fit",
    arguments: &[REPEATS, RECENCY, AGE, WEIGHT],
    answer: fit_row!["r", "alpha"],
    page: Page {
        section: SECTION,
        says: fit_says!(
            "The parameters r and alpha of the NBD model of one row per customer, or per group of equal ones with its weight. The likelihood is that of the purchases' times, comparable with those of the other models."
        ),
        example: "SELECT (nbd_fit(repeats, recency, age)).* FROM summaries;",
    },
    work: fit,
}];

fn expected_purchases(row: &[f64]) -> Result<f64> {
    let [r, alpha, repeats, recency, age, horizon] = taken(row);
    let history = History::new(repeats, recency, age)?;
    Nbd::new(r, alpha)?.expected_purchases(history, horizon)
}

fn fit(rows: &Rows) -> Result<Value> {
    let customers = customers(rows)?;
    let fit = Nbd::fit(&customers, &cancel::asked())?;
    Ok(told(&fit, customers.weight()))
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    #[test]
    fn a_quarter_more_for_a_quarter_longer() {
        let of = |horizon: f64| {
            let arguments = [0.5, 10.0, 2.0, 30.0, 40.0, horizon];
            check::scalar(&crate::functions(), "nbd_expected_purchases", &arguments)
        };
        assert_eq!(of(40.0).expect("an answer"), 2.0);
        assert_eq!(of(50.0).expect("an answer"), 2.5);
        assert_eq!(of(0.0).expect("an answer"), 0.0);
        check::is_refusal(&of(-1.0).expect_err("refused"), "horizon");
    }

    #[test]
    fn a_fit_finds_the_maximum() {
        let parameters = [("r", 0.39243777), ("alpha", 8.28715094)];
        crate::simulated::check("nbd_fit", &parameters, -1_441.399_146_6);
    }
}
