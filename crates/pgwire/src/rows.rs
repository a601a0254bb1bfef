//! Whole Arrow batches to rows in PostgreSQL's text and binary forms, straight into the output buffer.
//!
//! What has to be found out about a column (its concrete array, its form on the wire) is found out once per batch;
//! then the rows are walked, and no object is made per row or value.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray,
    LargeBinaryArray, LargeStringArray, MAX_INLINE_VIEW_LEN, RecordBatch, StringArray,
    StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::error::ArrowError;
use rapport_engine::{Column, oid};

use crate::charset::Charset;
use crate::sqlstate::Failure;
use crate::style::Style;
use crate::{parse, types, wire};
use rapport_udf_postgres::text::{self, MICROS_PER_DAY, MICROS_PER_SECOND};

/// Between 1970-01-01 and 2000-01-01, where PostgreSQL counts from.
pub const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * MICROS_PER_DAY;

/// A column's form on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Binary,
}

impl Form {
    pub fn code(self) -> i16 {
        match self {
            Form::Text => 0,
            Form::Binary => 1,
        }
    }
}

/// What the rows of one portal look like on the wire.
#[derive(Clone, Debug)]
pub struct Layout {
    pub columns: Vec<Column>,
    pub forms: Vec<Form>,
    pub style: Style,
    pub charset: Charset,
}

/// One batch, ready to be written row by row.
pub struct Rows<'a> {
    cells: Vec<Cell<'a>>,
}

impl<'a> Rows<'a> {
    /// Fails if a column is of a type that has no form in PostgreSQL.
    pub fn new(batch: &'a RecordBatch, layout: &Layout) -> Result<Self, ArrowError> {
        let cells = batch
            .columns()
            .iter()
            .zip(&layout.columns)
            .zip(&layout.forms)
            .map(|((array, column), form)| {
                Cell::new(
                    array,
                    column.pg_type,
                    Some(column.least_scale),
                    *form,
                    layout.style,
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { cells })
    }

    /// Appends row `row` as a DataRow message.
    pub fn put_data_row(&self, row: usize, out: &mut Vec<u8>) {
        let start = wire::begin_message(out, b'D');
        self.put_body(row, out);
        wire::end_message(out, start);
    }

    /// The same in another encoding; `is_text` tells which columns are text.
    pub fn put_data_row_in(
        &self,
        charset: Charset,
        is_text: &[bool],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let start = wire::begin_message(out, b'D');
        self.put_body(row, out);
        let body = out.split_off(start + 4);
        charset.encode_row(&body, is_text, out)?;
        wire::end_message(out, start);
        Ok(())
    }

    /// The number of columns and the values, each after its length; also a tuple of binary COPY.
    pub fn put_body(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.cells.len() as u16).to_be_bytes());
        for cell in &self.cells {
            cell.put_sized(row, out);
        }
    }

    pub fn cells(&self) -> &[Cell<'a>] {
        &self.cells
    }
}

/// One column of one batch.
pub struct Cell<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
    type_oid: u32,
    form: Form,
    style: Style,
    is_wordless: bool,
}

