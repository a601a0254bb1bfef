//! `COPY`: its options, and the receiving end of `COPY … FROM STDIN`: rows in, one commit at the end.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatch, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::{
    error::DataFusionError,
    physical_plan::stream::RecordBatchStreamAdapter,
    sql::sqlparser::ast::{
        self, CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Ident,
    },
};
use futures::stream;
use rapport_catalog_lake::present_schema;
use rapport_lake::{Snapshot, TableName};
use tokio::sync::mpsc;

use crate::{
    Column, Error, Outcome, Result, Statement, Warehouse,
    cancel::Guard,
    coerce::Coercer,
    columns::{column_type, least_scale},
    cpu::Task,
    execute,
    insert::{Destination, newest},
    names::folded,
    parse,
    pins::Pins,
    plan::Scope,
    privilege::{Privilege, quoted},
    session::Block,
};

/// Options of a COPY statement, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyFormat {
    pub kind: CopyKind,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    pub header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    Text,
    Csv,
    Binary,
}

/// Batches on their way to the writer.
const AHEAD: usize = 4;

/// Nothing is visible until `finish`; dropping it leaves nothing behind.
pub struct CopyIn {
    warehouse: Warehouse,
    table: TableName,
    columns: Vec<Column>,
    format: CopyFormat,
    coercer: Coercer,
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
            table,
            sender,
            task,
            guard,
            ..
        } = self;
        // Without this word a sender that is gone means that the client is, and nothing is committed.
        let _ = sender.send(Ok(None)).await;
        let rows = guard.bound(async { task.join().await? }).await?;
        warehouse.tell_rows(&table).await;
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
    block: Option<Arc<Block>>,
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
    let snapshot = newest(scope, &name).await?;
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
    let coercer = Coercer::new(&snapshot);
    let rows = stream::unfold(
        Feed {
            receiver,
            is_over: false,
        },
        next_batch,
    );
    let rows = Box::pin(RecordBatchStreamAdapter::new(coercer.schema(), rows));
    let context = execute::task_context(&scope.warehouse, &scope.state(), guard);
    let destination = Destination::new(scope, &snapshot, block)?;
    let work = async move { destination.take(rows, "COPY", context).await };
    let copy = CopyIn {
        warehouse: scope.warehouse.clone(),
        table: name,
        columns: described.collect(),
        format,
        coercer,
        sources,
        sender,
        task: scope.warehouse.cpu().spawn(work),
        guard: guard.clone(),
    };
    Ok(Outcome::CopyIn(copy))
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

/// The server's files are not the client's to read or write.
fn refuse_files(target: &CopyTarget) -> Result<()> {
    match target {
        CopyTarget::Stdin | CopyTarget::Stdout => Ok(()),
        CopyTarget::File { .. } => Err(Error::Denied {
            what: "COPY to or from a file of the server; use STDIN, STDOUT or psql's \\copy"
                .to_owned(),
        }),
        CopyTarget::Program { .. } => Err(Error::Denied {
            what: "COPY to or from a program of the server".to_owned(),
        }),
    }
}

/// What a COPY statement says about the form of its rows. A file of the server is refused.
pub fn copy_format(statement: &Statement) -> Result<CopyFormat> {
    let ast::Statement::Copy {
        options,
        legacy_options,
        target,
        ..
    } = &statement.ast
    else {
        return Err(Error::not_supported(
            "COPY options of another statement",
            "",
        ));
    };
    refuse_files(target)?;
    let mut given = Given::default();
    for option in options {
        given.option(option)?;
    }
    for option in legacy_options {
        given.legacy(option)?;
    }
    given.checked()
}

#[derive(Default)]
struct Given {
    kind: Option<CopyKind>,
    delimiter: Option<char>,
    null: Option<String>,
    quote: Option<char>,
    escape: Option<char>,
    header: bool,
}

impl Given {
    fn option(&mut self, option: &CopyOption) -> Result<()> {
        match option {
            CopyOption::Format(name) => self.kind = Some(kind(&name.value)?),
            CopyOption::Freeze(_) => {}
            CopyOption::Delimiter(c) => self.delimiter = Some(*c),
            CopyOption::Null(text) => self.null = Some(text.clone()),
            CopyOption::Header(header) => self.header = *header,
            CopyOption::Quote(c) => self.quote = Some(*c),
            CopyOption::Escape(c) => self.escape = Some(*c),
            CopyOption::Encoding(name) => utf8(name)?,
            CopyOption::ForceQuote(_) | CopyOption::ForceNotNull(_) | CopyOption::ForceNull(_) => {
                return Err(Error::not_supported(format!("COPY option {option}"), ""));
            }
        }
        Ok(())
    }

