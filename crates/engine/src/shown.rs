//! The digits after the point of a query's numbers, as a client sees them.
//!
//! PostgreSQL carries with each value how many digits it shows: `1.50` keeps its zero, and `1.0 / 1` has twenty of them.
//! Arrow does not, and nothing but the result of a query shows it. So where the scale of a result column's type is not
//! what is to be seen, it is found out by going back through the plan how the values come about, a column with their
//! scales is computed beside them, and the result column becomes a text. What can't be traced back shows the digits that
//! its type stands for; no digit that says something is ever lost.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{Column as ColumnRef, DFSchema, Result as PlanResult, ScalarValue},
    functions_aggregate::min_max::max_udaf,
    logical_expr::{
        Aggregate, Case, Cast, Expr, ExprSchemable, Join, JoinType, LogicalPlan,
        LogicalPlanBuilder, Projection, SubqueryAlias, Union, Values, Window, cast,
        expr::{AggregateFunction, AggregateFunctionParams, ScalarFunction},
        lit, when,
    },
};
use rapport_lake::PG_TYPE;
use rapport_udf_postgres::numeric::{
    Digits, Shown,
    cast::{self as conversion, Conversion, WIDENED},
    shown::{self, Curve, Step},
    variance,
};

use crate::{
    Result,
    columns::{LEAST_SCALE, column_type},
    oid,
    pg_type::Kind,
    plan::Planned,
    unions::WITHOUT_TYPE,
};

/// In no name that a client types.
const SCALE_NAME: &str = "\u{1}scale";

/// The same query, its numbers written as PostgreSQL writes them.
pub(crate) fn shown(mut planned: Planned) -> Result<Planned> {
    let width = planned.columns.len();
    let mut plan = planned.plan.clone();
    let mut scales = vec![];
    for index in 0..width {
        let field = plan.schema().field(index).clone();
        let Some(digits) = Digits::of(field.data_type()).filter(|_| field.data_type().is_decimal())
        else {
            continue;
        };
        match scale_of(&plan, index)? {
            Some((changed, scale)) => {
                let own = match digits.shown {
                    Shown::Scale => Some(digits.scale),
                    Shown::Telling => Some(planned.columns[index].least_scale.into()),
                    Shown::Quotient => None,
                };
                let as_typed = own.is_some_and(|own| scale == Scale::Fixed(own));
                plan = changed;
                if !as_typed {
                    scales.push((index, Some(scale)));
                }
            }
            None if digits.shown == Shown::Quotient => scales.push((index, None)),
            None => {}
        }
    }
    if scales.is_empty() {
        return Ok(planned);
    }
    let schema = plan.schema().clone();
    let mut written: Vec<Expr> = (0..width)
        .map(|index| Expr::Column(ColumnRef::from(schema.qualified_field(index))))
        .collect();
    for (index, scale) in scales {
        let number = written[index].clone();
        let text = match scale {
            Some(scale) => shown::function(Step::Written).call(vec![number, scale.expr()]),
            None => conversion::function(Conversion::ToText).call(vec![number]),
        };
        let (qualifier, field) = schema.qualified_field(index);
        let metadata: HashMap<String, String> = [(PG_TYPE.to_owned(), "numeric".to_owned())].into();
        written[index] = text.alias_qualified_with_metadata(
            qualifier.cloned(),
            field.name(),
            Some(metadata.into()),
        );
        let column = &mut planned.columns[index];
        column.data_type = DataType::Utf8;
        debug_assert_eq!(column.pg_type, oid::NUMERIC);
    }
    planned.plan = LogicalPlan::Projection(Projection::try_new(written, Arc::new(plan))?);
    Ok(planned)
}

#[derive(Clone, Debug, PartialEq)]
enum Scale {
    /// Of all values.
    Fixed(i32),
    /// Of each value.
    Computed(Expr),
}

impl Scale {
    fn expr(self) -> Expr {
        match self {
            Scale::Fixed(scale) => lit(scale),
            Scale::Computed(expr) => expr,
        }
    }
}

