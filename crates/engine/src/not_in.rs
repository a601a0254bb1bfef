//! `WHERE x NOT IN (SELECT y FROM b WHERE b.k = a.k)`: DataFusion asks the whole of `b` for a NULL, where only the rows of this
//! `a.k` count, and asks for none where `x` is no column of the rows. As a condition it is the same as
//! `NOT EXISTS (SELECT y FROM b WHERE b.k = a.k AND (x = y) IS NOT FALSE)`.

use std::sync::Arc;

use datafusion::{
    common::{Result as PlanResult, tree_node::Transformed},
    logical_expr::{
        Distinct, Expr, Filter, LogicalPlan, Subquery,
        expr::{Exists, InSubquery},
        simplify::SimplifyContext,
        utils::{conjunction, split_conjunction_owned},
    },
    optimizer::simplify_expressions::ExprSimplifier,
};

use crate::{Result, correlated::rows_of_value};

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
    let is_of_each =
        is_correlated || expr.column_refs().is_empty() || is_constant(&subquery.subquery);
    if !(is_negated && is_of_each) {
        return Ok(None);
    }
    let asked = InSubquery {
        negated: true,
        ..asked.clone()
    };
    let rows = rows_of_value(&asked, filter.input.schema())?;
    let subquery = Subquery {
        outer_ref_columns: rows.all_out_ref_exprs(),
        subquery: Arc::new(rows),
        spans: asked.subquery.spans,
    };
    Ok(Some(Expr::Exists(Exists {
        subquery,
        negated: true,
    })))
}

/// Whether its rows are all the same, `SELECT nullif(1, 1) FROM b`: in a join by NULL DataFusion finds no rows, and then none that
/// is NULL.
fn is_constant(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let schema = projection.input.schema();
            let context = SimplifyContext::builder()
                .with_schema(Arc::clone(schema))
                .build();
            let simplifier = ExprSimplifier::new(context);
            let folded = projection.expr.iter().cloned().map(|value| {
                let value = simplifier.coerce(value, schema)?;
                simplifier.simplify(value)
            });
            let mut folded = folded.map(|value: PlanResult<Expr>| value.ok());
            folded.all(|value| value.is_some_and(|value| value.column_refs().is_empty()))
        }
        LogicalPlan::SubqueryAlias(alias) => is_constant(&alias.input),
        LogicalPlan::Distinct(Distinct::All(input)) => is_constant(input),
        LogicalPlan::Sort(sort) => is_constant(&sort.input),
        LogicalPlan::Limit(limit) => is_constant(&limit.input),
        _ => false,
    }
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
