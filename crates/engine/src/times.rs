//! Dates, times and intervals with the operators and casts that PostgreSQL gives them.
//!
//! Operators are chosen where the statement is planned, because DataFusion refuses most of them there. Casts and
//! comparisons are replaced once the types are known.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::{
    common::{
        DFSchema, ExprSchema, Result, ScalarValue, TableReference,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    datasource::{ViewTable, provider_as_source},
    functions_aggregate::first_last::first_value,
    logical_expr::{
        Aggregate, BinaryExpr, Cast, Distinct, Expr, ExprSchemable, LogicalPlan,
        LogicalPlanBuilder, Operator, ScalarUDF, SortExpr, TableSource, WindowFrameBound,
        WindowFrameUnits, cast,
        expr::{Between, InList, InSubquery, Placeholder, ScalarFunction},
        expr_rewriter::NamePreserver,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
        utils::merge_schema,
        when,
    },
    optimizer::AnalyzerRule,
    sql::sqlparser::ast::BinaryOperator,
};
use rapport_lake::PG_TYPE;
use rapport_udf_postgres::{
    TimeOperator, Zone, has_no_time_cast, refusal::Refusal, time_cast, widest, within_reach,
};

use crate::{
    Error,
    pg_type::{Kind, PgType, utc},
};

/// Plans before DataFusion's own planners do.
#[derive(Debug)]
pub(crate) struct PlanTimes {
    extract: Arc<ScalarUDF>,
}

impl PlanTimes {
    pub(crate) fn new(functions: &[Arc<ScalarUDF>]) -> Self {
        let extract = functions
            .iter()
            .find(|function| function.name() == "extract");
        Self {
            extract: extract.expect("it is one of ours").clone(),
        }
    }
}

impl ExprPlanner for PlanTimes {
    fn plan_binary_op(
        &self,
        raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let (left, right) = (Side::of(&raw.left, schema), Side::of(&raw.right, schema));
        if !left.is_time() && !right.is_time() {
            return Ok(PlannerResult::Original(raw));
        }
        match raw.op {
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => {
                arithmetic(raw, &left, &right, schema).map(PlannerResult::Planned)
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => compared(raw, &left, &right).map(PlannerResult::Original),
            _ => Ok(PlannerResult::Original(raw)),
        }
    }

    fn plan_array_literal(
        &self,
        mut items: Vec<Expr>,
        schema: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        unite(items.iter_mut().collect(), schema);
        Ok(PlannerResult::Original(items))
    }

    fn plan_extract(&self, mut args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        if let Some(Expr::Literal(ScalarValue::Utf8(Some(field)), _)) = args.first_mut() {
            *field = field.trim_matches(['\'', '"']).to_owned();
        }
        let call = ScalarFunction::new_udf(self.extract.clone(), args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// What stands on one side of an operator.
#[derive(Clone, Debug, PartialEq)]
enum Side {
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Number(DataType),
    /// A literal in quotes, a NULL, or a parameter without a type.
    Unknown,
    Other(DataType),
}

impl Side {
    fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr {
            Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, _) => return Self::Unknown,
            Expr::Placeholder(Placeholder { field: None, .. }) => return Self::Unknown,
            _ => {}
        }
        match expr.get_type(schema) {
            Ok(DataType::Date32 | DataType::Date64) => Self::Date,
            Ok(DataType::Time32(_) | DataType::Time64(_)) => Self::Time,
            Ok(DataType::Timestamp(_, None)) => Self::Timestamp,
            Ok(DataType::Timestamp(_, Some(_))) => Self::Timestamptz,
            Ok(DataType::Interval(_) | DataType::Duration(_)) => Self::Interval,
            Ok(DataType::Null) => Self::Unknown,
            Ok(number) if number.is_numeric() => Self::Number(number),
            Ok(other) => Self::Other(other),
            Err(_) => Self::Other(DataType::Null),
        }
    }

    fn is_time(&self) -> bool {
        matches!(
            self,
            Self::Date | Self::Time | Self::Timestamp | Self::Timestamptz | Self::Interval
        )
    }

    /// What an integer column or literal is at this point; literals are narrowed later.
    fn is_integer(&self) -> bool {
        matches!(self, Self::Number(number) if number.is_integer())
    }

    fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => utc(),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            _ => return None,
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Unknown => "unknown".to_owned(),
            // Literals come as the widest integer.
            Self::Number(DataType::Int64) => "integer".to_owned(),
            Self::Number(data_type) | Self::Other(data_type) => PgType::of_arrow(data_type).name(),
            time => time
                .data_type()
                .map(|data_type| PgType::of_arrow(&data_type).name())
                .unwrap_or_default(),
        }
    }
}

