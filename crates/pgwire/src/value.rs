//! A client's values, text or binary, collected into Arrow arrays: parameters and the fields of COPY.
//!
//! Errors are worded as PostgreSQL's input functions word them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    ListArray, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt32Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use rapport_engine::oid;

use crate::parse;
use crate::rows::{Cell, EPOCH_DAYS, Form};
use crate::sqlstate::{Failure, Result};
use crate::style::Style;
use crate::types;
use rapport_udf_postgres::refusal::Refusal;
use rapport_udf_postgres::text::{self, MICROS_PER_DAY, Zone};
use rapport_udf_postgres::{Reading, Span, Units};

/// A column that grows value by value.
pub struct Collector {
    type_oid: u32,
    typmod: i32,
    reading: Reading,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt32(UInt32Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal {
        builder: Decimal128Builder,
        precision: u8,
        scale: i8,
    },
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    List {
        field: Arc<Field>,
        offsets: Vec<i32>,
        valid: Vec<bool>,
        elements: Box<Collector>,
    },
}

impl Collector {
    /// `data_type` is how the engine holds `type_oid`. 0A000 if that is not a type that a client may send.
    pub fn new(type_oid: u32, typmod: i32, data_type: &DataType, reading: Reading) -> Result<Self> {
        let values = match data_type {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int16 => Values::Int16(Int16Builder::new()),
            DataType::Int32 => Values::Int32(Int32Builder::new()),
            DataType::Int64 => Values::Int64(Int64Builder::new()),
            DataType::UInt32 => Values::UInt32(UInt32Builder::new()),
            DataType::Float32 => Values::Float32(Float32Builder::new()),
            DataType::Float64 => Values::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => Values::Decimal {
                builder: Decimal128Builder::new().with_data_type(data_type.clone()),
                precision: *precision,
                scale: *scale,
            },
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                Values::Text(StringBuilder::new())
            }
            DataType::Binary | DataType::BinaryView | DataType::LargeBinary => {
                Values::Bytes(BinaryBuilder::new())
            }
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time(Time64MicrosecondBuilder::new())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => Values::Timestamp(
                TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()),
            ),
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Values::Interval(IntervalMonthDayNanoBuilder::new())
            }
            DataType::List(field) => Values::List {
                field: field.clone(),
                offsets: vec![0],
                valid: Vec::new(),
                elements: Box::new(Collector::new(
                    types::element_of(type_oid).unwrap_or(oid::TEXT),
                    typmod,
                    field.data_type(),
                    reading,
                )?),
            },
            other => {
                return Err(Failure::not_supported(format!(
                    "values of type {other} can't be sent"
                ))
                .with_hint("Send it as a text and cast it in the statement."));
            }
        };
        Ok(Self {
            type_oid,
            typmod,
            reading,
            values,
        })
    }

    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(builder) => builder.append_null(),
            Values::Int16(builder) => builder.append_null(),
            Values::Int32(builder) => builder.append_null(),
            Values::Int64(builder) => builder.append_null(),
            Values::UInt32(builder) => builder.append_null(),
            Values::Float32(builder) => builder.append_null(),
            Values::Float64(builder) => builder.append_null(),
            Values::Decimal { builder, .. } => builder.append_null(),
            Values::Text(builder) => builder.append_null(),
            Values::Bytes(builder) => builder.append_null(),
            Values::Date(builder) => builder.append_null(),
            Values::Time(builder) => builder.append_null(),
            Values::Timestamp(builder) => builder.append_null(),
            Values::Interval(builder) => builder.append_null(),
            Values::List { offsets, valid, .. } => {
                offsets.push(offsets[offsets.len() - 1]);
                valid.push(false);
            }
        }
    }

    /// Reads `text` as PostgreSQL's input function of the type would.
    pub fn push_text(&mut self, text: &str) -> Result<()> {
        let type_oid = self.type_oid;
        let syntax = || invalid_syntax(type_oid, text);
        let ranged = || out_of_range(type_oid, text);
        let reading = self.reading;
        match &mut self.values {
            Values::Bool(builder) => builder.append_value(parse::bool(text).ok_or_else(syntax)?),
            Values::Int16(builder) => builder.append_value(integer(type_oid, text)?),
            Values::Int32(builder) => builder.append_value(integer(type_oid, text)?),
            Values::Int64(builder) => builder.append_value(integer(type_oid, text)?),
            Values::UInt32(builder) => builder.append_value(integer(type_oid, text)?),
            Values::Float32(builder) => {
                let wide = parse::float8(text)
                    .ok_or_else(syntax)?
                    .map_err(|_| ranged())?;
                let narrow = text.trim().parse::<f32>().unwrap_or(wide as f32);
                if narrow.is_infinite() != wide.is_infinite() || (narrow == 0.0) != (wide == 0.0) {
                    return Err(ranged());
                }
                builder.append_value(narrow);
            }
            Values::Float64(builder) => {
                builder.append_value(
                    parse::float8(text)
                        .ok_or_else(syntax)?
                        .map_err(|_| ranged())?,
                );
            }
            Values::Decimal {
                builder,
                precision,
                scale,
            } => {
                let value = parse::decimal(text, *scale).ok_or_else(syntax)?;
                match value {
                    Ok(value) if fits(value, *precision) => builder.append_value(value),
                    _ => return Err(numeric_overflow(*precision, *scale)),
                }
            }
            Values::Text(builder) => match type_oid {
                oid::UUID => {
                    let bytes = parse::uuid(text).ok_or_else(syntax)?;
                    builder.append_value(uuid_text(&bytes));
                }
                oid::TIME => {
                    let micros = reading.time(text).map_err(refused)?;
                    append_pushed(builder, |out| text::push_time(out, micros));
                }
                oid::INTERVAL => {
                    let span = Span::parse(text, Units::default()).map_err(refused)?;
                    append_pushed(builder, |out| {
                        text::push_interval(out, span.months, span.days, span.micros);
                    });
                }
                oid::VARCHAR | oid::BPCHAR => {
                    builder.append_value(bounded(type_oid, text, self.typmod)?)
                }
                _ => builder.append_value(text),
            },
            Values::Bytes(builder) => {
                builder.append_value(parse::bytea(text).ok_or_else(|| bad_bytea(text))?);
            }
            Values::Date(builder) => builder.append_value(reading.date(text).map_err(refused)?),
            Values::Time(builder) => builder.append_value(reading.time(text).map_err(refused)?),
            Values::Timestamp(builder) => {
                let micros = match type_oid {
                    oid::TIMESTAMPTZ => timestamptz(text, reading),
                    _ => reading.timestamp(text),
                };
                builder.append_value(micros.map_err(refused)?);
            }
            Values::Interval(builder) => {
                let span = Span::parse(text, Units::default()).and_then(Span::to_arrow);
                builder.append_value(span.map_err(refused)?);
            }
            Values::List {
                offsets,
                valid,
                elements,
                ..
            } => {
                let parsed = parse::array(text).ok_or_else(|| {
                    Failure::new("22P02", format!("malformed array literal: \"{text}\""))
                })?;
                for element in &parsed {
                    match element {
                        Some(element) => elements.push_text(element)?,
                        None => elements.push_null(),
                    }
                }
                offsets.push(offsets[offsets.len() - 1] + parsed.len() as i32);
                valid.push(true);
            }
        }
        Ok(())
    }

    /// Reads `bytes` as PostgreSQL's receive function of the type would.
    pub fn push_binary(&mut self, bytes: &[u8]) -> Result<()> {
        let type_oid = self.type_oid;
        match &mut self.values {
            Values::Bool(builder) => builder.append_value(fixed::<1>(bytes)?[0] != 0),
            Values::Int16(builder) => builder.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Values::Int32(builder) => builder.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Values::Int64(builder) => builder.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Values::UInt32(builder) => builder.append_value(u32::from_be_bytes(fixed(bytes)?)),
            Values::Float32(builder) => builder.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Values::Float64(builder) => builder.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Values::Decimal { .. } => {
                let text = numeric_text(bytes).ok_or_else(bad_binary)?;
                return self.push_text(&text);
            }
            Values::Text(builder) => match type_oid {
                oid::UUID => builder.append_value(uuid_text(&fixed(bytes)?)),
                oid::TIME => {
                    let micros = i64::from_be_bytes(fixed(bytes)?);
                    if !(0..=MICROS_PER_DAY).contains(&micros) {
                        return Err(Failure::new("22008", "time out of range"));
                    }
                    append_pushed(builder, |out| text::push_time(out, micros));
                }
                oid::INTERVAL => {
                    let (months, days, micros) = interval_parts(bytes)?;
                    append_pushed(builder, |out| {
                        text::push_interval(out, months, days, micros)
                    });
                }
                oid::JSONB => match bytes.split_first() {
                    Some((1, json)) => builder.append_value(utf8(json)?),
                    _ => return Err(Failure::new("XX000", "unsupported jsonb version number")),
                },
                oid::VARCHAR | oid::BPCHAR => {
                    builder.append_value(bounded(type_oid, utf8(bytes)?, self.typmod)?);
                }
                _ => builder.append_value(utf8(bytes)?),
            },
            Values::Bytes(builder) => builder.append_value(bytes),
            Values::Date(builder) => {
                let days = match i32::from_be_bytes(fixed(bytes)?) {
                    days @ (i32::MAX | i32::MIN) => days,
                    days => days
                        .checked_add(EPOCH_DAYS as i32)
                        .ok_or_else(|| Failure::new("22008", "date out of range"))?,
                };
                builder.append_value(days);
            }
            Values::Time(builder) => builder.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Values::Timestamp(builder) => {
                let micros = match i64::from_be_bytes(fixed(bytes)?) {
                    micros @ (i64::MAX | i64::MIN) => micros,
                    micros => micros
                        .checked_add(EPOCH_DAYS * MICROS_PER_DAY)
                        .ok_or_else(|| Failure::new("22008", "timestamp out of range"))?,
                };
                builder.append_value(micros);
            }
            Values::Interval(builder) => {
                let (months, days, micros) = interval_parts(bytes)?;
                builder.append_value(interval_value(months, days, micros)?);
            }
            Values::List {
                offsets,
                valid,
                elements,
                ..
            } => {
                let n = push_binary_array(bytes, elements)?;
                offsets.push(offsets[offsets.len() - 1] + n);
                valid.push(true);
            }
        }
        Ok(())
    }

    /// What was collected; the collector is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Bool(builder) => Arc::new(builder.finish()),
            Values::Int16(builder) => Arc::new(builder.finish()),
            Values::Int32(builder) => Arc::new(builder.finish()),
            Values::Int64(builder) => Arc::new(builder.finish()),
            Values::UInt32(builder) => Arc::new(builder.finish()),
            Values::Float32(builder) => Arc::new(builder.finish()),
            Values::Float64(builder) => Arc::new(builder.finish()),
            Values::Decimal { builder, .. } => Arc::new(builder.finish()),
            Values::Text(builder) => Arc::new(builder.finish()),
            Values::Bytes(builder) => Arc::new(builder.finish()),
            Values::Date(builder) => Arc::new(builder.finish()),
            Values::Time(builder) => Arc::new(builder.finish()),
            Values::Timestamp(builder) => Arc::new(builder.finish()),
            Values::Interval(builder) => Arc::new(builder.finish()),
            Values::List {
                field,
                offsets,
                valid,
                elements,
            } => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let nulls = NullBuffer::from(std::mem::take(valid));
                Arc::new(ListArray::new(
                    field.clone(),
                    offsets,
                    elements.finish(),
                    Some(nulls),
                ))
            }
        }
    }
}

