//! `GROUP BY ROLLUP (date_trunc('month', day))`: what the sets are made of is computed below them, so that they hold columns
//! alone. DataFusion names the columns of such a query after its expressions, and later passes change those.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, Result as PlanResult,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, Projection},
};

use crate::Result;

pub(crate) fn compute_grouped_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => computed_first(aggregate),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(changed.data)
}

fn computed_first(aggregate: Aggregate) -> PlanResult<Transformed<LogicalPlan>> {
    let computed: Vec<Expr> = match aggregate.group_expr.as_slice() {
        [Expr::GroupingSet(set)] => {
            let all = set.distinct_expr().into_iter();
            all.filter(|expr| !matches!(expr, Expr::Column(_)))
                .cloned()
                .collect()
        }
        _ => vec![],
    };
    if computed.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let column = |expr: Expr| match computed.contains(&expr) {
        true => Expr::Column(Column::new_unqualified(expr.schema_name().to_string())),
        false => expr,
    };
    let columns = |all: Vec<Expr>| all.into_iter().map(column).collect::<Vec<_>>();
    let given = aggregate.input.schema().iter();
    let given = given.map(|column| Expr::Column(Column::from(column)));
    let named = computed.iter().map(|expr| {
        let name = expr.schema_name().to_string();
        expr.clone().alias(name)
    });
    let below = Projection::try_new(given.chain(named).collect(), aggregate.input.clone())?;
    let sets = aggregate.group_expr.into_iter().map(|expr| match expr {
        Expr::GroupingSet(GroupingSet::Rollup(all)) => {
            Expr::GroupingSet(GroupingSet::Rollup(columns(all)))
        }
        Expr::GroupingSet(GroupingSet::Cube(all)) => {
            Expr::GroupingSet(GroupingSet::Cube(columns(all)))
        }
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            let sets = sets.into_iter().map(columns).collect();
            Expr::GroupingSet(GroupingSet::GroupingSets(sets))
        }
        expr => expr,
    });
    let calls = aggregate.aggr_expr.into_iter().map(|expr| {
        let changed = expr.transform_up(|expr| match expr {
            Expr::AggregateFunction(mut call) if call.func.name() == "grouping" => {
                call.params.args = columns(call.params.args);
                Ok(Transformed::yes(Expr::AggregateFunction(call)))
            }
            expr => Ok(Transformed::no(expr)),
        });
        changed.map(|changed| changed.data)
    });
    let calls = calls.collect::<PlanResult<Vec<_>>>()?;
    let below = Arc::new(LogicalPlan::Projection(below));
    let grouped = Aggregate::try_new(below, sets.collect(), calls)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(grouped)))
}
