//! Statements against a lake in a temporary folder, without a catalogue.

mod change;
mod end;
mod forbidden;
mod read;
mod speed;
mod transaction;
mod write;

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{common::ScalarValue, sql::sqlparser::ast};
use futures::TryStreamExt;
use rapport_lake::{Definition, Lake, Location, PG_TYPE, TableName};
use tempfile::TempDir;

use crate::{
    Column, CopyIn, Error, Limits, Outcome, Result, Session, Warehouse, names::folded, parse,
    pg_type::PgType,
};

struct House {
    _folder: TempDir,
    warehouse: Warehouse,
}

impl House {
    async fn new() -> Self {
        Self::with(Limits {
            threads: 2,
            ..Limits::default()
        })
        .await
    }

    async fn with(limits: Limits) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().to_str().expect("a path in UTF-8");
        let location = Location::parse(path, []).expect("a location");
        let lake = Lake::open(location).await.expect("it opens");
        lake.create_root().await.expect("it becomes a lake");
        let warehouse = Warehouse::open(lake, None, limits).await.expect("it opens");
        Self {
            _folder: folder,
            warehouse,
        }
    }

    /// With the built-in tables.
    async fn with_history() -> Self {
        let house = Self::new().await;
        house.create(include_str!("history.sql")).await;
        house
    }

    /// Creates tables as PostgreSQL's judgement would have them.
    async fn create(&self, sql: &str) {
        for statement in parse::parse(sql, &Limits::default()).expect("it parses") {
            if let ast::Statement::CreateTable(table) = &statement.ast {
                let name = table
                    .name
                    .0
                    .last()
                    .and_then(|part| part.as_ident())
                    .expect("a name");
                let name = TableName::public(folded(name));
                let definition = definition(table);
                self.warehouse
                    .create_from_definition(&name, &definition)
                    .await
                    .expect("it is created");
            }
        }
    }

    fn session(&self) -> Session {
        self.warehouse.session("tester")
    }

    /// Rows as text, columns with a bar between them.
    async fn ask(&self, sql: &str) -> Vec<String> {
        ask(&mut self.session(), sql).await.expect("it is answered")
    }

    async fn run(&self, sql: &str) -> String {
        run(&mut self.session(), sql).await.expect("it is done")
    }

    async fn error(&self, sql: &str) -> Error {
        match ask(&mut self.session(), sql).await {
            Err(error) => error,
            Ok(rows) => panic!("{sql} is not refused but answered: {rows:?}"),
        }
    }

    async fn columns(&self, sql: &str) -> Vec<Column> {
        let session = self.session();
        let statement = session.parse(sql).expect("it parses").remove(0);
        let prepared = session
            .prepare(&statement, &[])
            .await
            .expect("it is planned");
        prepared.columns.expect("it has rows")
    }

    async fn copy(&self, sql: &str) -> CopyIn {
        let mut session = self.session();
        match execute(&mut session, sql, vec![]).await.expect("it begins") {
            Outcome::CopyIn(copy) => *copy,
            _ => panic!("{sql} does not receive"),
        }
    }
}

async fn execute(session: &mut Session, sql: &str, params: Vec<ScalarValue>) -> Result<Outcome> {
    let mut statements = session.parse(sql)?;
    assert_eq!(statements.len(), 1, "{sql}");
    let prepared = session.prepare(&statements.remove(0), &[]).await?;
    session.execute(&prepared, params).await
}

async fn ask(session: &mut Session, sql: &str) -> Result<Vec<String>> {
    ask_with(session, sql, vec![]).await
}

async fn ask_with(
    session: &mut Session,
    sql: &str,
    params: Vec<ScalarValue>,
) -> Result<Vec<String>> {
    match execute(session, sql, params).await? {
        Outcome::Rows { stream, .. } | Outcome::CopyOut { stream, .. } => {
            let batches: Vec<RecordBatch> = stream.try_collect().await?;
            Ok(batches.iter().flat_map(lines).collect())
        }
        Outcome::Done { tag, .. } => Ok(vec![tag]),
        Outcome::CopyIn(_) => panic!("{sql} wants rows"),
    }
}

async fn run(session: &mut Session, sql: &str) -> Result<String> {
    match execute(session, sql, vec![]).await? {
        Outcome::Done { tag, .. } => Ok(tag),
        _ => panic!("{sql} has rows"),
    }
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).expect("it can be shown"))
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let values: Vec<String> = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            values.join("|")
        })
        .collect()
}

fn definition(table: &ast::CreateTable) -> Definition {
    let mut definition = Definition::new(Arc::new(Schema::empty()));
    let mut fields = vec![];
    for column in &table.columns {
        let name = folded(&column.name);
        let pg_type =
            PgType::parse(&column.data_type.to_string().to_lowercase()).expect("a known type");
        let mut field = Field::new(&name, pg_type.storage(), true)
            .with_metadata([(PG_TYPE.to_owned(), pg_type.name())].into());
        for option in &column.options {
            match &option.option {
                ast::ColumnOption::NotNull => field.set_nullable(false),
                ast::ColumnOption::Default(expr) => {
                    definition.defaults.insert(name.clone(), expr.to_string());
                }
                ast::ColumnOption::PrimaryKey { .. } => definition.primary_key.push(name.clone()),
                _ => {}
            }
        }
        fields.push(field);
    }
    definition.schema = Arc::new(Schema::new(fields));
    definition
}
