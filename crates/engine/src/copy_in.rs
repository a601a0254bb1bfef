//! The receiving end of `COPY … FROM STDIN`: rows in, one commit at the end. And what `COPY … TO STDOUT` reads.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatch, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::{
    error::DataFusionError,
    physical_plan::stream::RecordBatchStreamAdapter,
    sql::sqlparser::ast::{self, CopySource, Ident},
};
use futures::stream;
use rapport_catalog_lake::present_schema;
use rapport_lake::{Snapshot, TableName};
use tokio::sync::mpsc;

use crate::{
    Cancel, Column, CopyFormat, Error, Outcome, Result, Warehouse,
    cancel::Guard,
    coerce::Coercer,
    columns::{column_type, least_scale},
    commit,
    cpu::Task,
    execute,
    insert::Destination,
    names::{Relation, folded, parts},
    parse,
    pins::Pins,
    plan::Scope,
    privilege::{Privilege, quoted},
};

/// Batches on their way to the writer.
const AHEAD: usize = 4;

/// Nothing is visible until `finish`; dropping it leaves nothing behind.
pub struct CopyIn {
    warehouse: Warehouse,
    scope: Box<Scope>,
    table: TableName,
    columns: Vec<Column>,
    format: CopyFormat,
    coercer: Box<Coercer>,
    /// Where the table's columns are in what is sent; what is not sent is its default.
    sources: Vec<Source>,
    /// `None` is the end.
    sender: mpsc::Sender<Result<Option<RecordBatch>, DataFusionError>>,
    task: Task<Result<u64>>,
    guard: Guard,
}

enum Source {
    Sent(usize),
    /// One value for all rows.
    Constant(ArrayRef),
}

impl CopyIn {
    /// The columns that the client sends, in its order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn format(&self) -> &CopyFormat {
        &self.format
    }

    /// Ends it, even while it commits; what [`Self::finish`] answers tells whether that came too late.
    pub fn cancel(&self) -> Cancel {
        self.guard.cancel.clone()
    }

    /// Batches of this schema, every column Utf8 in PostgreSQL's text form, may be pushed too.
    pub fn text_schema(&self) -> SchemaRef {
        let fields = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, DataType::Utf8, true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Columns as [`Self::columns`] says (each in its `data_type`), or all Utf8 in PostgreSQL's text form. What is
    /// wrong with a value is said here.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_columns() != self.columns.len() {
            let message = format!(
                "expected {} columns, got {}",
                self.columns.len(),
                batch.num_columns()
            );
            return Err(Error::BadCopy { message });
        }
        let rows = batch.num_rows();
        let fields = self.coercer.schema();
        let columns = self
            .sources
            .iter()
            .zip(fields.fields())
            .map(|(source, field)| {
                let array = match source {
                    Source::Sent(index) => batch.column(*index).clone(),
                    Source::Constant(value) => repeated(value, rows)?,
                };
                let field = field
                    .as_ref()
                    .clone()
                    .with_data_type(array.data_type().clone())
                    .with_nullable(true);
                Ok((field, array))
            });
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) =
            columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let batch = self.coercer.coerce(&batch)?;
        let sent = self
            .guard
            .bound(async { Ok(self.sender.send(Ok(Some(batch))).await) })
            .await?;
        match sent {
            Ok(()) => Ok(()),
            // The writer has failed and says why when it is asked.
            Err(_) => Err(self.failure().await),
        }
    }

    async fn failure(&mut self) -> Error {
        let gone = self.warehouse.cpu().spawn(async { Ok(0) });
        let task = std::mem::replace(&mut self.task, gone);
        match task.join().await {
            Ok(Err(error)) | Err(error) => error,
            Ok(Ok(_)) => Error::Panic {
                message: "the writer stopped early".to_owned(),
            },
        }
    }

    /// Commits. Answers the number of rows.
    pub async fn finish(self) -> Result<u64> {
        let Self {
            warehouse,
            scope,
            table,
            sender,
            task,
            guard,
            ..
        } = self;
        // Without this word a sender that is gone means that the client is, and nothing is committed.
        let _ = sender.send(Ok(None)).await;
        let rows = guard.bound(async { task.join().await? }).await?;
        if scope.block.is_none() {
            warehouse.tell_rows(&table).await;
            commit::empty_temporary(&scope).await?;
        }
        Ok(rows)
    }

    pub async fn abort(self) {
        // The writer ends with an error rather than with a commit.
        let gone = Err(DataFusionError::from(Error::Cancelled));
        let _ = self.sender.send(gone).await;
        let _ = self.task.join().await;
    }
}

fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    let scalar = datafusion::common::ScalarValue::try_from_array(value, 0)?;
    Ok(scalar.to_array_of_size(rows)?)
}

