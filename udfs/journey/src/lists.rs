//! Lists of numbers: how the items of each group are written down in a state.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field};

pub(crate) fn list_of(data_type: DataType) -> DataType {
    DataType::LargeList(Arc::new(Field::new_list_field(data_type, true)))
}

/// Lists that end at these of the items.
pub(crate) fn lists(items: ArrayRef, ends: &[usize]) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    let offsets = [0].into_iter().chain(ends.iter().map(|end| *end as i64));
    let offsets = OffsetBuffer::new(offsets.collect::<ScalarBuffer<i64>>());
    Arc::new(LargeListArray::new(field, offsets, items, None))
}

/// The items of all lists, and where each list starts, the end of the last included.
pub(crate) fn items<T: ArrowPrimitiveType>(lists: &LargeListArray) -> (&[T::Native], Vec<usize>) {
    let offsets = lists.value_offsets();
    let first = offsets[0];
    let end = offsets[lists.len()] as usize;
    let values = lists.values().as_primitive::<T>().values();
    let starts = offsets.iter().map(|offset| (offset - first) as usize);
    (&values[first as usize..end], starts.collect())
}
