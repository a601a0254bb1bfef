//! SQL of our own, run in one session of the engine; what it answers, read.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::{cast, concat_batches},
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema},
};
use futures::TryStreamExt;
use rapport_engine::{Cancel, Outcome, Session, Warehouse};

use crate::Result;

/// A session that ends what it does when it is told to.
pub(crate) struct Work {
    session: Session,
    cancel: Cancel,
}

impl Work {
    pub fn new(warehouse: &Warehouse, role: &str, cancel: &Cancel) -> Result<Self> {
        let mut session = warehouse.session(role);
        // Whoever asked for it has a time limit of his own.
        session.set("statement_timeout", "0")?;
        Ok(Self {
            session,
            cancel: cancel.clone(),
        })
    }

    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Ends with the statement that is told to end.
    async fn bound<T>(&mut self, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let token = self.session.cancel_token();
        let cancel = self.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                token.cancel();
                Err(rapport_engine::Error::Cancelled.into())
            }
            done = work(&mut self.session) => done,
        }
    }

    /// Runs all statements of a text, one after the other. Answers how many rows the last one changed.
    pub async fn run(&mut self, sql: &str) -> Result<u64> {
        let mut changed = 0;
        for statement in self.session.parse(sql)? {
            let text = statement.text.clone();
            let outcome = self
                .bound(async |session| {
                    let prepared = session.prepare(&statement, &[]).await?;
                    Ok(session.execute(&prepared, vec![]).await?)
                })
                .await
                .inspect_err(
                    |error| tracing::debug!(%error, text, "a statement of a model failed"),
                )?;
            if let Outcome::Done { tag, .. } = outcome {
                changed = tag
                    .rsplit(' ')
                    .next()
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
            }
        }
        Ok(changed)
    }

    /// The rows of one query.
    pub async fn ask(&mut self, sql: &str) -> Result<Rows> {
        let statement = self.session.parse(sql)?.pop();
        let statement = statement.expect("a query of our own");
        let batches = self
            .bound(async |session| {
                let prepared = session.prepare(&statement, &[]).await?;
                match session.execute(&prepared, vec![]).await? {
                    Outcome::Rows { stream, .. } => {
                        let schema = stream.schema();
                        let batches: Vec<RecordBatch> = stream
                            .try_collect()
                            .await
                            .map_err(rapport_engine::Error::from)?;
                        Ok(concat_batches(&schema, &batches)
                            .map_err(rapport_engine::Error::from)?)
                    }
                    _ => unreachable!("a query of our own"),
                }
            })
            .await
            .inspect_err(|error| tracing::debug!(%error, sql, "a query of a model failed"))?;
        Ok(Rows(batches))
    }

    /// Gives each batch of a query's rows away.
    pub async fn each(
        &mut self,
        sql: &str,
        mut take: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let statement = self.session.parse(sql)?.pop();
        let statement = statement.expect("a query of our own");
        self.bound(async |session| {
            let prepared = session.prepare(&statement, &[]).await?;
            let Outcome::Rows { mut stream, .. } = session.execute(&prepared, vec![]).await? else {
                unreachable!("a query of our own");
            };
            while let Some(batch) = stream
                .try_next()
                .await
                .map_err(rapport_engine::Error::from)?
            {
                take(batch)?;
            }
            Ok(())
        })
        .await
    }

    /// Writes what is made of each batch of a query's rows to columns of a table. Answers how many rows.
    pub async fn write(
        &mut self,
        target: &str,
        sql: &str,
        mut make: impl FnMut(&RecordBatch) -> Result<RecordBatch>,
    ) -> Result<u64> {
        let read = self.session.parse(sql)?.pop().expect("a query of our own");
        let copy = format!("COPY {target} FROM STDIN");
        let copy = self
            .session
            .parse(&copy)?
            .pop()
            .expect("a statement of our own");
        self.bound(async |session| {
            let prepared = session.prepare(&read, &[]).await?;
            let Outcome::Rows { mut stream, .. } = session.execute(&prepared, vec![]).await? else {
                unreachable!("a query of our own");
            };
            let prepared = session.prepare(&copy, &[]).await?;
            let Outcome::CopyIn(mut writer) = session.execute(&prepared, vec![]).await? else {
                unreachable!("a COPY of our own");
            };
            while let Some(batch) = stream
                .try_next()
                .await
                .map_err(rapport_engine::Error::from)?
            {
                let made = make(&batch)?;
                let columns = made.columns().iter().zip(writer.columns());
                let columns = columns.map(|(array, column)| cast(array, &column.data_type));
                let columns = columns
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(rapport_engine::Error::from)?;
                let fields = writer
                    .columns()
                    .iter()
                    .map(|column| Field::new(&column.name, column.data_type.clone(), true));
                let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
                let batch =
                    RecordBatch::try_new(schema, columns).map_err(rapport_engine::Error::from)?;
                writer.push(batch).await?;
            }
            Ok(writer.finish().await?)
        })
        .await
    }

    /// The first row of a query, its columns as numbers by name; what is NULL is left out.
    pub async fn numbers(&mut self, sql: &str) -> Result<BTreeMap<String, f64>> {
        Ok(self.ask(sql).await?.first())
    }

    /// What is done from here on becomes visible together at [`Self::commit`], or not at all.
    pub fn begin(&mut self) -> Result<()> {
        Ok(self.session.begin()?)
    }

    pub async fn commit(&mut self) -> Result<()> {
        Ok(self.session.commit().await?)
    }

    pub async fn roll_back(&mut self) {
        self.session.rollback().await;
    }
}

