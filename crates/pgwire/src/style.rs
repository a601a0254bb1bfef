//! How a session wants its values written: `TimeZone`, `DateStyle`, `IntervalStyle`, `bytea_output` and
//! `extra_float_digits`. The plain forms, which nearly everybody has, are in `text.rs`; here are the others.

use chrono::{DateTime, TimeZone};
use chrono_tz::OffsetName;

use rapport_udf_postgres::text::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone};

use crate::settings::SessionSettings;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub zone: Zone,
    dates: Dates,
    /// In the styles that have both, whether the day stands before the month.
    is_day_first: bool,
    intervals: Intervals,
    is_bytea_escaped: bool,
    /// Digits beyond, or short of, those that are always right; `None` is the shortest text that reads back.
    float_digits: Option<i32>,
    is_plain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dates {
    Iso,
    Sql,
    Postgres,
    German,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intervals {
    Postgres,
    Verbose,
    SqlStandard,
    Iso8601,
}

impl Style {
    /// The plain forms, on the clocks of `zone`.
    pub fn plain(zone: Zone) -> Self {
        Self {
            zone,
            dates: Dates::Iso,
            is_day_first: false,
            intervals: Intervals::Postgres,
            is_bytea_escaped: false,
            float_digits: None,
            is_plain: true,
        }
    }

    /// As the settings say, in the form that PostgreSQL shows them in.
    pub fn of(settings: &SessionSettings) -> Self {
        let get = |name| settings.get(name).unwrap_or_default().to_ascii_lowercase();
        let dates = get("datestyle");
        let mut style = Self {
            dates: match dates.split(',').next() {
                Some("sql") => Dates::Sql,
                Some("postgres") => Dates::Postgres,
                Some("german") => Dates::German,
                _ => Dates::Iso,
            },
            is_day_first: dates.ends_with("dmy"),
            intervals: match get("intervalstyle").as_str() {
                "postgres_verbose" => Intervals::Verbose,
                "sql_standard" => Intervals::SqlStandard,
                "iso_8601" => Intervals::Iso8601,
                _ => Intervals::Postgres,
            },
            is_bytea_escaped: get("bytea_output") == "escape",
            float_digits: get("extra_float_digits")
                .parse()
                .ok()
                .filter(|digits| *digits <= 0),
            ..Self::plain(settings.zone())
        };
        style.is_plain = style.dates == Dates::Iso
            && style.intervals == Intervals::Postgres
            && !style.is_bytea_escaped
            && style.float_digits.is_none();
        style
    }

    pub fn push_float4(&self, out: &mut Vec<u8>, value: f32) {
        match self.float_digits.filter(|_| value.is_finite()) {
            None => text::push_float4(out, value),
            Some(digits) => push_rounded(out, value.into(), 6 + digits),
        }
    }

    pub fn push_float8(&self, out: &mut Vec<u8>, value: f64) {
        match self.float_digits.filter(|_| value.is_finite()) {
            None => text::push_float8(out, value),
            Some(digits) => push_rounded(out, value, 15 + digits),
        }
    }

    pub fn push_bytea(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        if !self.is_bytea_escaped {
            return text::push_bytea(out, bytes);
        }
        for byte in bytes {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                0x20..=0x7e => out.push(*byte),
                _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            }
        }
    }

    pub fn push_date(&self, out: &mut Vec<u8>, days: i64) {
        let is_infinite = days == i64::from(i32::MAX) || days == i64::from(i32::MIN);
        if self.dates == Dates::Iso || is_infinite {
            return text::push_date(out, days);
        }
        let date = Civil::of(days);
        let (day, month, year) = (date.day, date.month, date.year());
        let (first, second) = match self.is_day_first || self.dates == Dates::German {
            true => (day, month),
            false => (month, day),
        };
        let sign = match self.dates {
            Dates::German => '.',
            Dates::Sql => '/',
            Dates::Iso | Dates::Postgres => '-',
        };
        let text = format!("{first:02}{sign}{second:02}{sign}{year:04}{}", date.era());
        out.extend_from_slice(text.as_bytes());
    }

    pub fn push_timestamp(&self, out: &mut Vec<u8>, micros: i64) {
        if self.dates == Dates::Iso || is_infinite(micros) {
            return text::push_timestamp(out, micros);
        }
        self.push_moment(out, micros, "");
    }

    pub fn push_timestamptz(&self, out: &mut Vec<u8>, micros: i64) {
        if self.dates == Dates::Iso || is_infinite(micros) {
            return text::push_timestamptz(out, micros, self.zone);
        }
        let offset = self.zone.offset_at(micros);
        let local = micros.saturating_add(i64::from(offset) * MICROS_PER_SECOND);
        let name = match self.zone {
            Zone::UTC => "UTC".to_owned(),
            Zone::Fixed(offset) => offset_text(offset),
            Zone::Named(zone) => DateTime::from_timestamp_micros(text::within_tables(micros))
                .and_then(|at| {
                    let offset = zone.offset_from_utc_datetime(&at.naive_utc());
                    offset.abbreviation().map(str::to_owned)
                })
                .unwrap_or_else(|| offset_text(offset)),
        };
        self.push_moment(out, local, &format!(" {name}"));
    }

    /// A day and a time in one of the styles that are not ISO.
    fn push_moment(&self, out: &mut Vec<u8>, micros: i64, zone: &str) {
        let days = micros.div_euclid(MICROS_PER_DAY);
        let date = Civil::of(days);
        let (day, month, year) = (date.day, date.month, date.year());
        let mut time = Vec::new();
        text::push_time(&mut time, micros.rem_euclid(MICROS_PER_DAY));
        let time = String::from_utf8_lossy(&time);
        let moment = match (self.dates, self.is_day_first) {
            (Dates::German, _) => format!("{day:02}.{month:02}.{year:04} {time}"),
            (Dates::Sql, true) => format!("{day:02}/{month:02}/{year:04} {time}"),
            (Dates::Sql, false) => format!("{month:02}/{day:02}/{year:04} {time}"),
            (Dates::Iso | Dates::Postgres, _) => {
                let weekday = WEEKDAYS[(days + 4).rem_euclid(7) as usize];
                let month = MONTHS[month as usize - 1];
                match self.is_day_first {
                    true => format!("{weekday} {day:02} {month} {time} {year:04}"),
                    false => format!("{weekday} {month} {day:02} {time} {year:04}"),
                }
            }
        };
        out.extend_from_slice(moment.as_bytes());
        out.extend_from_slice(zone.as_bytes());
        out.extend_from_slice(date.era().as_bytes());
    }

    pub fn push_interval(&self, out: &mut Vec<u8>, months: i32, days: i32, micros: i64) {
        let parts = Parts::of(months, days, micros);
        match self.intervals {
            Intervals::Postgres => text::push_interval(out, months, days, micros),
            Intervals::Verbose => out.extend_from_slice(parts.verbose().as_bytes()),
            Intervals::SqlStandard => out.extend_from_slice(parts.sql_standard().as_bytes()),
            Intervals::Iso8601 => out.extend_from_slice(parts.iso_8601().as_bytes()),
        }
    }

    /// Whether all of these are as `text.rs` writes them.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn is_infinite(micros: i64) -> bool {
    micros == i64::MAX || micros == i64::MIN
}

