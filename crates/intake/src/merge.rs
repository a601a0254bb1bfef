//! Sorted runs on disk → one sorted stream.

use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::held::read_back;
use crate::table::Facts;
use crate::{Error, Result};

/// A run is read this many rows at a time, so that a hundred runs stay small.
const BATCH_ROWS: usize = 4_096;

/// The runs are Parquet files with the table's columns. Ends when `take` says so.
pub fn merge(
    runs: &[File],
    table: &Facts,
    take: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<()> {
    let mut streams = vec![];
    for run in runs {
        streams.push(stream(run, table)?);
    }
    let order = table.sort.iter().filter_map(|name| {
        let column = Arc::new(Column::new(name, table.index(name)?));
        let options = SortOptions {
            descending: false,
            nulls_first: false,
        };
        Some(PhysicalSortExpr::new(column, options))
    });
    let mut merged: SendableRecordBatchStream = match LexOrdering::new(order) {
        Some(order) => {
            let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
            StreamingMergeBuilder::new()
                .with_streams(streams)
                .with_schema(Arc::clone(&table.schema))
                .with_expressions(&order)
                .with_batch_size(BATCH_ROWS * 4)
                .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0))
                .with_reservation(MemoryConsumer::new("merge of a load").register(&pool))
                .build()
                .map_err(Error::Sort)?
        }
        None => Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&table.schema),
            futures::stream::iter(streams).flatten(),
        )),
    };
    // The runs are read by this thread; there is nobody to wait for.
    futures::executor::block_on(async {
        while let Some(batch) = merged.next().await {
            if !take(batch.map_err(Error::Sort)?) {
                break;
            }
        }
        Ok(())
    })
}

fn stream(run: &File, table: &Facts) -> Result<SendableRecordBatchStream> {
    let failed = read_back;
    let file = run.try_clone().map_err(failed)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .map_err(|error| failed(std::io::Error::other(error)))?;
    let schema = Arc::clone(&table.schema);
    let batches = reader.map(move |batch| {
        let batch = batch?;
        // Metadata of the table's fields does not survive the file in every case.
        Ok::<_, DataFusionError>(RecordBatch::try_new(
            Arc::clone(&schema),
            batch.columns().to_vec(),
        )?)
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        Arc::clone(&table.schema),
        futures::stream::iter(batches),
    )))
}
