//! Which files are read one after the other, so that each group comes out sorted.

use datafusion::{
    common::{ScalarValue, stats::Precision},
    datasource::{listing::PartitionedFile, physical_plan::FileGroup},
};

/// More sorted groups than this and the order is given up: each group is an open file and a stream of its own.
const MAX_SORTED_GROUPS: usize = 64;

/// The groups, and whether each of them is sorted.
pub(crate) struct Arranged {
    pub groups: Vec<FileGroup>,
    pub sorted: bool,
}

/// Files that need no order: about as many groups as can be read at once.
pub(crate) fn unsorted(files: Vec<PartitionedFile>, partitions: usize) -> Arranged {
    Arranged {
        groups: FileGroup::new(files).split_files(partitions),
        sorted: false,
    }
}

/// Files that are each sorted by `lead` (a column's index) first. A file follows another in one group only if it
/// begins after the other's end and the other has no NULL there: NULLs sort last.
pub(crate) fn sorted(files: Vec<PartitionedFile>, lead: usize, partitions: usize) -> Arranged {
    if files.len() <= 1 {
        return Arranged {
            groups: vec![FileGroup::new(files)],
            sorted: true,
        };
    }
    let mut ranged: Vec<(Option<Range>, PartitionedFile)> = files
        .into_iter()
        .map(|file| (range(&file, lead), file))
        .collect();
    ranged.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a
            .min
            .partial_cmp(&b.min)
            .unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });

    let mut groups: Vec<(Option<Range>, Vec<PartitionedFile>)> = vec![];
    for (range, file) in ranged {
        let fits = range.as_ref().and_then(|range| {
            groups
                .iter()
                .position(|(last, _)| last.as_ref().is_some_and(|last| last.ends_before(range)))
        });
        match fits {
            Some(index) => {
                groups[index].0 = range;
                groups[index].1.push(file);
            }
            None => groups.push((range, vec![file])),
        }
    }
    if groups.len() > MAX_SORTED_GROUPS.max(partitions) {
        return unsorted(
            groups.into_iter().flat_map(|(_, files)| files).collect(),
            partitions,
        );
    }
    let groups = groups
        .into_iter()
        .map(|(_, files)| FileGroup::new(files))
        .collect();
    Arranged {
        groups,
        sorted: true,
    }
}

struct Range {
    min: ScalarValue,
    max: ScalarValue,
    has_nulls: bool,
}

impl Range {
    fn ends_before(&self, next: &Range) -> bool {
        !self.has_nulls && self.max.partial_cmp(&next.min) == Some(std::cmp::Ordering::Less)
    }
}

fn range(file: &PartitionedFile, lead: usize) -> Option<Range> {
    let column = file.statistics.as_ref()?.column_statistics.get(lead)?;
    Some(Range {
        min: column.min_value.get_value()?.clone(),
        max: column.max_value.get_value()?.clone(),
        has_nulls: column.null_count != Precision::Exact(0),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::{ColumnStatistics, Statistics};

    use super::*;

    fn file(name: &str, min: i64, max: i64, nulls: usize) -> PartitionedFile {
        let schema = Schema::new(vec![Field::new("customer_id", DataType::Int64, true)]);
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.column_statistics[0] = ColumnStatistics::new_unknown()
            .with_min_value(Precision::Exact(min.into()))
            .with_max_value(Precision::Exact(max.into()))
            .with_null_count(Precision::Exact(nulls));
        PartitionedFile::new(name, 1).with_statistics(Arc::new(statistics))
    }

    fn check(files: Vec<PartitionedFile>, expected: &[&[&str]]) {
        let arranged = sorted(files, 0, 2);
        assert!(arranged.sorted);
        let names: Vec<Vec<&str>> = arranged
            .groups
            .iter()
            .map(|group| group.iter().map(|file| file.path().as_ref()).collect())
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn files_that_follow_each_other_share_a_group() {
        check(
            vec![file("b", 11, 20, 0), file("a", 1, 10, 0)],
            &[&["a", "b"]],
        );
    }

    #[test]
    fn files_that_overlap_do_not_share_a_group() {
        check(
            vec![file("a", 1, 10, 0), file("b", 5, 20, 0)],
            &[&["a"], &["b"]],
        );
    }

    #[test]
    fn files_that_touch_do_not_share_a_group() {
        check(
            vec![file("a", 1, 10, 0), file("b", 10, 20, 0)],
            &[&["a"], &["b"]],
        );
    }

    #[test]
    fn nothing_follows_a_file_with_nulls() {
        check(
            vec![file("a", 1, 10, 1), file("b", 11, 20, 0)],
            &[&["a"], &["b"]],
        );
        check(
            vec![file("a", 1, 10, 0), file("b", 11, 20, 1)],
            &[&["a", "b"]],
        );
    }

    #[test]
    fn a_file_without_statistics_is_alone() {
        check(
            vec![
                PartitionedFile::new("x", 1),
                file("a", 1, 10, 0),
                file("b", 11, 20, 0),
            ],
            &[&["a", "b"], &["x"]],
        );
    }

    #[test]
    fn order_is_given_up_when_too_many_files_overlap() {
        let files = (0..200)
            .map(|i| file(&format!("f{i}"), 1, 100, 0))
            .collect();
        let arranged = sorted(files, 0, 2);
        assert!(!arranged.sorted);
        assert_eq!(arranged.groups.len(), 2);
    }
}
