//! Values in PostgreSQL's own text form, appended to a buffer without allocating.
//!
//! The forms are those of `DateStyle = ISO`, `IntervalStyle = postgres`, `bytea_output = hex` and
//! `extra_float_digits = 1`: the shortest text that reads back as the same value.

use chrono::{DateTime, Offset, TimeZone};

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The session's `TimeZone`, ready to shift instants with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(chrono_tz::Tz),
}

impl Zone {
    pub const UTC: Zone = Zone::Fixed(0);

    /// Understands what `SHOW TimeZone` says: a name of the tz database, or a fixed offset in POSIX form such
    /// as `<+02>-02`, where the sign is turned round.
    pub fn parse(text: &str) -> Option<Zone> {
        if matches!(text, "UTC" | "Etc/UTC" | "Zulu" | "Universal" | "UCT") {
            return Some(Zone::UTC);
        }
        if let Ok(zone) = text.parse::<chrono_tz::Tz>() {
            return Some(Zone::Named(zone));
        }
        let west = match text.strip_prefix('<') {
            Some(rest) => rest.split_once('>')?.1,
            None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
        };
        let (sign, digits) = match west.strip_prefix('-') {
            Some(digits) => (1, digits),
            None => (-1, west.strip_prefix('+').unwrap_or(west)),
        };
        let mut seconds = 0;
        let mut unit = 3600;
        for part in digits.split(':') {
            seconds += part
                .parse::<i32>()
                .ok()
                .filter(|part| (0..168).contains(part))?
                * unit;
            unit /= 60;
        }
        Some(Zone::Fixed(sign * seconds))
    }

    /// Seconds east of Greenwich at an instant given in microseconds since 1970.
    pub fn offset_at(self, micros: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(zone) => {
                DateTime::from_timestamp_micros(within_tables(micros)).map_or(0, |at| {
                    zone.offset_from_utc_datetime(&at.naive_utc())
                        .fix()
                        .local_minus_utc()
                })
            }
        }
    }
}

/// The same moment of a year before 2100 that has the same days: the tables of time zones end there, their rules do not.
pub fn within_tables(micros: i64) -> i64 {
    const END: i64 = 47_482 * MICROS_PER_DAY;
    if micros < END {
        return micros;
    }
    let (year, _, _) = civil(micros.div_euclid(MICROS_PER_DAY));
    let new_year = |year| days_from_civil(year, 1, 1);
    let length = |year| new_year(year + 1) - new_year(year);
    let alike = |other: &i64| {
        length(*other) == length(year) && (new_year(*other) - new_year(year)) % 7 == 0
    };
    // Weekdays and leap years come round in 28 years.
    let other = (2071..2099).find(alike).unwrap_or(2098);
    micros - (new_year(year) - new_year(other)) * MICROS_PER_DAY
}

pub fn push_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { b't' } else { b'f' });
}

pub fn push_int(out: &mut Vec<u8>, value: impl Into<i128>) {
    let value = value.into();
    if value < 0 {
        out.push(b'-');
    }
    match u64::try_from(value.unsigned_abs()) {
        Ok(magnitude) => {
            let start = out.len();
            let end = n_digits(magnitude);
            put_digits(&mut push_room(out, &[b'0'; DIGITS])[..end], magnitude);
            out.truncate(start + end);
        }
        Err(_) => {
            let mut buffer = itoa::Buffer::new();
            out.extend_from_slice(buffer.format(value.unsigned_abs()).as_bytes());
        }
    }
}

/// Appends the first `n` bytes of `text`. To copy always as many is quicker than to copy as many as there are.
pub fn push_first<const N: usize>(out: &mut Vec<u8>, text: &[u8; N], n: usize) {
    let end = out.len() + n;
    out.extend_from_slice(text);
    out.truncate(end);
}

/// Appends a text to be written over: what is written in its place at once is not copied there.
fn push_room<'a, const N: usize>(out: &'a mut Vec<u8>, text: &[u8; N]) -> &'a mut [u8; N] {
    out.extend_from_slice(text);
    out.last_chunk_mut().expect("it has just been appended")
}

