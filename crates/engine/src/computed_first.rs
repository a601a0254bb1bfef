//! Sub-queries where DataFusion has no plan for them, computed in a projection, where it has.
//!
//! - `count(*) FILTER (WHERE (SELECT …) > 0)`: what an aggregate takes of sub-queries, below it.
//! - `ORDER BY (SELECT …)`, `rank() OVER (ORDER BY (SELECT …))`, `DISTINCT ON ((SELECT …))`: below the sort, the window, the
//!   choice of rows.
//! - `a JOIN b ON b.x = (SELECT … a.y …)`: on the side that it looks at.
//! - `LATERAL (SELECT a.x * 2 AS y)`: one row for each row, so nothing has to be joined.

use std::{collections::HashSet, sync::Arc};

use datafusion::{
    common::{
        Column, JoinType, Result as PlanResult,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, Distinct, DistinctOn, Expr, Join, LogicalPlan, LogicalPlanBuilder, Sort,
        SortExpr, Subquery, Window, expr_rewriter::NamePreserver, lit,
    },
};

use crate::{Result, correlated::columns_of, names::PRIVATE};

pub(crate) fn compute_subqueries_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => lift(aggregate),
        LogicalPlan::Sort(sort) => before_sort(sort),
        LogicalPlan::Window(window) => before_window(window),
        LogicalPlan::Distinct(Distinct::On(chosen)) => before_choice(chosen),
        LogicalPlan::Join(join) => match beside_each_row(join)? {
            Transformed {
                data: LogicalPlan::Join(join),
                transformed: false,
                ..
            } => before_join(join),
            beside => Ok(beside),
        },
        node => Ok(Transformed::no(node)),
    })?;
    Ok(changed.data)
}

