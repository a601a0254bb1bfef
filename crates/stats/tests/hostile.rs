//! Data that nobody has and somebody sends: what cannot be is refused, what is degenerate is told, and all of it in seconds.

use std::time::{Duration, Instant};

use rapport_stats::Error;
use rapport_stats::attribution::{Path, Rule};
use rapport_stats::bdw::BetaDiscreteWeibull;
use rapport_stats::bgbb::{BgBb, Occasions};
use rapport_stats::bgnbd::BgNbd;
use rapport_stats::calibration::{Isotonic, Platt};
use rapport_stats::events::{Event, Events};
use rapport_stats::fit::Fit;
use rapport_stats::gamma_gamma::{GammaGamma, Spend};
use rapport_stats::history::{Customers, History};
use rapport_stats::kmeans;
use rapport_stats::logistic;
use rapport_stats::mbgnbd::MbgNbd;
use rapport_stats::metrics::Ranking;
use rapport_stats::nbd::Nbd;
use rapport_stats::pareto_nbd::ParetoNbd;
use rapport_stats::points::Points;
use rapport_stats::sbg::{Cohort, ShiftedBetaGeometric};
use rapport_stats::sequence::Pattern;
use rapport_stats::sessions::Sessions;
use rapport_stats::survival::{Duration as Stay, kaplan_meier};
use rapport_stats::voice::Answers;
use rapport_stats::weibull_aft;
use rapport_stats::window_funnel::{Funnel, Modes};

const NOT_NUMBERS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
/// On a busy machine, in a build without optimisation.
const SOON: Duration = Duration::from_secs(15);

fn go_on() -> bool {
    false
}

fn soon<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let answer = work();
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    answer
}

fn history(repeats: f64, recency: f64, age: f64) -> History {
    History::new(repeats, recency, age).expect("possible")
}

fn check_fit<const N: usize>(fit: rapport_stats::Result<Fit<N>>) {
    let fit = fit.expect("fitted");
    assert!(fit.converged && fit.boundary, "{fit:?}");
    assert!(fit.log_likelihood.is_finite(), "{fit:?}");
    assert!(
        fit.parameters.iter().all(|p| p.is_finite() && *p > 0.0),
        "{fit:?}"
    );
    assert!(fit.evaluations < 1_000, "{fit:?}");
}

/// All models of customers who come and stop, where nothing tells their parameters apart.
fn check_customers(rows: &[(History, f64)]) {
    soon(|| {
        let customers = Customers::new(rows.iter().copied()).expect("weights");
        check_fit(Nbd::fit(&customers, &go_on));
        check_fit(BgNbd::fit(&customers, &go_on));
        check_fit(MbgNbd::fit(&customers, &go_on));
        check_fit(ParetoNbd::fit(&customers, &go_on));
    });
}

#[test]
fn one_customer_is_fitted_and_tells_nothing() {
    check_customers(&[(history(3.0, 20.0, 30.0), 1.0)]);
    check_customers(&[(history(3.0, 30.0, 30.0), 1.0)]);
    check_customers(&[(history(0.0, 0.0, 30.0), 1.0)]);
    check_customers(&[(history(0.0, 0.0, 0.0), 1.0)]);
}

#[test]
fn a_million_equal_customers_are_one() {
    check_customers(&vec![(history(3.0, 20.0, 30.0), 1.0); 1_000_000]);
    check_customers(&vec![(history(0.0, 0.0, 30.0), 1.0); 1_000_000]);
}

#[test]
fn all_who_came_back_did_so_once_and_at_once() {
    let rows: Vec<_> = (1..200)
        .map(|age| (history(1.0, 1e-3, f64::from(age)), 1.0))
        .collect();
    check_customers(&rows);
    check_customers(&[
        (history(0.0, 0.0, 30.0), 10.0),
        (history(1.0, 1.0, 30.0), 1.0),
    ]);
}

