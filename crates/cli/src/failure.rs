//! What a command says when it cannot go on: the cause, the remedy, the exit code.

use std::error::Error as StdError;

/// 0 is success; clap uses 2 for usage as well.
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
/// A model was judged and not published.
pub const NOT_PUBLISHED: u8 = 3;
/// Somebody else does it now.
pub const BUSY: u8 = 4;
pub const INTERRUPTED: u8 = 130;

pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

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

    /// All has been said already.
    pub fn said(code: u8) -> Self {
        Self {
            code,
            ..Self::new("")
        }
    }

    /// Somebody asked a server to stop, and it did: nothing to complain about.
    pub fn stopped() -> Self {
        Self::said(INTERRUPTED)
    }

    pub fn print(&self) {
        self.print_after("error: ");
    }

    /// `prefix` says of what it is told.
    pub fn print_after(&self, prefix: &str) {
        if self.cause.is_empty() {
            return;
        }
        eprintln!("{prefix}{}", self.cause);
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

impl From<crate::settings::Error> for Failure {
    fn from(error: crate::settings::Error) -> Self {
        Self {
            code: USAGE,
            ..Self::new(chain(&error))
        }
        .hint("`rapport settings` lists every setting, its value, and where that comes from")
    }
}

impl From<rapport_models::Error> for Failure {
    fn from(error: rapport_models::Error) -> Self {
        use rapport_models::Error as E;
        let cause = chain(&error);
        let hint = match &error {
            E::NoSuchModel(_) => Some("`rapport model list` shows those that exist".to_owned()),
            E::NoSuchVersion { model, .. } => Some(format!(
                "`rapport model describe {model}` shows those that are kept"
            )),
            E::Exists(_) => Some("`--replace` makes it anew".to_owned()),
            _ => error.hint(),
        };
        let code = match error {
            E::Engine(error) => return error.into(),
            E::Lake(error) => return error.into(),
            E::Syntax { .. }
            | E::OptionTwice(_)
            | E::MissingParameter(_)
            | E::NoValue { .. }
            | E::NoVersion(_)
            | E::ArgumentCount { .. }
            | E::NotLiteral(_)
            | E::Alone(_)
            | E::NoSuchModel(_)
            | E::NoSuchVersion { .. }
            | E::Exists(_)
            | E::Invalid { .. } => USAGE,
            E::Busy { .. } | E::Overtaken { .. } => BUSY,
            E::NotOwner(_) | E::MayNotCreate | E::Unfit { .. } | E::TooBig { .. } | E::Stats(_) => {
                FAILED
            }
        };
        Self { cause, hint, code }
    }
}

impl From<rapport_lake::Error> for Failure {
    fn from(error: rapport_lake::Error) -> Self {
        use rapport_lake::Error as E;
        let failure = Self::new(chain(&error));
        match error {
            E::NotALake(_) => failure
                .hint("`rapport init` makes one; `--lake` or lake.url in rapport.toml names another place"),
            E::BadLocation { .. } => failure
                .hint("lake.url takes a folder, s3://bucket/path, az://container/path or gs://bucket/path"),
            E::NoSuchTable(_) => failure.hint("`rapport tables` lists those that exist"),
            E::StorageFull { .. } => failure.hint("make room on that disk or bucket, then run the same command again"),
            E::NoConditionalCreate { .. } => failure
                .hint("two writers would lose rows there; use Amazon S3, Azure, Google, MinIO or a local folder"),
            E::VacuumFloor { .. } => failure.hint("raise --keep-days (setting vacuum.keep_days)"),
            E::Storage { .. } if asked_the_machine_for_credentials(&failure.cause) => failure.hint(
                "no credentials are set, and the machine has none of its own: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                 AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or GOOGLE_SERVICE_ACCOUNT, or the same as lake.options.*",
            ),
            E::Storage { .. } => failure
                .hint("check lake.url, lake.options.* and the AWS_, AZURE_ or GOOGLE_ variables with `rapport settings`"),
            E::Conflict { .. } => failure.hint("run the same command again"),
            E::Fenced { .. } | E::LeaseLost { .. } => {
                failure.hint("another process does the same job now; leave it to that one")
            }
            _ => failure,
        }
    }
}

/// Without credentials a store asks the metadata service of the cloud's machine, whose address says nothing to a user.
fn asked_the_machine_for_credentials(cause: &str) -> bool {
    const QUESTIONS: [&str; 4] = [
        "/latest/api/token",
        "/latest/meta-data",
        "/metadata/identity",
        "computeMetadata",
    ];
    QUESTIONS.iter().any(|question| cause.contains(question))
}

impl From<rapport_catalog_postgres::Error> for Failure {
    fn from(error: rapport_catalog_postgres::Error) -> Self {
        use rapport_catalog_postgres::Error as E;
        let failure = Self::new(format!("the catalogue: {}", chain(&error)));
        match error {
            E::Postgres(fields) => match fields.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            },
            E::TimedOut => failure.hint("raise catalog.statement_timeout"),
            E::Lost(_) => failure.hint("run the same command again"),
            E::NotStarted { dir, .. } => failure.hint(format!(
                "{dir}/child.log may say more; another folder can be named with catalog.dir"
            )),
            E::BadServer { .. } => {
                failure.hint("check catalog.url (`rapport settings` says where it was set)")
            }
            E::NotSupported(_) | E::TooLarge { .. } => failure,
        }
    }
}

impl From<rapport_engine::Error> for Failure {
    fn from(error: rapport_engine::Error) -> Self {
        use rapport_engine::Error as E;
        match error {
            E::Catalogue(error) => error.into(),
            E::Lake(error) => error.into(),
            error => Self::new(chain(&error)),
        }
    }
}

impl From<rapport_intake::Error> for Failure {
    fn from(error: rapport_intake::Error) -> Self {
        use rapport_intake::Error as E;
        let failure = Self::new(chain(&error));
        match error {
            E::Lake(error) => error.into(),
            E::Cancelled => Self { code: INTERRUPTED, ..failure },
            E::UnknownSource { .. } => Self { code: USAGE, ..failure }
                .hint("`rapport sources` lists them; your own go into the folder that load.sources names"),
            E::BadSource { .. } | E::Select { .. } | E::MissingColumn { .. } => {
                failure.hint("try it on a few rows with `rapport load --dry-run`")
            }
            E::Path { .. } => Self { code: USAGE, ..failure },
            E::TooManyRefused { .. } => failure.hint(
                "look at the rows with `rapport load --dry-run`; if they may be left out, raise --max-refused",
            ),
            E::Contention { .. } | E::Changed { .. } => failure.hint("run the same command again"),
            E::Internal { .. } => failure.hint("this is a bug of ours: please report it"),
            _ => failure,
        }
    }
}
