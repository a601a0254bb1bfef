//! A cron expression in a time zone.
//!
//! Five fields with names, lists, ranges and steps; of day and weekday one is enough, as in Vixie's cron. Where clocks
//! are put forward, a time that does not exist is due right after the gap; where they are put back, a time that comes
//! twice is due the first time. What has a `*` or a step in its minutes or hours goes on through both.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronComponent};

use crate::{Error, Result};

#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: Tz,
    /// One for each time of day, if they can be counted: croner knows a time that does not exist, or comes twice, only
    /// of a single one.
    crons: Vec<Cron>,
}

impl Schedule {
    /// `zone` is a name of the IANA's list.
    pub fn parse(text: &str, zone: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |what: String| Error::BadSchedule {
            text: text.to_owned(),
            what,
        };
        let zone: Tz = zone
            .parse()
            .map_err(|_| Error::BadTimeZone(zone.to_owned()))?;
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let parse = |text: &str| parser.parse(text).map_err(|error| bad(error.to_string()));
        let cron = parse(text)?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (minutes, hours) = (&cron.pattern.minutes, &cron.pattern.hours);
        let crons = match fields.as_slice() {
            [_, _, days @ ..] if is_list(minutes) && is_list(hours) => {
                let mut crons = vec![];
                for hour in hours.values() {
                    for minute in minutes.values() {
                        crons.push(parse(&format!("{minute} {hour} {}", days.join(" ")))?);
                    }
                }
                crons
            }
            _ => vec![cron],
        };
        let schedule = Self {
            text: text.to_owned(),
            zone,
            crons,
        };
        match schedule.next(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(bad("no day is like that".into())),
        }
    }

    /// The first moment after `after`.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.zone);
        let next = |cron: &Cron| cron.find_next_occurrence(&local, false).ok();
        let first = self.crons.iter().filter_map(next).min()?;
        Some(first.with_timezone(&Utc))
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.text, self.zone)
    }
}

