//! When something happened, and how long a window is: whole numbers in one unit.
//!
//! Timestamps and dates are microseconds. Whole numbers are taken as they are, as seconds.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int64Type, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion_common::ScalarValue;
use rapport_stats::{Error, Result};
use rapport_udf_face::is_unknown;

const MICROS: u64 = 1_000_000;
const DAY_NANOS: i128 = 86_400_000_000_000;

/// The type in which moments of the given type come; `None` of what is no moment.
pub(crate) fn moment_type(given: &DataType) -> Option<DataType> {
    match given {
        DataType::Timestamp(_, zone) => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        DataType::Date32 | DataType::Date64 => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        given if is_unknown(given) => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        given if given.is_integer() => Some(DataType::Int64),
        _ => None,
    }
}

/// The type in which a window or a gap of the given type comes.
pub(crate) fn span_type(given: &DataType) -> Option<DataType> {
    match given {
        DataType::Interval(_) | DataType::Duration(_) => Some(interval()),
        given if is_unknown(given) => Some(interval()),
        given if given.is_integer() => Some(DataType::Int64),
        _ => None,
    }
}

fn interval() -> DataType {
    DataType::Interval(IntervalUnit::MonthDayNano)
}

/// How many units of the moments of this type a second has.
pub(crate) fn per_second(moment_type: &DataType) -> u64 {
    match moment_type {
        DataType::Timestamp(..) => MICROS,
        _ => 1,
    }
}

/// In its unit, each moment; and which of them are known.
pub(crate) fn moments(array: &ArrayRef) -> (&[i64], Option<&NullBuffer>) {
    let values = match array.data_type() {
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().values(),
        _ => array.as_primitive::<Int64Type>().values(),
    };
    (values, array.nulls())
}

/// A window or a gap, in units of which a second has so many. What is left of a unit does not count.
pub(crate) fn span(name: &'static str, value: &ScalarValue, per_second: u64) -> Result<u64> {
    let nanos = match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months != 0 => {
            return Err(Error::Contradiction(
                "a month has no certain length: give days or hours",
            ));
        }
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            i128::from(interval.days) * DAY_NANOS + i128::from(interval.nanoseconds)
        }
        ScalarValue::Int64(Some(seconds)) => i128::from(*seconds) * 1_000_000_000,
        _ => {
            return Err(Error::Contradiction("a window or a gap must not be NULL"));
        }
    };
    if nanos < 0 {
        return Err(Error::Range {
            name,
            range: "at least 0 seconds",
            value: nanos as f64 / 1e9,
        });
    }
    let units = nanos / (1_000_000_000 / i128::from(per_second));
    Ok(u64::try_from(units).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    fn interval(months: i32, days: i32, nanoseconds: i64) -> ScalarValue {
        let interval = IntervalMonthDayNano::new(months, days, nanoseconds);
        ScalarValue::IntervalMonthDayNano(Some(interval))
    }

    #[test]
    fn spans_are_in_the_unit_of_the_moments() {
        let hour = interval(0, 0, 3_600_000_000_000);
        assert_eq!(span("window", &hour, MICROS), Ok(3_600_000_000));
        assert_eq!(span("window", &hour, 1), Ok(3_600));
        assert_eq!(span("window", &interval(0, 7, 0), 1), Ok(604_800));
        assert_eq!(span("window", &interval(0, 0, 1_999_999_999), 1), Ok(1));
        assert_eq!(span("window", &90_i64.into(), MICROS), Ok(90_000_000));
        assert_eq!(span("window", &0_i64.into(), 1), Ok(0));
        assert_eq!(
            span("window", &i64::MAX.into(), MICROS),
            Ok(i64::MAX as u64).map(|s: u64| s.saturating_mul(MICROS))
        );
    }

    #[test]
    fn months_less_than_nothing_and_null_are_refused() {
        for value in [
            interval(1, 0, 0),
            interval(0, -1, 0),
            (-1_i64).into(),
            ScalarValue::Int64(None),
            ScalarValue::IntervalMonthDayNano(None),
        ] {
            assert!(span("window", &value, MICROS).is_err(), "{value}");
        }
        let said = span("gap", &(-60_i64).into(), 1).map_err(|error| error.to_string());
        assert_eq!(
            said,
            Err("gap must be at least 0 seconds, got -60".to_owned())
        );
    }

    #[test]
    fn dates_are_timestamps_and_whole_numbers_stay() {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(moment_type(&DataType::Date32), Some(timestamp));
        assert_eq!(moment_type(&DataType::Int32), Some(DataType::Int64));
        assert_eq!(moment_type(&DataType::Boolean), None);
        assert_eq!(span_type(&DataType::Float64), None);
    }
}