fn lift(aggregate: Aggregate) -> PlanResult<Transformed<LogicalPlan>> {
    let node = LogicalPlan::Aggregate(aggregate.clone());
    let mut lifted = vec![];
    let groups = lift_named(&node, &aggregate.group_expr, &mut lifted)?;
    let aggregates = lift_named(&node, &aggregate.aggr_expr, &mut lifted)?;
    if lifted.is_empty() {
        return Ok(Transformed::no(node));
    }
    let mut columns = columns_of(&aggregate.input);
    columns.extend(lifted);
    let input = LogicalPlanBuilder::from(aggregate.input).project(columns)?;
    let aggregate = Aggregate::try_new(Arc::new(input.build()?), groups, aggregates)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// The expressions of a node without sub-queries, called as before.
fn lift_named(node: &LogicalPlan, exprs: &[Expr], lifted: &mut Vec<Expr>) -> PlanResult<Vec<Expr>> {
    let names = NamePreserver::new(node);
    let exprs = exprs.iter().map(|expr| {
        let name = names.save(expr);
        let changed = lift_from(expr.clone(), lifted)?;
        Ok(name.restore(changed))
    });
    exprs.collect()
}

/// The expression without sub-queries: they go to the list, under the names that it then has.
fn lift_from(expr: Expr, lifted: &mut Vec<Expr>) -> PlanResult<Expr> {
    lift_which(expr, "", lifted, &|_| true)
}

fn lift_which(
    expr: Expr,
    mark: &str,
    lifted: &mut Vec<Expr>,
    is_wanted: &dyn Fn(&Subquery) -> bool,
) -> PlanResult<Expr> {
    let changed = expr.transform_up(|expr| match &expr {
        Expr::ScalarSubquery(subquery) if is_wanted(subquery) => {
            // Twice the same is computed once, and stays the same.
            let is_same = |known: &Expr| matches!(known, Expr::Alias(known) if *known.expr == expr);
            let at = lifted.iter().position(is_same).unwrap_or(lifted.len());
            let name = format!("{PRIVATE}subquery{mark}{at}");
            if at == lifted.len() {
                lifted.push(expr.alias(&name));
            }
            Ok(Transformed::yes(Expr::Column(Column::from_name(name))))
        }
        _ => Ok(Transformed::no(expr)),
    })?;
    Ok(changed.data)
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

fn before_window(window: Window) -> PlanResult<Transformed<LogicalPlan>> {
    let node = LogicalPlan::Window(window.clone());
    let mut lifted = vec![];
    let exprs = lift_named(&node, &window.window_expr, &mut lifted)?;
    if lifted.is_empty() {
        return Ok(Transformed::no(node));
    }
    let mut computed = columns_of(&window.input);
    computed.extend(lifted);
    let input = LogicalPlanBuilder::from(window.input).project(computed)?;
    let window = Window::try_new(exprs, Arc::new(input.build()?))?;
    let plan = LogicalPlanBuilder::from(LogicalPlan::Window(window))
        .project(columns_of(&node))?
        .build()?;
    Ok(Transformed::yes(plan))
}

fn before_choice(mut chosen: DistinctOn) -> PlanResult<Transformed<LogicalPlan>> {
    let is_repeated = chosen.sort_expr.as_mut().is_some_and(drop_repeated);
    let node = LogicalPlan::Distinct(Distinct::On(chosen.clone()));
    let mut lifted = vec![];
    let on = chosen.on_expr.into_iter();
    let on = on.map(|expr| lift_from(expr, &mut lifted));
    let on = on.collect::<PlanResult<_>>()?;
    let selected = lift_named(&node, &chosen.select_expr, &mut lifted)?;
    let mut order = chosen.sort_expr;
    for by in order.iter_mut().flatten() {
        by.expr = lift_from(by.expr.clone(), &mut lifted)?;
    }
    if lifted.is_empty() {
        return Ok(Transformed::new(
            node,
            is_repeated,
            TreeNodeRecursion::Continue,
        ));
    }
    let mut computed = columns_of(&chosen.input);
    computed.extend(lifted);
    let input = LogicalPlanBuilder::from(chosen.input).project(computed)?;
    let chosen = DistinctOn::try_new(on, selected, order, Arc::new(input.build()?))?;
    let plan = LogicalPlan::Distinct(Distinct::On(chosen));
    Ok(Transformed::yes(plan))
}

/// A key that stands behind itself orders nothing, and DataFusion counts it once.
fn drop_repeated(keys: &mut Vec<SortExpr>) -> bool {
    let all = keys.len();
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.expr.clone()));
    keys.len() < all
}

fn before_join(join: Join) -> PlanResult<Transformed<LogicalPlan>> {
    let looks_at = |side: &LogicalPlan, subquery: &Subquery| {
        let outer = subquery.outer_ref_columns.iter();
        let is_there = |outer: &Expr| match outer {
            Expr::OuterReferenceColumn(_, column) => side.schema().has_column(column),
            _ => false,
        };
        !subquery.outer_ref_columns.is_empty() && outer.into_iter().all(is_there)
    };
    let (mut of_left, mut of_right) = (vec![], vec![]);
    let mut lift = |expr: Expr| {
        let expr = lift_which(expr, "l", &mut of_left, &|one| looks_at(&join.left, one))?;
        lift_which(expr, "r", &mut of_right, &|one| looks_at(&join.right, one))
    };
    let filter = join.filter.clone().map(&mut lift).transpose()?;
    let on = join.on.iter().cloned();
    let on = on.map(|(left, right)| Ok((lift(left)?, lift(right)?)));
    let on = on.collect::<PlanResult<Vec<_>>>()?;
    if of_left.is_empty() && of_right.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let columns = columns_of(&LogicalPlan::Join(join.clone()));
    let with = |side: &Arc<LogicalPlan>, lifted: Vec<Expr>| {
        let mut computed = columns_of(side);
        computed.extend(lifted);
        let side = LogicalPlanBuilder::from(side.clone()).project(computed)?;
        side.build().map(Arc::new)
    };
    let joined = Join::try_new(
        with(&join.left, of_left)?,
        with(&join.right, of_right)?,
        on,
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let plan = LogicalPlanBuilder::from(LogicalPlan::Join(joined))
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
