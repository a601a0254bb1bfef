//! What an open transaction block has written and not yet committed: its own session sees it, nobody else does.

use std::sync::Arc;

use arrow::{array::RecordBatch, compute::cast, datatypes::SchemaRef};
use datafusion::{
    datasource::{MemTable, TableProvider, ViewTable, provider_as_source},
    logical_expr::{LogicalPlanBuilder, TableSource},
};
use rapport_catalog_lake::{LakeTable, present_schema};
use rapport_lake::TableName;

use crate::Result;

/// Rows for one table, in storage types.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    table: TableName,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Staged {
    pub(crate) fn new(table: TableName, schema: SchemaRef) -> Self {
        Self {
            table,
            schema,
            batches: vec![],
        }
    }

    pub(crate) fn table(&self) -> &TableName {
        &self.table
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    pub(crate) fn add(&mut self, batches: Vec<RecordBatch>) {
        self.batches.extend(batches);
    }

    pub(crate) fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    pub(crate) fn bytes(&self) -> usize {
        self.batches
            .iter()
            .map(RecordBatch::get_array_memory_size)
            .sum()
    }

    /// The table with the staged rows behind its own.
    pub(crate) fn over(&self, table: Arc<LakeTable>) -> Result<Arc<dyn TableSource>> {
        let presented = present_schema(&self.schema);
        let batches = self.batches.iter().map(|batch| present(batch, &presented));
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let staged = MemTable::try_new(table.schema(), vec![batches])?;
        let name = self.table.table.as_str();
        let staged =
            LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(staged)), None)?.build()?;
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?
            .union(staged)?
            .build()?;
        Ok(provider_as_source(Arc::new(ViewTable::new(plan, None))))
    }
}

fn present(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    Ok(RecordBatch::try_new(
        schema.clone(),
        columns.collect::<Result<Vec<_>, _>>()?,
    )?)
}
