pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model refuses its input. What is impossible is refused, never guessed at.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("need 0 <= recency <= age, got recency {recency}, age {age}")]
    Recency { recency: f64, age: f64 },

    #[error(
        "need recency 0 for a customer without repeats and above 0 for one with some, got {repeats} repeats, recency {recency}"
    )]
    Repeats { repeats: f64, recency: f64 },

    #[error("need repeats <= recency, got repeats {repeats}, recency {recency}")]
    MoreThanOccasions { repeats: u32, recency: u32 },

    #[error("{name} must be {range}, got {value}")]
    Range {
        name: &'static str,
        range: &'static str,
        value: f64,
    },

    #[error("score must be a whole number from {lowest} to {highest}, got {value}")]
    Score {
        lowest: i32,
        highest: i32,
        value: f64,
    },

    #[error(
        "labels are seen from {labels_start} on, before the features end at {features_end}: the model would learn from what \
         it is to foretell"
    )]
    Leakage {
        features_end: i64,
        labels_start: i64,
    },

    #[error("{0}")]
    TooLittle(&'static str),

    #[error("there is no {name}; there are {known}")]
    Name { name: String, known: &'static str },

    #[error("{0}")]
    Contradiction(&'static str),

    #[error("the pattern at position {position}: {problem}")]
    Pattern {
        position: usize,
        problem: &'static str,
    },

    #[error("the pattern takes more than {most} steps over one customer's events")]
    TooHard { most: usize },

    #[error("more than {most} {what}")]
    TooMany { what: &'static str, most: usize },

    #[error("the trees could not be grown: {0}")]
    Trees(String),

    #[error("a stored model could not be written or read: {0}")]
    Stored(String),

    #[error("value out of range: {function} cannot be computed of these arguments")]
    OutOfRange { function: &'static str },

    #[error("cancelled")]
    Cancelled,
}

/// `value`, if it is a finite number above 0.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(Error::Range {
        name,
        range: "a finite number above 0",
        value,
    })
}

/// `value`, if it is a finite number of at least 0.
pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(Error::Range {
        name,
        range: "a finite number of at least 0",
        value,
    })
}
