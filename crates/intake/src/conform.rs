//! One output column of a source → the column of the table: type, range, time zone. Each value that does not fit
//! refuses its row, with the reason in words.
//!
//! A time without a zone is local time of the source's zone; one that the clocks skipped is refused, one that came
//! twice is taken as the earlier.

pub mod number;
pub mod time;

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder,
    PrimitiveArray, StringArray, StringBuilder,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Field, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::FormatOptions;
use chrono_tz::Tz;
use serde::de::IgnoredAny;

use self::number::NotANumber;
use self::time::{Clock, NoInstant, Stamp, TimeText};
use crate::Source;
use crate::text::{as_text, quoted, shown};

/// PostgreSQL's first moment: 4714-11-24 BC.
const FIRST_MICROS: i64 = -210_866_803_200_000_000;
/// The last that can be shown: the end of 262142.
const LAST_MICROS: i64 = 8_210_266_876_799_999_999;

/// Takes a row of the column and what is wrong with it.
pub type Refuse<'a> = dyn FnMut(usize, String) + 'a;

/// How a source writes its values.
pub struct Conform {
    times: TimeText,
    clock: Clock,
    clocks: HashMap<String, Option<Clock>>,
    decimal_comma: bool,
}

/// What PostgreSQL calls the column's type, where the storage type does not say it.
enum Text {
    Any,
    AtMost(usize),
    Uuid,
    Json,
    Time,
}

impl Conform {
    pub fn new(source: &Source) -> Self {
        Self {
            times: TimeText::new(&source.time_formats),
            clock: Clock::new(source.time_zone),
            clocks: HashMap::new(),
            decimal_comma: source.decimal_comma,
        }
    }

    /// `zones`: each row's own time zone, where the source has a column of them. Fails if no value of this type
    /// can become one of the column's.
    pub fn column(
        &mut self,
        array: &ArrayRef,
        field: &Field,
        pg_type: &str,
        zones: Option<&StringArray>,
        refuse: &mut Refuse,
    ) -> Result<ArrayRef, String> {
        let array = &match array.data_type() {
            // Some functions of the SELECT give text in another form.
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => Arc::new(
                as_text(array).ok_or_else(|| format!("{} can't become text", array.data_type()))?,
            ),
            _ => Arc::clone(array),
        };
        let is_text = *array.data_type() == DataType::Utf8;
        match field.data_type() {
            _ if *array.data_type() == DataType::Null => {
                Ok(arrow::array::new_null_array(field.data_type(), array.len()))
            }
            DataType::Utf8 => text(array, pg_type, refuse),
            DataType::Timestamp(_, _) if pg_type == "timestamp without time zone" => {
                self.local_times(array, refuse)
            }
            DataType::Timestamp(_, _) => self.moments(array, zones, refuse),
            DataType::Date32 if is_text => Ok(self.dates(array, refuse)),
            DataType::Boolean if is_text => Ok(booleans(array, refuse)),
            DataType::Int16 | DataType::Int32 | DataType::Int64 if is_text => {
                let whole = self.whole_numbers(array, refuse);
                converted(&whole, field.data_type(), pg_type, refuse)
            }
            DataType::Float32 | DataType::Float64 if is_text => {
                let floats = self.floats(array, refuse);
                converted(&floats, field.data_type(), pg_type, refuse)
            }
            DataType::Decimal128(precision, scale) if is_text => {
                Ok(self.decimals(array, *precision, *scale, pg_type, refuse))
            }
            DataType::Int16 | DataType::Int32 | DataType::Int64
                if array.data_type().is_floating() =>
            {
                whole_floats(array, field.data_type(), pg_type, refuse)
            }
            wanted => converted(array, wanted, pg_type, refuse),
        }
    }

