//! Attribution, funnels, sequences, sessions and identity.

use std::collections::{BTreeMap, BTreeSet};

use rapport_stats::attribution::{Path, Rule, credit};
use rapport_stats::blocking::{Pair, pairs_between, pairs_within, union};
use rapport_stats::events::Event;
use rapport_stats::fellegi_sunter::{Comparisons, FellegiSunter, MISSING, level};
use rapport_stats::identity::{Evidence, Kind, Sighting};
use rapport_stats::jaro_winkler::Comparer;
use rapport_stats::markov::{Attribution, Transitions};
use rapport_stats::next_node::{Base, Direction, NextNode, Node};
use rapport_stats::retention::Retention;
use rapport_stats::sequence::Pattern;
use rapport_stats::sessions::session_ids;
use rapport_stats::shapley;
use rapport_stats::window_funnel::{Funnel, Modes};

use crate::{day, go_on, near, number, rows};

/// The paths, and the channels in the order of their names.
fn paths() -> Option<(Vec<Path>, Vec<String>)> {
    let rows = rows("pathdata.csv")?;
    let names = |row: &csv::StringRecord| -> Vec<String> {
        row[0]
            .split('>')
            .map(|name| name.trim().to_owned())
            .collect()
    };
    let channels: BTreeSet<String> = rows.iter().flat_map(names).collect();
    let channels: Vec<String> = channels.into_iter().collect();
    let path = |row: &csv::StringRecord| {
        let number_of = |name: &String| channels.binary_search(name).expect("a channel") as u32;
        let path = names(row).iter().map(number_of).collect();
        Path::new(path, number(row, 1), number(row, 3)).expect("possible")
    };
    Some((rows.iter().map(path).collect(), channels))
}

fn of_channels(values: &[f64], channels: &[String], names: &[&str]) -> Vec<f64> {
    let at = |name: &&str| channels.iter().position(|channel| channel == name);
    names
        .iter()
        .map(|name| values[at(name).expect("a channel")])
        .collect()
}

#[test]
fn g1_g2_g3_first_last_and_linear() {
    let Some((paths, channels)) = paths() else {
        return;
    };
    assert_eq!((paths.len(), channels.len()), (10_000, 12));
    let rules = [
        (Rule::FIRST, [6308.0, 2831.0, 3164.0, 4606.0], 1e-9),
        (Rule::LAST, [8447.0, 989.0, 4167.0, 3355.0], 1e-9),
        (
            Rule::LINEAR,
            [7574.719, 2083.500, 3539.951, 3857.096],
            0.001,
        ),
    ];
    for (rule, expected, tolerance) in rules {
        let credits = credit(rule, &paths).expect("no ages");
        let got = of_channels(
            credits.by_channel(),
            &channels,
            &["alpha", "beta", "eta", "iota"],
        );
        near(&got, &expected, tolerance);
    }
}

fn markov(order: usize, paths: &[Path]) -> Attribution {
    let mut transitions = Transitions::new(order).expect("an order");
    paths.iter().for_each(|path| transitions.add(path));
    transitions.attribute(&go_on).expect("journeys")
}

#[test]
fn g4_markov_base_conversion() {
    let Some((paths, _)) = paths() else { return };
    for order in 1..=4 {
        let base = markov(order, &paths).base_conversion;
        assert!((base - 19_785.0 / 88_387.0).abs() < 1e-9, "{order}: {base}");
    }
}

const CHANNELS: [&str; 5] = ["alpha", "beta", "eta", "iota", "theta"];

#[test]
fn g5_markov_removal_effects() {
    let Some((paths, channels)) = paths() else {
        return;
    };
    let effects = markov(1, &paths).removal_effects;
    let got = of_channels(&effects, &channels, &CHANNELS);
    near(
        &got,
        &[0.558399, 0.264039, 0.349026, 0.405835, 0.206010],
        1e-5,
    );
}

#[test]
fn g6_markov_attributed_conversions() {
    let Some((paths, channels)) = paths() else {
        return;
    };
    let conversions = markov(1, &paths).conversions;
    let got = of_channels(&conversions, &channels, &CHANNELS);
    near(
        &got,
        &[5344.948, 2527.352, 3340.847, 3884.615, 1971.913],
        0.01,
    );
}

