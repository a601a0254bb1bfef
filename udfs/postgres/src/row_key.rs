//! Values side by side as one that can be compared: what `count(DISTINCT (a, b))` counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{RowConverter, SortField};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::simple::{Call, Kind, Overload, bounded, simple};

/// A name that nobody can write.
pub const ROW_KEY: &str = "\u{1}row_key";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const ROW: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: Some(Kind::Any),
        gives: Kind::Bytea,
        work: row_key,
    }];
    let about = "The same for rows that are equal, another for rows that differ.";
    vec![simple(ROW_KEY, "row_key(value, …)", about, ROW).udf()]
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