#[test]
fn a_customer_with_a_billion_purchases_beside_one_with_one() {
    let rows = [
        (history(1e9, 20.0, 30.0), 1.0),
        (history(1.0, 1.0, 30.0), 1.0),
    ];
    let customers = Customers::new(rows).expect("weights");
    let finite = |log_likelihood: f64| assert!(log_likelihood.is_finite());
    finite(
        BgNbd::fit(&customers, &go_on)
            .expect("fitted")
            .log_likelihood,
    );
    finite(
        MbgNbd::fit(&customers, &go_on)
            .expect("fitted")
            .log_likelihood,
    );
    finite(
        ParetoNbd::fit(&customers, &go_on)
            .expect("fitted")
            .log_likelihood,
    );
}

#[test]
fn nobody_is_not_fitted() {
    for rows in [vec![], vec![(history(1.0, 1.0, 2.0), 0.0)]] {
        let customers = Customers::new(rows).expect("weights");
        assert!(matches!(
            BgNbd::fit(&customers, &go_on),
            Err(Error::TooLittle(_))
        ));
        assert!(matches!(
            ParetoNbd::fit(&customers, &go_on),
            Err(Error::TooLittle(_))
        ));
    }
    assert!(GammaGamma::fit([], &go_on).is_err());
    assert!(BgBb::fit([], &go_on).is_err());
    let nobody = Cohort::new(vec![0.0, 0.0]).expect("falling");
    assert!(ShiftedBetaGeometric::fit(&[nobody], &go_on).is_err());
    assert!(ShiftedBetaGeometric::fit(&[], &go_on).is_err());
}

#[test]
fn what_is_no_number_is_refused() {
    for odd in NOT_NUMBERS {
        assert!(History::new(odd, 1.0, 2.0).is_err());
        assert!(History::new(1.0, odd, 2.0).is_err());
        assert!(History::new(1.0, 1.0, odd).is_err());
        assert!(Customers::new([(history(1.0, 1.0, 2.0), odd)]).is_err());
        assert!(Spend::new(1.0, odd).is_err() && Spend::new(odd, 1.0).is_err());
        assert!(Cohort::new(vec![odd, 1.0]).is_err() && Cohort::new(vec![1.0, odd]).is_err());
        assert!(Stay::new(odd, true, 1.0).is_err() && Stay::new(1.0, true, odd).is_err());
        assert!(Points::new(&[1.0, odd], 1).is_err());
        assert!(Path::new(vec![0], odd, 0.0).is_err() && Rule::time_decay(odd).is_err());
        assert!(
            Rule::time_decay(1.0)
                .expect("positive")
                .shares(&[odd])
                .is_err()
        );
        assert!(Isotonic::fit(&[1.0, 2.0], &[true, false], &[odd, 1.0]).is_err());
        assert!(logistic::fit(&[odd, 1.0], 1, &[0.0, 1.0], &[1.0, 1.0], 0.0, &go_on).is_err());
        assert!(Answers::new(0, 10).expect("a scale").add(5, odd).is_err());
        for parameters in [
            [odd, 1.0, 1.0, 1.0],
            [1.0, odd, 1.0, 1.0],
            [1.0, 1.0, 1.0, odd],
        ] {
            assert!(
                BgNbd::try_from(parameters).is_err() && ParetoNbd::try_from(parameters).is_err()
            );
            assert!(MbgNbd::try_from(parameters).is_err() && BgBb::try_from(parameters).is_err());
        }
        let model = BgNbd::new(0.243, 4.414, 0.793, 2.426).expect("positive");
        assert!(
            model
                .expected_purchases(history(1.0, 1.0, 2.0), odd)
                .is_err()
        );
    }
}