/// The concrete array, and what of its type matters for the form.
enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal32(&'a [i32], i8),
    Decimal64(&'a [i64], i8),
    Decimal128 {
        values: &'a [i128],
        scale: i8,
        least: i8,
    },
    Decimal256 {
        values: &'a [i256],
        scale: i8,
        least: i8,
    },
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    FixedBytes(&'a FixedSizeBinaryArray),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Time32(&'a [i32], Unit),
    Time64(&'a [i64], Unit),
    Timestamp(&'a [i64], Unit),
    TimestampTz(&'a [i64], Unit),
    Months(&'a [i32]),
    DayTime(&'a [IntervalDayTime]),
    MonthDayNano(&'a [IntervalMonthDayNano]),
    Micros(&'a [i64]),
    Dictionary {
        keys: Vec<usize>,
        values: Box<Cell<'a>>,
    },
    List {
        offsets: Vec<(usize, usize)>,
        element: Box<Cell<'a>>,
        element_oid: u32,
    },
    Row(Vec<Cell<'a>>),
    /// What has no form of its own, as Arrow prints it.
    Owned(StringArray),
}

/// How an integer becomes microseconds.
#[derive(Clone, Copy)]
enum Unit {
    Times(i64),
    Over(i64),
}

impl Unit {
    fn of(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Second => Unit::Times(MICROS_PER_SECOND),
            TimeUnit::Millisecond => Unit::Times(1_000),
            TimeUnit::Microsecond => Unit::Times(1),
            TimeUnit::Nanosecond => Unit::Over(1_000),
        }
    }

    fn micros(self, value: i64) -> i64 {
        match self {
            Unit::Times(1) => value,
            Unit::Times(factor) => value.saturating_mul(factor),
            Unit::Over(divisor) => value.div_euclid(divisor),
        }
    }
}

impl<'a> Cell<'a> {
    pub fn new(
        array: &'a ArrayRef,
        type_oid: u32,
        least_scale: Option<i8>,
        form: Form,
        style: Style,
    ) -> Result<Self, ArrowError> {
        let child = |array, type_oid| Cell::new(array, type_oid, None, form, style);
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::Int8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::Int16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::Int32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt8 => Values::UInt8(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt16 => Values::UInt16(array.as_primitive::<UInt16Type>().values()),
            DataType::UInt32 => Values::UInt32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Values::UInt64(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Values::Float32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal32(_, scale) => {
                Values::Decimal32(array.as_primitive::<Decimal32Type>().values(), *scale)
            }
            DataType::Decimal64(_, scale) => {
                Values::Decimal64(array.as_primitive::<Decimal64Type>().values(), *scale)
            }
            DataType::Decimal128(precision, scale) => Values::Decimal128 {
                values: array.as_primitive::<Decimal128Type>().values(),
                scale: *scale,
                least: least_scale.unwrap_or(match (*precision, *scale) {
                    // How the lake stores `numeric` without a scale, when nothing more is known.
                    (38, 10 | 20) => 0,
                    _ => *scale,
                }),
            },
            DataType::Decimal256(_, scale) => Values::Decimal256 {
                values: array.as_primitive::<Decimal256Type>().values(),
                scale: *scale,
                least: least_scale.unwrap_or(0),
            },
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            DataType::LargeBinary => Values::LargeBytes(array.as_binary()),
            DataType::BinaryView => Values::BytesView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Values::FixedBytes(array.as_fixed_size_binary()),
            DataType::Date32 => Values::Date32(array.as_primitive::<Date32Type>().values()),
            DataType::Date64 => Values::Date64(array.as_primitive::<Date64Type>().values()),
            DataType::Time32(unit) => Values::Time32(
                match unit {
                    TimeUnit::Second => array.as_primitive::<Time32SecondType>().values(),
                    _ => array.as_primitive::<Time32MillisecondType>().values(),
                },
                Unit::of(*unit),
            ),
            DataType::Time64(unit) => Values::Time64(
                match unit {
                    TimeUnit::Nanosecond => array.as_primitive::<Time64NanosecondType>().values(),
                    _ => array.as_primitive::<Time64MicrosecondType>().values(),
                },
                Unit::of(*unit),
            ),
            DataType::Timestamp(unit, stored_zone) => {
                let values: &[i64] = match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => {
                        array.as_primitive::<TimestampMillisecondType>().values()
                    }
                    TimeUnit::Microsecond => {
                        array.as_primitive::<TimestampMicrosecondType>().values()
                    }
                    TimeUnit::Nanosecond => {
                        array.as_primitive::<TimestampNanosecondType>().values()
                    }
                };
                // The result's type decides; a nested value has none of its own.
                match type_oid == oid::TIMESTAMPTZ || (type_oid == 0 && stored_zone.is_some()) {
                    true => Values::TimestampTz(values, Unit::of(*unit)),
                    false => Values::Timestamp(values, Unit::of(*unit)),
                }
            }
            DataType::Interval(IntervalUnit::YearMonth) => {
                Values::Months(array.as_primitive::<IntervalYearMonthType>().values())
            }
            DataType::Interval(IntervalUnit::DayTime) => {
                Values::DayTime(array.as_primitive::<IntervalDayTimeType>().values())
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Values::MonthDayNano(array.as_primitive::<IntervalMonthDayNanoType>().values())
            }
            DataType::Duration(TimeUnit::Microsecond) => {
                Values::Micros(array.as_primitive::<DurationMicrosecondType>().values())
            }
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                Values::Dictionary {
                    keys: match dictionary.values().is_empty() {
                        true => vec![0; array.len()],
                        false => dictionary.normalized_keys(),
                    },
                    values: Box::new(Cell::new(
                        dictionary.values(),
                        type_oid,
                        least_scale,
                        form,
                        style,
                    )?),
                }
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                list_values(list.offsets(), list.values(), type_oid, child)?
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                list_values(list.offsets(), list.values(), type_oid, child)?
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let offsets: Vec<i32> = (0..=list.len() as i32).map(|row| row * size).collect();
                list_values(&offsets, list.values(), type_oid, child)?
            }
            DataType::Struct(_) => Values::Row(
                array
                    .as_struct()
                    .columns()
                    .iter()
                    .map(|field| child(field, 0))
                    .collect::<Result<_, _>>()?,
            ),
            DataType::Float16
            | DataType::Duration(_)
            | DataType::Map(_, _)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::RunEndEncoded(_, _)
            | DataType::Union(_, _) => {
                Values::Owned(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
            }
        };
        let nulls = match array.data_type() {
            // All its nulls are logical.
            DataType::Null => None,
            _ => array.nulls(),
        };
        let type_oid = if type_oid == 0 {
            natural_oid(array.data_type())
        } else {
            type_oid
        };
        let is_wordless = style.is_plain() && is_wordless(array.data_type());
        Ok(Self {
            nulls,
            values,
            type_oid,
            form,
            style,
            is_wordless,
        })
    }

    pub fn is_null(&self, row: usize) -> bool {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.values {
            Values::Null => true,
            Values::Dictionary { keys, values } => values.is_null(keys[row]),
            Values::Owned(values) => values.is_null(row),
            _ => false,
        }
    }

    /// Whether all texts of it are numbers, moments and the like, of the bytes of [`Self::is_wordless_byte`] only.
    pub fn is_wordless(&self) -> bool {
        self.is_wordless
    }

    pub fn is_wordless_byte(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b':' | b' ')
    }

    /// The value after its length; NULL is the length -1.
    fn put_sized(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return;
        }
        if self.form == Form::Binary && self.put_of_fixed_size(row, out) {
            return;
        }
        out.extend_from_slice(&[0; 4]);
        let start = out.len();
        match self.form {
            Form::Text => self.put_text(row, out),
            Form::Binary => self.put_binary(row, out),
        }
        let length = (out.len() - start) as u32;
        out[start - 4..start].copy_from_slice(&length.to_be_bytes());
    }

    /// The value in binary after its length, at one go, where all of the type are as long; false for the others.
    fn put_of_fixed_size(&self, row: usize, out: &mut Vec<u8>) -> bool {
        match (&self.values, self.type_oid) {
            (Values::Bool(values), _) => put_sized(out, [values.value(row).into()]),
            (Values::Int16(values), oid::INT2) => put_sized(out, values[row].to_be_bytes()),
            (Values::Int32(values), oid::INT4) => put_sized(out, values[row].to_be_bytes()),
            (Values::Int64(values), oid::INT8) => put_sized(out, values[row].to_be_bytes()),
            (Values::Float32(values), oid::FLOAT4) => put_sized(out, values[row].to_be_bytes()),
            (Values::Float64(values), oid::FLOAT8) => put_sized(out, values[row].to_be_bytes()),
            (Values::Date32(values), _) => put_sized(out, binary_date(values[row].into())),
            (Values::Timestamp(values, unit) | Values::TimestampTz(values, unit), _) => {
                put_sized(out, binary_timestamp(unit.micros(values[row])));
            }
            _ => return false,
        }
        true
    }

    /// The value, which is not null, in text form.
    pub fn put_text(&self, row: usize, out: &mut Vec<u8>) {
        if !self.style.is_plain() && self.put_styled(row, out) {
            return;
        }
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => text::push_bool(out, values.value(row)),
            Values::Int8(values) => text::push_int(out, values[row]),
            Values::Int16(values) => text::push_int(out, values[row]),
            Values::Int32(values) => text::push_int(out, values[row]),
            Values::Int64(values) => text::push_int(out, values[row]),
            Values::UInt8(values) => text::push_int(out, values[row]),
            Values::UInt16(values) => text::push_int(out, values[row]),
            Values::UInt32(values) => text::push_int(out, values[row]),
            Values::UInt64(values) => text::push_int(out, values[row]),
            Values::Float32(values) => text::push_float4(out, values[row]),
            Values::Float64(values) => text::push_float8(out, values[row]),
            Values::Decimal32(values, scale) => {
                text::push_decimal(out, values[row].into(), *scale, *scale);
            }
            Values::Decimal64(values, scale) => {
                text::push_decimal(out, values[row].into(), *scale, *scale);
            }
            Values::Decimal128 {
                values,
                scale,
                least,
            } => {
                text::push_decimal(out, values[row], *scale, *least);
            }
            Values::Decimal256 {
                values,
                scale,
                least,
            } => {
                let digits = values[row].to_string();
                let magnitude = digits.strip_prefix('-').unwrap_or(&digits);
                if magnitude.len() < digits.len() {
                    out.push(b'-');
                }
                text::push_digits(out, magnitude, *scale, *least);
            }
            Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::LargeText(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::TextView(values) => put_view(values, row, out),
            Values::Owned(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::Bytes(values) => text::push_bytea(out, values.value(row)),
            Values::LargeBytes(values) => text::push_bytea(out, values.value(row)),
            Values::BytesView(values) => text::push_bytea(out, values.value(row)),
            Values::FixedBytes(values) => text::push_bytea(out, values.value(row)),
            Values::Date32(values) => text::push_date(out, values[row].into()),
            Values::Date64(values) => {
                text::push_date(out, values[row].div_euclid(MICROS_PER_DAY / 1_000));
            }
            Values::Time32(values, unit) => text::push_time(out, unit.micros(values[row].into())),
            Values::Time64(values, unit) => text::push_time(out, unit.micros(values[row])),
            Values::Timestamp(values, unit) => text::push_timestamp(out, unit.micros(values[row])),
            Values::TimestampTz(values, unit) => {
                text::push_timestamptz(out, unit.micros(values[row]), self.style.zone);
            }
            Values::Months(_)
            | Values::DayTime(_)
            | Values::MonthDayNano(_)
            | Values::Micros(_) => {
                let (months, days, micros) = self.interval(row);
                text::push_interval(out, months, days, micros);
            }
            Values::Dictionary { keys, values } => values.put_text(keys[row], out),
            Values::List {
                offsets, element, ..
            } => {
                let (from, to) = offsets[row];
                out.push(b'{');
                for row in from..to {
                    if row > from {
                        out.push(b',');
                    }
                    if element.is_null(row) {
                        out.extend_from_slice(b"NULL");
                        continue;
                    }
                    let start = out.len();
                    element.put_text(row, out);
                    if !matches!(element.values, Values::List { .. }) {
                        text::quote_element(out, start);
                    }
                }
                out.push(b'}');
            }
            Values::Row(fields) => {
                out.push(b'(');
                for (n, field) in fields.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    if field.is_null(row) {
                        continue;
                    }
                    let start = out.len();
                    field.put_text(row, out);
                    text::quote_field(out, start);
                }
                out.push(b')');
            }
        }
    }

    /// The same, where the session has asked for other forms than the plain ones; false if the type has only one.
    fn put_styled(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let style = &self.style;
        match &self.values {
            Values::Float32(values) => style.push_float4(out, values[row]),
            Values::Float64(values) => style.push_float8(out, values[row]),
            Values::Bytes(values) => style.push_bytea(out, values.value(row)),
            Values::LargeBytes(values) => style.push_bytea(out, values.value(row)),
            Values::BytesView(values) => style.push_bytea(out, values.value(row)),
            Values::FixedBytes(values) => style.push_bytea(out, values.value(row)),
            Values::Date32(values) => style.push_date(out, values[row].into()),
            Values::Date64(values) => {
                style.push_date(out, values[row].div_euclid(MICROS_PER_DAY / 1_000));
            }
            Values::Timestamp(values, unit) => style.push_timestamp(out, unit.micros(values[row])),
            Values::TimestampTz(values, unit) => {
                style.push_timestamptz(out, unit.micros(values[row]));
            }
            Values::Months(_)
            | Values::DayTime(_)
            | Values::MonthDayNano(_)
            | Values::Micros(_) => {
                let (months, days, micros) = self.interval(row);
                style.push_interval(out, months, days, micros);
            }
            Values::Text(values) => return self.put_styled_text(values.value(row), out),
            Values::LargeText(values) => return self.put_styled_text(values.value(row), out),
            Values::TextView(values) => return self.put_styled_text(values.value(row), out),
            _ => return false,
        }
        true
    }

    /// An interval that the lake stores as text.
    fn put_styled_text(&self, value: &str, out: &mut Vec<u8>) -> bool {
        let interval = (self.type_oid == oid::INTERVAL).then(|| parse::interval(value));
        let Some((months, days, micros)) = interval.flatten() else {
            return false;
        };
        self.style.push_interval(out, months, days, micros);
        true
    }

    /// The value, which is not null, as the type's send function gives it.
    fn put_binary(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => out.push(values.value(row).into()),
            Values::Int8(values) => self.put_int(values[row].into(), out),
            Values::Int16(values) => self.put_int(values[row].into(), out),
            Values::Int32(values) => self.put_int(values[row].into(), out),
            Values::Int64(values) => self.put_int(values[row].into(), out),
            Values::UInt8(values) => self.put_int(values[row].into(), out),
            Values::UInt16(values) => self.put_int(values[row].into(), out),
            Values::UInt32(values) => self.put_int(values[row].into(), out),
            Values::UInt64(values) => self.put_int(values[row].into(), out),
            Values::Float32(values) => self.put_float(values[row].into(), out),
            Values::Float64(values) => self.put_float(values[row], out),
            Values::Decimal32(values, scale) => put_numeric(out, values[row].into(), *scale),
            Values::Decimal64(values, scale) => put_numeric(out, values[row].into(), *scale),
            Values::Decimal128 {
                values,
                scale,
                least,
            } if scale == least => {
                put_numeric(out, values[row], *scale);
            }
            Values::Decimal128 { .. } | Values::Decimal256 { .. } => {
                let start = out.len();
                self.put_text(row, out);
                let digits = out.split_off(start);
                put_numeric_text(out, std::str::from_utf8(&digits).expect("digits are ASCII"));
            }
            Values::Text(values) => self.put_text_in_binary(values.value(row), out),
            Values::LargeText(values) => self.put_text_in_binary(values.value(row), out),
            Values::TextView(values) if !self.is_other_in_binary() => put_view(values, row, out),
            Values::TextView(values) => self.put_text_in_binary(values.value(row), out),
            Values::Owned(values) => self.put_text_in_binary(values.value(row), out),
            Values::Bytes(values) => out.extend_from_slice(values.value(row)),
            Values::LargeBytes(values) => out.extend_from_slice(values.value(row)),
            Values::BytesView(values) => out.extend_from_slice(values.value(row)),
            Values::FixedBytes(values) => out.extend_from_slice(values.value(row)),
            Values::Date32(values) => out.extend_from_slice(&binary_date(values[row].into())),
            Values::Date64(values) => {
                let days = values[row].div_euclid(MICROS_PER_DAY / 1_000);
                out.extend_from_slice(&binary_date(days));
            }
            Values::Time32(values, unit) => {
                out.extend_from_slice(&unit.micros(values[row].into()).to_be_bytes());
            }
            Values::Time64(values, unit) => {
                out.extend_from_slice(&unit.micros(values[row]).to_be_bytes());
            }
            Values::Timestamp(values, unit) | Values::TimestampTz(values, unit) => {
                out.extend_from_slice(&binary_timestamp(unit.micros(values[row])));
            }
            Values::Months(_)
            | Values::DayTime(_)
            | Values::MonthDayNano(_)
            | Values::Micros(_) => {
                let (months, days, micros) = self.interval(row);
                put_interval(out, months, days, micros);
            }
            Values::Dictionary { keys, values } => values.put_binary(keys[row], out),
            Values::List { .. } => self.put_array(row, out),
            Values::Row(fields) => {
                out.extend_from_slice(&(fields.len() as u32).to_be_bytes());
                for field in fields {
                    out.extend_from_slice(&field.type_oid.to_be_bytes());
                    field.put_sized(row, out);
                }
            }
        }
    }

    /// An integer as wide as the result's type.
    fn put_int(&self, value: i128, out: &mut Vec<u8>) {
        match self.type_oid {
            oid::INT2 => out.extend_from_slice(&(value as i16).to_be_bytes()),
            oid::INT4 | oid::OID => out.extend_from_slice(&(value as i32).to_be_bytes()),
            oid::FLOAT4 | oid::FLOAT8 => self.put_float(value as f64, out),
            oid::NUMERIC => put_numeric(out, value, 0),
            CHAR_OID => out.push(value as u8),
            _ => out.extend_from_slice(&(value as i64).to_be_bytes()),
        }
    }

    fn put_float(&self, value: f64, out: &mut Vec<u8>) {
        match self.type_oid {
            oid::FLOAT4 => out.extend_from_slice(&(value as f32).to_be_bytes()),
            _ => out.extend_from_slice(&value.to_be_bytes()),
        }
    }

    /// Whether the lake stores the type as text, and its binary form is another one.
    fn is_other_in_binary(&self) -> bool {
        matches!(
            self.type_oid,
            oid::JSONB | oid::UUID | oid::TIME | oid::CHAR | oid::NUMERIC | oid::INTERVAL
        )
    }

    /// Types that the lake stores as text, and whose binary form is another one.
    fn put_text_in_binary(&self, value: &str, out: &mut Vec<u8>) {
        match self.type_oid {
            oid::JSONB => {
                out.push(1);
                out.extend_from_slice(value.as_bytes());
            }
            // Stored in canonical form, so that these can be read back; what can't be is shown as it is.
            oid::UUID => match parse::uuid(value) {
                Some(bytes) => out.extend_from_slice(&bytes),
                None => out.extend_from_slice(value.as_bytes()),
            },
            oid::TIME => match parse::time(value) {
                Some(micros) => out.extend_from_slice(&micros.to_be_bytes()),
                None => out.extend_from_slice(value.as_bytes()),
            },
            oid::CHAR => out.push(value.bytes().next().unwrap_or(0)),
            oid::NUMERIC => put_numeric_text(out, value),
            oid::INTERVAL => match parse::interval(value) {
                Some((months, days, micros)) => put_interval(out, months, days, micros),
                None => out.extend_from_slice(value.as_bytes()),
            },
            _ => out.extend_from_slice(value.as_bytes()),
        }
    }

    /// Months, days and microseconds of an interval.
    fn interval(&self, row: usize) -> (i32, i32, i64) {
        match &self.values {
            Values::Months(values) => (values[row], 0, 0),
            Values::DayTime(values) => (
                0,
                values[row].days,
                i64::from(values[row].milliseconds) * 1_000,
            ),
            Values::MonthDayNano(values) => {
                let value = values[row];
                (value.months, value.days, value.nanoseconds / 1_000)
            }
            Values::Micros(values) => (0, 0, values[row]),
            _ => unreachable!("called for intervals only"),
        }
    }

    fn put_array(&self, row: usize, out: &mut Vec<u8>) {
        let mut sizes = Vec::new();
        let innermost = self.dimensions(row, &mut sizes);
        if sizes.contains(&0) {
            sizes.clear();
        }
        let mut elements = Vec::new();
        let mut has_null = false;
        if !sizes.is_empty() {
            self.put_elements(row, &mut elements, &mut has_null);
        }
        out.extend_from_slice(&(sizes.len() as u32).to_be_bytes());
        out.extend_from_slice(&u32::from(has_null).to_be_bytes());
        out.extend_from_slice(&innermost.to_be_bytes());
        for size in sizes {
            out.extend_from_slice(&(size as u32).to_be_bytes());
            out.extend_from_slice(&1u32.to_be_bytes());
        }
        out.extend_from_slice(&elements);
    }

    /// The lengths of the nested lists, outermost first, and the type of the innermost elements.
    fn dimensions(&self, row: usize, sizes: &mut Vec<usize>) -> u32 {
        let Values::List {
            offsets,
            element,
            element_oid,
        } = &self.values
        else {
            return self.type_oid;
        };
        let (from, to) = offsets[row];
        sizes.push(to - from);
        match element.values {
            Values::List { .. } if from < to => element.dimensions(from, sizes),
            _ => *element_oid,
        }
    }

    fn put_elements(&self, row: usize, out: &mut Vec<u8>, has_null: &mut bool) {
        let Values::List {
            offsets, element, ..
        } = &self.values
        else {
            return;
        };
        let (from, to) = offsets[row];
        for row in from..to {
            match element.values {
                Values::List { .. } => element.put_elements(row, out, has_null),
                _ => {
                    *has_null |= element.is_null(row);
                    element.put_sized(row, out);
                }
            }
        }
    }
}

const CHAR_OID: u32 = types::CHAR;

fn list_values<'a, O: ArrowNativeType>(
    offsets: &[O],
    elements: &'a ArrayRef,
    type_oid: u32,
    child: impl Fn(&'a ArrayRef, u32) -> Result<Cell<'a>, ArrowError>,
) -> Result<Values<'a>, ArrowError> {
    let is_nested = matches!(
        elements.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _)
    );
    let element_oid =
        types::element_of(type_oid).unwrap_or_else(|| natural_oid(innermost(elements.data_type())));
    // An array of arrays has the same type as an array.
    let element = child(elements, if is_nested { type_oid } else { element_oid })?;
    let offsets = offsets
        .windows(2)
        .map(|pair| (pair[0].as_usize(), pair[1].as_usize()))
        .collect();
    Ok(Values::List {
        offsets,
        element: Box::new(element),
        element_oid,
    })
}

fn is_wordless(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean
}

fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            innermost(field.data_type())
        }
        other => other,
    }
}