    fn moments(
        &mut self,
        array: &ArrayRef,
        zones: Option<&StringArray>,
        refuse: &mut Refuse,
    ) -> Result<ArrayRef, String> {
        let utc = utc_type();
        if let DataType::Timestamp(_, Some(_)) = array.data_type() {
            let moments = converted(array, &utc, "timestamp with time zone", refuse)?;
            for (row, value) in moments
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .enumerate()
            {
                if value.is_some_and(|value| !(FIRST_MICROS..=LAST_MICROS).contains(&value)) {
                    refuse(
                        row,
                        format!("{} is out of range for a time", shown(array, row)),
                    );
                }
            }
            return Ok(moments);
        }
        let stamps = self.stamps(array, refuse)?;
        let mut moments: Vec<Option<i64>> = Vec::with_capacity(array.len());
        for (row, stamp) in stamps.into_iter().enumerate() {
            let moment = match stamp {
                None => None,
                Some(Stamp::Instant(moment)) => Some(Ok(moment)),
                Some(Stamp::Local(local)) => match self.clock_of(zones, row) {
                    Ok(clock) => Some(clock.instant(local).map_err(|why| match why {
                        NoInstant::Skipped => format!(
                            "{} does not exist in {}: the clocks went forward over it",
                            shown(array, row),
                            clock.zone()
                        ),
                        NoInstant::OutOfRange => {
                            format!("{} is out of range for a time", shown(array, row))
                        }
                    })),
                    Err(zone) => Some(Err(format!("its time zone {} is not known", quoted(&zone)))),
                },
            };
            moments.push(match moment {
                Some(Ok(moment)) if !(FIRST_MICROS..=LAST_MICROS).contains(&moment) => {
                    refuse(
                        row,
                        format!("{} is out of range for a time", shown(array, row)),
                    );
                    None
                }
                Some(Ok(moment)) => Some(moment),
                Some(Err(reason)) => {
                    refuse(row, reason);
                    None
                }
                None => None,
            });
        }
        let moments = PrimitiveArray::<TimestampMicrosecondType>::from(moments);
        Ok(Arc::new(moments.with_timezone("UTC")))
    }

    /// `timestamp without time zone` is stored as if it were UTC.
    fn local_times(&mut self, array: &ArrayRef, refuse: &mut Refuse) -> Result<ArrayRef, String> {
        let stamps = self.stamps(array, refuse)?;
        let locals: PrimitiveArray<TimestampMicrosecondType> = stamps
            .into_iter()
            .map(|stamp| stamp.map(|(Stamp::Instant(micros) | Stamp::Local(micros))| micros))
            .collect();
        Ok(Arc::new(locals.with_timezone("UTC")))
    }

