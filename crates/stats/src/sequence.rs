//! Whether, and how often, a customer's events follow a pattern: ClickHouse's `sequenceMatch` and `sequenceCount`.
//!
//! A pattern is a row of
//!
//! - `(?N)`: an event that meets condition N, counted from 1;
//! - `.`: any event that meets one of the conditions;
//! - `.*`: any number of those, none included;
//! - `(?t<=x)`, `(?t<x)`, `(?t>=x)`, `(?t>x)`, `(?t==x)`: the time between the events on both sides.
//!
//! Events that meet no condition are not there at all: `(?1)(?2)` matches across them. A match may begin anywhere; matches
//! that are counted do not overlap.
//!
//! Patterns without times are matched by following all readings at once, in a time that is the product of the two lengths.
//! Those with times, and all that are counted, are searched by trying readings one after the other, as ClickHouse does, the
//! shortest first, but none twice; a search of more than a million steps is given up, as there. Three things surprise: the time after a
//! `.*` is counted from the event at which the `.*` is left, a lower bound on the time passes over events until it holds,
//! and an upper one, once it has failed, goes back to the last choice.
//!
//! Source: the ClickHouse manual, "sequenceMatch", and the behaviour of ClickHouse 26.9, compared case by case.

use crate::events::{Event, MOST_CONDITIONS};
use crate::{Error, Result};

const MOST_STEPS: usize = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Condition(usize),
    Any,
    Gap,
    Time(Comparison, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
}

impl Item {
    /// Whether nothing is needed for it at the end of the events.
    fn may_be_nothing(self) -> bool {
        use Comparison::{AtLeast, AtMost, Below};
        match self {
            Item::Gap | Item::Time(AtMost | Below, _) | Item::Time(AtLeast, 0) => true,
            Item::Condition(_) | Item::Any | Item::Time(..) => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
    /// Bit n is set if condition n + 1 is asked for.
    conditions: u32,
    has_times: bool,
}

impl Pattern {
    /// Refuses what it cannot read, and conditions other than 1 to `n_conditions`.
    pub fn new(text: &str, n_conditions: u32) -> Result<Self> {
        if !(1..=MOST_CONDITIONS).contains(&n_conditions) {
            return Err(Error::Range {
                name: "number of conditions",
                range: "1 to 32",
                value: f64::from(n_conditions),
            });
        }
        let mut reader = Reader { text, rest: text };
        let mut pattern = Self {
            items: vec![Item::Gap],
            conditions: 0,
            has_times: false,
        };
        while !reader.rest.is_empty() {
            let item = reader.item(n_conditions)?;
            match item {
                Item::Condition(n) => pattern.conditions |= 1 << n,
                Item::Time(..) if matches!(pattern.items.last(), Some(Item::Time(..))) => {
                    return Err(reader.problem("a time needs an event before it"));
                }
                Item::Time(..) => pattern.has_times = true,
                Item::Any | Item::Gap => {}
            }
            pattern.items.push(item);
        }
        Ok(pattern)
    }

    /// The same with each time so many times as long: a pattern written in seconds, of events timed in microseconds, say.
    pub fn in_units(mut self, of_one: u64) -> Self {
        for item in &mut self.items {
            if let Item::Time(_, time) = item {
                *time = time.saturating_mul(of_one);
            }
        }
        self
    }

    /// Whether the events, in their order, follow the pattern somewhere.
    pub fn matches(&self, sorted: &[Event]) -> Result<bool> {
        let events = meeting_some(sorted);
        if !self.can_match(&events) {
            return Ok(false);
        }
        match self.has_times {
            true => Ok(self.search(&events, 0, &mut Tried::default())?.is_match),
            false => Ok(self.follow(&events)),
        }
    }

    /// How many matches there are one after the other.
    pub fn count(&self, sorted: &[Event]) -> Result<u64> {
        let events = meeting_some(sorted);
        if !self.can_match(&events) {
            return Ok(0);
        }
        let (mut count, mut at) = (0, 0);
        let mut tried = Tried::default();
        while at < events.len() {
            let search = self.search(&events, at, &mut tried)?;
            if !search.is_match {
                break;
            }
            count += 1;
            at = search.event;
        }
        Ok(count)
    }

    /// Not if a condition is asked for that no event meets.
    fn can_match(&self, events: &[Event]) -> bool {
        let met = events.iter().fold(0, |met, event| met | event.conditions);
        self.conditions & !met == 0
    }

    /// All readings at once, without times: which places of the pattern could be next.
    fn follow(&self, events: &[Event]) -> bool {
        let places: Vec<Item> = self
            .items
            .iter()
            .copied()
            .filter(|item| *item != Item::Gap)
            .collect();
        let can_wait = self.gaps();
        let mut is_next = vec![false; places.len() + 1];
        is_next[0] = true;
        for event in events {
            if is_next[places.len()] {
                break;
            }
            // From the end on, so that nobody takes two places by one event.
            for n in (0..places.len()).rev() {
                is_next[n + 1] &= can_wait[n + 1];
                is_next[n + 1] |= is_next[n] && fits(places[n], event);
            }
            is_next[0] &= can_wait[0];
        }
        is_next[places.len()]
    }

    /// Before which of the events of the pattern there is a gap.
    fn gaps(&self) -> Vec<bool> {
        let mut gaps = vec![false];
        for item in &self.items {
            match (item, gaps.last_mut()) {
                (Item::Gap, Some(last)) => *last = true,
                _ => gaps.push(false),
            }
        }
        gaps
    }

    fn search(&self, events: &[Event], from: usize, tried: &mut Tried) -> Result<Search<'_>> {
        let mut search = Search {
            items: &self.items,
            item: 0,
            event: from,
            base: from,
            choices: vec![],
            is_match: false,
        };
        tried.begin(self.items.len() * events.len());
        let mut steps = 0;
        while search.item < self.items.len()
            && search.event < events.len()
            && search.step(events, tried)
        {
            steps += 1;
            if steps > MOST_STEPS {
                return Err(Error::TooHard { most: MOST_STEPS });
            }
        }
        let rest = &self.items[search.item..];
        search.is_match = rest.iter().all(|item| item.may_be_nothing());
        // Something is consumed even by nothing, so that counting goes on.
        search.event = search.event.max(from + 1);
        Ok(search)
    }
}

fn meeting_some(events: &[Event]) -> Vec<Event> {
    let some = |event: &&Event| event.conditions != 0;
    events.iter().filter(some).copied().collect()
}

fn fits(item: Item, event: &Event) -> bool {
    match item {
        Item::Condition(n) => event.meets(n),
        Item::Any => true,
        Item::Gap | Item::Time(..) => false,
    }
}

/// One reading after the other: where it is in the pattern and in the events, and the choices it can go back to.
struct Search<'a> {
    items: &'a [Item],
    item: usize,
    event: usize,
    /// The event from which a time is counted.
    base: usize,
    choices: Vec<(usize, usize, usize)>,
    is_match: bool,
}

