//! What can go wrong before a job runs. How a run ends is a [`Failure`](crate::Failure), and a line of its history.

/// The error of whoever a job asks.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{text:?} is no schedule: {what}; expected minute, hour, day, month and weekday, as in \"0 3 * * *\""
    )]
    BadSchedule { text: String, what: String },

    #[error("there is no time zone {0:?}; expected a name such as UTC or Europe/Warsaw")]
    BadTimeZone(String),

    #[error("the history of jobs could not be kept")]
    History(#[source] rapport_engine::Error),
}

impl From<rapport_lake::Error> for Error {
    fn from(error: rapport_lake::Error) -> Self {
        Self::History(error.into())
    }
}

impl From<rapport_engine::Error> for Error {
    fn from(error: rapport_engine::Error) -> Self {
        Self::History(error)
    }
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::History(error.into())
    }
}

/// The error with all that caused it, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}
