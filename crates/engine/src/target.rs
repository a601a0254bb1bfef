//! A table as the planner of an INSERT sees it: columns and defaults, and nothing to scan.

use std::{collections::HashMap, fmt, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Result as PlanResult},
    datasource::{TableType, provider_as_source},
    execution::SessionState,
    logical_expr::{Expr, TableSource},
    physical_plan::ExecutionPlan,
};
use rapport_catalog_lake::present_schema;
use rapport_lake::Snapshot;

use crate::{Error, Result};

/// The name that an INSERT of ours gives to its target.
pub(crate) const NAME: &str = "\u{1}target";

pub(crate) struct Target {
    schema: SchemaRef,
    defaults: HashMap<String, Expr>,
}

impl Target {
    /// `beside` are columns that come behind the table's own.
    pub(crate) fn source(
        snapshot: &Snapshot,
        beside: &[Field],
        state: &SessionState,
    ) -> Result<Arc<dyn TableSource>> {
        let nothing = DFSchema::empty();
        let defaults = snapshot.definition().defaults.iter().map(|(column, sql)| {
            let expr = state.create_logical_expr(sql, &nothing)?;
            Ok((column.clone(), expr))
        });
        let defaults = defaults.collect::<Result<HashMap<_, _>>>()?;
        let own = nullable(&present_schema(&snapshot.schema()));
        let fields = own.fields().iter().map(|field| field.as_ref().clone());
        let fields: Vec<Field> = fields.chain(beside.iter().cloned()).collect();
        Ok(provider_as_source(Arc::new(Self {
            schema: Arc::new(Schema::new(fields)),
            defaults,
        })))
    }
}

/// A NULL where there may be none is found when the rows are coerced, which knows what to call the column.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

#[async_trait]
impl TableProvider for Target {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.defaults.get(column)
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Err(Error::not_supported("reading the target of an INSERT", "").into())
    }
}
