//! Files whose footers are kept, with their page indexes.
//!
//! DataFusion's own reader keeps the footer alone, and fetches and decodes the page index anew for every query.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::{
    common::Result,
    datasource::{
        listing::PartitionedFile,
        physical_plan::{ParquetFileReaderFactory, parquet::CachedParquetFileReaderFactory},
    },
    parquet::{
        arrow::{arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
        errors::Result as ParquetResult,
        file::metadata::{PageIndexPolicy, ParquetMetaData},
    },
    physical_plan::metrics::ExecutionPlanMetricsSet,
};
use futures::{FutureExt, future::BoxFuture};

#[derive(Debug)]
pub struct Footers(pub CachedParquetFileReaderFactory);

impl ParquetFileReaderFactory for Footers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let reader = self.0.create_reader(partition, file, size_hint, metrics)?;
        Ok(Box::new(WithPageIndex(reader)))
    }
}

struct WithPageIndex(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for WithPageIndex {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.0.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let options = options.cloned().unwrap_or_default();
        let options = options.with_page_index_policy(PageIndexPolicy::Optional);
        async move { self.0.get_metadata(Some(&options)).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::{execution::runtime_env::RuntimeEnv, parquet::arrow::ArrowWriter};
    use futures::executor::block_on;
    use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

    use super::*;

    #[test]
    fn a_page_index_is_read_once() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).expect("one column");
        let mut file = vec![];
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).expect("a file");
        writer.write(&batch).expect("it is in memory");
        writer.close().expect("it is in memory");

        let store = Arc::new(InMemory::new());
        let path = Path::from("n.parquet");
        block_on(store.put(&path, file.into())).expect("it is in memory");
        let meta = block_on(store.head(&path)).expect("it is there");
        let cache = RuntimeEnv::default()
            .cache_manager
            .get_file_metadata_cache();
        let footers = Footers(CachedParquetFileReaderFactory::new(store.clone(), cache));
        let footer = || {
            let file = PartitionedFile::new_from_meta(meta.clone());
            let metrics = ExecutionPlanMetricsSet::new();
            let mut reader = footers
                .create_reader(0, file, None, &metrics)
                .expect("a reader");
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
            block_on(reader.get_metadata(Some(&options))).expect("a footer")
        };
        assert!(footer().column_index().is_some());
        block_on(store.delete(&path)).expect("it is there");
        assert!(footer().offset_index().is_some());
    }
}
