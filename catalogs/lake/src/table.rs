//! One version of a lake table as DataFusion scans it.

use std::sync::{Arc, OnceLock};

use arrow::{
    compute::SortOptions,
    datatypes::{Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, Statistics, project_schema},
    config::TableParquetOptions,
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{
            FileGroup, FileScanConfigBuilder, ParquetSource,
            parquet::CachedParquetFileReaderFactory,
        },
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown},
    physical_expr::{LexOrdering, PhysicalSortExpr, expressions::Column},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};
use object_store::{ObjectMeta, path::Path};
use rapport_lake::{DataFile, Snapshot};

use crate::{footers::Footers, groups, present_schema, prune, statistics};

/// Read with the first request for a footer. Ours are about this big with the page index of one row group.
const FOOTER_GUESS_BYTES: usize = 512 << 10;

/// Make one for a version and keep it: what is computed from the log is computed once.
pub struct LakeTable {
    snapshot: Arc<Snapshot>,
    store: ObjectStoreUrl,
    schema: SchemaRef,
    files: OnceLock<Vec<PartitionedFile>>,
    /// Scan these files of the snapshot only.
    selection: Option<Vec<DataFile>>,
}

impl LakeTable {
    /// `store` is the URL under which the lake's store is registered with the session that scans.
    pub fn new(snapshot: Arc<Snapshot>, store: ObjectStoreUrl) -> Self {
        let schema = present_schema(&snapshot.schema());
        Self {
            snapshot,
            store,
            schema,
            files: OnceLock::new(),
            selection: None,
        }
    }

    /// The same version, reading only some of its files: what a rewrite of those files needs.
    pub fn of_files(snapshot: Arc<Snapshot>, store: ObjectStoreUrl, files: Vec<DataFile>) -> Self {
        Self {
            selection: Some(files),
            ..Self::new(snapshot, store)
        }
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The files that may hold a row that the filters keep.
    pub fn candidates(&self, filters: &[Expr], session: &dyn Session) -> Result<Vec<DataFile>> {
        let keep = prune::keep(&self.snapshot, &self.schema, filters, session)?;
        let kept = self
            .snapshot
            .files()
            .iter()
            .zip(keep)
            .filter(|(_, keep)| *keep);
        Ok(kept.map(|(file, _)| file.clone()).collect())
    }

    fn files(&self) -> &[PartitionedFile] {
        self.files.get_or_init(|| {
            let files = self.selection.as_deref().unwrap_or(self.snapshot.files());
            files
                .iter()
                .map(|file| partitioned(file, &self.schema))
                .collect()
        })
    }

    /// The declared order, or nothing if some file may be unsorted: one that another program wrote.
    fn ordering(&self) -> Option<LexOrdering> {
        let files = self.selection.as_deref().unwrap_or(self.snapshot.files());
        let sort = &self.snapshot.layout().sort;
        if !files.iter().all(|file| file.is_sorted_by(sort)) {
            return None;
        }
        let ascending = SortOptions {
            descending: false,
            nulls_first: false,
        };
        let columns = sort.iter().map(|name| {
            let index = self.schema.index_of(name).ok()?;
            Some(PhysicalSortExpr::new(
                Arc::new(Column::new(name, index)),
                ascending,
            ))
        });
        LexOrdering::new(columns.collect::<Option<Vec<_>>>()?)
    }

    fn kept_files(&self, filters: &[Expr], session: &dyn Session) -> Result<Vec<PartitionedFile>> {
        if self.selection.is_some() {
            return Ok(self.files().to_vec());
        }
        let keep = prune::keep(&self.snapshot, &self.schema, filters, session)?;
        let kept = self.files().iter().zip(keep).filter(|(_, keep)| *keep);
        Ok(kept.map(|(file, _)| file.clone()).collect())
    }
}

impl std::fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "LakeTable({} version {})",
            self.snapshot.name(),
            self.snapshot.version()
        )
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Inexact: the scan drops what it can, and the physical optimizer pushes the rest into the Parquet reader.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.kept_files(filters, session)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(
                &self.schema,
                projection,
            )?)));
        }

        let total = merged(&files, &self.schema)?;
        let partitions = session.config().target_partitions();
        let ordering = self.ordering();
        let arranged = match ordering.as_ref().and_then(lead) {
            Some(lead) if self.selection.is_some() => groups::sorted(files, lead, usize::MAX),
            Some(lead) => groups::sorted(files, lead, partitions),
            None => groups::unsorted(files, partitions),
        };
        let output_ordering = if arranged.sorted {
            ordering.into_iter().collect()
        } else {
            vec![]
        };
        let file_groups = arranged
            .groups
            .into_iter()
            .map(|group| {
                let statistics = merged(group.files(), &self.schema)?;
                Ok(group.with_statistics(Arc::new(statistics)))
            })
            .collect::<Result<Vec<FileGroup>>>()?;

        let config =
            FileScanConfigBuilder::new(self.store.clone(), Arc::new(self.source(session)?))
                .with_file_groups(file_groups)
                .with_statistics(total)
                .with_output_ordering(output_ordering)
                .with_limit(limit)
                .with_projection_indices(projection.cloned())?
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl LakeTable {
    fn source(&self, session: &dyn Session) -> Result<ParquetSource> {
        let runtime = session.runtime_env();
        let footers = CachedParquetFileReaderFactory::new(
            runtime.object_store(&self.store)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let options = TableParquetOptions {
            global: session.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        Ok(ParquetSource::new(TableSchema::from(self.schema.clone()))
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_GUESS_BYTES)
            .with_parquet_file_reader_factory(Arc::new(Footers(footers)))
            .with_pushdown_filters(true)
            .with_reorder_filters(true)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true))
    }
}

fn lead(ordering: &LexOrdering) -> Option<usize> {
    ordering
        .first()
        .expr
        .downcast_ref::<Column>()
        .map(Column::index)
}

fn merged(files: &[PartitionedFile], schema: &Schema) -> Result<Statistics> {
    Statistics::try_merge_iter(
        files.iter().filter_map(|file| file.statistics.as_deref()),
        schema,
    )
}

fn partitioned(file: &DataFile, schema: &Schema) -> PartitionedFile {
    let meta = ObjectMeta {
        location: Path::from(file.path.as_str()),
        last_modified: file.modified,
        size: file.size,
        e_tag: None,
        version: None,
    };
    PartitionedFile::new_from_meta(meta)
        .with_statistics(Arc::new(statistics::of_file(file, schema)))
}
