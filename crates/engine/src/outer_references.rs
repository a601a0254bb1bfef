//! What a sub-query takes from outside, with the type that it has there by now: the planner notes it before the columns of
//! UNION and VALUES have the types that PostgreSQL finds for them.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, DFSchema, Result as PlanResult,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan, Subquery},
};

pub(crate) fn note_types(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    match has_any(&plan)? {
        true => noted(plan),
        false => Ok(plan),
    }
}

fn has_any(plan: &LogicalPlan) -> PlanResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        for expr in node.expressions() {
            found |= expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..))))?;
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn noted(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let noted = plan.transform_down(|node| {
        if let LogicalPlan::Join(mut join) = node {
            // What stands beside a table may take from it.
            let right = Arc::unwrap_or_clone(join.right);
            join.right = Arc::new(beside(right, join.left.schema())?);
            return Ok(Transformed::yes(LogicalPlan::Join(join)));
        }
        let mut outside = DFSchema::empty();
        for input in node.inputs() {
            outside.merge(input.schema());
        }
        node.map_expressions(|expr| {
            expr.transform_down(|expr| {
                Ok(match expr {
                    Expr::ScalarSubquery(subquery) => {
                        Transformed::yes(Expr::ScalarSubquery(within(subquery, &outside)?))
                    }
                    Expr::Exists(mut exists) => {
                        exists.subquery = within(exists.subquery, &outside)?;
                        Transformed::yes(Expr::Exists(exists))
                    }
                    Expr::InSubquery(mut asked) => {
                        asked.subquery = within(asked.subquery, &outside)?;
                        Transformed::yes(Expr::InSubquery(asked))
                    }
                    Expr::SetComparison(mut compared) => {
                        compared.subquery = within(compared.subquery, &outside)?;
                        Transformed::yes(Expr::SetComparison(compared))
                    }
                    expr => Transformed::no(expr),
                })
            })
        })
    })?;
    let plan = noted
        .data
        .transform_up(|node| Ok(Transformed::yes(node.recompute_schema()?)))?;
    Ok(plan.data)
}

/// A sub-query after LATERAL, whatever it is called.
fn beside(plan: LogicalPlan, outside: &DFSchema) -> PlanResult<LogicalPlan> {
    let changed = plan.transform_down(|node| {
        Ok(match node {
            LogicalPlan::Subquery(subquery) => {
                let subquery = LogicalPlan::Subquery(within(subquery, outside)?);
                Transformed::new(subquery, true, TreeNodeRecursion::Jump)
            }
            node @ LogicalPlan::SubqueryAlias(_) => Transformed::no(node),
            node => Transformed::new(node, false, TreeNodeRecursion::Jump),
        })
    })?;
    Ok(changed.data)
}

/// Then what is within the sub-query itself, which hides what is outside of both.
fn within(mut subquery: Subquery, outside: &DFSchema) -> PlanResult<Subquery> {
    let plan = Arc::unwrap_or_clone(subquery.subquery);
    let changed = plan.transform_up_with_subqueries(|node| {
        let node =
            node.map_expressions(|expr| expr.transform_up(|expr| Ok(typed(expr, outside))))?;
        Ok(Transformed::yes(node.data.recompute_schema()?))
    })?;
    subquery.subquery = Arc::new(noted(changed.data)?);
    let columns = subquery.outer_ref_columns.into_iter();
    subquery.outer_ref_columns = columns.map(|column| typed(column, outside).data).collect();
    Ok(subquery)
}

fn typed(expr: Expr, outside: &DFSchema) -> Transformed<Expr> {
    let Expr::OuterReferenceColumn(field, column) = expr else {
        return Transformed::no(expr);
    };
    match of(&column, outside) {
        Some(now) if now != field => Transformed::yes(Expr::OuterReferenceColumn(now, column)),
        _ => Transformed::no(Expr::OuterReferenceColumn(field, column)),
    }
}

fn of(column: &Column, outside: &DFSchema) -> Option<arrow::datatypes::FieldRef> {
    let index = outside.maybe_index_of_column(column)?;
    Some(outside.field(index).clone())
}
