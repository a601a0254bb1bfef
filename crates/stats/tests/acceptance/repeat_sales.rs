//! What the buy-till-you-die models say of customers in sum: by their number of purchases, by the week, and where the
//! data hold no sign of anybody stopping.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Beta, Distribution, Exp1, Gamma};
use rapport_stats::bgnbd::BgNbd;
use rapport_stats::fit::Fit;
use rapport_stats::gamma_gamma::correlation;
use rapport_stats::history::{Customers, History};
use rapport_stats::mbgnbd::MbgNbd;
use rapport_stats::nbd::Nbd;
use rapport_stats::pareto_nbd::ParetoNbd;

use crate::{cdnow, day, go_on, near, of_one, rows};

fn of_cdnow() -> (BgNbd, ParetoNbd) {
    let cdnow = cdnow().expect("its caller has looked");
    let customers = of_one(&cdnow.customers);
    let bg = BgNbd::fit(&customers, &go_on).expect("fitted");
    let pareto = ParetoNbd::fit(&customers, &go_on).expect("fitted");
    (
        BgNbd::try_from(bg.parameters).expect("positive"),
        ParetoNbd::try_from(pareto.parameters).expect("positive"),
    )
}

#[test]
fn a21_holdout_by_frequency() {
    let Some(cdnow) = cdnow() else { return };
    let (_, pareto) = of_cdnow();
    let (mut n, mut expected, mut actual) = ([0; 8], [0.0; 8], [0.0; 8]);
    for (history, later) in &cdnow.customers {
        let bin = history.repeats.min(7.0) as usize;
        n[bin] += 1;
        expected[bin] += pareto
            .expected_purchases(*history, 39.0)
            .expect("a horizon");
        actual[bin] += later;
    }
    assert_eq!(n, [1411, 439, 214, 100, 62, 38, 29, 64]);
    let means = |sums: [f64; 8]| -> Vec<f64> {
        sums.iter()
            .zip(n)
            .map(|(sum, n)| sum / f64::from(n))
            .collect()
    };
    let published = [0.138, 0.599, 1.196, 1.714, 2.398, 2.907, 3.819, 6.403];
    near(&means(expected), &published, 0.002);
    let published = [0.237, 0.697, 1.393, 1.560, 2.532, 2.947, 3.862, 6.359];
    near(&means(actual), &published, 0.002);
}

/// Days since the last of 1996 on which each customer bought first, and of all purchases after the first.
fn births_and_repeats() -> Option<(Vec<i64>, Vec<i64>)> {
    let mut customers: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in rows("cdnow_elog.csv")? {
        let days = customers.entry(row[0].to_owned()).or_default();
        days.push(day(&row[2]) - day("19961231"));
    }
    let (mut births, mut repeats) = (vec![], vec![]);
    for mut days in customers.into_values() {
        days.sort_unstable();
        days.dedup();
        births.push(days[0]);
        repeats.extend_from_slice(&days[1..]);
    }
    Some((births, repeats))
}

#[test]
fn a22_cumulative_repeat_sales() {
    let Some((births, repeats)) = births_and_repeats() else {
        return;
    };
    let (bg, pareto) = of_cdnow();
    let actual = |week: i64| repeats.iter().filter(|day| **day <= 7 * week).count() as f64;
    assert_eq!((actual(39), actual(78)), (2_457.0, 4_339.0));
    let check = |of_new: &dyn Fn(f64) -> f64, total: f64, error: f64, mape: f64| {
        // By days since the first purchase: births are on few days.
        let by_age: Vec<f64> = (0..=546)
            .map(|days| of_new(f64::from(days) / 7.0))
            .collect();
        let expected = |week: i64| -> f64 {
            let ages = births.iter().map(|birth| (7 * week - birth).max(0));
            ages.map(|age| by_age[age as usize]).sum()
        };
        let got = expected(78);
        assert!((got - total).abs() < 1.0, "{got}, not {total}");
        let got = 100.0 * (got / actual(78) - 1.0);
        assert!((got - error).abs() < 0.05, "{got} %, not {error} %");
        let misses = (40..=78).map(|week| (expected(week) / actual(week) - 1.0).abs());
        let got = 100.0 * misses.sum::<f64>() / 39.0;
        assert!((got - mape).abs() < 0.05, "{got} %, not {mape} %");
    };
    check(
        &|t| bg.expected_purchases_of_new(t).expect("a horizon"),
        4160.6,
        -4.1,
        2.63,
    );
    check(
        &|t| pareto.expected_purchases_of_new(t).expect("a horizon"),
        4270.0,
        -1.6,
        1.31,
    );
}

const TRUE: [f64; 4] = [0.243, 4.414, 0.793, 2.426];