fn no_operator(op: &BinaryOperator, left: &Side, right: &Side) -> Error {
    Error::UndefinedFunction {
        message: format!(
            "operator does not exist: {} {op} {}",
            left.name(),
            right.name()
        ),
        hint: Some(
            "No operator matches the given name and argument types. You might need to add explicit type casts."
                .to_owned(),
        ),
    }
}

/// PostgreSQL's operators of these types; one side of unknown type is what fits the other.
fn arithmetic(raw: RawBinaryExpr, left: &Side, right: &Side, schema: &DFSchema) -> Result<Expr> {
    use Side as S;
    use TimeOperator as Op;
    let is_number = |side: &Side| matches!(side, S::Number(_) | S::Unknown);
    let (operator, swapped) = match (&raw.op, left, right) {
        (BinaryOperator::Plus, S::Date, S::Unknown)
        | (BinaryOperator::Plus, S::Unknown, S::Date) => {
            let message = format!("operator is not unique: {} + {}", left.name(), right.name());
            let refusal = Refusal::new("42725", message).with_hint(
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            );
            return Err(refusal.into());
        }
        (BinaryOperator::Plus, left, right) => match (left, right) {
            (S::Date, number) if number.is_integer() => (Op::DatePlusInteger, false),
            (number, S::Date) if number.is_integer() => (Op::DatePlusInteger, true),
            (S::Date, S::Time) => (Op::DatePlusTime, false),
            (S::Time, S::Date) => (Op::DatePlusTime, true),
            (S::Timestamp | S::Timestamptz, S::Time) | (S::Time, S::Timestamp | S::Timestamptz) => {
                return as_interval(raw, schema);
            }
            (S::Date, S::Interval) => (Op::TimestampPlusInterval, false),
            (S::Interval, S::Date) => (Op::TimestampPlusInterval, true),
            (S::Timestamp, S::Interval | S::Unknown) => (Op::TimestampPlusInterval, false),
            (S::Interval | S::Unknown, S::Timestamp) => (Op::TimestampPlusInterval, true),
            (S::Timestamptz, S::Interval | S::Unknown) => (Op::TimestamptzPlusInterval, false),
            (S::Interval | S::Unknown, S::Timestamptz) => (Op::TimestamptzPlusInterval, true),
            (S::Time, S::Interval | S::Unknown) => (Op::TimePlusInterval, false),
            (S::Interval | S::Unknown, S::Time) => (Op::TimePlusInterval, true),
            (S::Interval, S::Interval | S::Unknown) | (S::Unknown, S::Interval) => {
                (Op::IntervalPlusInterval, false)
            }
            _ => return Err(no_operator(&raw.op, left, right).into()),
        },
        (BinaryOperator::Minus, left, right) => match (left, right) {
            (S::Date, S::Date | S::Unknown) | (S::Unknown, S::Date) => (Op::DateMinusDate, false),
            (S::Date, number) if number.is_integer() => (Op::DateMinusInteger, false),
            (S::Date | S::Timestamp, S::Interval) => (Op::TimestampMinusInterval, false),
            (S::Timestamptz, S::Interval) => (Op::TimestamptzMinusInterval, false),
            (S::Time, S::Interval) => (Op::TimeMinusInterval, false),
            (S::Date | S::Timestamp | S::Timestamptz | S::Interval, S::Time) => {
                return as_interval(raw, schema);
            }
            (S::Time, S::Time | S::Unknown) | (S::Unknown, S::Time) => (Op::TimeMinusTime, false),
            (S::Interval, S::Interval | S::Unknown) | (S::Unknown, S::Interval) => {
                (Op::IntervalMinusInterval, false)
            }
            (
                S::Timestamp | S::Timestamptz | S::Date | S::Unknown,
                S::Timestamp | S::Timestamptz | S::Date | S::Unknown,
            ) => (Op::Difference, false),
            _ => return Err(no_operator(&raw.op, left, right).into()),
        },
        (BinaryOperator::Multiply, S::Interval, number) if is_number(number) => {
            (Op::IntervalTimesNumber, false)
        }
        (BinaryOperator::Multiply, number, S::Interval) if is_number(number) => {
            (Op::IntervalTimesNumber, true)
        }
        (BinaryOperator::Divide, S::Interval, number) if is_number(number) => {
            (Op::IntervalOverNumber, false)
        }
        (BinaryOperator::Multiply | BinaryOperator::Divide, S::Time, number)
            if is_number(number) =>
        {
            return as_interval(raw, schema);
        }
        (BinaryOperator::Multiply, number, S::Time) if is_number(number) => {
            return as_interval(raw, schema);
        }
        (op, left, right) => return Err(no_operator(op, left, right).into()),
    };
    let mut operands = operator.operands();
    if operator == Op::Difference {
        let has_zone = *left == S::Timestamptz || *right == S::Timestamptz;
        let of = if has_zone {
            S::Timestamptz
        } else {
            S::Timestamp
        };
        operands = of
            .data_type()
            .map(|of| vec![of.clone(), of])
            .unwrap_or_default();
    }
    let (first, second) = match swapped {
        false => (raw.left, raw.right),
        true => (raw.right, raw.left),
    };
    let given = [first, second].into_iter().zip(operands);
    let given = given.map(|(expr, wanted)| as_type(expr, wanted, schema));
    Ok(operator.function().call(given.collect::<Result<Vec<_>>>()?))
}

