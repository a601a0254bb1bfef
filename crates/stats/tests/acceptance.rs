//! The published numbers, on the real data of `$RAPPORT_TEST_DATA`: tests are named by their ids.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rapport_stats::bgbb::{BgBb, Occasions};
use rapport_stats::bgnbd::BgNbd;
use rapport_stats::cox;
use rapport_stats::fit::Fit;
use rapport_stats::gamma_gamma::{GammaGamma, Spend};
use rapport_stats::history::{Customers, History};
use rapport_stats::mbgnbd::MbgNbd;
use rapport_stats::nbd::Nbd;
use rapport_stats::pareto_nbd::ParetoNbd;
use rapport_stats::survival::{Duration, kaplan_meier, log_rank, median};

#[path = "acceptance/journeys.rs"]
mod journeys;
#[path = "acceptance/propensity.rs"]
mod propensity;
#[path = "acceptance/repeat_sales.rs"]
mod repeat_sales;
#[path = "acceptance/segments.rs"]
mod segments;

fn go_on() -> bool {
    false
}

/// The rows of a file, or `None`, said aloud, where there is no such file.
fn rows(name: &str) -> Option<Vec<csv::StringRecord>> {
    let folder = std::env::var_os("RAPPORT_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(name);
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    let file = std::fs::File::open(&path).expect("a file");
    let file: Box<dyn std::io::Read> = match path.extension().is_some_and(|gz| gz == "gz") {
        true => Box::new(flate2::read::GzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut reader = csv::Reader::from_reader(file);
    Some(reader.records().map(|row| row.expect("a row")).collect())
}

fn number(row: &csv::StringRecord, column: usize) -> f64 {
    row[column].parse().expect("a number")
}

fn check<const N: usize>(fit: &Fit<N>, expected: [f64; N], tolerances: [f64; N]) {
    assert!(fit.converged && !fit.boundary, "{fit:?}");
    for n in 0..N {
        assert!(
            (fit.parameters[n] - expected[n]).abs() <= tolerances[n],
            "{fit:?}, not {expected:?}"
        );
    }
}

struct Cdnow {
    /// To 1997-09-30, in weeks, and purchases of the 39 weeks after.
    customers: Vec<(History, f64)>,
    /// Mean spend of the repeats and their number, for those who have some.
    spends: Vec<Spend>,
}

/// Days since 1970-01-01 (the usual count of days from a civil date).
fn day(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a date");
    let (mut year, month, day) = (number(0..4), number(4..6), number(6..8));
    if month <= 2 {
        year -= 1;
    }
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn cdnow() -> Option<Cdnow> {
    let mut customers: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for row in rows("cdnow_elog.csv")? {
        let days = customers.entry(row[0].to_owned()).or_default();
        *days.entry(day(&row[2])).or_default() += number(&row, 4);
    }
    let end = day("19970930");
    let mut cdnow = Cdnow {
        customers: vec![],
        spends: vec![],
    };
    for days in customers.values() {
        let first = *days.keys().next().expect("a purchase");
        let seen: Vec<i64> = days.keys().copied().filter(|day| *day <= end).collect();
        let last = *seen.last().expect("everybody's first is before");
        let repeats = (seen.len() - 1) as f64;
        let weeks = |days: i64| days as f64 / 7.0;
        let history = History::new(repeats, weeks(last - first), weeks(end - first));
        let later = days.range(end + 1..).count() as f64;
        cdnow.customers.push((history.expect("possible"), later));
    }
    for row in rows("cdnow_summary.csv")? {
        if number(&row, 1) > 0.0 {
            let spend = Spend::new(number(&row, 1), number(&row, 4));
            cdnow.spends.push(spend.expect("positive"));
        }
    }
    Some(cdnow)
}

fn of_one(customers: &[(History, f64)]) -> Customers {
    Customers::new(customers.iter().map(|(history, _)| (*history, 1.0))).expect("weights")
}

#[test]
fn a1_a2_bgnbd() {
    let Some(cdnow) = cdnow() else { return };
    assert_eq!(cdnow.customers.len(), 2_357);
    let fit = BgNbd::fit(&of_one(&cdnow.customers), &go_on).expect("fitted");
    check(
        &fit,
        [0.24259, 4.41360, 0.79292, 2.42591],
        [0.0005, 0.005, 0.003, 0.01],
    );
    assert!((fit.log_likelihood + 9582.4292).abs() < 0.001, "{fit:?}");
}

#[test]
fn a3_a4_a5_pareto_nbd() {
    let Some(cdnow) = cdnow() else { return };
    let fit = ParetoNbd::fit(&of_one(&cdnow.customers), &go_on).expect("fitted");
    check(
        &fit,
        [0.55328, 10.5777, 0.60624, 11.6687],
        [0.001, 0.01, 0.001, 0.02],
    );
    assert!((fit.log_likelihood + 9594.9762).abs() < 0.001, "{fit:?}");
    for (got, expected) in fit
        .standard_errors
        .iter()
        .zip([0.0476, 0.8427, 0.1873, 6.2105])
    {
        assert!((got - expected).abs() < 0.02 * expected, "{fit:?}");
    }
}

#[test]
fn a6_mbgnbd() {
    let Some(cdnow) = cdnow() else { return };
    let fit = MbgNbd::fit(&of_one(&cdnow.customers), &go_on).expect("fitted");
    check(
        &fit,
        [0.52484, 6.18309, 0.89136, 1.61400],
        [0.001, 0.005, 0.002, 0.005],
    );
    assert!((fit.log_likelihood + 9582.1357).abs() < 0.001, "{fit:?}");
}

#[test]
fn a7_nbd() {
    let Some(cdnow) = cdnow() else { return };
    let fit = Nbd::fit(&of_one(&cdnow.customers), &go_on).expect("fitted");
    check(&fit, [0.385, 12.072], [0.001, 0.01]);
    assert!((fit.log_likelihood + 9763.658).abs() < 0.01, "{fit:?}");
}

#[test]
fn a8_gamma_gamma() {
    let Some(cdnow) = cdnow() else { return };
    assert_eq!(cdnow.spends.len(), 946);
    let fit = GammaGamma::fit(cdnow.spends.iter().map(|spend| (*spend, 1.0)), &go_on);
    let fit = fit.expect("fitted");
    check(&fit, [6.2496, 3.7442, 15.4435], [0.01, 0.01, 0.05]);
    assert!((fit.log_likelihood + 4055.918).abs() < 0.01, "{fit:?}");
}

#[test]
fn a12_a13_bgnbd() {
    let model = BgNbd::new(0.24259, 4.41360, 0.79292, 2.42591).expect("positive");
    let customer = History::new(26.0, 30.857, 31.0).expect("possible");
    let expected = model.expected_purchases(customer, 52.0).expect("a horizon");
    assert!((expected - 25.757).abs() < 0.01, "{expected}");
    assert!((model.p_alive(customer) - 0.96885).abs() < 1e-4);
    let new = model.expected_purchases_of_new(52.0).expect("a horizon");
    assert!((new - 1.44401).abs() < 1e-3, "{new}");
}

#[test]
fn a19_a20_a23_holdout() {
    let Some(cdnow) = cdnow() else { return };
    let customers = of_one(&cdnow.customers);
    let bg = BgNbd::try_from(BgNbd::fit(&customers, &go_on).expect("fitted").parameters);
    let mbg = MbgNbd::try_from(MbgNbd::fit(&customers, &go_on).expect("fitted").parameters);
    let pareto = ParetoNbd::try_from(
        ParetoNbd::fit(&customers, &go_on)
            .expect("fitted")
            .parameters,
    );
    let nbd = Nbd::try_from(Nbd::fit(&customers, &go_on).expect("fitted").parameters);
    let (bg, mbg, pareto, nbd) = (
        bg.expect("positive"),
        mbg.expect("positive"),
        pareto.expect("positive"),
        nbd.expect("positive"),
    );
    let actual: f64 = cdnow.customers.iter().map(|(_, later)| later).sum();
    assert_eq!(actual, 1_882.0);
    type Expect<'a> = &'a dyn Fn(History) -> f64;
    let models: [(Expect, f64, [f64; 3]); 4] = [
        (
            &|h| bg.expected_purchases(h, 39.0).expect("a horizon"),
            1653.4,
            [0.7855, 1.6080, 0.6256],
        ),
        (
            &|h| mbg.expected_purchases(h, 39.0).expect("a horizon"),
            1576.7,
            [0.7648, 1.6072, 0.6273],
        ),
        (
            &|h| pareto.expected_purchases(h, 39.0).expect("a horizon"),
            1665.5,
            [0.7545, 1.6028, 0.6302],
        ),
        (
            &|h| nbd.expected_purchases(h, 39.0).expect("a horizon"),
            2929.8,
            [1.0410, 1.8595, 0.5834],
        ),
    ];
    let n = cdnow.customers.len() as f64;
    for (expect, total, [mae, rmse, correlation]) in models {
        let expected: Vec<f64> = cdnow.customers.iter().map(|(h, _)| expect(*h)).collect();
        let sum: f64 = expected.iter().sum();
        assert!((sum - total).abs() < 0.5, "{sum}, not {total}");
        let errors = || {
            expected
                .iter()
                .zip(&cdnow.customers)
                .map(|(e, (_, later))| e - later)
        };
        let got = errors().map(f64::abs).sum::<f64>() / n;
        assert!((got - mae).abs() < 0.002, "mae {got}, not {mae}");
        let got = (errors().map(|e| e * e).sum::<f64>() / n).sqrt();
        assert!((got - rmse).abs() < 0.002, "rmse {got}, not {rmse}");
        let (of_e, of_a) = (sum / n, actual / n);
        let (mut ea, mut ee, mut aa) = (0.0, 0.0, 0.0);
        for (e, (_, later)) in expected.iter().zip(&cdnow.customers) {
            ea += (e - of_e) * (later - of_a);
            ee += (e - of_e).powi(2);
            aa += (later - of_a).powi(2);
        }
        let got = ea / (ee * aa).sqrt();
        assert!(
            (got - correlation).abs() < 0.002,
            "correlation {got}, not {correlation}"
        );
    }
    let alive: [(Expect, f64); 3] = [
        (&|h| bg.p_alive(h), 1917.28),
        (&|h| mbg.p_alive(h), 1057.64),
        (&|h| pareto.p_alive(h), 1051.88),
    ];
    for (p_alive, expected) in alive {
        let sum: f64 = cdnow.customers.iter().map(|(h, _)| p_alive(*h)).sum();
        assert!((sum - expected).abs() < 0.1, "{sum}, not {expected}");
    }
}

#[test]
fn a25_customer_equity() {
    let Some(cdnow) = cdnow() else { return };
    let customers = of_one(&cdnow.customers);
    let fit = ParetoNbd::fit(&customers, &go_on).expect("fitted");
    let pareto = ParetoNbd::try_from(fit.parameters).expect("positive");
    let sum: f64 = cdnow
        .customers
        .iter()
        .map(|(h, _)| {
            pareto
                .discounted_residual_purchases(*h, 0.0027)
                .expect("a discount")
        })
        .sum();
    assert!((sum - 7185.97).abs() < 0.001 * 7185.97, "{sum}");
}

#[test]
fn a26_a27_bgbb() {
    let Some(rows) = rows("donations.csv") else {
        return;
    };
    let count = |row: &csv::StringRecord, column: usize| number(row, column) as u32;
    let rows: Vec<(Occasions, f64)> = rows
        .iter()
        .map(|row| {
            let history = Occasions::new(count(row, 0), count(row, 1), count(row, 2));
            (history.expect("possible"), number(row, 3))
        })
        .collect();
    let fit = BgBb::fit(rows.iter().copied(), &go_on).expect("fitted");
    check(
        &fit,
        [1.2035, 0.7497, 0.6567, 2.7834],
        [0.003, 0.003, 0.001, 0.005],
    );
    assert!((fit.log_likelihood + 33225.58).abs() < 0.01, "{fit:?}");
    let model = BgBb::try_from(fit.parameters).expect("positive");
    let later: f64 = rows
        .iter()
        .map(|(history, weight)| weight * model.expected_purchases(*history, 5))
        .sum();
    assert!((later - 12_884.2).abs() < 1.0, "{later}");
    let people: f64 = rows.iter().map(|(_, weight)| weight).sum();
    assert_eq!(people, 11_104.0);
    let cells: Vec<f64> = (0..=6)
        .map(|purchases| people * model.probability_of_purchases(purchases, 6))
        .collect();
    assert!((cells[0] - 3454.9).abs() < 1.0, "{cells:?}");
    assert!((cells[6] - 1253.1).abs() < 1.0, "{cells:?}");
}

#[test]
fn a28_weights_are_rows() {
    let Some(cdnow) = cdnow() else { return };
    let rows = of_one(&cdnow.customers);
    let thrice = cdnow
        .customers
        .iter()
        .flat_map(|(h, _)| [(*h, 1.0), (*h, 2.0)]);
    let weighted = Customers::new(thrice).expect("weights");
    let (one, three) = (
        BgNbd::fit(&rows, &go_on).expect("fitted"),
        BgNbd::fit(&weighted, &go_on).expect("fitted"),
    );
    for (one, three) in one.parameters.iter().zip(three.parameters) {
        assert!((one - three).abs() < 1e-6 * one, "{one} {three}");
    }
}

#[test]
fn a29_days_or_weeks() {
    let Some(cdnow) = cdnow() else { return };
    let days = cdnow.customers.iter().map(|(h, _)| {
        let history = History::new(h.repeats, h.recency * 7.0, h.age * 7.0);
        (history.expect("possible"), 1.0)
    });
    let days = BgNbd::fit(&Customers::new(days).expect("weights"), &go_on).expect("fitted");
    let weeks = BgNbd::fit(&of_one(&cdnow.customers), &go_on).expect("fitted");
    for (n, factor) in [1.0, 7.0, 1.0, 1.0].into_iter().enumerate() {
        let (days, weeks) = (days.parameters[n], weeks.parameters[n] * factor);
        assert!((days - weeks).abs() < 1e-4 * weeks, "{days} {weeks}");
    }
}

fn durations(
    rows: &[csv::StringRecord],
    of: impl Fn(&csv::StringRecord) -> (f64, bool),
) -> Vec<Duration> {
    let of = |row| {
        let (time, is_event) = of(row);
        Duration::new(time, is_event, 1.0).expect("a duration")
    };
    rows.iter().map(of).collect()
}

fn near(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < tolerance, "{got}, not {expected}");
    }
}

#[test]
fn b8_cox_rossi() {
    let Some(rows) = rows("rossi.csv") else {
        return;
    };
    let durations = durations(&rows, |row| (number(row, 0), number(row, 1) == 1.0));
    let features: Vec<f64> = rows
        .iter()
        .flat_map(|row| (2..9).map(|column| number(row, column)))
        .collect();
    let fit = cox::fit(&durations, &features, 7, &go_on).expect("fitted");
    near(
        &fit.coefficients,
        &[
            -0.37942, -0.05744, 0.31390, -0.14980, -0.43370, -0.08487, 0.09150,
        ],
        1e-4,
    );
    assert!((fit.log_likelihood + 658.74766).abs() < 1e-4, "{fit:?}");
    assert!((fit.concordance - 0.64033).abs() < 1e-4, "{fit:?}");
    let ratio = 2.0 * (fit.log_likelihood - fit.log_likelihood_of_none);
    assert!((ratio - 33.26595).abs() < 1e-4, "{ratio}");
}

#[test]
fn b9_kaplan_meier_lung() {
    let Some(rows) = rows("lung.csv") else { return };
    let durations = durations(&rows, |row| (number(row, 1), number(row, 2) != 0.0));
    let steps = kaplan_meier(&durations, 0.95).expect("a level");
    assert_eq!(steps.iter().map(|step| step.events).sum::<f64>(), 165.0);
    assert_eq!(median(&steps), Some(310.0));
    let at_365 = steps
        .iter()
        .rfind(|step| step.time <= 365.0)
        .expect("a step");
    assert!((at_365.survival - 0.40924).abs() < 1e-5, "{at_365:?}");
    // The median's interval: where the curve's own bounds cross one half.
    let low = steps.iter().find(|step| step.low <= 0.5).expect("falls");
    let high = steps.iter().find(|step| step.high <= 0.5).expect("falls");
    assert_eq!((low.time, high.time), (284.0, 361.0));
}

fn telco() -> Option<Vec<csv::StringRecord>> {
    rows("telco_churn.csv")
}

fn of_telco(row: &csv::StringRecord) -> (f64, bool) {
    (number(row, 5), &row[20] == "Yes")
}

#[test]
fn b11_kaplan_meier_telco() {
    let Some(rows) = telco() else { return };
    let at = |rows: &[csv::StringRecord], times: &[f64]| -> Vec<f64> {
        let steps = kaplan_meier(&durations(rows, of_telco), 0.95).expect("a level");
        let of = |time: &f64| {
            steps
                .iter()
                .rfind(|step| step.time <= *time)
                .expect("a step")
                .survival
        };
        times.iter().map(of).collect()
    };
    near(&at(&rows, &[1.0, 72.0]), &[0.945961, 0.592790], 1e-6);
    let contracts = [
        ("Month-to-month", [0.703097, 0.585915, 0.397264, 0.128952]),
        ("One year", [0.990808, 0.978272, 0.916547, 0.568146]),
        ("Two year", [1.0, 1.0, 0.995719, 0.935739]),
    ];
    let mut groups = vec![];
    for (contract, expected) in contracts {
        let group: Vec<_> = rows
            .iter()
            .filter(|row| &row[15] == contract)
            .cloned()
            .collect();
        near(&at(&group, &[12.0, 24.0, 48.0, 72.0]), &expected, 1e-6);
        groups.push(durations(&group, of_telco));
    }
    let steps = kaplan_meier(&groups[0], 0.95).expect("a level");
    assert_eq!(median(&steps), Some(35.0));
    let test = log_rank(&groups).expect("three groups");
    assert!((test.chi_squared - 2352.873).abs() < 0.01, "{test:?}");
    assert_eq!(test.degrees_of_freedom, 2);
}

#[test]
fn b12_cox_telco() {
    let Some(rows) = telco() else { return };
    let durations = durations(&rows, of_telco);
    let is = |yes: bool| f64::from(u8::from(yes));
    let features: Vec<f64> = rows
        .iter()
        .flat_map(|row| {
            [
                number(row, 18),
                is(&row[15] == "One year"),
                is(&row[15] == "Two year"),
                is(&row[8] == "Fiber optic"),
                is(&row[8] == "No"),
                is(&row[17] == "Electronic check"),
                is(&row[16] == "Yes"),
                number(row, 2),
            ]
        })
        .collect();
    let fit = cox::fit(&durations, &features, 8, &go_on).expect("fitted");
    near(
        &fit.coefficients,
        &[
            -0.033144, -1.795922, -3.572138, 1.484340, -1.192585, 0.506731, 0.161019, -0.119234,
        ],
        1e-4,
    );
    assert!((fit.log_likelihood + 14139.795).abs() < 1e-2, "{fit:?}");
    assert!((fit.concordance - 0.83409).abs() < 1e-4, "{fit:?}");
}