/// How many digits each value of a column shows, over the plan or over one with more columns at its end.
fn scale_of(plan: &LogicalPlan, index: usize) -> PlanResult<Option<(LogicalPlan, Scale)>> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let expr = &projection.expr[index];
            let mut input = projection.input.as_ref().clone();
            let Some(scale) = scale_of_expr(expr, &mut input)? else {
                return Ok(None);
            };
            let mut exprs = projection.expr.clone();
            let scale = match scale {
                Scale::Fixed(scale) => Scale::Fixed(scale),
                Scale::Computed(expr) => {
                    let name = format!("{SCALE_NAME}{}", exprs.len());
                    exprs.push(expr.alias(&name));
                    Scale::Computed(Expr::Column(ColumnRef::new_unqualified(name)))
                }
            };
            let projection = Projection::try_new(exprs, Arc::new(input))?;
            Ok(Some((LogicalPlan::Projection(projection), scale)))
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Filter(_) => {
            let input = plan.inputs()[0];
            let Some((input, scale)) = scale_of(input, index)? else {
                return Ok(None);
            };
            let plan = plan.with_new_exprs(plan.expressions(), vec![input])?;
            Ok(Some((plan, scale)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some((input, scale)) = scale_of(&alias.input, index)? else {
                return Ok(None);
            };
            let is_wider = input.schema().fields().len() > alias.schema.fields().len();
            let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
                Arc::new(input),
                alias.alias.clone(),
            )?);
            let scale = match scale {
                Scale::Computed(_) if is_wider => Scale::Computed(last_column(plan.schema())),
                scale => scale,
            };
            Ok(Some((plan, scale)))
        }
        LogicalPlan::Window(window) => {
            let width = window.input.schema().fields().len();
            if index >= width {
                return scale_of_window(window, index - width);
            }
            let Some((input, scale)) = scale_of(&window.input, index)? else {
                return Ok(None);
            };
            let is_wider = input.schema().fields().len() > width;
            let scale = match scale {
                Scale::Computed(_) if is_wider => Scale::Computed(last_column(input.schema())),
                scale => scale,
            };
            let wider = Window::try_new(window.window_expr.clone(), Arc::new(input))?;
            // The new column goes behind those of the windows.
            let old = &window.schema;
            let mut columns: Vec<Expr> = (0..old.fields().len())
                .map(|index| Expr::Column(ColumnRef::from(old.qualified_field(index))))
                .collect();
            if let Scale::Computed(scale) = &scale {
                columns.push(scale.clone());
            }
            let plan = LogicalPlan::Window(wider);
            let projection = Projection::try_new(columns, Arc::new(plan))?;
            Ok(Some((LogicalPlan::Projection(projection), scale)))
        }
        LogicalPlan::Union(union) => scale_of_union(union, index),
        LogicalPlan::Values(values) => scale_of_values(values, index),
        LogicalPlan::Join(join) => scale_of_join(join, index),
        LogicalPlan::Aggregate(aggregate) => scale_of_aggregate(aggregate, index),
        _ => Ok(None),
    }
}

/// A column of a join shows what it showed on its side.
fn scale_of_join(join: &Join, index: usize) -> PlanResult<Option<(LogicalPlan, Scale)>> {
    let has_both = matches!(
        join.join_type,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
    );
    if !has_both {
        return Ok(None);
    }
    let width = join.left.schema().fields().len();
    let (side, at) = match index.checked_sub(width) {
        None => (&join.left, index),
        Some(at) => (&join.right, at),
    };
    let (wider, scale) = match scale_of(side, at)? {
        None => return Ok(None),
        Some((_, Scale::Fixed(scale))) => {
            let plan = LogicalPlan::Join(join.clone());
            return Ok(Some((plan, Scale::Fixed(scale))));
        }
        Some((wider, Scale::Computed(scale))) => (wider, scale),
    };
    let own = side.schema();
    let name = format!("{SCALE_NAME}{index} beside {}", own.fields().len());
    let mut columns: Vec<Expr> = (0..own.fields().len())
        .map(|at| Expr::Column(ColumnRef::from(own.qualified_field(at))))
        .collect();
    columns.push(scale.alias(&name));
    let wider = Arc::new(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(wider),
    )?));
    let (left, right) = match index < width {
        true => (wider, join.right.clone()),
        false => (join.left.clone(), wider),
    };
    let wider = Join::try_new(
        left,
        right,
        join.on.clone(),
        join.filter.clone(),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let mut columns: Vec<Expr> = (0..join.schema.fields().len())
        .map(|at| Expr::Column(ColumnRef::from(join.schema.qualified_field(at))))
        .collect();
    let scale = Expr::Column(ColumnRef::new_unqualified(name));
    columns.push(scale.clone());
    let plan = Projection::try_new(columns, Arc::new(LogicalPlan::Join(wider)))?;
    Ok(Some((
        LogicalPlan::Projection(plan),
        Scale::Computed(scale),
    )))
}

