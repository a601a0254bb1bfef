//! Attribution: what is credited is what was converted.

use proptest::prelude::*;
use rapport_stats::attribution::{Credits, Path, Rule, credit};
use rapport_stats::markov::Transitions;
use rapport_stats::shapley::{Sampling, of_paths, values};

use crate::{drawn, go_on, near};

pub fn paths() -> impl Strategy<Value = Vec<Path>> {
    let path = (prop::collection::vec(0..6_u32, 1..7), 0..20_u32, 0..20_u32).prop_map(
        |(channels, conversions, misses)| {
            Path::new(channels, f64::from(conversions), f64::from(misses) + 1.0).expect("a path")
        },
    );
    prop::collection::vec(path, 1..30)
}

/// Of the same draw as the paths, which do not tell it.
fn conversions(paths: &[Path]) -> f64 {
    total(&credit(Rule::LAST, paths).expect("no ages"))
}

fn total(credits: &Credits) -> f64 {
    credits.by_channel().iter().sum()
}

fn sampling() -> Sampling {
    Sampling {
        seed: 1,
        n_pairs: 20,
    }
}

proptest! {
    #![proptest_config(drawn(128))]

    #[test]
    fn every_rule(
        paths in paths(), first in 0.0..=0.5, last in 0.0..=0.5, half_life in 0.01..100.0,
        ages in prop::collection::vec(0.0..1e6, 1..9),
    ) {
        let expected = conversions(&paths);
        let rules = [
            Rule::FIRST, Rule::LAST, Rule::LINEAR, Rule::position(first, last).expect("shares"),
            Rule::time_decay(half_life).expect("positive"),
        ];
        for rule in rules {
            prop_assert!(near(total(&credit(rule, &paths).expect("no ages")), expected), "{rule:?}");
            let shares = rule.shares(&ages).expect("ages");
            prop_assert!(near(shares.iter().sum(), 1.0), "{rule:?}: {shares:?}");
            prop_assert!(shares.iter().all(|share| *share >= -1e-12), "{rule:?}: {shares:?}");
        }
        prop_assert!(near(total(&of_paths(&paths)), expected));
    }

    #[test]
    fn markov_of_every_order(paths in paths(), order in 1..=4_usize) {
        let mut transitions = Transitions::new(order).expect("an order");
        paths.iter().for_each(|path| transitions.add(path));
        let got = transitions.attribute(&go_on).expect("attributed");
        prop_assert!(near(got.conversions.iter().sum(), conversions(&paths)), "{got:?}");
        prop_assert!((0.0..=1.0).contains(&got.base_conversion), "{got:?}");
        prop_assert!(got.removal_effects.iter().all(|e| (0.0..=1.0 + 1e-9).contains(e)), "{got:?}");
    }

    #[test]
    fn shapley_exact_and_sampled(weights in prop::collection::vec(0.0..10.0, 1..24)) {
        // A set is worth the square of what its players weigh: nobody is worth the same to all.
        let worth = |set: u64| {
            let of = |n: &usize| set >> n & 1 == 1;
            let sum: f64 = (0..weights.len()).filter(of).map(|n| weights[n]).sum();
            sum * sum
        };
        // Exact of up to 9: the sets are many.
        let few = weights.len().min(9);
        for n in [few, weights.len()] {
            let all = worth((1 << n) - 1);
            if n > 9 && n <= 16 { continue; }
            let got = values(n, worth, sampling(), &go_on).expect("valued");
            prop_assert!(near(got.values.iter().sum(), all), "{got:?}");
        }
    }
}
