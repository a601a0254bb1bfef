//! Minima and maxima: from a Parquet file's own statistics to Delta's JSON, and from JSON to Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, PrimitiveArray,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute;
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::temporal_conversions::date32_to_datetime;
use chrono::{DateTime, SecondsFormat};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Map, Value, json};

/// A longer text says more about a person than it helps to skip files. Parquet cuts its own statistics at a character
/// that ends at 61 to 64 bytes, so what is shorter was not cut.
const MAX_TEXT_BYTES: usize = 60;

/// Delta's statistics of a file just written, as JSON text.
pub(crate) fn of_file(
    metadata: &ParquetMetaData,
    schema: &SchemaRef,
    columns: &[String],
) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for column in columns {
        let Some(range) = column_range(metadata, schema, column) else {
            continue;
        };
        nulls.insert(column.clone(), json!(range.nulls));
        if let (Some(low), Some(high)) = (range.min, range.max) {
            min.insert(column.clone(), low);
            max.insert(column.clone(), high);
        }
    }
    json!({
        "numRecords": metadata.file_metadata().num_rows(),
        "minValues": min,
        "maxValues": max,
        "nullCount": nulls,
    })
    .to_string()
}

struct Range {
    min: Option<Value>,
    max: Option<Value>,
    nulls: u64,
}

fn column_range(metadata: &ParquetMetaData, schema: &SchemaRef, column: &str) -> Option<Range> {
    let file_schema = metadata.file_metadata().schema_descr();
    let converter = StatisticsConverter::try_new(column, schema, file_schema).ok()?;
    let groups = metadata.row_groups();
    let mins = converter.row_group_mins(groups.iter()).ok()?;
    let maxes = converter.row_group_maxes(groups.iter()).ok()?;
    let nulls = converter.row_group_null_counts(groups.iter()).ok()?;
    Some(Range {
        min: smallest(&mins).and_then(|array| to_json(&array)),
        max: largest(&maxes).and_then(|array| to_json(&array)),
        nulls: compute::sum(&nulls).unwrap_or(0),
    })
}

/// Row groups without a minimum hold NULLs only; they don't widen the range.
fn smallest(values: &ArrayRef) -> Option<ArrayRef> {
    extreme(values, false)
}

fn largest(values: &ArrayRef) -> Option<ArrayRef> {
    extreme(values, true)
}

fn extreme(values: &ArrayRef, descending: bool) -> Option<ArrayRef> {
    let options = compute::SortOptions {
        descending,
        nulls_first: false,
    };
    let first = compute::sort_limit(values, Some(options), Some(1)).ok()?;
    (first.len() == 1 && first.is_valid(0)).then_some(first)
}