    fn stamps(&self, array: &ArrayRef, refuse: &mut Refuse) -> Result<Vec<Option<Stamp>>, String> {
        let local = |array: &ArrayRef| -> Result<Vec<Option<Stamp>>, String> {
            let micros = cast_with_options(
                array,
                &DataType::Timestamp(TimeUnit::Microsecond, None),
                &CastOptions {
                    safe: true,
                    format_options: FormatOptions::default(),
                },
            )
            .map_err(|error| error.to_string())?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>();
            Ok(micros.iter().map(|value| value.map(Stamp::Local)).collect())
        };
        Ok(match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                let mut stamps = Vec::with_capacity(texts.len());
                for (row, text) in texts.iter().enumerate() {
                    let stamp = text.and_then(|text| self.times.parse(text));
                    if let (Some(text), None) = (text, stamp) {
                        refuse(row, format!("{} is not a time", quoted(text)));
                    }
                    stamps.push(stamp);
                }
                stamps
            }
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => local(array)?,
            DataType::Timestamp(_, Some(_)) => local(array)?
                .into_iter()
                .map(|stamp| {
                    stamp.map(|(Stamp::Instant(micros) | Stamp::Local(micros))| {
                        Stamp::Instant(micros)
                    })
                })
                .collect(),
            other => {
                return Err(format!(
                    "{other} is not a time; make one with to_timestamp()"
                ));
            }
        })
    }

    /// The clock of a row; its zone's name if there is no such zone.
    fn clock_of(&mut self, zones: Option<&StringArray>, row: usize) -> Result<&mut Clock, String> {
        let Some(zone) = zones
            .filter(|zones| zones.is_valid(row))
            .map(|zones| zones.value(row))
        else {
            return Ok(&mut self.clock);
        };
        if !self.clocks.contains_key(zone) {
            let clock = Tz::from_str(zone.trim()).ok().map(Clock::new);
            self.clocks.insert(zone.to_owned(), clock);
        }
        self.clocks
            .get_mut(zone)
            .and_then(Option::as_mut)
            .ok_or_else(|| zone.to_owned())
    }

    fn dates(&self, array: &ArrayRef, refuse: &mut Refuse) -> ArrayRef {
        let texts = array.as_string::<i32>();
        let mut days: Vec<Option<i32>> = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let day = text.and_then(|text| self.times.parse(text)).and_then(
                |(Stamp::Instant(micros) | Stamp::Local(micros))| {
                    i32::try_from(micros.div_euclid(86_400 * time::MICROS)).ok()
                },
            );
            if let (Some(text), None) = (text, day) {
                refuse(row, format!("{} is not a date", quoted(text)));
            }
            days.push(day);
        }
        Arc::new(PrimitiveArray::<Date32Type>::from(days))
    }

    fn whole_numbers(&self, array: &ArrayRef, refuse: &mut Refuse) -> ArrayRef {
        let texts = array.as_string::<i32>();
        let mut numbers = Int64Builder::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let number =
                text.map(|text| number::whole(text, self.decimal_comma).map_err(|why| (text, why)));
            numbers.append_option(kept(number, row, "a whole number", "bigint", refuse));
        }
        Arc::new(numbers.finish())
    }

    fn floats(&self, array: &ArrayRef, refuse: &mut Refuse) -> ArrayRef {
        let texts = array.as_string::<i32>();
        let mut numbers = Float64Builder::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let number =
                text.map(|text| number::float(text, self.decimal_comma).map_err(|why| (text, why)));
            numbers.append_option(kept(number, row, "a number", "double precision", refuse));
        }
        Arc::new(numbers.finish())
    }

    fn decimals(
        &self,
        array: &ArrayRef,
        precision: u8,
        scale: i8,
        pg_type: &str,
        refuse: &mut Refuse,
    ) -> ArrayRef {
        let texts = array.as_string::<i32>();
        let mut numbers = Decimal128Builder::with_capacity(texts.len())
            .with_data_type(DataType::Decimal128(precision, scale));
        for (row, text) in texts.iter().enumerate() {
            let number = text.map(|text| {
                number::decimal(text, precision, scale, self.decimal_comma)
                    .map_err(|why| (text, why))
            });
            numbers.append_option(kept(number, row, "a number", pg_type, refuse));
        }
        Arc::new(numbers.finish())
    }
}

pub fn utc_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn kept<T>(
    number: Option<Result<T, (&str, NotANumber)>>,
    row: usize,
    what: &str,
    pg_type: &str,
    refuse: &mut Refuse,
) -> Option<T> {
    match number? {
        Ok(number) => return Some(number),
        Err((text, NotANumber::Malformed)) => {
            refuse(row, format!("{} is not {what}", quoted(text)))
        }
        Err((text, NotANumber::OutOfRange)) => {
            refuse(
                row,
                format!("{} is out of range for {pg_type}", quoted(text)),
            );
        }
    }
    None
}

fn booleans(array: &ArrayRef, refuse: &mut Refuse) -> ArrayRef {
    let texts = array.as_string::<i32>();
    let mut values = BooleanBuilder::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let value = text.and_then(number::boolean);
        if let (Some(text), None) = (text, value) {
            refuse(row, format!("{} is neither true nor false", quoted(text)));
        }
        values.append_option(value);
    }
    Arc::new(values.finish())
}

