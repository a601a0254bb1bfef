//! Texts that are dates and times by their place in the statement, read as PostgreSQL reads them.
//!
//! `occurred_at >= '2026-01-31 10:00'` reaches the planner as a cast of a text. DataFusion would want seconds, and would
//! take the time for UTC whatever zone the session is in.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::{
    common::{
        Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    logical_expr::{Cast, Expr, LogicalPlan, expr_rewriter::NamePreserver},
    optimizer::AnalyzerRule,
};
use rapport_udf_postgres::{Reading, Span, Units, array_items};

use crate::coerce;

/// After the types are known, before anything is computed.
#[derive(Debug)]
pub(crate) struct ReadMoments;

impl AnalyzerRule for ReadMoments {
    fn name(&self) -> &str {
        "ReadMoments"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = read_literals(expr, config)?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(changed?.data)
    }
}

/// All of an expression's.
pub(crate) fn read_literals(expr: Expr, config: &ConfigOptions) -> Result<Transformed<Expr>> {
    let reading = Reading::of(config)?;
    expr.transform_up(|expr| read(expr, &reading))
}

fn read(expr: Expr, reading: &Reading) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let text = match inner.as_ref() {
        Expr::Literal(text, _) => text.try_as_str().flatten(),
        _ => None,
    };
    let Some(text) = text else {
        return Ok(Transformed::no(expr));
    };
    Ok(match value(text, field.data_type(), reading)? {
        Some(value) => Transformed::yes(Expr::Literal(value, None)),
        None => Transformed::no(expr),
    })
}

/// `None`: not of these types.
fn value(text: &str, data_type: &DataType, reading: &Reading) -> Result<Option<ScalarValue>> {
    Ok(match data_type {
        DataType::Date32 => Some(ScalarValue::Date32(Some(reading.date(text)?))),
        DataType::Timestamp(unit, zone) => {
            let micros = match zone {
                Some(_) => reading.timestamptz(text)?,
                None => reading.timestamp(text)?,
            };
            timestamp(micros, *unit, zone.clone())
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            Some(ScalarValue::Time64Microsecond(Some(reading.time(text)?)))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let span = Span::parse(text, Units::default())?.to_arrow()?;
            Some(ScalarValue::IntervalMonthDayNano(Some(span)))
        }
        DataType::List(item) if item.data_type().is_temporal() => {
            let items = array_items(text)?.into_iter();
            let items = items.map(|text| {
                let read = text.map(|text| value(&text, item.data_type(), reading));
                match read.transpose()?.flatten() {
                    Some(value) => Ok(value),
                    None => ScalarValue::try_from(item.data_type()),
                }
            });
            let items = items.collect::<Result<Vec<_>>>()?;
            let list = ScalarValue::new_list(&items, item.data_type(), true);
            Some(ScalarValue::List(list).cast_to(data_type)?)
        }
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary | DataType::List(_) => {
            let array = coerce::from_literal(text, data_type)?;
            Some(ScalarValue::try_from_array(&array, 0)?)
        }
        _ => None,
    })
}

fn timestamp(micros: i64, unit: TimeUnit, zone: Option<Arc<str>>) -> Option<ScalarValue> {
    Some(match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(micros.div_euclid(1_000_000)), zone),
        TimeUnit::Millisecond => {
            ScalarValue::TimestampMillisecond(Some(micros.div_euclid(1_000)), zone)
        }
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(micros), zone),
        TimeUnit::Nanosecond => {
            ScalarValue::TimestampNanosecond(Some(micros.checked_mul(1_000)?), zone)
        }
    })
}
