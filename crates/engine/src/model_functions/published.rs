//! The version of a model that is in use, from the tables of the schema `models`.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use futures::{TryStreamExt, future::BoxFuture};
use rapport_catalog_postgres::Catalogue;
use rapport_lake::TableName;
use rapport_udf_postgres::refusal::Refusal;

use crate::{Error, Result, cancel::Guard, change::our_query, execute, pins::Pins, plan::Scope};

#[derive(Debug)]
pub(super) struct Published {
    model: String,
    /// The model's type.
    pub kind: String,
    /// Its table in the schema `scores`.
    pub scores: String,
    numbers: BTreeMap<String, f64>,
    texts: BTreeMap<String, String>,
}

/// Read with rights of our own: what a model is called is no secret, and its scores are read with the asker's.
pub(super) async fn published(scope: &Scope, pins: &Pins, model: &str) -> Result<Published> {
    let undefined = || {
        let refusal = Refusal::new("42704", format!("model \"{model}\" does not exist"));
        Error::Refused(refusal.with_hint("SHOW MODELS lists those that exist."))
    };
    let registry = TableName::new("models", "models");
    if pins.table(scope, &registry).await?.is_none() {
        return Err(undefined());
    }
    let literal = model.replace('\'', "''");
    let sql = format!(
        "SELECT type, scores, version::text AS version FROM models.models WHERE model = '{literal}'"
    );
    let known = Rows::of(scope, pins, &sql).await?;
    let kind = known.text("type")?.ok_or_else(undefined)?;
    let Some(version) = known.text("version")? else {
        return Err(Error::InvalidParameter {
            message: format!("model \"{model}\" has no published version"),
            hint: Some(format!(
                "REFRESH MODEL {model} makes one, if it is good enough."
            )),
        });
    };
    let sql = format!(
        "SELECT name, value, text FROM models.parameters WHERE model = '{literal}' AND version = {version}"
    );
    let fitted = Rows::of(scope, pins, &sql).await?;
    let names: Vec<String> = fitted.texts("name")?.into_iter().flatten().collect();
    let (numbers, texts) = (fitted.numbers("value")?, fitted.texts("text")?);
    let number = |(name, value): (String, Option<f64>)| Some((name, value?));
    let text = |(name, text): (String, Option<String>)| Some((name, text?));
    Ok(Published {
        model: model.to_owned(),
        kind,
        scores: known.text("scores")?.unwrap_or_default(),
        numbers: names
            .iter()
            .cloned()
            .zip(numbers)
            .filter_map(number)
            .collect(),
        texts: names.iter().cloned().zip(texts).filter_map(text).collect(),
    })
}

impl Published {
    /// 22023 if the version has no such parameter.
    pub fn number(&self, name: &str) -> Result<f64> {
        let number = self.numbers.get(name).copied();
        number.ok_or_else(|| self.knows_no_features())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// 22023
    pub fn knows_no_features(&self) -> Error {
        Error::InvalidParameter {
            message: format!(
                "model \"{}\" was not fitted to repeated purchases, and can't be asked of features",
                self.model
            ),
            hint: Some("Ask for the published score of a customer.".to_owned()),
        }
    }
}

/// What one of our own queries answers.
struct Rows(Vec<RecordBatch>);

impl Rows {
    // Boxed: it plans, and planning asks for models.
    fn of<'a>(scope: &'a Scope, pins: &'a Pins, sql: &'a str) -> BoxFuture<'a, Result<Self>> {
        Box::pin(async move {
            let scope = Scope {
                role: Catalogue::OWNER.to_owned(),
                named: vec![],
                ..scope.clone()
            };
            let query = our_query(&scope, sql)?;
            let planned = scope.plan_query(pins, &query, &[]).await?;
            let rows = execute::rows(&scope, &planned, vec![], &Guard::default()).await?;
            Ok(Self(rows.try_collect().await?))
        })
    }

    fn column(&self, name: &str, data_type: &DataType) -> Result<Vec<Arc<dyn Array>>> {
        let column = |batch: &RecordBatch| {
            let column = batch.column_by_name(name).expect("a column of our own");
            Ok(cast(column, data_type)?)
        };
        self.0.iter().map(column).collect()
    }

    /// Of the first row.
    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.texts(name)?.into_iter().next().flatten())
    }

    fn texts(&self, name: &str) -> Result<Vec<Option<String>>> {
        let columns = self.column(name, &DataType::Utf8)?;
        let texts = columns.iter().flat_map(|column| column.as_string::<i32>());
        Ok(texts.map(|text| text.map(str::to_owned)).collect())
    }

    fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let columns = self.column(name, &DataType::Float64)?;
        let numbers = columns
            .iter()
            .flat_map(|column| column.as_primitive::<Float64Type>());
        Ok(numbers.collect())
    }
}