impl Search<'_> {
    /// False if nothing is left to try.
    fn step(&mut self, events: &[Event], tried: &mut Tried) -> bool {
        let event = &events[self.event];
        let is_time = matches!(self.items[self.item], Item::Time(..));
        if !is_time && !tried.is_new(self.item * events.len() + self.event) {
            return self.go_back(events.len());
        }
        match self.items[self.item] {
            Item::Gap => self.choose(),
            Item::Time(comparison, time) if self.holds(comparison, time, events) => self.choose(),
            Item::Time(Comparison::AtMost | Comparison::Below, _) => self.go_back(events.len()),
            Item::Time(..) => {
                self.event += 1;
                self.event < events.len() || self.go_back(events.len())
            }
            item if fits(item, event) => {
                self.base = self.event;
                self.item += 1;
                self.event += 1;
                true
            }
            Item::Condition(_) | Item::Any => self.go_back(events.len()),
        }
    }

    fn holds(&self, comparison: Comparison, time: u64, events: &[Event]) -> bool {
        let passed = events[self.event].time.abs_diff(events[self.base].time);
        match comparison {
            Comparison::AtMost => passed <= time,
            Comparison::Below => passed < time,
            Comparison::AtLeast => passed >= time,
            Comparison::Above => passed > time,
            Comparison::Equal => passed == time,
        }
    }

    /// On with the next item, here; it may be taken back and tried an event later.
    fn choose(&mut self) -> bool {
        self.choices.push((self.item, self.event, self.base));
        self.base = self.event;
        self.item += 1;
        true
    }

    fn go_back(&mut self, n_events: usize) -> bool {
        while let Some((item, event, base)) = self.choices.pop() {
            (self.item, self.event, self.base) = (item, event + 1, base);
            if self.event < n_events {
                return true;
            }
        }
        false
    }
}

