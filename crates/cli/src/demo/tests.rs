//! What the synthetic history promises, checked on some thousands of customers.

use std::sync::atomic::AtomicBool;

use super::clock::DAYS;
use super::event::Event;
use super::files;
use super::life::Life;
use super::population::Cohort;
use super::truth::BgNbd;
use super::words::{Channel, Direction, Kind, Outcome, Survey};
use super::world::World;

const SEED: u64 = 1;

/// Calls `look` with the lives of the first `n` customers.
fn lives(n: u32, mut look: impl FnMut(&Life)) {
    let world = World::new(SEED);
    for number in 0..n {
        look(&Life::new(&world, number));
    }
}

/// P(X(t) = 0), P(X(t) = 1) … for a customer who bought at time 0 (Fader, Hardie & Lee 2005, equation 8).
fn bgnbd_pmf(
    t: f64,
    n: usize,
    BgNbd {
        r,
        alpha_weeks: alpha,
        a,
        b,
    }: BgNbd,
) -> Vec<f64> {
    let stay = (alpha / (alpha + t)).powf(r);
    let z = t / (alpha + t);
    // By recurrence: B(a, b+x)/B(a, b), the NBD's terms, and the sum of those.
    let (mut beta_x, mut nbd, mut before) = (1.0, stay, 0.0);
    // B(a+1, b+x-1)/B(a, b) at x = 1.
    let mut beta_left = a / (a + b);
    let mut pmf = Vec::with_capacity(n);
    for x in 0..n {
        let k = x as f64;
        let mut p = beta_x * nbd;
        if x > 0 {
            p += beta_left * (1.0 - before);
            beta_left *= (b + k - 1.0) / (a + b + k);
        }
        pmf.push(p);
        before += nbd;
        nbd *= (r + k) / (k + 1.0) * z;
        beta_x *= (b + k) / (a + b + k);
    }
    pmf
}

#[test]
fn the_formula_used_here_gives_the_published_probabilities() {
    let truth = BgNbd {
        r: 0.243,
        alpha_weeks: 4.414,
        a: 0.793,
        b: 2.426,
    };
    assert!((bgnbd_pmf(39.0, 1, truth)[0] - 0.573_786_4).abs() < 1e-6);
    assert!((bgnbd_pmf(2.0, 11, truth)[10] - 1.078_69e-7).abs() < 1e-11);
    let pmf = bgnbd_pmf(30.0, 14, truth);
    assert!((pmf[11] - 0.001_999_5).abs() < 1e-6, "{}", pmf[11]);
    assert!((pmf[13] - 0.001_163_3).abs() < 1e-6, "{}", pmf[13]);
}

#[test]
fn purchases_of_the_baseline_follow_bgnbd() {
    const WEEKS: f64 = 52.0;
    const MOST: usize = 400;
    let mut counts = [0_u32; MOST];
    let mut n = 0.0;
    lives(60_000, |life| {
        let is_watched_long_enough = life.person.born + WEEKS * 7.0 < DAYS as f64;
        if life.person.cohort == Cohort::Baseline && is_watched_long_enough {
            // The plan is in continuous time, and so is the theory.
            let planned = super::purchases::plan(&mut Life::of(life.world, life.person.clone()));
            let repeats = planned[1..]
                .iter()
                .filter(|p| p.at <= life.person.born + WEEKS * 7.0)
                .count();
            counts[repeats.min(MOST - 1)] += 1;
            n += 1.0;
        }
    });
    let pmf = bgnbd_pmf(WEEKS, MOST, World::new(SEED).truth.purchases);
    let moment = |p: &dyn Fn(usize) -> f64, k: i32| -> f64 {
        (0..MOST).map(|x| (x as f64).powi(k) * p(x)).sum()
    };
    let theory = |x: usize| pmf[x];
    let seen = |x: usize| f64::from(counts[x]) / n;
    let mean = moment(&theory, 1);
    let variance = moment(&theory, 2) - mean * mean;
    let seen_mean = moment(&seen, 1);
    let seen_variance = moment(&seen, 2) - seen_mean * seen_mean;
    // Four standard errors.
    assert!(
        (seen_mean - mean).abs() < 4.0 * (variance / n).sqrt(),
        "{seen_mean} for {mean}"
    );
    assert!(
        (seen_variance / variance - 1.0).abs() < 0.1,
        "{seen_variance} for {variance}"
    );
    for (x, p) in pmf.iter().enumerate().take(12) {
        let error = (p * (1.0 - p) / n).sqrt();
        assert!(
            (seen(x) - p).abs() < 4.0 * error,
            "{x}: {} for {p}",
            seen(x)
        );
    }
}

#[test]
fn no_two_purchases_of_a_baseline_customer_fall_on_one_day() {
    lives(5_000, |life| {
        let mut days: Vec<u32> = life.purchases.iter().map(|p| p.at as u32).collect();
        days.sort_unstable();
        let has_two = days.windows(2).any(|pair| pair[0] == pair[1]);
        assert!(
            !has_two || life.person.cohort == Cohort::Responsive,
            "{days:?}"
        );
    });
}

