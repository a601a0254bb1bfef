//! What a function is called with: types, and constants that are known before the first row.

use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use rapport_stats::{Error, Result as StatsResult};
use rapport_udf_face::is_unknown;

/// The value of an argument that has to be the same for all rows, as it is over `no_columns`.
pub(crate) fn constant(value: Result<ColumnarValue>) -> Result<ScalarValue> {
    rapport_udf_face::constant(
        value,
        "a window, a gap, a mode, a pattern, a direction or a base is the same for all rows: give a constant",
    )
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