fn offset_text(offset: i32) -> String {
    let mut out = Vec::new();
    text::push_offset(&mut out, offset);
    String::from_utf8_lossy(&out).into_owned()
}

/// A day of the calendar; years before the first are 0 and less.
struct Civil {
    astronomical_year: i64,
    month: u32,
    day: u32,
}

impl Civil {
    fn of(days: i64) -> Self {
        let (astronomical_year, month, day) = text::civil(days);
        Self {
            astronomical_year,
            month,
            day,
        }
    }

    fn year(&self) -> i64 {
        match self.astronomical_year {
            year @ 1.. => year,
            year => 1 - year,
        }
    }

    fn era(&self) -> &'static str {
        if self.astronomical_year > 0 {
            ""
        } else {
            " BC"
        }
    }
}

/// `%.*g` of C, with so many significant digits, but at least one.
fn push_rounded(out: &mut Vec<u8>, value: f64, digits: i32) {
    let digits = digits.max(1);
    let rounded = format!("{value:.*e}", digits as usize - 1);
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().expect("written by a formatter");
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let text = if (-4..digits).contains(&exponent) {
        trimmed(&format!("{value:.*}", (digits - 1 - exponent) as usize))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
    };
    out.extend_from_slice(text.as_bytes());
}

/// The fields of an interval, each with its own sign.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Parts {
    fn of(months: i32, days: i32, micros: i64) -> Self {
        let seconds = micros / MICROS_PER_SECOND;
        Self {
            years: (months / 12).into(),
            months: (months % 12).into(),
            days: days.into(),
            hours: seconds / 3600,
            minutes: seconds / 60 % 60,
            seconds: seconds % 60,
            micros: micros % MICROS_PER_SECOND,
        }
    }

    fn all(&self) -> [i64; 7] {
        [
            self.years,
            self.months,
            self.days,
            self.hours,
            self.minutes,
            self.seconds,
            self.micros,
        ]
    }

    /// Without a sign.
    fn second_text(&self, is_padded: bool) -> String {
        let seconds = self.seconds.abs();
        let mut text = match is_padded {
            true => format!("{seconds:02}"),
            false => seconds.to_string(),
        };
        if self.micros != 0 {
            let fraction = format!(".{:06}", self.micros.abs());
            text.push_str(fraction.trim_end_matches('0'));
        }
        text
    }

    fn has_seconds(&self) -> bool {
        self.seconds != 0 || self.micros != 0
    }

    /// `IntervalStyle = sql_standard`
    fn sql_standard(&self) -> String {
        let has_negative = self.all().iter().any(|part| *part < 0);
        let has_positive = self.all().iter().any(|part| *part > 0);
        let has_months = self.years != 0 || self.months != 0;
        let has_time = self.hours != 0 || self.minutes != 0 || self.has_seconds();
        if !has_negative && !has_positive {
            return "0".to_owned();
        }
        let seconds = self.second_text(true);
        let (years, months, days) = (self.years.abs(), self.months.abs(), self.days.abs());
        let (hours, minutes) = (self.hours.abs(), self.minutes.abs());
        let is_mixed = has_negative && has_positive;
        if is_mixed || (has_months && (self.days != 0 || has_time)) {
            let sign = |is_negative: bool| if is_negative { '-' } else { '+' };
            let of_months = sign(self.years < 0 || self.months < 0);
            let of_days = sign(self.days < 0);
            let of_time = sign(self.all()[3..].iter().any(|part| *part < 0));
            return format!(
                "{of_months}{years}-{months} {of_days}{days} {of_time}{hours}:{minutes:02}:{seconds}"
            );
        }
        let sign = if has_negative { "-" } else { "" };
        if has_months {
            format!("{sign}{years}-{months}")
        } else if self.days != 0 {
            format!("{sign}{days} {hours}:{minutes:02}:{seconds}")
        } else {
            format!("{sign}{hours}:{minutes:02}:{seconds}")
        }
    }

    /// `IntervalStyle = iso_8601`
    fn iso_8601(&self) -> String {
        if self.all() == [0; 7] {
            return "PT0S".to_owned();
        }
        let mut text = "P".to_owned();
        let put = |text: &mut String, value: i64, unit: char| {
            if value != 0 {
                text.push_str(&format!("{value}{unit}"));
            }
        };
        put(&mut text, self.years, 'Y');
        put(&mut text, self.months, 'M');
        put(&mut text, self.days, 'D');
        if self.hours != 0 || self.minutes != 0 || self.has_seconds() {
            text.push('T');
        }
        put(&mut text, self.hours, 'H');
        put(&mut text, self.minutes, 'M');
        if self.has_seconds() {
            if self.seconds < 0 || self.micros < 0 {
                text.push('-');
            }
            text.push_str(&self.second_text(false));
            text.push('S');
        }
        text
    }

    /// `IntervalStyle = postgres_verbose`
    fn verbose(&self) -> String {
        let mut text = "@".to_owned();
        let mut is_zero = true;
        let mut is_before = false;
        for (value, unit) in [
            (self.years, "year"),
            (self.months, "mon"),
            (self.days, "day"),
            (self.hours, "hour"),
            (self.minutes, "min"),
        ] {
            if value == 0 {
                continue;
            }
            is_before = if is_zero { value < 0 } else { is_before };
            let value = if is_before { -value } else { value };
            let plural = if value == 1 { "" } else { "s" };
            text.push_str(&format!(" {value} {unit}{plural}"));
            is_zero = false;
        }
        if self.has_seconds() {
            text.push(' ');
            let is_negative = self.seconds < 0 || self.micros < 0;
            if is_zero {
                is_before = is_negative;
            } else if is_negative != is_before {
                text.push('-');
            }
            text.push_str(&self.second_text(false));
            let is_one = self.seconds.abs() == 1 && self.micros == 0;
            text.push_str(if is_one { " sec" } else { " secs" });
            is_zero = false;
        }
        if is_zero {
            text.push_str(" 0");
        }
        if is_before {
            text.push_str(" ago");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rapport_catalog_postgres::Settings;

    /// Every expectation below is what PostgreSQL 15 prints.
    fn check(setting: &str, value: &str, expected: &str, push: impl FnOnce(&Style, &mut Vec<u8>)) {
        let settings: Settings = [
            (setting.to_owned(), value.to_owned()),
            ("timezone".to_owned(), "Europe/Berlin".to_owned()),
        ]
        .into();
        let style = Style::of(&SessionSettings::new(settings));
        let mut out = Vec::new();
        push(&style, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{setting} {value}");
    }

    #[test]
    fn dates_come_in_four_styles() {
        for (value, date, moment, instant) in [
            (
                "ISO, MDY",
                "2024-02-29",
                "2024-02-29 12:34:56.5",
                "2024-02-29 13:34:56.5+01",
            ),
            (
                "SQL, MDY",
                "02/29/2024",
                "02/29/2024 12:34:56.5",
                "02/29/2024 13:34:56.5 CET",
            ),
            (
                "SQL, DMY",
                "29/02/2024",
                "29/02/2024 12:34:56.5",
                "29/02/2024 13:34:56.5 CET",
            ),
            (
                "German, DMY",
                "29.02.2024",
                "29.02.2024 12:34:56.5",
                "29.02.2024 13:34:56.5 CET",
            ),
            (
                "Postgres, MDY",
                "02-29-2024",
                "Thu Feb 29 12:34:56.5 2024",
                "Thu Feb 29 13:34:56.5 2024 CET",
            ),
            (
                "Postgres, DMY",
                "29-02-2024",
                "Thu 29 Feb 12:34:56.5 2024",
                "Thu 29 Feb 13:34:56.5 2024 CET",
            ),
        ] {
            let days = 19_782;
            let micros = days * MICROS_PER_DAY + 45_296_500_000;
            check("datestyle", value, date, |style, out| {
                style.push_date(out, days)
            });
            check("datestyle", value, moment, |style, out| {
                style.push_timestamp(out, micros)
            });
            check("datestyle", value, instant, |style, out| {
                style.push_timestamptz(out, micros)
            });
        }
        check("datestyle", "German, DMY", "31.12.0001 BC", |style, out| {
            style.push_date(out, -719_163);
        });
        check("datestyle", "German, DMY", "infinity", |style, out| {
            style.push_timestamp(out, i64::MAX);
        });
    }

    #[test]
    fn intervals_come_in_four_styles() {
        for ((months, days, micros), verbose, sql, iso) in [
            ((0, 0, 0), "@ 0", "0", "PT0S"),
            (
                (14, 3, 14_706_700_000),
                "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs",
                "+1-2 +3 +4:05:06.7",
                "P1Y2M3DT4H5M6.7S",
            ),
            (
                (-14, 3, -14_706_000_000),
                "@ 1 year 2 mons -3 days 4 hours 5 mins 6 secs ago",
                "-1-2 +3 -4:05:06",
                "P-1Y-2M3DT-4H-5M-6S",
            ),
            ((14, 0, 0), "@ 1 year 2 mons", "1-2", "P1Y2M"),
            ((-1, 0, 0), "@ 1 mon ago", "-0-1", "P-1M"),
            ((0, 1, 1_000_000), "@ 1 day 1 sec", "1 0:00:01", "P1DT1S"),
            ((0, 0, -500_000), "@ 0.5 secs ago", "-0:00:00.5", "PT-0.5S"),
            (
                (0, -1, 500_000),
                "@ 1 day -0.5 secs ago",
                "+0-0 -1 +0:00:00.5",
                "P-1DT0.5S",
            ),
        ] {
            let push = |style: &Style, out: &mut Vec<u8>| {
                style.push_interval(out, months, days, micros);
            };
            check("intervalstyle", "postgres_verbose", verbose, push);
            check("intervalstyle", "sql_standard", sql, push);
            check("intervalstyle", "iso_8601", iso, push);
        }
    }

    #[test]
    fn floats_lose_digits() {
        for (digits, value, expected) in [
            ("0", 0.1, "0.1"),
            ("0", 0.1 + 0.2, "0.3"),
            ("0", 1e15, "1e+15"),
            ("0", 123_456_789_012_345.0, "123456789012345"),
            ("0", 0.00001, "1e-05"),
            ("0", -0.0, "-0"),
            ("-13", 1234.5, "1.2e+03"),
            ("-15", 0.55, "0.6"),
            ("-15", f64::INFINITY, "Infinity"),
            ("3", 0.1 + 0.2, "0.30000000000000004"),
        ] {
            check("extra_float_digits", digits, expected, |style, out| {
                style.push_float8(out, value);
            });
        }
        check("extra_float_digits", "0", "3.14159", |style, out| {
            style.push_float4(out, std::f32::consts::PI);
        });
    }

    #[test]
    fn bytea_is_escaped() {
        check("bytea_output", "escape", "a\\\\\\000\\377", |style, out| {
            style.push_bytea(out, b"a\\\0\xff");
        });
    }
}
