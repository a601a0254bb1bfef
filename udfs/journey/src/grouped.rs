//! What the rows of each group left behind, one item a row, until the group is asked for.
//!
//! Items are put down in the order in which they come, with the number of their group beside them: that is fast, and takes a
//! few bytes a row however many groups there are. Only when groups are wanted are the items sorted into them.

use std::mem::{size_of, size_of_val, take};

use datafusion_common::{Result, resources_datafusion_err};
use datafusion_expr::EmitTo;

#[derive(Debug)]
pub(crate) struct GroupLog<T> {
    groups: Vec<u32>,
    items: Vec<T>,
    n_groups: usize,
}

/// The items of each group, one group after the other.
#[derive(Debug)]
pub(crate) struct Grouped<T> {
    pub items: Vec<T>,
    /// Where each group ends.
    pub ends: Vec<usize>,
}

impl<T> Default for GroupLog<T> {
    fn default() -> Self {
        Self {
            groups: vec![],
            items: vec![],
            n_groups: 0,
        }
    }
}

impl<T: Copy> GroupLog<T> {
    /// There are so many groups now, and so many rows may follow.
    pub(crate) fn grow(&mut self, n_groups: usize, n_rows: usize) -> Result<()> {
        if u32::try_from(n_groups).is_err() {
            return Err(resources_datafusion_err!("more than {} groups", u32::MAX));
        }
        self.n_groups = self.n_groups.max(n_groups);
        self.groups.reserve(n_rows);
        self.items.reserve(n_rows);
        Ok(())
    }

    /// The items that are wanted of so many rows, each with its group. All are written and those not wanted written
    /// over: that is faster than to ask.
    pub(crate) fn push_wanted(&mut self, n_rows: usize, row: impl Fn(usize) -> (usize, T, bool))
    where
        T: Default,
    {
        let mut end = self.items.len();
        self.items.resize(end + n_rows, T::default());
        self.groups.resize(end + n_rows, 0);
        for n in 0..n_rows {
            let (group, item, is_wanted) = row(n);
            self.items[end] = item;
            self.groups[end] = group as u32;
            end += usize::from(is_wanted);
        }
        self.items.truncate(end);
        self.groups.truncate(end);
    }

    /// The group is one of those there are.
    pub(crate) fn push(&mut self, group: usize, item: T) {
        self.groups.push(group as u32);
        self.items.push(item);
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items of a single group, after they have been looked at.
    pub(crate) fn put_back(&mut self, group: Grouped<T>) {
        self.n_groups = 1;
        self.groups.resize(group.items.len(), 0);
        self.items = group.items;
    }

    pub(crate) fn size(&self) -> usize {
        size_of_val(self)
            + self.groups.capacity() * size_of::<u32>()
            + self.items.capacity() * size_of::<T>()
    }

    /// Of all groups, or of the first; the others have their numbers counted anew then.
    pub(crate) fn take(&mut self, emit_to: EmitTo) -> Grouped<T> {
        let n_taken = match emit_to {
            EmitTo::All => self.n_groups,
            EmitTo::First(n) => n,
        };
        let (groups, items) = (take(&mut self.groups), take(&mut self.items));
        self.n_groups -= n_taken;
        let mut n_items = vec![0; n_taken];
        for group in &groups {
            if let Some(n) = n_items.get_mut(*group as usize) {
                *n += 1;
            }
        }
        let mut ends = n_items;
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        if groups.is_sorted() {
            let mut items = items;
            self.items = items.split_off(sum);
            let left = groups[sum..].iter();
            self.groups = left.map(|group| group - n_taken as u32).collect();
            return Grouped { items, ends };
        }
        self.sort_into_groups(groups, items, ends)
    }

    fn sort_into_groups(
        &mut self,
        groups: Vec<u32>,
        items: Vec<T>,
        ends: Vec<usize>,
    ) -> Grouped<T> {
        let n_taken = ends.len();
        let mut places: Vec<usize> = [0].into_iter().chain(ends.iter().copied()).collect();
        // Any item will do until the right one comes.
        let mut sorted = match items.first() {
            Some(first) => vec![*first; places[n_taken]],
            None => vec![],
        };
        for (group, item) in groups.into_iter().zip(items) {
            match group as usize {
                group if group < n_taken => {
                    sorted[places[group]] = item;
                    places[group] += 1;
                }
                group => self.push(group - n_taken, item),
            }
        }
        Grouped {
            items: sorted,
            ends,
        }
    }
}

impl<T> Grouped<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[T]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.items[start..*end])
    }

    /// As [`Self::iter`], to be changed.
    pub(crate) fn each(&mut self, mut with: impl FnMut(&mut [T])) {
        let mut start = 0;
        for end in &self.ends {
            with(&mut self.items[start..*end]);
            start = *end;
        }
    }

    /// Each group's items in their own order.
    pub(crate) fn sort(&mut self)
    where
        T: Ord,
    {
        self.each(|group| {
            if !group.is_sorted() {
                group.sort_unstable();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(rows: &[(usize, char)], n_groups: usize) -> GroupLog<char> {
        let mut log = GroupLog::default();
        log.grow(n_groups, rows.len()).expect("few groups");
        rows.iter()
            .for_each(|(group, item)| log.push(*group, *item));
        log
    }

    fn texts(grouped: &Grouped<char>) -> Vec<String> {
        grouped.iter().map(|group| group.iter().collect()).collect()
    }

    #[test]
    fn items_come_to_their_groups_in_the_order_of_their_rows() {
        let rows = [(2, 'x'), (0, 'b'), (2, 'y'), (0, 'a')];
        let mut grouped = log(&rows, 4).take(EmitTo::All);
        assert_eq!(texts(&grouped), ["ba", "", "xy", ""]);
        grouped.sort();
        assert_eq!(texts(&grouped), ["ab", "", "xy", ""]);
    }

    #[test]
    fn rows_in_the_order_of_groups_stay_where_they_are() {
        let grouped = log(&[(0, 'a'), (2, 'x'), (2, 'y')], 3).take(EmitTo::All);
        assert_eq!(texts(&grouped), ["a", "", "xy"]);
    }

    #[test]
    fn the_first_groups_leave_and_the_others_are_counted_anew() {
        let mut all = log(&[(2, 'x'), (0, 'a'), (1, 'm'), (2, 'y')], 3);
        assert_eq!(texts(&all.take(EmitTo::First(2))), ["a", "m"]);
        all.grow(2, 1).expect("few groups");
        all.push(1, 'z');
        assert_eq!(texts(&all.take(EmitTo::All)), ["xy", "z"]);
        assert!(texts(&all.take(EmitTo::All)).is_empty());
    }

    #[test]
    fn groups_without_items_are_there_too() {
        assert_eq!(texts(&log(&[], 2).take(EmitTo::All)), ["", ""]);
        assert_eq!(texts(&log(&[(1, 'a')], 2).take(EmitTo::First(1))), [""]);
    }
}