/// Where PostgreSQL has no operator for a time of day, it takes it for an interval.
fn as_interval(mut raw: RawBinaryExpr, schema: &DFSchema) -> Result<Expr> {
    for side in [&mut raw.left, &mut raw.right] {
        if Side::of(side, schema) == Side::Time {
            let interval = DataType::Interval(IntervalUnit::MonthDayNano);
            *side = cast(side.clone(), interval);
        }
    }
    let (left, right) = (Side::of(&raw.left, schema), Side::of(&raw.right, schema));
    arithmetic(raw, &left, &right, schema)
}

/// A cast, unless it is of the type already. Any integer counts days: what is an integer in PostgreSQL may be wider here.
fn as_type(expr: Expr, wanted: DataType, schema: &DFSchema) -> Result<Expr> {
    if let Expr::Placeholder(Placeholder { id, field: None }) = expr {
        let field = arrow::datatypes::Field::new("", wanted, true);
        return Ok(Expr::Placeholder(Placeholder::new_with_field(
            id,
            Some(Arc::new(field)),
        )));
    }
    let is = expr.get_type(schema).ok();
    let stays = is
        .as_ref()
        .is_some_and(|is| *is == wanted || wanted == DataType::Int32 && is.is_integer());
    Ok(if stays { expr } else { cast(expr, wanted) })
}

/// An unknown literal is read as the other side's type; a number or a text is not compared with a time.
fn compared(mut raw: RawBinaryExpr, left: &Side, right: &Side) -> Result<RawBinaryExpr> {
    let is_moment = |side: &Side| matches!(side, Side::Date | Side::Timestamp | Side::Timestamptz);
    match (left, right) {
        (Side::Unknown, time) => {
            if let (Some(of), Expr::Literal(ScalarValue::Utf8(_), _)) =
                (time.data_type(), &raw.left)
            {
                raw.left = cast(raw.left, of);
            }
        }
        (time, Side::Unknown) => {
            if let (Some(of), Expr::Literal(ScalarValue::Utf8(_), _)) =
                (time.data_type(), &raw.right)
            {
                raw.right = cast(raw.right, of);
            }
        }
        (left, right) if left == right => {}
        (left, right) if is_moment(left) && is_moment(right) => {
            if let Some(of) = wider(left, right).data_type() {
                for (side, expr) in [(left, &mut raw.left), (right, &mut raw.right)] {
                    if side.data_type().as_ref() != Some(&of) {
                        *expr = cast(expr.clone(), of.clone());
                    }
                }
            }
        }
        (Side::Time, Side::Interval) => {
            raw.left = cast(raw.left, DataType::Interval(IntervalUnit::MonthDayNano));
        }
        (Side::Interval, Side::Time) => {
            raw.right = cast(raw.right, DataType::Interval(IntervalUnit::MonthDayNano));
        }
        (Side::Other(DataType::Null), _) | (_, Side::Other(DataType::Null)) => {}
        (left, right) => return Err(no_operator(&raw.op, left, right).into()),
    }
    Ok(raw)
}

