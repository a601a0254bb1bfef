//! Features of customers as `stats` learns from them, and what was learned: a regression or boosted trees.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Field, Float64Type, Schema},
};
use rapport_stats::{
    boosting::{Boosted, Boosting},
    learner::{Column, Goal, Learner, Predictor, Reasons, Table},
    regression::{Line, Regression},
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Logistic,
    Boosting,
}

/// What was learned. Kept as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) enum Model {
    Line(Line),
    Trees(Box<Boosted>),
}

impl Method {
    /// Those that an option stands for.
    pub fn asked(option: &str) -> Vec<Self> {
        match option {
            "logistic" => vec![Self::Logistic],
            "boosting" => vec![Self::Boosting],
            _ => vec![Self::Logistic, Self::Boosting],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Boosting => "boosting",
        }
    }

    /// Computes on all cores; nothing else is answered meanwhile on this thread.
    pub fn fit(
        self,
        table: &Table,
        targets: &[f64],
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Model> {
        let weights = vec![1.0; targets.len()];
        Ok(Learner::fit(&self, table, targets, &weights, is_cancelled)?)
    }
}

impl Learner for Method {
    type Model = Model;

    /// A probability where all targets are 0 or 1, else a mean.
    fn fit(
        &self,
        table: &Table,
        targets: &[f64],
        weights: &[f64],
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> rapport_stats::Result<Model> {
        let is_of_two = targets
            .iter()
            .all(|target| *target == 0.0 || *target == 1.0);
        let goal = if is_of_two {
            Goal::Probability
        } else {
            Goal::Mean
        };
        Ok(match self {
            Self::Logistic => {
                Model::Line(Regression::new(goal).fit(table, targets, weights, is_cancelled)?)
            }
            Self::Boosting => Model::Trees(Box::new(Boosting::new(goal).fit(
                table,
                targets,
                weights,
                is_cancelled,
            )?)),
        })
    }
}

/// Shapley values of trees are found for some ten thousand rows a second: where there are more customers, paths explain.
const MOST_SHAPLEY: u64 = 200_000;

impl Predictor for Model {
    fn predict(&self, table: &Table) -> rapport_stats::Result<Vec<f64>> {
        match self {
            Self::Line(line) => line.predict(table),
            Self::Trees(trees) => trees.predict(table),
        }
    }

    fn reasons(&self, table: &Table) -> rapport_stats::Result<Reasons> {
        match self {
            Self::Line(line) => line.reasons(table),
            Self::Trees(trees) => trees.reasons(table),
        }
    }
}

impl Model {
    /// Of a part of `n_customers`.
    pub fn reasons_of(&self, table: &Table, n_customers: u64) -> Result<Reasons> {
        Ok(match self {
            Self::Trees(trees) if n_customers > MOST_SHAPLEY => trees.path_reasons(table)?,
            _ => self.reasons(table)?,
        })
    }
}

/// Columns of a query that are features: all but the named ones.
pub(crate) fn features(batch: &RecordBatch, others: &[&str]) -> Result<(Vec<String>, Vec<Column>)> {
    let mut names = vec![];
    let mut columns = vec![];
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        if others.contains(&field.name().as_str()) {
            continue;
        }
        columns.push(feature(field.name(), array)?);
        names.push(field.name().clone());
    }
    Ok((names, columns))
}

fn feature(name: &str, array: &ArrayRef) -> Result<Column> {
    let is_text = matches!(
        array.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
    );
    if is_text {
        let words = cast(array, &DataType::Utf8).map_err(rapport_engine::Error::from)?;
        let words = words.as_string::<i32>().iter();
        return Ok(Column::Categories(
            words.map(|word| word.map(str::to_owned)).collect(),
        ));
    }
    let days = match array.data_type() {
        DataType::Date32 => cast(array, &DataType::Int32).map_err(rapport_engine::Error::from)?,
        DataType::Timestamp(..) => {
            cast(array, &DataType::Int64).map_err(rapport_engine::Error::from)?
        }
        _ => array.clone(),
    };
    let numbers = cast(&days, &DataType::Float64).map_err(|_| Error::Invalid {
        message: format!("column \"{name}\" can't be a feature: it is neither a number nor a text"),
        hint: "Cast it, or leave it out of the model's query.".to_owned(),
    })?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let known = |value: Option<f64>| value.filter(|value| value.is_finite()).unwrap_or(f64::NAN);
    Ok(Column::Numbers(numbers.iter().map(known).collect()))
}

/// A column of zeros and ones, or of true and false; a NULL is NaN.
pub(crate) fn numbers_of(batch: &RecordBatch, name: &str) -> Result<Vec<f64>> {
    let array = batch.column_by_name(name).expect("it was looked for");
    match feature(name, array)? {
        Column::Numbers(numbers) => Ok(numbers),
        Column::Categories(_) => Err(Error::Invalid {
            message: format!("column \"{name}\" must be a number or a boolean"),
            hint: format!("Say which value counts: {name} = 'Yes' AS {name}."),
        }),
    }
}

/// Customers as texts, to tell them apart by a checksum.
pub(crate) fn keys_of(batch: &RecordBatch) -> Vec<u32> {
    let array = batch
        .column_by_name("customer_id")
        .expect("it was looked for");
    let texts = cast(array, &DataType::Utf8).expect("numbers and texts");
    let texts = texts.as_string::<i32>();
    (0..texts.len())
        .map(|n| crc32fast::hash(texts.value(n).as_bytes()))
        .collect()
}

/// Appends the rows of one table to another with the same columns.
pub(crate) fn append(all: &mut Vec<Column>, more: Vec<Column>) {
    if all.is_empty() {
        *all = more;
        return;
    }
    for (column, more) in all.iter_mut().zip(more) {
        match (column, more) {
            (Column::Numbers(numbers), Column::Numbers(more)) => numbers.extend(more),
            (Column::Categories(words), Column::Categories(more)) => words.extend(more),
            _ => unreachable!("batches of one query have one schema"),
        }
    }
}

/// For each row the three features that have most to do with its score, in words: three columns.
pub(crate) fn three_reasons(
    names: &[String],
    table: &Table,
    reasons: &Reasons,
    what: &str,
) -> [ArrayRef; 3] {
    let mut columns: [Vec<Option<String>>; 3] = Default::default();
    for (row, additions) in reasons
        .additions
        .chunks_exact(names.len().max(1))
        .enumerate()
    {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|a, b| additions[*b].abs().total_cmp(&additions[*a].abs()));
        let mut order = order.into_iter().filter(|n| additions[*n].abs() > 1e-9);
        for column in &mut columns {
            column.push(order.next().map(|n| {
                let effect = if additions[n] > 0.0 {
                    "raises"
                } else {
                    "lowers"
                };
                let value = value_of(&table.columns()[n], row);
                format!("{} {value}: {effect} {what}", names[n].replace('_', " "))
            }));
        }
    }
    columns.map(|column| Arc::new(StringArray::from(column)) as ArrayRef)
}

