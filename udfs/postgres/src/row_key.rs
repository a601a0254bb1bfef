//! Values side by side as one that can be compared: what `count(DISTINCT (a, b))` counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::simple::{Call, Kind, Overload, bounded, simple};

/// A name that nobody can write.
pub const ROW_KEY: &str = "\u{1}row_key";

/// What arrays are sorted and compared by. A name that nobody can write.
pub const ARRAY_KEY: &str = "\u{1}array_key";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const ARRAY: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Bytea,
        work: array_key,
    }];
    const ROW: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: Some(Kind::Any),
        gives: Kind::Bytea,
        work: row_key,
    }];
    let about = "The same for rows that are equal, another for rows that differ.";
    vec![
        simple(ROW_KEY, "row_key(value, …)", about, ROW).udf(),
        simple(
            ARRAY_KEY,
            "ORDER BY array",
            "Bytes that compare as the arrays do.",
            ARRAY,
        )
        .udf(),
    ]
}

/// A NULL among the items is greater than any other.
fn array_key(call: &Call) -> Result<ArrayRef> {
    let arrays = with_one_zero(&column(call, 0)?)?;
    let options = SortOptions::new(false, false);
    let field = SortField::new_with_options(arrays.data_type().clone(), options);
    let rows = RowConverter::new(vec![field])?.convert_columns(std::slice::from_ref(&arrays))?;
    bounded(rows.size())?;
    let keys = rows
        .iter()
        .enumerate()
        .map(|(row, key)| arrays.is_valid(row).then(|| key.data().to_vec()));
    Ok(Arc::new(keys.collect::<BinaryArray>()))
}

/// Among floats there is one zero and one NaN, which is the greatest.
fn with_one_zero(arrays: &ArrayRef) -> Result<ArrayRef> {
    let (DataType::List(field), Some(lists)) = (arrays.data_type(), arrays.as_list_opt::<i32>())
    else {
        return Ok(arrays.clone());
    };
    let items: ArrayRef = match field.data_type() {
        DataType::Float64 => Arc::new(
            lists
                .values()
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|value| {
                    if value.is_nan() {
                        f64::NAN
                    } else {
                        value + 0.0
                    }
                }),
        ),
        DataType::Float32 => Arc::new(
            lists
                .values()
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|value| {
                    if value.is_nan() {
                        f32::NAN
                    } else {
                        value + 0.0
                    }
                }),
        ),
        _ => return Ok(arrays.clone()),
    };
    Ok(Arc::new(ListArray::try_new(
        field.clone(),
        lists.offsets().clone(),
        items,
        lists.nulls().cloned(),
    )?))
}

fn row_key(call: &Call) -> Result<ArrayRef> {
    let columns = (0..call.count()).map(|index| column(call, index));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let rows = converter.convert_columns(&columns)?;
    bounded(rows.size())?;
    let keys = rows.iter().map(|row| Some(row.data().to_vec()));
    Ok(Arc::new(keys.collect::<BinaryArray>()))
}

/// A value for each row. There is one zero only.
fn column(call: &Call, index: usize) -> Result<ArrayRef> {
    let given = call.array(index);
    let array = match given.len() == call.rows {
        true => given.clone(),
        false => take(given, &UInt32Array::from(vec![0; call.rows]), None)?,
    };
    Ok(match array.data_type() {
        DataType::Float64 => {
            let floats = array.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(|value| value + 0.0))
        }
        _ => array,
    })
}
