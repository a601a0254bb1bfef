//! Values of any type as PostgreSQL prints them.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType,
        IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    },
};
use datafusion_common::Result;

use crate::{
    numeric,
    refusal::not_supported,
    text::{self, Zone},
};

/// One array, ready to be printed value by value.
pub struct Output<'a> {
    array: std::borrow::Cow<'a, ArrayRef>,
    kind: Printed,
    zone: Zone,
}

enum Printed {
    Null,
    Bool,
    Int,
    Float4,
    Float8,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    List(Box<Output<'static>>),
    Row(Vec<Output<'static>>),
}

impl<'a> Output<'a> {
    pub fn new(array: &'a ArrayRef, zone: Zone) -> Result<Self> {
        use DataType as D;
        let micros = |zoned: bool| D::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()));
        let (kind, wanted) = match array.data_type() {
            D::Null => (Printed::Null, None),
            D::Boolean => (Printed::Bool, None),
            other if other.is_integer() => (Printed::Int, Some(D::Int64)),
            D::Float16 | D::Float32 => (Printed::Float4, Some(D::Float32)),
            D::Float64 => (Printed::Float8, None),
            other if other.is_decimal() => {
                return Self::of_owned(numeric::cast::to_text(array)?, zone);
            }
            D::Utf8 | D::LargeUtf8 | D::Utf8View => (Printed::Text, Some(D::Utf8View)),
            D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => {
                (Printed::Bytea, Some(D::Binary))
            }
            D::Date32 | D::Date64 => (Printed::Date, Some(D::Date32)),
            D::Time32(_) | D::Time64(_) => (Printed::Time, Some(D::Time64(TimeUnit::Microsecond))),
            D::Timestamp(_, None) => (Printed::Timestamp, Some(micros(false))),
            D::Timestamp(_, Some(_)) => (Printed::Timestamptz, Some(micros(true))),
            D::Interval(_) | D::Duration(_) => (
                Printed::Interval,
                Some(D::Interval(IntervalUnit::MonthDayNano)),
            ),
            D::List(_) => {
                let values = array.as_list::<i32>().values().clone();
                (
                    Printed::List(Box::new(Output::of_owned(values, zone)?)),
                    None,
                )
            }
            D::Struct(_) => {
                let fields = array.as_struct().columns().iter();
                let fields = fields.map(|field| Output::of_owned(field.clone(), zone));
                (Printed::Row(fields.collect::<Result<_>>()?), None)
            }
            D::LargeList(element) | D::FixedSizeList(element, _) => {
                return Self::of_owned(cast(array, &D::List(element.clone()))?, zone);
            }
            D::Dictionary(_, value) => return Self::of_owned(cast(array, value)?, zone),
            other => {
                return Err(not_supported(
                    format!("the text of {other} is not known"),
                    "Cast its parts.",
                ));
            }
        };
        let array = match wanted {
            Some(wanted) if &wanted != array.data_type() => {
                std::borrow::Cow::Owned(cast(array, &wanted)?)
            }
            _ => std::borrow::Cow::Borrowed(array),
        };
        Ok(Self { array, kind, zone })
    }

    fn of_owned(array: ArrayRef, zone: Zone) -> Result<Output<'static>> {
        let borrowed = Output::new(&array, zone)?;
        let kind = borrowed.kind;
        let array = borrowed.array.into_owned();
        Ok(Output {
            array: std::borrow::Cow::Owned(array),
            kind,
            zone,
        })
    }

    pub fn is_null(&self, at: usize) -> bool {
        matches!(self.kind, Printed::Null) || self.array.is_null(at)
    }

    /// Appends a value that is not NULL.
    pub fn push(&self, at: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Printed::Null => {}
            Printed::Bool => text::push_bool(out, self.array.as_boolean().value(at)),
            Printed::Int => text::push_int(out, self.array.as_primitive::<Int64Type>().value(at)),
            Printed::Float4 => {
                text::push_float4(out, self.array.as_primitive::<Float32Type>().value(at));
            }
            Printed::Float8 => {
                text::push_float8(out, self.array.as_primitive::<Float64Type>().value(at));
            }
            Printed::Text => {
                out.extend_from_slice(self.array.as_string_view().value(at).as_bytes());
            }
            Printed::Bytea => text::push_bytea(out, self.array.as_binary::<i32>().value(at)),
            Printed::Date => text::push_date(
                out,
                self.array.as_primitive::<Date32Type>().value(at).into(),
            ),
            Printed::Time => text::push_time(
                out,
                self.array.as_primitive::<Time64MicrosecondType>().value(at),
            ),
            Printed::Timestamp => text::push_timestamp(out, self.micros(at)),
            Printed::Timestamptz => text::push_timestamptz(out, self.micros(at), self.zone),
            Printed::Interval => {
                let value = self
                    .array
                    .as_primitive::<IntervalMonthDayNanoType>()
                    .value(at);
                text::push_interval(out, value.months, value.days, value.nanoseconds / 1_000);
            }
            Printed::Row(fields) => {
                out.push(b'(');
                for (n, field) in fields.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    if !field.is_null(at) {
                        let start = out.len();
                        field.push(at, out);
                        text::quote_field(out, start);
                    }
                }
                out.push(b')');
            }
            Printed::List(elements) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                let (from, to) = (
                    usize::try_from(offsets[at]).unwrap_or(0),
                    usize::try_from(offsets[at + 1]).unwrap_or(0),
                );
                out.push(b'{');
                for item in from..to {
                    if item > from {
                        out.push(b',');
                    }
                    if elements.is_null(item) {
                        out.extend_from_slice(b"NULL");
                        continue;
                    }
                    let start = out.len();
                    elements.push(item, out);
                    if !matches!(elements.kind, Printed::List(_)) {
                        text::quote_element(out, start);
                    }
                }
                out.push(b'}');
            }
        }
    }

    fn micros(&self, at: usize) -> i64 {
        self.array
            .as_primitive::<TimestampMicrosecondType>()
            .value(at)
    }

    /// As [`Self::push`], to a text.
    pub fn write(&self, at: usize, out: &mut String) {
        let mut bytes = std::mem::take(out).into_bytes();
        self.push(at, &mut bytes);
        // Every writer of `text` writes ASCII, and texts are texts.
        *out = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    }
}