#[test]
fn an_endless_horizon_is_finite_where_customers_stop() {
    let one = history(2.0, 30.0, 38.0);
    let bg = BgNbd::new(0.243, 4.414, 1.793, 2.426).expect("positive");
    let mbg = MbgNbd::new(0.525, 6.183, 1.891, 1.614).expect("positive");
    let pareto = ParetoNbd::new(0.553, 10.58, 1.606, 11.67).expect("positive");
    soon(|| {
        for horizon in [1e6, 1e12, 1e300] {
            let of = [
                bg.expected_purchases(one, horizon),
                mbg.expected_purchases(one, horizon),
                pareto.expected_purchases(one, horizon),
            ];
            for expected in of {
                let expected = expected.expect("a horizon");
                assert!(expected > 0.1 && expected < 100.0, "{horizon}: {expected}");
            }
        }
    });
}

#[test]
fn spend_of_one_and_of_a_million_who_spend_the_same() {
    let spend = Spend::new(2.0, 9.9).expect("positive");
    soon(|| check_fit(GammaGamma::fit([(spend, 1.0)], &go_on)));
    soon(|| check_fit(GammaGamma::fit(vec![(spend, 1.0); 100_000], &go_on)));
}

#[test]
fn givers_who_always_give_and_who_never_do() {
    for (purchases, last) in [(6, 6), (0, 0), (1, 1)] {
        let history = Occasions::new(purchases, last, 6).expect("possible");
        soon(|| check_fit(BgBb::fit([(history, 1e6)], &go_on)));
    }
}

#[test]
fn cohorts_of_which_all_stay_or_all_leave() {
    for survivors in [
        vec![1e6; 5],
        vec![1e6, 0.0, 0.0],
        vec![1.0, 1.0],
        vec![1.0, 0.0],
        vec![1e6, 1e6, 1e6, 0.0],
    ] {
        let cohort = [Cohort::new(survivors).expect("falling")];
        soon(|| check_fit(ShiftedBetaGeometric::fit(&cohort, &go_on)));
        soon(|| check_fit(BetaDiscreteWeibull::fit(&cohort, &go_on)));
    }
}

#[test]
fn a_million_who_leave_at_one_time() {
    let stay = Stay::new(3.0, true, 1.0).expect("possible");
    soon(|| {
        let steps = kaplan_meier(&vec![stay; 1_000_000], 0.95).expect("a level");
        assert_eq!((steps.len(), steps[0].survival), (1, 0.0));
        let fit = weibull_aft::fit(&vec![stay; 1_000], &[], 0, &go_on).expect("fitted");
        assert!(!fit.converged, "{fit:?}");
    });
}

#[test]
fn a_million_equal_rows_have_one_cluster_and_no_slope() {
    let values = vec![1.5; 1_000_000];
    let points = Points::new(&values, 1).expect("numbers");
    soon(|| {
        let mut settings = kmeans::Settings::new(1);
        settings.starts = 2;
        let one = kmeans::fit(&points, &settings, &go_on).expect("clustered");
        assert_eq!((one.inertia, one.centres), (0.0, vec![1.5]));
        assert!(kmeans::fit(&points, &kmeans::Settings::new(2), &go_on).is_err());
    });
    let labels: Vec<bool> = (0..values.len()).map(|n| n % 2 == 0).collect();
    soon(|| {
        let ranking = Ranking::new(&labels, &values).expect("both kinds");
        assert_eq!((ranking.auc(), ranking.ks()), (0.5, 0.0));
        let weights = vec![1.0; values.len()];
        let isotonic = Isotonic::fit(&values, &labels, &weights).expect("fitted");
        assert_eq!(isotonic.probability(7.0), Some(0.5));
        let platt = Platt::fit(&values, &labels, &weights, &go_on).expect("fitted");
        assert!((platt.probability(1.5) - 0.5).abs() < 1e-9, "{platt:?}");
    });
}

