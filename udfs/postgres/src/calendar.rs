//! Days since 1970-01-01 and the proleptic Gregorian calendar, in integer arithmetic only.
//!
//! Source: the shifted-year method (years that begin in March, eras of 400 years), as in Richards (2013),
//! "Calendars", Explanatory Supplement to the Astronomical Almanac, section 15.11.

/// Days from 1970-01-01 back to the beginning of Julian day 0.
pub(crate) const JULIAN: i64 = 2_440_588;

/// Year (0 is 1 BC), month (1 to 12) and day of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

pub(crate) fn civil(day: i64) -> Civil {
    let (year, month) = year_month(day);
    Civil {
        year,
        month,
        day: day - first_of_month(year, month) + 1,
    }
}

/// The day of a date that is in the calendar.
pub(crate) fn day_of(year: i64, month: i64, day: i64) -> i64 {
    first_of_month(year, month) + day - 1
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day that lies so many months later, or the last of that month if it has no such day.
pub(crate) fn add_months(day: i64, months: i64) -> i64 {
    let Civil {
        year,
        month,
        day: of_month,
    } = civil(day);
    let total = year * 12 + month - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    day_of(year, month, of_month.min(days_in_month(year, month)))
}

/// 1 to 366.
pub(crate) fn day_of_year(day: i64) -> i64 {
    day - first_of_month(year_month(day).0, 1) + 1
}

/// 0 is Sunday.
pub(crate) fn day_of_week(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// Monday of the first week of an ISO year: the one that January 4th lies in.
pub(crate) fn first_of_iso_year(year: i64) -> i64 {
    let fourth = day_of(year, 1, 4);
    fourth - (day_of_week(fourth) + 6) % 7
}

/// ISO year and week (1 to 53).
pub(crate) fn iso_week(day: i64) -> (i64, i64) {
    let thursday = day - (day_of_week(day) + 6) % 7 + 3;
    let (year, _) = year_month(thursday);
    (year, (day - first_of_iso_year(year)) / 7 + 1)
}

/// Year and month (1 to 12) of a day.
pub(crate) fn year_month(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month)
}

/// The first day of a month (1 to 12).
pub(crate) fn first_of_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn agrees_with_chrono_on_every_day_of_eight_centuries() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
        let mut date = NaiveDate::from_ymd_opt(1583, 1, 1).expect("a date");
        while date.year() < 2401 {
            let day = (date - epoch).num_days();
            assert_eq!(
                year_month(day),
                (date.year().into(), date.month().into()),
                "{date}"
            );
            let parts = civil(day);
            assert_eq!((parts.year, parts.month), year_month(day), "{date}");
            assert_eq!(parts.day, i64::from(date.day()), "{date}");
            assert_eq!(day_of_year(day), i64::from(date.ordinal()), "{date}");
            let week = date.iso_week();
            let expected = (i64::from(week.year()), i64::from(week.week()));
            assert_eq!(iso_week(day), expected, "{date}");
            let from_sunday = i64::from(date.weekday().num_days_from_sunday());
            assert_eq!(day_of_week(day), from_sunday, "{date}");
            let first = date.with_day(1).expect("a date");
            assert_eq!(
                first_of_month(date.year().into(), date.month().into()),
                (first - epoch).num_days(),
                "{date}"
            );
            date = date.succ_opt().expect("a date");
        }
    }

    #[test]
    fn a_month_later_is_the_last_day_of_a_shorter_month() {
        let check = |from: (i64, i64, i64), months, to: (i64, i64, i64)| {
            let Civil { year, month, day } =
                civil(add_months(day_of(from.0, from.1, from.2), months));
            assert_eq!((year, month, day), to, "{from:?} + {months}");
        };
        check((2024, 1, 31), 1, (2024, 2, 29));
        check((2023, 12, 31), 2, (2024, 2, 29));
        check((2024, 2, 29), -12, (2023, 2, 28));
        check((2024, 3, 15), -15, (2022, 12, 15));
        check((1, 1, 1), -1, (0, 12, 1));
    }
}
