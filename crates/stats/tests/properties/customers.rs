//! Buy-till-you-die models: of any parameters and any history.

use proptest::prelude::*;
use rapport_stats::bgbb::{BgBb, Occasions};
use rapport_stats::bgnbd::BgNbd;
use rapport_stats::fit::Fit;
use rapport_stats::gamma_gamma::{GammaGamma, Spend};
use rapport_stats::history::{Customers, History};
use rapport_stats::mbgnbd::MbgNbd;
use rapport_stats::nbd::Nbd;
use rapport_stats::pareto_nbd::ParetoNbd;

use crate::{drawn, go_on, is_probability, near};

/// From next to nothing to many, evenly in the logarithm.
fn parameter() -> impl Strategy<Value = f64> {
    (-6.0..6.0).prop_map(f64::exp)
}

fn parameters() -> [impl Strategy<Value = f64>; 4] {
    [parameter(), parameter(), parameter(), parameter()]
}

fn history() -> impl Strategy<Value = History> {
    let repeats = prop_oneof![Just(0_u32), 1..20_u32, 1..2_000_u32];
    (repeats, 0.0..=1.0, (-4.0..8.0_f64).prop_map(f64::exp)).prop_map(|(repeats, share, age)| {
        let recency = if repeats == 0 {
            0.0
        } else {
            age * f64::max(share, 1e-6)
        };
        History::new(f64::from(repeats), recency, age).expect("possible")
    })
}

fn base() -> impl Strategy<Value = Vec<(History, f64)>> {
    let age = (1..40_u32).prop_map(f64::from);
    let customer =
        (0..6_u32, 0.05..=1.0, age, 1..5_u32).prop_map(|(repeats, share, age, weight)| {
            let recency = if repeats == 0 { 0.0 } else { age * share };
            let history = History::new(f64::from(repeats), recency, age).expect("possible");
            (history, f64::from(weight))
        });
    prop::collection::vec(customer, 1..40)
}

/// An expectation at a horizon, at twice of it, and the probability of being there.
fn check_expectations(at: impl Fn(f64) -> f64, horizon: f64) -> Result<(), TestCaseError> {
    let (near, far) = (at(horizon), at(2.0 * horizon));
    prop_assert!(at(0.0).abs() < 1e-9);
    prop_assert!(near >= 0.0 && near.is_finite() && far.is_finite());
    prop_assert!(far >= near * (1.0 - 1e-9), "{near} {far}");
    Ok(())
}

fn check_fit<const N: usize>(fit: &Fit<N>) -> Result<(), TestCaseError> {
    prop_assert!(fit.log_likelihood.is_finite(), "{fit:?}");
    prop_assert!(
        fit.parameters.iter().all(|p| p.is_finite() && *p > 0.0),
        "{fit:?}"
    );
    prop_assert!(fit.converged && fit.evaluations < 3_000, "{fit:?}");
    // Where nothing is known of a parameter, that is said.
    let unknown = fit.standard_errors.iter().any(|error| error.is_nan());
    prop_assert!(fit.boundary || !unknown, "{fit:?}");
    Ok(())
}

/// In other units of time the rates alone are others.
fn check_scaled<const N: usize>(
    fit: &Fit<N>,
    scaled: &Fit<N>,
    factor: f64,
    rates: &[usize],
) -> Result<(), TestCaseError> {
    if fit.boundary || scaled.boundary {
        prop_assert!(fit.boundary == scaled.boundary, "{fit:?} {scaled:?}");
        return Ok(());
    }
    for n in 0..N {
        let unit = if rates.contains(&n) { factor } else { 1.0 };
        let ratio = scaled.parameters[n] / (fit.parameters[n] * unit);
        prop_assert!((ratio - 1.0).abs() < 1e-3, "{fit:?} {scaled:?}");
    }
    Ok(())
}

fn scaled(rows: &[(History, f64)], factor: f64) -> Customers {
    let of = |(h, weight): &(History, f64)| {
        let history = History::new(h.repeats, h.recency * factor, h.age * factor);
        (history.expect("possible"), *weight)
    };
    Customers::new(rows.iter().map(of)).expect("weights")
}