/// One parameter of a statement. The scale of a number is the one it is written with.
pub fn parameter(
    type_oid: u32,
    binary: bool,
    bytes: &[u8],
    reading: Reading,
) -> Result<ScalarValue> {
    let number;
    let (data_type, text) = match (type_oid, binary) {
        (oid::NUMERIC, true) => {
            number = numeric_text(bytes).ok_or_else(bad_binary)?;
            (decimal_type(&number), Some(number.as_str()))
        }
        (oid::NUMERIC, false) => {
            let text = utf8(bytes)?;
            (decimal_type(text), Some(text))
        }
        (_, false) => (parameter_type(type_oid), Some(utf8(bytes)?)),
        (_, true) => (parameter_type(type_oid), None),
    };
    let mut collector = Collector::new(type_oid, -1, &data_type, reading)?;
    match text {
        Some(text) => collector.push_text(text)?,
        None => collector.push_binary(bytes)?,
    }
    Ok(ScalarValue::try_from_array(&collector.finish(), 0)?)
}

/// The same in PostgreSQL's text form, whichever form it came in.
pub fn parameter_text(type_oid: u32, binary: bool, bytes: &[u8], zone: Zone) -> Result<String> {
    if !binary {
        return Ok(utf8(bytes)?.to_owned());
    }
    let reading = parse::reading(rapport_udf_postgres::Zone::UTC, 0);
    let array = parameter(type_oid, binary, bytes, reading)?.to_array()?;
    let cell = Cell::new(&array, type_oid, None, Form::Text, Style::plain(zone))?;
    let mut text = Vec::new();
    cell.put_text(0, &mut text);
    Ok(utf8(&text)?.to_owned())
}