/// Starts to receive. Nothing is written before the first batch.
pub(crate) async fn begin(
    scope: &Scope,
    pins: &Arc<Pins>,
    source: &CopySource,
    format: CopyFormat,
    guard: &Guard,
) -> Result<Outcome> {
    let CopySource::Table {
        table_name,
        columns,
    } = source
    else {
        return Err(Error::Syntax {
            message: "COPY query can only be used with COPY TO".to_owned(),
            position: None,
        });
    };
    let name = scope.target(pins, table_name).await?;
    let snapshot = scope.base(pins, &name).await?;
    let sent = sent_columns(&snapshot, columns)?;
    let schema = snapshot.schema();
    let written: Vec<String> = sent
        .iter()
        .map(|index| schema.field(*index).name().clone())
        .collect();
    scope
        .require_columns(&name, Privilege::Insert, &written)
        .await?;
    let sources = sources(scope, pins, &snapshot, &sent).await?;
    let presented = present_schema(&snapshot.schema());
    let described = sent.iter().map(|index| {
        let field = presented.field(*index);
        let pg_type = column_type(field);
        Column {
            name: field.name().clone(),
            pg_type: pg_type.oid,
            typmod: pg_type.typmod,
            least_scale: least_scale(field),
            table_oid: 0,
            number: 0,
            data_type: field.data_type().clone(),
        }
    });

    let (sender, receiver) = mpsc::channel(AHEAD);
    let coercer = Box::new(Coercer::new(&snapshot));
    let rows = stream::unfold(
        Feed {
            receiver,
            is_over: false,
        },
        next_batch,
    );
    let rows = Box::pin(RecordBatchStreamAdapter::new(coercer.schema(), rows));
    let context = execute::task_context(&scope.warehouse, &scope.state(), guard);
    let destination = Destination::new(scope, &snapshot);
    let work = async move { destination.take(rows, "COPY", context, None).await };
    let copy = CopyIn {
        warehouse: scope.warehouse.clone(),
        scope: Box::new(scope.clone()),
        table: name,
        columns: described.collect(),
        format,
        coercer,
        sources,
        sender,
        task: scope.warehouse.cpu().spawn(work),
        guard: guard.clone(),
    };
    Ok(Outcome::CopyIn(Box::new(copy)))
}

struct Feed {
    receiver: mpsc::Receiver<Result<Option<RecordBatch>, DataFusionError>>,
    is_over: bool,
}

async fn next_batch(mut feed: Feed) -> Option<(Result<RecordBatch, DataFusionError>, Feed)> {
    if feed.is_over {
        return None;
    }
    let next = match feed.receiver.recv().await {
        Some(Ok(Some(batch))) => Ok(batch),
        Some(Ok(None)) => return None,
        Some(Err(error)) => Err(error),
        None => Err(Error::Cancelled.into()),
    };
    feed.is_over = next.is_err();
    Some((next, feed))
}

fn sent_columns(snapshot: &Snapshot, columns: &[Ident]) -> Result<Vec<usize>> {
    let schema = snapshot.schema();
    if columns.is_empty() {
        return Ok((0..schema.fields().len()).collect());
    }
    let mut sent = vec![];
    for column in columns {
        let column = folded(column);
        let index = schema
            .index_of(&column)
            .map_err(|_| Error::UndefinedColumn {
                message: format!(
                    "column \"{column}\" of relation \"{}\" does not exist",
                    snapshot.name().table
                ),
                hint: None,
            })?;
        if sent.contains(&index) {
            return Err(Error::DuplicateColumn { name: column });
        }
        sent.push(index);
    }
    Ok(sent)
}

/// Defaults of the columns that are not sent are computed once, for all rows.
async fn sources(
    scope: &Scope,
    pins: &Pins,
    snapshot: &Snapshot,
    sent: &[usize],
) -> Result<Vec<Source>> {
    let schema = snapshot.schema();
    let mut sources = vec![];
    for (index, field) in schema.fields().iter().enumerate() {
        if let Some(position) = sent.iter().position(|sent| *sent == index) {
            sources.push(Source::Sent(position));
            continue;
        }
        let value = match snapshot.definition().defaults.get(field.name()) {
            None => new_null_array(field.data_type(), 1),
            Some(sql) => {
                let query = select(scope, &format!("SELECT {sql}"))?;
                let planned = scope.plan_query(pins, &query, &[]).await?;
                let rows = execute::rows(scope, &planned, vec![], &Guard::default()).await?;
                let batches = datafusion::physical_plan::common::collect(rows).await?;
                let value = batches.iter().find(|batch| batch.num_rows() > 0);
                match value {
                    Some(batch) => cast(batch.column(0), field.data_type())?,
                    None => new_null_array(field.data_type(), 1),
                }
            }
        };
        sources.push(Source::Constant(value));
    }
    Ok(sources)
}

/// A view is read with a query, and a column once.
pub(crate) async fn check_source(scope: &Scope, pins: &Pins, source: &CopySource) -> Result<()> {
    let CopySource::Table {
        table_name,
        columns,
    } = source
    else {
        return Ok(());
    };
    let candidates = scope.candidates(&parts(table_name)?)?;
    if let Some((name, Relation::View(_))) = scope.find(pins, &candidates, true).await? {
        return Err(Error::WrongObjectType {
            message: format!("cannot copy from view \"{}\"", name.table),
            hint: Some("Try the COPY (SELECT ...) TO variant.".to_owned()),
        });
    }
    let names: Vec<String> = columns.iter().map(folded).collect();
    match (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
        Some(at) => Err(Error::DuplicateColumn {
            name: names[at].clone(),
        }),
        None => Ok(()),
    }
}

/// What `COPY … TO` reads.
pub(crate) fn source_query(scope: &Scope, source: &CopySource) -> Result<ast::Query> {
    match source {
        CopySource::Query(query) => Ok(query.as_ref().clone()),
        CopySource::Table {
            table_name,
            columns,
        } if columns.is_empty() => select(scope, &format!("SELECT * FROM {table_name}")),
        CopySource::Table {
            table_name,
            columns,
        } => {
            let columns: Vec<String> = columns
                .iter()
                .map(|column| quoted(&folded(column)))
                .collect();
            select(
                scope,
                &format!("SELECT {} FROM {table_name}", columns.join(", ")),
            )
        }
    }
}

fn select(scope: &Scope, sql: &str) -> Result<ast::Query> {
    let statement = parse::parse_trusted(sql, scope.warehouse.limits())?
        .remove(0)
        .ast;
    match statement {
        ast::Statement::Query(query) => Ok(*query),
        other => Err(Error::not_supported(
            format!("{other} as a source of rows"),
            "",
        )),
    }
}