/// The type that both are cast to: a date is a timestamp, and that one with time zone.
fn wider<'a>(left: &'a Side, right: &'a Side) -> &'a Side {
    let rank = |side: &Side| match side {
        Side::Date => 1,
        Side::Timestamp => 2,
        Side::Timestamptz => 3,
        _ => 0,
    };
    if rank(left) < rank(right) {
        right
    } else {
        left
    }
}

/// Before the types are coerced: what DataFusion would coerce otherwise, or not at all.
pub(crate) fn settle(plan: LogicalPlan, zone: &str) -> Result<LogicalPlan> {
    let has_rules = matches!(Zone::parse(zone), Some(Zone::Named(_)));
    let settled = plan.transform_up_with_subqueries(|node| {
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
            let changed = expr.transform_up(|expr| settled(expr, &schema, has_rules))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        match changed.transformed {
            true => changed.map_data(LogicalPlan::recompute_schema),
            false => Ok(changed),
        }
    });
    Ok(settled?.data)
}

/// All of one type, if one of them is a time: the widest moment, or what the texts among them are read as.
fn unite(exprs: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let sides: Vec<Side> = exprs.iter().map(|expr| Side::of(expr, schema)).collect();
    let fits = |side: &Side| side.is_time() || *side == Side::Unknown;
    if !sides.iter().all(fits) {
        return false;
    }
    let Some(first) = sides.iter().find(|side| side.is_time()) else {
        return false;
    };
    let widest = sides.iter().fold(first, |widest, side| match side {
        Side::Unknown => widest,
        side => wider(widest, side),
    });
    let Some(of) = widest.data_type() else {
        return false;
    };
    let mut changed = false;
    for (expr, side) in exprs.into_iter().zip(&sides) {
        if side != widest && !matches!(expr, Expr::Placeholder(_)) {
            *expr = cast(expr.clone(), of.clone());
            changed = true;
        }
    }
    changed
}