/// Each value shows what it was written with.
fn scale_of_values(values: &Values, index: usize) -> PlanResult<Option<(LogicalPlan, Scale)>> {
    let scales = values.values.iter().map(|row| written(&row[index]));
    let Some(scales) = scales.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut known = scales.iter().flatten();
    let first = known.next().copied().unwrap_or(0);
    if known.all(|scale| *scale == first) {
        let plan = LogicalPlan::Values(values.clone());
        return Ok(Some((plan, Scale::Fixed(first))));
    }
    let rows = values.values.iter().zip(scales).map(|(row, scale)| {
        let mut row = row.clone();
        row.push(lit(ScalarValue::Int32(scale)));
        row
    });
    let plan = LogicalPlanBuilder::values(rows.collect())?.build()?;
    let scale = Scale::Computed(last_column(plan.schema()));
    Ok(Some((plan, scale)))
}

/// The digits after the point of a number as it was written, none of NULL; `None` if it is computed.
#[expect(
    clippy::option_option,
    reason = "not known is another answer than no digits"
)]
fn written(value: &Expr) -> Option<Option<i32>> {
    match value {
        Expr::Literal(value, _) if value.is_null() => Some(None),
        Expr::Literal(ScalarValue::Decimal128(_, _, scale), _) => Some(Some((*scale).into())),
        Expr::Literal(value, _) => value.data_type().is_integer().then_some(Some(0)),
        Expr::Cast(Cast { expr, .. }) | Expr::Negative(expr) => written(expr),
        Expr::ScalarFunction(call) if matches!(call.func.name(), "-" | WIDENED) => {
            written(call.args.first()?)
        }
        _ => None,
    }
}

/// What is taken from another row shows what it showed there.
fn scale_of_window(window: &Window, at: usize) -> PlanResult<Option<(LogicalPlan, Scale)>> {
    let Expr::WindowFunction(call) = window.window_expr[at].clone().unalias() else {
        return Ok(None);
    };
    let of_others = matches!(
        call.fun.name(),
        "lag" | "lead" | "first_value" | "last_value" | "nth_value"
    );
    // Known only where all values show as many.
    let of_all = matches!(call.fun.name(), "sum" | "min" | "max");
    let mut input = window.input.as_ref().clone();
    let mut scales = vec![];
    for place in [0, 2] {
        match call.params.args.get(place).filter(|_| of_others || of_all) {
            None if place == 0 => return Ok(None),
            None => {}
            Some(Expr::Literal(value, _)) if value.is_null() => {}
            Some(argument) => match scale_of_expr(argument, &mut input)? {
                Some(scale) => scales.push((place, scale)),
                None => return Ok(None),
            },
        }
    }
    let (Some((_, first)), all_same) = (
        scales.first().cloned(),
        scales.windows(2).all(|two| two[0].1 == two[1].1),
    ) else {
        return Ok(None);
    };
    if all_same && matches!(first, Scale::Fixed(_)) {
        return Ok(Some((LogicalPlan::Window(window.clone()), first)));
    }
    if of_all {
        return Ok(None);
    }
    let mut call = call;
    for (place, scale) in scales {
        call.params.args[place] = scale.expr();
    }
    // The columns that the input has got are left out again.
    let own = &window.schema;
    let name = format!("{SCALE_NAME}{}", own.fields().len());
    let mut calls = window.window_expr.clone();
    calls.push(Expr::WindowFunction(call).alias(&name));
    let wider = LogicalPlan::Window(Window::try_new(calls, Arc::new(input))?);
    let mut columns: Vec<Expr> = (0..own.fields().len())
        .map(|index| Expr::Column(ColumnRef::from(own.qualified_field(index))))
        .collect();
    let scale = last_column(wider.schema());
    columns.push(scale.clone());
    let projection = Projection::try_new(columns, Arc::new(wider))?;
    Ok(Some((
        LogicalPlan::Projection(projection),
        Scale::Computed(scale),
    )))
}