/// Customers of 39 weeks, as the model says that they behave. Times are in the middle of their days, so that equal
/// histories are many.
fn simulated(n: usize) -> Customers {
    let [r, alpha, a, b] = TRUE;
    let rates = Gamma::new(r, 1.0 / alpha).expect("positive");
    let stops = Beta::new(a, b).expect("positive");
    let mut random = StdRng::seed_from_u64(2005);
    let customers = (0..n).map(|_| {
        let (rate, stop) = (rates.sample(&mut random), stops.sample(&mut random));
        let (mut repeats, mut recency, mut time) = (0.0, 0.0, 0.0);
        loop {
            let wait: f64 = Exp1.sample(&mut random);
            time += wait / rate;
            if time >= 39.0 {
                break;
            }
            repeats += 1.0;
            recency = ((time * 7.0).floor() + 0.5) / 7.0;
            if random.random_bool(stop) {
                break;
            }
        }
        (History::new(repeats, recency, 39.0).expect("possible"), 1.0)
    });
    Customers::new(customers).expect("weights")
}

#[test]
fn a30_a_million_simulated_customers_are_recovered() {
    let fit = BgNbd::fit(&simulated(1_000_000), &go_on).expect("fitted");
    assert!(fit.converged && !fit.boundary, "{fit:?}");
    for ((got, expected), most) in fit
        .parameters
        .iter()
        .zip(TRUE)
        .zip([0.01, 0.01, 0.06, 0.06])
    {
        assert!((got / expected - 1.0).abs() < most, "{fit:?}");
    }
}

#[test]
fn a30_fewer_are_recovered_within_their_standard_errors() {
    let fit = BgNbd::fit(&simulated(50_000), &go_on).expect("fitted");
    assert!(fit.converged && !fit.boundary, "{fit:?}");
    for ((got, expected), error) in fit.parameters.iter().zip(TRUE).zip(fit.standard_errors) {
        assert!((got - expected).abs() < 3.0 * error, "{fit:?}");
    }
}

#[test]
fn number_and_value_of_purchases_are_hardly_correlated() {
    let Some(cdnow) = cdnow() else { return };
    let got = correlation(cdnow.spends.iter().map(|spend| (*spend, 1.0)));
    assert!((got - 0.113_884).abs() < 1e-6, "{got}");
}

/// Those who came today for the first time: ln of a time of 0 must not get into the sums.
#[test]
fn customers_of_age_0_are_certain_and_alive() {
    let new = History::new(0.0, 0.0, 0.0).expect("possible");
    let [r, alpha, a, b] = TRUE;
    let bg = BgNbd::new(r, alpha, a, b).expect("positive");
    let mbg = MbgNbd::new(r, alpha, a, b).expect("positive");
    let pareto = ParetoNbd::new(r, alpha, a, b).expect("positive");
    let nbd = Nbd::new(r, alpha).expect("positive");
    let logs = [
        bg.log_likelihood(new),
        mbg.log_likelihood(new),
        pareto.log_likelihood(new),
        nbd.log_likelihood(new),
    ];
    near(&logs, &[0.0; 4], 1e-12);
    // In MBG/NBD one may stop right after the first purchase.
    let alive = [bg.p_alive(new), mbg.p_alive(new), pareto.p_alive(new)];
    near(&alive, &[1.0, b / (a + b), 1.0], 1e-12);
    let of_new = [
        (
            bg.expected_purchases(new, 9.0),
            bg.expected_purchases_of_new(9.0),
        ),
        (
            mbg.expected_purchases(new, 9.0),
            mbg.expected_purchases_of_new(9.0),
        ),
        (
            pareto.expected_purchases(new, 9.0),
            pareto.expected_purchases_of_new(9.0),
        ),
    ];
    for (known, unknown) in of_new {
        let (known, unknown) = (known.expect("a horizon"), unknown.expect("a horizon"));
        assert!((known - unknown).abs() < 1e-12 * known, "{known} {unknown}");
    }
}

/// Customers who buy to the very end; some are new today.
fn loyal() -> Customers {
    let customers = (0..2_000_u32).map(|n| {
        let age = f64::from(n % 40);
        let repeats = if age > 0.0 {
            f64::from(n * n % 11 / 2)
        } else {
            0.0
        };
        let recency = age * repeats / (repeats + 0.5);
        (History::new(repeats, recency, age).expect("possible"), 1.0)
    });
    Customers::new(customers).expect("weights")
}

fn check_boundary(fit: &Fit<4>, nbd: &Fit<2>) {
    assert!(fit.converged && fit.boundary, "{fit:?}");
    assert!(
        fit.parameters.iter().all(|value| value.is_finite()),
        "{fit:?}"
    );
    let off = fit.log_likelihood - nbd.log_likelihood;
    assert!(off.abs() < 0.01, "{fit:?}, not {nbd:?}");
    assert!(fit.evaluations < 1_000, "{fit:?}");
}

#[test]
fn a31_where_nobody_stops_the_fit_is_that_of_nbd_and_says_so() {
    let customers = loyal();
    let nbd = Nbd::fit(&customers, &go_on).expect("fitted");
    assert!(nbd.converged && !nbd.boundary, "{nbd:?}");
    check_boundary(&BgNbd::fit(&customers, &go_on).expect("fitted"), &nbd);
    check_boundary(&MbgNbd::fit(&customers, &go_on).expect("fitted"), &nbd);
    check_boundary(&ParetoNbd::fit(&customers, &go_on).expect("fitted"), &nbd);
}
