//! Types as PostgreSQL gives them where DataFusion gives others: literals, arithmetic, comparisons of unlike numbers,
//! casts to `numeric`, sums and means.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        Column, DFSchema, ExprSchema, Result as PlanResult, ScalarValue,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode},
    },
    functions_window::lead_lag::lag_udwf,
    logical_expr::{
        Between, BinaryExpr, Case, Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
        Operator, Projection, Union, WindowFunctionDefinition, cast,
        expr::{InList, NullTreatment, ScalarFunction, WindowFunction},
        expr_rewriter::NamePreserver,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
        utils::merge_schema,
        when,
    },
    sql::sqlparser::ast::BinaryOperator,
};
use rapport_udf_postgres::{
    math,
    numeric::{
        ANY_SCALE, Digits,
        arithmetic::{self, Operation, no_such_operator},
        cast::{self as conversion, Conversion},
    },
    widest,
};

use crate::{
    Error, Result, coerce,
    expressions::boolean,
    parts_of_aggregates::split,
    pg_type::PgType,
    typed::{kind_of, type_of},
};

/// A bigint has nineteen digits; a sum of them may have any number.
const SUM: DataType = DataType::Decimal128(28, 0);

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
                expr => typed(expr, &schema),
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        // What is above a widened sum has another type too.
        let changed = changed.map_data(LogicalPlan::recompute_schema)?;
        changed.transform_data(|node| match node {
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => split(node),
            LogicalPlan::Union(union) => unified(union)?.transform_data(as_values),
            node => Ok(Transformed::no(node)),
        })
    });
    Ok(widened?.data)
}

/// As [`widen`], and the numbers of a VALUES list become integers if they fit: in a query, whose columns nobody has
/// declared.
pub(crate) fn widen_query(plan: LogicalPlan) -> Result<LogicalPlan> {
    let narrowed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Values(values) => {
            let rows = values.values.into_iter().map(|row| {
                let row = row.into_iter().map(|expr| {
                    // It takes the type of those beside it.
                    if let Expr::Literal(ScalarValue::Int64(None), metadata) = expr {
                        return Ok(Expr::Literal(ScalarValue::Null, metadata));
                    }
                    let changed = expr.transform_up(|expr| match expr {
                        Expr::Literal(value, metadata) => Ok(literal(value, metadata)),
                        expr => typed(expr, &DFSchema::empty()),
                    });
                    changed.map(|changed| changed.data)
                });
                row.collect::<PlanResult<Vec<_>>>()
            });
            let rows = rows.collect::<PlanResult<Vec<_>>>()?;
            let rebuilt = LogicalPlanBuilder::values(rows)?.build()?;
            Ok(Transformed::yes(rebuilt))
        }
        node => Ok(Transformed::no(node)),
    });
    widen(narrowed?.data)
}

