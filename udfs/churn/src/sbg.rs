//! `sbg_…`: customers of a contract leave at each renewal with their own constant probability.

use rapport_stats::Result;
use rapport_stats::sbg::ShiftedBetaGeometric;
use rapport_udf_face::{
    Aggregate, Argument, Page, Rows, Scalar, Value, Work, cancel, fit_row, taken, told, within,
};

use crate::cohorts::{HAS_LEFT, SECTION, TENURE, WEIGHT, cohorts, fit_says};

pub(crate) const ALPHA: Argument = Argument::number(
    "alpha",
    "first parameter of the beta distribution of leaving at a renewal, above 0; as the fit finds it",
);
pub(crate) const BETA: Argument = Argument::number(
    "beta",
    "second parameter of the beta distribution of leaving at a renewal, above 0",
);
pub(crate) const PERIODS: Argument =
    Argument::number("periods", "how many renewals later, not below 0");

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "sbg_survival",
        arguments: &[ALPHA, BETA, PERIODS],
        page: Page {
            section: SECTION,
            says: "Share of a cohort that is still there after so many renewals, after the shifted-beta-geometric model. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0 and periods below 0.",
            example: "SELECT n, sbg_survival(0.668, 3.806, n) FROM generate_series(0, 12) AS n;",
        },
        work: Work::Number(survival),
    },
    Scalar {
        name: "sbg_retention",
        arguments: &[
            ALPHA,
            BETA,
            Argument::number("period", "number of the renewal, from 1"),
        ],
        page: Page {
            section: SECTION,
            says: "Share of those there before a renewal who renew, after the shifted-beta-geometric model. It rises with time though nobody changes: who was likelier to leave has left. NULL if an argument is NULL. Refused (22023) are parameters that are not above 0 and a period below 1.",
            example: "SELECT n, sbg_retention(0.668, 3.806, n) FROM generate_series(1, 12) AS n;",
        },
        work: Work::Number(retention),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "sbg_fit",
    arguments: &[TENURE, HAS_LEFT, WEIGHT],
    answer: fit_row!["alpha", "beta"],
    page: Page {
        section: SECTION,
        says: fit_says!("The parameters alpha and beta of the shifted-beta-geometric model."),
        example: "SELECT (sbg_fit(tenure, has_left)).* FROM contracts;",
    },
    work: fit,
}];

fn survival(row: &[f64]) -> Result<f64> {
    let [alpha, beta, periods] = taken(row);
    Ok(ShiftedBetaGeometric::new(alpha, beta)?.survival(later(periods)?))
}

fn retention(row: &[f64]) -> Result<f64> {
    let [alpha, beta, period] = taken(row);
    let model = ShiftedBetaGeometric::new(alpha, beta)?;
    let range = "a finite number of at least 1";
    Ok(model.retention(within("period", range, period, 1.0..=f64::MAX)?))
}

pub(crate) fn later(periods: f64) -> Result<f64> {
    within(
        "periods",
        "a finite number of at least 0",
        periods,
        0.0..=f64::MAX,
    )
}

fn fit(rows: &Rows) -> Result<Value> {
    let (cohorts, customers) = cohorts(rows)?;
    let fit = ShiftedBetaGeometric::fit(&cohorts, &cancel::asked())?;
    Ok(told(&fit, customers))
}

#[cfg(test)]
mod tests {
    use crate::cohorts::tests::rows;
    use rapport_udf_face::check;

    const HIGH_END: [f64; 8] = [1000.0, 869.0, 743.0, 653.0, 593.0, 551.0, 517.0, 491.0];
    const REGULAR: [f64; 8] = [1000.0, 631.0, 468.0, 382.0, 326.0, 289.0, 262.0, 241.0];

    fn check(survivors: &[f64], alpha: f64, beta: f64, log_likelihood: f64) {
        let rows = rows(survivors);
        let fit = check::aggregate(&crate::aggregate_functions(), "sbg_fit", &rows);
        let fit = fit.expect("fits");
        for (column, expected, tolerance) in [
            ("alpha", alpha, 0.001),
            ("beta", beta, 0.005),
            ("log_likelihood", log_likelihood, 0.01),
            ("customers", 1_000.0, 0.0),
        ] {
            let got = check::number(&fit, column).expect("a number");
            assert!(
                (got - expected).abs() <= tolerance,
                "{column} {got}, not {expected}"
            );
        }
    }

    #[test]
    fn b1_to_b3_the_published_cohorts() {
        check(&HIGH_END, 0.668, 3.806, -1_611.158);
        check(&REGULAR, 0.704, 1.182, -1_680.265);
        check(&REGULAR[..5], 0.7637, 1.2958, -1_401.559);
    }

    fn ask(name: &str, arguments: &[f64]) -> datafusion_common::Result<f64> {
        check::scalar(&crate::functions(), name, arguments)
    }

    #[test]
    fn b3_the_projected_survivors() {
        for (periods, expected) in [(5.0, 284.5), (8.0, 210.3), (12.0, 159.5)] {
            let got = ask("sbg_survival", &[0.7637, 1.2958, periods]).expect("an answer");
            assert!((1_000.0 * got - expected).abs() < 0.1, "{got}");
        }
    }

    #[test]
    fn all_are_there_at_the_start() {
        assert_eq!(
            ask("sbg_survival", &[0.668, 3.806, 0.0]).expect("an answer"),
            1.0
        );
    }

    #[test]
    fn survival_is_what_retention_leaves() {
        let of = |n: f64| ask("sbg_survival", &[0.668, 3.806, n]).expect("an answer");
        let kept = ask("sbg_retention", &[0.668, 3.806, 3.0]).expect("an answer");
        assert!((of(3.0) / of(2.0) - kept).abs() < 1e-12);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let refused = |name: &str, arguments: &[f64], what: &str| {
            check::is_refusal(&ask(name, arguments).expect_err("refused"), what);
        };
        refused("sbg_survival", &[0.668, 3.806, -1.0], "periods");
        refused("sbg_survival", &[0.0, 3.806, 1.0], "alpha");
        refused(
            "sbg_retention",
            &[0.668, 3.806, 0.0],
            "period must be a finite number of at least 1",
        );
    }
}
