//! How far a customer got in a funnel: ClickHouse's `windowFunnel`.
//!
//! The steps are conditions in their order. A customer is at level k if events meeting conditions 1, 2, …, k follow each
//! other within a window of time that opens with the first of them. Modes make it stricter:
//!
//! - `strict_order`: another event in between ends the search; so does a step that comes before its predecessor, which
//!   `allow_reentry` overlooks;
//! - `strict_deduplication`: a step that is met again ends the search;
//! - `strict_increase`: each step is later than the one before it;
//! - `strict_once`: one event is one step, even if it meets several conditions.
//!
//! Events of one moment are taken in the order of the steps that they meet. Without `strict_once` only the latest path to
//! each step is remembered, as in ClickHouse: under `strict_increase` a first step repeated at the very time of the second
//! hides the earlier first step. With it, all paths are, of which those that still matter are told by the latest start for
//! each step; who may share a moment is decided by matching steps with events.
//!
//! Source: the ClickHouse manual, "windowFunnel", and the behaviour of ClickHouse 26.9, compared case by case.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};

use crate::events::{Event, MOST_CONDITIONS};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    pub strict_order: bool,
    pub strict_deduplication: bool,
    pub strict_increase: bool,
    pub strict_once: bool,
    pub allow_reentry: bool,
}

impl Modes {
    /// By ClickHouse's names.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut modes = Self::default();
        for name in names {
            match name {
                "strict_order" => modes.strict_order = true,
                "strict_deduplication" => modes.strict_deduplication = true,
                "strict_increase" => modes.strict_increase = true,
                "strict_once" => modes.strict_once = true,
                "allow_reentry" => modes.allow_reentry = true,
                _ => {
                    return Err(Error::Name {
                        name: name.to_owned(),
                        known: "strict_order, strict_deduplication, strict_increase, strict_once, allow_reentry",
                    });
                }
            }
        }
        Ok(modes)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funnel {
    window: u64,
    n_steps: usize,
    modes: Modes,
}

impl Funnel {
    /// The window is in the unit of the events' times. `allow_reentry` means something in strict order only.
    pub fn new(window: u64, n_steps: u32, modes: Modes) -> Result<Self> {
        if !(1..=MOST_CONDITIONS).contains(&n_steps) {
            return Err(Error::Range {
                name: "number of steps",
                range: "1 to 32",
                value: f64::from(n_steps),
            });
        }
        if modes.allow_reentry && !modes.strict_order {
            return Err(Error::Contradiction(
                "allow_reentry needs strict_order beside it",
            ));
        }
        Ok(Self {
            window,
            n_steps: n_steps as usize,
            modes,
        })
    }

    /// Whether the event has to be kept to tell the level.
    pub fn needs(&self, event: Event) -> bool {
        self.modes.strict_order || event.conditions != 0
    }

    /// 0 to the number of steps, from events in their order, of conditions no more than the steps.
    pub fn level(&self, sorted: &[Event]) -> u32 {
        let level = match self.modes.strict_once {
            true => self.walk(sorted, AllPaths::new(*self)),
            false => self.walk(sorted, LatestPath::new(*self)),
        };
        level as u32
    }

    fn walk(&self, sorted: &[Event], mut paths: impl Paths) -> usize {
        for moment in sorted.chunk_by(|a, b| a.time == b.time) {
            if self.modes.strict_order && paths.has(0) && moment[0].conditions == 0 {
                break;
            }
            let moment = without_crowds(moment, self.n_steps + 1);
            paths.begin(&moment);
            for step in 0..self.n_steps {
                if let Break(level) = self.take_step(step, &moment, &mut paths) {
                    return level;
                }
            }
            paths.end();
        }
        self.highest(&paths)
    }

    /// All events of a moment that meet the step's condition.
    fn take_step(
        &self,
        step: usize,
        moment: &[Event],
        paths: &mut impl Paths,
    ) -> ControlFlow<usize> {
        for (n, _) in moment
            .iter()
            .enumerate()
            .filter(|(_, event)| event.meets(step))
        {
            if step == 0 {
                paths.start();
            } else if self.modes.strict_deduplication && paths.has(step) {
                return Break(self.highest(paths));
            } else if !paths.has(step - 1) {
                if self.modes.strict_order && !self.modes.allow_reentry && paths.has(0) {
                    return Break(self.first_missing(paths));
                }
            } else if paths.extend(step, n) && step + 1 == self.n_steps {
                return Break(self.n_steps);
            }
        }
        Continue(())
    }

