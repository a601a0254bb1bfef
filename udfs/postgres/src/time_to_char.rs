//! `to_char` of moments and intervals.

use std::fmt::Write;

use crate::calendar::{JULIAN, civil, day_of_week, day_of_year, first_of_iso_year, iso_week};
use crate::refusal::Refusal;
use crate::span::Span;
use crate::template::{Case, DAYS, Field, Key, MONTHS, Node, ROMAN, ordinal};
use crate::zone::{Clocks, DAY, HOUR, MINUTE, SECOND, Zone};

/// What is shown, in parts.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    day_of_year: i64,
    /// Days since 1970; an interval has none.
    date: Option<i64>,
    /// Seconds east of Greenwich.
    offset: i64,
}

/// A moment on the clocks of a zone; without one, a timestamp without zone.
pub(crate) fn moment(nodes: &[Node], at: i64, clocks: Option<&mut Clocks>, out: &mut String) {
    let (offset, zone) = match clocks {
        Some(clocks) => (clocks.offset(at), Some(clocks.zone())),
        None => (0, None),
    };
    let local = at + offset;
    let (date, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let of = civil(date);
    let parts = Parts {
        year: of.year,
        month: of.month,
        day: of.day,
        hour: time / HOUR,
        minute: time / MINUTE % 60,
        second: time / SECOND % 60,
        micros: time % SECOND,
        day_of_year: day_of_year(date),
        date: Some(date),
        offset: offset / SECOND,
    };
    for node in nodes {
        match node {
            Node::Separator(c) | Node::Character(c) => out.push(*c),
            Node::Field(field) => push(&parts, field, at, zone, out),
        }
    }
}

/// 22007 for a pattern that needs a date.
pub(crate) fn interval(nodes: &[Node], span: Span, out: &mut String) -> Result<(), Refusal> {
    let (year, month) = (i64::from(span.months / 12), i64::from(span.months % 12));
    let parts = Parts {
        year,
        month,
        day: span.days.into(),
        hour: span.micros / HOUR,
        minute: span.micros / MINUTE % 60,
        second: span.micros / SECOND % 60,
        micros: span.micros % SECOND,
        day_of_year: i64::from(span.months) * 30 + i64::from(span.days),
        date: None,
        offset: 0,
    };
    for node in nodes {
        match node {
            Node::Separator(c) | Node::Character(c) => out.push(*c),
            Node::Field(field) if needs_date(field.key) => {
                return Err(Refusal::new(
                    "22007",
                    "invalid format specification for an interval value",
                )
                .with_hint("Intervals are not tied to specific calendar dates."));
            }
            Node::Field(field) => push(&parts, field, 0, None, out),
        }
    }
    Ok(())
}

fn needs_date(key: Key) -> bool {
    matches!(
        key,
        Key::Zone(_)
            | Key::ZoneHour
            | Key::ZoneMinute
            | Key::Offset
            | Key::Era(..)
            | Key::MonthName(_)
            | Key::MonthShort(_)
            | Key::DayName(_)
            | Key::DayShort(_)
            | Key::DayOfWeek
            | Key::IsoDayOfWeek
    )
}

/// An interval's parts as if they were a date: the sum that PostgreSQL makes of them, month 0 and all.
fn day_like(parts: &Parts) -> i64 {
    let (year, month) = match parts.month > 2 {
        true => (parts.year + 4800, parts.month + 1),
        false => (parts.year + 4799, parts.month + 13),
    };
    let century = year / 100;
    let julian = year * 365 - 32_167 + year / 4 - century + century / 4;
    julian + 7_834 * month / 256 + parts.day - JULIAN
}

/// Digits with zeros in front; a minus is one digit more.
fn padded(out: &mut String, value: i64, width: usize, field: &Field) {
    let start = out.len();
    if width == 2 && !field.fill && (0..100).contains(&value) {
        crate::written::push_two(out, value);
    } else {
        let width = match (field.fill, value < 0) {
            (true, _) => 0,
            (false, true) => width + 1,
            (false, false) => width,
        };
        let _ = write!(out, "{value:0width$}");
    }
    push_ordinal(out, start, field);
}

fn push_ordinal(out: &mut String, start: usize, field: &Field) {
    if let Some(upper) = field.th {
        let mark = ordinal(&out[start..], upper);
        out.push_str(mark);
    }
}

fn push_word(out: &mut String, word: &str, case: Case, width: usize, field: &Field) {
    let start = out.len();
    match case {
        Case::Title => out.push_str(word),
        Case::Upper => out.extend(word.chars().map(|c| c.to_ascii_uppercase())),
        Case::Lower => out.extend(word.chars().map(|c| c.to_ascii_lowercase())),
    }
    if !field.fill && !field.local {
        while out.len() < start + width {
            out.push(' ');
        }
    }
}

fn push(parts: &Parts, field: &Field, at: i64, zone: Option<Zone>, out: &mut String) {
    let is_interval = parts.date.is_none();
    let date = parts.date.unwrap_or_else(|| day_like(parts));
    // Years before Christ are counted from 1.
    let shown = |year: i64| match is_interval || year > 0 {
        true => year,
        false => 1 - year,
    };
    match field.key {
        Key::Half(case, points) => {
            let word = match (parts.hour % 24 >= 12, points) {
                (false, false) => "AM",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (true, true) => "P.M.",
            };
            push_word(out, word, case, 0, field);
        }
        Key::Era(case, points) => {
            let word = match (parts.year <= 0, points) {
                (false, false) => "AD",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (true, true) => "B.C.",
            };
            push_word(out, word, case, 0, field);
        }
        Key::Hour12 => {
            let hour = match parts.hour % 12 {
                0 => 12,
                hour => hour,
            };
            // Its width goes by the hour of the day.
            let width = if parts.hour < 0 && hour >= 0 { 3 } else { 2 };
            padded(out, hour, width, field);
        }
        Key::Hour24 => padded(out, parts.hour, 2, field),
        Key::Minute => padded(out, parts.minute, 2, field),
        Key::Second => padded(out, parts.second, 2, field),
        Key::Fraction(digits) => {
            let value = parts.micros / 10_i64.pow(6 - digits);
            fraction(out, value, digits as usize, field);
        }
        Key::Milliseconds => fraction(out, parts.micros / 1_000, 3, field),
        Key::Microseconds => fraction(out, parts.micros, 6, field),
        Key::SecondOfDay => {
            let value = parts.hour * 3600 + parts.minute * 60 + parts.second;
            fraction(out, value, 0, field);
        }
        Key::Exact => {}
        Key::Zone(case) => {
            if let Some(zone) = zone {
                let name = zone.abbreviation_at(at);
                match case {
                    Case::Lower => out.push_str(&name.to_ascii_lowercase()),
                    _ => out.push_str(&name),
                }
            }
        }
        Key::ZoneHour => {
            out.push(if parts.offset < 0 { '-' } else { '+' });
            crate::written::push_two(out, parts.offset.abs() / 3600);
        }
        Key::ZoneMinute => crate::written::push_two(out, parts.offset.abs() % 3600 / 60),
        Key::Offset => {
            out.push(if parts.offset < 0 { '-' } else { '+' });
            let width = if field.fill { 0 } else { 2 };
            let _ = write!(out, "{:0width$}", parts.offset.abs() / 3600);
            if parts.offset % 3600 != 0 {
                let _ = write!(out, ":{:02}", parts.offset.abs() % 3600 / 60);
            }
        }
        Key::MonthName(case) => {
            push_word(out, MONTHS[(parts.month - 1) as usize], case, 9, field);
        }
        Key::MonthShort(case) => {
            push_word(
                out,
                &MONTHS[(parts.month - 1) as usize][..3],
                case,
                0,
                field,
            );
        }
        Key::Month => padded(out, parts.month, 2, field),
        Key::DayName(case) => push_word(out, DAYS[day_of_week(date) as usize], case, 9, field),
        Key::DayShort(case) => {
            push_word(out, &DAYS[day_of_week(date) as usize][..3], case, 0, field);
        }
        Key::DayOfYear => width(out, parts.day_of_year, 3, field),
        Key::IsoDayOfYear => {
            let (year, _) = iso_week(date);
            width(out, date - first_of_iso_year(year) + 1, 3, field);
        }
        Key::Day => width(out, parts.day, 2, field),
        Key::DayOfWeek => fraction(out, day_of_week(date) + 1, 0, field),
        Key::IsoDayOfWeek => fraction(out, (day_of_week(date) + 6) % 7 + 1, 0, field),
        Key::Week => width(out, (parts.day_of_year - 1) / 7 + 1, 2, field),
        Key::IsoWeek => width(out, iso_week(date).1, 2, field),
        Key::Quarter => {
            if parts.month != 0 {
                fraction(out, (parts.month - 1) / 3 + 1, 0, field);
            }
        }
        Key::Century => {
            let century = match (is_interval, parts.year > 0) {
                (true, _) => parts.year / 100,
                (false, true) => (parts.year - 1) / 100 + 1,
                (false, false) => parts.year / 100 - 1,
            };
            match century.abs() <= 99 {
                true => padded(out, century, 2, field),
                false => fraction(out, century, 0, field),
            }
        }
        Key::YearWithComma => {
            let start = out.len();
            let year = shown(parts.year);
            let thousands = year / 1000;
            let _ = write!(out, "{thousands},{:03}", year - thousands * 1000);
            push_ordinal(out, start, field);
        }
        Key::Year(digits) => year(out, shown(parts.year), shown(parts.year) < 0, digits, field),
        Key::IsoYear(digits) => {
            year(
                out,
                shown(iso_week(date).0),
                shown(parts.year) < 0,
                digits,
                field,
            );
        }
        Key::Roman(case) => {
            if parts.month == 0 && parts.year == 0 {
                return;
            }
            let month = match parts.month {
                0 if parts.year >= 0 => 11,
                0 => 0,
                month if month < 0 => 12 + month,
                month => month - 1,
            };
            let word = ROMAN[month as usize];
            push_word(
                out,
                word,
                case,
                4,
                &Field {
                    local: false,
                    ..*field
                },
            );
        }
        Key::WeekOfMonth => fraction(out, (parts.day - 1) / 7 + 1, 0, field),
        Key::Julian => fraction(out, date + JULIAN, 0, field),
    }
}

/// Padded whatever the fill mode says.
fn fraction(out: &mut String, value: i64, digits: usize, field: &Field) {
    let start = out.len();
    let _ = write!(out, "{value:0digits$}");
    push_ordinal(out, start, field);
}

/// Padded to a width that a minus is part of.
fn width(out: &mut String, value: i64, digits: usize, field: &Field) {
    let digits = if field.fill { 0 } else { digits };
    fraction(out, value, digits, field);
}

/// The last digits of a year; `negative` makes room for a minus, whether there is one or not.
fn year(out: &mut String, year: i64, negative: bool, digits: u32, field: &Field) {
    let value = match digits {
        4 => year,
        digits => year % 10_i64.pow(digits),
    };
    let room = digits as usize + usize::from(negative);
    match digits {
        1 => fraction(out, value, 1, field),
        _ => width(out, value, room, field),
    }
}