#[test]
fn g8_any_attribution_sums_to_the_conversions() {
    let Some((paths, _)) = paths() else { return };
    let rules = [Rule::FIRST, Rule::LAST, Rule::LINEAR];
    let position = Rule::position(0.4, 0.4).expect("shares");
    let decay = Rule::time_decay(7.0).expect("positive");
    let mut sums: Vec<f64> = rules
        .into_iter()
        .chain([position, decay])
        .map(|rule| {
            credit(rule, &paths)
                .expect("ages")
                .by_channel()
                .iter()
                .sum()
        })
        .collect();
    sums.extend((1..=4).map(|order| markov(order, &paths).conversions.iter().sum::<f64>()));
    sums.push(shapley::of_paths(&paths).by_channel().iter().sum());
    for sum in sums {
        assert!((sum - 19_785.0).abs() < 1e-9 * 19_785.0, "{sum}");
    }
}

struct Click {
    time: i64,
    name: String,
    session: String,
    month: u32,
}

/// The click-stream of each user, in the file's order.
fn users() -> Option<Vec<Vec<Click>>> {
    let mut users: BTreeMap<String, Vec<Click>> = BTreeMap::new();
    for row in rows("ecom_events.csv.gz")? {
        let (date, clock) = row[3].split_once(' ').expect("a day and a time");
        let part = |n: usize| clock[3 * n..3 * n + 2].parse::<i64>().expect("a time");
        users.entry(row[0].to_owned()).or_default().push(Click {
            time: day(&date.replace('-', "")) * 86_400 + part(0) * 3_600 + part(1) * 60 + part(2),
            name: row[2].to_owned(),
            session: row[1].to_owned(),
            month: date[5..7].parse().expect("a month"),
        });
    }
    Some(users.into_values().collect())
}

/// Condition n is to be the n-th of the names.
fn events(clicks: &[Click], names: &[&str]) -> Vec<Event> {
    let event = |click: &Click| Event {
        time: click.time,
        conditions: (0..).zip(names).fold(0, |all, (n, name)| {
            all | u32::from(click.name == *name) << n
        }),
    };
    let mut events: Vec<Event> = clicks.iter().map(event).collect();
    events.sort();
    events
}

/// Users at levels 1 to 6, by ClickHouse 26.9.
#[test]
fn window_funnel_of_a_shop_equals_clickhouse_s() {
    let Some(users) = users() else { return };
    let steps = [
        "catalog",
        "product_view",
        "add_to_cart",
        "shipping_details",
        "payment_details",
        "purchase",
    ];
    let (hour, day) = (3_600, 86_400);
    let expected: [(u64, &[&str], [usize; 6]); 7] = [
        (hour, &[], [9, 208, 186, 124, 53, 20]),
        (hour, &["strict_order"], [375, 205, 18, 2, 0, 0]),
        (hour, &["strict_deduplication"], [9, 514, 50, 16, 10, 1]),
        (day, &[], [9, 205, 186, 124, 53, 23]),
        (7 * day, &[], [9, 181, 166, 120, 78, 46]),
        (7 * day, &["strict_increase"], [9, 182, 166, 120, 77, 46]),
        (
            7 * day,
            &["allow_reentry", "strict_order"],
            [359, 216, 20, 5, 0, 0],
        ),
    ];
    for (window, modes, expected) in expected {
        let named = Modes::named(modes.iter().copied()).expect("known");
        let funnel = Funnel::new(window, 6, named).expect("possible");
        let mut levels = [0; 7];
        for clicks in &users {
            levels[funnel.level(&events(clicks, &steps)) as usize] += 1;
        }
        assert_eq!(levels[1..], expected, "{window} {modes:?}");
    }
}

#[test]
fn sessions_of_a_shop_are_those_of_the_file() {
    let Some(users) = users() else { return };
    let mut n_sessions = 0;
    for clicks in &users {
        let times: Vec<i64> = clicks.iter().map(|click| click.time).collect();
        let ids = session_ids(&times, 1_800);
        let named: BTreeMap<u64, &str> = (ids.iter().copied())
            .zip(clicks.iter().map(|click| click.session.as_str()))
            .collect();
        assert!(
            ids.iter()
                .zip(clicks)
                .all(|(id, click)| named[id] == click.session)
        );
        n_sessions += named.len();
    }
    assert_eq!(n_sessions, 3_605);
}

