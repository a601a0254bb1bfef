//! Days since 1970-01-01 and the proleptic Gregorian calendar, in integer arithmetic only.
//!
//! Source: the shifted-year method (years that begin in March, eras of 400 years), as in Richards (2013),
//! "Calendars", Explanatory Supplement to the Astronomical Almanac, section 15.11.

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
            let first = date.with_day(1).expect("a date");
            assert_eq!(
                first_of_month(date.year().into(), date.month().into()),
                (first - epoch).num_days(),
                "{date}"
            );
            date = date.succ_opt().expect("a date");
        }
    }
}