    fn highest(&self, paths: &impl Paths) -> usize {
        (0..self.n_steps)
            .rfind(|step| paths.has(*step))
            .map_or(0, |step| step + 1)
    }

    fn first_missing(&self, paths: &impl Paths) -> usize {
        (0..self.n_steps)
            .find(|step| !paths.has(*step))
            .unwrap_or(self.n_steps)
    }

    fn is_open(&self, start: i64, time: i64) -> bool {
        time <= start.saturating_add_unsigned(self.window)
    }
}

/// Of the events that meet a step, as many as can matter: one for each step and one more. A step with so many to choose from
/// finds one that no other step has; and two are a repetition.
fn without_crowds(moment: &[Event], most: usize) -> Cow<'_, [Event]> {
    if moment.len() <= most {
        return Cow::Borrowed(moment);
    }
    let mut kept = [0; MOST_CONDITIONS as usize];
    let mut some = vec![];
    for event in moment {
        let mut matters = false;
        for (step, kept) in kept.iter_mut().enumerate() {
            if event.meets(step) {
                matters |= *kept < most;
                *kept += 1;
            }
        }
        if matters {
            some.push(*event);
        }
    }
    Cow::Owned(some)
}

/// What is remembered of the ways to each step.
trait Paths {
    fn begin(&mut self, moment: &[Event]);
    fn end(&mut self);
    fn has(&self, step: usize) -> bool;
    /// A first step, at this moment.
    fn start(&mut self);
    /// Whether event `n` of the moment takes a path to `step`, whose predecessor has been reached.
    fn extend(&mut self, step: usize, n: usize) -> bool;
}

/// Of the latest path to each step: when it started and when it got there.
struct LatestPath {
    funnel: Funnel,
    now: i64,
    steps: Vec<Option<(i64, i64)>>,
}

impl LatestPath {
    fn new(funnel: Funnel) -> Self {
        Self {
            funnel,
            now: 0,
            steps: vec![None; funnel.n_steps],
        }
    }
}

impl Paths for LatestPath {
    fn begin(&mut self, moment: &[Event]) {
        self.now = moment[0].time;
    }

    fn end(&mut self) {}

    fn has(&self, step: usize) -> bool {
        self.steps[step].is_some()
    }

    fn start(&mut self) {
        self.steps[0] = Some((self.now, self.now));
    }

    fn extend(&mut self, step: usize, _: usize) -> bool {
        let Some((start, last)) = self.steps[step - 1] else {
            return false;
        };
        let is_later = !self.funnel.modes.strict_increase || last < self.now;
        let extends = is_later && self.funnel.is_open(start, self.now);
        if extends {
            self.steps[step] = Some((start, self.now));
        }
        extends
    }
}

/// Of all paths to each step: the latest start. Only within a moment can one event be on a path twice, so only there are
/// the events themselves looked at.
struct AllPaths {
    funnel: Funnel,
    now: i64,
    /// Conditions of the moment's events.
    moment: Vec<u32>,
    /// Of paths that got there before this moment, and at it.
    before: Vec<Option<i64>>,
    at: Vec<Option<i64>>,
}

impl AllPaths {
    fn new(funnel: Funnel) -> Self {
        Self {
            funnel,
            now: 0,
            moment: vec![],
            before: vec![None; funnel.n_steps],
            at: vec![None; funnel.n_steps],
        }
    }

    /// The latest start of a path that takes the steps from `from` to before `step` at this moment.
    fn start_of(&self, from: usize, step: usize, n: usize) -> Option<i64> {
        let start = match from {
            0 => Some(self.now),
            _ => self.before[from - 1],
        };
        start
            .filter(|start| self.funnel.is_open(*start, self.now))
            .filter(|_| can_share(&self.moment, from..step, n))
    }
}