/// NULL, of the parameter's type.
pub fn null_parameter(type_oid: u32) -> Result<ScalarValue> {
    Ok(ScalarValue::try_from(&parameter_type(type_oid))?)
}

/// How a parameter of a type is handed to the engine.
fn parameter_type(type_oid: u32) -> DataType {
    match type_oid {
        oid::BOOL => DataType::Boolean,
        oid::BYTEA => DataType::Binary,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 => DataType::Int64,
        oid::OID => DataType::UInt32,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => DataType::Decimal128(38, 10),
        oid::DATE => DataType::Date32,
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => match types::element_of(type_oid) {
            Some(element) => DataType::List(Arc::new(Field::new_list_field(
                parameter_type(element),
                true,
            ))),
            None => DataType::Utf8,
        },
    }
}

/// As wide as the number is written.
fn decimal_type(number: &str) -> DataType {
    let mantissa = number.trim().split(['e', 'E']).next().unwrap_or("");
    let whole = mantissa
        .trim_start_matches(['-', '+'])
        .trim_start_matches('0')
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    let fraction = mantissa
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    if mantissa.len() != number.trim().len() || whole + fraction > 38 {
        return DataType::Decimal128(38, 10);
    }
    DataType::Decimal128((whole + fraction).max(1) as u8, fraction as i8)
}