/// Every branch of a UNION in the same number types: DataFusion would take those of the first for the result's.
fn unified(union: Union) -> PlanResult<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    let common: Vec<Option<DataType>> = (0..width)
        .map(|index| {
            let types = union
                .inputs
                .iter()
                .map(|input| input.schema().field(index).data_type());
            types
                .cloned()
                .map(Some)
                .reduce(|left, right| common_number_or_time(&left?, &right?))
                .flatten()
        })
        .collect();
    let differs = |input: &LogicalPlan| {
        let fields = input.schema().fields().iter().zip(&common);
        fields
            .filter_map(|(field, common)| Some((field.data_type(), common.as_ref()?)))
            .any(|(own, common)| own != common)
    };
    if !union.inputs.iter().any(|input| differs(input)) {
        // Literals have become smaller since.
        let types = union.schema.fields().iter().map(|field| field.data_type());
        let is_known = types
            .zip(&common)
            .all(|(own, common)| common.as_ref().is_none_or(|common| common == own));
        return match is_known {
            true => Ok(Transformed::no(LogicalPlan::Union(union))),
            false => {
                let union = Union::try_new_with_loose_types(union.inputs)?;
                Ok(Transformed::yes(LogicalPlan::Union(union)))
            }
        };
    }
    let mut inputs = vec![];
    for input in union.inputs {
        if !differs(&input) {
            inputs.push(input);
            continue;
        }
        let schema = input.schema().clone();
        let columns = common.iter().enumerate().map(|(index, common)| {
            let (qualifier, field) = schema.qualified_field(index);
            let column = Expr::Column(Column::from((qualifier, field)));
            match common {
                Some(common) if common != field.data_type() => {
                    wide(column, common).alias_qualified(qualifier.cloned(), field.name())
                }
                _ => column,
            }
        });
        let projection = Projection::try_new(columns.collect(), input)?;
        inputs.push(Arc::new(LogicalPlan::Projection(projection)));
    }
    let union = Union::try_new_with_loose_types(inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

/// `SELECT 1 UNION ALL SELECT 2` is VALUES: DataFusion loses the order of a union of constants that is joined.
fn as_values(plan: LogicalPlan) -> PlanResult<Transformed<LogicalPlan>> {
    let LogicalPlan::Union(union) = &plan else {
        return Ok(Transformed::no(plan));
    };
    let rows = union.inputs.iter().map(|input| match input.as_ref() {
        LogicalPlan::Projection(projection)
            if matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(nothing)
                if nothing.produce_one_row)
                && projection
                    .schema
                    .fields()
                    .iter()
                    .all(|field| field.metadata().is_empty()) =>
        {
            let values = projection
                .expr
                .iter()
                .map(|expr| match expr.clone().unalias() {
                    value @ Expr::Literal(..) => Some(value),
                    _ => None,
                });
            values.collect::<Option<Vec<_>>>()
        }
        _ => None,
    });
    let Some(rows) = rows.collect::<Option<Vec<_>>>() else {
        return Ok(Transformed::no(plan));
    };
    let values = LogicalPlanBuilder::values(rows)?.build()?;
    let schema = &union.schema;
    let fields = schema.iter().zip(values.schema().columns());
    let columns = fields.map(|((qualifier, field), column)| {
        Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
    });
    let columns: Vec<Expr> = columns.collect();
    let values = LogicalPlanBuilder::from(values).project(columns)?.build()?;
    let is_same = values.schema().fields().iter().zip(schema.fields());
    let is_same = is_same
        .into_iter()
        .all(|(own, other)| own.data_type() == other.data_type());
    Ok(match is_same {
        true => Transformed::yes(values),
        false => Transformed::no(plan),
    })
}

/// The type that both numbers or times have room in; none if there is none.
fn common_number_or_time(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right || right.is_null() {
        return Some(left.clone());
    }
    if left.is_null() {
        return Some(right.clone());
    }
    if let Some(time) = widest(left, right) {
        return Some(time);
    }
    if !left.is_numeric() || !right.is_numeric() {
        return None;
    }
    if let Some(common) = common_type(left, right) {
        // Unlike operators, which compute in double precision.
        let has_double = [left, right].contains(&&DataType::Float64);
        return Some(match common {
            DataType::Float64 if !has_double => DataType::Float32,
            common => common,
        });
    }
    let (left, right) = (Digits::of(left)?, Digits::of(right)?);
    let digits = Digits {
        whole: left.whole.max(right.whole),
        scale: left.scale.max(right.scale),
        shown: left.shown.max(right.shown),
    };
    Some(digits.data_type())
}

/// `'5' + 1`: the text is a number, though DataFusion has no operator for the two.
#[derive(Debug)]
pub(crate) struct NumbersInQuotes;