/// Each branch brings the scales of its own.
fn scale_of_union(union: &Union, index: usize) -> PlanResult<Option<(LogicalPlan, Scale)>> {
    let width = union.schema.fields().len();
    let mut branches = vec![];
    for input in &union.inputs {
        // Of a column that is no decimal yet the type says it.
        let found = match scale_of(input, index)? {
            Some(found) => Some(found),
            None => {
                let column = Expr::Column(ColumnRef::from(input.schema().qualified_field(index)));
                let mut input = input.as_ref().clone();
                scale_of_expr(&column, &mut input)?.map(|scale| (input, scale))
            }
        };
        match found {
            Some(found) => branches.push(found),
            None => return Ok(None),
        }
    }
    let scales: Vec<Scale> = branches.iter().map(|(_, scale)| scale.clone()).collect();
    if let Some(same) = same(&scales) {
        return Ok(Some((LogicalPlan::Union(union.clone()), same)));
    }
    let name = format!("{SCALE_NAME}{width}");
    let inputs = branches.into_iter().map(|(input, scale)| {
        let schema = input.schema().clone();
        let mut columns: Vec<Expr> = (0..width)
            .map(|index| Expr::Column(ColumnRef::from(schema.qualified_field(index))))
            .collect();
        columns.push(scale.expr().alias(&name));
        let projection = Projection::try_new(columns, Arc::new(input))?;
        Ok(Arc::new(LogicalPlan::Projection(projection)))
    });
    let inputs = inputs.collect::<PlanResult<Vec<_>>>()?;
    let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
    let scale = Scale::Computed(last_column(plan.schema()));
    Ok(Some((plan, scale)))
}

fn last_column(schema: &DFSchema) -> Expr {
    let last = schema.fields().len() - 1;
    Expr::Column(ColumnRef::from(schema.qualified_field(last)))
}

/// A sum shows as many digits as any of its addends, and a group as many as one of its rows.
fn scale_of_aggregate(
    aggregate: &Aggregate,
    index: usize,
) -> PlanResult<Option<(LogicalPlan, Scale)>> {
    let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    if aggregate.group_expr.iter().any(is_set) {
        return Ok(None);
    }
    let groups = aggregate.group_expr.len();
    let (argument, filter) = match index.checked_sub(groups) {
        None => (&aggregate.group_expr[index], None),
        Some(at) => match &aggregate.aggr_expr[at] {
            Expr::AggregateFunction(call) if matches!(call.func.name(), "sum" | "min" | "max") => {
                let [argument] = call.params.args.as_slice() else {
                    return Ok(None);
                };
                (argument, call.params.filter.clone())
            }
            _ => return Ok(None),
        },
    };
    let is_sum = index.checked_sub(groups).is_none_or(|at| {
        matches!(&aggregate.aggr_expr[at], Expr::AggregateFunction(call) if call.func.name() == "sum")
    });
    let mut input = aggregate.input.as_ref().clone();
    let Some(scale) = scale_of_expr(argument, &mut input)? else {
        return Ok(None);
    };
    let scale = match scale {
        Scale::Fixed(scale) => {
            let plan = LogicalPlan::Aggregate(aggregate.clone());
            return Ok(Some((plan, Scale::Fixed(scale))));
        }
        // Which of the values it is, is not known.
        Scale::Computed(_) if !is_sum => return Ok(None),
        Scale::Computed(scale) => scale,
    };
    let most = Expr::AggregateFunction(AggregateFunction {
        func: max_udaf(),
        params: AggregateFunctionParams {
            args: vec![scale],
            distinct: false,
            filter,
            order_by: vec![],
            null_treatment: None,
        },
    });
    let name = format!("{SCALE_NAME}{}", aggregate.schema.fields().len());
    let mut calls = aggregate.aggr_expr.clone();
    calls.push(most.alias(&name));
    let plan = Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), calls)?;
    let scale = Expr::Column(ColumnRef::new_unqualified(name));
    Ok(Some((LogicalPlan::Aggregate(plan), Scale::Computed(scale))))
}