/// The answer of a query.
pub(crate) struct Rows(RecordBatch);

impl Rows {
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// The column's numbers; a NULL is NaN.
    pub fn numbers(&self, column: &str) -> Vec<f64> {
        let array = self.cast(column, &DataType::Float64);
        let array = array.as_primitive::<Float64Type>();
        array
            .iter()
            .map(|value| value.unwrap_or(f64::NAN))
            .collect()
    }

    /// The column's whole numbers; dates are days and moments are microseconds since 1970.
    pub fn wholes(&self, column: &str) -> Vec<Option<i64>> {
        let array = self.0.column_by_name(column).expect("a column of our own");
        let array = match array.data_type() {
            DataType::Date32 => cast(array, &DataType::Int32).expect("days are whole"),
            _ => array.clone(),
        };
        let array = cast(&array, &DataType::Int64).expect("a whole column of our own");
        array.as_primitive::<Int64Type>().iter().collect()
    }

    pub fn texts(&self, column: &str) -> Vec<Option<String>> {
        let array = self.cast(column, &DataType::Utf8);
        let array = array.as_string::<i32>();
        array.iter().map(|value| value.map(str::to_owned)).collect()
    }

    pub fn column(&self, name: &str, to: &DataType) -> arrow::array::ArrayRef {
        self.cast(name, to)
    }

    fn cast(&self, column: &str, to: &DataType) -> arrow::array::ArrayRef {
        let array = self.0.column_by_name(column).expect("a column of our own");
        cast(array, to).expect("a column of our own")
    }

    /// The first row's numbers by name.
    fn first(&self) -> BTreeMap<String, f64> {
        let mut numbers = BTreeMap::new();
        for field in self.0.schema().fields() {
            let array = self.0.column_by_name(field.name()).expect("its own name");
            let array = match array.data_type() {
                DataType::Date32 => cast(array, &DataType::Int32).expect("days are whole"),
                _ => array.clone(),
            };
            let Ok(array) = cast(&array, &DataType::Float64) else {
                continue;
            };
            if !array.is_empty() && array.is_valid(0) {
                let value = array.as_primitive::<Float64Type>().value(0);
                numbers.insert(field.name().clone(), value);
            }
        }
        numbers
    }
}

/// A text as a literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text, or NULL, as a literal.
pub(crate) fn quoted_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), quoted)
}

/// A number as a literal that keeps all its digits; NULL if it is none.
pub(crate) fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:e}::double precision"),
        false => "NULL::double precision".to_owned(),
    }
}

/// A name as PostgreSQL reads it.
pub(crate) fn named(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Puts values for `{names}` into a text. A name without a value is our mistake.
pub(crate) fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    // Twice: a value may mention another one.
    for _ in 0..2 {
        for (name, value) in values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
    }
    text
}
