//! Rows on their way into a table: coerced, sorted if the table is, and appended in one commit.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use arrow::{compute::SortOptions, datatypes::SchemaRef};
use datafusion::{
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{LexOrdering, PhysicalSortExpr, expressions::Column},
    physical_plan::{
        ExecutionPlan, execute_stream,
        sorts::sort::SortExec,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use rapport_lake::{
    Append, Appended, BatchStream, BoxError, DataFile, Definition, Draft, Expect, Snapshot, Table,
    Txn,
};

use crate::{Error, Result, coerce::Coercer, returning::Keeper};

/// Appends rows of any types in the table's column order.
pub(crate) async fn append(
    table: &Table,
    snapshot: &Snapshot,
    rows: SendableRecordBatchStream,
    operation: &'static str,
    context: Arc<TaskContext>,
    keeper: Option<Arc<Keeper>>,
) -> Result<Appended> {
    let rows = storable(snapshot, rows, context, keeper)?;
    append_stored(table, rows, operation).await
}

async fn append_stored(
    table: &Table,
    rows: BatchStream,
    operation: &'static str,
) -> Result<Appended> {
    let options = Append {
        operation,
        ..Append::default()
    };
    table.append(rows, options).await.map_err(told)
}

/// In storage types, checked, and in the order in which the table's files are kept. The keeper sees them before they are
/// put in order.
pub(crate) fn storable(
    snapshot: &Snapshot,
    rows: SendableRecordBatchStream,
    context: Arc<TaskContext>,
    keeper: Option<Arc<Keeper>>,
) -> Result<BatchStream> {
    let coercer = Coercer::new(snapshot);
    let schema = coercer.schema();
    let at_end = stream::iter(keeper.clone()).filter_map(|keeper| async move {
        let computed = keeper.finish().await;
        computed.err().map(|error| Err(error.into()))
    });
    let rows = rows.map(move |batch| {
        let batch = batch?;
        let stored = coercer.coerce(&batch)?;
        Ok(match &keeper {
            Some(keeper) => keeper.take(&batch, stored)?,
            None => stored,
        })
    });
    let rows = rows.chain(at_end);
    let rows: SendableRecordBatchStream =
        Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
    let rows = match ordering(snapshot, &schema) {
        Some(ordering) => sorted(rows, schema, ordering, context)?,
        None => rows,
    };
    Ok(rows
        .map_err(|error| Box::new(Error::from(error)) as BoxError)
        .boxed())
}

/// As [`storable`], of rows that are in the table's order already.
pub(crate) fn in_order(snapshot: &Snapshot, rows: SendableRecordBatchStream) -> BatchStream {
    let coercer = Coercer::new(snapshot);
    rows.map(move |batch| {
        let batch = batch.map_err(|error| Box::new(Error::from(error)) as BoxError)?;
        coercer
            .restore(&batch)
            .map_err(|error| Box::new(error) as BoxError)
    })
    .boxed()
}

/// The order of a table's files.
pub(crate) fn ordering(snapshot: &Snapshot, schema: &SchemaRef) -> Option<LexOrdering> {
    let ascending = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let columns = snapshot.layout().sort.iter().map(|name| {
        let index = schema.index_of(name).ok()?;
        Some(PhysicalSortExpr::new(
            Arc::new(Column::new(name, index)),
            ascending,
        ))
    });
    LexOrdering::new(columns.collect::<Option<Vec<_>>>()?)
}

fn sorted(
    rows: SendableRecordBatchStream,
    schema: SchemaRef,
    ordering: LexOrdering,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let once = Arc::new(Once {
        schema: schema.clone(),
        rows: Mutex::new(Some(rows)),
    });
    let input = StreamingTableExec::try_new(schema, vec![once], None, vec![], false, None)?;
    let sort: Arc<dyn ExecutionPlan> = Arc::new(SortExec::new(ordering, Arc::new(input)));
    Ok(execute_stream(sort, context)?)
}

/// Rows for a draft. Boxed for the same reason as [`rewrite`].
pub(crate) fn add_to(draft: &mut Draft, rows: BatchStream) -> BoxFuture<'_, Result<u64>> {
    Box::pin(async move { draft.append(rows).await.map_err(told) })
}

/// A draft's files written anew.
pub(crate) fn rewrite_draft<'a>(
    draft: &'a mut Draft,
    removed: &'a [DataFile],
    rows: BatchStream,
    expect: Expect,
) -> BoxFuture<'a, Result<u64>> {
    Box::pin(async move { draft.rewrite(removed, rows, expect).await.map_err(told) })
}

/// A draft's rows written anew in other columns.
pub(crate) fn reshape_draft<'a>(
    draft: &'a mut Draft,
    definition: &'a Definition,
    rows: BatchStream,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move { draft.reshape(definition, rows).await.map_err(told) })
}

/// A rewrite of files, failing if it was not ours that landed.
///
/// Boxed, because the compiler can't see through the lake's own future that it may be sent to another thread.
pub(crate) fn rewrite<'a>(
    table: &'a Table,
    base: &'a Snapshot,
    removed: &'a [DataFile],
    rows: BatchStream,
    expect: Expect,
    txn: Txn,
    operation: &'static str,
) -> BoxFuture<'a, Result<Appended>> {
    Box::pin(async move {
        let written = table
            .rewrite(base, removed, rows, expect, txn, operation)
            .await
            .map_err(told)?;
        if written.already {
            return Err(Error::Conflict {
                table: table.name().table.clone(),
            });
        }
        Ok(written)
    })
}

/// What went wrong with the rows is the statement's error; everything else is the lake's.
pub(crate) fn told(error: rapport_lake::Error) -> Error {
    match error {
        rapport_lake::Error::Rows(source) => {
            Error::from(datafusion::error::DataFusionError::External(source))
        }
        // Rows are made for the columns that the statement found: others have come since.
        rapport_lake::Error::Conflict { table, .. }
        | rapport_lake::Error::WrongSchema { table, .. } => Error::Conflict { table: table.table },
        error => Error::from(error),
    }
}

/// A stream as a plan's source.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows of the statement")
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().expect("never held over a panic").take();
        rows.expect("a plan over rows of a statement is run once")
    }
}
