//! The tables of the schema `models`: what models there are, and what became of each refresh.

use std::collections::BTreeMap;

use rapport_engine::{Cancel, Warehouse};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    options::{Kind, Options},
    work::{Work, quoted, quoted_or_null},
};

const DEFINITION: &str = include_str!("registry.sql");

/// A model as it was made.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub model: String,
    pub kind: Kind,
    pub options: Options,
    pub query: Option<String>,
    pub owner: String,
    /// In the schema `scores`.
    pub scores: String,
    /// In use.
    pub version: Option<i64>,
}

impl Definition {
    /// What the scores depend on: a version that was made of something else is no measure for this one.
    pub fn fingerprint(&self) -> String {
        let when = ["refresh", "time_zone", "max_run_time", "keep"];
        let options = self.options.iter();
        let options: BTreeMap<&str, &str> =
            options.filter(|(name, _)| !when.contains(name)).collect();
        serde_json::json!({"options": options, "query": self.query}).to_string()
    }

    /// The statement that makes the model what is defined here; its version stays.
    pub fn put(&self) -> String {
        format!(
            "UPDATE models.models SET options = {}, query = {}, refresh = {}, time_zone = {} WHERE model = {};",
            quoted(&self.options.to_json()),
            quoted_or_null(self.query.as_deref()),
            quoted_or_null(self.options.text("refresh")),
            quoted_or_null(self.options.text("time_zone")),
            quoted(&self.model),
        )
    }
}

/// What was fitted, by name.
pub(crate) type Parameters = BTreeMap<String, Parameter>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub value: Option<f64>,
    pub standard_error: Option<f64>,
    pub text: Option<String>,
}

impl Parameter {
    pub fn number(value: f64) -> Self {
        Self {
            value: Some(value),
            ..Self::default()
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }
}

/// Makes the tables where there are none.
pub(crate) async fn set_up(work: &mut Work) -> Result<()> {
    if exists(work).await? {
        return Ok(());
    }
    work.begin()?;
    let made = async {
        work.run(DEFINITION).await?;
        work.commit().await
    }
    .await;
    if let Err(error) = made {
        work.roll_back().await;
        // Somebody else may have come first.
        if !exists(work).await? {
            return Err(error);
        }
    }
    Ok(())
}

/// Whether anybody has made a model here.
pub(crate) async fn exists(work: &mut Work) -> Result<bool> {
    let name = rapport_lake::TableName::new("models", "runs");
    let lake = work.session().warehouse().lake().clone();
    match lake.table(&name).await {
        Ok(_) => Ok(true),
        Err(rapport_lake::Error::NoSuchTable(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The definitions of all models, or of one.
pub(crate) async fn definitions(work: &mut Work, model: Option<&str>) -> Result<Vec<Definition>> {
    if !exists(work).await? {
        return Ok(vec![]);
    }
    let filter = match model {
        Some(model) => format!("WHERE model = {}", quoted(model)),
        None => String::new(),
    };
    let rows = work
        .ask(&format!(
            "SELECT model, type, options, query, owner, scores, version FROM models.models {filter} ORDER BY model"
        ))
        .await?;
    let column = |name| rows.texts(name).into_iter().map(Option::unwrap_or_default);
    let mut definitions = vec![];
    let (mut kinds, mut options) = (column("type"), column("options"));
    let (mut owners, mut scores) = (column("owner"), column("scores"));
    let (mut queries, mut versions) = (
        rows.texts("query").into_iter(),
        rows.wholes("version").into_iter(),
    );
    for model in column("model") {
        definitions.push(Definition {
            model,
            kind: Kind::read(&kinds.next().unwrap_or_default())?,
            options: Options::stored(&options.next().unwrap_or_default()),
            query: queries.next().flatten(),
            owner: owners.next().unwrap_or_default(),
            scores: scores.next().unwrap_or_default(),
            version: versions.next().flatten(),
        });
    }
    Ok(definitions)
}

pub(crate) async fn definition(work: &mut Work, model: &str) -> Result<Definition> {
    let mut found = definitions(work, Some(model)).await?;
    found
        .pop()
        .ok_or_else(|| Error::NoSuchModel(model.to_owned()))
}

pub(crate) async fn parameters(work: &mut Work, model: &str, version: i64) -> Result<Parameters> {
    let rows = work
        .ask(&format!(
            "SELECT name, value, standard_error, text FROM models.parameters WHERE model = {} AND version = {version}",
            quoted(model)
        ))
        .await?;
    let (values, errors) = (rows.numbers("value"), rows.numbers("standard_error"));
    let known = |value: f64| (!value.is_nan()).then_some(value);
    let rest = values.into_iter().zip(errors).zip(rows.texts("text"));
    let names = rows.texts("name").into_iter().flatten();
    Ok(names
        .zip(rest)
        .map(|(name, ((value, error), text))| {
            let parameter = Parameter {
                value: known(value),
                standard_error: known(error),
                text,
            };
            (name, parameter)
        })
        .collect())
}

/// Statements that forget what was noted of a model, or of one version of it.
pub(crate) fn forgotten(model: &str, version: Option<i64>) -> String {
    let which = version.map_or_else(String::new, |version| format!(" AND version = {version}"));
    ["versions", "metrics", "parameters", "feature_importance"]
        .map(|table| {
            format!(
                "DELETE FROM models.{table} WHERE model = {}{which};",
                quoted(model)
            )
        })
        .concat()
}

/// A session of the owner of everything that Rapport itself keeps.
pub(crate) fn own_work(warehouse: &Warehouse, cancel: &Cancel) -> Result<Work> {
    Work::new(
        warehouse,
        rapport_catalog_postgres::Catalogue::OWNER,
        cancel,
    )
}