impl ExprPlanner for NumbersInQuotes {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        let is_arithmetic = matches!(
            expr.op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
        );
        if !is_arithmetic {
            return Ok(PlannerResult::Original(expr));
        }
        let number = |side: &Expr| {
            if let Expr::Literal(ScalarValue::Int64(Some(value)), _) = side
                && i32::try_from(*value).is_ok()
            {
                return Some(DataType::Int32);
            }
            let data_type = side.get_type(schema).ok()?;
            data_type.is_numeric().then_some(data_type)
        };
        if is_unknown(&expr.left)
            && let Some(data_type) = number(&expr.right)
        {
            expr.left = number_like(expr.left, &data_type)?;
        } else if is_unknown(&expr.right)
            && let Some(data_type) = number(&expr.left)
        {
            expr.right = number_like(expr.right, &data_type)?;
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// One expression, whose parts have been typed already.
fn typed(expr: Expr, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(binary) => match operation(binary.op) {
            Some(operation) => computed(operation, binary, schema),
            None if is_comparison(binary.op) => compared(binary, schema),
            None if is_shift(binary.op) => Ok(shifted(binary, schema)),
            None if binary.op == Operator::BitwiseXor => Ok(xor(binary, schema)),
            None => Ok(Transformed::no(Expr::BinaryExpr(binary))),
        },
        Expr::Negative(inner) => {
            let is_exact = inner
                .get_type(schema)
                .is_ok_and(|data_type| Digits::of(&data_type).is_some());
            if !is_exact {
                return Ok(Transformed::no(Expr::Negative(inner)));
            }
            let call = arithmetic::function(Operation::Negate).call(vec![*inner]);
            Ok(Transformed::yes(call))
        }
        Expr::Between(between) => {
            let Between {
                expr,
                negated,
                low,
                high,
            } = between;
            let mut all = [*expr, *low, *high];
            let changed = as_floats(&mut all, schema);
            let [expr, low, high] = all.map(Box::new);
            let between = Between::new(expr, negated, low, high);
            Ok(given(changed, Expr::Between(between)))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let mut all = vec![*expr];
            all.extend(list);
            let changed = as_floats(&mut all, schema);
            let list = all.split_off(1);
            let expr = Box::new(all.swap_remove(0));
            let list = InList::new(expr, list, negated);
            Ok(given(changed, Expr::InList(list)))
        }
        Expr::Case(case) => chosen(case, schema),
        Expr::ScalarFunction(call)
            if call.func.name() == "nullif" && are_integers(&call.args, schema) =>
        {
            // Of the first's type, whatever the second's is.
            let (value, other) = (call.args[0].clone(), call.args[1].clone());
            let nothing = ScalarValue::try_from(&value.get_type(schema)?)?;
            let mut chosen = when(value.clone().eq(other), Expr::Literal(nothing, None));
            chosen.otherwise(value).map(Transformed::yes)
        }
        Expr::ScalarFunction(mut call)
            if matches!(
                call.func.name(),
                "coalesce" | "greatest" | "least" | "nullif" | "nvl" | "make_array"
            ) =>
        {
            let is_array = call.func.name() == "make_array";
            let is_read = is_array && read_literals(&mut call.args, schema)?;
            let changed = is_read | as_floats_alike(&mut call.args, schema);
            let ScalarFunction { func, args } = call;
            Ok(given(
                changed,
                Expr::ScalarFunction(ScalarFunction { func, args }),
            ))
        }
        Expr::Cast(cast) => castable(cast, schema),
        Expr::ScalarFunction(call) if call.func.name() == "pg_typeof" && call.args.len() == 1 => {
            Ok(Transformed::yes(type_of(&call.args[0], schema)))
        }
        Expr::ScalarFunction(call) => {
            let types = call.args.iter().map(|arg| match arg {
                // A literal's type is what its place asks for.
                arg if is_unknown(arg) => Ok(DataType::Null),
                arg => arg.get_type(schema),
            });
            if let Ok(types) = types.collect::<PlanResult<Vec<_>>>() {
                math::check(call.func.name(), &types)?;
            }
            Ok(Transformed::no(Expr::ScalarFunction(call)))
        }
        Expr::WindowFunction(call) => windowed(*call, schema),
        expr => Ok(summed(expr, schema)),
    }
}

fn is_shift(op: Operator) -> bool {
    matches!(op, Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight)
}

/// Of the type of what is shifted, by whatever number. PostgreSQL shifts a smallint as an integer.
fn shifted(binary: BinaryExpr, schema: &dyn ExprSchema) -> Transformed<Expr> {
    let types = (binary.left.get_type(schema), binary.right.get_type(schema));
    let BinaryExpr { left, op, right } = binary;
    let shift =
        |left, op, right| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
    match types {
        (Ok(DataType::Int16), Ok(by)) if by.is_integer() => {
            let [left, right] = [*left, *right].map(|side| cast(side, DataType::Int32));
            let mut shifted = shift(left, op, right);
            // What does not fit into a smallint is lost.
            for op in [Operator::BitwiseShiftLeft, Operator::BitwiseShiftRight] {
                shifted = shift(
                    shifted,
                    op,
                    Expr::Literal(ScalarValue::Int32(Some(16)), None),
                );
            }
            Transformed::yes(cast(shifted, DataType::Int16))
        }
        (Ok(of), Ok(by)) if of.is_integer() && by.is_integer() && of != by => {
            Transformed::yes(shift(*left, op, cast(*right, of)))
        }
        _ => Transformed::no(shift(*left, op, *right)),
    }
}

/// `a # b` as `(a | b) - (a & b)`: DataFusion takes `a # a` for 0 where `a` is NULL too.
fn xor(binary: BinaryExpr, schema: &dyn ExprSchema) -> Transformed<Expr> {
    let types = [&binary.left, &binary.right].map(|side| side.get_type(schema));
    let [Ok(left_type), Ok(right_type)] = types else {
        return Transformed::no(Expr::BinaryExpr(binary));
    };
    let common = match (left_type.is_integer(), right_type.is_integer()) {
        (true, true) => common_type(&left_type, &right_type),
        _ => None,
    };
    let Some(common) = common else {
        return Transformed::no(Expr::BinaryExpr(binary));
    };
    let left = to_type(*binary.left, &left_type, &common);
    let right = to_type(*binary.right, &right_type, &common);
    let of = |op| {
        let (left, right) = (Box::new(left.clone()), Box::new(right.clone()));
        Expr::BinaryExpr(BinaryExpr::new(left, op, right))
    };
    let both = vec![of(Operator::BitwiseOr), of(Operator::BitwiseAnd)];
    Transformed::yes(arithmetic::function(Operation::Subtract).call(both))
}

/// What PostgreSQL answers and DataFusion's window functions do not: NULL for `lag(value, NULL)` and `ntile(NULL)`.
fn windowed(mut call: WindowFunction, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
    let is_null = |expr: Option<&Expr>| {
        let expr = match expr {
            Some(Expr::Cast(cast)) => Some(cast.expr.as_ref()),
            expr => expr,
        };
        matches!(expr, Some(Expr::Literal(value, _)) if value.is_null())
    };
    if call.params.null_treatment == Some(NullTreatment::IgnoreNulls) {
        let message = "syntax error at or near \"nulls\"".to_owned();
        return Err(Error::Syntax {
            message,
            position: None,
        }
        .into());
    }
    let args = &call.params.args;
    let null_of = match call.fun.name() {
        "lag" | "lead" | "nth_value" if is_null(args.get(1)) => args[0].get_type(schema)?,
        "ntile" if is_null(args.first()) => DataType::Int32,
        "nth_value" if args.get(1).is_some_and(|arg| !arg.column_refs().is_empty()) => {
            return Err(Error::not_supported(
                "nth_value with a place that differs from row to row is not supported",
                "Write the place as a number.",
            )
            .into());
        }
        "lag" | "lead" => return beside_default(call, schema),
        _ => return Ok(summed(Expr::WindowFunction(Box::new(call)), schema)),
    };
    let metadata = match args[0].to_field(schema) {
        Ok((_, field)) if field.data_type() == &null_of => {
            Some(FieldMetadata::from(field.as_ref()))
        }
        _ => None,
    };
    call.fun = WindowFunctionDefinition::WindowUDF(lag_udwf());
    call.params.args = vec![Expr::Literal(ScalarValue::try_from(&null_of)?, metadata)];
    Ok(Transformed::yes(Expr::WindowFunction(Box::new(call))))
}

/// `lag(value, n, default)` is of the type that has room for both numbers.
fn beside_default(
    mut call: WindowFunction,
    schema: &dyn ExprSchema,
) -> PlanResult<Transformed<Expr>> {
    let types = match call.params.args.as_slice() {
        [value, _, default] => (value.get_type(schema), default.get_type(schema)),
        _ => return Ok(Transformed::no(Expr::WindowFunction(Box::new(call)))),
    };
    if let (Ok(list @ DataType::List(_)), _) = &types
        && is_unknown(&call.params.args[2])
        && let Expr::Literal(text, _) = &call.params.args[2]
        && let Some(text) = text.try_as_str().flatten()
    {
        let array = coerce::from_literal(text, list)?;
        call.params.args[2] = Expr::Literal(ScalarValue::try_from_array(&array, 0)?, None);
        return Ok(Transformed::yes(Expr::WindowFunction(Box::new(call))));
    }
    let common = match &types {
        (Ok(value), Ok(default)) if value.is_numeric() && default.is_numeric() => {
            common_number_or_time(value, default)
        }
        _ => None,
    };
    let (Some(common), (Ok(value_type), _)) = (common, types) else {
        return Ok(Transformed::no(Expr::WindowFunction(Box::new(call))));
    };
    if value_type == common {
        return Ok(Transformed::no(Expr::WindowFunction(Box::new(call))));
    }
    // The function itself casts the default.
    let value = &mut call.params.args[0];
    *value = wide(std::mem::take(value), &common);
    Ok(Transformed::yes(Expr::WindowFunction(Box::new(call))))
}

fn given(changed: bool, expr: Expr) -> Transformed<Expr> {
    match changed {
        true => Transformed::yes(expr),
        false => Transformed::no(expr),
    }
}

fn operation(op: Operator) -> Option<Operation> {
    Some(match op {
        Operator::Plus => Operation::Add,
        Operator::Minus => Operation::Subtract,
        Operator::Multiply => Operation::Multiply,
        Operator::Divide => Operation::Divide,
        Operator::Modulo => Operation::Remainder,
        _ => return None,
    })
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// `+ - * / %` of two numbers; of anything else it stays what it is.
fn computed(
    operation: Operation,
    binary: BinaryExpr,
    schema: &dyn ExprSchema,
) -> PlanResult<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let types = (left.get_type(schema), right.get_type(schema));
    let (Ok(left_type), Ok(right_type)) = types else {
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr::new(
            left, op, right,
        ))));
    };
    let (mut left, mut right) = (*left, *right);
    let (mut left_type, mut right_type) = (left_type, right_type);
    if left_type.is_numeric() && is_unknown(&right) {
        (right, right_type) = (number_like(right, &left_type)?, left_type.clone());
        right_type = right.get_type(schema).unwrap_or(right_type);
    } else if right_type.is_numeric() && is_unknown(&left) {
        (left, left_type) = (number_like(left, &right_type)?, right_type.clone());
        left_type = left.get_type(schema).unwrap_or(left_type);
    }
    let is_numeric = |data_type: &DataType| data_type.is_numeric();
    if !is_numeric(&left_type) || !is_numeric(&right_type) {
        let binary = BinaryExpr::new(Box::new(left), op, Box::new(right));
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let common = common_type(&left_type, &right_type);
    let (left, right) = match &common {
        Some(common) => (
            to_type(left, &left_type, common),
            to_type(right, &right_type, common),
        ),
        None => (left, right),
    };
    let (left_type, right_type) = match common {
        Some(common) => (common.clone(), common),
        None => (left_type, right_type),
    };
    if operation.result(&left_type, &right_type).is_none() {
        return Err(no_such_operator(operation, &left_type, &right_type));
    }
    let call = arithmetic::function(operation).call(vec![left, right]);
    Ok(Transformed::yes(call))
}

