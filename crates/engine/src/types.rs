//! Types that PostgreSQL has and DataFusion's SQL does not know: casts to them, in text form.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::{
    common::Result,
    logical_expr::planner::TypePlanner,
    sql::sqlparser::ast::{self, ArrayElemTypeDef, TimezoneInfo},
};

use rapport_lake::PG_TYPE;
use rapport_udf_postgres::numeric::ANY_SCALE;

use crate::{
    Error,
    pg_type::{is_unconstrained, utc},
    typed::field_of,
};

/// 22023
fn bits_of_float(range: &str) -> Error {
    Error::InvalidParameter {
        message: format!("precision for type float must be {range}"),
        hint: None,
    }
}

/// `pg_catalog.int4` is `int4`.
fn unqualified(name: &str) -> &str {
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}

#[derive(Debug)]
pub(crate) struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        if let Some(field) = text_field(sql_type) {
            return Ok(Some(field));
        }
        if let ast::DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = sql_type
            && let Some(element) = text_field(element)
        {
            // As in the tables: the array says what it is of, and its items do not.
            let item = Field::new_list_field(element.data_type().clone(), true);
            let list = DataType::List(Arc::new(item));
            return Ok(Some(match element.metadata().get(PG_TYPE) {
                Some(name) => field_of(list, &format!("{name}[]")),
                None => Arc::new(Field::new("", list, true)),
            }));
        }
        if let Some(field) = numeric_field(sql_type) {
            return Ok(Some(field));
        }
        if let ast::DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = sql_type
            && let Some(element) = numeric_field(element)
        {
            // As in the tables: with other items than theirs, it could not be put together with them.
            let item = Field::new_list_field(element.data_type().clone(), true);
            let list = DataType::List(Arc::new(item));
            return Ok(Some(Arc::new(Field::new("", list, true))));
        }
        let data_type = match sql_type {
            // PostgreSQL counts microseconds, and so does the lake.
            ast::DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            ast::DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => utc(),
            ast::DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                DataType::Time64(TimeUnit::Microsecond)
            }
            ast::DataType::Time(..) => return Err(no_timetz().into()),
            ast::DataType::TimestampNtz(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            ast::DataType::Numeric(ast::ExactNumberInfo::None)
            | ast::DataType::Decimal(ast::ExactNumberInfo::None)
            | ast::DataType::Dec(ast::ExactNumberInfo::None) => ANY_SCALE,
            ast::DataType::Float(ast::ExactNumberInfo::None) => DataType::Float64,
            ast::DataType::Float(ast::ExactNumberInfo::Precision(bits)) => match bits {
                0 => return Err(bits_of_float("at least 1 bit").into()),
                1..=24 => DataType::Float32,
                25..=53 => DataType::Float64,
                _ => return Err(bits_of_float("less than 54 bits").into()),
            },
            ast::DataType::Interval { .. } => DataType::Interval(IntervalUnit::MonthDayNano),
            ast::DataType::Custom(name, _) => match unqualified(&name.to_string().to_lowercase()) {
                "timestamptz" => utc(),
                "timetz" => return Err(no_timetz().into()),
                "oid" => {
                    let metadata = [(PG_TYPE.to_owned(), "oid".to_owned())].into();
                    let field = Field::new("", DataType::Int64, true).with_metadata(metadata);
                    return Ok(Some(Arc::new(field)));
                }
                "bool" => DataType::Boolean,
                "date" => DataType::Date32,
                "float4" => DataType::Float32,
                "float8" => DataType::Float64,
                "int2" => DataType::Int16,
                "int4" => DataType::Int32,
                "int8" => DataType::Int64,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

fn no_timetz() -> Error {
    Error::not_supported(
        "time with time zone is not supported",
        "Use time, or timestamp with time zone.",
    )
}

/// A numeric that says how many digits it has; not the one that stands for all numerics.
fn numeric_field(sql_type: &ast::DataType) -> Option<FieldRef> {
    let (ast::DataType::Numeric(digits)
    | ast::DataType::Decimal(digits)
    | ast::DataType::Dec(digits)) = sql_type
    else {
        return None;
    };
    let (precision, scale) = match digits {
        ast::ExactNumberInfo::None => return None,
        ast::ExactNumberInfo::Precision(precision) => (*precision, 0),
        ast::ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
    let data_type = DataType::Decimal128(precision, scale);
    let is_known = (1..=38).contains(&precision)
        && scale >= 0
        && scale.unsigned_abs() <= precision
        && !is_unconstrained(&data_type);
    is_known.then(|| field_of(data_type, &format!("numeric({precision},{scale})")))
}

/// Types that are texts here; the field's metadata says which.
fn text_field(sql_type: &ast::DataType) -> Option<FieldRef> {
    let name = match sql_type {
        ast::DataType::Uuid => "uuid".to_owned(),
        ast::DataType::JSON => "json".to_owned(),
        ast::DataType::JSONB => "jsonb".to_owned(),
        ast::DataType::Text | ast::DataType::String(_) => "text".to_owned(),
        ast::DataType::Varchar(length)
        | ast::DataType::CharVarying(length)
        | ast::DataType::CharacterVarying(length)
        | ast::DataType::Nvarchar(length) => match characters(length.as_ref()) {
            Some(length) => format!("character varying({length})"),
            None => "character varying".to_owned(),
        },
        ast::DataType::Char(length) | ast::DataType::Character(length) => {
            format!("character({})", characters(length.as_ref()).unwrap_or(1))
        }
        ast::DataType::Custom(name, arguments) => {
            match unqualified(&name.to_string().to_lowercase()) {
                "text" => "text".to_owned(),
                "varchar" if !arguments.is_empty() => {
                    format!("character varying({})", arguments[0])
                }
                "varchar" => "character varying".to_owned(),
                "bpchar" if !arguments.is_empty() => format!("character({})", arguments[0]),
                other @ ("bpchar" | "name" | "json" | "jsonb" | "uuid") => other.to_owned(),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(field_of(DataType::Utf8View, &name))
}

fn characters(length: Option<&ast::CharacterLength>) -> Option<u64> {
    match length? {
        ast::CharacterLength::IntegerLength { length, .. } => Some(*length),
        ast::CharacterLength::Max => None,
    }
}
