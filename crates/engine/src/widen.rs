//! Types as PostgreSQL gives them where DataFusion gives others: literals, and sums and means of integers.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, ExprSchema, Result as PlanResult, ScalarValue,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Cast, Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition,
        expr_rewriter::NamePreserver, utils::merge_schema,
    },
};

use crate::{Error, Result, pg_type::PgType};

/// A bigint has nineteen digits; a sum of them may have any number.
const SUM: DataType = DataType::Decimal128(38, 0);
/// Its mean has sixteen digits after the point.
const MEAN: DataType = DataType::Decimal128(34, 12);

/// Before the types are coerced, so that what is computed from a sum is computed from its new type.
pub(crate) fn widen(plan: LogicalPlan) -> Result<LogicalPlan> {
    let widened = plan.transform_up_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            schema.merge(&DFSchema::try_from_qualified_schema(
                scan.table_name.clone(),
                &scan.source.schema(),
            )?);
        }
        // A limit is counted in bigints, and the schema of VALUES is fixed.
        let keeps_literals = matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Values(_));
        let names = NamePreserver::new(&node);
        let changed = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| match expr {
                Expr::Literal(value, metadata) if !keeps_literals => Ok(literal(value, metadata)),
                Expr::Cast(cast) => castable(cast, &schema),
                expr => Ok(widened(expr, &schema)),
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        // What is above a widened sum has another type too.
        changed.map_data(LogicalPlan::recompute_schema)
    });
    Ok(widened?.data)
}

fn widened(mut expr: Expr, schema: &dyn ExprSchema) -> Transformed<Expr> {
    if let Expr::AggregateFunction(call) = &mut expr
        && call.func.name() == "count"
        && let [Expr::Literal(one @ ScalarValue::Int32(Some(1)), _)] =
            call.params.args.as_mut_slice()
    {
        // `count(*)`: the optimizer knows it by this, and answers it from statistics.
        *one = ScalarValue::Int64(Some(1));
        return Transformed::yes(expr);
    }
    let argument = match &mut expr {
        Expr::AggregateFunction(call) => target(call.func.name()).zip(call.params.args.first_mut()),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                target(function.name()).zip(call.params.args.first_mut())
            }
            WindowFunctionDefinition::WindowUDF(_) => None,
        },
        _ => None,
    };
    let Some(((target, small_too), argument)) = argument else {
        return Transformed::no(expr);
    };
    let wide = match argument.get_type(schema) {
        Ok(DataType::Int64) => true,
        Ok(data_type) => small_too && data_type.is_integer(),
        Err(_) => false,
    };
    if !wide {
        return Transformed::no(expr);
    }
    *argument = datafusion::logical_expr::cast(argument.clone(), target);
    Transformed::yes(expr)
}

/// An integer that fits is an integer, one that no bigint holds is numeric, and there is room before the point.
fn literal(value: ScalarValue, metadata: Option<FieldMetadata>) -> Transformed<Expr> {
    let changed = match &value {
        ScalarValue::Int64(Some(number)) => i32::try_from(*number)
            .ok()
            .map(|number| ScalarValue::Int32(Some(number))),
        ScalarValue::UInt64(Some(number)) => {
            Some(ScalarValue::Decimal128(Some(i128::from(*number)), 20, 0))
        }
        ScalarValue::Decimal128(Some(number), precision, scale)
            if i16::from(*precision) == i16::from(*scale) =>
        {
            (*precision < 38).then(|| ScalarValue::Decimal128(Some(*number), precision + 1, *scale))
        }
        _ => None,
    };
    match changed {
        Some(changed) => Transformed::yes(Expr::Literal(changed, metadata)),
        None => Transformed::no(Expr::Literal(value, metadata)),
    }
}

/// A number is no date, however Arrow counts days.
fn castable(cast: Cast, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
    let is_time = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)
        )
    };
    let from = cast.expr.get_type(schema);
    let to = cast.field.data_type();
    if let Ok(from) = from
        && ((from.is_numeric() && is_time(to)) || (is_time(&from) && to.is_numeric()))
    {
        let (from, to) = (PgType::of_arrow(&from).name(), PgType::of_arrow(to).name());
        let message = format!("cannot cast type {from} to {to}");
        return Err(Error::CannotCoerce { message }.into());
    }
    Ok(Transformed::no(Expr::Cast(cast)))
}

/// What the argument becomes, and whether that of smaller integers does too: their sum is a bigint.
fn target(function: &str) -> Option<(DataType, bool)> {
    match function {
        "sum" => Some((SUM, false)),
        "avg" => Some((MEAN, true)),
        _ => None,
    }
}
