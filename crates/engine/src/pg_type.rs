//! PostgreSQL's types: as `format_type` prints them, as the lake stores them, as the protocol numbers them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use rapport_udf_postgres::numeric::{Digits, Shown};

use crate::{Error, Result, oid};

/// A type with its modifier, as a column has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PgType {
    pub oid: u32,
    /// -1 without one.
    pub typmod: i32,
    pub kind: Kind,
}

/// What values of the type may be, beyond what their storage says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Precision and scale; `None` is unconstrained.
    Numeric(Option<(u8, i8)>),
    Text,
    Name,
    /// The number of an object in the catalogue.
    Oid,
    /// `"char"`, one byte.
    InternalChar,
    /// At most so many characters.
    Varchar(Option<usize>),
    /// Exactly so many characters, padded with spaces; `None`, `bpchar`, is what is computed of one.
    Char(Option<usize>),
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Json,
    Jsonb,
    /// Made by a query, of no table.
    Record,
    Array(Box<PgType>),
}

/// In the modifier of an interval: it has years as well as seconds.
const ALL_FIELDS: i32 = 0x7fff << 16;

/// What a numeric without precision is stored as.
const UNCONSTRAINED: (u8, i8) = (38, 10);

/// What one is stored as that a query made with more digits after the point, a quotient above all.
pub(crate) const UNCONSTRAINED_FINE: DataType = DataType::Decimal128(38, 20);

/// Whether values of this type are numbers whose digits after the point differ from one to the other.
pub(crate) fn is_unconstrained(data_type: &DataType) -> bool {
    data_type.is_decimal()
        && Digits::of(data_type).is_some_and(|digits| digits.shown != Shown::Scale)
}

