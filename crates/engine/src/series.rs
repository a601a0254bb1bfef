//! `generate_series` over times, as a table.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use datafusion::{
    catalog::TableProvider, common::ScalarValue, config::ConfigOptions, datasource::MemTable,
    logical_expr::Expr,
};
use rapport_udf_postgres::{Reading, Span, Zone, steps};

use crate::{
    Error, Result,
    pg_type::{PgType, utc},
};

/// More rows than this are refused: they are made before the statement runs.
const MAX_ROWS: usize = 10_000_000;

/// `None` if it is not over times.
pub(crate) fn of_times(
    args: &[Expr],
    options: &ConfigOptions,
) -> Option<Result<Arc<dyn TableProvider>>> {
    let values: Vec<&ScalarValue> = args
        .iter()
        .filter_map(|arg| match arg {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        })
        .collect();
    let is_time = |value: &ScalarValue| {
        matches!(
            value.data_type(),
            DataType::Timestamp(..) | DataType::Date32
        )
    };
    match values.as_slice() {
        [from, to, step] if is_time(from) || is_time(to) => Some(series(from, to, step, options)),
        [
            from @ ScalarValue::Utf8(_),
            to @ ScalarValue::Utf8(_),
            step @ ScalarValue::IntervalMonthDayNano(_),
        ] => Some(series(from, to, step, options)),
        _ => None,
    }
}

fn series(
    from: &ScalarValue,
    to: &ScalarValue,
    step: &ScalarValue,
    options: &ConfigOptions,
) -> Result<Arc<dyn TableProvider>> {
    let has_no_zone =
        |value: &ScalarValue| matches!(value.data_type(), DataType::Timestamp(_, None));
    let has_zone =
        |value: &ScalarValue| matches!(value.data_type(), DataType::Timestamp(_, Some(_)));
    // Dates are taken for moments with time zone.
    let clock = (has_no_zone(from) || has_no_zone(to)) && !has_zone(from) && !has_zone(to);
    let reading = Reading::of(options).map_err(Error::Refused)?;
    let zone = reading.zone;
    let (data_type, zone) = match clock {
        true => (DataType::Timestamp(TimeUnit::Microsecond, None), Zone::UTC),
        false => (utc(), zone),
    };
    let micros = |value: &ScalarValue| -> Result<Option<i64>> {
        Ok(match value {
            ScalarValue::Date32(Some(day)) => {
                let local = i64::from(*day) * 86_400_000_000;
                Some(local - i64::from(zone.offset_of_clock(local)) * 1_000_000)
            }
            ScalarValue::Utf8(Some(text)) => Some(
                match clock {
                    true => reading.timestamp(text),
                    false => reading.timestamptz(text),
                }
                .map_err(Error::Refused)?,
            ),
            other => match other.cast_to(&data_type)? {
                ScalarValue::TimestampMicrosecond(micros, _) => micros,
                _ => None,
            },
        })
    };
    let step = match step {
        ScalarValue::IntervalMonthDayNano(step) => step.map(Span::from),
        ScalarValue::Utf8(Some(text)) => {
            Some(Span::parse(text, Default::default()).map_err(Error::Refused)?)
        }
        other if other.is_null() => None,
        other => {
            let [from, to, step] =
                [from, to, other].map(|value| PgType::of_arrow(&value.data_type()).name());
            return Err(Error::UndefinedFunction {
                message: format!("function generate_series({from}, {to}, {step}) does not exist"),
                hint: None,
            });
        }
    };
    let moments = match (micros(from)?, micros(to)?, step) {
        (Some(from), Some(to), Some(step)) => {
            steps(from, to, step, zone, MAX_ROWS).map_err(Error::Refused)?
        }
        _ => vec![],
    };
    let array = TimestampMicrosecondArray::from(moments).with_data_type(data_type.clone());
    let schema = Arc::new(Schema::new(vec![Field::new("value", data_type, true)]));
    let column: ArrayRef = Arc::new(array);
    let batch = RecordBatch::try_new(schema.clone(), vec![column])?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}
