//! Leaving out whole files by what the log knows of them, before a plan is built.

use std::{collections::HashSet, sync::Arc};

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::{
    catalog::Session,
    common::{Column, DFSchema, Result, ScalarValue, pruning::PruningStatistics},
    logical_expr::{Expr, utils::conjunction},
    physical_optimizer::pruning::PruningPredicateBuilder,
};
use rapport_lake::Snapshot;
use tracing::debug;

/// For each file of the snapshot, whether it may hold a row that the filters keep.
///
/// Statistics are judged in the types in which columns are presented, because the filters are.
pub(crate) fn keep(
    snapshot: &Snapshot,
    presented: &arrow::datatypes::SchemaRef,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Vec<bool>> {
    let everything = vec![true; snapshot.files().len()];
    let Some(filter) = conjunction(filters.to_vec()) else {
        return Ok(everything);
    };
    let schema = DFSchema::try_from(presented.clone())?;
    let filter = session.create_physical_expr(filter, &schema)?;
    let Some(predicate) = PruningPredicateBuilder::new()
        .with_file_schema(presented.clone())
        .build(filter)
    else {
        return Ok(everything);
    };
    predicate.prune(&FileStatistics(snapshot)).or_else(|error| {
        debug!(%error, "files could not be judged by their statistics");
        Ok(everything)
    })
}

struct FileStatistics<'a>(&'a Snapshot);

impl PruningStatistics for FileStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(self.0.file_statistics(column.name())?.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(self.0.file_statistics(column.name())?.max)
    }

    fn num_containers(&self) -> usize {
        self.0.files().len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.0.file_statistics(column.name())?.nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.0.files().iter().map(|file| file.rows);
        Some(Arc::new(UInt64Array::from_iter_values(rows)))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