fn is_list(field: &CronComponent) -> bool {
    !field.from_wildcard && field.step == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments after `after`, by the clocks of the zone.
    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let schedule = Schedule::parse(cron, zone).expect(cron);
        let mut at = DateTime::parse_from_rfc3339(after)
            .expect(after)
            .with_timezone(&Utc);
        for expected in expected {
            at = schedule.next(at).expect("it comes again");
            let local = at.with_timezone(&schedule.zone);
            assert_eq!(local.format("%F %R %z").to_string(), *expected, "{cron}");
        }
    }

    #[test]
    fn names_lists_ranges_and_steps_are_understood() {
        let after = "2026-01-01T00:00:00Z";
        check(
            "30 3 * * *",
            "UTC",
            after,
            &["2026-01-01 03:30 +0000", "2026-01-02 03:30 +0000"],
        );
        check(
            "*/20 4 * * *",
            "UTC",
            after,
            &["2026-01-01 04:00 +0000", "2026-01-01 04:20 +0000"],
        );
        check(
            "0 5 * * sun",
            "UTC",
            after,
            &["2026-01-04 05:00 +0000", "2026-01-11 05:00 +0000"],
        );
        check(
            "0 5 * * mon-fri",
            "UTC",
            after,
            &[
                "2026-01-01 05:00 +0000",
                "2026-01-02 05:00 +0000",
                "2026-01-05 05:00 +0000",
            ],
        );
        check(
            "0 0 1 jan,jul *",
            "UTC",
            after,
            &["2026-07-01 00:00 +0000", "2027-01-01 00:00 +0000"],
        );
        check(
            "0 6,18 * * *",
            "UTC",
            after,
            &["2026-01-01 06:00 +0000", "2026-01-01 18:00 +0000"],
        );
        check("@daily", "UTC", after, &["2026-01-02 00:00 +0000"]);
    }

    #[test]
    fn of_day_and_weekday_one_is_enough() {
        check(
            "0 0 13 * fri",
            "UTC",
            "2026-02-01T00:00:00Z",
            &[
                "2026-02-06 00:00 +0000",
                "2026-02-13 00:00 +0000",
                "2026-02-20 00:00 +0000",
            ],
        );
        check(
            "0 0 14 * fri",
            "UTC",
            "2026-02-13T00:00:00Z",
            &["2026-02-14 00:00 +0000", "2026-02-20 00:00 +0000"],
        );
    }

    #[test]
    fn a_time_that_does_not_exist_is_due_right_after_the_gap_and_once() {
        let expected = [
            "2026-03-28 02:30 +0100",
            "2026-03-29 03:00 +0200",
            "2026-03-30 02:30 +0200",
        ];
        check(
            "30 2 * * *",
            "Europe/Warsaw",
            "2026-03-27T12:00:00Z",
            &expected,
        );
        let expected = [
            "2026-03-08 03:00 -0400",
            "2026-03-08 14:15 -0400",
            "2026-03-09 02:15 -0400",
        ];
        check(
            "15 2,14 * * *",
            "America/New_York",
            "2026-03-08T05:00:00Z",
            &expected,
        );
        // Half an hour is put forward.
        let expected = ["2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"];
        check(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T14:00:00Z",
            &expected,
        );
        // Midnight itself is missing.
        let expected = [
            "2026-04-23 00:00 +0200",
            "2026-04-24 01:00 +0300",
            "2026-04-25 00:00 +0300",
        ];
        check(
            "0 0 * * *",
            "Africa/Cairo",
            "2026-04-22T12:00:00Z",
            &expected,
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_due_once() {
        let expected = [
            "2026-10-24 02:30 +0200",
            "2026-10-25 02:30 +0200",
            "2026-10-26 02:30 +0100",
        ];
        check(
            "30 2 * * *",
            "Europe/Warsaw",
            "2026-10-23T12:00:00Z",
            &expected,
        );
        // Asked between the two.
        check(
            "30 2 * * *",
            "Europe/Warsaw",
            "2026-10-25T00:45:00Z",
            &["2026-10-26 02:30 +0100"],
        );
        let expected = [
            "2026-11-01 01:30 -0400",
            "2026-11-01 13:30 -0500",
            "2026-11-02 01:30 -0500",
        ];
        check(
            "30 1,13 * * *",
            "America/New_York",
            "2026-11-01T04:00:00Z",
            &expected,
        );
    }

    #[test]
    fn what_runs_every_so_often_goes_on_through_both() {
        let expected = [
            "2026-03-29 01:00 +0100",
            "2026-03-29 03:00 +0200",
            "2026-03-29 04:00 +0200",
        ];
        check(
            "0 * * * *",
            "Europe/Warsaw",
            "2026-03-28T23:30:00Z",
            &expected,
        );
        let expected = [
            "2026-10-25 02:00 +0200",
            "2026-10-25 02:00 +0100",
            "2026-10-25 03:00 +0100",
        ];
        check(
            "0 * * * *",
            "Europe/Warsaw",
            "2026-10-24T23:30:00Z",
            &expected,
        );
    }

    #[test]
    fn leap_days_and_ends_of_months_come_when_they_do() {
        check(
            "0 3 29 2 *",
            "UTC",
            "2025-01-01T00:00:00Z",
            &["2028-02-29 03:00 +0000", "2032-02-29 03:00 +0000"],
        );
        check(
            "0 3 29 2 *",
            "UTC",
            "2097-01-01T00:00:00Z",
            &["2104-02-29 03:00 +0000"],
        );
        check(
            "0 3 31 * *",
            "UTC",
            "2026-01-31T04:00:00Z",
            &["2026-03-31 03:00 +0000", "2026-05-31 03:00 +0000"],
        );
        check(
            "0 3 L * *",
            "UTC",
            "2028-01-31T04:00:00Z",
            &["2028-02-29 03:00 +0000", "2028-03-31 03:00 +0000"],
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "often",
            "* * * *",
            "0 0 3 * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 0 30 2 *",
            "0 0 * * * 2027",
        ] {
            let refused = Schedule::parse(text, "UTC");
            assert!(matches!(refused, Err(Error::BadSchedule { .. })), "{text}");
        }
        assert!(matches!(
            Schedule::parse("0 3 * * *", "Mars/Base"),
            Err(Error::BadTimeZone(_))
        ));
    }
}