/// The type of a nested value, of which the result's description does not speak.
fn natural_oid(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => oid::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => oid::INT2,
        DataType::Int32 | DataType::UInt16 => oid::INT4,
        DataType::Int64 | DataType::UInt32 => oid::INT8,
        DataType::UInt64 => oid::NUMERIC,
        DataType::Float32 => oid::FLOAT4,
        DataType::Float64 => oid::FLOAT8,
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => oid::NUMERIC,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => oid::BYTEA,
        DataType::Date32 | DataType::Date64 => oid::DATE,
        DataType::Time32(_) | DataType::Time64(_) => oid::TIME,
        DataType::Timestamp(_, Some(_)) => oid::TIMESTAMPTZ,
        DataType::Timestamp(_, None) => oid::TIMESTAMP,
        DataType::Interval(_) | DataType::Duration(TimeUnit::Microsecond) => oid::INTERVAL,
        DataType::Dictionary(_, values) => natural_oid(values),
        DataType::Struct(_) => oid::RECORD,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
            types::array_of(natural_oid(innermost(data_type))).unwrap_or(oid::TEXT)
        }
        _ => oid::TEXT,
    }
}

/// The value after its length.
fn put_sized<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    let mut sized = [0; 12];
    sized[..4].copy_from_slice(&(N as u32).to_be_bytes());
    sized[4..4 + N].copy_from_slice(&value);
    out.extend_from_slice(&sized[..4 + N]);
}

