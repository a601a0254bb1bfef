//! `bdw_…`: as `sbg_…`, but a customer's own probability of leaving may rise or fall with time.

use rapport_stats::Result;
use rapport_stats::bdw::BetaDiscreteWeibull;
use rapport_udf_face::{
    Aggregate, Argument, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told,
};

use crate::cohorts::{HAS_LEFT, SECTION, TENURE, WEIGHT, cohorts, fit_says};
use crate::sbg::{ALPHA, BETA, PERIODS, later};

pub(crate) const SCALARS: &[Scalar] = &[Scalar {
    name: "bdw_survival",
    arguments: &[
        ALPHA,
        BETA,
        Argument::number(
            "c",
            "how leaving goes with time, above 0: the likelier the longer somebody stays above 1, the less likely below",
        ),
        PERIODS,
    ],
    page: Page {
        section: SECTION,
        says: "Share of a cohort that is still there after so many renewals, after the beta-discrete-Weibull model; with c = 1 it is sbg_survival. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0 and periods below 0.",
        example: "SELECT n, bdw_survival(0.2143, 1.4266, 1.7236, n) FROM generate_series(0, 12) AS n;",
    },
    work: Work::Number(survival),
}];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "bdw_fit",
    arguments: &[TENURE, HAS_LEFT, WEIGHT],
    answer: fit_row!["alpha", "beta", "c"],
    page: Page {
        section: SECTION,
        says: fit_says!("The parameters alpha, beta and c of the beta-discrete-Weibull model."),
        example: "SELECT (bdw_fit(tenure, has_left)).* FROM contracts;",
    },
    work: fit,
}];

fn survival(row: &[f64]) -> Result<f64> {
    let [alpha, beta, c, periods] = taken(row);
    Ok(BetaDiscreteWeibull::new(alpha, beta, c)?.survival(later(periods)?))
}

fn fit(rows: &Rows) -> Result<Value> {
    let (cohorts, customers) = cohorts(rows)?;
    let fit = BetaDiscreteWeibull::fit(&cohorts, &cancel::asked())?;
    Ok(told(&fit, customers))
}

#[cfg(test)]
mod tests {
    use crate::cohorts::tests::rows;
    use rapport_udf_face::check;

    fn check(survivors: &[f64], parameters: [f64; 3], log_likelihood: f64) {
        let rows = rows(survivors);
        let fit = check::aggregate(&crate::aggregate_functions(), "bdw_fit", &rows);
        let fit = fit.expect("fits");
        for (column, expected) in ["alpha", "beta", "c"].iter().zip(parameters) {
            let got = check::number(&fit, column).expect("a number");
            assert!(
                (got - expected).abs() < 0.001,
                "{column} {got}, not {expected}"
            );
        }
        let got = check::number(&fit, "log_likelihood").expect("a number");
        assert!((got - log_likelihood).abs() < 0.01, "{got}");
    }

    #[test]
    fn b4_the_published_cohorts() {
        let high_end = [1000.0, 869.0, 743.0, 653.0, 593.0, 551.0, 517.0, 491.0];
        check(&high_end, [0.2143, 1.4266, 1.7236], -1_605.314);
        let regular = [1000.0, 631.0, 468.0, 382.0, 326.0, 289.0, 262.0, 241.0];
        check(&regular, [0.4556, 0.7793, 1.2835], -1_679.603);
    }

    #[test]
    fn with_c_of_1_it_is_the_shifted_beta_geometric() {
        let functions = crate::functions();
        for periods in [0.0, 1.0, 7.0] {
            let bdw = check::scalar(&functions, "bdw_survival", &[0.668, 3.806, 1.0, periods]);
            let sbg = check::scalar(&functions, "sbg_survival", &[0.668, 3.806, periods]);
            let (bdw, sbg) = (bdw.expect("an answer"), sbg.expect("an answer"));
            assert!((bdw - sbg).abs() < 1e-12);
        }
    }

    #[test]
    fn no_c_is_refused() {
        let answer = check::scalar(&crate::functions(), "bdw_survival", &[0.6, 3.8, 0.0, 1.0]);
        check::is_refusal(&answer.expect_err("refused"), "c must be");
    }
}