fn integer<T: TryFrom<i64>>(type_oid: u32, text: &str) -> Result<T> {
    let trimmed = text.trim();
    let value: i64 = match trimmed.parse() {
        Ok(value) => value,
        Err(error) => {
            use std::num::IntErrorKind;
            return Err(match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                    out_of_range(type_oid, trimmed)
                }
                _ => invalid_syntax(type_oid, text),
            });
        }
    };
    T::try_from(value).map_err(|_| out_of_range(type_oid, trimmed))
}

fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < 10u128.pow(u32::from(precision.min(38)))
}

fn interval_value(months: i32, days: i32, micros: i64) -> Result<IntervalMonthDayNano> {
    let nanoseconds = micros
        .checked_mul(1_000)
        .ok_or_else(|| Failure::new("22008", "interval out of range"))?;
    Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
}

fn interval_parts(bytes: &[u8]) -> Result<(i32, i32, i64)> {
    let bytes: [u8; 16] = fixed(bytes)?;
    let (micros, rest) = bytes.split_first_chunk().expect("16 bytes hold 8");
    let (days, months) = rest.split_first_chunk().expect("8 bytes hold 4");
    Ok((
        i32::from_be_bytes(fixed(months)?),
        i32::from_be_bytes(*days),
        i64::from_be_bytes(*micros),
    ))
}

/// As nearly every program writes it, fast: with `+00` behind the second.
fn timestamptz(text: &str, reading: Reading) -> Result<i64, Refusal> {
    match text.strip_suffix("+00") {
        Some(local) if local.len() >= "2024-01-02 03:04:05".len() => {
            let zone = rapport_udf_postgres::Zone::UTC;
            Reading { zone, ..reading }.timestamptz(local)
        }
        _ => reading.timestamptz(text),
    }
}

fn refused(refusal: Refusal) -> Failure {
    rapport_engine::Error::Refused(refusal).into()
}

fn bad_bytea(text: &str) -> Failure {
    match text.starts_with("\\x") {
        true => Failure::new("22023", "invalid hexadecimal data"),
        false => invalid_syntax(oid::BYTEA, text),
    }
}