/// A short text lies in the view itself, behind its length.
fn put_view(values: &StringViewArray, row: usize, out: &mut Vec<u8>) {
    let view = values.views()[row];
    let length = view as u32;
    match length <= MAX_INLINE_VIEW_LEN {
        true => text::push_first(out, &(view >> 32).to_le_bytes(), length as usize),
        false => out.extend_from_slice(values.value(row).as_bytes()),
    }
}

fn binary_date(days: i64) -> [u8; 4] {
    let days = match i32::try_from(days) {
        Ok(days @ (i32::MAX | i32::MIN)) => days,
        _ => (days - EPOCH_DAYS) as i32,
    };
    days.to_be_bytes()
}

fn binary_timestamp(micros: i64) -> [u8; 8] {
    let micros = match micros {
        i64::MAX | i64::MIN => micros,
        _ => micros.saturating_sub(EPOCH_MICROS),
    };
    micros.to_be_bytes()
}

fn put_interval(out: &mut Vec<u8>, months: i32, days: i32, micros: i64) {
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(&days.to_be_bytes());
    out.extend_from_slice(&months.to_be_bytes());
}

/// `value` × 10^-`scale` in digits to base 10,000.
fn put_numeric(out: &mut Vec<u8>, value: i128, scale: i8) {
    const POWERS: [u64; 17] = {
        let mut powers = [1; 17];
        let mut n = 1;
        while n < 17 {
            powers[n] = powers[n - 1] * 10;
            n += 1;
        }
        powers
    };
    // Nearly all numbers: the whole part and the fraction each fit into a machine word.
    let small = u64::try_from(value.unsigned_abs())
        .ok()
        .zip(usize::try_from(scale).ok());
    if let Some((magnitude, scale)) = small.filter(|(_, scale)| *scale <= 16) {
        let mut digits = [0u16; 16];
        let mut first = 8;
        let mut whole = magnitude / POWERS[scale];
        while whole > 0 {
            first -= 1;
            digits[first] = (whole % 10_000) as u16;
            whole /= 10_000;
        }
        let groups = scale.div_ceil(4);
        // Sixteen digits at most, which fit into a machine word too.
        let mut fraction = magnitude % POWERS[scale] * POWERS[groups * 4 - scale];
        for n in (0..groups).rev() {
            digits[8 + n] = (fraction % 10_000) as u16;
            fraction /= 10_000;
        }
        put_digits(
            out,
            &digits[first..8 + groups],
            7 - first as i32,
            value < 0,
            scale as u16,
        );
        return;
    }
    let mut digits = Vec::with_capacity(48);
    text::push_decimal(&mut digits, value, scale, scale);
    put_numeric_text(out, std::str::from_utf8(&digits).expect("digits are ASCII"));
}

