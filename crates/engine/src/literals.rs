//! Texts that are dates and times by their place in the statement, read as PostgreSQL reads them.
//!
//! `occurred_at >= '2026-01-31 10:00'` reaches the planner as a cast of a text. DataFusion would want seconds, and would
//! take the time for UTC whatever zone the session is in.

use std::sync::Arc;

use arrow::{
    array::timezone::Tz,
    datatypes::{DataType, IntervalUnit, TimeUnit},
};
use chrono::{DateTime, Utc};
use datafusion::{
    common::{
        Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    logical_expr::{Cast, Expr, LogicalPlan, expr_rewriter::NamePreserver},
    optimizer::AnalyzerRule,
};

use crate::{coerce, moment, span};

/// After the types are known, before anything is computed.
#[derive(Debug)]
pub(crate) struct ReadMoments;

impl AnalyzerRule for ReadMoments {
    fn name(&self) -> &str {
        "ReadMoments"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.as_deref().unwrap_or("UTC");
        let Ok(zone) = zone.parse::<Tz>() else {
            return Ok(plan);
        };
        let now = Utc::now();
        let changed = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|expr| read(expr, zone, now))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(changed?.data)
    }
}

fn read(expr: Expr, zone: Tz, now: DateTime<Utc>) -> Result<Transformed<Expr>> {
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
    Ok(match value(text, field.data_type(), zone, now)? {
        Some(value) => Transformed::yes(Expr::Literal(value, None)),
        None => Transformed::no(expr),
    })
}

/// `None`: not of these types, or not understood; whoever casts it says why.
fn value(
    text: &str,
    data_type: &DataType,
    session: Tz,
    now: DateTime<Utc>,
) -> Result<Option<ScalarValue>> {
    let moment = || moment::parse(text, session, now);
    Ok(match data_type {
        DataType::Date32 => match moment() {
            Some(moment) => Some(ScalarValue::Date32(Some(moment.days()))),
            None => return Err(coerce::not_understood(text, "date").into()),
        },
        DataType::Timestamp(unit, zone) => {
            let micros = moment().and_then(|moment| match zone {
                Some(_) => moment.utc_micros(session),
                None => Some(moment.local_micros()),
            });
            match micros.and_then(|micros| timestamp(micros, *unit, zone.clone())) {
                Some(value) => Some(value),
                None => {
                    let name = match zone {
                        Some(_) => "timestamp with time zone",
                        None => "timestamp without time zone",
                    };
                    return Err(coerce::not_understood(text, name).into());
                }
            }
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            span::parse(text).map(|span| ScalarValue::IntervalMonthDayNano(Some(span)))
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
