//! Types that PostgreSQL has and DataFusion's SQL does not know: casts to them, in text form.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::{
    common::Result,
    logical_expr::planner::TypePlanner,
    sql::sqlparser::ast::{self, TimezoneInfo},
};

use rapport_lake::PG_TYPE;
use rapport_udf_postgres::numeric::ANY_SCALE;

use crate::{Error, pg_type::utc};

/// `pg_catalog.int4` is `int4`.
fn unqualified(name: &str) -> &str {
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}

#[derive(Debug)]
pub(crate) struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            ast::DataType::Uuid | ast::DataType::JSON | ast::DataType::JSONB => DataType::Utf8View,
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
            ast::DataType::Interval { .. } => DataType::Interval(IntervalUnit::MonthDayNano),
            ast::DataType::Custom(name, _) => match unqualified(&name.to_string().to_lowercase()) {
                "timestamptz" => utc(),
                "timetz" => return Err(no_timetz().into()),
                "oid" => {
                    let metadata = [(PG_TYPE.to_owned(), "oid".to_owned())].into();
                    let field = Field::new("", DataType::Int64, true).with_metadata(metadata);
                    return Ok(Some(Arc::new(field)));
                }
                "text" | "varchar" => DataType::Utf8View,
                "bool" => DataType::Boolean,
                "date" => DataType::Date32,
                "name" | "bpchar" | "json" | "jsonb" | "uuid" => DataType::Utf8View,
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
