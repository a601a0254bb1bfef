//! What a command says when it cannot go on: the cause, the remedy, the exit code.

use std::error::Error as StdError;

/// 0 is success; clap uses 2 for usage as well.
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const INTERRUPTED: u8 = 130;

pub type Result<T = ()> = std::result::Result<T, Failure>;

#[derive(Debug)]
pub struct Failure {
    pub cause: String,
    pub hint: Option<String>,
    pub code: u8,
}

impl Failure {
    pub fn new(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            hint: None,
            code: FAILED,
        }
    }

    pub fn usage(cause: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            ..Self::new(cause)
        }
    }

    pub fn interrupted() -> Self {
        Self {
            code: INTERRUPTED,
            ..Self::new("interrupted")
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What we were doing, and why it failed down to the first cause.
    pub fn doing(what: impl std::fmt::Display, error: &(dyn StdError + 'static)) -> Self {
        Self::new(format!("{what}: {}", chain(error)))
    }

    pub fn print(&self) {
        eprintln!("error: {}", self.cause);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }
}

/// An error and its causes on one line; a cause that its parent already told is left out.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        next = cause.source();
    }
    text
}
