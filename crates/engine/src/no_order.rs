//! json has neither equality nor an order in PostgreSQL: what groups, sorts or tells rows apart by one is refused. jsonb has both.
//! So have arrays of intervals, of which we know neither: `24:00:00` in one is equal to `1 day`.

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

pub(crate) fn is_of_intervals(kind: &Kind) -> bool {
    matches!(kind, Kind::Array(item) if item.kind == Kind::Interval)
}

/// What an operator or a function compares.
pub(crate) fn check_operands(exprs: &[&Expr], schema: &dyn ExprSchema) -> Result<()> {
    exprs
        .iter()
        .filter_map(|expr| kind_of(expr, schema))
        .try_for_each(|kind| check_arrays(&kind))
}

fn check_arrays(kind: &Kind) -> Result<()> {
    match is_of_intervals(kind) {
        true => Err(Error::not_supported(
            "a comparison of arrays of intervals is not supported",
            "Compare their items: unnest(…).",
        )),
        false => Ok(()),
    }
}

fn check(kind: &Kind, what: &str) -> Result<()> {
    match kind {
        Kind::Json => Err(refused(what)),
        kind => check_arrays(kind),
    }
}

/// What rows are told apart by.
pub(crate) fn check_equality<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &dyn ExprSchema,
) -> Result<()> {
    let mut kinds = exprs.into_iter().filter_map(|expr| kind_of(expr, schema));
    kinds.try_for_each(|kind| check(&kind, "an equality operator"))
}

/// What rows are sorted by.
pub(crate) fn check_order(order_by: &[Sort], schema: &dyn ExprSchema) -> Result<()> {
    let mut kinds = order_by.iter().filter_map(|key| kind_of(&key.expr, schema));
    kinds.try_for_each(|kind| check(&kind, "an ordering operator"))
}

/// What `greatest` and `least` are given.
pub(crate) fn check_comparison(kind: &Kind) -> Result<()> {
    check(kind, "a comparison function")
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
            fields.try_for_each(|field| check(&column_type(field).kind, "an equality operator"))
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