fn settled(mut expr: Expr, schema: &DFSchema, has_rules: bool) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::Between(between) => {
            let all = vec![
                between.expr.as_mut(),
                between.low.as_mut(),
                between.high.as_mut(),
            ];
            unite(all, schema)
        }
        Expr::InList(list) => {
            let mut all = vec![list.expr.as_mut()];
            all.extend(list.list.iter_mut());
            unite(all, schema)
        }
        Expr::Case(case) => {
            let mut all: Vec<&mut Expr> = case
                .when_then_expr
                .iter_mut()
                .map(|(_, then)| then.as_mut())
                .collect();
            all.extend(case.else_expr.as_deref_mut());
            unite(all, schema)
        }
        Expr::InSubquery(within) => unite_with_subquery(within, schema)?,
        // Each item is read as what it becomes.
        Expr::Cast(Cast { expr: inner, field }) => match (inner.as_mut(), field.data_type()) {
            (Expr::ScalarFunction(made), DataType::List(item))
                if made.name() == "make_array" && item.data_type().is_temporal() =>
            {
                for arg in &mut made.args {
                    *arg = cast(std::mem::take(arg), item.data_type().clone());
                }
                true
            }
            _ => false,
        },
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => {
            match null_if(&call.args, schema)? {
                Some(replaced) => {
                    expr = replaced;
                    true
                }
                None => false,
            }
        }
        Expr::WindowFunction(window) => {
            let params = &mut window.params;
            let frame = &params.window_frame;
            let has_offset = |bound: &WindowFrameBound| {
                matches!(
                    bound,
                    WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value)
                        if !value.is_null()
                )
            };
            let has_offset = frame.units == WindowFrameUnits::Range
                && (has_offset(&frame.start_bound) || has_offset(&frame.end_bound));
            let is_some = |offset: &ScalarValue| !offset.is_null();
            let is_behind = matches!(&frame.start_bound, WindowFrameBound::Following(offset) if is_some(offset));
            let is_before =
                matches!(&frame.end_bound, WindowFrameBound::Preceding(offset) if is_some(offset));
            let is_aside = is_behind || is_before;
            let mut changed = false;
            for SortExpr { expr, .. } in &mut params.order_by {
                if has_offset {
                    let bounds = [
                        &params.window_frame.start_bound,
                        &params.window_frame.end_bound,
                    ];
                    check_offsets(&bounds, &expr.get_type(schema)?)?;
                    changed |= make_room(expr, schema, is_aside)?;
                }
                changed |= window_order(expr, schema, has_offset, has_rules)?;
            }
            for expr in &mut params.partition_by {
                changed |= weigh(expr, schema);
            }
            changed
        }
        Expr::AggregateFunction(aggregate) if !aggregate.func.supports_within_group_clause() => {
            let order = aggregate.params.order_by.iter_mut();
            order.fold(false, |changed, SortExpr { expr, .. }| {
                weigh(expr, schema) || changed
            })
        }
        _ => false,
    };
    Ok(match changed {
        true => Transformed::yes(expr),
        false => Transformed::no(expr),
    })
}

/// The two sides of `x IN (SELECT y …)` of one type, if they are moments.
fn unite_with_subquery(within: &mut InSubquery, schema: &DFSchema) -> Result<bool> {
    let plan = &within.subquery.subquery;
    let column = plan.schema().columns().into_iter().next();
    let Some(column) = column else {
        return Ok(false);
    };
    let name = column.name.clone();
    let column = Expr::Column(column);
    let is = within.expr.get_type(schema)?;
    let its = column.get_type(plan.schema().as_ref())?;
    let Some(common) = widest(&is, &its).filter(|_| is != its) else {
        return Ok(false);
    };
    if its != common {
        let builder = LogicalPlanBuilder::from(plan.as_ref().clone());
        let plan = builder.project([cast(column, common.clone()).alias(name)])?;
        within.subquery.subquery = Arc::new(plan.build()?);
    }
    if is != common {
        *within.expr = cast(within.expr.as_ref().clone(), common);
    }
    Ok(true)
}

/// `nullif` of two types of moments, or of a moment and a text: the first value is kept as it is.
fn null_if(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let [first, second] = args else {
        return Ok(None);
    };
    let (mut left, mut right) = (first.clone(), second.clone());
    if !unite(vec![&mut left, &mut right], schema) {
        return Ok(None);
    }
    let value = match Side::of(first, schema) {
        Side::Unknown => left.clone(),
        _ => first.clone(),
    };
    let nothing = ScalarValue::try_from(&value.get_type(schema)?)?;
    when(left.eq(right), Expr::Literal(nothing, None))
        .otherwise(value)
        .map(Some)
}

/// The offsets of a RANGE: a number over numbers, an interval over moments.
fn check_offsets(bounds: &[&WindowFrameBound], key: &DataType) -> Result<()> {
    let is_moment = matches!(key, DataType::Date32 | DataType::Timestamp(..));
    for bound in bounds {
        let (WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset)) = bound
        else {
            continue;
        };
        let Some(text) = offset.try_as_str().flatten() else {
            continue;
        };
        // Intervals have been spelled out by now.
        let text = text.trim();
        let fits = match text.parse::<f64>() {
            Ok(_) if key.is_integer() => text.parse::<i64>().is_ok(),
            Ok(_) => key.is_numeric(),
            Err(_) => is_moment,
        };
        if !fits {
            return Err(Error::not_supported(
                "RANGE with such an offset is not supported for the type of the ORDER BY column",
                "Give a number over numbers, and an interval over dates and timestamps.",
            )
            .into());
        }
        if text.contains('-') && is_moment {
            return Err(Error::Refused(Refusal::new(
                "22013",
                "invalid preceding or following size in window function",
            ))
            .into());
        }
    }
    Ok(())
}

