//! Values on their way into a column: cast, checked and written as the column's PostgreSQL type wants them.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Array, Float32Array,
        Float64Array, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
        TimestampMicrosecondArray,
    },
    buffer::OffsetBuffer,
    compute::{CastOptions, cast, cast_with_options},
    datatypes::{
        DataType, IntervalMonthDayNanoType, SchemaRef, Time64MicrosecondType, TimeUnit,
        TimestampMicrosecondType,
    },
    util::display::FormatOptions,
};
use datafusion::common::Result as PlanResult;
use rapport_lake::{PG_TYPE, Snapshot, TableName};
use rapport_udf_postgres::{
    DateOrder, Reading, Span, Units, Zone, array_items, bytea, json, numeric::cast as conversion,
    output::Output, refusal::Refusal, rounded, text, time_text, to_digits,
};

use crate::{
    Error, Result,
    pg_type::{Kind, PgType},
};

/// For one table. Batches in any types go in, batches in storage types come out.
#[derive(Clone, Debug)]
pub(crate) struct Coercer {
    table: TableName,
    schema: SchemaRef,
    types: Vec<PgType>,
}

impl Coercer {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let schema = snapshot.schema();
        let types = schema.fields().iter().map(|field| {
            let declared = field
                .metadata()
                .get(PG_TYPE)
                .and_then(|text| PgType::parse(text).ok());
            declared.unwrap_or_else(|| PgType::of_arrow(field.data_type()))
        });
        Self {
            table: snapshot.name().clone(),
            types: types.collect(),
            schema,
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Back from presented to storage types, for rows that come out of the table itself: nothing is checked.
    pub(crate) fn restore(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(array, field)| match kept(array, field.data_type()) {
            Some(same) => Ok(same),
            None => cast(array, field.data_type()),
        });
        Ok(RecordBatch::try_new(
            self.schema.clone(),
            columns.collect::<Result<Vec<_>, _>>()?,
        )?)
    }

    /// Columns in the table's order.
    pub(crate) fn coerce(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for ((array, field), pg_type) in batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .zip(&self.types)
        {
            columns.push(column(array, pg_type, field.data_type())?);
        }
        self.check_nulls(&columns)?;
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Of the first row that has a NULL where there may be none.
    fn check_nulls(&self, columns: &[ArrayRef]) -> Result<()> {
        let fields = self.schema.fields().iter().zip(columns);
        let rows = fields.filter_map(|(field, array)| {
            let may_break = !field.is_nullable() && array.null_count() > 0;
            let mut rows = 0..if may_break { array.len() } else { 0 };
            Some((rows.find(|row| array.is_null(*row))?, field))
        });
        let Some((row, field)) = rows.min_by_key(|(row, _)| *row) else {
            return Ok(());
        };
        Err(Error::NotNull {
            table: self.table.table.clone(),
            column: field.name().clone(),
            row: self.shown(columns, row)?,
        })
    }

    /// A row as PostgreSQL shows it in an error.
    fn shown(&self, columns: &[ArrayRef], row: usize) -> Result<String> {
        const MOST_BYTES: usize = 64;
        let mut values = Vec::with_capacity(columns.len());
        for (array, pg_type) in columns.iter().zip(&self.types) {
            let mut shown = "null".to_owned();
            let value = array.slice(row, 1);
            if value.is_valid(0) {
                // It is kept as if it were one of UTC.
                let value = match (
                    &pg_type.kind,
                    value.as_primitive_opt::<TimestampMicrosecondType>(),
                ) {
                    (Kind::Timestamp, Some(times)) => {
                        Arc::new(times.clone().with_timezone_opt(None::<Arc<str>>)) as ArrayRef
                    }
                    _ => value,
                };
                shown.clear();
                Output::new(&value, text::Zone::UTC)?.write(0, &mut shown);
            }
            if shown.len() > MOST_BYTES {
                let end = (0..=MOST_BYTES).rfind(|end| shown.is_char_boundary(*end));
                shown.truncate(end.unwrap_or(0));
                shown.push_str("...");
            }
            values.push(shown);
        }
        Ok(format!("({})", values.join(", ")))
    }
}

fn column(array: &ArrayRef, pg_type: &PgType, stored: &DataType) -> Result<ArrayRef> {
    if is_text(array.data_type()) {
        let text = cast(array, &DataType::Utf8)?;
        return from_text(text.as_string::<i32>(), pg_type, stored);
    }
    if let (Kind::Array(element), Some(lists)) = (&pg_type.kind, array.as_list_opt::<i32>())
        && is_text(&lists.value_type())
    {
        return from_texts(lists, element, stored);
    }
    if stored == &DataType::Utf8 {
        let text = to_text(array)?;
        return from_text(&text, pg_type, stored);
    }
    let kept = match kept(array, stored) {
        Some(same) => same,
        None => cast_with_options(array, stored, &strict())?,
    };
    in_digits(kept, pg_type)
}

/// With as many digits of the seconds as the type has.
fn in_digits(array: ArrayRef, pg_type: &PgType) -> Result<ArrayRef> {
    match pg_type.digits() {
        Some(digits) => Ok(to_digits(&array, digits)?),
        None => Ok(array),
    }
}

/// A timestamp is kept as if it were one of UTC. A cast goes by the calendar, which has no infinities.
fn kept(array: &ArrayRef, stored: &DataType) -> Option<ArrayRef> {
    match (array.data_type(), stored) {
        (
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)),
        ) => {
            let clocks = array.as_primitive::<TimestampMicrosecondType>();
            Some(Arc::new(clocks.clone().with_timezone(zone.clone())))
        }
        (DataType::List(_), DataType::List(item)) => {
            let lists = array.as_list::<i32>();
            let items = kept(lists.values(), item.data_type())?;
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            Some(Arc::new(ListArray::new(
                Arc::clone(item),
                offsets,
                items,
                nulls,
            )))
        }
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

/// An error rather than NULL for what can't be cast.
fn strict() -> CastOptions<'static> {
    CastOptions {
        safe: false,
        format_options: FormatOptions::default(),
    }
}