/// A quoted literal, whose type is what its place asks for.
fn is_unknown(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal(
            ScalarValue::Utf8(_) | ScalarValue::Utf8View(_) | ScalarValue::LargeUtf8(_),
            _
        )
    )
}

fn number_like(text: Expr, data_type: &DataType) -> PlanResult<Expr> {
    let Expr::Literal(value, _) = &text else {
        return Ok(text);
    };
    match value.try_as_str().flatten() {
        Some(digits) if data_type.is_decimal() => {
            Ok(Expr::Literal(conversion::literal(digits)?, None))
        }
        _ => Ok(cast(text, data_type.clone())),
    }
}

/// What both sides of an operator are computed in; none for two exact numbers, whose digits decide.
fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    if left.is_floating() || right.is_floating() {
        let both_small = matches!((left, right), (DataType::Float32, DataType::Float32));
        return Some(if both_small {
            DataType::Float32
        } else {
            DataType::Float64
        });
    }
    if left.is_integer() && right.is_integer() {
        return Some(integer(left).max(integer(right)).data_type());
    }
    None
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Small,
    Normal,
    Big,
}

impl Width {
    fn data_type(&self) -> DataType {
        match self {
            Width::Small => DataType::Int16,
            Width::Normal => DataType::Int32,
            Width::Big => DataType::Int64,
        }
    }
}