pub fn push_float8(out: &mut Vec<u8>, value: f64) {
    if push_short(out, value) || push_not_finite(out, value) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value);
    let is_even = value.to_bits() & 1 == 0;
    if is_even && is_on_edge(shortest, value.abs(), 52) {
        let inner = inner_text(value, shortest);
        push_shortest(out, &inner, value.abs(), 1e-4..1e15);
    } else {
        push_shortest(out, shortest, value.abs(), 1e-4..1e15);
    }
}

pub fn push_float4(out: &mut Vec<u8>, value: f32) {
    let size = f64::from(value.abs());
    let plain = f64::from(1e-4_f32)..1e6;
    if push_not_finite(out, f64::from(value)) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value);
    let is_even = value.to_bits() & 1 == 0;
    if is_even && is_on_edge(shortest, size, 23) {
        push_shortest(out, &inner_text(value, shortest), size, plain);
    } else {
        push_shortest(out, shortest, size, plain);
    }
}

/// Numbers of few digits, such as prices and shares: ryu is slow where it has to take many zeros off. False if it is not
/// one of these.
///
/// Among the texts of up to fifteen digits only one reads back as the number, so that there is no shorter one.
fn push_short(out: &mut Vec<u8>, value: f64) -> bool {
    const SCALE: usize = 7;
    const POWER: f64 = 1e7;
    let size = value.abs();
    if !(1e-4..1e8).contains(&size) && size != 0.0 {
        return false;
    }
    let scaled = (size * POWER + 0.5) as i64;
    // Both are exact, and so is what is nearest to the quotient: it is what the text would be read as.
    if scaled as f64 / POWER != size {
        return false;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    push_small_decimal(out, scaled as u64, SCALE, 0);
    true
}

fn push_not_finite(out: &mut Vec<u8>, value: f64) -> bool {
    if value.is_finite() {
        return false;
    }
    out.extend_from_slice(match (value.is_nan(), value > 0.0) {
        (true, _) => b"NaN",
        (false, true) => b"Infinity",
        (false, false) => b"-Infinity",
    });
    true
}

/// Whether ryu's text lies exactly half-way to a neighbour of the number, and reads back as the number only because
/// ties go to even ones. ryu takes such a text, PostgreSQL does not: it prints 1e23 as 9.999999999999999e+22.
///
/// Only numbers so large that they are whole, and so is half the distance to their neighbours, can have such a text:
/// half-way points with a fraction have more digits than the number itself.
fn is_on_edge(ryu: &str, size: f64, mantissa_bits: u32) -> bool {
    let smallest = (1u64 << (mantissa_bits + 2)) as f64;
    if !(smallest..1e38).contains(&size) {
        return false;
    }
    let (mantissa, exponent) = parts(ryu);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.bytes().chain(fraction.bytes());
    let digits = digits.fold(0u128, |digits, digit| {
        digits * 10 + u128::from(digit - b'0')
    });
    let Ok(zeros) = u32::try_from(exponent - fraction.len() as i32) else {
        return false;
    };
    let Some(decimal) = 10u128
        .checked_pow(zeros)
        .and_then(|power| power.checked_mul(digits))
    else {
        return false;
    };
    let exact = size as u128;
    let distance = 1u128 << (127 - exact.leading_zeros() - mantissa_bits);
    exact.abs_diff(decimal) * 2 == distance
}

/// The shortest text that reads back as `value` without lying on the edge, where ryu's does.
fn inner_text<F: std::fmt::LowerExp + std::str::FromStr + PartialEq>(
    value: F,
    ryu: &str,
) -> String {
    let edge = significant(ryu);
    (1..17)
        .map(|digits| format!("{value:.digits$e}"))
        .find(|text| significant(text) != edge && text.parse().is_ok_and(|read: F| read == value))
        .unwrap_or_else(|| ryu.to_owned())
}

/// Mantissa and exponent of what ryu and the standard library write.
fn parts(text: &str) -> (&str, i32) {
    let text = text.trim_start_matches('-');
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa, exponent.parse().expect("written by a formatter"))
}