/// One typed column as another type; what does not fit is out of range.
fn converted(
    array: &ArrayRef,
    wanted: &DataType,
    pg_type: &str,
    refuse: &mut Refuse,
) -> Result<ArrayRef, String> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions {
        safe: true,
        format_options: FormatOptions::default(),
    };
    let cast = cast_with_options(array, wanted, &options)
        .map_err(|_| format!("{} can't become {pg_type}", array.data_type()))?;
    if cast.null_count() != array.null_count() {
        for row in 0..array.len() {
            if array.is_valid(row) && cast.is_null(row) {
                refuse(
                    row,
                    format!("{} is out of range for {pg_type}", shown(array, row)),
                );
            }
        }
    }
    Ok(cast)
}

/// 42.0 is a whole number, 42.5 is none.
fn whole_floats(
    array: &ArrayRef,
    wanted: &DataType,
    pg_type: &str,
    refuse: &mut Refuse,
) -> Result<ArrayRef, String> {
    let whole = converted(array, &DataType::Int64, "bigint", refuse)?;
    let back = converted(
        &whole,
        array.data_type(),
        "double precision",
        &mut |_, _| {},
    )?;
    if &back != array {
        for row in 0..array.len() {
            if whole.is_valid(row) && back.slice(row, 1) != array.slice(row, 1) {
                refuse(row, format!("{} is not a whole number", shown(array, row)));
            }
        }
    }
    converted(&whole, wanted, pg_type, refuse)
}

fn text(array: &ArrayRef, pg_type: &str, refuse: &mut Refuse) -> Result<ArrayRef, String> {
    let kind = match pg_type {
        "uuid" => Text::Uuid,
        "json" | "jsonb" => Text::Json,
        "time without time zone" => Text::Time,
        _ => most_chars(pg_type).map_or(Text::Any, Text::AtMost),
    };
    let texts = match array.data_type() {
        DataType::Binary => utf8_or_refused(array, refuse),
        _ => as_text(array).ok_or_else(|| format!("{} can't become text", array.data_type()))?,
    };
    if texts.value_data().contains(&0) {
        for (row, text) in texts.iter().enumerate() {
            if text.is_some_and(|text| text.contains('\0')) {
                refuse(row, format!("{} contains a zero byte", shown(array, row)));
            }
        }
    }
    match kind {
        Text::Any => {}
        Text::AtMost(most) => {
            for (row, text) in texts.iter().enumerate() {
                if text.is_some_and(|text| text.len() > most && text.chars().count() > most) {
                    refuse(
                        row,
                        format!("{} is too long for {pg_type}", shown(array, row)),
                    );
                }
            }
        }
        Text::Uuid => {
            let mut uuids = StringBuilder::with_capacity(texts.len(), texts.len() * 36);
            for (row, text) in texts.iter().enumerate() {
                let uuid = text.and_then(canonical_uuid);
                if let (Some(text), None) = (text, &uuid) {
                    refuse(row, format!("{} is not a uuid", quoted(text)));
                }
                uuids.append_option(uuid);
            }
            return Ok(Arc::new(uuids.finish()));
        }
        Text::Json => {
            for (row, text) in texts.iter().enumerate() {
                if text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_err()) {
                    refuse(row, format!("{} is not JSON", shown(array, row)));
                }
            }
        }
        Text::Time => {
            for (row, text) in texts.iter().enumerate() {
                if text.is_some_and(|text| time::time_of_day(text.as_bytes()).is_none()) {
                    refuse(row, format!("{} is not a time of day", shown(array, row)));
                }
            }
        }
    }
    Ok(Arc::new(texts))
}

fn utf8_or_refused(array: &ArrayRef, refuse: &mut Refuse) -> StringArray {
    let mut texts = StringBuilder::new();
    for (row, bytes) in array.as_binary::<i32>().iter().enumerate() {
        let text = bytes.map(std::str::from_utf8);
        if let (Some(bytes), Some(Err(_))) = (bytes, text) {
            refuse(
                row,
                format!("\"{}\" is not UTF-8", crate::raw::escape_bytes(bytes)),
            );
        }
        texts.append_option(text.and_then(Result::ok));
    }
    texts.finish()
}

