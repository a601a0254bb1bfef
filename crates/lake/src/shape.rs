//! Rows in whatever Arrow types their producer uses → the storage types of the table.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};

/// Columns are matched by name; those missing are NULL. `Err` says what does not fit.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    for field in batch.schema_ref().fields() {
        if schema.field_with_name(field.name()).is_err() {
            return Err(format!("it has no column {}", field.name()));
        }
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = match batch.column_by_name(field.name()) {
                Some(column) => storage_form(column, field.data_type())
                    .map_err(|what| format!("column {}: {what}", field.name()))?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(format!("column {} must not be NULL", field.name()));
            }
            Ok(column)
        })
        .collect::<Result<Vec<_>, String>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

fn storage_form(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let from = column.data_type();
    if from == to {
        return Ok(Arc::clone(column));
    }
    if !same_values(from, to) {
        return Err(format!("{from} instead of {to}"));
    }
    cast(column, to).map_err(|error| error.to_string())
}

/// Whether every value of one type is a value of the other, so that a cast only changes its representation.
fn same_values(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    match (from, to) {
        (Null, _) => true,
        (Dictionary(_, values), to) => values.as_ref() == to || same_values(values, to),
        (Utf8View | LargeUtf8, Utf8) | (BinaryView | LargeBinary | FixedSizeBinary(_), Binary) => {
            true
        }
        (Timestamp(TimeUnit::Microsecond, _), Timestamp(TimeUnit::Microsecond, _)) => true,
        (Decimal128(digits, scale), Decimal128(to_digits, to_scale)) => {
            scale == to_scale && digits <= to_digits
        }
        (List(from) | LargeList(from), List(to)) => {
            let (from, to) = (from.data_type(), to.data_type());
            from == to || same_values(from, to)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::{Field, Schema};

    fn table() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
            Field::new("extra", DataType::Binary, true),
        ]))
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .expect("columns of one length")
    }

    #[test]
    fn columns_are_matched_by_name_and_cast() {
        let rows = batch(vec![
            ("name", Arc::new(StringViewArray::from(vec!["a"]))),
            ("id", Arc::new(Int64Array::from(vec![1]))),
        ]);
        let conformed = conform(&rows, &table()).expect("it fits");
        assert_eq!(conformed.schema(), table());
        assert_eq!(conformed.column(2).null_count(), 1);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let rows = batch(vec![("id", Arc::new(StringViewArray::from(vec!["a"])))]);
        assert!(
            conform(&rows, &table())
                .expect_err("text")
                .contains("column id")
        );
        let rows = batch(vec![("id", Arc::new(Int64Array::from(vec![None])))]);
        assert!(conform(&rows, &table()).expect_err("NULL").contains("NULL"));
        let rows = batch(vec![("nobody", Arc::new(Int64Array::from(vec![1])))]);
        assert!(
            conform(&rows, &table())
                .expect_err("unknown")
                .contains("nobody")
        );
    }
}
