//! A guard against learning from the future: what a model is to foretell must lie after all that it may look at.
//!
//! A training row is a customer, what was known of them in a *feature window*, and whether something happened in a *label
//! window*. If the two overlap, a model that looks splendid in training foretells nothing.

use crate::{Error, Result};

/// From `start` to just before `end`, in any one unit, such as microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: i64,
    end: i64,
}

impl Window {
    pub fn new(start: i64, end: i64) -> Result<Self> {
        if start < end {
            return Ok(Self { start, end });
        }
        Err(Error::TooLittle("a window must end after it starts"))
    }

    pub fn contains(&self, time: i64) -> bool {
        (self.start..self.end).contains(&time)
    }
}

/// Windows of features and of labels of which it is sure that the second begins when the first has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    features: Window,
    labels: Window,
}

impl Windows {
    /// At least `gap` lies between the two: the time it takes until features are known and can be acted on.
    pub fn new(features: Window, labels: Window, gap: u64) -> Result<Self> {
        let earliest = features.end.checked_add_unsigned(gap);
        if earliest.is_some_and(|earliest| earliest <= labels.start) {
            return Ok(Self { features, labels });
        }
        Err(Error::Leakage {
            features_end: features.end,
            labels_start: labels.start,
        })
    }

    pub fn is_feature(&self, time: i64) -> bool {
        self.features.contains(time)
    }

    pub fn is_label(&self, time: i64) -> bool {
        self.labels.contains(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> Window {
        Window::new(start, end).expect("a window")
    }

    #[test]
    fn c7_labels_within_the_features_are_refused() {
        let leak = Windows::new(window(0, 100), window(99, 200), 0);
        let expected = Error::Leakage {
            features_end: 100,
            labels_start: 99,
        };
        assert_eq!(leak, Err(expected));
        assert!(Windows::new(window(0, 100), window(-50, -10), 0).is_err());
        assert!(Windows::new(window(0, 100), window(0, 100), 0).is_err());
    }

    #[test]
    fn c7_no_time_is_both_feature_and_label() {
        let windows = Windows::new(window(0, 100), window(100, 200), 0).expect("no leak");
        for time in -1..=201 {
            assert!(!(windows.is_feature(time) && windows.is_label(time)));
        }
        assert!(windows.is_feature(99) && windows.is_label(100) && !windows.is_label(200));
    }

    #[test]
    fn c7_a_gap_is_kept() {
        assert!(Windows::new(window(0, 100), window(106, 200), 7).is_err());
        assert!(Windows::new(window(0, 100), window(107, 200), 7).is_ok());
        assert!(Windows::new(window(0, i64::MAX), window(5, 9), u64::MAX).is_err());
    }

    #[test]
    fn a_window_without_time_is_refused() {
        assert!(Window::new(5, 5).is_err());
        assert!(Window::new(6, 5).is_err());
    }
}
