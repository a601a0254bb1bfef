//! Customers of a contract: survival is a probability that falls with time.

use proptest::prelude::*;
use rapport_stats::bdw::BetaDiscreteWeibull;
use rapport_stats::sbg::{Cohort, ShiftedBetaGeometric};
use rapport_stats::survival::{Duration, kaplan_meier};
use rapport_stats::weibull_aft;

use crate::{drawn, go_on, is_probability};

fn parameter() -> impl Strategy<Value = f64> {
    (-6.0..6.0).prop_map(f64::exp)
}

fn check_survival(at: impl Fn(f64) -> f64, times: &[f64]) -> Result<(), TestCaseError> {
    let mut last = 1.0 + 1e-12;
    for time in times {
        let survival = at(*time);
        prop_assert!(is_probability(survival), "{survival} at {time}");
        prop_assert!(
            survival <= last + 1e-12,
            "{survival} after {last} at {time}"
        );
        last = survival;
    }
    Ok(())
}

fn periods() -> Vec<f64> {
    (0..60).map(f64::from).collect()
}

fn durations() -> impl Strategy<Value = Vec<Duration>> {
    let duration = (1..30_u32, any::<bool>(), 0..4_u32).prop_map(|(time, is_event, weight)| {
        Duration::new(f64::from(time), is_event, f64::from(weight)).expect("possible")
    });
    prop::collection::vec(duration, 1..60)
}

fn cohort() -> impl Strategy<Value = Cohort> {
    let kept = prop::collection::vec(0.0..=1.0, 1..9);
    (1..5_000_u32, kept).prop_map(|(size, kept)| {
        let mut left: f64 = f64::from(size);
        let mut survivors = vec![left];
        for share in kept {
            let share: f64 = share;
            left = (left * share).floor();
            survivors.push(left);
        }
        Cohort::new(survivors).expect("falling")
    })
}

proptest! {
    #![proptest_config(drawn(256))]

    #[test]
    fn shifted_beta_geometric(alpha in parameter(), beta in parameter()) {
        let model = ShiftedBetaGeometric::new(alpha, beta).expect("positive");
        check_survival(|t| model.survival(t), &periods())?;
        let retentions: Vec<f64> = (1..60).map(|n| model.retention(f64::from(n))).collect();
        prop_assert!(retentions.iter().all(|r| is_probability(*r)));
        prop_assert!(retentions.is_sorted());
    }

    #[test]
    fn beta_discrete_weibull(alpha in parameter(), beta in parameter(), c in (-2.0..2.0_f64).prop_map(f64::exp)) {
        let model = BetaDiscreteWeibull::new(alpha, beta, c).expect("positive");
        check_survival(|t| model.survival(t), &periods())?;
    }

    #[test]
    fn kaplan_and_meier(durations in durations(), level in 0.5..0.999) {
        let mut last = 1.0;
        for step in kaplan_meier(&durations, level).expect("a level") {
            prop_assert!(is_probability(step.survival) && step.survival <= last);
            prop_assert!(is_probability(step.low) && is_probability(step.high), "{step:?}");
            prop_assert!(step.low <= step.survival + 1e-12 && step.survival <= step.high + 1e-12, "{step:?}");
            prop_assert!(!step.standard_error.is_nan(), "{step:?}");
            last = step.survival;
        }
    }
}

proptest! {
    #![proptest_config(drawn(32))]

    #[test]
    fn fits_of_cohorts_are_numbers(cohorts in prop::collection::vec(cohort(), 1..4)) {
        let fit = ShiftedBetaGeometric::fit(&cohorts, &go_on).expect("fitted");
        prop_assert!(fit.converged && fit.evaluations < 3_000, "{fit:?}");
        prop_assert!(fit.log_likelihood.is_finite(), "{fit:?}");
        let [alpha, beta] = fit.parameters;
        let model = ShiftedBetaGeometric::new(alpha, beta).expect("positive");
        check_survival(|t| model.survival(t), &periods())?;

        let fit = BetaDiscreteWeibull::fit(&cohorts, &go_on).expect("fitted");
        prop_assert!(fit.converged && fit.evaluations < 3_000, "{fit:?}");
        prop_assert!(fit.log_likelihood.is_finite(), "{fit:?}");
        let [alpha, beta, c] = fit.parameters;
        let model = BetaDiscreteWeibull::new(alpha, beta, c).expect("positive");
        check_survival(|t| model.survival(t), &periods())?;
    }

    #[test]
    fn weibull(durations in durations(), features in prop::collection::vec(-3.0..3.0, 60)) {
        let features = &features[..durations.len()];
        if let Ok(model) = weibull_aft::fit(&durations, features, 1, &go_on) {
            let times: Vec<f64> = (1..60).map(f64::from).collect();
            check_survival(|t| model.survival(&[0.5], t), &times)?;
            prop_assert!(model.log_likelihood.is_finite(), "{model:?}");
        }
    }
}