#[test]
fn retention_of_a_shop_equals_clickhouse_s() {
    let Some(users) = users() else { return };
    let mut retained = [0; 6];
    for clicks in &users {
        let mut retention = Retention::new(6).expect("few");
        for click in clicks {
            retention.add(1 << (click.month - 1));
        }
        for (n, is_retained) in retention.finish().into_iter().enumerate() {
            retained[n] += usize::from(is_retained);
        }
    }
    assert_eq!(retained, [63, 45, 38, 43, 39, 32]);
}

fn counts(users: &[Vec<Click>], pattern: &str, names: &[&str]) -> Vec<u64> {
    let pattern = Pattern::new(pattern, names.len() as u32).expect("readable");
    let of = |clicks: &Vec<Click>| {
        let events = events(clicks, names);
        let count = pattern.count(&events).expect("easy");
        assert_eq!(pattern.matches(&events), Ok(count > 0));
        count
    };
    users.iter().map(of).filter(|count| *count > 0).collect()
}

#[test]
fn sequences_of_a_shop_equal_clickhouse_s() {
    let Some(users) = users() else { return };
    let chat = counts(
        &users,
        "(?1)(?t<=3600)(?2)",
        &["error_page", "support_chat"],
    );
    assert_eq!(chat.len(), 15);
    let paid = counts(&users, "(?1).*(?2)", &["payment_error", "purchase"]);
    assert_eq!(paid.len(), 17);
    let cart = ["product_view", "add_to_cart"];
    let carts = counts(&users, "(?1).*(?2)", &cart);
    let summary = (carts.iter().sum(), carts.iter().max(), carts.len());
    assert_eq!(summary, (1_190, Some(&6), 517));
    let soon = counts(&users, "(?1)(?t<=60)(?2)", &cart);
    assert_eq!((soon.iter().sum::<u64>(), soon.len()), (154, 132));
}

#[test]
fn what_comes_after_an_error_equals_clickhouse_s() {
    let Some(users) = users() else { return };
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for clicks in &users {
        let state = NextNode::new(Direction::Forward, Base::FirstMatch, 1);
        let mut state = state.expect("possible");
        for click in clicks {
            let is_error = click.name == "error_page";
            let node = Node {
                time: click.time,
                value: click.name.clone(),
                can_be_base: is_error,
                conditions: u64::from(is_error),
            };
            state.add(node).expect("few");
        }
        let name = state.finish().cloned().unwrap_or_default();
        *next.entry(name).or_default() += 1;
    }
    let expected = [
        ("catalog", 41),
        ("product_view", 40),
        ("search", 28),
        ("filter_results", 22),
        ("home", 20),
        ("payment_details", 9),
        ("cart", 8),
        ("", 391),
    ];
    for (name, expected) in expected {
        assert_eq!(next[name], expected, "{name}: {next:?}");
    }
}

/// A person: record id and then the fields, trimmed.
type Person = Vec<String>;

fn people(file: &str) -> Option<Vec<Person>> {
    let trimmed =
        |row: &csv::StringRecord| row.iter().map(|field| field.trim().to_owned()).collect();
    Some(rows(file)?.iter().map(trimmed).collect())
}

/// Columns of a FEBRL file, and those that the second stage compares.
const GIVEN_NAME: usize = 1;
const SURNAME: usize = 2;
const SUBURB: usize = 6;
const POSTCODE: usize = 7;
const BIRTH: usize = 9;
const SOCIAL: usize = 10;
const COMPARED: [usize; 7] = [GIVEN_NAME, SURNAME, 3, 4, SUBURB, POSTCODE, BIRTH];

fn keys(people: &[Person], column: usize) -> Vec<Option<&str>> {
    let key = |person: &'_ Person| !person[column].is_empty();
    people
        .iter()
        .map(|person| key(person).then_some(person[column].as_str()))
        .collect()
}

fn levels(comparer: &mut Comparer, a: &Person, b: &Person) -> Vec<u8> {
    let mut of = |column: usize| {
        let (a, b) = (&a[column], &b[column]);
        match a.is_empty() || b.is_empty() {
            true => MISSING,
            false => level(comparer.jaro_winkler(a, b), &[0.85, 1.0]),
        }
    };
    COMPARED.into_iter().map(&mut of).collect()
}

