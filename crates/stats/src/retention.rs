//! Who came and came again: ClickHouse's `retention`.
//!
//! Of several conditions, the first says that somebody came. The answer for the first is whether any row meets it; for
//! each other condition, whether any row meets it and some row, not necessarily the same, meets the first. A row of which
//! any condition is unknown is left out by the caller.
//!
//! Source: the ClickHouse manual, "retention".

use crate::events::MOST_CONDITIONS;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    n_conditions: u32,
    met: u32,
}

impl Retention {
    pub fn new(n_conditions: u32) -> Result<Self> {
        if !(1..=MOST_CONDITIONS).contains(&n_conditions) {
            return Err(Error::Range {
                name: "number of conditions",
                range: "1 to 32",
                value: f64::from(n_conditions),
            });
        }
        Ok(Self {
            n_conditions,
            met: 0,
        })
    }

    /// Bit n is set if condition n + 1 holds.
    pub fn add(&mut self, conditions: u32) {
        self.met |= conditions;
    }

    pub fn merge(&mut self, other: Self) {
        self.met |= other.met;
    }

    /// All that has been met: what a state is written down as.
    pub fn met(&self) -> u32 {
        self.met
    }

    pub fn finish(&self) -> Vec<bool> {
        let came = self.met & 1 == 1;
        (0..self.n_conditions)
            .map(|n| came && self.met >> n & 1 == 1)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[u32]) -> Retention {
        let mut retention = Retention::new(3).expect("a number");
        rows.iter().for_each(|row| retention.add(*row));
        retention
    }

    #[test]
    fn one_who_did_not_come_first_has_not_come_again() {
        assert_eq!(of(&[0b110]).finish(), [false, false, false]);
        assert_eq!(of(&[]).finish(), [false, false, false]);
    }

    #[test]
    fn conditions_are_met_by_any_rows() {
        assert_eq!(of(&[0b100, 0b001]).finish(), [true, false, true]);
    }

    #[test]
    fn merging_states_is_one_state() {
        let mut one = of(&[0b001]);
        one.merge(of(&[0b010]));
        assert_eq!(one, of(&[0b010, 0b001]));
    }

    #[test]
    fn there_are_1_to_32_conditions() {
        assert!(Retention::new(0).is_err() && Retention::new(33).is_err());
        let mut all = Retention::new(32).expect("a number");
        all.add(u32::MAX);
        assert_eq!(all.finish(), [true; 32]);
    }
}
