//! What can go wrong with a model. The codes are given in `pgwire`, the exit codes in `cli`.

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 42601. `position` counts characters from 1.
    #[error("{message}")]
    Syntax {
        message: String,
        position: Option<usize>,
    },
    /// 42601
    #[error("option \"{0}\" is given twice")]
    OptionTwice(String),
    /// 08P01
    #[error("there is no value for parameter ${0}")]
    MissingParameter(usize),
    /// 22004
    #[error("{what} may not be NULL")]
    NoValue { what: &'static str },
    /// 22023
    #[error("\"{0}\" is no version: they are numbered from 1")]
    NoVersion(String),
    /// 42883
    #[error("{name} takes {least} to {most} arguments")]
    ArgumentCount {
        name: &'static str,
        least: usize,
        most: usize,
    },
    /// 0A000
    #[error("the arguments of {0} must be literals or parameters")]
    NotLiteral(&'static str),
    /// 0A000
    #[error("{0} stands alone: SELECT * FROM {0}(…), without WHERE, ORDER BY or LIMIT")]
    Alone(&'static str),
    /// 42704
    #[error("model \"{0}\" does not exist")]
    NoSuchModel(String),
    /// 42710
    #[error("model \"{0}\" already exists")]
    Exists(String),
    /// 42704
    #[error("model \"{model}\" has no version {version}")]
    NoSuchVersion { model: String, version: i64 },
    /// 22023
    #[error("{message}")]
    Invalid { message: String, hint: String },
    /// 42501
    #[error("must be owner of model {0}")]
    NotOwner(String),
    /// 42501
    #[error("permission denied to make models")]
    MayNotCreate,
    /// 55P03: somebody else refreshes the model now.
    #[error("model \"{model}\" is being refreshed by {holder}")]
    Busy { model: String, holder: String },
    /// 40001: somebody else took over while this refresh was held up.
    #[error("the refresh of model \"{model}\" was overtaken: nothing of it is published")]
    Overtaken { model: String },
    /// 22000: the data do not carry the model.
    #[error("{message}")]
    Unfit { message: String, hint: String },
    /// 53200
    #[error(
        "{n_customers} customers need about {needed_bytes} bytes, and the refresh may hold {limit_bytes}"
    )]
    TooBig {
        n_customers: u64,
        needed_bytes: u64,
        limit_bytes: u64,
    },
    /// As it was.
    #[error(transparent)]
    Engine(#[from] rapport_engine::Error),
    /// 58030
    #[error(transparent)]
    Lake(#[from] rapport_lake::Error),
    /// 22023
    #[error(transparent)]
    Stats(#[from] rapport_stats::Error),
}

impl Error {
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Invalid { hint, .. } | Error::Unfit { hint, .. } => Some(hint.clone()),
            Error::NoSuchModel(_) => Some("SHOW MODELS lists those that exist.".to_owned()),
            Error::NoSuchVersion { .. } => {
                Some("models.versions lists those that there are.".to_owned())
            }
            Error::Alone(_) => Some(
                "models.models, models.versions, models.metrics and models.runs are tables for any query.".to_owned(),
            ),
            Error::Exists(_) => Some(
                "REFRESH MODEL fits it anew; CREATE OR REPLACE MODEL gives it other options."
                    .to_owned(),
            ),
            Error::Busy { .. } => Some("system.jobs shows how far it is.".to_owned()),
            Error::Overtaken { .. } => Some("models.runs tells by whom.".to_owned()),
            Error::TooBig { .. } => {
                Some("Give jobs.memory more, or the model fewer customers by AS SELECT.".to_owned())
            }
            _ => None,
        }
    }
}
