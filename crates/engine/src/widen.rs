//! Sums and means of integers that do not overflow: numeric, as PostgreSQL has them.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, ExprSchema,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition, expr_rewriter::NamePreserver,
        utils::merge_schema,
    },
};

use crate::Result;

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
        let names = NamePreserver::new(&node);
        let changed = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| Ok(widened(expr, &schema)))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        // What is above a widened sum has another type too.
        changed.map_data(LogicalPlan::recompute_schema)
    });
    Ok(widened?.data)
}

fn widened(mut expr: Expr, schema: &dyn ExprSchema) -> Transformed<Expr> {
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

/// What the argument becomes, and whether that of smaller integers does too: their sum is a bigint.
fn target(function: &str) -> Option<(DataType, bool)> {
    match function {
        "sum" => Some((SUM, false)),
        "avg" => Some((MEAN, true)),
        _ => None,
    }
}
