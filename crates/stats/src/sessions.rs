//! Sessions: a customer's events, cut where nothing happened for longer than a gap.
//!
//! An event opens a session if it is the first, or comes more than `gap` after the one before it; it belongs to the session
//! opened last. Sessions are numbered from 1. Source: the usual rule of web analytics, there with a gap of 30 minutes.

/// Numbers events that come in their order, one at a time.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    gap: u64,
    last: Option<i64>,
    session: u64,
}

impl Sessions {
    /// The gap is in the unit of the times.
    pub fn new(gap: u64) -> Self {
        Self {
            gap,
            last: None,
            session: 0,
        }
    }

    /// The session of the next event. One that is earlier than the one before it belongs to the session of that.
    pub fn next(&mut self, time: i64) -> u64 {
        let is_new = self
            .last
            .is_none_or(|last| time > last.saturating_add_unsigned(self.gap));
        self.session += u64::from(is_new);
        self.last = self.last.max(Some(time));
        self.session
    }
}

/// The session of each event, whatever their order.
pub fn session_ids(times: &[i64], gap: u64) -> Vec<u64> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|n| times[*n]);
    let mut sessions = Sessions::new(gap);
    let mut ids = vec![0; times.len()];
    for n in order {
        ids[n] = sessions.next(times[n]);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_more_than_the_gap() {
        assert_eq!(session_ids(&[0, 30, 61, 61, 200], 30), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn the_order_of_the_events_does_not_matter() {
        assert_eq!(session_ids(&[200, 0, 61, 30], 30), [3, 1, 2, 1]);
    }

    #[test]
    fn no_events_have_no_sessions() {
        assert!(session_ids(&[], 30).is_empty());
    }

    #[test]
    fn far_times_do_not_overflow() {
        assert_eq!(session_ids(&[i64::MIN, i64::MAX], 1), [1, 2]);
        assert_eq!(session_ids(&[0, i64::MAX], u64::MAX), [1, 1]);
    }

    #[test]
    fn a_customer_with_100_000_events() {
        let times: Vec<i64> = (0..100_000).rev().collect();
        assert_eq!(session_ids(&times, 0)[0], 100_000);
    }
}