impl PgType {
    /// Reads what `format_type` prints.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(element) = text.strip_suffix("[]") {
            let element = Self::parse(element)?;
            let oid = array_oid(element.oid);
            return Ok(Self {
                oid,
                typmod: element.typmod,
                kind: Kind::Array(Box::new(element)),
            });
        }
        let (word, modifier) = split_modifier(text);
        let no_such = || {
            Error::not_supported(
                format!("type {text} can't be stored in the lake"),
                "Use one of bool, int2, int4, int8, float4, float8, numeric, text, varchar, char, bytea, date, time, \
             timestamp, timestamptz, interval, uuid, json, jsonb, or an array of them.",
            )
        };
        let number = |text: &str| text.trim().parse::<i32>().map_err(|_| no_such());
        // Of the seconds.
        let digits = || match modifier {
            Some(modifier) => number(modifier),
            None => Ok(-1),
        };
        let (oid, typmod, kind) = match word.as_str() {
            "boolean" | "bool" => (oid::BOOL, -1, Kind::Bool),
            "smallint" | "int2" => (oid::INT2, -1, Kind::Int2),
            "integer" | "int4" | "int" => (oid::INT4, -1, Kind::Int4),
            "bigint" | "int8" => (oid::INT8, -1, Kind::Int8),
            "real" | "float4" => (oid::FLOAT4, -1, Kind::Float4),
            "double precision" | "float8" => (oid::FLOAT8, -1, Kind::Float8),
            "numeric" | "decimal" => match modifier {
                None => (oid::NUMERIC, -1, Kind::Numeric(None)),
                Some(modifier) => {
                    let (precision, scale) = modifier.split_once(',').unwrap_or((modifier, "0"));
                    let (precision, scale) = (number(precision)?, number(scale)?);
                    if !(1..=38).contains(&precision) || !(0..=precision).contains(&scale) {
                        return Err(Error::not_supported(
                            format!("type {text} can't be stored in the lake"),
                            "A numeric has 1 to 38 digits, and no more of them after the point than in all.",
                        ));
                    }
                    let kind = Kind::Numeric(Some((
                        u8::try_from(precision).expect("checked above"),
                        i8::try_from(scale).expect("checked above"),
                    )));
                    (oid::NUMERIC, numeric_typmod(precision, scale), kind)
                }
            },
            "text" => (oid::TEXT, -1, Kind::Text),
            "name" => (oid::NAME, -1, Kind::Name),
            "oid" => (oid::OID, -1, Kind::Oid),
            "\"char\"" => (oid::CHAR, -1, Kind::InternalChar),
            "character varying" | "varchar" => match modifier {
                None => (oid::VARCHAR, -1, Kind::Varchar(None)),
                Some(modifier) => {
                    let length = number(modifier)?;
                    let most = usize::try_from(length).map_err(|_| no_such())?;
                    (oid::VARCHAR, length + 4, Kind::Varchar(Some(most)))
                }
            },
            "bpchar" if modifier.is_none() => (oid::BPCHAR, -1, Kind::Char(None)),
            "character" | "char" | "bpchar" => {
                let length = number(modifier.unwrap_or("1"))?;
                let exactly = usize::try_from(length).map_err(|_| no_such())?;
                (oid::BPCHAR, length + 4, Kind::Char(Some(exactly)))
            }
            "bytea" => (oid::BYTEA, -1, Kind::Bytea),
            "date" => (oid::DATE, -1, Kind::Date),
            "time without time zone" | "time" => (oid::TIME, digits()?, Kind::Time),
            "timestamp without time zone" | "timestamp" => {
                (oid::TIMESTAMP, digits()?, Kind::Timestamp)
            }
            "timestamp with time zone" | "timestamptz" => {
                (oid::TIMESTAMPTZ, digits()?, Kind::Timestamptz)
            }
            "interval" => {
                let digits = digits()?;
                let typmod = if digits < 0 { -1 } else { ALL_FIELDS | digits };
                (oid::INTERVAL, typmod, Kind::Interval)
            }
            "uuid" => (oid::UUID, -1, Kind::Uuid),
            "json" => (oid::JSON, -1, Kind::Json),
            "jsonb" => (oid::JSONB, -1, Kind::Jsonb),
            _ => return Err(no_such()),
        };
        Ok(Self { oid, typmod, kind })
    }

    /// As `format_type` prints it.
    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Bool => "boolean".to_owned(),
            Kind::Int2 => "smallint".to_owned(),
            Kind::Int4 => "integer".to_owned(),
            Kind::Int8 => "bigint".to_owned(),
            Kind::Float4 => "real".to_owned(),
            Kind::Float8 => "double precision".to_owned(),
            Kind::Numeric(None) => "numeric".to_owned(),
            Kind::Numeric(Some((precision, scale))) => format!("numeric({precision},{scale})"),
            Kind::Text => "text".to_owned(),
            Kind::Name => "name".to_owned(),
            Kind::Oid => "oid".to_owned(),
            Kind::InternalChar => "\"char\"".to_owned(),
            Kind::Varchar(None) => "character varying".to_owned(),
            Kind::Varchar(Some(most)) => format!("character varying({most})"),
            Kind::Char(None) => "bpchar".to_owned(),
            Kind::Char(Some(exactly)) => format!("character({exactly})"),
            Kind::Bytea => "bytea".to_owned(),
            Kind::Date => "date".to_owned(),
            Kind::Time => format!("time{} without time zone", self.modifier()),
            Kind::Timestamp => format!("timestamp{} without time zone", self.modifier()),
            Kind::Timestamptz => format!("timestamp{} with time zone", self.modifier()),
            Kind::Interval => format!("interval{}", self.modifier()),
            Kind::Uuid => "uuid".to_owned(),
            Kind::Json => "json".to_owned(),
            Kind::Jsonb => "jsonb".to_owned(),
            Kind::Record => "record".to_owned(),
            Kind::Array(element) => format!("{}[]", element.name()),
        }
    }

    /// How many digits the seconds of its values have after the point, if there are fewer than six.
    pub(crate) fn digits(&self) -> Option<u32> {
        self.declared_digits().filter(|digits| *digits < 6)
    }

    fn declared_digits(&self) -> Option<u32> {
        let digits = match self.kind {
            Kind::Time | Kind::Timestamp | Kind::Timestamptz => self.typmod,
            Kind::Interval if self.typmod >= 0 => self.typmod & 0xffff,
            _ => return None,
        };
        u32::try_from(digits).ok()
    }

    fn modifier(&self) -> String {
        match self.declared_digits() {
            Some(digits) if digits <= 6 => format!("({digits})"),
            _ => String::new(),
        }
    }

    /// As [`Self::name`], without a modifier.
    pub(crate) fn name_alone(&self) -> String {
        split_modifier(&self.name()).0
    }

    /// How the lake keeps it.
    pub(crate) fn storage(&self) -> DataType {
        match &self.kind {
            Kind::Bool => DataType::Boolean,
            Kind::Int2 => DataType::Int16,
            Kind::Int4 => DataType::Int32,
            Kind::Int8 | Kind::Oid => DataType::Int64,
            Kind::Float4 => DataType::Float32,
            Kind::Float8 => DataType::Float64,
            Kind::Numeric(digits) => {
                let (precision, scale) = digits.unwrap_or(UNCONSTRAINED);
                DataType::Decimal128(precision, scale)
            }
            Kind::Bytea => DataType::Binary,
            Kind::Date => DataType::Date32,
            Kind::Timestamp | Kind::Timestamptz => utc(),
            Kind::Text
            | Kind::Name
            | Kind::InternalChar
            | Kind::Varchar(_)
            | Kind::Char(_)
            | Kind::Time
            | Kind::Interval
            | Kind::Uuid
            | Kind::Json
            | Kind::Jsonb
            | Kind::Record => DataType::Utf8,
            Kind::Array(element) => {
                DataType::List(Arc::new(Field::new("element", element.storage(), true)))
            }
        }
    }

    /// What a result column of this Arrow type is to a client that knows nothing else of it.
    pub(crate) fn of_arrow(data_type: &DataType) -> Self {
        let plain = |oid, kind| Self {
            oid,
            typmod: -1,
            kind,
        };
        match data_type {
            DataType::Boolean => plain(oid::BOOL, Kind::Bool),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => plain(oid::INT2, Kind::Int2),
            DataType::Int32 | DataType::UInt16 => plain(oid::INT4, Kind::Int4),
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => plain(oid::INT8, Kind::Int8),
            DataType::Float16 | DataType::Float32 => plain(oid::FLOAT4, Kind::Float4),
            DataType::Float64 => plain(oid::FLOAT8, Kind::Float8),
            DataType::Decimal256(..) => plain(oid::NUMERIC, Kind::Numeric(None)),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                // What is computed has no modifier in PostgreSQL. A table that keeps it has to, if it is large.
                let whole = i16::from(*precision) - i16::from(*scale);
                let fits = *scale <= UNCONSTRAINED.1
                    && whole <= i16::from(UNCONSTRAINED.0) - i16::from(UNCONSTRAINED.1);
                let digits =
                    (!fits && !is_unconstrained(data_type)).then_some((*precision, *scale));
                plain(oid::NUMERIC, Kind::Numeric(digits))
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => plain(oid::BYTEA, Kind::Bytea),
            DataType::Date32 | DataType::Date64 => plain(oid::DATE, Kind::Date),
            DataType::Time32(_) | DataType::Time64(_) => plain(oid::TIME, Kind::Time),
            DataType::Timestamp(_, None) => plain(oid::TIMESTAMP, Kind::Timestamp),
            DataType::Timestamp(_, Some(_)) => plain(oid::TIMESTAMPTZ, Kind::Timestamptz),
            DataType::Interval(_) | DataType::Duration(_) => plain(oid::INTERVAL, Kind::Interval),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::ListView(element)
            | DataType::FixedSizeList(element, _) => {
                // An array of arrays is of the type of one.
                let mut element = element.data_type();
                while let DataType::List(inner) = element {
                    element = inner.data_type();
                }
                let element = Self::of_arrow(element);
                plain(array_oid(element.oid), Kind::Array(Box::new(element)))
            }
            DataType::Dictionary(_, value) => Self::of_arrow(value),
            DataType::Struct(_) => plain(oid::RECORD, Kind::Record),
            _ => plain(oid::TEXT, Kind::Text),
        }
    }

    pub(crate) fn text() -> Self {
        Self {
            oid: oid::TEXT,
            typmod: -1,
            kind: Kind::Text,
        }
    }

    /// The type with this number, if values of it can be held.
    pub(crate) fn of_oid(oid: u32, typmod: i32) -> Option<Self> {
        let length = || usize::try_from(typmod - 4).ok();
        let kind = match oid {
            oid::BOOL => Kind::Bool,
            oid::INT2 => Kind::Int2,
            oid::INT4 => Kind::Int4,
            oid::INT8 => Kind::Int8,
            oid::FLOAT4 => Kind::Float4,
            oid::FLOAT8 => Kind::Float8,
            oid::NUMERIC => Kind::Numeric(numeric_digits(typmod)),
            oid::TEXT => Kind::Text,
            oid::NAME => Kind::Name,
            oid::OID => Kind::Oid,
            oid::CHAR => Kind::InternalChar,
            oid::VARCHAR => Kind::Varchar(length()),
            oid::BPCHAR => Kind::Char(length()),
            oid::BYTEA => Kind::Bytea,
            oid::DATE => Kind::Date,
            oid::TIME => Kind::Time,
            oid::TIMESTAMP => Kind::Timestamp,
            oid::TIMESTAMPTZ => Kind::Timestamptz,
            oid::INTERVAL => Kind::Interval,
            oid::UUID => Kind::Uuid,
            oid::JSON => Kind::Json,
            oid::JSONB => Kind::Jsonb,
            _ => {
                let element = ELEMENTS
                    .iter()
                    .find(|element| array_oid(**element) == oid)?;
                Kind::Array(Box::new(Self::of_oid(*element, typmod)?))
            }
        };
        Some(Self { oid, typmod, kind })
    }

    /// The Arrow type that a parameter of this type is planned with.
    pub(crate) fn of_parameter(oid: u32) -> Option<DataType> {
        Some(match oid {
            oid::BOOL => DataType::Boolean,
            oid::INT2 => DataType::Int16,
            oid::INT4 => DataType::Int32,
            oid::INT8 | oid::OID => DataType::Int64,
            oid::FLOAT4 => DataType::Float32,
            oid::FLOAT8 => DataType::Float64,
            oid::NUMERIC => DataType::Decimal128(UNCONSTRAINED.0, UNCONSTRAINED.1),
            oid::DATE => DataType::Date32,
            oid::TIME => DataType::Time64(TimeUnit::Microsecond),
            oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
            oid::TIMESTAMPTZ => utc(),
            oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
            oid::BYTEA => DataType::Binary,
            oid::TEXT
            | oid::CHAR
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::NAME
            | oid::UUID
            | oid::JSON
            | oid::JSONB => DataType::Utf8View,
            other => {
                let element = ELEMENTS
                    .iter()
                    .find(|element| array_oid(**element) == other)?;
                let element = Self::of_parameter(*element)?;
                DataType::List(Arc::new(Field::new_list_field(element, true)))
            }
        })
    }
}

