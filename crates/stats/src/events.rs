//! What a customer did: when, and which of a funnel's or pattern's conditions each event meets.
//!
//! The state that the aggregates over journeys share. Rows come in any order and states are merged in any order with one
//! answer: events of one moment are taken in the order of their conditions. ClickHouse takes them as they were read, which
//! for the same table need not be the same twice; where the conditions of one moment do not matter, the answers are equal.

use crate::{Error, Result};

/// As many conditions as ClickHouse's windowFunnel and sequenceMatch take.
pub const MOST_CONDITIONS: u32 = 32;
/// As many events as ClickHouse reads into one state.
pub const MOST_EVENTS: usize = 100_000_000;

/// The order is by time, then by conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// In any unit: the one of the window.
    pub time: i64,
    /// Bit n is set if condition n + 1 holds.
    pub conditions: u32,
}

impl Event {
    pub fn meets(&self, condition: usize) -> bool {
        self.conditions >> condition & 1 == 1
    }
}

#[derive(Clone, Debug)]
pub struct Events {
    events: Vec<Event>,
    is_sorted: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            events: vec![],
            is_sorted: true,
        }
    }
}

impl Events {
    /// One that meets no condition matters to a funnel in strict order only, and may be left out otherwise.
    pub fn add(&mut self, event: Event) -> Result<()> {
        self.make_room(1)?;
        self.is_sorted &= self.events.last().is_none_or(|last| *last <= event);
        self.events.push(event);
        Ok(())
    }

    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.events.is_empty() {
            return Ok(());
        }
        self.make_room(other.events.len())?;
        let follows = self.events.last() <= other.events.first();
        self.is_sorted = self.is_sorted && other.is_sorted && follows;
        self.events.extend_from_slice(&other.events);
        Ok(())
    }

    /// In order, which sorts them if they are not.
    pub fn sorted(&mut self) -> &[Event] {
        if !self.is_sorted {
            self.events.sort_unstable();
            self.is_sorted = true;
        }
        &self.events
    }

    /// As they came: what a state is written down as.
    pub fn as_added(&self) -> &[Event] {
        &self.events
    }

    fn make_room(&self, more: usize) -> Result<()> {
        match self.events.len() + more > MOST_EVENTS {
            true => Err(Error::TooMany {
                what: "events of one customer",
                most: MOST_EVENTS,
            }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[(i64, u32)]) -> Events {
        let mut all = Events::default();
        for (time, conditions) in events {
            let event = Event {
                time: *time,
                conditions: *conditions,
            };
            all.add(event).expect("few");
        }
        all
    }

    #[test]
    fn any_order_of_adding_and_merging_is_one_order() {
        let expected = [(1, 1), (2, 1), (2, 2), (3, 4)];
        let mut whole = of(&expected);
        let mut parts = of(&[(3, 4), (2, 2)]);
        parts.merge(&of(&[(2, 1), (1, 1)])).expect("few");
        parts.merge(&Events::default()).expect("few");
        assert_eq!(whole.sorted(), parts.sorted());
    }

    #[test]
    fn states_that_follow_each_other_stay_sorted() {
        let mut all = Events::default();
        all.merge(&of(&[(1, 1), (2, 2)])).expect("few");
        all.merge(&of(&[(2, 3), (5, 1)])).expect("few");
        assert!(all.is_sorted);
        all.merge(&of(&[(4, 1)])).expect("few");
        assert!(!all.is_sorted);
        assert_eq!(all.sorted()[3].time, 4);
    }
}
