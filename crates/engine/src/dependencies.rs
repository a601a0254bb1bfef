//! What DataFusion believes of groups: that `GROUP BY s.c, g.m` has one row for each `s.c` if `s` has. It would then leave a DISTINCT
//! or a sort key out. It knows the columns by the names of what is grouped and sorted by; so these have names of their own here.

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
