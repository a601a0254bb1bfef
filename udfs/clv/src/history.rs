//! The arguments that the models of repeat buying share.

use rapport_stats::Result;
use rapport_stats::history::{Customers, History};
use rapport_udf_face::{Argument, Rows};

pub(crate) const SECTION: &str = "Customer lifetime value";

pub(crate) const REPEATS: Argument = Argument::number(
    "repeats",
    "purchases after the first, those of one day counted once",
);
pub(crate) const RECENCY: Argument = Argument::number(
    "recency",
    "time from the first purchase to the last; 0 for one without repeats, and only then",
);
pub(crate) const AGE: Argument = Argument::number(
    "age",
    "time from the first purchase to the end of observation, in the unit of recency",
);
pub(crate) const HORIZON: Argument =
    Argument::number("horizon", "how far to look ahead, in the unit of age");
pub(crate) const WEIGHT: Argument = Argument::number(
    "weight",
    "how many customers the row stands for; 1 if left out",
)
.optional();

/// What every scalar over a history says of NULL and of what it refuses.
macro_rules! says {
    ($text:literal) => {
        concat!(
            $text,
            " NULL if an argument is NULL. Refused (22023) are parameters that are not above 0, and histories without",
            " 0 <= recency <= age or in which only one of repeats and recency is 0; (22003) what double precision cannot hold."
        )
    };
}
pub(crate) use says;

/// What every fit says of its answer.
macro_rules! fit_says {
    ($text:literal) => {
        concat!(
            $text,
            " By maximum likelihood; the answer is a row: the parameters, log_likelihood, the standard error of each",
            " parameter (NULL where the likelihood is flat), customers (the sum of the weights), converged (the slope is 0, and all is finite), and boundary:",
            " true where the data do not tell the parameters apart, so that the likelihood is right but no parameter is to",
            " be read by itself. Rows with a NULL are left out; NULL without any row. Refused (22023) are impossible",
            " histories and negative weights."
        )
    };
}
pub(crate) use fit_says;

/// Of an aggregate whose arguments are repeats, recency, age and perhaps a weight.
pub(crate) fn customers(rows: &Rows) -> Result<Customers> {
    let (repeats, recency, age) = (rows.numbers(0), rows.numbers(1), rows.numbers(2));
    let mut histories = Vec::with_capacity(rows.len());
    for (index, weight) in rows.weights(3).into_iter().enumerate() {
        let history = History::new(repeats[index], recency[index], age[index])?;
        histories.push((history, weight));
    }
    Customers::new(histories)
}