/// Dates and times with a space between them, as PostgreSQL writes them.
pub(crate) fn to_text(array: &ArrayRef) -> Result<StringArray> {
    let format = match array.data_type() {
        DataType::Timestamp(_, None) => Some("%Y-%m-%d %H:%M:%S%.f"),
        DataType::Timestamp(_, Some(_)) => Some("%Y-%m-%d %H:%M:%S%.f+00"),
        // Arrow's has no 24:00:00.
        DataType::Time64(_) => {
            let array = cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            let times = array.as_primitive::<Time64MicrosecondType>();
            return Ok(times.iter().map(|micros| micros.map(time_text)).collect());
        }
        DataType::Interval(_) => {
            let array = cast(
                array,
                &DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            )?;
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
            return Ok(intervals
                .iter()
                .map(|value| value.map(|value| text_of(value.into())))
                .collect());
        }
        _ => None,
    };
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::default()
            .with_timestamp_format(format)
            .with_timestamp_tz_format(format),
    };
    Ok(cast_with_options(array, &DataType::Utf8, &options)?
        .as_string::<i32>()
        .clone())
}

fn text_of(span: Span) -> String {
    let mut text = String::new();
    span.push_text(&mut text);
    text
}

/// What PostgreSQL's input function of the type does.
pub(crate) fn from_text(
    text: &StringArray,
    pg_type: &PgType,
    stored: &DataType,
) -> Result<ArrayRef> {
    let invalid = |value: &str| Error::InvalidText {
        message: format!(
            "invalid input syntax for type {}: \"{value}\"",
            base_name(pg_type)
        ),
    };
    let each = |write: &dyn Fn(&str) -> Result<Option<String>>| -> Result<ArrayRef> {
        let mut values = StringBuilder::with_capacity(text.len(), text.value_data().len());
        for value in text {
            match value {
                Some(value) => match write(value)? {
                    Some(changed) => values.append_value(changed),
                    None => values.append_value(value),
                },
                None => values.append_null(),
            }
        }
        Ok(Arc::new(values.finish()))
    };
    match &pg_type.kind {
        Kind::Text | Kind::Name | Kind::Varchar(None) | Kind::Char(None) | Kind::Record => {
            Ok(Arc::new(text.clone()))
        }
        Kind::InternalChar => each(&|value| {
            let end = value.chars().next().map_or(0, char::len_utf8);
            Ok(Some(value[..end].to_owned()))
        }),
        Kind::Varchar(Some(most)) => each(&|value| within(value, *most, pg_type)),
        Kind::Char(Some(exactly)) => each(&|value| {
            let value = within(value, *exactly, pg_type)?.unwrap_or_else(|| value.to_owned());
            let missing = exactly.saturating_sub(value.chars().count());
            Ok(Some(value + &" ".repeat(missing)))
        }),
        Kind::Uuid => each(&|value| {
            let parsed = rapport_udf_postgres::uuid(value).map_err(|_| invalid(value))?;
            Ok(Some(parsed.hyphenated().to_string()))
        }),
        Kind::Json => each(&|value| {
            json::check(value)?;
            Ok(None)
        }),
        Kind::Jsonb => each(&|value| Ok(Some(json::canonical(value)?))),
        Kind::Time => each(&|value| {
            let time = reading().time(value).map_err(Error::Refused)?;
            let time = rounded(time, pg_type.digits().unwrap_or(6));
            Ok(Some(time_text(time)))
        }),
        Kind::Interval => each(&|value| {
            let mut span = Span::parse(value, Units::default()).map_err(Error::Refused)?;
            span.micros = rounded(span.micros, pg_type.digits().unwrap_or(6));
            Ok(Some(text_of(span)))
        }),
        Kind::Bool => {
            let mut values = BooleanBuilder::with_capacity(text.len());
            for value in text {
                values.append_option(match value {
                    Some(value) => Some(bool_of(value).ok_or_else(|| invalid(value))?),
                    None => None,
                });
            }
            Ok(Arc::new(values.finish()))
        }
        Kind::Bytea => {
            let mut values = BinaryBuilder::new();
            for value in text {
                match value {
                    Some(value) => values.append_value(bytea(value)?),
                    None => values.append_null(),
                }
            }
            Ok(Arc::new(values.finish()))
        }
        Kind::Array(element) => list(text, element, stored),
        Kind::Float4 => {
            let floats = text
                .iter()
                .map(|text| text.map(conversion::float4).transpose());
            Ok(Arc::new(floats.collect::<PlanResult<Float32Array>>()?))
        }
        Kind::Float8 => {
            let floats = text
                .iter()
                .map(|text| text.map(conversion::float8).transpose());
            Ok(Arc::new(floats.collect::<PlanResult<Float64Array>>()?))
        }
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::Numeric(_) => {
            let trimmed: StringArray = text.iter().map(|value| value.map(str::trim)).collect();
            Ok(cast_with_options(&trimmed, stored, &strict())?)
        }
        Kind::Date => {
            let days = text.iter().map(|value| match value {
                Some(value) => reading().date(value).map(Some),
                None => Ok(None),
            });
            Ok(Arc::new(
                days.collect::<Result<Date32Array, Refusal>>()
                    .map_err(Error::Refused)?,
            ))
        }
        Kind::Timestamp => {
            let micros = text.iter().map(|value| match value {
                Some(value) => reading().timestamp(value).map(Some),
                None => Ok(None),
            });
            let micros = micros
                .collect::<Result<TimestampMicrosecondArray, Refusal>>()
                .map_err(Error::Refused)?;
            in_digits(Arc::new(micros.with_timezone("UTC")), pg_type)
        }
        Kind::Timestamptz => {
            let micros = text.iter().map(|value| match value {
                Some(value) => reading().timestamptz(value).map(Some),
                None => Ok(None),
            });
            let micros = micros
                .collect::<Result<TimestampMicrosecondArray, Refusal>>()
                .map_err(Error::Refused)?;
            in_digits(Arc::new(micros.with_timezone("UTC")), pg_type)
        }
    }
}

