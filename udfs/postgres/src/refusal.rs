//! What a function refuses, with the SQLSTATE that PostgreSQL gives it.

use datafusion_common::DataFusionError;

/// Reaches the client as it is: code, message and hint. Messages are PostgreSQL's own wording where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Five characters, such as `22P02`.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Refusal {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// 0A000: PostgreSQL answers this, Rapport does not.
    pub fn not_supported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("0A000", message).with_hint(hint)
    }

    /// 22008
    pub fn timestamp_out_of_range() -> Self {
        Self::new("22008", "timestamp out of range")
    }

    /// 22008
    pub fn interval_out_of_range() -> Self {
        Self::new("22008", "interval out of range")
    }

    /// 22023
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("22023", message)
    }

    /// 22003
    pub fn out_of_range(message: impl Into<String>) -> Self {
        Self::new("22003", message)
    }

    /// 42883
    pub fn no_such_function(message: impl Into<String>) -> Self {
        Self::new("42883", message).with_hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        )
    }
}

impl From<Refusal> for DataFusionError {
    fn from(refusal: Refusal) -> Self {
        DataFusionError::External(Box::new(refusal))
    }
}

/// The error of a statement.
pub fn refuse(code: &'static str, message: impl Into<String>) -> DataFusionError {
    Refusal::new(code, message).into()
}

/// As [`refuse`], and what to do about it.
pub fn refuse_with_hint(
    code: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> DataFusionError {
    Refusal::new(code, message).with_hint(hint).into()
}

/// 0A000
pub(crate) fn not_supported(message: impl Into<String>, hint: &str) -> DataFusionError {
    Refusal::not_supported(message, hint).into()
}
