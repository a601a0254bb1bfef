//! States that are merged are one state, however the rows are dealt out.

use proptest::prelude::*;
use rapport_stats::attribution::{Credits, Path, Rule};
use rapport_stats::events::{Event, Events};
use rapport_stats::markov::Transitions;
use rapport_stats::next_node::{Base, Direction, NextNode, Node};
use rapport_stats::retention::Retention;
use rapport_stats::sequence::Pattern;
use rapport_stats::voice::Answers;
use rapport_stats::window_funnel::{Funnel, Modes};

use crate::sums::paths;
use crate::{drawn, go_on, near};

/// Deals rows out to three states, each of which sees them in the order given, and merges the first and the last of them
/// into the middle one.
fn dealt<R, S>(
    rows: &[(R, usize)],
    new: impl Fn() -> S,
    add: impl Fn(&mut S, &R),
    merge: impl Fn(&mut S, &S),
) -> S {
    let mut states = [new(), new(), new()];
    for (row, to) in rows {
        add(&mut states[*to], row);
    }
    let [first, mut all, last] = states;
    merge(&mut all, &last);
    merge(&mut all, &first);
    all
}

fn in_one<R, S>(rows: &[(R, usize)], new: impl Fn() -> S, add: impl Fn(&mut S, &R)) -> S {
    let mut state = new();
    rows.iter().for_each(|(row, _)| add(&mut state, row));
    state
}

fn events() -> impl Strategy<Value = Vec<(Event, usize)>> {
    let event = (0..12_i64, 0..8_u32).prop_map(|(time, conditions)| Event { time, conditions });
    prop::collection::vec((event, 0..3_usize), 0..20)
}

fn modes() -> impl Strategy<Value = Modes> {
    any::<[bool; 5]>().prop_map(|[order, deduplication, increase, once, reentry]| Modes {
        strict_order: order,
        strict_deduplication: deduplication,
        strict_increase: increase,
        strict_once: once,
        allow_reentry: order && reentry,
    })
}

proptest! {
    #![proptest_config(drawn(256))]

    #[test]
    fn events_of_a_journey(rows in events(), modes in modes(), window in 0..15_u64) {
        let add = |all: &mut Events, event: &Event| all.add(*event).expect("few");
        let mut whole = in_one(&rows, Events::default, add);
        let mut parts = dealt(&rows, Events::default, add, |a, b| a.merge(b).expect("few"));
        prop_assert_eq!(whole.sorted(), parts.sorted());
        let funnel = Funnel::new(window, 3, modes).expect("a funnel");
        let level = funnel.level(parts.sorted());
        prop_assert!(level <= 3);
        // A longer window never loses a step, unless an earlier path may end the search.
        if modes == Modes::default() {
            let wider = Funnel::new(window + 1, 3, modes).expect("a funnel");
            prop_assert!(wider.level(parts.sorted()) >= level);
        }
        let pattern = Pattern::new("(?1).*(?2)(?t<=5)(?3)", 3).expect("a pattern");
        let (found, count) = (pattern.matches(parts.sorted()), pattern.count(parts.sorted()));
        prop_assert_eq!(found.expect("few"), count.expect("few") > 0);
    }

    #[test]
    fn retentions(rows in prop::collection::vec((0..16_u32, 0..3_usize), 0..9)) {
        let new = || Retention::new(4).expect("a number");
        let add = |all: &mut Retention, met: &u32| all.add(*met);
        let parts = dealt(&rows, new, add, |a, b| a.merge(*b));
        prop_assert_eq!(in_one(&rows, new, add).finish(), parts.finish());
    }

    #[test]
    fn next_nodes(rows in prop::collection::vec(((0..9_i64, 0..5_u32, any::<bool>(), 0..4_u64), 0..3_usize), 0..15)) {
        let new = || NextNode::new(Direction::Forward, Base::FirstMatch, 2).expect("possible");
        let add = |all: &mut NextNode<u32>, row: &(i64, u32, bool, u64)| {
            let (time, value, can_be_base, conditions) = *row;
            all.add(Node { time, value, can_be_base, conditions }).expect("few");
        };
        let mut parts = dealt(&rows, new, add, |a, b| a.merge(b).expect("few"));
        let mut whole = in_one(&rows, new, add);
        prop_assert_eq!(whole.finish(), parts.finish());
    }

    #[test]
    fn answers(rows in prop::collection::vec(((0..=10_i32, 0..5_u32), 0..3_usize), 1..40)) {
        let new = || Answers::new(0, 10).expect("a scale");
        let add = |all: &mut Answers, row: &(i32, u32)| all.add(row.0, f64::from(row.1)).expect("on the scale");
        let whole = in_one(&rows, new, add);
        let parts = dealt(&rows, new, add, |a, b| a.merge(b).expect("one scale"));
        // The weights are whole numbers, whose sums are exact.
        prop_assert_eq!(&whole, &parts);
        if let Ok(nps) = whole.nps(0.95) {
            prop_assert!((-100.0..=100.0).contains(&nps.score));
            prop_assert!(nps.low <= nps.high && nps.standard_error >= 0.0, "{nps:?}");
            let shares = whole.likert(0.95).expect("some");
            prop_assert!(near(shares.iter().map(|s| s.share).sum(), 1.0));
            prop_assert!(shares.iter().all(|s| 0.0 <= s.low && s.low <= s.high && s.high <= 1.0));
        }
    }

    #[test]
    fn transitions_and_credits(paths in paths(), to in prop::collection::vec(0..3_usize, 30), order in 1..=4_usize) {
        let rows: Vec<(Path, usize)> = paths.into_iter().zip(to).collect();
        let new = || Transitions::new(order).expect("an order");
        let add = |all: &mut Transitions, path: &Path| all.add(path);
        let whole = in_one(&rows, new, add);
        let parts = dealt(&rows, new, add, |a, b| a.merge(b).expect("one order"));
        prop_assert_eq!(&whole, &parts);
        let (whole, parts) = (whole.attribute(&go_on), parts.attribute(&go_on));
        prop_assert_eq!(whole, parts);

        let new = Credits::default;
        let add = |all: &mut Credits, path: &Path| {
            let one = rapport_stats::attribution::credit(Rule::LINEAR, std::slice::from_ref(path));
            all.merge(&one.expect("no ages"));
        };
        let (whole, parts) = (in_one(&rows, new, add), dealt(&rows, new, add, Credits::merge));
        for (a, b) in whole.by_channel().iter().zip(parts.by_channel()) {
            prop_assert!(near(*a, *b));
        }
    }
}
