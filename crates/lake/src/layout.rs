//! How a table's files are laid out: order, bloom filters, dictionaries, and which columns have statistics.

use arrow::datatypes::Schema;

use crate::TableName;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Ascending, NULLs last.
    pub sort: Vec<String>,
    pub bloom: Vec<String>,
    pub dictionary: Vec<String>,
    pub statistics: Vec<String>,
}

pub fn of(_name: &TableName, _schema: &Schema) -> Layout {
    Layout::default()
}