fn to_json(value: &ArrayRef) -> Option<Value> {
    fn number<T: ArrowPrimitiveType>(value: &ArrayRef) -> Option<Value>
    where
        T::Native: Into<i64>,
    {
        Some(Value::from(value.as_primitive::<T>().value(0).into()))
    }
    match value.data_type() {
        DataType::Int8 => number::<Int8Type>(value),
        DataType::Int16 => number::<Int16Type>(value),
        DataType::Int32 => number::<Int32Type>(value),
        DataType::Int64 => number::<Int64Type>(value),
        DataType::Boolean => Some(Value::from(value.as_boolean().value(0))),
        DataType::Utf8 => {
            let text = value.as_string::<i32>().value(0);
            (text.len() <= MAX_TEXT_BYTES).then(|| Value::from(text))
        }
        DataType::Date32 => {
            let day = date32_to_datetime(value.as_primitive::<Date32Type>().value(0))?;
            Some(Value::from(day.format("%Y-%m-%d").to_string()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let at = value.as_primitive::<TimestampMicrosecondType>().value(0);
            let at = DateTime::from_timestamp_micros(at)?;
            Some(Value::from(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
        }
        DataType::Decimal128(..) => {
            // As a number, which the protocol wants; more digits than a double has can't be one.
            let text = value.as_primitive::<Decimal128Type>().value_as_string(0);
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let number = text.parse::<f64>().ok().filter(|_| digits <= 15)?;
            serde_json::Number::from_f64(number).map(Value::from)
        }
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Lower,
    Upper,
}

/// One element per file; NULL where a file has none or it can't be read. `None` for types without statistics.
pub(crate) fn from_json<'a>(
    data_type: &DataType,
    values: impl Iterator<Item = Option<&'a str>>,
    bound: Bound,
) -> Option<ArrayRef> {
    fn parsed<'a, T: ArrowPrimitiveType + Parser>(
        values: impl Iterator<Item = Option<&'a str>>,
    ) -> ArrayRef {
        Arc::new(
            values
                .map(|value| T::parse(value?))
                .collect::<PrimitiveArray<T>>(),
        )
    }
    Some(match data_type {
        DataType::Int8 => parsed::<Int8Type>(values),
        DataType::Int16 => parsed::<Int16Type>(values),
        DataType::Int32 => parsed::<Int32Type>(values),
        DataType::Int64 => parsed::<Int64Type>(values),
        DataType::Boolean => Arc::new(
            values
                .map(|value| value?.parse::<bool>().ok())
                .collect::<BooleanArray>(),
        ),
        DataType::Utf8 => Arc::new(values.map(|value| text(value?)).collect::<StringArray>()),
        DataType::Date32 => Arc::new(
            values
                .map(|value| Date32Type::parse(&text(value?)?))
                .collect::<Date32Array>(),
        ),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
            values
                .map(|value| micros(&text(value?)?, bound))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone_opt(zone.clone()),
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            values
                .map(|value| {
                    parse_decimal::<Decimal128Type>(value?.trim_matches('"'), *precision, *scale)
                        .ok()
                })
                .collect::<Decimal128Array>()
                .with_precision_and_scale(*precision, *scale)
                .ok()?,
        ),
        _ => return None,
    })
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Other writers cut a time to milliseconds, so their maximum may be too small by almost one; ours has six digits.
fn micros(text: &str, bound: Bound) -> Option<i64> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    let fraction = text.split_once('.').map_or(0, |(_, rest)| {
        rest.bytes().take_while(u8::is_ascii_digit).count()
    });
    let widen = if bound == Bound::Upper && fraction < 6 {
        999
    } else {
        0
    };
    at.checked_add(widen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: ArrayRef, json: &str) {
        let written = to_json(&value).expect("a statistic").to_string();
        assert_eq!(written, json);
        let read = from_json(value.data_type(), [Some(json)].into_iter(), Bound::Upper);
        assert_eq!(&read.expect("the same type"), &value);
    }

    #[test]
    fn numbers_and_times_come_back_as_they_were() {
        check(
            Arc::new(arrow::array::Int64Array::from(vec![i64::MIN])),
            "-9223372036854775808",
        );
        check(Arc::new(StringArray::from(vec!["web"])), "\"web\"");
        check(Arc::new(Date32Array::from(vec![19_000])), "\"2022-01-08\"");
        let at = TimestampMicrosecondArray::from(vec![1_700_000_000_123_456]).with_timezone("UTC");
        check(Arc::new(at), "\"2023-11-14T22:13:20.123456Z\"");
        let money = Decimal128Array::from(vec![123_456]).with_precision_and_scale(18, 2);
        check(Arc::new(money.expect("fits")), "1234.56");
    }

    #[test]
    fn a_maximum_cut_to_milliseconds_is_widened() {
        let json = Some("\"2023-11-14T22:13:20.123Z\"");
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let read = from_json(&data_type, [json].into_iter(), Bound::Upper).expect("a time");
        let read = read.as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!(read, 1_700_000_000_123_999);
    }

    #[test]
    fn a_long_text_leaves_no_trace() {
        let body: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(61)]));
        assert_eq!(to_json(&body), None);
    }

    #[test]
    fn what_can_not_be_read_is_unknown() {
        let read = from_json(
            &DataType::Int64,
            [None, Some("{}"), Some("7")].into_iter(),
            Bound::Lower,
        );
        assert_eq!(read.expect("numbers").null_count(), 2);
    }
}
