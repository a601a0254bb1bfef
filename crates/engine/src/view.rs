//! Views: a name for a query, kept in the lake with the text that its author wrote.
//!
//! PostgreSQL would give the text back in its own words, some of which only PostgreSQL reads; so the catalogue's copy
//! is for those who look at it, and the lake's is the one that is planned.

use std::{collections::HashMap, sync::Arc};

use datafusion::sql::sqlparser::ast::{Query, SetExpr, SetOperator, SetQuantifier};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use rapport_lake::{Lake, TableName};
use serde_json::{Value, json};

use crate::{Column, Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub name: TableName,
    pub query: String,
    /// Names of its columns, if its author gave any.
    pub columns: Vec<String>,
    /// What its query called the columns when it was made; empty if nobody has written it down.
    pub answers: Vec<String>,
    pub search_path: Vec<String>,
    pub owner: String,
}

/// All views of the lake, by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Views(HashMap<TableName, Arc<View>>);

impl Views {
    pub(crate) fn get(&self, name: &TableName) -> Option<Arc<View>> {
        self.0.get(name).cloned()
    }

    pub(crate) async fn load(lake: &Lake) -> Result<Self> {
        let store = lake.store();
        let listed = store
            .list(Some(&folder()))
            .try_collect::<Vec<_>>()
            .await
            .map_err(storage)?;
        let mut views = HashMap::new();
        for object in listed {
            let bytes = match store.get(&object.location).await {
                Ok(found) => found.bytes().await.map_err(storage)?,
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(storage(error)),
            };
            let view = View::read(&bytes).ok_or_else(|| rapport_lake::Error::Corrupt {
                path: object.location.to_string(),
                what: "it is not a view".to_owned(),
                remedy: "Remove the file and create the view again.".to_owned(),
            })?;
            views.insert(view.name.clone(), Arc::new(view));
        }
        Ok(Self(views))
    }
}

impl View {
    pub(crate) async fn save(&self, lake: &Lake) -> Result<()> {
        let text = json!({
            "schema": self.name.schema,
            "name": self.name.table,
            "query": self.query,
            "columns": self.columns,
            "answers": self.answers,
            "search_path": self.search_path,
            "owner": self.owner,
        });
        let payload = PutPayload::from(text.to_string().into_bytes());
        lake.store()
            .put(&path(&self.name), payload)
            .await
            .map_err(storage)?;
        Ok(())
    }

    /// Where its columns are among those that its query answers now: the tables behind a `*` may have got others.
    pub(crate) fn places(&self, query: &Query, now: &[Column]) -> Result<Vec<usize>> {
        if self.answers.is_empty() || self.answers.len() == now.len() {
            return Ok((0..now.len()).collect());
        }
        let place = |name: &String| {
            let mut places = (0..now.len()).filter(|at| now[*at].name == *name);
            let only = places.next();
            only.filter(|_| places.next().is_none() && adds_no_rows(&query.body))
        };
        let places = self.answers.iter().map(place).collect::<Option<Vec<_>>>();
        places.ok_or_else(|| {
            let message = format!(
                "the tables of the view \"{}\" have other columns than when it was made",
                self.name.table
            );
            Error::not_supported(message, "Make it again: CREATE OR REPLACE VIEW.")
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let texts = |key: &str| {
            let items = value.get(key)?.as_array()?;
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        Some(Self {
            name: TableName::new(text("schema")?, text("name")?),
            query: text("query")?,
            columns: texts("columns")?,
            answers: texts("answers").unwrap_or_default(),
            search_path: texts("search_path")?,
            owner: text("owner")?,
        })
    }
}

/// Whether a column more leaves the rows as they are.
fn adds_no_rows(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.distinct.is_none(),
        SetExpr::Query(query) => adds_no_rows(&query.body),
        SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left,
            right,
        } => adds_no_rows(left) && adds_no_rows(right),
        _ => false,
    }
}

pub(crate) async fn remove(lake: &Lake, name: &TableName) -> Result<()> {
    match lake.store().delete(&path(name)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(storage(error)),
    }
}

fn folder() -> Path {
    Path::from_iter(["_rapport", "views"])
}

fn path(name: &TableName) -> Path {
    Path::from_iter([
        "_rapport",
        "views",
        name.schema.as_str(),
        &format!("{}.json", name.table),
    ])
}

pub(crate) fn storage(error: object_store::Error) -> Error {
    Error::Read(datafusion::error::DataFusionError::ObjectStore(Box::new(
        error,
    )))
}
