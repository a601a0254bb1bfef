//! What time it is: fixed for a transaction and for a statement, so that a query sees one `now()`.

use std::any::Any;

use datafusion_common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion_common::{Result, exec_err};

/// Travels with the session's options to every function. Microseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the transaction began.
    pub transaction: i64,
    /// When the statement began.
    pub statement: i64,
    pub order: DateOrder,
}

/// What `01/02/03` is: the second half of DateStyle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

impl DateOrder {
    /// Of the setting as PostgreSQL shows it, such as `ISO, DMY`.
    pub fn of(date_style: &str) -> Self {
        match date_style.rsplit(", ").next() {
            Some("DMY") => Self::Dmy,
            Some("YMD") => Self::Ymd,
            _ => Self::Mdy,
        }
    }
}

impl Clock {
    /// Outside of a session there is only the moment itself.
    pub fn of(options: &ConfigOptions) -> Self {
        options
            .extensions
            .get::<Clock>()
            .copied()
            .unwrap_or_else(|| {
                let now = chrono::Utc::now().timestamp_micros();
                Self {
                    transaction: now,
                    statement: now,
                    order: DateOrder::default(),
                }
            })
    }
}

impl ConfigExtension for Clock {
    const PREFIX: &'static str = "clock";
}

impl ExtensionOptions for Clock {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(*self)
    }

    fn set(&mut self, _key: &str, _value: &str) -> Result<()> {
        exec_err!("nobody sets the clock")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![]
    }
}
