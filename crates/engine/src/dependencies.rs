//! What DataFusion believes of groups: that `GROUP BY s.c, g.m` has one row for each `s.c` if `s` has, and that each row of groups
//! stays one where `unnest` makes several of it. It would then leave a key, a DISTINCT or a sort key out. It knows the columns by
//! the names of what is grouped and sorted by; so these have names of their own here.

use datafusion::{
    common::{
        Column, Result,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection, Sort, SortExpr},
};

/// Of a plan whose names are settled.
pub(crate) fn forget(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut number = 0;
    let mut name = || {
        number += 1;
        format!("\u{1}key{number}")
    };
    let forgotten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Distinct(Distinct::All(input))
            if !input.schema().fields().is_empty() && has_groups(&input)? =>
        {
            let columns = input.schema().iter().map(Column::from);
            let (groups, shown): (Vec<Expr>, Vec<Expr>) = columns
                .map(|column| {
                    let (name, relation) = (name(), column.relation.clone());
                    let shown = Expr::Column(Column::new_unqualified(&name));
                    let shown = shown.alias_qualified(relation, &column.name);
                    (Expr::Column(column).alias(name), shown)
                })
                .unzip();
            let grouped = LogicalPlan::Aggregate(Aggregate::try_new(input, groups, vec![])?);
            let shown = Projection::try_new(shown, grouped.into())?;
            Ok(Transformed::yes(LogicalPlan::Projection(shown)))
        }
        LogicalPlan::Aggregate(aggregate)
            if !is_without_keys(&aggregate) && has_spread_groups(&aggregate.input)? =>
        {
            let groups = aggregate.group_expr.len();
            let names: Vec<String> = (0..groups).map(|_| name()).collect();
            let keys = aggregate.group_expr.into_iter().zip(&names);
            let keys = keys.map(|(key, name)| key.alias(name)).collect();
            let columns = aggregate.schema.iter().enumerate();
            let columns = columns.map(|(at, (relation, field))| match names.get(at) {
                Some(name) => Expr::Column(Column::new_unqualified(name))
                    .alias_qualified(relation.cloned(), field.name()),
                None => Expr::Column(Column::from((relation, field))),
            });
            let columns = columns.collect();
            let grouped = Aggregate::try_new(aggregate.input, keys, aggregate.aggr_expr)?;
            let grouped = LogicalPlan::Aggregate(grouped).into();
            let shown = Projection::try_new(columns, grouped)?;
            Ok(Transformed::yes(LogicalPlan::Projection(shown)))
        }
        LogicalPlan::Sort(sort) if has_groups_of_groups(&sort.input)? => {
            let keys = sort.expr.into_iter().map(|key| SortExpr {
                expr: key.expr.alias(name()),
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
fn has_groups(plan: &LogicalPlan) -> Result<bool> {
    has(plan, &|node| Ok(is_group(node)))
}

fn has_groups_of_groups(plan: &LogicalPlan) -> Result<bool> {
    has(plan, &|node| match node {
        node if is_group(node) || matches!(node, LogicalPlan::Unnest(_)) => {
            has_groups(node.inputs()[0])
        }
        _ => Ok(false),
    })
}

/// Whether groups are below what makes several rows of one.
fn has_spread_groups(plan: &LogicalPlan) -> Result<bool> {
    has(plan, &|node| match node {
        LogicalPlan::Join(_) | LogicalPlan::Unnest(_) => {
            let mut found = false;
            for input in node.inputs() {
                found |= has_groups(input)?;
            }
            Ok(found)
        }
        _ => Ok(false),
    })
}

/// Nothing is grouped by, or by sets of it.
fn is_without_keys(aggregate: &Aggregate) -> bool {
    let mut groups = aggregate.group_expr.iter();
    aggregate.group_expr.is_empty() || groups.any(|group| matches!(group, Expr::GroupingSet(_)))
}

fn is_group(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_))
}

fn has(plan: &LogicalPlan, wanted: &dyn Fn(&LogicalPlan) -> Result<bool>) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= wanted(node)?;
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}