/// 20 of `character varying(20)`.
fn most_chars(pg_type: &str) -> Option<usize> {
    let (name, rest) = pg_type.split_once('(')?;
    name.starts_with("character")
        .then(|| rest.trim_end_matches(')').parse().ok())?
}

fn canonical_uuid(text: &str) -> Option<String> {
    let hex: String = text
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .chars()
        .filter(|c| *c != '-')
        .collect::<String>()
        .to_ascii_lowercase();
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, TimestampNanosecondArray};

    use super::*;

    fn conform(source: &str) -> Conform {
        let text = format!("about = 'test'\n{source}");
        Conform::new(&Source::parse("test", &text, "test.toml").expect("a test's own source"))
    }

    /// The values, and the refusals as `row: reason`.
    fn check(
        source: &str,
        array: impl Array + 'static,
        wanted: DataType,
        pg_type: &str,
        expected: &[&str],
        refused: &[&str],
    ) {
        let array: ArrayRef = Arc::new(array);
        let field = Field::new("c", wanted, true);
        let mut reasons = vec![];
        let column = conform(source)
            .column(&array, &field, pg_type, None, &mut |row, reason| {
                reasons.push(format!("{row}: {reason}"))
            })
            .expect("the types fit");
        assert_eq!(column.data_type(), field.data_type());
        assert_eq!(reasons, refused);
        let text = arrow::compute::cast(&column, &DataType::Utf8).expect("all types are text");
        let text: Vec<&str> = text
            .as_string::<i32>()
            .iter()
            .map(|text| text.unwrap_or("NULL"))
            .collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn times_are_refused_with_the_offending_text() {
        check(
            "time_formats = ['%d/%m/%Y']",
            StringArray::from(vec![Some("28/02/2011"), Some("31/02/2011"), None]),
            utc_type(),
            "timestamp with time zone",
            &["2011-02-28T00:00:00Z", "NULL", "NULL"],
            &["1: \"31/02/2011\" is not a time"],
        );
    }

    #[test]
    fn local_times_become_utc_and_skipped_ones_are_refused() {
        check(
            "time_zone = 'Europe/Warsaw'",
            StringArray::from(vec![
                "2024-07-01 12:00",
                "2024-03-31 02:30",
                "2024-07-01 12:00Z",
            ]),
            utc_type(),
            "timestamp with time zone",
            &["2024-07-01T10:00:00Z", "NULL", "2024-07-01T12:00:00Z"],
            &[
                "1: \"2024-03-31 02:30\" does not exist in Europe/Warsaw: the clocks went forward over it",
            ],
        );
    }

    #[test]
    fn typed_times_without_a_zone_are_local_too() {
        check(
            "time_zone = 'Europe/Warsaw'",
            TimestampNanosecondArray::from(vec![1_719_835_200_000_000_000]),
            utc_type(),
            "timestamp with time zone",
            &["2024-07-01T10:00:00Z"],
            &[],
        );
    }

    #[test]
    fn times_beyond_the_type_are_refused() {
        let far: ArrayRef = Arc::new(
            arrow::array::TimestampMicrosecondArray::from(vec![0, i64::MIN + 1])
                .with_timezone("UTC"),
        );
        let mut refused = vec![];
        conform("")
            .column(
                &far,
                &Field::new("c", utc_type(), true),
                "timestamp with time zone",
                None,
                &mut |row, _| {
                    refused.push(row);
                },
            )
            .expect("the types fit");
        assert_eq!(refused, [1]);
    }

    #[test]
    fn amounts_out_of_range_are_refused() {
        check(
            "",
            StringArray::from(vec!["29.335", "12345678901234567.00", "a"]),
            DataType::Decimal128(18, 2),
            "numeric(18,2)",
            &["29.34", "NULL", "NULL"],
            &[
                "1: \"12345678901234567.00\" is out of range for numeric(18,2)",
                "2: \"a\" is not a number",
            ],
        );
        check(
            "",
            Float64Array::from(vec![2.5, 1e17, f64::NAN]),
            DataType::Decimal128(18, 2),
            "numeric(18,2)",
            &["2.50", "NULL", "NULL"],
            &[
                "1: \"100000000000000000\" is out of range for numeric(18,2)",
                "2: \"NaN\" is out of range for numeric(18,2)",
            ],
        );
    }

    #[test]
    fn integers_are_whole_and_in_range() {
        check(
            "",
            StringArray::from(vec!["7", "7.5", "3000000000"]),
            DataType::Int32,
            "integer",
            &["7", "NULL", "NULL"],
            &[
                "1: \"7.5\" is not a whole number",
                "2: \"3000000000\" is out of range for integer",
            ],
        );
        check(
            "",
            Float64Array::from(vec![Some(7.0), Some(7.5), None]),
            DataType::Int32,
            "integer",
            &["7", "7", "NULL"],
            &["1: \"7.5\" is not a whole number"],
        );
        check(
            "",
            Int64Array::from(vec![7]),
            DataType::Int16,
            "smallint",
            &["7"],
            &[],
        );
    }

    #[test]
    fn text_is_checked_against_what_postgresql_calls_it() {
        check(
            "",
            StringArray::from(vec!["żółw", "abcde"]),
            DataType::Utf8,
            "character varying(4)",
            &["żółw", "abcde"],
            &["1: \"abcde\" is too long for character varying(4)"],
        );
        check(
            "",
            StringArray::from(vec!["a\0b"]),
            DataType::Utf8,
            "text",
            &["a\0b"],
            &["0: \"a\\u{0}b\" contains a zero byte"],
        );
        check(
            "",
            StringArray::from(vec!["{A0EEBC99-9C0B4EF8BB6D6BB9BD380A11}", "a0ee"]),
            DataType::Utf8,
            "uuid",
            &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "NULL"],
            &["1: \"a0ee\" is not a uuid"],
        );
        check(
            "",
            StringArray::from(vec!["{\"a\":1}", "{a}"]),
            DataType::Utf8,
            "jsonb",
            &["{\"a\":1}", "{a}"],
            &["1: \"{a}\" is not JSON"],
        );
    }

    #[test]
    fn text_in_any_form_is_read_as_text() {
        check(
            "decimal_comma = true",
            arrow::array::StringViewArray::from(vec!["1,5", "x"]),
            DataType::Decimal128(18, 2),
            "numeric(18,2)",
            &["1.50", "NULL"],
            &["1: \"x\" is not a number"],
        );
    }

    #[test]
    fn a_type_that_can_never_fit_is_an_error_of_the_source() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let field = Field::new("c", utc_type(), true);
        let error = conform("").column(
            &array,
            &field,
            "timestamp with time zone",
            None,
            &mut |_, _| {},
        );
        assert!(
            error
                .expect_err("a number is not a time")
                .contains("to_timestamp")
        );
    }

    #[test]
    fn a_zone_of_its_own_is_used_for_each_row() {
        let array: ArrayRef = Arc::new(StringArray::from(vec!["2024-07-01 12:00"; 3]));
        let zones = StringArray::from(vec![Some("Asia/Kolkata"), None, Some("Mars/Olympus")]);
        let mut reasons = vec![];
        let column = conform("time_zone = 'Europe/Warsaw'")
            .column(
                &array,
                &Field::new("c", utc_type(), true),
                "timestamp with time zone",
                Some(&zones),
                &mut |row, reason| {
                    reasons.push(format!("{row}: {reason}"));
                },
            )
            .expect("the types fit");
        let hours: Vec<Option<i64>> = column
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .map(|micros| micros.map(|micros| micros / 60_000_000 % 1440))
            .collect();
        assert_eq!(hours, [Some(390), Some(600), None]);
        assert_eq!(reasons, ["2: its time zone \"Mars/Olympus\" is not known"]);
    }
}