/// Offsets are added to what a window is ordered by: no infinity and no number at the end of its range bears that.
fn make_room(expr: &mut Expr, schema: &DFSchema, is_aside: bool) -> Result<bool> {
    *expr = match expr.get_type(schema)? {
        DataType::Int16 | DataType::Int32 => cast(std::mem::take(expr), DataType::Int64),
        DataType::Int64 => cast(std::mem::take(expr), DataType::Decimal128(20, 0)),
        DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) => {
            within_reach(is_aside).call(vec![std::mem::take(expr)])
        }
        _ => return Ok(false),
    };
    Ok(true)
}

/// What a window is ordered by: DataFusion knows no ranges of intervals and of times of day.
fn window_order(
    expr: &mut Expr,
    schema: &DFSchema,
    has_offset: bool,
    has_rules: bool,
) -> Result<bool> {
    match Side::of(expr, schema) {
        Side::Interval | Side::Time if has_offset => Err(Error::not_supported(
            "RANGE with an offset over times of day or intervals is not supported",
            "Order by a number, such as extract(epoch FROM …).",
        )
        .into()),
        Side::Timestamptz if has_offset && has_rules => Err(Error::not_supported(
            "RANGE with an offset over timestamp with time zone is not supported in a zone with summer time",
            "SET TimeZone = 'UTC', or order by a timestamp without time zone.",
        )
        .into()),
        Side::Interval => {
            *expr = weight(expr.clone());
            Ok(true)
        }
        Side::Time => {
            let interval = DataType::Interval(IntervalUnit::MonthDayNano);
            *expr = weight(cast(expr.clone(), interval));
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// After the types are known, before anything is computed.
#[derive(Debug)]
pub(crate) struct PostgresTimes;

impl AnalyzerRule for PostgresTimes {
    fn name(&self) -> &str {
        "PostgresTimes"
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
            let is_sort = matches!(node, LogicalPlan::Sort(_));
            let names = NamePreserver::new(&node);
            let changed = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let mut changed = expr.transform_up(|expr| replace(expr, &schema))?;
                if is_sort && is_interval(&changed.data, &schema) {
                    changed = Transformed::yes(weight(changed.data));
                }
                Ok(changed.update_data(|expr| name.restore(expr)))
            })?;
            changed.map_data(by_weight)
        });
        Ok(changed?.data)
    }
}

/// Intervals that are equal however they are written are one group, one distinct row and join with each other.
fn by_weight(node: LogicalPlan) -> Result<LogicalPlan> {
    let has_interval = |plan: &LogicalPlan| {
        let mut fields = plan.schema().fields().iter();
        fields.any(|field| matches!(field.data_type(), DataType::Interval(_)))
    };
    Ok(match node {
        LogicalPlan::Distinct(Distinct::All(input)) if has_interval(&input) => {
            let columns = input.schema().columns();
            let columns = columns.into_iter().map(Expr::Column).collect();
            grouped_by_weight(Aggregate::try_new(input, columns, vec![])?)?
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) if has_interval(&on.input) => {
            let input = on.input.schema().clone();
            for expr in &mut on.on_expr {
                weigh(expr, &input);
            }
            for SortExpr { expr, .. } in on.sort_expr.iter_mut().flatten() {
                weigh(expr, &input);
            }
            LogicalPlan::Distinct(Distinct::On(on))
        }
        LogicalPlan::Aggregate(aggregate) => grouped_by_weight(aggregate)?,
        LogicalPlan::Join(mut join) if has_interval(&join.left) => {
            for (left, right) in &mut join.on {
                if is_interval(left, join.left.schema()) && is_interval(right, join.right.schema())
                {
                    *left = weight(std::mem::take(left));
                    *right = weight(std::mem::take(right));
                }
            }
            LogicalPlan::Join(join)
        }
        node => node,
    })
}