fn value_of(column: &Column, row: usize) -> String {
    match column {
        Column::Numbers(numbers) if numbers[row].is_nan() => "unknown".to_owned(),
        Column::Numbers(numbers) => shown(numbers[row]),
        Column::Categories(words) => words[row].clone().unwrap_or_else(|| "unknown".to_owned()),
    }
}

fn shown(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Mean size of what each feature adds, as shares.
pub(crate) fn importance(names: &[String], reasons: &Reasons) -> Vec<(String, f64)> {
    let mut sums = vec![0.0; names.len()];
    for row in reasons.additions.chunks_exact(names.len().max(1)) {
        for (sum, addition) in sums.iter_mut().zip(row) {
            *sum += addition.abs();
        }
    }
    let total: f64 = sums.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    names
        .iter()
        .cloned()
        .zip(sums.into_iter().map(|sum| sum / total))
        .collect()
}

/// A feature that tells the labels all by itself, and how well: it is known only afterwards, most likely.
pub(crate) fn leak(names: &[String], table: &Table, labels: &[f64]) -> Option<(String, f64)> {
    let is_true: Vec<bool> = labels.iter().map(|label| *label > 0.5).collect();
    let found = names
        .iter()
        .zip(table.columns())
        .filter_map(|(name, column)| {
            let scores = match column {
                Column::Numbers(numbers) => numbers
                    .iter()
                    .map(|number| if number.is_nan() { f64::MIN } else { *number })
                    .collect(),
                Column::Categories(words) => means_by_word(words, labels)?,
            };
            let auc = rapport_stats::metrics::Ranking::new(&is_true, &scores)
                .ok()?
                .auc();
            Some((name.clone(), auc.max(1.0 - auc)))
        });
    found
        .filter(|(_, auc)| *auc >= LEAK)
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// An AUC that no honest single feature has.
const LEAK: f64 = 0.98;
/// A column with more words than this is a name, and tells everybody apart.
const MOST_WORDS: usize = 50;

fn means_by_word(words: &[Option<String>], labels: &[f64]) -> Option<Vec<f64>> {
    let mut sums: std::collections::HashMap<&Option<String>, (f64, f64)> =
        std::collections::HashMap::new();
    for (word, label) in words.iter().zip(labels) {
        let sum = sums.entry(word).or_default();
        *sum = (sum.0 + label, sum.1 + 1.0);
    }
    (sums.len() <= MOST_WORDS).then(|| {
        words
            .iter()
            .map(|word| sums[word].0 / sums[word].1)
            .collect()
    })
}

/// Columns by name.
pub(crate) fn batch_of(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(schema), arrays).map_err(rapport_engine::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: Vec<Column>) -> Table {
        Table::new(columns).expect("columns of one length")
    }

    #[test]
    fn a_feature_that_knows_the_label_is_found() {
        let labels: Vec<f64> = (0..400).map(|n| f64::from(n % 4 == 0)).collect();
        let honest = Column::Numbers((0..400).map(|n| f64::from(n % 7)).collect());
        let planted = labels
            .iter()
            .map(|label| Some(if *label > 0.5 { "gone" } else { "here" }.to_owned()));
        let names = ["visits".to_owned(), "closed_because".to_owned()];
        let table = table(vec![honest, Column::Categories(planted.collect())]);
        let (name, auc) = leak(&names, &table, &labels).expect("a leak");
        assert_eq!((name.as_str(), auc), ("closed_because", 1.0));
    }

    #[test]
    fn reasons_name_what_weighs_most() {
        let names = ["tenure".to_owned(), "contract".to_owned()];
        let words = Column::Categories(vec![Some("Two year".to_owned())]);
        let table = table(vec![Column::Numbers(vec![2.5]), words]);
        let why = Reasons {
            base: 0.0,
            additions: vec![0.4, -1.2],
        };
        let columns = three_reasons(&names, &table, &why, "the risk");
        let reasons = columns.map(|column| {
            let column = column.as_string::<i32>().iter().next().flatten();
            column.map(str::to_owned)
        });
        assert_eq!(
            reasons[0].as_deref(),
            Some("contract Two year: lowers the risk")
        );
        assert_eq!(reasons[1].as_deref(), Some("tenure 2.5: raises the risk"));
        assert_eq!(reasons[2], None);
    }
}