fn integer(data_type: &DataType) -> Width {
    match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Width::Small,
        DataType::UInt16 | DataType::Int32 => Width::Normal,
        _ => Width::Big,
    }
}

fn to_type(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    if from == to {
        expr
    } else {
        cast(expr, to.clone())
    }
}

/// A comparison of a float and a decimal is one of floats, and one of decimals loses no digit.
fn compared(binary: BinaryExpr, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let mut both = [*left, *right];
    for (number, text) in [(0, 1), (1, 0)] {
        if is_unknown(&both[text])
            && let Ok(data_type) = both[number].get_type(schema)
            && data_type.is_decimal()
        {
            both[text] = number_like(both[text].clone(), &data_type)?;
        }
    }
    let mut changed = as_floats(&mut both, schema);
    let types = both.each_ref().map(|side| side.get_type(schema));
    if let [Ok(left_type), Ok(right_type)] = &types
        && (left_type.is_decimal() || right_type.is_decimal())
        && let (Some(left), Some(right)) = (Digits::of(left_type), Digits::of(right_type))
    {
        let scale = left.scale.max(right.scale);
        let precision = left.whole.max(right.whole) + scale;
        if (39..=76).contains(&precision) {
            let wide = DataType::Decimal256(
                u8::try_from(precision).unwrap_or(76),
                i8::try_from(scale).unwrap_or(38),
            );
            both = both.map(|side| cast(side, wide.clone()));
            changed = true;
        }
    }
    let [left, right] = both.map(Box::new);
    let binary = Expr::BinaryExpr(BinaryExpr::new(left, op, right));
    Ok(given(changed, binary))
}