    fn legacy(&mut self, option: &CopyLegacyOption) -> Result<()> {
        match option {
            CopyLegacyOption::Binary => self.kind = Some(CopyKind::Binary),
            CopyLegacyOption::Delimiter(c) => self.delimiter = Some(*c),
            CopyLegacyOption::Null(text) => self.null = Some(text.clone()),
            CopyLegacyOption::Header => self.header = true,
            CopyLegacyOption::Csv(options) => {
                self.kind = Some(CopyKind::Csv);
                for option in options {
                    match option {
                        CopyLegacyCsvOption::Header => self.header = true,
                        CopyLegacyCsvOption::Quote(c) => self.quote = Some(*c),
                        CopyLegacyCsvOption::Escape(c) => self.escape = Some(*c),
                        CopyLegacyCsvOption::ForceQuote(_)
                        | CopyLegacyCsvOption::ForceNotNull(_) => {
                            return Err(Error::not_supported(format!("COPY option {option}"), ""));
                        }
                    }
                }
            }
            other => return Err(Error::not_supported(format!("COPY option {other}"), "")),
        }
        Ok(())
    }

    fn checked(self) -> Result<CopyFormat> {
        let kind = self.kind.unwrap_or(CopyKind::Text);
        let is_csv = kind == CopyKind::Csv;
        if kind == CopyKind::Binary
            && (self.delimiter.is_some() || self.null.is_some() || self.header)
        {
            return Err(wrong(
                "cannot specify DELIMITER, NULL or HEADER in BINARY mode",
            ));
        }
        if !is_csv && (self.quote.is_some() || self.escape.is_some()) {
            return Err(wrong(
                "COPY quote and escape are available only in CSV mode",
            ));
        }
        let byte = |c: Option<char>, default: u8, what: &str| match c {
            None => Ok(default),
            Some(c) => u8::try_from(c)
                .ok()
                .filter(|byte| byte.is_ascii() && !matches!(byte, b'\n' | b'\r'))
                .ok_or_else(|| wrong(&format!("COPY {what} must be a single one-byte character"))),
        };
        let quote = byte(self.quote, b'"', "quote")?;
        let delimiter = byte(
            self.delimiter,
            if is_csv { b',' } else { b'\t' },
            "delimiter",
        )?;
        if is_csv && delimiter == quote {
            return Err(wrong("COPY delimiter and quote must be different"));
        }
        Ok(CopyFormat {
            kind,
            delimiter,
            null: self.null.unwrap_or_else(|| {
                if is_csv {
                    String::new()
                } else {
                    "\\N".to_owned()
                }
            }),
            quote,
            escape: byte(self.escape, quote, "escape")?,
            header: self.header,
        })
    }
}

fn kind(name: &str) -> Result<CopyKind> {
    match name.to_ascii_lowercase().as_str() {
        "text" => Ok(CopyKind::Text),
        "csv" => Ok(CopyKind::Csv),
        "binary" => Ok(CopyKind::Binary),
        other => Err(wrong(&format!("COPY format \"{other}\" not recognized"))),
    }
}

fn utf8(name: &str) -> Result<()> {
    match name.to_ascii_lowercase().as_str() {
        "utf8" | "utf-8" | "unicode" => Ok(()),
        _ => Err(Error::not_supported(
            format!("COPY encoding {name}"),
            "Send UTF-8.",
        )),
    }
}

fn wrong(message: &str) -> Error {
    Error::InvalidParameter {
        message: message.to_owned(),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn format(sql: &str) -> Result<CopyFormat> {
        let statement = parse::parse(sql, &Limits::default())
            .expect("it parses")
            .remove(0);
        copy_format(&statement)
    }

    #[test]
    fn text_is_the_default() {
        let format = format("COPY t FROM STDIN").expect("valid");
        assert_eq!(
            (format.kind, format.delimiter, format.null.as_str()),
            (CopyKind::Text, b'\t', "\\N")
        );
    }

    #[test]
    fn old_and_new_options_mean_the_same() {
        let new =
            format("COPY t FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';', NULL 'x')");
        let old = format("COPY t FROM STDIN DELIMITER ';' NULL 'x' CSV HEADER");
        assert_eq!(new.expect("valid"), old.expect("valid"));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for sql in [
            "COPY t FROM STDIN (FORMAT binary, HEADER)",
            "COPY t FROM STDIN (QUOTE '\"')",
            "COPY t FROM STDIN (FORMAT csv, DELIMITER '\"')",
            "COPY t FROM STDIN (FORMAT xml)",
        ] {
            assert!(
                matches!(format(sql), Err(Error::InvalidParameter { .. })),
                "{sql}"
            );
        }
    }
}
