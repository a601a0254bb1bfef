//! What a running refresh says of itself.

use std::fmt;
use std::time::Duration;

use crate::refresh::PHASES;

#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub model: String,
    /// In words: "reading the history", "fitting", "judging", "scoring", "publishing".
    pub phase: &'static str,
    /// Phases that are over, of all.
    pub done: u32,
    pub total: u32,
    /// Rows that the phase has to do with, once they are known.
    pub rows: Option<u64>,
    /// As far as earlier runs, or the phases so far, tell.
    pub left: Option<Duration>,
}

impl Progress {
    /// Before anything is known.
    pub(crate) fn first(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            phase: PHASES[0],
            done: 0,
            total: PHASES.len() as u32 - 1,
            rows: None,
            left: None,
        }
    }

    /// As the lease of a running refresh tells it to other processes.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({
            "phase": self.phase,
            "done": self.done,
            "total": self.total,
            "rows": self.rows,
            "seconds_left": self.left.map(|left| left.as_secs()),
        })
        .to_string()
    }
}

/// `clv: fitting (phase 3 of 6, 98,304 rows, about 12 s left)`
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, phase, .. } = self;
        let mut facts = vec![];
        if self.done < self.total {
            facts.push(format!("phase {} of {}", self.done + 1, self.total));
        }
        if let Some(rows) = self.rows {
            facts.push(format!("{} rows", grouped(rows)));
        }
        if let Some(left) = self.left.filter(|left| !left.is_zero()) {
            facts.push(format!("about {} left", rounded(left)));
        }
        match facts.is_empty() {
            true => write!(f, "{model}: {phase}"),
            false => write!(f, "{model}: {phase} ({})", facts.join(", ")),
        }
    }
}

/// `98,304`
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// `12 s`, `4 min`
fn rounded(time: Duration) -> String {
    match time.as_secs_f64().ceil() as u64 {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(done: u32, rows: Option<u64>, seconds: Option<u64>, expected: &str) {
        let progress = Progress {
            model: "clv".to_owned(),
            phase: "fitting",
            done,
            total: 6,
            rows,
            left: seconds.map(Duration::from_secs),
        };
        assert_eq!(progress.to_string(), expected);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        check(2, None, None, "clv: fitting (phase 3 of 6)");
        check(2, None, Some(0), "clv: fitting (phase 3 of 6)");
        check(6, Some(7), None, "clv: fitting (7 rows)");
        check(6, None, None, "clv: fitting");
    }

    #[test]
    fn numbers_are_easy_to_read() {
        let said = "clv: fitting (phase 3 of 6, 98,304 rows, about 12 s left)";
        check(2, Some(98_304), Some(12), said);
        let said = "clv: fitting (phase 1 of 6, 1,000,000 rows, about 3 min left)";
        check(0, Some(1_000_000), Some(121), said);
    }
}