/// Texts that come here carry their zone, or are taken for UTC: literals of a statement have been read before.
fn reading() -> Reading {
    Reading {
        zone: Zone::UTC,
        order: DateOrder::default(),
        now: chrono::Utc::now().timestamp_micros(),
    }
}

/// One text as a value of an Arrow type that casts do not make of texts, or not as PostgreSQL does.
pub(crate) fn from_literal(text: &str, data_type: &DataType) -> Result<ArrayRef> {
    let pg_type = PgType::of_arrow(data_type);
    let array = from_text(&StringArray::from(vec![text]), &pg_type, &pg_type.storage())?;
    Ok(cast(&array, data_type)?)
}

fn base_name(pg_type: &PgType) -> String {
    let name = pg_type.name();
    name.split('(').next().unwrap_or(&name).to_owned()
}

/// Spaces beyond the limit are cut, anything else is too long.
fn within(value: &str, most: usize, pg_type: &PgType) -> Result<Option<String>> {
    match value.char_indices().nth(most) {
        None => Ok(None),
        Some((end, _)) if value[end..].chars().all(|c| c == ' ') => {
            Ok(Some(value[..end].to_owned()))
        }
        Some(_) => Err(Error::TooLong {
            pg_type: pg_type.name(),
        }),
    }
}