/// The number in `rec-223-org` or `rec-223-dup-0`: who it truly is.
fn truth(person: &Person) -> &str {
    person[0].split('-').nth(1).expect("a record id")
}

/// Pairs that are probably one person, the likeliest first.
fn likely(people: &[Person], candidates: &[Pair]) -> Vec<Pair> {
    let mut comparer = Comparer::default();
    let mut comparisons = Comparisons::new(&[3; COMPARED.len()]).expect("levels");
    let compared: Vec<(Pair, Vec<u8>)> = candidates
        .iter()
        .map(|(a, b)| {
            let (one, other) = (&people[*a as usize], &people[*b as usize]);
            ((*a, *b), levels(&mut comparer, one, other))
        })
        .collect();
    for (_, levels) in &compared {
        comparisons.add(levels).expect("fits");
    }
    let model = FellegiSunter::fit(&comparisons, &go_on).expect("pairs");
    assert!(model.converged, "{model:?}");
    let mut likely: Vec<(f64, Pair)> = compared
        .iter()
        .map(|(pair, levels)| (model.p_same(levels), *pair))
        .filter(|(p_same, _)| *p_same >= 0.9)
        .collect();
    likely.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    likely.into_iter().map(|(_, pair)| pair).collect()
}

/// Precision and recall of the pairs in one cluster: by the number of social security, and by what else is alike.
fn check_identity(people: &[Person], candidates: &[Pair]) {
    let social = Kind {
        most_records: 5,
        most_values: usize::MAX,
    };
    let mut evidence = Evidence::new(people.len() as u32, vec![social]);
    for (record, person) in (0..).zip(people) {
        if let Ok(value) = person[SOCIAL].parse() {
            let sighting = Sighting {
                kind: 0,
                value,
                record,
            };
            evidence.add(sighting).expect("a record");
        }
    }
    let likely = likely(people, candidates);
    for evidence in [
        &mut evidence,
        &mut Evidence::new(people.len() as u32, vec![]),
    ] {
        for (a, b) in &likely {
            evidence.link(*a, *b).expect("records");
        }
        let (precision, recall) = judged(people, evidence);
        assert!(precision >= 0.98 && recall >= 0.90, "{precision} {recall}");
    }
}

fn judged(people: &[Person], evidence: &Evidence) -> (f64, f64) {
    let (mut found, mut right) = (0, 0);
    for members in evidence.resolve().members().values() {
        for (n, a) in members.iter().enumerate() {
            for b in &members[n + 1..] {
                found += 1;
                right += i32::from(truth(&people[*a as usize]) == truth(&people[*b as usize]));
            }
        }
    }
    let mut n_records: BTreeMap<&str, i32> = BTreeMap::new();
    for person in people {
        *n_records.entry(truth(person)).or_default() += 1;
    }
    let pairs: i32 = n_records.values().map(|n| n * (n - 1) / 2).sum();
    let (found, right, pairs) = (f64::from(found), f64::from(right), f64::from(pairs));
    println!("{right} of {found} found are right, of {pairs}");
    (right / found, right / pairs)
}

#[test]
fn identity_of_febrl_1() {
    let Some(people) = people("febrl1.csv") else {
        return;
    };
    let blocks = [GIVEN_NAME, SURNAME, POSTCODE, BIRTH]
        .map(|column| pairs_within(&keys(&people, column), 100_000).expect("few"));
    check_identity(&people, &union(blocks));
}

#[test]
fn identity_of_febrl_4() {
    let (Some(left), Some(right)) = (people("febrl4a.csv"), people("febrl4b.csv")) else {
        return;
    };
    let between = |column: usize| {
        let (left, right) = (keys(&left, column), keys(&right, column));
        pairs_between(&left, &right, 1_000_000).expect("few")
    };
    assert_eq!(between(GIVEN_NAME).len(), 77_249);
    let n = left.len() as u32;
    let of_right = |(a, b): Pair| (a, b + n);
    let blocks = [GIVEN_NAME, SURNAME, POSTCODE, BIRTH].map(between);
    let candidates = union(blocks).into_iter().map(of_right);
    let candidates: Vec<Pair> = candidates.collect();
    let people: Vec<Person> = left.iter().chain(&right).cloned().collect();
    check_identity(&people, &candidates);
}