/// Of an expression over the plan, to which columns may be added at the end.
fn scale_of_expr(expr: &Expr, input: &mut LogicalPlan) -> PlanResult<Option<Scale>> {
    let Ok(data_type) = expr.get_type(input.schema().as_ref()) else {
        return Ok(None);
    };
    if data_type.is_integer() || data_type.is_null() {
        return Ok(Some(Scale::Fixed(0)));
    }
    let Some(digits) = Digits::of(&data_type) else {
        return Ok(None);
    };
    let by_type = |expr: &Expr| match digits.shown {
        Shown::Scale => Some(Scale::Fixed(digits.scale)),
        _ if expr.is_volatile() => None,
        _ => Some(Scale::Computed(
            shown::function(Step::Scale).call(vec![expr.clone()]),
        )),
    };
    match expr {
        Expr::Alias(alias) => scale_of_expr(&alias.expr, input),
        Expr::Column(column) => {
            let Some(index) = input.schema().maybe_index_of_column(column) else {
                return Ok(by_type(expr));
            };
            if let Some((changed, scale)) = scale_of(input, index)? {
                *input = changed;
                return Ok(Some(scale));
            }
            let field = input.schema().field(index);
            // Its type has as many digits as that of all numerics.
            if let Kind::Numeric(Some((_, scale))) = column_type(field).kind {
                return Ok(Some(Scale::Fixed(scale.into())));
            }
            let least = field.metadata().get(LEAST_SCALE);
            let least = least.and_then(|scale| scale.parse::<i32>().ok());
            Ok(match (by_type(expr), least) {
                (Some(Scale::Computed(own)), Some(least)) if least > 0 => {
                    Some(greater(Scale::Computed(own), Scale::Fixed(least))?)
                }
                (scale, _) => scale,
            })
        }
        Expr::Cast(Cast { expr: inner, .. }) => {
            let from = inner.get_type(input.schema().as_ref())?;
            let keeps = Digits::of(&from).is_some_and(|from| from.scale == digits.scale);
            if from.is_decimal() && keeps {
                return scale_of_expr(inner, input);
            }
            Ok(by_type(expr))
        }
        Expr::Case(case) => scale_of_case(case, input),
        // As many as are asked for, where that differs from row to row.
        Expr::ScalarFunction(call)
            if digits.shown != Shown::Scale
                && !expr.is_volatile()
                && matches!(call.func.name(), "round" | "trunc")
                && call.args.len() == 2 =>
        {
            let places = cast(call.args[1].clone(), DataType::Int32);
            let some = when(places.clone().gt(lit(0)), places).otherwise(lit(0))?;
            Ok(Some(Scale::Computed(some)))
        }
        Expr::ScalarFunction(call) => match scale_of_call(call, input)? {
            Some(scale) => Ok(Some(scale)),
            None => Ok(by_type(expr)),
        },
        expr => Ok(by_type(expr)),
    }
}

fn scale_of_call(call: &ScalarFunction, input: &mut LogicalPlan) -> PlanResult<Option<Scale>> {
    let arguments = &call.args;
    if arguments.iter().any(Expr::is_volatile) {
        return Ok(None);
    }
    match (call.func.name(), arguments.as_slice()) {
        ("-" | "abs" | WIDENED | WITHOUT_TYPE, [one]) | ("nullif", [one, _]) => {
            scale_of_expr(one, input)
        }
        (name @ ("+" | "-" | "*" | "/" | "%" | "mod"), [left, right]) => {
            let (Some(left_scale), Some(right_scale)) =
                (scale_of_expr(left, input)?, scale_of_expr(right, input)?)
            else {
                return Ok(None);
            };
            Ok(Some(match name {
                "*" => sum(left_scale, right_scale),
                "/" => {
                    let arguments = vec![
                        left.clone(),
                        right.clone(),
                        left_scale.expr(),
                        right_scale.expr(),
                    ];
                    Scale::Computed(shown::function(Step::ScaleOfQuotient).call(arguments))
                }
                _ => greater(left_scale, right_scale)?,
            }))
        }
        (name, all) if Curve::named(name, all.len()).is_some() => {
            let Some((curve, scales)) = Curve::named(name, all.len()).zip(scales_of(all, input)?)
            else {
                return Ok(None);
            };
            let mut arguments = all.to_vec();
            arguments.extend(scales.into_iter().map(Scale::expr));
            Ok(Some(Scale::Computed(
                shown::function(Step::ScaleOf(curve)).call(arguments),
            )))
        }
        ("coalesce", all) => {
            let Some(scales) = scales_of(all, input)? else {
                return Ok(None);
            };
            if let Some(same) = same(&scales) {
                return Ok(Some(same));
            }
            let mut pairs = all.iter().zip(scales).rev();
            let Some((_, last)) = pairs.next() else {
                return Ok(None);
            };
            let mut result = last.expr();
            for (value, scale) in pairs {
                result = when(value.clone().is_not_null(), scale.expr()).otherwise(result)?;
            }
            Ok(Some(Scale::Computed(result)))
        }
        ("greatest" | "least", all) => {
            let Some(scales) = scales_of(all, input)? else {
                return Ok(None);
            };
            if let Some(same) = same(&scales) {
                return Ok(Some(same));
            }
            let chosen = Expr::ScalarFunction(call.clone());
            let mut pairs = all.iter().zip(scales).rev();
            let Some((_, last)) = pairs.next() else {
                return Ok(None);
            };
            let mut result = last.expr();
            for (value, scale) in pairs {
                let is_it = chosen.clone().eq(value.clone());
                result = when(is_it, scale.expr()).otherwise(result)?;
            }
            Ok(Some(Scale::Computed(result)))
        }
        ("variance_of_sums", _) => {
            let Some(scale) = variance::scale(&call.func) else {
                return Ok(None);
            };
            let scale = scale.call(call.args.clone());
            Ok(Some(Scale::Computed(scale)))
        }
        _ => Ok(None),
    }
}

