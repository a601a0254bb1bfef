//! A relation of the catalogue, read when the statement comes to it: of the columns only those that are wanted.

use std::sync::Arc;

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::{Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::Result as PlanResult,
    datasource::{TableType, provider_as_source},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableSource},
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use rapport_catalog_postgres::{Error as CatalogueError, Request};

use super::{
    System,
    value::{Kind, columns},
};
use crate::{Error, Result, privilege::quoted};

/// None if there is no such relation. Whether it may be read PostgreSQL says when it is.
pub(super) async fn open(
    system: System,
    schema: &str,
    table: &str,
) -> Result<Option<Arc<dyn TableSource>>> {
    let from = format!("{}.{}", quoted(schema), quoted(table));
    let described = Request::Describe {
        sql: format!("SELECT * FROM {from}"),
        param_types: vec![],
    };
    let fields = match system.ask(described).await {
        Ok(reply) => reply.fields.unwrap_or_default(),
        Err(Error::Catalogue(CatalogueError::Postgres(fields))) if fields.code == "42P01" => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let kinds: Vec<Kind> = fields.iter().map(Kind::of).collect();
    let schema = Schema::new(
        kinds
            .iter()
            .map(|kind| kind.field.clone())
            .collect::<Vec<_>>(),
    );
    Ok(Some(provider_as_source(Arc::new(CatalogueTable {
        system,
        from,
        schema: Arc::new(schema),
        kinds,
    }))))
}

#[derive(Debug)]
struct CatalogueTable {
    system: System,
    from: String,
    schema: SchemaRef,
    kinds: Vec<Kind>,
}

#[async_trait]
impl TableProvider for CatalogueTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.kinds.len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(wanted)?);
        let kinds: Vec<Kind> = wanted
            .iter()
            .map(|index| self.kinds[*index].clone())
            .collect();
        let names: Vec<String> = kinds.iter().map(|kind| quoted(kind.field.name())).collect();
        let limit = limit
            .map(|limit| format!(" LIMIT {limit}"))
            .unwrap_or_default();
        let read = Read {
            system: self.system.clone(),
            sql: format!("SELECT {} FROM {}{limit}", names.join(", "), self.from),
            schema: schema.clone(),
            kinds,
        };
        let plan =
            StreamingTableExec::try_new(schema, vec![Arc::new(read)], None, [], false, None)?;
        Ok(Arc::new(plan))
    }
}

#[derive(Clone, Debug)]
struct Read {
    system: System,
    sql: String,
    schema: SchemaRef,
    kinds: Vec<Kind>,
}

impl Read {
    async fn rows(self) -> Result<RecordBatch> {
        let request = Request::Extended {
            sql: self.sql,
            param_types: vec![],
            params: vec![],
            param_formats: vec![],
            result_formats: self.kinds.iter().map(|kind| kind.format).collect(),
        };
        let reply = self.system.ask(request).await?;
        let options = RecordBatchOptions::new().with_row_count(Some(reply.rows.len()));
        let arrays = columns(&reply.rows, &self.kinds)?;
        Ok(RecordBatch::try_new_with_options(
            self.schema,
            arrays,
            &options,
        )?)
    }
}

impl PartitionStream for Read {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let at_once = context.session_config().batch_size().max(1);
        let read = self.clone();
        let batches =
            stream::once(async move { PlanResult::<RecordBatch>::Ok(read.rows().await?) })
                .map_ok(move |rows: RecordBatch| {
                    let pieces: Vec<PlanResult<RecordBatch>> = (0..rows.num_rows())
                        .step_by(at_once)
                        .map(|start| Ok(rows.slice(start, at_once.min(rows.num_rows() - start))))
                        .collect();
                    stream::iter(pieces)
                })
                .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(
            self.schema.clone(),
            batches.boxed(),
        ))
    }
}