/// `character varying(n)` and `character(n)`: spaces may be cut off, nothing else.
fn bounded(type_oid: u32, text: &str, typmod: i32) -> Result<&str> {
    let Ok(limit) = usize::try_from(typmod - 4) else {
        return Ok(text);
    };
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return Ok(text);
    };
    if text[end..].chars().all(|c| c == ' ') {
        return Ok(&text[..end]);
    }
    let name = if type_oid == oid::BPCHAR {
        "character"
    } else {
        "character varying"
    };
    Err(Failure::new(
        "22001",
        format!("value too long for type {name}({limit})"),
    ))
}

fn append_pushed(builder: &mut StringBuilder, push: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::with_capacity(32);
    push(&mut out);
    builder.append_value(std::str::from_utf8(&out).expect("text forms are ASCII"));
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut out = Vec::with_capacity(38);
    for part in [0..4, 4..6, 6..8, 8..10, 10..16] {
        let start = out.len();
        text::push_bytea(&mut out, &bytes[part]);
        // Without the mark of hexadecimal digits.
        out.drain(start..start + 2);
        out.push(b'-');
    }
    out.pop();
    String::from_utf8(out).expect("hexadecimal digits are ASCII")
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Failure::new(
            "22021",
            "invalid byte sequence for encoding \"UTF8\"",
        )),
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| match bytes.len() < N {
        true => cut_short(),
        false => bad_binary(),
    })
}

fn cut_short() -> Failure {
    Failure::protocol("insufficient data left in message")
}

fn bad_binary() -> Failure {
    Failure::new("22P03", "incorrect binary data format")
}

/// `numeric` as it travels in binary, as plain text.
fn numeric_text(bytes: &[u8]) -> Option<String> {
    let word = |n: usize| {
        Some(u16::from_be_bytes([
            *bytes.get(n * 2)?,
            *bytes.get(n * 2 + 1)?,
        ]))
    };
    let count = usize::from(word(0)?);
    let weight = i32::from(word(1)? as i16);
    let sign = match word(2)? {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => return None,
    };
    let scale = usize::from(word(3)? & 0x3fff);
    if bytes.len() != 8 + count * 2 || !(-10_000..=10_000).contains(&weight) {
        return None;
    }
    let digit = |place: i32| match usize::try_from(place) {
        Ok(place) if place < count => word(4 + place).filter(|digit| *digit < 10_000),
        _ => Some(0),
    };
    let mut text = String::from(sign);
    for place in 0..=weight.max(0) {
        let digit = if weight < 0 { 0 } else { digit(place)? };
        match place {
            0 => text.push_str(&digit.to_string()),
            _ => text.push_str(&format!("{digit:04}")),
        }
    }
    if scale > 0 {
        text.push('.');
        let start = text.len();
        let mut place = weight + 1;
        // The first group behind the point, which may lie before the first digit.
        if weight < -1 {
            for _ in weight + 1..0 {
                text.push_str("0000");
            }
            place = 0;
        }
        while text.len() - start < scale {
            text.push_str(&format!("{:04}", digit(place)?));
            place += 1;
        }
        text.truncate(start + scale);
    }
    Some(text)
}

/// Answers the number of elements.
fn push_binary_array(bytes: &[u8], elements: &mut Collector) -> Result<i32> {
    let expected = elements.type_oid;
    let mut rest = bytes;
    let mut int = || -> Result<i32> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let dimensions = int()?;
    let _has_null = int()?;
    let element_type = int()? as u32;
    if element_type != expected {
        return Err(Failure::new(
            "42804",
            format!(
                "binary data has array element type {element_type} instead of expected {expected}"
            ),
        ));
    }
    if dimensions == 0 {
        return match rest.is_empty() {
            true => Ok(0),
            false => Err(bad_binary()),
        };
    }
    if dimensions != 1 {
        return Err(
            Failure::not_supported("arrays of more than one dimension can't be sent")
                .with_hint("Send one array for each row."),
        );
    }
    let count = int()?;
    let _lower_bound = int()?;
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        rest = tail;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => elements.push_null(),
            Ok(length) => {
                let (element, tail) = rest.split_at_checked(length).ok_or_else(bad_binary)?;
                rest = tail;
                elements.push_binary(element)?;
            }
        }
    }
    match rest.is_empty() {
        true => Ok(count),
        false => Err(bad_binary()),
    }
}