pub(crate) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn numeric_typmod(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

fn numeric_digits(typmod: i32) -> Option<(u8, i8)> {
    let digits = typmod.checked_sub(4).filter(|digits| *digits >= 0)?;
    let precision = u8::try_from(digits >> 16)
        .ok()
        .filter(|precision| *precision <= 38)?;
    Some((precision, i8::try_from(digits & 0x7ff).ok()?))
}

/// `numeric(18,2)` is `numeric` and `18,2`; `timestamp(3) with time zone` is `timestamp with time zone` and `3`.
fn split_modifier(text: &str) -> (String, Option<&str>) {
    let parts = text.split_once('(').and_then(|(before, rest)| {
        let (modifier, after) = rest.split_once(')')?;
        Some((format!("{before}{after}"), modifier))
    });
    match parts {
        Some((word, modifier)) => (word, Some(modifier)),
        None => (text.to_owned(), None),
    }
}

/// Types of which there are arrays.
const ELEMENTS: [u32; 21] = [
    oid::BOOL,
    oid::BYTEA,
    oid::CHAR,
    oid::NAME,
    oid::OID,
    oid::INT2,
    oid::INT4,
    oid::TEXT,
    oid::BPCHAR,
    oid::VARCHAR,
    oid::INT8,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::TIMESTAMP,
    oid::DATE,
    oid::TIME,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::NUMERIC,
    oid::UUID,
    oid::JSONB,
];

pub(crate) fn array_oid(element: u32) -> u32 {
    match element {
        oid::BOOL => 1000,
        oid::BYTEA => 1001,
        oid::CHAR => 1002,
        oid::NAME => 1003,
        oid::OID => 1028,
        oid::INT2 => 1005,
        oid::INT4 => 1007,
        oid::BPCHAR => 1014,
        oid::VARCHAR => 1015,
        oid::INT8 => 1016,
        oid::FLOAT4 => 1021,
        oid::FLOAT8 => 1022,
        oid::TIMESTAMP => 1115,
        oid::DATE => 1182,
        oid::TIME => 1183,
        oid::TIMESTAMPTZ => 1185,
        oid::INTERVAL => 1187,
        oid::NUMERIC => 1231,
        oid::UUID => 2951,
        oid::JSON => 199,
        oid::JSONB => 3807,
        oid::RECORD => 2287,
        _ => 1009,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, oid: u32, typmod: i32, storage: DataType) {
        let pg_type = PgType::parse(text).expect("a known type");
        assert_eq!(
            (pg_type.oid, pg_type.typmod, pg_type.storage()),
            (oid, typmod, storage),
            "{text}"
        );
    }

    #[test]
    fn types_are_read_as_postgres_prints_them() {
        check("bigint", 20, -1, DataType::Int64);
        check(
            "numeric(18,2)",
            1700,
            1_179_654,
            DataType::Decimal128(18, 2),
        );
        check("numeric", 1700, -1, DataType::Decimal128(38, 10));
        check("character varying(20)", 1043, 24, DataType::Utf8);
        check("character(3)", 1042, 7, DataType::Utf8);
        check("timestamp(3) without time zone", 1114, 3, utc());
        check("timestamp with time zone", 1184, -1, utc());
        check("uuid", 2950, -1, DataType::Utf8);
    }

    #[test]
    fn an_array_is_a_list_of_its_element() {
        let list = DataType::List(Arc::new(Field::new("element", DataType::Int64, true)));
        check("bigint[]", 1016, -1, list);
    }

    #[test]
    fn what_the_lake_can_not_store_is_refused() {
        for text in [
            "money",
            "point",
            "numeric(50,2)",
            "numeric(5,7)",
            "int4range",
        ] {
            assert!(
                matches!(PgType::parse(text), Err(Error::NotSupported { .. })),
                "{text}"
            );
        }
    }
}