/// Literals without a type are of that of the others.
fn read_literals(all: &mut [Expr], schema: &dyn ExprSchema) -> PlanResult<bool> {
    let is_literal = |expr: &Expr| is_unknown(expr) && kind_of(expr, schema).is_none();
    if !all.iter().any(is_literal) {
        return Ok(false);
    }
    let known = all.iter().filter(|expr| !is_literal(expr));
    let known = known.filter_map(|expr| expr.get_type(schema).ok());
    let known: Vec<DataType> = known.filter(|data_type| !data_type.is_null()).collect();
    let Some(first) = known.first() else {
        return Ok(false);
    };
    let numbers = known.iter().cloned().map(Some);
    let number = numbers.reduce(|one, other| common_number_or_time(&one?, &other?));
    let common = match number.flatten() {
        Some(number) if number.is_numeric() => number,
        _ => match first {
            DataType::Boolean | DataType::Binary | DataType::List(_) => first.clone(),
            _ => return Ok(false),
        },
    };
    for expr in all.iter_mut().filter(|expr| is_literal(expr)) {
        *expr = match &common {
            DataType::Boolean => boolean(expr)?.unwrap_or_else(|| expr.clone()),
            common if common.is_numeric() => number_like(expr.clone(), common)?,
            common => cast(expr.clone(), common.clone()),
        };
    }
    Ok(true)
}

/// As [`as_floats`], for what stands for one another: `real` if none of them is `double precision`.
fn as_floats_alike(all: &mut [Expr], schema: &dyn ExprSchema) -> bool {
    let types = all.iter().filter_map(|expr| expr.get_type(schema).ok());
    let floats: Vec<DataType> = types.filter(DataType::is_floating).collect();
    if floats.is_empty() || floats.contains(&DataType::Float64) {
        return as_floats(all, schema);
    }
    let mut changed = false;
    for expr in all {
        let data_type = expr.get_type(schema);
        if data_type.is_ok_and(|own| own.is_numeric() && own != DataType::Float32) {
            *expr = cast(expr.clone(), DataType::Float32);
            changed = true;
        }
    }
    changed
}