/// A plain decimal number as text.
fn put_numeric_text(out: &mut Vec<u8>, number: &str) {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let group = |digits: &[u8]| {
        digits
            .iter()
            .fold(0u16, |value, digit| value * 10 + u16::from(digit - b'0'))
    };
    let mut digits = Vec::new();
    let head = whole.len() % 4;
    if head > 0 {
        digits.push(group(&whole.as_bytes()[..head]));
    }
    digits.extend(whole.as_bytes()[head..].chunks(4).map(group));
    let weight = digits.len() as i32 - 1;
    for chunk in fraction.as_bytes().chunks(4) {
        let mut padded = [b'0'; 4];
        padded[..chunk.len()].copy_from_slice(chunk);
        digits.push(group(&padded));
    }
    put_digits(out, &digits, weight, negative, fraction.len() as u16);
}

fn put_digits(out: &mut Vec<u8>, digits: &[u16], weight: i32, negative: bool, scale: u16) {
    /// Four of them are a machine word, and nearly all numbers are as short.
    const SHORT: usize = 4;
    let leading = digits.iter().take_while(|&&digit| digit == 0).count();
    let trailing = digits[leading..]
        .iter()
        .rev()
        .take_while(|&&digit| digit == 0)
        .count();
    let digits = &digits[leading..digits.len() - trailing];
    let weight = if digits.is_empty() {
        0
    } else {
        weight - leading as i32
    };
    let sign: u16 = if negative && !digits.is_empty() {
        0x4000
    } else {
        0
    };
    let header = [digits.len() as u16, weight as u16, sign, scale];
    if digits.len() > SHORT {
        for part in header.iter().chain(digits) {
            out.extend_from_slice(&part.to_be_bytes());
        }
        return;
    }
    let mut text = [0; 8 + 2 * SHORT];
    let places = text.chunks_exact_mut(2);
    for (place, part) in places.zip(header.iter().chain(digits)) {
        place.copy_from_slice(&part.to_be_bytes());
    }
    text::push_first(out, &text, 8 + 2 * digits.len());
}
