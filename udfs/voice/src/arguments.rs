//! What a function is called with: types, and constants that are known before the first row.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_expr::function::AccumulatorArgs;
use rapport_stats::Error;

/// A type as PostgreSQL calls it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".to_owned(),
        DataType::Null => "unknown".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp without time zone".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn no_such_function(name: &str, given: &[DataType]) -> DataFusionError {
    let given: Vec<String> = given.iter().map(type_name).collect();
    let message = format!("function {name}({}) does not exist", given.join(", "));
    DataFusionError::External(message.into())
}

pub(crate) fn refused(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The value of an argument that has to be the same for all rows.
pub(crate) fn constant(
    args: &AccumulatorArgs,
    argument: usize,
) -> Result<ScalarValue, DataFusionError> {
    let no_columns = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match args.exprs[argument].evaluate(&no_columns) {
        Ok(ColumnarValue::Scalar(value)) => Ok(value),
        Ok(ColumnarValue::Array(_)) | Err(_) => Err(refused(Error::Contradiction(
            "the scale and the level are the same for all scores: give constants, not columns",
        ))),
    }
}