/// Where in the pattern and the events a search has been before, in vain. (A place in which a time is looked at depends on
/// the base too, and is not remembered.)
#[derive(Default)]
struct Tried {
    rounds: Vec<u32>,
    round: u32,
}

impl Tried {
    fn begin(&mut self, n_places: usize) {
        self.rounds.resize(n_places, 0);
        self.round += 1;
    }

    fn is_new(&mut self, place: usize) -> bool {
        std::mem::replace(&mut self.rounds[place], self.round) != self.round
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn item(&mut self, n_conditions: u32) -> Result<Item> {
        if self.takes(".*") {
            return Ok(Item::Gap);
        }
        if self.takes(".") {
            return Ok(Item::Any);
        }
        if !self.takes("(?") {
            return Err(self.problem("neither (?N), (?t…), . nor .*"));
        }
        let item = match self.takes("t") {
            true => Item::Time(self.comparison()?, self.number()?),
            false => match self.number()? {
                n if (1..=u64::from(n_conditions)).contains(&n) => Item::Condition(n as usize - 1),
                _ => return Err(self.problem("there is no condition of this number")),
            },
        };
        match self.takes(")") {
            true => Ok(item),
            false => Err(self.problem("a closing parenthesis is missing")),
        }
    }

    fn comparison(&mut self) -> Result<Comparison> {
        let known = [
            ("<=", Comparison::AtMost),
            ("<", Comparison::Below),
            (">=", Comparison::AtLeast),
            (">", Comparison::Above),
            ("==", Comparison::Equal),
        ];
        known
            .into_iter()
            .find(|(sign, _)| self.takes(sign))
            .map(|(_, comparison)| comparison)
            .ok_or_else(|| self.problem("a time is compared by <=, <, >=, > or =="))
    }

    fn number(&mut self) -> Result<u64> {
        self.takes("+");
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &self.rest[..self.rest.len() - rest.len()];
        let number = digits.parse();
        let number = number.map_err(|_| self.problem("a whole number is missing or too large"))?;
        self.rest = rest;
        Ok(number)
    }

    fn takes(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn problem(&self, problem: &'static str) -> Error {
        Error::Pattern {
            position: self.text.len() - self.rest.len(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    fn of(events: &[(i64, u32)]) -> Vec<Event> {
        let event = |(time, conditions): &(i64, u32)| Event {
            time: *time,
            conditions: *conditions,
        };
        events.iter().map(event).collect()
    }

    /// The events of ClickHouse's own test: at each time, condition `data` + 1.
    fn own() -> Vec<Event> {
        let data = [0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 1];
        let events: Vec<(i64, u32)> = (0..).zip(data.map(|data| 1 << data)).collect();
        of(&events)
    }

    /// Whether it matches and how often, in ClickHouse's own test.
    const OWN: [(&str, u64); 21] = [
        ("", 12),
        (".", 12),
        (".*", 12),
        ("(?1)", 8),
        ("(?2)", 3),
        ("(?3)", 1),
        ("(?4)", 0),
        ("(?1)(?1)", 4),
        ("(?1)(?1)(?1)", 2),
        ("(?1)(?1)(?1)(?1)", 2),
        ("(?1)(?1)(?1)(?1)(?1)", 0),
        ("(?1)(?1)(?1)(?1)(?2)", 2),
        ("(?1)(?t>10)(?2)", 1),
        ("(?1)(?t>11)(?2)", 0),
        ("(?1)(?t<11)(?2)", 2),
        ("(?1)(?t<3)(?3)", 1),
        ("(?1)(?t<=2)(?3)", 1),
        ("(?1)(?t<2)(?3)", 0),
        ("(?2)(?t>=7)(?2)", 1),
        ("(?2)(?t>7)(?2)", 0),
        ("(?2)(?3)(?1)", 1),
    ];

    #[test]
    fn patterns_of_clickhouse_s_own_test() {
        for (text, count) in OWN {
            let pattern = Pattern::new(text, 4).expect("readable");
            assert_eq!(pattern.matches(&own()), Ok(count > 0), "{text}");
            assert_eq!(pattern.count(&own()), Ok(count), "{text}");
        }
    }

    #[test]
    fn events_of_no_condition_are_not_there() {
        let events = of(&[(1, 1), (2, 0), (3, 2)]);
        assert_eq!(check("(?1)(?2)", &events), (true, 1));
        assert_eq!(check("(?1).(?2)", &events), (false, 0));
    }

    fn check(text: &str, events: &[Event]) -> (bool, u64) {
        let pattern = Pattern::new(text, 3).expect("readable");
        let got = (pattern.matches(events), pattern.count(events));
        (got.0.expect("easy"), got.1.expect("easy"))
    }

    #[test]
    fn times_are_between_the_events_on_both_sides() {
        let events = of(&[(0, 1), (5, 2), (100, 2), (101, 4)]);
        assert_eq!(check("(?1)(?t<=10)(?2)", &events), (true, 1));
        assert_eq!(check("(?1)(?t<=10)(?2)(?3)", &events), (false, 0));
        assert_eq!(check("(?1)(?t==5)(?2).*(?3)", &events), (true, 1));
        assert_eq!(check("(?1)(?t>5)(?2)(?3)", &events), (true, 1));
    }

    #[test]
    fn times_may_be_written_in_another_unit() {
        let events = of(&[(0, 1), (5_000, 2), (7_000, 4)]);
        let pattern = Pattern::new("(?1)(?t<=5)(?2)(?t>=2)(?3)", 3).expect("readable");
        assert_eq!(pattern.matches(&events), Ok(false));
        assert_eq!(pattern.in_units(1_000).matches(&events), Ok(true));
    }

    #[test]
    fn no_events_match_what_needs_none() {
        assert_eq!(check("", &[]), (true, 0));
        assert_eq!(check(".*", &[]), (true, 0));
        assert_eq!(check("(?t<=5)", &[]), (true, 0));
        assert_eq!(check(".", &[]), (false, 0));
    }

    #[test]
    fn merged_states_out_of_order_are_one_state() {
        let (mut odd, mut even) = (Events::default(), Events::default());
        for (n, event) in own().iter().enumerate().rev() {
            let half = if n % 2 == 0 { &mut even } else { &mut odd };
            half.add(*event).expect("few");
        }
        odd.merge(&even).expect("few");
        for (text, count) in OWN {
            let pattern = Pattern::new(text, 4).expect("readable");
            assert_eq!(pattern.count(odd.sorted()), Ok(count), "{text}");
        }
    }

    #[test]
    fn a_customer_with_100_000_events() {
        let events: Vec<Event> = (0..100_000)
            .map(|n| Event {
                time: n,
                conditions: 1 << (n % 3),
            })
            .collect();
        assert_eq!(check("(?1)(?2)(?3)", &events), (true, 33_333));
        assert_eq!(check("(?1)(?t<=1)(?2)", &events), (true, 33_333));
        assert_eq!(check("(?3).*(?2)(?1)", &events), (false, 0));
    }

    #[test]
    fn a_search_without_end_is_given_up() {
        let events: Vec<(i64, u32)> = (0..3_000)
            .map(|n| (n, 1))
            .chain([(3_000, 2), (3_001, 1)])
            .collect();
        let pattern = Pattern::new("(?1)(?t>=0)(?1)(?t>=0)(?2)(?t<1)(?2)", 2).expect("readable");
        let got = pattern.matches(&of(&events));
        assert_eq!(got, Err(Error::TooHard { most: MOST_STEPS }));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "a",
            "(?0)",
            "(?4)",
            "(?1",
            "(?)",
            "(?-1)",
            "(?t5)",
            "(?1)(?t<)",
            "(?1)(?t<+)(?2)",
            "(?1)(?t=5)",
            "(?1)(?t<5)(?t>1)(?2)",
            "(?99999999999999999999)",
            "(?1) (?2)",
            "(?é)",
        ] {
            let got = Pattern::new(text, 3);
            assert!(matches!(got, Err(Error::Pattern { .. })), "{text}: {got:?}");
        }
        assert!(Pattern::new("(?1)(?t>+0)(?2)", 2).is_ok());
        assert!(Pattern::new("", 0).is_err() && Pattern::new("", 33).is_err());
    }
}
