//! `count(*) FILTER (WHERE (SELECT …) > 0)`: DataFusion joins a sub-query to a projection, not to an aggregate. So what an
//! aggregate takes of sub-queries is computed in a projection below it.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, Result as PlanResult,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, expr_rewriter::NamePreserver,
    },
};

use crate::{Result, names::PRIVATE};

pub(crate) fn compute_subqueries_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => lift(aggregate),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(changed.data)
}

fn lift(aggregate: Aggregate) -> PlanResult<Transformed<LogicalPlan>> {
    let node = LogicalPlan::Aggregate(aggregate.clone());
    let names = NamePreserver::new(&node);
    let mut lifted = vec![];
    let mut replace = |exprs: &[Expr]| -> PlanResult<Vec<Expr>> {
        let exprs = exprs.iter().map(|expr| {
            let name = names.save(expr);
            let changed = expr.clone().transform_up(|expr| match expr {
                Expr::ScalarSubquery(_) => {
                    let name = format!("{PRIVATE}subquery{}", lifted.len());
                    lifted.push(expr.alias(&name));
                    Ok(Transformed::yes(Expr::Column(Column::from_name(name))))
                }
                expr => Ok(Transformed::no(expr)),
            })?;
            Ok(name.restore(changed.data))
        });
        exprs.collect()
    };
    let groups = replace(&aggregate.group_expr)?;
    let aggregates = replace(&aggregate.aggr_expr)?;
    if lifted.is_empty() {
        return Ok(Transformed::no(node));
    }
    let mut columns: Vec<Expr> = aggregate
        .input
        .schema()
        .iter()
        .map(|column| Expr::Column(Column::from(column)))
        .collect();
    columns.extend(lifted);
    let input = LogicalPlanBuilder::from(aggregate.input).project(columns)?;
    let aggregate = Aggregate::try_new(Arc::new(input.build()?), groups, aggregates)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}
