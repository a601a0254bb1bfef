//! json has neither equality nor an order in PostgreSQL: what groups, sorts or tells rows apart by one is refused. jsonb has both.

use datafusion::{
    common::ExprSchema,
    logical_expr::{Distinct, Expr, JoinType, LogicalPlan, expr::Sort},
};

use crate::{Error, Result, columns::column_type, pg_type::Kind, typed::kind_of};

fn refused(what: &str) -> Error {
    Error::UndefinedFunction {
        message: format!("could not identify {what} for type json"),
        hint: Some("Cast it to jsonb, or to text.".to_owned()),
    }
}

/// What rows are told apart by.
pub(crate) fn check_equality<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &dyn ExprSchema,
) -> Result<()> {
    let mut exprs = exprs.into_iter();
    match exprs.any(|expr| kind_of(expr, schema) == Some(Kind::Json)) {
        true => Err(refused("an equality operator")),
        false => Ok(()),
    }
}

/// What rows are sorted by.
pub(crate) fn check_order(order_by: &[Sort], schema: &dyn ExprSchema) -> Result<()> {
    let mut keys = order_by.iter();
    match keys.any(|key| kind_of(&key.expr, schema) == Some(Kind::Json)) {
        true => Err(refused("an ordering operator")),
        false => Ok(()),
    }
}

/// What `greatest` and `least` are given.
pub(crate) fn check_comparison(kind: &Kind) -> Result<()> {
    match kind {
        Kind::Json => Err(refused("a comparison function")),
        _ => Ok(()),
    }
}

/// The node itself; its aggregates and windows are expressions.
pub(crate) fn check_node(node: &LogicalPlan, schema: &dyn ExprSchema) -> Result<()> {
    match node {
        LogicalPlan::Aggregate(aggregate) => {
            let exprs = aggregate.group_expr.iter();
            let exprs = exprs.flat_map(|expr| match expr {
                Expr::GroupingSet(sets) => sets.distinct_expr(),
                expr => vec![expr],
            });
            check_equality(exprs, schema)
        }
        LogicalPlan::Distinct(Distinct::On(on)) => check_equality(&on.on_expr, schema),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let mut fields = input.schema().fields().iter();
            match fields.any(|field| column_type(field).kind == Kind::Json) {
                true => Err(refused("an equality operator")),
                false => Ok(()),
            }
        }
        LogicalPlan::Sort(sort) => check_order(&sort.expr, schema),
        // INTERSECT ALL and EXCEPT ALL.
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) =>
        {
            check_equality(join.on.iter().map(|(left, _)| left), schema)
        }
        _ => Ok(()),
    }
}