/// The digits that say something, to compare texts that are laid out differently.
fn significant(text: &str) -> String {
    let (mantissa, _) = parts(text);
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    digits.trim_matches('0').to_owned()
}

/// Turns ryu's layout into PostgreSQL's: no `.0`, and an exponent of at least two digits outside `plain`.
fn push_shortest(out: &mut Vec<u8>, ryu: &str, size: f64, plain: std::ops::Range<f64>) {
    if size == 0.0 || plain.contains(&size) {
        out.extend_from_slice(ryu.strip_suffix(".0").unwrap_or(ryu).as_bytes());
        return;
    }
    let (sign, ryu) = match ryu.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", ryu),
    };
    let (mantissa, exponent) = ryu.split_once('e').unwrap_or((ryu, "0"));
    let exponent: i32 = exponent.parse().expect("ryu writes a number");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

    // All digits, of which the first significant one decides the exponent.
    let mut digits = [0u8; 32];
    let n = whole.len() + fraction.len();
    digits[..whole.len()].copy_from_slice(whole.as_bytes());
    digits[whole.len()..n].copy_from_slice(fraction.as_bytes());
    let leading = digits[..n]
        .iter()
        .take_while(|&&digit| digit == b'0')
        .count();
    let trailing = digits[leading..n]
        .iter()
        .rev()
        .take_while(|&&digit| digit == b'0')
        .count();
    let digits = &digits[leading..n - trailing];
    let exponent = exponent + whole.len() as i32 - leading as i32 - 1;

    out.extend_from_slice(sign.as_bytes());
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.push(b'e');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    push_padded(out, exponent.unsigned_abs(), 2);
}

/// Zero-padded on the left to `width`.
fn push_padded(out: &mut Vec<u8>, value: u32, width: usize) {
    if width == 2 && value < 100 {
        out.push(b'0' + (value / 10) as u8);
        out.push(b'0' + (value % 10) as u8);
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value);
    for _ in digits.len()..width {
        out.push(b'0');
    }
    out.extend_from_slice(digits.as_bytes());
}

/// `value` × 10^-`scale`, with `least` digits after the point, and more where they are not zeros.
pub fn push_decimal(out: &mut Vec<u8>, value: i128, scale: i8, least: i8) {
    if value < 0 {
        out.push(b'-');
    }
    let magnitude = value.unsigned_abs();
    match (u64::try_from(magnitude), usize::try_from(scale)) {
        (Ok(magnitude), Ok(scale)) if scale < DIGITS => {
            push_small_decimal(out, magnitude, scale, usize::try_from(least).unwrap_or(0));
        }
        _ => push_digits(out, itoa::Buffer::new().format(magnitude), scale, least),
    }
}

/// A machine word has no more.
const DIGITS: usize = 20;

