//! Text → moments, and local time → UTC.

use std::collections::HashMap;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

pub const MICROS: i64 = 1_000_000;
const DAY_MICROS: i64 = 86_400 * MICROS;

/// What a text says: a moment, or a time of day somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Microseconds since 1970-01-01 00:00 UTC.
    Instant(i64),
    /// The same on a clock whose zone the text does not say.
    Local(i64),
}

/// The ways a source writes times.
pub struct TimeText {
    formats: Vec<Vec<Item<'static>>>,
}

impl TimeText {
    /// `formats` have been checked with the source; without any it is ISO 8601.
    pub fn new(formats: &[String]) -> Self {
        let formats = formats
            .iter()
            .map(|format| StrftimeItems::new(format).map(Item::to_owned).collect())
            .collect();
        Self { formats }
    }

    /// ISO 8601 is understood beside a source's own formats, which come first.
    pub fn parse(&self, text: &str) -> Option<Stamp> {
        let text = text.trim();
        self.formats
            .iter()
            .find_map(|items| by_format(text, items))
            .or_else(|| iso(text))
    }
}

fn by_format(text: &str, items: &[Item<'static>]) -> Option<Stamp> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
    if parsed.timestamp().is_some() || parsed.offset().is_some() {
        let offset = parsed.offset().unwrap_or(0);
        let local = parsed.to_naive_datetime_with_offset(offset).ok()?;
        return Some(Stamp::Instant(
            local
                .and_utc()
                .timestamp_micros()
                .checked_sub(i64::from(offset) * MICROS)?,
        ));
    }
    let date = parsed.to_naive_date().ok()?;
    // A format without hours means midnight; one with an impossible hour has failed before.
    let time = match parsed.hour_div_12() {
        None => chrono::NaiveTime::MIN,
        Some(_) => parsed.to_naive_time().ok()?,
    };
    Some(Stamp::Local(
        date.and_time(time).and_utc().timestamp_micros(),
    ))
}

/// `2024-03-13`, `2024-03-13 10:21`, `2024-03-13T10:21:14.123456+01:00`, `… UTC`, `…Z`.
fn iso(text: &str) -> Option<Stamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[0..4])?;
    let month = digits(&bytes[5..7])?;
    let day = digits(&bytes[8..10])?;
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * DAY_MICROS;
    if bytes.len() == 10 {
        return Some(Stamp::Local(midnight));
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (time, zone) = split_zone(&text[11..]);
    let local = midnight + time_of_day(time.as_bytes())?;
    match zone {
        "" => Some(Stamp::Local(local)),
        "Z" | "z" | "UTC" => Some(Stamp::Instant(local)),
        offset => Some(Stamp::Instant(
            local - offset_seconds(offset.as_bytes())? * MICROS,
        )),
    }
}

fn split_zone(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ',')))
        .unwrap_or(text.len());
    (&text[..at], text[at..].trim_start())
}