impl Paths for AllPaths {
    fn begin(&mut self, moment: &[Event]) {
        self.now = moment[0].time;
        self.moment = moment.iter().map(|event| event.conditions).collect();
    }

    fn end(&mut self) {
        for (before, at) in self.before.iter_mut().zip(&mut self.at) {
            *before = (*before).max(at.take());
        }
    }

    fn has(&self, step: usize) -> bool {
        self.before[step].is_some() || self.at[step].is_some()
    }

    fn start(&mut self) {
        self.at[0] = Some(self.now);
    }

    fn extend(&mut self, step: usize, n: usize) -> bool {
        let first = match self.funnel.modes.strict_increase {
            true => step,
            false => 0,
        };
        let start = (first..=step)
            .filter_map(|from| self.start_of(from, step, n))
            .max();
        self.at[step] = self.at[step].max(start);
        start.is_some()
    }
}

/// Whether each of the steps can have an event of the moment for itself, without event `n`.
fn can_share(moment: &[u32], steps: std::ops::Range<usize>, n: usize) -> bool {
    let mut taken: Vec<Option<usize>> = vec![None; moment.len()];
    steps.into_iter().all(|step| {
        let mut is_tried = vec![false; moment.len()];
        is_tried[n] = true;
        find_event(moment, step, &mut taken, &mut is_tried)
    })
}