/// A group shows the first of its intervals.
fn grouped_by_weight(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input = aggregate.input.schema();
    let is_weighed = |expr: &Expr| is_interval(expr, input.as_ref());
    let sets = aggregate.group_expr.iter().any(|expr| match expr {
        Expr::GroupingSet(sets) => sets.distinct_expr().into_iter().any(is_weighed),
        _ => false,
    });
    if sets {
        return Err(Error::not_supported(
            "GROUPING SETS, ROLLUP and CUBE over an interval are not supported",
            "Group by a number, such as extract(epoch FROM …).",
        )
        .into());
    }
    let input = aggregate.input.clone();
    let is_weighed = |expr: &Expr| is_interval(expr, input.schema());
    grouped_by(aggregate, is_weighed, |expr| Ok(weight(expr)))
}

/// Groups by what stands for some of their values; each shows the first of these.
pub(crate) fn grouped_by(
    aggregate: Aggregate,
    is_weighed: impl Fn(&Expr) -> bool,
    weight: impl Fn(Expr) -> Result<Expr>,
) -> Result<LogicalPlan> {
    if !aggregate.group_expr.iter().any(&is_weighed) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let (mut keys, mut values) = (vec![], aggregate.aggr_expr.clone());
    let mut shown: Vec<Option<String>> = vec![];
    for (at, expr) in aggregate.group_expr.iter().enumerate() {
        if is_weighed(expr) {
            let name = format!("\u{1}interval {at}");
            keys.push(weight(expr.clone())?.alias(format!("\u{1}weight {at}")));
            values.push(first_value(expr.clone(), vec![]).alias(&name));
            shown.push(Some(name));
        } else {
            keys.push(expr.clone());
            shown.push(None);
        }
    }
    let n_shown = aggregate.schema.fields().len();
    shown.resize(n_shown, None);
    let (wanted, input) = (aggregate.schema, aggregate.input);
    let grouped = Aggregate::try_new(input, keys, values)?;
    let columns = grouped.schema.columns();
    let columns = columns.into_iter().zip(wanted.iter()).zip(shown);
    let columns = columns.map(|((column, (qualifier, field)), shown)| match shown {
        Some(name) => {
            let metadata = Some(FieldMetadata::from(field.as_ref()));
            Expr::Column(datafusion::common::Column::new_unqualified(name))
                .alias_qualified_with_metadata(qualifier.cloned(), field.name(), metadata)
        }
        None => Expr::Column(column),
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(grouped))
        .project(columns)?
        .build()
}

/// Whether there was an interval.
fn weigh(expr: &mut Expr, schema: &dyn ExprSchema) -> bool {
    let is_one = is_interval(expr, schema);
    if is_one {
        *expr = weight(std::mem::take(expr));
    }
    is_one
}

fn is_interval(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// What an interval is compared by: 30 days are a month there, and 24 hours a day.
pub(crate) fn weight(expr: Expr) -> Expr {
    TimeOperator::Weight.function().call(vec![expr])
}

fn replace(expr: Expr, schema: &dyn ExprSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr: inner, field }) => {
            let Ok(from) = inner.get_type(schema) else {
                return Ok(Transformed::no(Expr::Cast(Cast { expr: inner, field })));
            };
            let to = field.data_type();
            if has_no_time_cast(&from, to) {
                let (from, to) = (PgType::of_arrow(&from).name(), PgType::of_arrow(to).name());
                let message = format!("cannot cast type {from} to {to}");
                return Err(Error::CannotCoerce { message }.into());
            }
            let is_literal = matches!(inner.as_ref(), Expr::Literal(..)) && from.is_string();
            match time_cast(&from, to).filter(|_| !is_literal) {
                Some(function) => Ok(Transformed::yes(Expr::Cast(Cast {
                    expr: Box::new(function.call(vec![*inner])),
                    field,
                }))),
                None => Ok(Transformed::no(Expr::Cast(Cast { expr: inner, field }))),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(op) && is_interval(&left, schema) && is_interval(&right, schema) =>
        {
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(weight(*left)),
                op,
                Box::new(weight(*right)),
            ))))
        }
        Expr::Between(between) if is_interval(&between.expr, schema) => {
            Ok(Transformed::yes(Expr::Between(Between::new(
                Box::new(weight(*between.expr)),
                between.negated,
                Box::new(weight(*between.low)),
                Box::new(weight(*between.high)),
            ))))
        }
        Expr::InList(list) if is_interval(&list.expr, schema) => {
            let items = list.list.into_iter().map(weight).collect();
            Ok(Transformed::yes(Expr::InList(InList::new(
                Box::new(weight(*list.expr)),
                items,
                list.negated,
            ))))
        }
        Expr::InSubquery(mut within) if is_interval(&within.expr, schema) => {
            let plan = within.subquery.subquery.as_ref().clone();
            let column = plan.schema().columns().into_iter().next();
            let column =
                column.filter(|column| is_interval(&Expr::Column(column.clone()), plan.schema()));
            let Some(column) = column else {
                return Ok(Transformed::no(Expr::InSubquery(within)));
            };
            let name = column.name.clone();
            let weighed = weight(Expr::Column(column)).alias(name);
            let plan = LogicalPlanBuilder::from(plan).project([weighed])?.build()?;
            within.subquery.subquery = Arc::new(plan);
            *within.expr = weight(*within.expr);
            Ok(Transformed::yes(Expr::InSubquery(within)))
        }
        Expr::AggregateFunction(mut aggregate)
            if aggregate.params.distinct
                && aggregate
                    .params
                    .args
                    .iter()
                    .any(|arg| is_interval(arg, schema)) =>
        {
            match aggregate.func.name() {
                "count" => {
                    for arg in &mut aggregate.params.args {
                        weigh(arg, schema);
                    }
                }
                "min" | "max" => {}
                name => {
                    return Err(Error::not_supported(
                        format!("{name}(DISTINCT …) over an interval is not supported"),
                        "Take the distinct intervals in a sub-query.",
                    )
                    .into());
                }
            }
            Ok(Transformed::yes(Expr::AggregateFunction(aggregate)))
        }
        Expr::ScalarFunction(call)
            if call.func.name() == "nullif"
                && call.args.iter().all(|arg| is_interval(arg, schema)) =>
        {
            let [first, second] = call.args.as_slice() else {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            };
            let is_same = weight(first.clone()).eq(weight(second.clone()));
            let nothing = ScalarValue::try_from(&first.get_type(schema)?)?;
            let value = when(is_same, Expr::Literal(nothing, None)).otherwise(first.clone())?;
            Ok(Transformed::yes(value))
        }
        Expr::Negative(inner) if is_interval(&inner, schema) => Ok(Transformed::yes(
            TimeOperator::Minus.function().call(vec![*inner]),
        )),
        expr => Ok(Transformed::no(expr)),
    }
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