/// Microseconds since midnight of `10:21`, `10:21:14` or `10:21:14.123456789`.
pub fn time_of_day(bytes: &[u8]) -> Option<i64> {
    if bytes.len() < 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (digits(&bytes[0..2])?, digits(&bytes[3..5])?);
    let (mut second, mut fraction) = (0, 0);
    if bytes.len() > 5 {
        if bytes.len() < 8 || bytes[5] != b':' {
            return None;
        }
        second = digits(&bytes[6..8])?;
        if bytes.len() > 8 {
            let decimals = &bytes[9..];
            if !matches!(bytes[8], b'.' | b',') || decimals.is_empty() || decimals.len() > 9 {
                return None;
            }
            let six = decimals.len().min(6);
            fraction = digits(&decimals[..six])? * 10_i64.pow(6 - six as u32);
            digits(&decimals[six..])?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * MICROS + fraction)
}

/// `+01`, `+0100`, `+01:00`, `-03:30`.
fn offset_seconds(bytes: &[u8]) -> Option<i64> {
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match &bytes[1..] {
        [a, b] => (digits(&[*a, *b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (digits(&[*a, *b])?, digits(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 15 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Local times of one zone → UTC. Almost every day has one offset from its beginning to its end, which is
/// remembered; the days on which clocks change are looked up time by time.
pub struct Clock {
    zone: Tz,
    days: HashMap<i64, Option<i64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoInstant {
    /// The clocks went forward over it.
    Skipped,
    OutOfRange,
}

impl Clock {
    pub fn new(zone: Tz) -> Self {
        Self {
            zone,
            days: HashMap::new(),
        }
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Both in microseconds since 1970. A time that came twice (clocks went back) is the earlier one.
    pub fn instant(&mut self, local: i64) -> Result<i64, NoInstant> {
        if self.zone == Tz::UTC {
            return Ok(local);
        }
        let zone = self.zone;
        let day = local.div_euclid(DAY_MICROS);
        let offset = self.days.entry(day).or_insert_with(|| {
            let first = single_offset(zone, day * DAY_MICROS)?;
            let last = single_offset(zone, (day + 1) * DAY_MICROS - 1)?;
            (first == last).then_some(first)
        });
        if let Some(offset) = offset {
            return local.checked_sub(*offset).ok_or(NoInstant::OutOfRange);
        }
        let naive = naive(local).ok_or(NoInstant::OutOfRange)?;
        match zone.offset_from_local_datetime(&naive) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => {
                Ok(local - i64::from(offset.fix().local_minus_utc()) * MICROS)
            }
            LocalResult::None => Err(NoInstant::Skipped),
        }
    }
}

fn single_offset(zone: Tz, local: i64) -> Option<i64> {
    let offset = zone.offset_from_local_datetime(&naive(local)?).single()?;
    Some(i64::from(offset.fix().local_minus_utc()) * MICROS)
}

fn naive(micros: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp_micros(micros).map(|utc| utc.naive_utc())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn micros(rfc3339: &str) -> i64 {
        DateTime::parse_from_rfc3339(rfc3339)
            .expect("a test's own time")
            .timestamp_micros()
    }

    fn check(text: &str, expected: Option<Stamp>) {
        assert_eq!(TimeText::new(&[]).parse(text), expected, "{text}");
    }

    fn check_format(format: &str, text: &str, expected: Option<Stamp>) {
        assert_eq!(
            TimeText::new(&[format.to_owned()]).parse(text),
            expected,
            "{text}"
        );
    }

    fn check_zone(zone: Tz, local: &str, expected: Result<&str, NoInstant>) {
        let got = Clock::new(zone).instant(micros(&format!("{local}Z")));
        assert_eq!(got, expected.map(micros), "{local} in {zone}");
    }

    #[test]
    fn iso_times_without_a_zone_are_local() {
        let noon = Stamp::Local(micros("2024-02-29T12:00:00Z"));
        check("2024-02-29 12:00", Some(noon));
        check(" 2024-02-29T12:00:00 ", Some(noon));
        check("2024-02-29 12:00:00.000", Some(noon));
        check(
            "2024-02-29",
            Some(Stamp::Local(micros("2024-02-29T00:00:00Z"))),
        );
        check(
            "2024-02-29 12:00:00.123456789",
            Some(Stamp::Local(micros("2024-02-29T12:00:00.123456Z"))),
        );
        check("1969-12-31 23:59:59", Some(Stamp::Local(-MICROS)));
        check(
            "0001-01-01",
            Some(Stamp::Local(micros("0001-01-01T00:00:00Z"))),
        );
    }

    #[test]
    fn iso_times_with_a_zone_are_moments() {
        let noon = Stamp::Instant(micros("2024-02-29T12:00:00Z"));
        for text in [
            "12:00:00Z",
            "12:00 UTC",
            "13:00:00+01",
            "13:00:00+01:00",
            "08:30:00-0330",
        ] {
            check(&format!("2024-02-29T{text}"), Some(noon));
        }
    }

    #[test]
    fn impossible_times_are_none() {
        for text in [
            "2011-02-31",
            "31/02/2011",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-01 24:00:00",
            "2024-01-01 12:60:00",
            "2024-01-01 12",
            "2024-01-01 12:00:00.",
            "2024-01-01x12:00",
            "",
            "yesterday",
            "2024-01-01 12:00:00+99:00",
            "20240101",
            "ąąąąąąąąąą",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_source_has_its_own_formats() {
        let day = Stamp::Local(micros("1997-01-18T00:00:00Z"));
        check_format("%Y%m%d", "19970118", Some(day));
        check_format("%d/%m/%Y %H:%M", "18/01/1997 00:00", Some(day));
        check_format("%m/%d/%Y %I:%M %p", "1/18/1997 12:00 AM", Some(day));
        check_format("%d/%m/%Y", "31/02/2011", None);
        check_format("%d/%m/%Y", "1997-01-18", Some(day));
        check_format(
            "%s",
            "853545600",
            Some(Stamp::Instant(micros("1997-01-18T00:00:00Z"))),
        );
        check_format(
            "%d.%m.%Y %H:%M:%S %z",
            "18.01.1997 02:00:00 +0200",
            Some(Stamp::Instant(micros("1997-01-18T00:00:00Z"))),
        );
    }

    #[test]
    fn local_times_become_utc() {
        let warsaw = Tz::Europe__Warsaw;
        check_zone(warsaw, "2024-01-15T12:00:00", Ok("2024-01-15T11:00:00Z"));
        check_zone(warsaw, "2024-07-15T12:00:00", Ok("2024-07-15T10:00:00Z"));
        check_zone(warsaw, "2024-03-31T01:59:59", Ok("2024-03-31T00:59:59Z"));
        check_zone(warsaw, "2024-03-31T03:00:00", Ok("2024-03-31T01:00:00Z"));
        check_zone(Tz::UTC, "2024-03-31T02:30:00", Ok("2024-03-31T02:30:00Z"));
        check_zone(
            Tz::Asia__Kolkata,
            "2024-03-31T05:30:00",
            Ok("2024-03-31T00:00:00Z"),
        );
    }

    #[test]
    fn a_time_that_the_clocks_skipped_does_not_exist() {
        check_zone(
            Tz::Europe__Warsaw,
            "2024-03-31T02:30:00",
            Err(NoInstant::Skipped),
        );
    }

    #[test]
    fn a_time_that_came_twice_is_the_earlier_one() {
        check_zone(
            Tz::Europe__Warsaw,
            "2024-10-27T02:30:00",
            Ok("2024-10-27T00:30:00Z"),
        );
    }
}