#[test]
fn spend_follows_gamma_gamma() {
    let (mut sum, mut n) = (0.0, 0.0);
    lives(20_000, |life| {
        let first = life.events.iter().find(|e| e.kind == Kind::Purchase);
        sum += first.map_or(0.0, |e| e.amount_cents as f64 / 100.0);
        n += f64::from(u8::from(first.is_some()));
    });
    let spend = World::new(SEED).truth.spend;
    let (mean, seen) = (spend.mean(), sum / n);
    // Var Z = E[p/ν²] + Var(p/ν), with ν ~ gamma(q, v).
    let of_squares =
        spend.p * (spend.p + 1.0) * spend.v.powi(2) / ((spend.q - 1.0) * (spend.q - 2.0));
    let error = ((of_squares - mean * mean) / n).sqrt();
    assert!(
        (seen - mean).abs() < 4.0 * error,
        "{seen} for {mean} ± {error}"
    );
}

#[test]
fn every_customer_has_at_least_one_purchase() {
    lives(5_000, |life| {
        assert!(
            life.events.iter().any(|e| e.kind == Kind::Purchase),
            "{:?}",
            life.person
        );
    });
}

#[test]
fn there_are_enough_interactions_in_every_channel() {
    let mut by_channel = [0_usize; Channel::ALL.len()];
    lives(10_000, |life| {
        for event in &life.events {
            by_channel[event.channel as usize] += 1;
        }
    });
    let all: usize = by_channel.iter().sum();
    assert!(
        all >= 310_000,
        "100,000 customers would make fewer than 3.1 million: {all}"
    );
    assert!(all <= 370_000, "more than can be loaded in time: {all}");
    assert!(by_channel.iter().all(|n| n * 200 > all), "{by_channel:?}");
}

#[test]
fn purchases_and_refusals_returns_and_every_survey_are_there() {
    let mut events = Vec::new();
    lives(5_000, |life| events.extend_from_slice(&life.events));
    for outcome in [
        Outcome::Purchase,
        Outcome::Refusal,
        Outcome::Resolved,
        Outcome::Unresolved,
        Outcome::Escalated,
        Outcome::Returned,
        Outcome::Abandoned,
        Outcome::Treated,
        Outcome::Control,
    ] {
        assert!(
            events.iter().any(|e: &Event| e.outcome == outcome),
            "{outcome:?}"
        );
    }
    for (survey, lowest, highest) in [
        (Survey::Nps, 0, 10),
        (Survey::Csat, 1, 5),
        (Survey::Ces, 1, 7),
        (Survey::Likert, 1, 5),
    ] {
        let scores: Vec<i8> = events
            .iter()
            .filter(|e| e.survey == survey)
            .map(|e| e.score)
            .collect();
        assert_eq!(scores.iter().min(), Some(&lowest), "{survey:?}");
        assert_eq!(scores.iter().max(), Some(&highest), "{survey:?}");
    }
    assert!(events.iter().any(|e| !e.is_known), "some do not log in");
}

#[test]
fn no_interaction_lies_outside_the_three_years() {
    lives(3_000, |life| {
        for event in &life.events {
            assert!((0.0..DAYS as f64).contains(&event.at), "{event:?}");
        }
        assert!(life.events.is_sorted_by(|a, b| a.at <= b.at));
    });
}

#[test]
fn bad_contacts_make_people_leave_in_the_responsive_cohort_only() {
    // Of those with a bad contact: how many ever buy or get in touch more than four weeks later?
    let mut after = [[0_u32; 2]; 2];
    lives(40_000, |life| {
        let Some(bad) = life
            .bad_contacts
            .first()
            .copied()
            .filter(|at| at + 200.0 < DAYS as f64)
        else {
            return;
        };
        let came_back = life.events.iter().any(|e| {
            e.at > bad + 28.0 && e.direction == Direction::Inbound && e.channel != Channel::Sensor
        });
        after[life.person.cohort as usize][usize::from(came_back)] += 1;
    });
    let share_gone = after.map(|[gone, back]| f64::from(gone) / f64::from(gone + back));
    assert!(
        share_gone[Cohort::Responsive as usize] > share_gone[Cohort::Baseline as usize] + 0.07,
        "{share_gone:?}"
    );
}

#[test]
fn a_bad_contact_is_told_by_its_outcome_and_sentiment_alone() {
    lives(3_000, |life| {
        let by_definition = life.events.iter().filter(|e| e.is_bad_contact()).count();
        assert_eq!(by_definition, life.bad_contacts.len());
    });
}

#[test]
fn nps_falls_with_the_number_of_bad_contacts() {
    let mut by_bad = [(0.0, 0.0); 3];
    lives(30_000, |life| {
        for event in life.events.iter().filter(|e| e.survey == Survey::Nps) {
            let bad = life
                .bad_contacts
                .iter()
                .filter(|at| **at < event.at)
                .count()
                .min(2);
            by_bad[bad].0 += f64::from(event.score);
            by_bad[bad].1 += 1.0;
        }
    });
    let mean = by_bad.map(|(sum, n)| sum / n);
    assert!(
        mean[0] > mean[1] + 0.9 && mean[1] > mean[2] + 0.5,
        "{mean:?}"
    );
}