const POWERS: [u64; DIGITS] = {
    let mut powers = [1; DIGITS];
    let mut n = 1;
    while n < DIGITS {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

#[inline]
fn push_small_decimal(out: &mut Vec<u8>, magnitude: u64, scale: usize, least: usize) {
    let (whole, mut fraction) = match scale {
        // Money, most often: a division by what is known beforehand is a multiplication.
        2 => (magnitude / 100, magnitude % 100),
        _ => (magnitude / POWERS[scale], magnitude % POWERS[scale]),
    };
    let mut shown = scale;
    while shown > least && fraction % 10 == 0 {
        fraction /= 10;
        shown -= 1;
    }
    let start = out.len();
    let point = n_digits(whole);
    let room = push_room(out, &[b'0'; DIGITS + 2]);
    put_digits(&mut room[..point], whole);
    let end = match shown {
        0 => point,
        _ => point + 1 + shown,
    };
    if shown > 0 {
        room[point] = b'.';
        put_digits(&mut room[point + 1..end], fraction);
    }
    out.truncate(start + end);
}

fn n_digits(value: u64) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

/// Writes a number over zeros, to their end.
fn put_digits(text: &mut [u8], mut value: u64) {
    let mut end = text.len();
    while value >= 10_000 {
        let four = (value % 10_000) as u32;
        value /= 10_000;
        put_two(&mut text[end - 4..end - 2], four / 100);
        put_two(&mut text[end - 2..end], four % 100);
        end -= 4;
    }
    let mut rest = value as u32;
    if rest >= 100 {
        put_two(&mut text[end - 2..end], rest % 100);
        rest /= 100;
        end -= 2;
    }
    if rest >= 10 {
        put_two(&mut text[end - 2..end], rest);
    } else if rest > 0 {
        text[end - 1] = b'0' + rest as u8;
    }
}

/// Places the decimal point in `digits`, which have no sign.
pub fn push_digits(out: &mut Vec<u8>, digits: &str, scale: i8, least: i8) {
    let Ok(scale) = usize::try_from(scale) else {
        out.extend_from_slice(digits.as_bytes());
        if digits != "0" {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    if let Some(whole) = digits.len().checked_sub(scale).filter(|&whole| whole > 0) {
        out.extend_from_slice(&digits.as_bytes()[..whole]);
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(&digits.as_bytes()[whole..]);
        }
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    }
    let spare = scale.saturating_sub(usize::try_from(least).unwrap_or(0));
    let zeros = out.iter().rev().take(spare);
    let zeros = zeros.take_while(|digit| **digit == b'0').count();
    out.truncate(out.len() - zeros);
    if out.last() == Some(&b'.') {
        out.pop();
    }
}

/// Days since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar without end.
///
/// Source: Neri & Schneider (2022), "Euclidean affine functions and their application to calendar algorithms".
pub fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = (days - era * 146_097) as u32;
    let quarters = 4 * day_of_era + 3;
    let century = quarters / 146_097;
    let scaled = 2_939_745 * u64::from((quarters % 146_097) | 3);
    let (year_of_century, day_of_year) = ((scaled >> 32) as u32, scaled as u32 / 2_939_745 / 4);
    let scaled = 2_141 * day_of_year + 197_913;
    let (shifted_month, day) = (scaled >> 16, (scaled & 0xffff) / 2_141 + 1);
    // Years begin in March here.
    let is_next = shifted_month > 12;
    let month = if is_next {
        shifted_month - 12
    } else {
        shifted_month
    };
    let year = era * 400 + i64::from(100 * century + year_of_century) + i64::from(is_next);
    (year, month, day)
}

/// The date without its era; true if " BC" has to follow.
fn push_civil(out: &mut Vec<u8>, days: i64) -> bool {
    let (year, month, day) = civil(days);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year } as u32;
    if year <= 9_999 {
        put_day(push_room(out, b"0000-00-00"), year, month, day);
        return before_christ;
    }
    push_padded(out, year, 4);
    out.push(b'-');
    push_padded(out, month, 2);
    out.push(b'-');
    push_padded(out, day, 2);
    before_christ
}

fn put_day(text: &mut [u8; 10], year: u32, month: u32, day: u32) {
    put_two(&mut text[0..2], year / 100);
    put_two(&mut text[2..4], year % 100);
    put_two(&mut text[5..7], month);
    put_two(&mut text[8..10], day);
}

pub fn push_date(out: &mut Vec<u8>, days: i64) {
    match days {
        // PostgreSQL's infinities are the ends of the range.
        _ if days == i64::from(i32::MAX) => out.extend_from_slice(b"infinity"),
        _ if days == i64::from(i32::MIN) => out.extend_from_slice(b"-infinity"),
        _ => {
            if push_civil(out, days) {
                out.extend_from_slice(b" BC");
            }
        }
    }
}

/// A time of day in microseconds.
pub fn push_time(out: &mut Vec<u8>, micros: i64) {
    let start = out.len();
    let end = put_time(push_room(out, b"00:00:00.000000"), micros);
    out.truncate(start + end);
}

/// Writes a time over one of zeros, and says how much of it is to be shown.
fn put_time(text: &mut [u8; 15], micros: i64) -> usize {
    let seconds = (micros / MICROS_PER_SECOND) as u32;
    let mut fraction = (micros % MICROS_PER_SECOND) as u32;
    put_two(&mut text[0..2], seconds / 3600);
    put_two(&mut text[3..5], seconds / 60 % 60);
    put_two(&mut text[6..8], seconds % 60);
    if fraction == 0 {
        return 8;
    }
    put_two(&mut text[9..11], fraction / 10_000);
    put_two(&mut text[11..13], fraction / 100 % 100);
    put_two(&mut text[13..15], fraction % 100);
    let mut end = text.len();
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        end -= 1;
    }
    end
}

