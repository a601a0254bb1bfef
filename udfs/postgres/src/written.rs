//! Dates and times as PostgreSQL writes them with `DateStyle = ISO`, appended to a text.

use crate::calendar::civil;
use crate::moment::{DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MINUS_INFINITY};
use crate::span::push_fraction;
use crate::zone::{DAY, SECOND};

/// Two digits.
#[inline]
pub(crate) fn push_two(out: &mut String, value: i64) {
    out.push(char::from(b'0' + (value / 10 % 10) as u8));
    out.push(char::from(b'0' + (value % 10) as u8));
}

pub(crate) fn push_date(out: &mut String, day: i32) {
    match day {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_MINUS_INFINITY => out.push_str("-infinity"),
        day => {
            if push_civil(out, day.into()) {
                out.push_str(" BC");
            }
        }
    }
}

/// Without its era; true if " BC" has to follow.
fn push_civil(out: &mut String, day: i64) -> bool {
    use std::fmt::Write;
    let date = civil(day);
    let before_christ = date.year <= 0;
    let year = if before_christ {
        1 - date.year
    } else {
        date.year
    };
    match year {
        ..10_000 => {
            push_two(out, year / 100);
            push_two(out, year % 100);
        }
        _ => {
            let _ = write!(out, "{year}");
        }
    }
    out.push('-');
    push_two(out, date.month);
    out.push('-');
    push_two(out, date.day);
    before_christ
}

/// A time of day, or 24:00:00.
pub(crate) fn push_time(out: &mut String, micros: i64) {
    let seconds = micros / SECOND;
    push_two(out, seconds / 3600);
    out.push(':');
    push_two(out, seconds / 60 % 60);
    out.push(':');
    push_two(out, seconds % 60);
    push_fraction(out, (micros % SECOND) as u64);
}

/// A time of day, in microseconds.
pub fn time_text(micros: i64) -> String {
    let mut text = String::new();
    push_time(&mut text, micros);
    text
}

pub(crate) fn push_timestamp(out: &mut String, micros: i64) {
    push_at(out, micros, 0, |_| {});
}

/// `offset` is that of the session's clocks at the moment, in seconds.
pub(crate) fn push_timestamptz(out: &mut String, micros: i64, offset: i32) {
    push_at(out, micros, offset, |out| {
        out.push(if offset < 0 { '-' } else { '+' });
        let offset = i64::from(offset.unsigned_abs());
        push_two(out, offset / 3600);
        let (minutes, seconds) = (offset / 60 % 60, offset % 60);
        if minutes != 0 || seconds != 0 {
            out.push(':');
            push_two(out, minutes);
        }
        if seconds != 0 {
            out.push(':');
            push_two(out, seconds);
        }
    });
}

fn push_at(out: &mut String, micros: i64, offset: i32, zone: impl Fn(&mut String)) {
    match micros {
        INFINITY => out.push_str("infinity"),
        MINUS_INFINITY => out.push_str("-infinity"),
        micros => {
            let local = micros.saturating_add(i64::from(offset) * SECOND);
            let before_christ = push_civil(out, local.div_euclid(DAY));
            out.push(' ');
            push_time(out, local.rem_euclid(DAY));
            zone(out);
            if before_christ {
                out.push_str(" BC");
            }
        }
    }
}