fn scale_of_case(case: &Case, input: &mut LogicalPlan) -> PlanResult<Option<Scale>> {
    let mut branches: Vec<Expr> = case
        .when_then_expr
        .iter()
        .map(|(_, then)| then.as_ref().clone())
        .collect();
    branches.extend(case.else_expr.as_deref().cloned());
    let Some(mut scales) = scales_of(&branches, input)? else {
        return Ok(None);
    };
    if let Some(same) = same(&scales) {
        return Ok(Some(same));
    }
    let mut case = case.clone();
    if case.else_expr.is_some()
        && let Some(last) = scales.pop()
    {
        case.else_expr = Some(Box::new(last.expr()));
    }
    for ((_, then), scale) in case.when_then_expr.iter_mut().zip(scales) {
        **then = scale.expr();
    }
    Ok(match Expr::Case(case) {
        expr if expr.is_volatile() => None,
        expr => Some(Scale::Computed(expr)),
    })
}

fn scales_of(all: &[Expr], input: &mut LogicalPlan) -> PlanResult<Option<Vec<Scale>>> {
    let mut scales = vec![];
    for expr in all {
        // NULL shows nothing, whatever its scale.
        if matches!(expr, Expr::Literal(value, _) if value.is_null()) {
            scales.push(Scale::Computed(Expr::Literal(
                ScalarValue::Int32(None),
                None,
            )));
            continue;
        }
        match scale_of_expr(expr, input)? {
            Some(scale) => scales.push(scale),
            None => return Ok(None),
        }
    }
    Ok(Some(scales))
}

/// The scale that all have, NULLs aside.
fn same(scales: &[Scale]) -> Option<Scale> {
    let is_null = |scale: &&Scale| {
        matches!(
            scale,
            Scale::Computed(Expr::Literal(ScalarValue::Int32(None), _))
        )
    };
    let mut known = scales.iter().filter(|scale| !is_null(scale));
    let first = known.next()?;
    let is_same = matches!(first, Scale::Fixed(_)) && known.all(|scale| scale == first);
    is_same.then(|| first.clone())
}

fn sum(left: Scale, right: Scale) -> Scale {
    match (left, right) {
        (Scale::Fixed(left), Scale::Fixed(right)) => Scale::Fixed(left + right),
        (left, right) => Scale::Computed(left.expr() + right.expr()),
    }
}

fn greater(left: Scale, right: Scale) -> PlanResult<Scale> {
    Ok(match (left, right) {
        (Scale::Fixed(left), Scale::Fixed(right)) => Scale::Fixed(left.max(right)),
        (left, right) => {
            let (left, right) = (left.expr(), right.expr());
            let is_greater = left.clone().gt(right.clone());
            Scale::Computed(when(is_greater, left).otherwise(right)?)
        }
    })
}
