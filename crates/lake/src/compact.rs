//! Which files to fold together.
//!
//! Every append is a sorted run of its own, and each run costs a customer's history one more file to look into. So runs
//! are folded by age: those of a past day into one, those of a past week, month and year likewise; today's only when
//! there are many. A big file is left alone: rewriting it would cost more than it saves.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use crate::{DataFile, Snapshot};

const BIG_BYTES: u64 = 200 << 20;

#[derive(Clone, Debug)]
pub struct Policy {
    /// A file at least this big is left alone.
    pub big_bytes: u64,
    /// How many files of today are worth folding; of a past day, week, month or year two are.
    pub min_today: usize,
    /// No more than this is rewritten in one commit.
    pub group_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            big_bytes: BIG_BYTES,
            min_today: 8,
            group_bytes: 4 << 30,
        }
    }
}

/// Files to fold into one sorted run.
#[derive(Clone, Debug)]
pub struct Group {
    pub files: Vec<DataFile>,
}

impl Group {
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Oldest first. Nothing is planned twice: what comes out of a group is big, or alone in its period.
pub fn plan(snapshot: &Snapshot, now: DateTime<Utc>, policy: &Policy) -> Vec<Group> {
    let mut periods: BTreeMap<Period, Vec<&DataFile>> = BTreeMap::new();
    for file in snapshot
        .files()
        .iter()
        .filter(|file| is_worth_folding(file, snapshot, policy))
    {
        periods
            .entry(period(file.until(), now))
            .or_default()
            .push(file);
    }
    let by_order = &snapshot.layout().sort;
    let is_worth_it = |is_today: bool, files: &[&DataFile]| {
        let enough = if is_today { policy.min_today.max(2) } else { 2 };
        files.len() >= enough || files.iter().any(|file| !file.is_sorted_by(by_order))
    };
    periods
        .into_iter()
        .flat_map(|(period, files)| {
            let groups = split(files, policy.group_bytes).into_iter();
            groups.filter(move |files| is_worth_it(period.is_today, files))
        })
        .map(|files| Group {
            files: files.into_iter().cloned().collect(),
        })
        .collect()
}

fn is_worth_folding(file: &DataFile, snapshot: &Snapshot, policy: &Policy) -> bool {
    file.size < policy.big_bytes || !file.is_sorted_by(&snapshot.layout().sort)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Period {
    from: NaiveDate,
    is_today: bool,
}

/// The longest period that was over by `now`.
fn period(at: DateTime<Utc>, now: DateTime<Utc>) -> Period {
    let (day, today) = (at.date_naive(), now.date_naive());
    let monday = |day: NaiveDate| day - Days::new(day.weekday().num_days_from_monday().into());
    let month = |day: NaiveDate| day.with_day(1).unwrap_or(day);
    let year = |day: NaiveDate| month(day).with_month(1).unwrap_or(day);
    let from = if year(day) < year(today) {
        year(day)
    } else if month(day) < month(today) {
        month(day)
    } else if monday(day) < monday(today) {
        // A week that began last month is folded within its own.
        monday(day).max(month(day))
    } else {
        day
    };
    Period {
        from,
        is_today: day >= today,
    }
}

fn split(files: Vec<&DataFile>, group_bytes: u64) -> Vec<Vec<&DataFile>> {
    let mut groups: Vec<Vec<&DataFile>> = vec![];
    let mut bytes = 0;
    for file in files {
        match groups.last_mut() {
            Some(group) if bytes + file.size <= group_bytes => group.push(file),
            _ => {
                groups.push(vec![file]);
                bytes = 0;
            }
        }
        bytes += file.size;
    }
    groups
}

/// Files of equal size, all but the last of them big: full ones and a rest would have two small ones fold for ever.
pub(crate) fn file_bytes(removed: &[DataFile]) -> u64 {
    let total: u64 = removed.iter().map(|file| file.size).sum();
    (total / (total / BIG_BYTES).max(1)).max(BIG_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: &str, now: &str, from: &str) {
        let time = |text: &str| -> DateTime<Utc> { text.parse().expect("a time") };
        let from: NaiveDate = from.parse().expect("a day");
        assert_eq!(period(time(at), time(now)).from, from);
    }

    #[test]
    fn today_and_this_week_are_days() {
        check("2026-11-20T23:00:00Z", "2026-11-21T01:00:00Z", "2026-11-20");
        check("2026-11-21T00:30:00Z", "2026-11-21T01:00:00Z", "2026-11-21");
    }

    #[test]
    fn past_weeks_of_this_month_are_weeks() {
        check("2026-11-12T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-09");
        check("2026-11-01T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-01");
    }

    #[test]
    fn past_months_are_months_and_past_years_years() {
        check("2026-10-31T00:00:00Z", "2026-11-01T00:00:00Z", "2026-10-01");
        check("2025-10-31T00:00:00Z", "2026-11-01T00:00:00Z", "2025-01-01");
    }
}
