//! What the buy-till-you-die models know of a customer: how often, how lately, and for how long.
//!
//! *Repeats* are purchases after the first one, those of one day counted once. *Recency* is the time from the first to the
//! last purchase, *age* the time from the first purchase to the end of observation, both in any one unit, which is then
//! the unit of the fitted rates and of every horizon. Source: Fader, Hardie & Lee (2005), Marketing Science 24(2).

use crate::alike::{alike, few, key_of};
use crate::error::not_negative;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct History {
    pub repeats: f64,
    pub recency: f64,
    pub age: f64,
}

impl History {
    pub fn new(repeats: f64, recency: f64, age: f64) -> Result<Self> {
        not_negative("repeats", repeats)?;
        if !(recency >= 0.0 && recency <= age && age.is_finite()) {
            return Err(Error::Recency { recency, age });
        }
        if (repeats == 0.0) != (recency == 0.0) {
            return Err(Error::Repeats { repeats, recency });
        }
        Ok(Self {
            repeats,
            recency,
            age,
        })
    }
}

/// Customers to fit a model to: equal histories are one, with a weight.
#[derive(Clone, Debug)]
pub struct Customers {
    pub(crate) histories: Vec<(History, f64)>,
    /// Numbers of repeats, each with its weight.
    pub(crate) repeats: Vec<(f64, f64)>,
    pub(crate) weight: f64,
}

impl Customers {
    /// Each history with how many customers have it. A weight of 0 leaves it out.
    pub fn new(rows: impl IntoIterator<Item = (History, f64)>) -> Result<Self> {
        let mut histories: Vec<(History, f64)> = rows.into_iter().collect();
        for (_, weight) in &histories {
            not_negative("weight", *weight)?;
        }
        histories.retain(|(_, weight)| *weight > 0.0);
        let histories = alike(&histories, |history| {
            let History {
                repeats,
                recency,
                age,
            } = *history;
            [repeats, recency, age].map(key_of)
        });
        Ok(Self::sorted(histories))
    }

    fn sorted(histories: Vec<(History, f64)>) -> Self {
        let mut repeats: Vec<(f64, f64)> = vec![];
        for (history, weight) in &histories {
            match repeats.last_mut() {
                Some((x, total)) if *x == history.repeats => *total += weight,
                _ => repeats.push((history.repeats, *weight)),
            }
        }
        let weight = histories.iter().map(|(_, weight)| weight).sum();
        Self {
            histories,
            repeats,
            weight,
        }
    }

    /// How many customers the histories stand for.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// A few histories that stand for all; nothing where there are not many.
    pub(crate) fn few(&self) -> Option<Self> {
        few(&self.histories).map(Self::sorted)
    }

    /// A rate to begin the search with: purchases per unit of time.
    pub(crate) fn rate(&self) -> f64 {
        let mut bought = 0.0;
        let mut time = 0.0;
        for (history, weight) in &self.histories {
            bought += weight * history.repeats;
            time += weight * history.age;
        }
        match bought > 0.0 && time > 0.0 {
            true => bought / time,
            false => 1.0,
        }
    }
}

/// `time` / (`alpha` + `age`), also where the sum is too large for a number.
pub(crate) fn in_spans(time: f64, alpha: f64, age: f64) -> f64 {
    match (alpha + age).is_finite() {
        true => time / (alpha + age),
        false => 0.5 * time / (0.5 * alpha + 0.5 * age),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(matches!(
            History::new(1.0, 3.0, 2.0),
            Err(Error::Recency { .. })
        ));
        assert!(matches!(
            History::new(0.0, 1.0, 2.0),
            Err(Error::Repeats { .. })
        ));
        assert!(matches!(
            History::new(2.0, 0.0, 2.0),
            Err(Error::Repeats { .. })
        ));
        assert!(matches!(
            History::new(f64::NAN, 1.0, 2.0),
            Err(Error::Range { .. })
        ));
        assert!(matches!(
            History::new(1.0, 1.0, f64::INFINITY),
            Err(Error::Recency { .. })
        ));
        assert!(History::new(0.0, 0.0, 0.0).is_ok());
    }

    #[test]
    fn equal_histories_are_one_with_their_weights() {
        let one = History::new(1.0, 2.0, 3.0).expect("possible");
        let other = History::new(1.0, 2.0, 4.0).expect("possible");
        let customers =
            Customers::new([(one, 1.0), (other, 1.0), (one, 2.0), (other, 0.0)]).expect("weights");
        assert_eq!(customers.histories, [(one, 3.0), (other, 1.0)]);
        assert_eq!(customers.repeats, [(1.0, 4.0)]);
        assert_eq!(customers.weight(), 4.0);
    }
}
