//! Durations as arguments: how long, and whether the customer left then.

use rapport_stats::Result;
use rapport_stats::survival::Duration;
use rapport_udf_face::{Argument, Rows};

pub(crate) const SECTION: &str = "Churn over time";

pub(crate) const DURATION: Argument = Argument::number(
    "duration",
    "how long the customer was there or was seen, not below 0, in any unit",
);
pub(crate) const EVENT: Argument = Argument::flag(
    "event",
    "true if the customer left then, false if they were still there when last seen",
);
pub(crate) const WEIGHT: Argument = Argument::number(
    "weight",
    "how many customers the row stands for; 1 if left out",
)
.optional();

/// Of an aggregate whose first arguments are duration and event; `weight` is the number of the argument, if it has one.
pub(crate) fn durations(rows: &Rows, weight: Option<usize>) -> Result<Vec<Duration>> {
    let weights = match weight {
        Some(argument) => rows.weights(argument),
        None => vec![1.0; rows.len()],
    };
    let pairs = rows.numbers(0).iter().zip(rows.flags(1)).zip(weights);
    pairs
        .map(|((time, is_event), weight)| Duration::new(*time, is_event, weight))
        .collect()
}