/// If one of them is a float, the decimals become floats too.
fn as_floats(all: &mut [Expr], schema: &dyn ExprSchema) -> bool {
    let types = all.iter().map(|expr| expr.get_type(schema).ok());
    let types: Vec<_> = types.collect();
    let has_float = types
        .iter()
        .flatten()
        .any(|data_type| data_type.is_floating());
    if !has_float {
        return false;
    }
    let mut changed = false;
    for (expr, data_type) in all.iter_mut().zip(types) {
        if data_type.is_some_and(|data_type| data_type.is_decimal()) {
            *expr = cast(expr.clone(), DataType::Float64);
            changed = true;
        }
    }
    changed
}

/// All results of a CASE in one type: DataFusion would take that of the first for the result's.
fn chosen(mut case: Case, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
    let mut results: Vec<Expr> = case
        .when_then_expr
        .iter()
        .map(|(_, then)| then.as_ref().clone())
        .collect();
    results.extend(case.else_expr.as_deref().cloned());
    let changed = read_literals(&mut results, schema)?
        | as_floats_alike(&mut results, schema)
        | as_common(&mut results, schema);
    if changed {
        if case.else_expr.is_some() {
            case.else_expr = results.pop().map(Box::new);
        }
        for ((_, then), result) in case.when_then_expr.iter_mut().zip(results) {
            **then = result;
        }
    }
    Ok(given(changed, Expr::Case(case)))
}

/// Unlike numbers in the type that has room for all of them.
fn as_common(all: &mut [Expr], schema: &dyn ExprSchema) -> bool {
    let types = all.iter().filter_map(|expr| expr.get_type(schema).ok());
    let mut common = None;
    for data_type in types.filter(|data_type| !data_type.is_null()) {
        common = match common {
            _ if !data_type.is_numeric() => return false,
            None => Some(data_type),
            Some(common) => match common_number_or_time(&common, &data_type) {
                Some(common) => Some(common),
                None => return false,
            },
        };
    }
    let Some(common) = common else {
        return false;
    };
    let mut changed = false;
    for expr in all {
        let differs = expr
            .get_type(schema)
            .is_ok_and(|data_type| data_type != common && !data_type.is_null());
        if differs {
            *expr = wide(expr.clone(), &common);
            changed = true;
        }
    }
    changed
}

/// A number in a type that has room for it.
fn wide(number: Expr, data_type: &DataType) -> Expr {
    match data_type.is_decimal() {
        true => conversion::widened(data_type.clone()).call(vec![number]),
        false => cast(number, data_type.clone()),
    }
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
        // `1e20` has no digits after the point, and none that are left out before it.
        ScalarValue::Decimal128(Some(_), _, scale) if *scale < 0 => {
            conversion::literal(&value.to_string()).ok()
        }
        _ => None,
    };
    match changed {
        Some(changed) => Transformed::yes(Expr::Literal(changed, metadata)),
        None => Transformed::no(Expr::Literal(value, metadata)),
    }
}

/// A number is no date, however Arrow counts days; and `numeric` without a scale keeps the digits that it is given.
fn are_integers(args: &[Expr], schema: &dyn ExprSchema) -> bool {
    let types: Vec<DataType> = args.iter().flat_map(|arg| arg.get_type(schema)).collect();
    matches!(types.as_slice(), [one, other] if one != other && one.is_integer() && other.is_integer())
}

