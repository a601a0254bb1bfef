//! Means and variances of exact numbers, from sums and counts.
//!
//! `avg(x)` is `sum(x) / count(x)` with the digits of a quotient, as in PostgreSQL; so is each member of the variance
//! family a formula of `count(x)`, `sum(x)` and `sum(x * x)`. DataFusion computes means with four digits more than the
//! column has, and variances in floats.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{Column, ExprSchema, Result as PlanResult, tree_node::Transformed},
    functions_aggregate::{count::count_udaf, sum::sum_udaf},
    logical_expr::{
        Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, Projection, Window,
        WindowFunctionDefinition, cast,
        expr::{AggregateFunction, WindowFunction},
    },
};
use rapport_udf_postgres::{
    numeric::{
        Digits,
        arithmetic::Operation,
        cast::{self as conversion, Conversion},
        variance::{self, Measure},
    },
    same_sizes,
};

use crate::{
    Error,
    widen::{addend, call, exact},
};

/// The node, or a projection over one that computes the parts.
pub(crate) fn split(node: LogicalPlan) -> PlanResult<Transformed<LogicalPlan>> {
    let (expressions, input) = match &node {
        LogicalPlan::Aggregate(aggregate) => (&aggregate.aggr_expr, &aggregate.input),
        LogicalPlan::Window(window) => (&window.window_expr, &window.input),
        _ => return Ok(Transformed::no(node)),
    };
    let schema = input.schema().as_ref();
    let mut parts = Parts::default();
    let mut formulas = vec![];
    for expr in expressions {
        formulas.push(formula(expr, schema, &mut parts)?);
    }
    if formulas.iter().all(Option::is_none) {
        return Ok(Transformed::no(node));
    }
    // In the order of the old node: what is not split is among the parts too.
    let mut results = vec![];
    for (expr, formula) in expressions.iter().zip(formulas) {
        results.push(match formula {
            Some(formula) => formula,
            None => parts.column(expr.clone()),
        });
    }
    let old = node.schema().clone();
    let leading = old.fields().len() - results.len();
    let node = match node {
        LogicalPlan::Aggregate(aggregate) => LogicalPlan::Aggregate(Aggregate::try_new(
            aggregate.input,
            aggregate.group_expr,
            parts.expressions,
        )?),
        LogicalPlan::Window(window) => {
            LogicalPlan::Window(Window::try_new(parts.expressions, window.input)?)
        }
        other => other,
    };
    // The set a row is of is for `grouping` alone, which finds it by itself.
    let kept = (0..leading)
        .filter(|index| old.field(*index).name() != Aggregate::INTERNAL_GROUPING_ID)
        .map(|index| Expr::Column(Column::from(old.qualified_field(index))));
    let results = results.into_iter().enumerate().map(|(index, result)| {
        let (qualifier, field) = old.qualified_field(leading + index);
        result.alias_qualified(qualifier.cloned(), field.name())
    });
    let columns = kept.chain(results).collect();
    let projection = Projection::try_new(columns, Arc::new(node))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// What the node computes now: each call once.
#[derive(Default)]
struct Parts {
    expressions: Vec<Expr>,
    known: HashMap<String, ()>,
}

impl Parts {
    fn column(&mut self, expr: Expr) -> Expr {
        let name = expr.schema_name().to_string();
        let column = Expr::Column(Column::new_unqualified(name.clone()));
        if self.known.insert(name, ()).is_none() {
            self.expressions.push(expr);
        }
        column
    }
}

fn formula(expr: &Expr, schema: &dyn ExprSchema, parts: &mut Parts) -> PlanResult<Option<Expr>> {
    let inner = match expr {
        Expr::Alias(alias) => alias.expr.as_ref(),
        expr => expr,
    };
    let (name, arguments, is_distinct) = match inner {
        Expr::AggregateFunction(call) => {
            (call.func.name(), &call.params.args, call.params.distinct)
        }
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function.name(), &call.params.args, call.params.distinct)
            }
            WindowFunctionDefinition::WindowUDF(function) if function.name() == "ntile" => {
                let column = parts.column(expr.clone());
                return Ok(Some(cast(column, DataType::Int32)));
            }
            WindowFunctionDefinition::WindowUDF(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let [argument] = arguments.as_slice() else {
        return Ok(None);
    };
    let Ok(data_type) = argument.get_type(schema) else {
        return Ok(None);
    };
    if name == "array_agg" && !is_distinct && matches!(data_type, DataType::List(_)) {
        let arrays = parts.column(expr.clone());
        return Ok(Some(same_sizes().call(vec![arrays])));
    }
    if name == "sum" && data_type == DataType::Float32 {
        let sum = parts.column(expr.clone());
        let narrow = conversion::function(Conversion::ToFloat4);
        return Ok(Some(narrow.call(vec![sum])));
    }
    if Digits::of(&data_type).is_none() {
        return Ok(None);
    }
    let count = with(inner, count_udaf(), argument.clone());
    let summed = match addend(&data_type) {
        Some(wide) => cast(argument.clone(), wide),
        None => argument.clone(),
    };
    let sum = with(inner, sum_udaf(), summed);
    let sum_type = sum.get_type(schema)?;
    if name == "avg" || name == "mean" {
        let sum = exact(parts.column(sum), &sum_type);
        let count = parts.column(count);
        return Ok(Some(call(Operation::Divide, vec![sum, count])));
    }
    let Some(measure) = Measure::named(name) else {
        return Ok(None);
    };
    if is_distinct {
        return Err(Error::not_supported(
            format!("{name}(DISTINCT …) is not supported"),
            "Take the distinct values in a sub-query.",
        )
        .into());
    }
    let number = exact(argument.clone(), &data_type);
    let square = call(Operation::Multiply, vec![number.clone(), number]);
    let square_type = square.get_type(schema)?;
    let square = match addend(&square_type) {
        Some(wide) => cast(square, wide),
        None => square,
    };
    let squares = with(inner, sum_udaf(), square);
    let squares_type = squares.get_type(schema)?;
    let arguments = vec![
        parts.column(count),
        exact(parts.column(sum), &sum_type),
        exact(parts.column(squares), &squares_type),
    ];
    Ok(Some(variance::function(measure).call(arguments)))
}

/// The same call, of another function and another argument.
fn with(call: &Expr, function: Arc<AggregateUDF>, argument: Expr) -> Expr {
    match call {
        Expr::WindowFunction(window) => {
            let mut params = window.params.clone();
            params.args = vec![argument];
            Expr::WindowFunction(Box::new(WindowFunction {
                fun: WindowFunctionDefinition::AggregateUDF(function),
                params,
            }))
        }
        Expr::AggregateFunction(aggregate) => {
            let mut params = aggregate.params.clone();
            params.args = vec![argument];
            params.order_by = vec![];
            Expr::AggregateFunction(AggregateFunction {
                func: function,
                params,
            })
        }
        other => other.clone(),
    }
}