/// An event for the step: a free one, or one whose step finds another (Kuhn's augmenting path).
fn find_event(
    moment: &[u32],
    step: usize,
    taken: &mut [Option<usize>],
    is_tried: &mut [bool],
) -> bool {
    for n in 0..moment.len() {
        if moment[n] >> step & 1 == 0 || std::mem::replace(&mut is_tried[n], true) {
            continue;
        }
        let is_free = match taken[n] {
            None => true,
            Some(other) => find_event(moment, other, taken, is_tried),
        };
        if is_free {
            taken[n] = Some(step);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    fn funnel(window: u64, n_steps: u32, modes: &[&str]) -> Funnel {
        let modes = Modes::named(modes.iter().copied()).expect("known");
        Funnel::new(window, n_steps, modes).expect("possible")
    }

    /// Events as letters, one a unit of time: condition 1 is `a`, 2 is `b`, …; other letters meet none.
    fn of(letters: &str, n_steps: u32) -> Vec<Event> {
        let event = |(time, letter): (i64, u8)| Event {
            time,
            conditions: match u32::from(letter - b'a') {
                n if n < n_steps => 1 << n,
                _ => 0,
            },
        };
        (1..).zip(letters.bytes()).map(event).collect()
    }

    fn check(letters: &str, modes: &[&str], expected: u32) {
        let got = funnel(86_400, 3, modes).level(&of(letters, 3));
        assert_eq!(got, expected, "{letters} {modes:?}");
    }

    /// ClickHouse's own test: six users, in the modes' order default, strict order, strict order and deduplication.
    #[test]
    fn users_of_clickhouse_s_own_test() {
        let users = ["abc", "adbc", "aabbcc", "aaaabbcc", "aabbdcc", "ccbbaa"];
        for (user, expected) in users.into_iter().zip([3, 3, 3, 3, 3, 1]) {
            check(user, &[], expected);
        }
        for (user, expected) in users.into_iter().zip([3, 1, 3, 3, 2, 1]) {
            check(user, &["strict_order"], expected);
        }
        for (user, expected) in users.into_iter().zip([3, 1, 2, 2, 2, 1]) {
            check(user, &["strict_deduplication", "strict_order"], expected);
        }
    }

    #[test]
    fn a_step_too_early_ends_strict_order_unless_re_entry_is_allowed() {
        check("acb", &["strict_order"], 1);
        check("acb", &["strict_order", "allow_reentry"], 2);
        check("acbc", &["strict_order", "allow_reentry"], 3);
    }

    #[test]
    fn the_window_opens_with_the_first_step() {
        let events = of("abcde", 5);
        for (window, expected) in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (u64::MAX, 5)] {
            assert_eq!(funnel(window, 5, &[]).level(&events), expected);
        }
    }

    #[test]
    fn later_first_steps_open_later_windows() {
        assert_eq!(funnel(2, 3, &[]).level(&of("axxabc", 3)), 3);
    }

    fn at(events: &[(i64, u32)]) -> Vec<Event> {
        let event = |(time, conditions): &(i64, u32)| Event {
            time: *time,
            conditions: *conditions,
        };
        events.iter().map(event).collect()
    }

    #[test]
    fn strict_increase_wants_later_steps() {
        let events = at(&[(0, 1), (1, 2), (1, 4), (1, 8), (2, 16)]);
        assert_eq!(funnel(10_000, 5, &[]).level(&events), 5);
        assert_eq!(funnel(10_000, 5, &["strict_increase"]).level(&events), 2);
    }

    #[test]
    fn strict_once_takes_an_event_for_one_step() {
        let once = funnel(10_000, 3, &["strict_once"]);
        let events = at(&[(2, 7)]);
        assert_eq!(funnel(10_000, 3, &[]).level(&events), 3);
        assert_eq!(once.level(&events), 1);
        // Failure, failure, success, of ClickHouse's own test: users 123, 234 and 345.
        let once = funnel(200, 3, &["strict_once"]);
        assert_eq!(once.level(&at(&[(180, 3), (220, 3), (250, 4)])), 3);
        assert_eq!(once.level(&at(&[(100, 3), (250, 3)])), 2);
        assert_eq!(once.level(&at(&[(200, 4), (210, 3), (230, 4)])), 1);
    }

    #[test]
    fn strict_once_finds_who_goes_where_within_a_moment() {
        // Step 1 has to take the first event so that step 3 can take the last.
        let once = funnel(10, 3, &["strict_once"]);
        assert_eq!(once.level(&at(&[(1, 0b001), (1, 0b011), (1, 0b110)])), 3);
        assert_eq!(once.level(&at(&[(1, 0b011), (1, 0b110)])), 2);
    }

    #[test]
    fn events_of_no_condition_are_needed_in_strict_order_only() {
        let other = of("x", 3)[0];
        assert!(!funnel(1, 3, &[]).needs(other));
        assert!(funnel(1, 3, &["strict_order"]).needs(other));
        assert!(funnel(1, 3, &[]).needs(of("a", 3)[0]));
    }

    #[test]
    fn no_events_are_level_0() {
        for modes in [&[][..], &["strict_order"], &["strict_once"]] {
            assert_eq!(funnel(10, 3, modes).level(&[]), 0);
            assert_eq!(funnel(10, 3, modes).level(&of("xyz", 3)), 0);
        }
    }

    #[test]
    fn merged_states_out_of_order_are_one_state() {
        let events = of("abaxcbabcc", 3);
        let (mut odd, mut even) = (Events::default(), Events::default());
        for (n, event) in events.iter().enumerate().rev() {
            let half = if n % 2 == 0 { &mut even } else { &mut odd };
            half.add(*event).expect("few");
        }
        even.merge(&odd).expect("few");
        for modes in [
            &[][..],
            &["strict_order"],
            &["strict_once"],
            &["strict_deduplication"],
        ] {
            let funnel = funnel(4, 3, modes);
            assert_eq!(funnel.level(even.sorted()), funnel.level(&events));
        }
    }

    #[test]
    fn a_customer_with_100_000_events() {
        let spread: Vec<Event> = (0..100_000)
            .map(|n| Event {
                time: n,
                conditions: 1 << (n * n % 31),
            })
            .collect();
        let at_once = at(&vec![(1, 0b0111_1111); 100_000]);
        for modes in [
            &[][..],
            &["strict_once"],
            &["strict_once", "strict_deduplication"],
        ] {
            assert!(funnel(1_000, 32, modes).level(&spread) >= 1);
            assert_eq!(
                funnel(1_000, 8, &modes[..modes.len().min(1)]).level(&at_once),
                7
            );
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Modes::named(["strict"]).is_err());
        let reentry = Modes::named(["allow_reentry"]).expect("known");
        assert!(Funnel::new(1, 3, reentry).is_err());
        assert!(Funnel::new(1, 0, Modes::default()).is_err());
        assert!(Funnel::new(1, 33, Modes::default()).is_err());
    }
}
