//! `rapport model`: models made, listed, promoted and dropped.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rapport_models::{Answer, Creation, Statement, Verb};

use super::{Context, refresh::EXIT_CODES};
use crate::failure::{Failure, Result};
use crate::models::{self, Door, Head};
use crate::output;

/// Make, list, describe, promote and drop models
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport model create worth --type clv --option horizon=180\n  rapport model list --json\n  \
    rapport model promote worth 3 --because 'the campaign of May is over'\n\n\
    `rapport refresh` fits them anew. In SQL the same is CREATE MODEL, SHOW MODELS, DESCRIBE MODEL, PROMOTE MODEL and DROP MODEL."
)]
pub struct Model {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a model, fit it, judge it, publish its scores
    #[command(after_help = format!(
        "Examples:\n  rapport model create churn --type churn --option horizon=90 --option refresh='0 3 * * *'\n  \
        rapport model create leavers --type churn --file leavers.sql --no-data\n\n{EXIT_CODES}"
    ))]
    Create(Create),
    /// List the models
    #[command(after_help = "Example:\n  rapport model list --json | jq '.[].model'")]
    List {
        /// As JSON: an array of {model, type, version, grade, metric, value, baseline_value, as_of, published_at, scores, refresh, owner, last_run}
        #[arg(long)]
        json: bool,
    },
    /// Describe a model: its options, versions, metrics and parameters
    #[command(after_help = "Example:\n  rapport model describe clv")]
    Describe {
        name: String,
        /// As JSON: an array of {part, name, value}
        #[arg(long)]
        json: bool,
    },
    /// Publish a version's scores, whatever was judged of it
    #[command(
        after_help = "Example:\n  rapport model promote clv 3 --because 'version 4 was fitted to half of the history'"
    )]
    Promote {
        name: String,
        version: i64,
        /// Why; it is kept in the history
        #[arg(long, value_name = "TEXT")]
        because: Option<String>,
        /// As JSON, such as `rapport refresh --json`
        #[arg(long)]
        json: bool,
    },
    /// Drop a model, with its versions and scores
    #[command(after_help = "Example:\n  rapport model drop clv")]
    Drop {
        name: String,
        /// Drop the views over its scores too
        #[arg(long)]
        cascade: bool,
    },
}

#[derive(Args, Debug)]
struct Create {
    name: String,
    /// clv, churn, segmentation, uplift or recommendation
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// An option of the model, such as horizon=90. May be given several times
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    /// What it reads in place of the warehouse's own history
    #[arg(long, value_name = "SQL")]
    query: Option<String>,
    /// The same, in a file
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    file: Option<PathBuf>,
    /// In the place of a model of this name, if there is one
    #[arg(long)]
    replace: bool,
    /// Leave a model of this name as it is
    #[arg(long, conflicts_with = "replace")]
    if_not_exists: bool,
    /// Only make it; the first refresh fits it
    #[arg(long)]
    no_data: bool,
    /// As JSON, such as `rapport refresh --json`
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("an option is KEY=VALUE, such as horizon=90".to_owned()),
    }
}

impl Model {
    pub async fn run(self, context: Context) -> Result {
        // What is wrong with the command line is said before anything is opened.
        let statement = self.what.statement()?;
        let door = Door::open(&context).await?;
        let verb = statement.verb;
        let done = match door.run(&context, statement).await {
            Ok(answer) => self.what.tell(verb, &answer),
            Err(failure) => Err(failure),
        };
        door.close().await;
        done
    }
}

impl What {
    fn statement(&self) -> Result<Statement> {
        Ok(match self {
            Self::Create(create) => create.statement()?,
            Self::List { .. } => Statement::show(),
            Self::Describe { name, .. } => Statement::describe(name),
            Self::Promote {
                name,
                version,
                because,
                ..
            } => Statement::promote(name, *version, because.as_deref()),
            Self::Drop { name, cascade } => Statement::drop(name, *cascade),
        })
    }

    fn is_json(&self) -> bool {
        match self {
            Self::Create(create) => create.json,
            Self::List { json } | Self::Describe { json, .. } | Self::Promote { json, .. } => *json,
            Self::Drop { .. } => false,
        }
    }

    fn tell(&self, verb: Verb, answer: &Answer) -> Result {
        if self.is_json() {
            output::json(&output::objects(&answer.batch))?;
            return models::judged(answer);
        }
        match verb {
            Verb::Show if answer.batch.num_rows() == 0 => {
                output::line("no models yet; `rapport model create NAME --type TYPE` makes one")
            }
            Verb::Show => models::print(&answer.batch, &LISTED),
            Verb::Describe => models::print(&answer.batch, &DESCRIBED),
            Verb::Create | Verb::Refresh | Verb::RefreshAll | Verb::Promote => {
                models::tell_refreshed(answer)
            }
            Verb::Drop => {
                for row in output::objects(&answer.batch) {
                    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                    output::line(&format!(
                        "model {} dropped: {}",
                        text("model"),
                        text("dropped")
                    ))?;
                }
                Ok(())
            }
        }
    }
}

const LISTED: [Head; 10] = [
    ("model", "model"),
    ("type", "type"),
    ("version", ">version"),
    ("grade", "grade"),
    ("metric", "metric"),
    ("value", ">value"),
    ("baseline_value", ">baseline"),
    ("as_of", "as of"),
    ("scores", "scores"),
    ("refresh", "refresh"),
];

const DESCRIBED: [Head; 3] = [("part", "part"), ("name", "name"), ("value", "value")];

impl Create {
    fn statement(&self) -> Result<Statement> {
        let file = match &self.file {
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| Failure {
                code: crate::failure::USAGE,
                ..Failure::doing(format!("reading {}", file.display()), &error)
            })?),
            None => None,
        };
        let query = self.query.as_deref().or(file.as_deref());
        let query = query.map(|query| query.trim().trim_end_matches(';'));
        let how = Creation {
            or_replace: self.replace,
            if_not_exists: self.if_not_exists,
            with_data: !self.no_data,
        };
        Ok(Statement::create(
            &self.name,
            &self.kind,
            &self.options,
            query,
            how,
        ))
    }
}
