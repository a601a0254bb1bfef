//! What the log knows of a file, in DataFusion's words.

use arrow::{
    array::ArrayRef,
    compute::cast,
    datatypes::{DataType, Schema},
};
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics, stats::Precision};
use rapport_lake::DataFile;

/// Statistics of one file for the presented schema.
///
/// The row count is exact: the writer counted. A minimum or maximum is called exact only where the log holds it
/// whole: text may be cut short there, and of floating-point numbers NaN is left out.
pub(crate) fn of_file(file: &DataFile, schema: &Schema) -> Statistics {
    let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
    let mut statistics = Statistics::new_unknown(schema)
        .with_num_rows(Precision::Exact(rows))
        .with_total_byte_size(Precision::Absent);
    for (field, column) in schema
        .fields()
        .iter()
        .zip(&mut statistics.column_statistics)
    {
        let Some(known) = file.stats.column(field.name()) else {
            continue;
        };
        let exact = is_kept_whole(field.data_type());
        *column = ColumnStatistics::new_unknown()
            .with_null_count(match known.nulls {
                Some(nulls) => Precision::Exact(usize::try_from(nulls).unwrap_or(usize::MAX)),
                None => Precision::Absent,
            })
            .with_min_value(bound(known.min.as_ref(), field.data_type(), exact))
            .with_max_value(bound(known.max.as_ref(), field.data_type(), exact));
    }
    statistics
}

fn is_kept_whole(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Date32 | DataType::Decimal128(..)
        )
}

fn bound(array: Option<&ArrayRef>, data_type: &DataType, exact: bool) -> Precision<ScalarValue> {
    let value = array
        .and_then(|array| cast(array, data_type).ok())
        .and_then(|array| ScalarValue::try_from_array(&array, 0).ok())
        .filter(|value| !value.is_null());
    match value {
        Some(value) if exact => Precision::Exact(value),
        Some(value) => Precision::Inexact(value),
        None => Precision::Absent,
    }
}