fn modes() -> impl Iterator<Item = Modes> {
    (0..32_u32).map(|bits| Modes {
        strict_order: bits & 1 > 0,
        strict_deduplication: bits & 2 > 0,
        strict_increase: bits & 4 > 0,
        strict_once: bits & 8 > 0,
        allow_reentry: bits & 17 == 17,
    })
}

fn events(of: impl Iterator<Item = (i64, u32)>) -> Vec<Event> {
    let mut all = Events::default();
    for (time, conditions) in of {
        all.add(Event { time, conditions }).expect("few");
    }
    all.sorted().to_vec()
}

#[test]
fn a_hundred_thousand_different_events_of_one_moment() {
    let crowd = events((0..100_000).map(|n| (7, n)));
    for modes in modes() {
        let funnel = Funnel::new(60, 17, modes).expect("a funnel");
        soon(|| funnel.level(&crowd));
    }
}

#[test]
fn each_step_of_a_crowded_moment_has_an_event_of_its_own() {
    // 31 events that meet every step but the last, and one that meets all: 32 steps can share them.
    let mut shared = vec![(7, u32::MAX >> 1); 31];
    shared.push((7, u32::MAX));
    let once = Modes {
        strict_once: true,
        ..Modes::default()
    };
    let funnel = Funnel::new(0, 32, once).expect("a funnel");
    assert_eq!(funnel.level(&events(shared.iter().copied())), 32);
    assert_eq!(funnel.level(&events(shared[1..].iter().copied())), 31);
}

#[test]
fn moments_of_postgresql_s_infinity() {
    let ends = [
        (i64::MIN, 1),
        (i64::MIN, 3),
        (0, 2),
        (i64::MAX, 2),
        (i64::MAX, 4),
    ];
    let ends = events(ends.into_iter());
    for window in [0, 1, 3_600_000_000, u64::MAX] {
        for modes in modes() {
            assert!(
                Funnel::new(window, 3, modes)
                    .expect("a funnel")
                    .level(&ends)
                    <= 3
            );
        }
    }
    let far = Funnel::new(u64::MAX, 3, Modes::default()).expect("a funnel");
    let near = Funnel::new(3_600_000_000, 3, Modes::default()).expect("a funnel");
    assert_eq!((far.level(&ends), near.level(&ends)), (3, 2));
    for text in [
        "(?1)(?t<=5)(?2)",
        "(?1)(?t>5)(?3)",
        "(?1).*(?t>=18446744073709551615)(?3)",
        "(?2)(?t==0)(?3)",
    ] {
        let pattern = Pattern::new(text, 3).expect("a pattern");
        let found = pattern.in_units(1_000_000).matches(&ends);
        assert!(found.is_ok(), "{text}: {found:?}");
    }
    for gap in [0, 1, u64::MAX] {
        let mut sessions = Sessions::new(gap);
        let ids: Vec<u64> = ends.iter().map(|event| sessions.next(event.time)).collect();
        assert_eq!(ids[0], 1);
        assert!(ids.is_sorted() && ids[4] <= 3, "{gap}: {ids:?}");
    }
}

#[test]
fn patterns_full_of_gaps_over_a_hundred_thousand_events() {
    let long = events((0..100_000).map(|n| (n / 3, 1 << (n % 3))));
    for text in [
        ".*.*.*.*.*.*.*.*.*.*",
        "(?1).*(?2).*(?3).*(?1).*(?2).*(?3).*(?1).*(?2).*(?3)",
        "(?3).*(?t>200000)(?1)",
        "(?1).*(?2)(?t<0)(?3)",
        "(?1).*(?t<=10)(?2).*(?t<=10)(?3).*(?t==99999999)(?1)",
    ] {
        let pattern = Pattern::new(text, 3).expect("a pattern");
        // A search that would take too long is given up.
        let is_told =
            |told: Option<Error>| assert!(matches!(told, None | Some(Error::TooHard { .. })));
        soon(|| is_told(pattern.matches(&long).err()));
        soon(|| is_told(pattern.count(&long).err()));
    }
}
