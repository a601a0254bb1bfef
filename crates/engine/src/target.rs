//! A table as the planner of an INSERT sees it: columns and defaults, and nothing to scan.

use std::{collections::HashMap, fmt, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::Result as PlanResult,
    datasource::{TableType, provider_as_source},
    logical_expr::{Expr, LogicalPlan, TableSource},
    physical_plan::ExecutionPlan,
    sql::sqlparser::ast,
};
use rapport_catalog_lake::present_schema;
use rapport_lake::Snapshot;

use crate::{Error, Result, change::ours, pins::Pins, plan::Scope};

/// The name that an INSERT of ours gives to its target.
pub(crate) const NAME: &str = "\u{1}target";

pub(crate) struct Target {
    schema: SchemaRef,
    defaults: HashMap<String, Expr>,
}

impl Target {
    /// `beside` are columns that come behind the table's own, `defaults` what others are given that a row leaves out.
    pub(crate) fn source(
        snapshot: &Snapshot,
        beside: &[Field],
        defaults: HashMap<String, Expr>,
    ) -> Arc<dyn TableSource> {
        let own = nullable(&present_schema(&snapshot.schema()));
        let fields = own.fields().iter().map(|field| field.as_ref().clone());
        let fields: Vec<Field> = fields.chain(beside.iter().cloned()).collect();
        provider_as_source(Arc::new(Self {
            schema: Arc::new(Schema::new(fields)),
            defaults,
        }))
    }
}

/// Of the columns that are not among the given.
pub(crate) async fn defaults(
    scope: &Scope,
    pins: &Pins,
    snapshot: &Snapshot,
    given: &[String],
) -> Result<HashMap<String, Expr>> {
    let mut defaults = HashMap::new();
    for (column, sql) in &snapshot.definition().defaults {
        if !given.contains(column) {
            defaults.insert(column.clone(), default(scope, pins, sql).await?);
        }
    }
    Ok(defaults)
}

/// A column's default, planned as a query plans it.
async fn default(scope: &Scope, pins: &Pins, sql: &str) -> Result<Expr> {
    let unknown = || {
        Error::not_supported(
            format!("the default {sql} is not supported"),
            "Name the column in the INSERT, and give its value.",
        )
    };
    let ast::Statement::Query(query) = ours(scope, &format!("SELECT {sql}"))? else {
        return Err(unknown());
    };
    let planned = Box::pin(scope.plan_query(pins, &query, &[])).await?;
    match planned.plan {
        LogicalPlan::Projection(mut projection)
            if matches!(*projection.input, LogicalPlan::EmptyRelation(_)) =>
        {
            let expr = projection.expr.pop().ok_or_else(unknown)?;
            Ok(expr.unalias_nested().data)
        }
        _ => Err(unknown()),
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
