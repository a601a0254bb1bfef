//! What DataFusion believes of groups: that `GROUP BY s.c, g.m` has one row for each `s.c` if `s` has. It then leaves a DISTINCT, a
//! sort key or a join out. It knows the columns by the names of what is grouped by; so that has names of its own here.

use datafusion::{
    common::{
        Column, Result,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection, Sort, SortExpr},
};

/// Of a plan whose names are settled.
pub(crate) fn forget(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_unnest = |node: &LogicalPlan| matches!(node, LogicalPlan::Unnest(_));
    let forgotten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if !has_sets(&aggregate.group_expr) && is_told(&aggregate.input)? =>
        {
            grouped(aggregate).map(Transformed::yes)
        }
        LogicalPlan::Distinct(Distinct::All(input))
            if !input.schema().fields().is_empty() && is_told(&input)? =>
        {
            let columns = input.schema().iter().map(Column::from).map(Expr::Column);
            let columns = columns.collect();
            grouped(Aggregate::try_new(input, columns, vec![])?).map(Transformed::yes)
        }
        LogicalPlan::Sort(sort) if has(&sort.input, &is_unnest)? && is_told(&sort.input)? => {
            let keys = sort.expr.into_iter().enumerate().map(|(at, key)| SortExpr {
                expr: key.expr.alias(format!("\u{1}key{at}")),
                ..key
            });
            Ok(Transformed::yes(LogicalPlan::Sort(Sort {
                expr: keys.collect(),
                ..sort
            })))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(forgotten.data)
}

/// Whether groups are below, or rows that will be groups.
fn is_told(input: &LogicalPlan) -> Result<bool> {
    let is_grouped =
        |node: &LogicalPlan| matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_));
    has(input, &is_grouped)
}

fn has_sets(groups: &[Expr]) -> bool {
    groups
        .iter()
        .any(|group| matches!(group, Expr::GroupingSet(_)))
}

fn has(plan: &LogicalPlan, wanted: &dyn Fn(&LogicalPlan) -> bool) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= wanted(node);
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn grouped(aggregate: Aggregate) -> Result<LogicalPlan> {
    let width = aggregate.group_expr.len();
    let name = |at: usize| format!("\u{1}group{at}");
    let groups = aggregate.group_expr.into_iter().enumerate();
    let groups = groups.map(|(at, group)| group.alias(name(at))).collect();
    let columns = aggregate.schema.iter().enumerate();
    let columns = columns.map(|(at, (qualifier, field))| match at < width {
        true => Expr::Column(Column::new_unqualified(name(at)))
            .alias_qualified(qualifier.cloned(), field.name()),
        false => Expr::Column(Column::from((qualifier, field))),
    });
    let columns = columns.collect();
    let grouped = Aggregate::try_new(aggregate.input, groups, aggregate.aggr_expr)?;
    let projection = Projection::try_new(columns, LogicalPlan::Aggregate(grouped).into())?;
    Ok(LogicalPlan::Projection(projection))
}
