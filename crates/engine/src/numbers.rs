//! Casts that round, and numbers written as PostgreSQL writes them.
//!
//! DataFusion cuts off when it casts to an integer. Once the types are known, such casts are replaced by functions of our
//! own; so is arithmetic that [`crate::widen`] could not type yet.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray},
    compute::cast,
    datatypes::{DataType, Field, Float64Type, IntervalMonthDayNano, IntervalUnit, TimeUnit},
};
use datafusion::{
    common::{
        DFSchema, ExprSchema, Result,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    logical_expr::{
        BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator,
        ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr_rewriter::NamePreserver, utils::merge_schema,
    },
    optimizer::AnalyzerRule,
};

use rapport_udf_postgres::numeric::{
    arithmetic::{self, Operation},
    cast::{self as conversion, Conversion},
};

use crate::Error;

/// After the types are known, before anything is computed.
#[derive(Debug)]
pub(crate) struct PostgresNumbers {
    functions: Functions,
}

#[derive(Debug)]
struct Functions {
    round: Arc<ScalarUDF>,
    text: Arc<ScalarUDF>,
    number_text: Arc<ScalarUDF>,
    to_float8: Arc<ScalarUDF>,
    to_float4: Arc<ScalarUDF>,
    to_numeric: Arc<ScalarUDF>,
}

impl PostgresNumbers {
    pub(crate) fn new() -> Self {
        let function = |kind| Arc::new(ScalarUDF::from(Function::new(kind)));
        Self {
            functions: Functions {
                round: function(Kind::Round),
                text: function(Kind::Text),
                number_text: conversion::function(Conversion::ToText),
                to_float8: conversion::function(Conversion::ToFloat8),
                to_float4: conversion::function(Conversion::ToFloat4),
                to_numeric: conversion::function(Conversion::ToNumeric),
            },
        }
    }
}

/// For a plan whose differences of times are to be shown.
pub(crate) fn interval_function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Function::new(Kind::Interval)))
}

