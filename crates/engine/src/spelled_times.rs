//! What the grammar has of its own for times, as calls and casts: `INTERVAL '5' DAY`, `timestamp(0)`,
//! `(a, b) OVERLAPS (c, d)`, `make_interval(days => 1)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Interval, Query, SetExpr, Statement, TypedString, UnaryOperator, Value,
    Values, VisitMut, VisitorMut,
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
        Expr::Function(function)
            if function
                .name
                .to_string()
                .eq_ignore_ascii_case("make_interval") =>
        {
            if let FunctionArguments::List(list) = &mut function.args {
                in_order(&mut list.args)?;
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

const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

/// Named arguments in their places, zeros where none is given.
fn in_order(args: &mut Vec<FunctionArg>) -> Result<()> {
    let is_named = |arg: &FunctionArg| !matches!(arg, FunctionArg::Unnamed(_));
    if !args.iter().any(is_named) {
        return Ok(());
    }
    let zero = || FunctionArgExpr::Expr(number(0));
    let mut placed: Vec<Option<FunctionArgExpr>> = vec![None; PARTS.len()];
    for (index, arg) in args.drain(..).enumerate() {
        let (index, arg) = match arg {
            FunctionArg::Unnamed(arg) => (Some(index), arg),
            FunctionArg::Named { name, arg, .. } => (part(&name.value), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (part(&name.to_string()), arg),
        };
        let place = index.and_then(|index| placed.get_mut(index));
        match place {
            Some(place @ None) => *place = Some(arg),
            _ => {
                let message = "function make_interval with these arguments does not exist";
                return Err(Error::Refused(Refusal::no_such_function(message)));
            }
        }
    }
    let placed = placed.into_iter();
    *args = placed
        .map(|arg| FunctionArg::Unnamed(arg.unwrap_or_else(zero)))
        .collect();
    Ok(())
}

fn part(name: &str) -> Option<usize> {
    PARTS
        .iter()
        .position(|part| part.eq_ignore_ascii_case(name))
}