fn type_name(type_oid: u32) -> &'static str {
    match type_oid {
        oid::BOOL => "boolean",
        oid::BYTEA => "bytea",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::OID => "oid",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::DATE => "date",
        oid::TIME => "time",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamp with time zone",
        oid::INTERVAL => "interval",
        oid::UUID => "uuid",
        _ => "text",
    }
}

fn invalid_syntax(type_oid: u32, text: &str) -> Failure {
    let code = match type_oid {
        oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => "22007",
        _ => "22P02",
    };
    Failure::new(
        code,
        format!(
            "invalid input syntax for type {}: \"{text}\"",
            type_name(type_oid)
        ),
    )
}

fn out_of_range(type_oid: u32, text: &str) -> Failure {
    match type_oid {
        oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ => Failure::new(
            "22008",
            format!("date/time field value out of range: \"{text}\""),
        ),
        oid::FLOAT4 | oid::FLOAT8 => Failure::new(
            "22003",
            format!(
                "\"{text}\" is out of range for type {}",
                type_name(type_oid)
            ),
        ),
        _ => Failure::new(
            "22003",
            format!(
                "value \"{text}\" is out of range for type {}",
                type_name(type_oid)
            ),
        ),
    }
}

fn numeric_overflow(precision: u8, scale: i8) -> Failure {
    let whole = i32::from(precision) - i32::from(scale);
    Failure::new("22003", "numeric field overflow").with_detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than 10^{whole}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Form, Layout, Rows};
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use rapport_engine::Column;

    fn utc() -> Reading {
        parse::reading(rapport_udf_postgres::Zone::UTC, 1_704_164_645_123_000)
    }

    /// Through the collector and out again in both forms, and the binary form back.
    fn check(type_oid: u32, text: &str, expected: &str) {
        let value =
            parameter(type_oid, false, text.as_bytes(), utc()).expect("a value of the test");
        let again = |value: &ScalarValue, form| {
            let array = value.to_array().expect("a scalar is an array of one");
            let layout = Layout {
                columns: vec![Column {
                    name: "c".into(),
                    pg_type: type_oid,
                    typmod: 0,
                    least_scale: match array.data_type() {
                        DataType::Decimal128(_, scale) => *scale,
                        _ => 0,
                    },
                    table_oid: 0,
                    number: 0,
                    data_type: array.data_type().clone(),
                }],
                forms: vec![form],
                style: Style::plain(Zone::UTC),
                charset: crate::charset::Charset::Utf8,
            };
            let schema = Schema::new(vec![Field::new("c", array.data_type().clone(), true)]);
            let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).expect("one column");
            let mut out = Vec::new();
            Rows::new(&batch, &layout)
                .expect("a type of the test")
                .put_body(0, &mut out);
            out.split_off(6)
        };
        assert_eq!(
            String::from_utf8(again(&value, Form::Text)).expect("text"),
            expected
        );
        let binary = again(&value, Form::Binary);
        let back = parameter(type_oid, true, &binary, utc()).expect("our own binary form");
        assert_eq!(
            String::from_utf8(again(&back, Form::Text)).expect("text"),
            expected
        );
    }

    #[test]
    fn every_type_goes_through_text_and_binary() {
        check(oid::BOOL, "yes", "t");
        check(oid::INT2, "-7", "-7");
        check(oid::INT4, " 42 ", "42");
        check(oid::INT8, "9223372036854775807", "9223372036854775807");
        check(oid::FLOAT4, "1.5", "1.5");
        check(oid::FLOAT8, "-Infinity", "-Infinity");
        check(oid::NUMERIC, "12345678.900", "12345678.900");
        check(oid::NUMERIC, "-0.0001", "-0.0001");
        check(oid::NUMERIC, "0.00000012", "0.00000012");
        check(oid::NUMERIC, "100000000", "100000000");
        check(oid::NUMERIC, "0", "0");
        check(
            oid::NUMERIC,
            "99999999999999999999999999999999999999",
            "99999999999999999999999999999999999999",
        );
        check(oid::TEXT, "żółw", "żółw");
        check(oid::TEXT, "", "");
        check(oid::TEXT, "twelve bytes", "twelve bytes");
        check(oid::TEXT, "thirteen byte", "thirteen byte");
        check(oid::BYTEA, "\\x00ff", "\\x00ff");
        check(oid::DATE, "1999-12-31", "1999-12-31");
        check(
            oid::TIMESTAMP,
            "2024-01-02 03:04:05.6",
            "2024-01-02 03:04:05.6",
        );
        check(
            oid::TIMESTAMPTZ,
            "2024-01-02 03:04:05+01",
            "2024-01-02 02:04:05+00",
        );
        check(
            oid::INTERVAL,
            "1 mon -2 days 03:00:00",
            "1 mon -2 days +03:00:00",
        );
        check(oid::TIME, "04:05:06.7", "04:05:06.7");
        check(
            oid::UUID,
            "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        );
        check(oid::JSONB, "{\"a\": 1}", "{\"a\": 1}");
        check(1007, "{1,NULL,3}", "{1,NULL,3}");
        check(1009, "{\"a b\",\"\",null}", "{\"a b\",\"\",NULL}");
    }

    fn refuse(type_oid: u32, text: &str, code: &str, message: &str) {
        let failure = parameter(type_oid, false, text.as_bytes(), utc()).expect_err(text);
        assert_eq!((failure.code(), failure.message()), (code, message));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_postgresql_s_words() {
        refuse(
            oid::INT4,
            "abc",
            "22P02",
            "invalid input syntax for type integer: \"abc\"",
        );
        refuse(
            oid::INT4,
            "",
            "22P02",
            "invalid input syntax for type integer: \"\"",
        );
        refuse(
            oid::INT2,
            "99999",
            "22003",
            "value \"99999\" is out of range for type smallint",
        );
        refuse(
            oid::FLOAT8,
            "1e400",
            "22003",
            "\"1e400\" is out of range for type double precision",
        );
        refuse(
            oid::NUMERIC,
            "x",
            "22P02",
            "invalid input syntax for type numeric: \"x\"",
        );
        refuse(
            oid::DATE,
            "2024-13-01",
            "22008",
            "date/time field value out of range: \"2024-13-01\"",
        );
        refuse(
            oid::DATE,
            "soon",
            "22007",
            "invalid input syntax for type date: \"soon\"",
        );
        refuse(
            oid::UUID,
            "x",
            "22P02",
            "invalid input syntax for type uuid: \"x\"",
        );
        refuse(1007, "1", "22P02", "malformed array literal: \"1\"");
    }

    #[test]
    fn a_binary_value_of_the_wrong_length_is_refused() {
        for (bytes, code) in [
            (&b""[..], "08P01"),
            (b"\0\0\0", "08P01"),
            (b"\0\0\0\0\0", "22P03"),
        ] {
            let failure = parameter(oid::INT4, true, bytes, utc()).expect_err("not four bytes");
            assert_eq!(failure.code(), code);
        }
    }

    #[test]
    fn dates_and_times_are_read_as_literals_are() {
        let same = |type_oid, text: &str, plain: &str| {
            let read = |text: &str| parameter(type_oid, false, text.as_bytes(), utc()).expect(text);
            assert_eq!(read(text), read(plain), "{text}");
        };
        same(oid::DATE, "today", "2024-01-02");
        same(oid::DATE, "5 January 2024", "2024-01-05");
        same(oid::DATE, "J2451187", "1999-01-08");
        same(oid::TIMESTAMP, "now", "2024-01-02 03:04:05.123");
        same(
            oid::TIMESTAMPTZ,
            "20240101T101112",
            "2024-01-01 10:11:12+00",
        );
        same(
            oid::TIMESTAMPTZ,
            "2024-01-02 03:04:05.5+00",
            "2024-01-02 04:04:05.5+01",
        );
        same(oid::TIME, "24:00", "24:00:00");
        same(oid::TIME, "1000", "10:00:00");
        same(oid::INTERVAL, "1-2", "14 mons");
        refuse(
            oid::TIME,
            "25:00",
            "22008",
            "date/time field value out of range: \"25:00\"",
        );
    }

    #[test]
    fn numbers_keep_to_their_column() {
        let mut column = Collector::new(oid::NUMERIC, -1, &DataType::Decimal128(5, 2), utc())
            .expect("a decimal column");
        column.push_text("999.994").expect("rounds into the column");
        let failure = column
            .push_text("999.995")
            .expect_err("rounds out of the column");
        assert_eq!(failure.code(), "22003");
    }
}
