//! What the grammar has of its own for times, as calls and casts: `INTERVAL '5' DAY`, `timestamp(0)`,
//! `(a, b) OVERLAPS (c, d)`, `make_interval(days => 1)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Interval, IntervalFields, Query, SetExpr, Statement, TypedString,
    UnaryOperator, Value, Values, VisitMut, VisitorMut,
};
use rapport_udf_postgres::{DIGITS, Span, Unit, Units, refusal::Refusal};

use crate::{
    Error, Result,
    tree::{call, take},
};

/// After the columns have got their names: a function would give another one.
pub(crate) fn spell_out(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Spelled) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Spelled;

impl VisitorMut for Spelled {
    type Break = Box<Error>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<Error>> {
        match spelled(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Box<Error>> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            read_in_columns(values);
        }
        ControlFlow::Continue(())
    }
}

/// In a column of a VALUES list, texts beside a date, a time or an interval are read as one.
fn read_in_columns(values: &mut Values) {
    let width = values.rows.first().map_or(0, |row| row.len());
    for column in 0..width {
        let mut exprs = values.rows.iter().filter_map(|row| row.get(column));
        let Some(data_type) = exprs.find_map(time_type) else {
            continue;
        };
        for expr in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            let is_text = matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
            if is_text {
                *expr = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(take(expr)),
                    data_type: data_type.clone(),
                    array: false,
                    format: None,
                };
            }
        }
    }
}

fn time_type(expr: &Expr) -> Option<DataType> {
    let data_type = match expr {
        Expr::Nested(inner) => return time_type(inner),
        Expr::Interval(_) => &DataType::Interval {
            fields: None,
            precision: None,
        },
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
            data_type
        }
        _ => return None,
    };
    matches!(
        data_type,
        DataType::Date | DataType::Timestamp(..) | DataType::Time(..) | DataType::Interval { .. }
    )
    .then(|| data_type.clone())
}