pub(crate) fn bool_of(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let starts = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if starts("true", 1) || starts("yes", 1) || text == "on" || text == "1" {
        Some(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// `{1,2,NULL,"a b"}`, one level deep.
fn list(text: &StringArray, element: &PgType, stored: &DataType) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in text {
        let Some(value) = value else {
            lists.append_null();
            continue;
        };
        for item in array_items(value).map_err(Error::Refused)? {
            lists.values().append_option(item);
        }
        lists.append(true);
    }
    from_texts(&lists.finish(), element, stored)
}

/// Of arrays whose items are texts.
fn from_texts(lists: &ListArray, element: &PgType, stored: &DataType) -> Result<ArrayRef> {
    let DataType::List(field) = stored else {
        return Err(Error::not_supported(format!("{stored} as an array"), ""));
    };
    let offsets = lists.offsets();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let at = |offset: i32| usize::try_from(offset).expect("offsets are not negative");
    let values = lists.values().slice(at(first), at(last - first));
    let values = cast(&values, &DataType::Utf8)?;
    let values = from_text(values.as_string::<i32>(), element, field.data_type())?;
    let offsets = OffsetBuffer::from_lengths(offsets.lengths());
    let nulls = lists.nulls().cloned();
    Ok(Arc::new(ListArray::try_new(
        field.clone(),
        offsets,
        values,
        nulls,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pg_type: &str, text: &str) -> Result<String> {
        let pg_type = PgType::parse(pg_type)?;
        let array = from_text(&StringArray::from(vec![text]), &pg_type, &pg_type.storage())?;
        Ok(arrow::util::display::array_value_to_string(&array, 0)?)
    }

    fn check(pg_type: &str, text: &str, expected: &str) {
        assert_eq!(
            read(pg_type, text).expect("it is valid"),
            expected,
            "{pg_type} {text}"
        );
    }

    #[test]
    fn values_are_kept_as_postgres_writes_them() {
        check(
            "uuid",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        );
        check(
            "jsonb",
            " {\"b\":1, \"a\" : [1.10,null]}",
            "{\"a\": [1.10, null], \"b\": 1}",
        );
        check("json", " {\"b\":1}", " {\"b\":1}");
        check(
            "interval",
            "1 year 14 months 3 days 4 hours",
            "2 years 2 mons 3 days 04:00:00",
        );
        check("time without time zone", "04:05:06.700", "04:05:06.7");
        check("character(4)", "ab", "ab  ");
        check("character varying(2)", "ab   ", "ab");
        check("boolean", "YES", "true");
        check("bigint", " 42 ", "42");
        check("numeric(5,2)", "1.005", "1.01");
        check("date", "2024-02-29", "2024-02-29");
        check("integer[]", "{1, 2,NULL}", "[1, 2, ]");
        check("text[]", "{\"a b\",c}", "[a b, c]");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_code_of_postgres() {
        assert!(matches!(
            read("integer", "abc"),
            Err(Error::InvalidText { .. })
        ));
        assert!(matches!(
            read("smallint", "40000"),
            Err(Error::OutOfRange { .. } | Error::InvalidText { .. })
        ));
        assert!(matches!(
            read("uuid", "abc"),
            Err(Error::InvalidText { .. })
        ));
        assert!(matches!(
            read("jsonb", "{a:1}"),
            Err(Error::Refused(refusal)) if refusal.code == "22P02"
        ));
        assert!(matches!(
            read("character varying(2)", "abc"),
            Err(Error::TooLong { .. })
        ));
        assert!(matches!(
            read("date", "2024-02-30"),
            Err(Error::Refused(Refusal { code: "22008", .. }))
        ));
        assert!(matches!(
            read("integer[]", "{1,"),
            Err(Error::Refused(Refusal { code: "22P02", .. }))
        ));
    }
}