/// A table whose times are texts in the files, below the columns that read them.
pub(crate) const KEPT: &str = "\u{1}kept";

/// A table whose times and intervals, which the lake keeps as text, are read.
pub(crate) fn read_texts(source: Arc<dyn TableSource>) -> Result<Arc<dyn TableSource>> {
    let schema = source.schema();
    let target = |field: &arrow::datatypes::Field| {
        if !field.data_type().is_string() {
            return None;
        }
        let pg_type = PgType::parse(field.metadata().get(PG_TYPE)?).ok()?;
        match pg_type.kind {
            Kind::Time => Some(DataType::Time64(TimeUnit::Microsecond)),
            Kind::Interval => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
            _ => None,
        }
    };
    if !schema.fields().iter().any(|field| target(field).is_some()) {
        return Ok(source);
    }
    let scan = LogicalPlanBuilder::scan(TableReference::bare(KEPT), source, None)?;
    let columns = schema.fields().iter().map(|field| {
        let column = Expr::Column(datafusion::common::Column::new(
            Some(TableReference::bare(KEPT)),
            field.name(),
        ));
        match target(field).and_then(|to| time_cast(field.data_type(), &to)) {
            Some(read) => read.call(vec![column]).alias(field.name()),
            None => column,
        }
    });
    let plan = scan.project(columns.collect::<Vec<_>>())?.build()?;
    Ok(provider_as_source(Arc::new(ViewTable::new(plan, None))))
}
