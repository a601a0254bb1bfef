//! Texts that are dates and times by their place in the statement, read as PostgreSQL reads them.
//!
//! `occurred_at >= '2026-01-31 10:00'` reaches the planner as a cast of a text. DataFusion would want seconds, and would
//! take the time for UTC whatever zone the session is in.

use std::sync::Arc;

use arrow::{
    array::timezone::Tz,
    datatypes::{DataType, TimeUnit},
};
use chrono::{DateTime, Utc};
use datafusion::{
    common::{
        Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    logical_expr::{Cast, Expr, LogicalPlan},
    optimizer::AnalyzerRule,
};

use crate::moment;

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
            node.map_expressions(|expr| expr.transform_up(|expr| Ok(read(expr, zone, now))))
        });
        Ok(changed?.data)
    }
}

fn read(expr: Expr, zone: Tz, now: DateTime<Utc>) -> Transformed<Expr> {
    let value = match &expr {
        Expr::Cast(Cast { expr: inner, field }) => match inner.as_ref() {
            Expr::Literal(text, _) => text
                .try_as_str()
                .flatten()
                .and_then(|text| value(text, field.data_type(), zone, now)),
            _ => None,
        },
        _ => None,
    };
    match value {
        Some(value) => Transformed::yes(Expr::Literal(value, None)),
        None => Transformed::no(expr),
    }
}

/// `None`: not of these types, or not understood; whoever casts it says why.
fn value(text: &str, data_type: &DataType, session: Tz, now: DateTime<Utc>) -> Option<ScalarValue> {
    let moment = || moment::parse(text, session, now);
    match data_type {
        DataType::Date32 => Some(ScalarValue::Date32(Some(moment()?.days()))),
        DataType::Timestamp(unit, zone) => {
            let micros = match zone {
                Some(_) => moment()?.utc_micros(session)?,
                None => moment()?.local_micros(),
            };
            let zone: Option<Arc<str>> = zone.clone();
            Some(match unit {
                TimeUnit::Second => {
                    ScalarValue::TimestampSecond(Some(micros.div_euclid(1_000_000)), zone)
                }
                TimeUnit::Millisecond => {
                    ScalarValue::TimestampMillisecond(Some(micros.div_euclid(1_000)), zone)
                }
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(micros), zone),
                TimeUnit::Nanosecond => {
                    ScalarValue::TimestampNanosecond(Some(micros.checked_mul(1_000)?), zone)
                }
            })
        }
        _ => None,
    }
}