#[test]
fn many_repeat_contacts_change_the_channel() {
    let (mut cases, mut repeated, mut changed) = (0, 0, 0);
    lives(20_000, |life| {
        let mut contacts: Vec<(u16, Channel)> = life
            .events
            .iter()
            .filter(|e| e.kind == Kind::Contact)
            .map(|e| (e.case, e.channel))
            .collect();
        contacts.sort_by_key(|(case, channel)| (*case, *channel as u8));
        for case in contacts.chunk_by(|a, b| a.0 == b.0) {
            cases += 1;
            repeated += usize::from(case.len() > 1);
            changed += usize::from(case[0].1 != case[case.len() - 1].1);
        }
    });
    assert!(
        repeated * 5 > cases && repeated < cases,
        "{repeated} of {cases}"
    );
    assert!(
        changed * 3 > repeated && changed < repeated,
        "{changed} of {repeated}"
    );
}

#[test]
fn controls_are_left_alone_by_their_campaign() {
    lives(20_000, |life| {
        for member in life.memberships.iter().filter(|m| !m.is_treated) {
            let touched: Vec<&Event> = life
                .events
                .iter()
                .filter(|e| e.campaign == member.campaign)
                .collect();
            assert_eq!(touched.len(), 1, "only the assignment itself: {touched:?}");
            assert_eq!(touched[0].outcome, Outcome::Control);
        }
    });
}

#[test]
fn treated_customers_buy_more_by_the_known_uplift() {
    // Purchases within the window, per member: a difference of means, over all campaigns together.
    let (mut bought, mut squares, mut n, mut expected) = ([0.0; 2], [0.0; 2], [0.0; 2], 0.0);
    let world = World::new(SEED);
    let window = world.truth.campaigns.window_days;
    for number in 0..60_000 {
        let life = Life::new(&world, number);
        for member in &life.memberships {
            let starts = world.campaigns[usize::from(member.campaign) - 1].starts;
            let in_window = life
                .purchases
                .iter()
                .filter(|p| (starts..starts + window).contains(&p.at))
                .count() as f64;
            let group = usize::from(member.is_treated);
            bought[group] += in_window;
            squares[group] += in_window * in_window;
            n[group] += 1.0;
            expected += if member.is_treated {
                member.uplift
            } else {
                0.0
            };
        }
    }
    let mean = |group: usize| bought[group] / n[group];
    let error = |group: usize| (squares[group] / n[group] - mean(group).powi(2)) / n[group];
    let uplift = mean(1) - mean(0);
    let truth = expected / n[1];
    let four_errors = 4.0 * (error(0) + error(1)).sqrt();
    assert!(
        (uplift - truth).abs() < four_errors,
        "{uplift} for {truth} ± {four_errors}"
    );
    assert!(
        truth > four_errors,
        "the uplift can be told from noise: {truth}, {four_errors}"
    );
    let controls = n[0] / (n[0] + n[1]);
    assert!(
        (controls - world.truth.campaigns.control_share).abs() < 0.01,
        "{controls}"
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let bytes = |seed, threads| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let world = World::new(seed);
        files::generate(
            &world,
            10_050,
            folder.path(),
            threads,
            &|_| {},
            &AtomicBool::new(false),
        )
        .expect("generated");
        let mut files = Vec::new();
        for table in std::fs::read_dir(folder.path()).expect("tables") {
            let table = table.expect("a table").path();
            for file in std::fs::read_dir(&table).expect("files") {
                let file = file.expect("a file").path();
                let name = file.strip_prefix(folder.path()).expect("inside").to_owned();
                files.push((name, std::fs::read(&file).expect("bytes")));
            }
        }
        files.sort();
        files
    };
    let one = bytes(3, 1);
    assert_eq!(one.len(), 2 * 4 + 6);
    assert!(one == bytes(3, 2));
    assert!(one != bytes(4, 2));
}

#[test]
fn counts_of_the_whole_are_those_of_the_parts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let world = World::new(SEED);
    let written = std::sync::atomic::AtomicU64::new(0);
    let progress = |rows| {
        written.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
    };
    let total = files::generate(
        &world,
        500,
        folder.path(),
        2,
        &progress,
        &AtomicBool::new(false),
    )
    .expect("generated");
    let mut expected = files::Generated::new(&world);
    lives(500, |life| expected.count(life));
    assert_eq!(total.interactions, expected.interactions);
    assert_eq!(total.by_channel, expected.by_channel);
    assert_eq!(written.into_inner(), total.interactions);
}

/// `cargo test -- --ignored how_fast`: what the demo spends on making its files.
#[test]
#[ignore = "a measurement"]
fn how_fast() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = std::time::Instant::now();
    let world = World::new(SEED);
    let total = files::generate(
        &world,
        100_000,
        folder.path(),
        2,
        &|_| {},
        &AtomicBool::new(false),
    )
    .expect("generated");
    println!("{total:#?}\n{:?}", start.elapsed());
}