fn spelled(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Interval(interval) => *interval = literal(interval)?,
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: operand,
        } if matches!(operand.as_ref(), Expr::Interval(_)) => {
            // DataFusion would put the sign before the first part of the literal only.
            let interval = take(operand);
            **operand = Expr::Nested(Box::new(interval));
        }
        Expr::Cast {
            expr: value,
            data_type:
                data_type @ DataType::Interval {
                    fields: Some(_), ..
                },
            ..
        } => {
            let value = take(value);
            *expr = in_fields(value, data_type)?;
        }
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
            if let Some(digits) = without_digits(data_type) {
                let value = take(expr);
                *expr = call(DIGITS, vec![value, number(digits)]);
            }
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Overlaps,
            right,
        } => {
            let periods = [take(left), take(right)];
            let mut ends = vec![];
            for period in periods {
                match period {
                    Expr::Tuple(two) if two.len() == 2 => ends.extend(two),
                    _ => {
                        return Err(Error::Syntax {
                            message: "wrong number of parameters on side of OVERLAPS expression"
                                .to_owned(),
                            position: None,
                        });
                    }
                }
            }
            *expr = call("overlaps", ends);
        }
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("date") => {
            let FunctionArguments::List(list) = &mut function.args else {
                return Ok(());
            };
            if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_mut_slice() {
                *expr = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(take(value)),
                    data_type: DataType::Date,
                    array: false,
                    format: None,
                };
            }
        }
        Expr::Function(function) => {
            let name = function.name.to_string().to_ascii_lowercase();
            if let Some(parts) = parts(&name)
                && let FunctionArguments::List(list) = &mut function.args
            {
                in_order(&name, parts, &mut list.args)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn number(digits: u64) -> Expr {
    Expr::Value(Value::Number(digits.to_string(), false).into())
}

/// Takes the digits out of `timestamp(3)`, `time(0)` and `interval(2)`; six are what there is.
fn without_digits(data_type: &mut DataType) -> Option<u64> {
    let digits = match data_type {
        DataType::Timestamp(digits, _) | DataType::Time(digits, _) => digits.take(),
        DataType::Interval { precision, fields } if fields.is_none() => precision.take(),
        _ => None,
    };
    digits.filter(|digits| *digits < 6)
}

/// `INTERVAL '1:30' HOUR TO MINUTE` needs nothing of the session: it is read here, and written as everybody understands it.
fn literal(interval: &Interval) -> Result<Interval> {
    let text = match interval.value.as_ref() {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    };
    let text = text.ok_or_else(|| Error::Syntax {
        message: "syntax error: INTERVAL takes a literal in quotes".to_owned(),
        position: None,
    })?;
    let units = units(interval)?;
    let span = Span::parse(&text, units).map_err(Error::Refused)?;
    let seconds = span.micros.abs() / 1_000_000;
    let sign = if span.micros < 0 { "-" } else { "" };
    let text = format!(
        "{} mons {} days {sign}{seconds}.{:06} secs",
        span.months,
        span.days,
        span.micros.abs() % 1_000_000
    );
    Ok(Interval {
        value: Box::new(Expr::Value(Value::SingleQuotedString(text).into())),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

/// `value::interval hour`: what is smaller is left out.
fn in_fields(value: Expr, data_type: &DataType) -> Result<Expr> {
    use DateTimeField as F;
    let DataType::Interval {
        fields: Some(fields),
        precision,
    } = data_type
    else {
        return Ok(value);
    };
    let (first, last) = match fields {
        IntervalFields::Year => (F::Year, None),
        IntervalFields::Month => (F::Month, None),
        IntervalFields::Day => (F::Day, None),
        IntervalFields::Hour => (F::Hour, None),
        IntervalFields::Minute => (F::Minute, None),
        IntervalFields::Second => (F::Second, None),
        IntervalFields::YearToMonth => (F::Year, Some(F::Month)),
        IntervalFields::DayToHour => (F::Day, Some(F::Hour)),
        IntervalFields::DayToMinute => (F::Day, Some(F::Minute)),
        IntervalFields::DayToSecond => (F::Day, Some(F::Second)),
        IntervalFields::HourToMinute => (F::Hour, Some(F::Minute)),
        IntervalFields::HourToSecond => (F::Hour, Some(F::Second)),
        IntervalFields::MinuteToSecond => (F::Minute, Some(F::Second)),
    };
    let is_literal = matches!(&value, Expr::Value(value)
        if matches!(value.value, Value::SingleQuotedString(_)));
    if is_literal {
        return literal(&Interval {
            value: Box::new(value),
            leading_field: Some(first),
            last_field: last,
            leading_precision: None,
            fractional_seconds_precision: *precision,
        })
        .map(Expr::Interval);
    }
    let span = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type: DataType::Interval {
            fields: None,
            precision: None,
        },
        array: false,
        format: None,
    };
    let last = last.unwrap_or(first);
    Ok(match (&last, precision) {
        (F::Second, Some(digits)) if *digits < 6 => call(DIGITS, vec![span, number(*digits)]),
        (F::Second, _) => span,
        _ => {
            let unit = Value::SingleQuotedString(last.to_string().to_lowercase());
            call("date_trunc", vec![Expr::Value(unit.into()), span])
        }
    })
}

fn units(interval: &Interval) -> Result<Units> {
    let unit = |field: &DateTimeField| match field {
        DateTimeField::Year => Ok(Unit::Year),
        DateTimeField::Month => Ok(Unit::Month),
        DateTimeField::Day => Ok(Unit::Day),
        DateTimeField::Hour => Ok(Unit::Hour),
        DateTimeField::Minute => Ok(Unit::Minute),
        DateTimeField::Second => Ok(Unit::Second),
        other => Err(Error::Syntax {
            message: format!("syntax error at or near \"{other}\""),
            position: None,
        }),
    };
    let first = interval.leading_field.as_ref().map(unit).transpose()?;
    let last = interval.last_field.as_ref().map(unit).transpose()?;
    let digits = interval
        .fractional_seconds_precision
        .or(interval.leading_precision);
    Ok(Units {
        last: last.or(first),
        clock_from_hours: matches!(first, Some(Unit::Day | Unit::Hour)),
        digits: digits.map(|digits| u8::try_from(digits.min(6)).unwrap_or(6)),
    })
}

/// What the arguments of a function are called.
fn parts(function: &str) -> Option<&'static [&'static str]> {
    Some(match function {
        "make_date" => &["year", "month", "day"],
        "make_interval" => &["years", "months", "weeks", "days", "hours", "mins", "secs"],
        "make_time" => &["hour", "min", "sec"],
        "make_timestamp" => &["year", "month", "mday", "hour", "min", "sec"],
        "make_timestamptz" => &["year", "month", "mday", "hour", "min", "sec", "timezone"],
        _ => return None,
    })
}

/// Named arguments in their places; zeros where none is given, if the function takes that.
fn in_order(function: &str, parts: &[&str], args: &mut Vec<FunctionArg>) -> Result<()> {
    let place = |name: &str| {
        let mut parts = parts.iter();
        parts.position(|part| part.eq_ignore_ascii_case(name))
    };
    let mut named = vec![];
    for (index, arg) in args.iter().enumerate() {
        let (index, arg) = match arg {
            FunctionArg::Named { name, arg, .. } => (place(&name.value), arg.clone()),
            FunctionArg::ExprNamed { name, arg, .. } => (place(&name.to_string()), arg.clone()),
            // `name := value`
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
                left,
                op: BinaryOperator::Assignment,
                right,
            })) => (
                place(&left.to_string()),
                FunctionArgExpr::Expr(right.as_ref().clone()),
            ),
            FunctionArg::Unnamed(arg) => {
                named.push((Some(index), arg.clone(), false));
                continue;
            }
        };
        named.push((index, arg, true));
    }
    if !named.iter().any(|(_, _, is_named)| *is_named) {
        return Ok(());
    }
    let mut placed: Vec<Option<FunctionArgExpr>> = vec![None; parts.len()];
    let refused = || {
        let message = format!("function {function} with these arguments does not exist");
        Error::Refused(Refusal::no_such_function(message))
    };
    for (index, arg, _) in named {
        match index.and_then(|index| placed.get_mut(index)) {
            Some(place @ None) => *place = Some(arg),
            _ => return Err(refused()),
        }
    }
    if function == "make_timestamptz" && placed.last().is_some_and(Option::is_none) {
        placed.pop();
    }
    let zero = (function == "make_interval").then(|| FunctionArgExpr::Expr(number(0)));
    let placed = placed.into_iter().map(|arg| arg.or_else(|| zero.clone()));
    let placed: Option<Vec<_>> = placed.collect();
    *args = placed
        .ok_or_else(refused)?
        .into_iter()
        .map(FunctionArg::Unnamed)
        .collect();
    Ok(())
}
