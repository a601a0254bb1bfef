//! Propensity and clusters.

use proptest::prelude::*;
use rapport_stats::calibration::{Isotonic, Platt};
use rapport_stats::gaussian_mixture;
use rapport_stats::kmeans;
use rapport_stats::logistic::{self, sigmoid};
use rapport_stats::metrics::{Forecast, Ranking};
use rapport_stats::points::Points;

use crate::{drawn, go_on, is_probability, near};

/// Scores, whether each came true, and weights.
fn scored() -> impl Strategy<Value = (Vec<f64>, Vec<bool>, Vec<f64>)> {
    let row = (
        (-20..20_i32).prop_map(f64::from),
        any::<bool>(),
        (1..5_u32).prop_map(f64::from),
    );
    prop::collection::vec(row, 2..60).prop_map(|rows| {
        let (mut scores, mut labels, mut weights) = (vec![], vec![], vec![]);
        for (score, label, weight) in rows {
            scores.push(score / 4.0);
            labels.push(label);
            weights.push(weight);
        }
        (scores, labels, weights)
    })
}

fn ones(labels: &[bool]) -> Vec<f64> {
    labels
        .iter()
        .map(|label| f64::from(u8::from(*label)))
        .collect()
}

proptest! {
    #![proptest_config(drawn(128))]

    #[test]
    fn logistic_regressions((scores, labels, weights) in scored(), l2 in 0.0..2.0) {
        prop_assert!(is_probability(sigmoid(1e3 * scores[0])));
        if let Ok(fit) = logistic::fit(&scores, 1, &ones(&labels), &weights, l2, &go_on) {
            prop_assert!(scores.iter().all(|score| is_probability(fit.probability(&[*score]))), "{fit:?}");
            prop_assert!(fit.log_likelihood.is_finite() && fit.log_likelihood <= 0.0, "{fit:?}");
            prop_assert!(!fit.standard_errors[0].is_nan(), "{fit:?}");
        }
    }

    #[test]
    fn calibrations((scores, labels, weights) in scored(), other in -9.0..9.0) {
        let isotonic = Isotonic::fit(&scores, &labels, &weights).expect("fitted");
        let of = |score: f64| isotonic.probability(score).expect("a number");
        let mut sorted = scores.clone();
        sorted.push(other);
        sorted.sort_by(f64::total_cmp);
        let probabilities: Vec<f64> = sorted.iter().map(|score| of(*score)).collect();
        prop_assert!(probabilities.is_sorted() && probabilities.iter().all(|p| is_probability(*p)));
        let mean = |of: &dyn Fn(usize) -> f64| -> f64 { (0..scores.len()).map(|n| weights[n] * of(n)).sum() };
        let outcomes = ones(&labels);
        prop_assert!(near(mean(&|n| of(scores[n])), mean(&|n| outcomes[n])));
        if let Ok(platt) = Platt::fit(&scores, &labels, &weights, &go_on) {
            prop_assert!(scores.iter().all(|score| is_probability(platt.probability(*score))), "{platt:?}");
        }
    }

    #[test]
    fn measures_of_a_score((scores, labels, _) in scored()) {
        let probabilities: Vec<f64> = scores.iter().map(|score| sigmoid(*score)).collect();
        let forecast = Forecast::new(&labels, &probabilities).expect("probabilities");
        prop_assert!(is_probability(forecast.brier()) && forecast.log_loss() >= 0.0);
        prop_assert!(is_probability(forecast.expected_calibration_error(10).expect("bins")));
        if let Ok(ranking) = Ranking::new(&labels, &scores) {
            prop_assert!(is_probability(ranking.auc()) && is_probability(ranking.ks()));
            prop_assert!(is_probability(ranking.average_precision()));
            // A score turned round ranks the other way.
            let turned: Vec<f64> = scores.iter().map(|score| -score).collect();
            let turned = Ranking::new(&labels, &turned).expect("both kinds");
            prop_assert!(near(ranking.auc() + turned.auc(), 1.0));
        }
    }
}

proptest! {
    #![proptest_config(drawn(32))]

    #[test]
    fn more_clusters_are_nearer(values in prop::collection::vec(-9..9_i32, 8..24)) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let points = Points::new(&values[..values.len() / 2 * 2], 2).expect("numbers");
        let mut last = f64::INFINITY;
        for clusters in 1..=points.len() {
            let mut settings = kmeans::Settings::new(clusters);
            settings.starts = 30;
            let Ok(fit) = kmeans::fit(&points, &settings, &go_on) else { break };
            prop_assert!(fit.inertia >= 0.0 && fit.inertia <= last + 1e-9, "{clusters}: {} {last}", fit.inertia);
            prop_assert!(fit.centres.iter().all(|centre| centre.is_finite()));
            last = fit.inertia;
        }
    }

    #[test]
    fn mixtures_are_numbers(values in prop::collection::vec(-9..9_i32, 8..40), components in 1..4_usize) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let points = Points::new(&values[..values.len() / 2 * 2], 2).expect("numbers");
        if let Ok(fit) = gaussian_mixture::fit(&points, &gaussian_mixture::Settings::new(components), &go_on) {
            prop_assert!(fit.log_likelihood.is_finite() && near(fit.weights.iter().sum(), 1.0), "{fit:?}");
            let shares = fit.responsibilities(&points).expect("columns");
            prop_assert!(shares.iter().all(|share| is_probability(*share)));
        }
    }
}
