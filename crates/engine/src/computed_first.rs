//! Sub-queries where DataFusion has no plan for them, computed in a projection, where it has.
//!
//! - `count(*) FILTER (WHERE (SELECT …) > 0)`: what an aggregate takes of sub-queries, below it.
//! - `ORDER BY (SELECT …)`: below the sort.
//! - `LATERAL (SELECT a.x * 2 AS y)`: one row for each row, so nothing has to be joined.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, JoinType, Result as PlanResult,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Aggregate, Expr, Join, LogicalPlan, LogicalPlanBuilder, Sort, expr_rewriter::NamePreserver,
        lit,
    },
};

use crate::{Result, names::PRIVATE};

pub(crate) fn compute_subqueries_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => lift(aggregate),
        LogicalPlan::Sort(sort) => before_sort(sort),
        LogicalPlan::Join(join) => beside_each_row(join),
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
            let changed = lift_from(expr.clone(), &mut lifted)?;
            Ok(name.restore(changed))
        });
        exprs.collect()
    };
    let groups = replace(&aggregate.group_expr)?;
    let aggregates = replace(&aggregate.aggr_expr)?;
    if lifted.is_empty() {
        return Ok(Transformed::no(node));
    }
    let mut columns = columns_of(&aggregate.input);
    columns.extend(lifted);
    let input = LogicalPlanBuilder::from(aggregate.input).project(columns)?;
    let aggregate = Aggregate::try_new(Arc::new(input.build()?), groups, aggregates)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// The expression without sub-queries: they go to the list, under the names that it then has.
fn lift_from(expr: Expr, lifted: &mut Vec<Expr>) -> PlanResult<Expr> {
    let changed = expr.transform_up(|expr| match expr {
        Expr::ScalarSubquery(_) => {
            let name = format!("{PRIVATE}subquery{}", lifted.len());
            lifted.push(expr.alias(&name));
            Ok(Transformed::yes(Expr::Column(Column::from_name(name))))
        }
        expr => Ok(Transformed::no(expr)),
    })?;
    Ok(changed.data)
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    let columns = plan.schema().columns().into_iter();
    columns.map(Expr::Column).collect()
}

fn before_sort(mut sort: Sort) -> PlanResult<Transformed<LogicalPlan>> {
    let mut lifted = vec![];
    for by in &mut sort.expr {
        by.expr = lift_from(by.expr.clone(), &mut lifted)?;
    }
    if lifted.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    let columns = columns_of(&sort.input);
    // What is sorted is mostly what was selected, and a sub-query may ask for what was not.
    let (mut computed, input) = match sort.input.as_ref() {
        LogicalPlan::Projection(selected) => (selected.expr.clone(), selected.input.clone()),
        _ => (columns.clone(), sort.input.clone()),
    };
    computed.extend(lifted);
    let plan = LogicalPlanBuilder::from(input)
        .project(computed)?
        .sort_with_limit(sort.expr, sort.fetch)?
        .project(columns)?
        .build()?;
    Ok(Transformed::yes(plan))
}

fn beside_each_row(join: Join) -> PlanResult<Transformed<LogicalPlan>> {
    let is_plain = matches!(join.join_type, JoinType::Inner | JoinType::Left)
        && join.on.is_empty()
        && (join.filter.is_none() || join.filter == Some(lit(true)));
    let computed = match join.right.as_ref() {
        LogicalPlan::Subquery(lateral) if is_plain => one_row(&lateral.subquery),
        LogicalPlan::SubqueryAlias(alias) if is_plain => match alias.input.as_ref() {
            LogicalPlan::Subquery(lateral) => one_row(&lateral.subquery),
            _ => None,
        },
        _ => None,
    };
    let Some(computed) = computed else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let mut columns = columns_of(&join.left);
    for (expr, (table, field)) in computed.into_iter().zip(join.right.schema().iter()) {
        let expr = expr.unalias().transform_up(|expr| match expr {
            Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
            expr => Ok(Transformed::no(expr)),
        })?;
        columns.push(expr.data.alias_qualified(table.cloned(), field.name()));
    }
    let plan = LogicalPlanBuilder::from(join.left)
        .project(columns)?
        .build()?;
    Ok(Transformed::yes(plan))
}

/// What is computed without a table.
fn one_row(plan: &LogicalPlan) -> Option<Vec<Expr>> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => one_row(&alias.input),
        LogicalPlan::Projection(selected) => match selected.input.as_ref() {
            LogicalPlan::EmptyRelation(nothing) if nothing.produce_one_row => {
                Some(selected.expr.clone())
            }
            _ => None,
        },
        _ => None,
    }
}