fn castable(cast: Cast, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
    let is_time = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)
        )
    };
    let to = cast.field.data_type();
    let Ok(from) = cast.expr.get_type(schema) else {
        return Ok(Transformed::no(Expr::Cast(cast)));
    };
    if (from.is_numeric() && is_time(to)) || (is_time(&from) && to.is_numeric()) {
        let (from, to) = (PgType::of_arrow(&from).name(), PgType::of_arrow(to).name());
        let message = format!("cannot cast type {from} to {to}");
        return Err(Error::CannotCoerce { message }.into());
    }
    if to != &ANY_SCALE {
        return Ok(Transformed::no(Expr::Cast(cast)));
    }
    if from.is_decimal() {
        return Ok(Transformed::yes(*cast.expr));
    }
    if let Some(digits) = Digits::of(&from) {
        let exact = digits.data_type();
        return Ok(Transformed::yes(datafusion::logical_expr::cast(
            *cast.expr, exact,
        )));
    }
    if let Expr::Literal(value, _) = cast.expr.as_ref()
        && let Some(text) = value.try_as_str().flatten()
    {
        let number = conversion::literal(text)?;
        return Ok(Transformed::yes(Expr::Literal(number, None)));
    }
    let convert = conversion::function(Conversion::ToNumeric);
    Ok(match from {
        DataType::Null => Transformed::no(Expr::Cast(cast)),
        _ => Transformed::yes(convert.call(vec![*cast.expr])),
    })
}

/// A sum of bigints is numeric; one of decimals does not wrap.
fn summed(mut expr: Expr, schema: &dyn ExprSchema) -> Transformed<Expr> {
    if let Expr::AggregateFunction(call) = &mut expr
        && call.func.name() == "count"
        && let [Expr::Literal(one @ ScalarValue::Int32(Some(1)), _)] =
            call.params.args.as_mut_slice()
    {
        // `count(*)`: the optimizer knows it by this, and answers it from statistics.
        *one = ScalarValue::Int64(Some(1));
        return Transformed::yes(expr);
    }
    if let Expr::AggregateFunction(call) = &mut expr
        && !call.params.order_by.is_empty()
        && !call.params.distinct
        && is_same_in_any_order(call.func.name(), &call.params.args, schema)
    {
        // DataFusion can't aggregate in two orders at once.
        call.params.order_by.clear();
        return Transformed::yes(summed(expr, schema).data);
    }
    let argument = match &mut expr {
        Expr::AggregateFunction(call) if call.func.name() == "sum" => call.params.args.first_mut(),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) if function.name() == "sum" => {
                call.params.args.first_mut()
            }
            _ => None,
        },
        _ => None,
    };
    let Some(argument) = argument else {
        return Transformed::no(expr);
    };
    let Some(target) = argument
        .get_type(schema)
        .ok()
        .and_then(|data_type| addend(&data_type))
    else {
        return Transformed::no(expr);
    };
    *argument = cast(argument.clone(), target);
    Transformed::yes(expr)
}

/// Whether an aggregate answers the same, whatever the order of its rows is. Sums of floats do not.
fn is_same_in_any_order(function: &str, args: &[Expr], schema: &dyn ExprSchema) -> bool {
    match function {
        "count" | "min" | "max" | "bool_and" | "bool_or" | "bit_and" | "bit_or" | "bit_xor" => true,
        "sum" | "avg" => args.iter().all(|arg| {
            let data_type = arg.get_type(schema);
            data_type.is_ok_and(|data_type| Digits::of(&data_type).is_some())
        }),
        _ => false,
    }
}

/// What values of a type are added up in, if it is not their own type. DataFusion's sum has ten digits more.
pub(crate) fn addend(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int64 | DataType::UInt64 => Some(SUM),
        DataType::Decimal128(38, scale @ (10 | 20)) => Some(DataType::Decimal256(66, *scale)),
        DataType::Decimal128(precision @ 29.., scale) => {
            Some(DataType::Decimal256(*precision, *scale))
        }
        _ => None,
    }
}

/// The exact type of the sum of values of a type; none for floats.
pub(crate) fn exact(expr: Expr, data_type: &DataType) -> Expr {
    match Digits::of(data_type) {
        Some(digits) if !data_type.is_decimal() => cast(expr, digits.data_type()),
        _ => expr,
    }
}

/// As PostgreSQL's `numeric` operators, for plans that are made here.
pub(crate) fn call(operation: Operation, arguments: Vec<Expr>) -> Expr {
    Arc::clone(&arithmetic::function(operation)).call(arguments)
}
