//! `WHERE x NOT IN (SELECT y FROM b WHERE b.k = a.k)`: DataFusion asks the whole of `b` for a NULL, where only the rows of this
//! `a.k` count, and asks for none where `x` is no column of the rows. As a condition it is the same as
//! `NOT EXISTS (SELECT y FROM b WHERE b.k = a.k AND (x = y) IS NOT FALSE)`.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, ExprSchema, Result as PlanResult,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Expr, Filter, LogicalPlan, LogicalPlanBuilder, Subquery,
        expr::{Exists, InSubquery},
        utils::{conjunction, split_conjunction_owned},
    },
};

use crate::Result;

/// Changes such conditions, and nothing else.
pub(crate) fn ask_the_rows_of_each(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Filter(filter) = node else {
            return Ok(Transformed::no(node));
        };
        let mut is_changed = false;
        let conditions = split_conjunction_owned(filter.predicate.clone()).into_iter();
        let conditions = conditions.map(|condition| match asked_of_each(&condition, &filter)? {
            Some(changed) => {
                is_changed = true;
                Ok(changed)
            }
            None => Ok(condition),
        });
        let conditions = conditions.collect::<PlanResult<Vec<_>>>()?;
        match conjunction(conditions) {
            Some(predicate) if is_changed => {
                let filter = Filter::try_new(predicate, filter.input)?;
                Ok(Transformed::yes(LogicalPlan::Filter(filter)))
            }
            _ => Ok(Transformed::no(LogicalPlan::Filter(filter))),
        }
    });
    Ok(changed?.data)
}

fn asked_of_each(condition: &Expr, filter: &Filter) -> PlanResult<Option<Expr>> {
    let (asked, is_negated) = match condition {
        Expr::InSubquery(asked) => (asked, asked.negated),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(asked) => (asked, !asked.negated),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let InSubquery { expr, subquery, .. } = asked;
    let is_correlated = !subquery.outer_ref_columns.is_empty();
    if is_one_row(&subquery.subquery) {
        let value = Expr::ScalarSubquery(subquery.clone());
        let one = expr.as_ref().clone();
        return Ok(Some(match is_negated {
            true => one.not_eq(value),
            false => one.eq(value),
        }));
    }
    let is_of_each = is_correlated || expr.column_refs().is_empty();
    if !(is_negated && is_of_each) {
        return Ok(None);
    }
    let schema = filter.input.schema();
    let outside = expr.as_ref().clone().transform_up(|part| match part {
        Expr::Column(column) => {
            let field = schema.field_from_column(&column)?.clone();
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        part => Ok(Transformed::no(part)),
    })?;
    let inside = &subquery.subquery;
    let own = Column::from(inside.schema().qualified_field(0));
    let equal = outside.data.eq(Expr::Column(own));
    let rows = LogicalPlanBuilder::from(inside.as_ref().clone())
        .filter(equal.is_not_false())?
        .build()?;
    let subquery = Subquery {
        outer_ref_columns: rows.all_out_ref_exprs(),
        subquery: Arc::new(rows),
        spans: subquery.spans.clone(),
    };
    Ok(Some(Expr::Exists(Exists {
        subquery,
        negated: true,
    })))
}

/// Whether it answers one row whatever there is: `SELECT max(y) FROM b WHERE …`. It is a value then, also of no rows.
pub(crate) fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}
