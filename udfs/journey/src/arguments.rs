//! What a function is called with: types, and constants that are known before the first row.

use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, ScalarValue};
use rapport_stats::{Error, Result as StatsResult};

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

/// The value of each of the arguments, which have to be the same for all rows. (The type of an expression is not named: it is
/// in a crate that functions do without.)
macro_rules! constant {
    ($expression:expr) => {{
        let no_columns = arrow::array::RecordBatch::new_empty(std::sync::Arc::new(
            arrow::datatypes::Schema::empty(),
        ));
        match $expression.evaluate(&no_columns) {
            Ok(datafusion_expr::ColumnarValue::Scalar(value)) => Ok(value),
            Ok(datafusion_expr::ColumnarValue::Array(_)) | Err(_) => {
                Err($crate::arguments::refused(rapport_stats::Error::Contradiction(
                    "a window, a gap, a mode, a pattern, a direction or a base is the same for all rows: give a constant",
                )))
            }
        }
    }};
}

pub(crate) use constant;

/// A literal in quotes, a NULL or a parameter; what a column holds is a view.
pub(crate) fn is_unknown(given: &DataType) -> bool {
    matches!(given, DataType::Utf8 | DataType::Null)
}

pub(crate) fn is_text(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

/// The type of a condition.
pub(crate) fn condition(given: &DataType) -> Option<DataType> {
    (is_unknown(given) || given == &DataType::Boolean).then_some(DataType::Boolean)
}

/// A text that must not be NULL.
pub(crate) fn text(value: &ScalarValue) -> StatsResult<&str> {
    let text = value.try_as_str().flatten();
    text.ok_or(Error::Contradiction(
        "a mode, a pattern, a direction or a base must not be NULL",
    ))
}
