//! `(SELECT 3 FROM t WHERE false)` is NULL. To DataFusion the value of a sub-query is NULL only where its column may be.

use std::sync::Arc;

use datafusion::{
    common::{
        Result as PlanResult,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Subquery},
};

use crate::{Result, not_in::is_one_row};

/// Sub-queries that may have no rows answer what may be NULL. Those that look at the row beside them do so anyway.
pub(crate) fn allow_nulls(plan: LogicalPlan, perhaps: &Arc<ScalarUDF>) -> Result<LogicalPlan> {
    let mut is_changed = false;
    let changed = plan.transform_up_with_subqueries(|node| {
        let changed = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::ScalarSubquery(subquery) if needs_null(&subquery) => {
                    let plan = nullable(&subquery.subquery, perhaps)?;
                    let subquery = Subquery {
                        subquery: Arc::new(plan),
                        ..subquery
                    };
                    Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
                }
                expr => Ok(Transformed::no(expr)),
            })
        })?;
        is_changed |= changed.transformed;
        match is_changed {
            true => changed.map_data(LogicalPlan::recompute_schema),
            false => Ok(changed),
        }
    })?;
    Ok(changed.data)
}

fn needs_null(subquery: &Subquery) -> bool {
    let plan = &subquery.subquery;
    subquery.outer_ref_columns.is_empty()
        && plan.schema().fields().len() == 1
        && !plan.schema().field(0).is_nullable()
        && !is_one_row(plan)
}

fn nullable(plan: &Arc<LogicalPlan>, perhaps: &Arc<ScalarUDF>) -> PlanResult<LogicalPlan> {
    let (qualifier, field) = plan.schema().qualified_field(0);
    let column = Expr::Column((qualifier, field).into());
    let value = perhaps.call(vec![column]);
    let value = value.alias_qualified(qualifier.cloned(), field.name());
    LogicalPlanBuilder::from(plan.clone())
        .project([value])?
        .build()
}