/// Two digits of a number below 100.
fn put_two(text: &mut [u8], value: u32) {
    const PAIRS: [[u8; 2]; 100] = {
        let mut pairs = [[b'0'; 2]; 100];
        let mut value = 0;
        while value < 100 {
            pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
            value += 1;
        }
        pairs
    };
    text.copy_from_slice(&PAIRS[value as usize]);
}

fn push_fraction(out: &mut Vec<u8>, micros: u32) {
    if micros == 0 {
        return;
    }
    out.push(b'.');
    push_padded(out, micros, 6);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Microseconds since 1970, as they stand.
pub fn push_timestamp(out: &mut Vec<u8>, micros: i64) {
    if !push_infinity(out, micros) {
        push_moment(out, micros, None);
    }
}

/// Microseconds since 1970 in UTC, shown on the clocks of `zone`.
pub fn push_timestamptz(out: &mut Vec<u8>, micros: i64, zone: Zone) {
    if push_infinity(out, micros) {
        return;
    }
    let offset = zone.offset_at(micros);
    let local = micros.saturating_add(i64::from(offset) * MICROS_PER_SECOND);
    push_moment(out, local, Some(offset));
}

/// A moment on local clocks, and how far these are east of Greenwich.
fn push_moment(out: &mut Vec<u8>, local: i64, offset: Option<i32>) {
    let (days, time) = (
        local.div_euclid(MICROS_PER_DAY),
        local.rem_euclid(MICROS_PER_DAY),
    );
    let (year, month, day) = civil(days);
    let hours = offset.unwrap_or(0) / 3600;
    let is_usual = offset.is_none_or(|offset| offset == hours * 3600 && hours.abs() < 100);
    if is_usual && (1..=9_999).contains(&year) {
        let start = out.len();
        let text = push_room(out, b"0000-00-00 00:00:00.000000+00");
        let (date, clock) = text.split_at_mut(11);
        let date = date.first_chunk_mut().expect("ten bytes and a space");
        put_day(date, year as u32, month, day);
        let clock = clock.first_chunk_mut().expect("fifteen bytes and a zone");
        let mut end = 11 + put_time(clock, time);
        if offset.is_some() {
            text[end] = if hours < 0 { b'-' } else { b'+' };
            put_two(&mut text[end + 1..end + 3], hours.unsigned_abs());
            end += 3;
        }
        out.truncate(start + end);
        return;
    }
    let before_christ = push_civil(out, days);
    out.push(b' ');
    push_time(out, time);
    if let Some(offset) = offset {
        push_offset(out, offset);
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

fn push_infinity(out: &mut Vec<u8>, micros: i64) -> bool {
    match micros {
        i64::MAX => out.extend_from_slice(b"infinity"),
        i64::MIN => out.extend_from_slice(b"-infinity"),
        _ => return false,
    }
    true
}

pub fn push_offset(out: &mut Vec<u8>, offset: i32) {
    out.push(if offset < 0 { b'-' } else { b'+' });
    let offset = offset.unsigned_abs();
    push_padded(out, offset / 3600, 2);
    let (minutes, seconds) = (offset / 60 % 60, offset % 60);
    if minutes != 0 || seconds != 0 {
        out.push(b':');
        push_padded(out, minutes, 2);
    }
    if seconds != 0 {
        out.push(b':');
        push_padded(out, seconds, 2);
    }
}

/// `IntervalStyle = postgres`: `1 year 2 mons -3 days +04:05:06.7`.
pub fn push_interval(out: &mut Vec<u8>, months: i32, days: i32, micros: i64) {
    let start = out.len();
    // A positive field says so when the one before it was negative.
    let mut after_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        push_int(out, value);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        after_negative = value < 0;
    }
    if micros == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if micros < 0 {
        out.push(b'-');
    } else if after_negative {
        out.push(b'+');
    }
    let magnitude = micros.unsigned_abs();
    let seconds = magnitude / MICROS_PER_SECOND as u64;
    let hours = seconds / 3600;
    if hours < 10 {
        out.push(b'0');
    }
    push_int(out, hours);
    out.push(b':');
    push_padded(out, (seconds / 60 % 60) as u32, 2);
    out.push(b':');
    push_padded(out, (seconds % 60) as u32, 2);
    push_fraction(out, (magnitude % MICROS_PER_SECOND as u64) as u32);
}

/// `bytea_output = hex`.
pub fn push_bytea(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\x");
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// Whether an array's element has to stand in quotes.
fn wants_quotes(element: &[u8]) -> bool {
    element.is_empty()
        || element.eq_ignore_ascii_case(b"null")
        || element.iter().any(|byte| {
            matches!(
                byte,
                b'{' | b'}' | b',' | b'"' | b'\\' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
            )
        })
}

/// Quotes what was written from `start` on, if an array's element needs it.
pub fn quote_element(out: &mut Vec<u8>, start: usize) {
    if wants_quotes(&out[start..]) {
        quote_with(out, start, b'\\');
    }
}

/// Quotes what was written from `start` on, if a row's field needs it.
pub fn quote_field(out: &mut Vec<u8>, start: usize) {
    let field = &out[start..];
    let wants = field.is_empty()
        || field.iter().any(|byte| {
            matches!(
                byte,
                b'(' | b')' | b',' | b'"' | b'\\' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
            )
        });
    if wants {
        quote_with(out, start, 0);
    }
}

/// `escape` goes before quotes and backslashes; 0 doubles them instead.
fn quote_with(out: &mut Vec<u8>, start: usize, escape: u8) {
    let element = out.split_off(start);
    out.push(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.push(if escape == 0 { byte } else { escape });
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("text forms are UTF-8")
    }

    /// Every expectation below is what PostgreSQL 15 prints.
    fn check_float8(value: f64, expected: &str) {
        assert_eq!(text(|out| push_float8(out, value)), expected);
    }

    #[test]
    fn float8_is_the_shortest_text_that_reads_back() {
        check_float8(1.0, "1");
        check_float8(-0.0, "-0");
        check_float8(0.1, "0.1");
        check_float8(1e14, "100000000000000");
        check_float8(1e15, "1e+15");
        check_float8(123_456_789_012_345_680.0, "1.2345678901234568e+17");
        check_float8(0.0001, "0.0001");
        check_float8(0.00001, "1e-05");
        check_float8(-0.000_012_34, "-1.234e-05");
        check_float8(1e22, "1e+22");
        check_float8(1e23, "9.999999999999999e+22");
        check_float8(-1e23, "-9.999999999999999e+22");
        check_float8(9_007_199_254_740_993.0, "9.007199254740992e+15");
        check_float8(5e-324, "5e-324");
        check_float8(1.797_693_134_862_315_7e308, "1.7976931348623157e+308");
        check_float8(f64::NAN, "NaN");
        check_float8(f64::NEG_INFINITY, "-Infinity");
    }

    /// Numbers that have few digits, nearly have, or have many.
    #[test]
    fn float8_is_as_ryu_writes_it() {
        for n in 0..20_000u64 {
            let any = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let power = 10f64.powi((any % 19) as i32 - 9);
            let numbers = [
                (any >> 40) as f64 / 128.0,
                (any >> 34) as f64 / power,
                n as f64 / power,
                f64::from_bits((n as f64 / power).to_bits() + 1),
                n as f64 * 0.1,
                f64::from_bits(any >> 2),
                f64::from_bits(1e8f64.to_bits() - n),
            ];
            for number in numbers {
                let mut expected = Vec::new();
                let ryu = ryu::Buffer::new().format_finite(-number).to_owned();
                push_shortest(&mut expected, &ryu, number, 1e-4..1e15);
                if !is_on_edge(&ryu, number, 52) {
                    check_float8(-number, &String::from_utf8_lossy(&expected));
                }
            }
        }
    }

    #[test]
    fn numbers_of_any_length_keep_their_digits() {
        let check = |value: i128, expected: &str| {
            assert_eq!(text(|out| push_int(out, value)), expected);
        };
        let mut power = 1i128;
        for _ in 0..38 {
            for value in [power - 1, power, power + 7, -power] {
                check(value, &value.to_string());
            }
            power *= 10;
        }
        check(i128::from(u64::MAX), "18446744073709551615");
        check(i128::from(i64::MIN), "-9223372036854775808");
        for scale in 1..25 {
            for value in [
                0,
                1,
                10,
                1_230,
                99_999_999_999_999_999_i128,
                1 << 63,
                1 << 70,
            ] {
                let digits = format!("{value:0>width$}", width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let full = text(|out| push_decimal(out, -value, scale as i8, scale as i8));
                let sign = if value > 0 { "-" } else { "" };
                assert_eq!(full, format!("{sign}{whole}.{fraction}"));
                let short = text(|out| push_decimal(out, -value, scale as i8, 0));
                assert_eq!(short, full.trim_end_matches('0').trim_end_matches('.'));
            }
        }
    }

    #[test]
    fn float4_turns_to_exponents_earlier() {
        let check =
            |value, expected: &str| assert_eq!(text(|out| push_float4(out, value)), expected);
        check(100_000.0, "100000");
        check(1e6, "1e+06");
        check(1_234_567.0, "1.234567e+06");
        check(0.1, "0.1");
        check(0.0001, "0.0001");
        check(0.000_09, "9e-05");
        check(3.402_823_5e38, "3.4028235e+38");
        check(-211_889_408.0, "-2.1188941e+08");
        check(49_646_568.0, "4.9646568e+07");
    }

    #[test]
    fn decimals_show_the_digits_that_say_something() {
        let check = |value, scale, least, expected: &str| {
            assert_eq!(text(|out| push_decimal(out, value, scale, least)), expected);
        };
        check(1230, 2, 2, "12.30");
        check(-5, 2, 2, "-0.05");
        check(0, 2, 2, "0.00");
        check(7, 0, 0, "7");
        check(7, -3, -3, "7000");
        check(0, -3, -3, "0");
        check(15_000_000_000, 10, 0, "1.5");
        check(20_000_000_000, 10, 0, "2");
        check(0, 10, 0, "0");
        check(30_000_000_000, 10, 1, "3.0");
        check(30_500_000_000, 10, 1, "3.05");
        check(
            -99_999_999_999_999_999_999_999_999_999_999_999_999,
            38,
            38,
            "-0.99999999999999999999999999999999999999",
        );
        check(100, 0, 0, "100");
    }

    #[test]
    fn dates_reach_before_christ() {
        let check = |days, expected: &str| assert_eq!(text(|out| push_date(out, days)), expected);
        check(0, "1970-01-01");
        check(19_724, "2024-01-02");
        check(-719_528, "0001-01-01 BC");
        check(-719_162, "0001-01-01");
        check(2_932_897, "10000-01-01");
        check(i64::from(i32::MAX), "infinity");
    }

    #[test]
    fn every_day_is_counted_as_it_is_written() {
        let mut before = civil(-1_000_001);
        for days in -1_000_000..4_000_000 {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!(before < (year, month, day) && (1..=12).contains(&month));
            before = (year, month, day);
        }
        for days in [
            i64::from(i32::MIN),
            i64::from(i32::MAX),
            i64::MIN / 86_400_000_000,
        ] {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn timestamps_drop_zeros_of_the_fraction() {
        let check =
            |micros, expected: &str| assert_eq!(text(|out| push_timestamp(out, micros)), expected);
        check(0, "1970-01-01 00:00:00");
        check(-1, "1969-12-31 23:59:59.999999");
        check(10, "1970-01-01 00:00:00.00001");
        check(-62_135_596_800_000_001, "0001-12-31 23:59:59.999999 BC");
        check(253_402_300_800_000_000, "10000-01-01 00:00:00");
        check(1_704_164_645_123_000, "2024-01-02 03:04:05.123");
        check(i64::MIN, "-infinity");
    }

    #[test]
    fn timestamptz_is_shown_in_the_zone_of_the_session() {
        let check = |zone: &str, micros, expected: &str| {
            let zone = Zone::parse(zone).expect("a zone of the test");
            assert_eq!(text(|out| push_timestamptz(out, micros, zone)), expected);
        };
        check("UTC", 1_704_164_645_123_000, "2024-01-02 03:04:05.123+00");
        check("UTC", 253_402_300_800_000_000, "10000-01-01 00:00:00+00");
        check("<+150>-150", 0, "1970-01-07 06:00:00+150");
        check(
            "Europe/Berlin",
            1_704_164_645_000_000,
            "2024-01-02 04:04:05+01",
        );
        check(
            "Asia/Kolkata",
            1_704_164_645_000_000,
            "2024-01-02 08:34:05+05:30",
        );
        check(
            "America/New_York",
            1_704_164_645_000_000,
            "2024-01-01 22:04:05-05",
        );
        check("<+02>-02", 1_704_164_645_000_000, "2024-01-02 05:04:05+02");
        check(
            "<-03:30>+03:30",
            1_704_164_645_000_000,
            "2024-01-01 23:34:05-03:30",
        );
        check(
            "Europe/Berlin",
            109_454_893_620_999_999,
            "5438-06-28 03:07:00.999999+02",
        );
        // Local mean time, before zones were agreed.
        check(
            "Europe/Berlin",
            -3_786_825_600_000_000,
            "1850-01-01 00:53:28+00:53:28",
        );
    }

    #[test]
    fn intervals_sign_each_field() {
        let check = |months, days, micros, expected: &str| {
            assert_eq!(
                text(|out| push_interval(out, months, days, micros)),
                expected
            );
        };
        check(0, 0, 0, "00:00:00");
        check(14, 3, 14_706_789_000, "1 year 2 mons 3 days 04:05:06.789");
        check(1, -1, 3_600_000_000, "1 mon -1 days +01:00:00");
        check(-1, 1, 0, "-1 mons +1 day");
        check(0, 0, -1, "-00:00:00.000001");
        check(0, 1, 0, "1 day");
        check(0, 0, 360_000_000_000, "100:00:00");
        check(-13, 0, 0, "-1 years -1 mons");
    }

    #[test]
    fn bytea_is_hexadecimal() {
        assert_eq!(text(|out| push_bytea(out, &[0, 0xab, 0xff])), "\\x00abff");
    }

    #[test]
    fn elements_are_quoted_when_they_must_be() {
        let check = |element: &str, expected: &str| {
            let quoted = text(|out| {
                out.extend_from_slice(element.as_bytes());
                quote_element(out, 0);
            });
            assert_eq!(quoted, expected);
        };
        check("a", "a");
        check("", "\"\"");
        check("NULL", "\"NULL\"");
        check("a b", "\"a b\"");
        check("a\"b\\c", "\"a\\\"b\\\\c\"");
    }
}