proptest! {
    #![proptest_config(drawn(256))]

    #[test]
    fn bg_nbd([r, alpha, a, b] in parameters(), history in history(), horizon in parameter()) {
        let model = BgNbd::new(r, alpha, a, b).expect("positive");
        prop_assert!(is_probability(model.p_alive(history)));
        prop_assert!(model.log_likelihood(history).is_finite());
        check_expectations(|t| model.expected_purchases(history, t).expect("a horizon"), horizon)?;
        check_expectations(|t| model.expected_purchases_of_new(t).expect("a horizon"), horizon)?;
    }

    #[test]
    fn mbg_nbd([r, alpha, a, b] in parameters(), history in history(), horizon in parameter()) {
        let model = MbgNbd::new(r, alpha, a, b).expect("positive");
        prop_assert!(is_probability(model.p_alive(history)));
        prop_assert!(model.log_likelihood(history).is_finite());
        check_expectations(|t| model.expected_purchases(history, t).expect("a horizon"), horizon)?;
        check_expectations(|t| model.expected_purchases_of_new(t).expect("a horizon"), horizon)?;
    }

    #[test]
    fn pareto_nbd([r, alpha, s, beta] in parameters(), history in history(), horizon in parameter()) {
        let model = ParetoNbd::new(r, alpha, s, beta).expect("positive");
        prop_assert!(is_probability(model.p_alive(history)));
        prop_assert!(model.log_likelihood(history).is_finite());
        check_expectations(|t| model.expected_purchases(history, t).expect("a horizon"), horizon)?;
        check_expectations(|t| model.expected_purchases_of_new(t).expect("a horizon"), horizon)?;
        // The more the future is discounted, the less of it there is.
        let of = |discount| model.discounted_residual_purchases(history, discount).expect("a discount");
        prop_assert!(of(0.01) >= 0.0 && of(0.01) >= of(0.1) * (1.0 - 1e-9));
    }

    #[test]
    fn bg_bb(
        [alpha, beta, gamma, delta] in parameters(), occasions in 0..40_u32, last in 0.0..=1.0,
        share in 0.0..=1.0, horizon in 1..30_u32,
    ) {
        let model = BgBb::new(alpha, beta, gamma, delta).expect("positive");
        let last = (last * f64::from(occasions)) as u32;
        let purchases = if last == 0 { 0 } else { 1 + (share * f64::from(last - 1)) as u32 };
        let history = Occasions::new(purchases, last, occasions).expect("possible");
        prop_assert!(is_probability(model.p_alive(history)), "{}", model.p_alive(history));
        prop_assert!(model.log_likelihood(history) <= 1e-9);
        check_expectations(|t| model.expected_purchases(history, t as u32), f64::from(horizon))?;
        prop_assert!(model.expected_purchases(history, horizon) <= f64::from(horizon) * (1.0 + 1e-9));
        let all: f64 = (0..=occasions).map(|n| model.probability_of_purchases(n, occasions)).sum();
        prop_assert!((all - 1.0).abs() < 1e-8, "{all}");
    }

    #[test]
    fn probabilities_of_numbers_of_repeats([r, alpha, a, b] in parameters(), n in 0..60_u32, horizon in parameter()) {
        let model = BgNbd::new(r, alpha, a, b).expect("positive");
        let got = model.probability_of_repeats(n, horizon).expect("a horizon");
        prop_assert!((0.0..=1.0 + 1e-9).contains(&got), "{got}");
    }

    #[test]
    fn spend_lies_between_the_customer_s_mean_and_everybody_s(
        p in parameter(), q in 1.01..50.0, v in parameter(), purchases in 1..500_u32, mean in parameter(),
    ) {
        let model = GammaGamma::new(p, q, v).expect("positive");
        let spend = Spend::new(f64::from(purchases), mean).expect("positive");
        let (all, got) = (model.expected_spend(None), model.expected_spend(Some(spend)));
        let hair = 1e-9 * (all + mean);
        prop_assert!(got >= all.min(mean) - hair && got <= all.max(mean) + hair, "{all} {mean} {got}");
    }
}

proptest! {
    #![proptest_config(drawn(16))]

    #[test]
    fn fits_are_numbers_and_know_their_units(rows in base(), factor in parameter()) {
        let (customers, other) = (scaled(&rows, 1.0), scaled(&rows, factor));
        let fits = [&customers, &other].map(|base| Nbd::fit(base, &go_on).expect("fitted"));
        check_fit(&fits[0])?;
        check_scaled(&fits[0], &fits[1], factor, &[1])?;
        let fits = [&customers, &other].map(|base| BgNbd::fit(base, &go_on).expect("fitted"));
        check_fit(&fits[0])?;
        check_scaled(&fits[0], &fits[1], factor, &[1])?;
        let fits = [&customers, &other].map(|base| MbgNbd::fit(base, &go_on).expect("fitted"));
        check_fit(&fits[0])?;
        check_scaled(&fits[0], &fits[1], factor, &[1])?;
        let fits = [&customers, &other].map(|base| ParetoNbd::fit(base, &go_on).expect("fitted"));
        check_fit(&fits[0])?;
        check_scaled(&fits[0], &fits[1], factor, &[1, 3])?;
    }

    #[test]
    fn a_fit_of_weights_is_that_of_rows(rows in base()) {
        let repeated = rows.iter().flat_map(|(history, weight)| {
            std::iter::repeat_n((*history, 1.0), *weight as usize)
        });
        let of_rows = BgNbd::fit(&Customers::new(repeated).expect("weights"), &go_on).expect("fitted");
        let of_weights = BgNbd::fit(&scaled(&rows, 1.0), &go_on).expect("fitted");
        prop_assert!(near(of_rows.log_likelihood, of_weights.log_likelihood));
    }

    #[test]
    fn fits_of_occasions_are_numbers(rows in prop::collection::vec((0..=6_u32, 0..=6_u32, 1..9_u32), 1..20)) {
        let rows = rows.into_iter().map(|(purchases, last, weight)| {
            let last = if purchases == 0 { 0 } else { last.max(purchases) };
            (Occasions::new(purchases, last, 6).expect("possible"), f64::from(weight))
        });
        check_fit(&BgBb::fit(rows, &go_on).expect("fitted"))?;
    }

    #[test]
    fn fits_of_spend_are_numbers(rows in prop::collection::vec((1..9_u32, parameter(), 1..9_u32), 1..40)) {
        let rows = rows.into_iter().map(|(purchases, mean, weight)| {
            (Spend::new(f64::from(purchases), mean).expect("positive"), f64::from(weight))
        });
        check_fit(&GammaGamma::fit(rows, &go_on).expect("fitted"))?;
    }
}