impl AnalyzerRule for PostgresNumbers {
    fn name(&self) -> &str {
        "PostgresNumbers"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| {
            let mut schema = merge_schema(&node.inputs());
            if let LogicalPlan::TableScan(scan) = &node {
                let source = DFSchema::try_from_qualified_schema(
                    scan.table_name.clone(),
                    &scan.source.schema(),
                )?;
                schema.merge(&source);
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed =
                    expr.transform_up(|expr| Ok(self.functions.replace(expr, &schema)))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(changed?.data)
    }
}

impl Functions {
    fn replace(&self, expr: Expr, schema: &dyn ExprSchema) -> Transformed<Expr> {
        match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let types = (left.get_type(schema), right.get_type(schema));
                let (Ok(left_type), Ok(right_type)) = types else {
                    return Transformed::no(expr);
                };
                let is_native = left_type.is_integer() || left_type.is_floating();
                let operation = match op {
                    Operator::Plus => Operation::Add,
                    Operator::Minus => Operation::Subtract,
                    Operator::Multiply => Operation::Multiply,
                    Operator::Divide => Operation::Divide,
                    Operator::Modulo => Operation::Remainder,
                    _ => return Transformed::no(expr),
                };
                if !is_native || left_type != right_type {
                    return Transformed::no(expr);
                }
                let arguments = vec![left.as_ref().clone(), right.as_ref().clone()];
                Transformed::yes(arithmetic::function(operation).call(arguments))
            }
            Expr::Cast(Cast { expr: inner, field }) => {
                let Ok(from) = inner.get_type(schema) else {
                    return Transformed::no(expr);
                };
                let to = field.data_type();
                let inner = inner.as_ref().clone();
                let replaced = match (&from, to) {
                    (DataType::Decimal128(precision, scale), to)
                        if to.is_integer() && *scale > 0 =>
                    {
                        let digits = (i16::from(*precision) - i16::from(*scale) + 1).clamp(1, 38);
                        let whole = DataType::Decimal128(u8::try_from(digits).unwrap_or(38), 0);
                        datafusion::logical_expr::cast(inner, whole)
                    }
                    (DataType::Decimal256(precision, scale), to)
                        if to.is_integer() && *scale > 0 =>
                    {
                        let digits = (i16::from(*precision) - i16::from(*scale) + 1).clamp(1, 76);
                        let whole = DataType::Decimal256(u8::try_from(digits).unwrap_or(76), 0);
                        datafusion::logical_expr::cast(inner, whole)
                    }
                    (from, to) if from.is_floating() && to.is_integer() => {
                        self.round.call(vec![inner])
                    }
                    (DataType::List(from), DataType::List(to)) if to.data_type().is_integer() => {
                        match from.data_type() {
                            from if from.is_floating() => self.round.call(vec![inner]),
                            DataType::Decimal128(_, scale) if *scale > 0 => {
                                let item = Field::new_list_field(DataType::Decimal128(38, 0), true);
                                let whole = DataType::List(Arc::new(item));
                                datafusion::logical_expr::cast(inner, whole)
                            }
                            _ => return Transformed::no(expr),
                        }
                    }
                    (from, DataType::Float64) if from.is_decimal() || is_text(from) => {
                        return Transformed::yes(self.to_float8.call(vec![inner]));
                    }
                    (from, DataType::Float32)
                        if from.is_decimal() || is_text(from) || from == &DataType::Float64 =>
                    {
                        return Transformed::yes(self.to_float4.call(vec![inner]));
                    }
                    (from, to) if to.is_decimal() && (from.is_floating() || is_text(from)) => {
                        self.to_numeric.call(vec![inner])
                    }
                    (from, to) if is_text(to) && from.is_decimal() => {
                        self.number_text.call(vec![inner])
                    }
                    (from, to) if is_text(to) && from.is_floating() => self.text.call(vec![inner]),
                    _ => return Transformed::no(expr),
                };
                Transformed::yes(Expr::Cast(Cast::new_from_field(
                    Box::new(replaced),
                    field.clone(),
                )))
            }
            _ => Transformed::no(expr),
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Round,
    Text,
    Interval,
}

#[derive(Debug)]
struct Function {
    kind: Kind,
    signature: Signature,
}

impl Function {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Round => "to_whole",
            Kind::Text => "to_text",
            Kind::Interval => "to_interval",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            _ => given[0].clone(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.kind, args.args.as_slice()) {
            (Kind::Round, [value]) => by_array(value, &round),
            (Kind::Text, [value]) => by_array(value, &text),
            (Kind::Interval, [value]) => by_array(value, &interval),
            _ => Err(Error::not_supported("a function with other arguments", "").into()),
        }
    }
}

fn by_array(
    value: &ColumnarValue,
    work: &dyn Fn(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match value {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(work(array)?)),
        ColumnarValue::Scalar(scalar) => {
            let done = work(&scalar.to_array()?)?;
            Ok(ColumnarValue::Scalar(
                datafusion::common::ScalarValue::try_from_array(&done, 0)?,
            ))
        }
    }
}

/// To the nearest whole number, halves to the even one; of an array, each item.
fn round(array: &ArrayRef) -> Result<ArrayRef> {
    if let (DataType::List(item), Some(lists)) = (array.data_type(), array.as_list_opt::<i32>()) {
        return Ok(Arc::new(ListArray::try_new(
            item.clone(),
            lists.offsets().clone(),
            round(lists.values())?,
            lists.nulls().cloned(),
        )?));
    }
    let wide = cast(array, &DataType::Float64)?;
    let rounded: Float64Array = wide
        .as_primitive::<Float64Type>()
        .unary(f64::round_ties_even);
    Ok(cast(&rounded, array.data_type())?)
}

fn text(array: &ArrayRef) -> Result<ArrayRef> {
    let texts: StringArray = match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<arrow::datatypes::Float32Type>().iter();
            values
                .map(|value| value.map(|value| float_text(&format!("{value:e}"), 6)))
                .collect()
        }
        _ => {
            let wide = cast(array, &DataType::Float64)?;
            let values = wide.as_primitive::<Float64Type>().iter();
            values
                .map(|value| value.map(|value| float_text(&format!("{value:e}"), 15)))
                .collect()
        }
    };
    Ok(Arc::new(texts))
}

/// From Rust's shortest `d.ddde-x`: plain while the exponent is small, as PostgreSQL does.
fn float_text(shortest: &str, most: i32) -> String {
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return match shortest {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            other => other.to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if exponent < -4 || exponent >= most {
        let sign_of = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{sign_of}{:02}", exponent.unsigned_abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= whole {
        format!("{sign}{digits:0<whole$}")
    } else {
        format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
    }
}

/// The difference of two times: days, and what is left of a day.
fn interval(array: &ArrayRef) -> Result<ArrayRef> {
    const DAY: i64 = 86_400_000_000;
    let micros = cast(
        &cast(array, &DataType::Duration(TimeUnit::Microsecond))?,
        &DataType::Int64,
    )?;
    let values = micros.as_primitive::<arrow::datatypes::Int64Type>().iter();
    let intervals = values.map(|value| {
        let micros = value?;
        Some(IntervalMonthDayNano::new(
            0,
            i32::try_from(micros / DAY).ok()?,
            (micros % DAY).checked_mul(1_000)?,
        ))
    });
    Ok(Arc::new(
        intervals.collect::<arrow::array::IntervalMonthDayNanoArray>(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_postgres_writes_them() {
        for (value, expected) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (100.0, "100"),
            (123456.789, "123456.789"),
            (1e15, "1e+15"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e300, "1e+300"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float_text(&format!("{value:e}"), 15), expected);
        }
    }
}
