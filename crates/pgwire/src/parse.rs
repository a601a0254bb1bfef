//! PostgreSQL's text forms, read: what a parameter or a field of COPY may hold.
//!
//! Dates and times are understood in ISO order (`2024-01-02 03:04:05.6+02`, also with `T`, `Z`, `BC`, a zone's
//! name, `infinity` and `epoch`). Answers are `None` when the text is not of the type; [`crate::value`] words the
//! error.

use chrono::{NaiveDateTime, TimeZone};

use rapport_udf_postgres::text::{
    MICROS_PER_DAY, MICROS_PER_SECOND, Zone, days_from_civil, within_tables,
};

/// It is a value of the type's kind, but outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

pub fn bool(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let is = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if is("true", 1) || is("yes", 1) || text == "on" || text == "1" {
        Some(true)
    } else if is("false", 1) || is("no", 1) || is("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// A number as an integer of `scale` decimal places, rounded half away from zero.
pub fn decimal(text: &str, scale: i8) -> Option<Result<i128, Overflow>> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if mantissa.len() < 2 && digits.clone().next().is_none()
        || !digits.clone().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    // So many digits, counted from the first one that is not zero, belong to the result.
    let zeros = digits.clone().take_while(|&digit| digit == b'0').count();
    let places = whole.len() as i64 - zeros as i64 + i64::from(exponent) + i64::from(scale);
    let mut digits = digits
        .by_ref()
        .skip(zeros)
        .map(|digit| i128::from(digit - b'0'))
        .peekable();
    if digits.peek().is_none() || places < 0 {
        return Some(Ok(0));
    }
    if places > 39 {
        return Some(Err(Overflow));
    }
    let mut value: i128 = 0;
    for _ in 0..places {
        let digit = digits.next().unwrap_or(0);
        match value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
        {
            Some(next) => value = next,
            None => return Some(Err(Overflow)),
        }
    }
    if digits.next().unwrap_or(0) >= 5 {
        value += 1;
    }
    Some(Ok(if negative { -value } else { value }))
}

/// `NaN` and infinities in any case; what is too large for `f64` is an overflow.
pub fn float8(text: &str) -> Option<Result<f64, Overflow>> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_word = ["nan", "inf", "infinity"]
        .iter()
        .any(|word| unsigned.eq_ignore_ascii_case(word));
    let is_number = unsigned
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_word && !is_number {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let is_lost = value == 0.0
        && unsigned
            .bytes()
            .take_while(|byte| !matches!(byte, b'e' | b'E'))
            .any(|b| (b'1'..=b'9').contains(&b));
    Some(if (value.is_infinite() && !is_word) || is_lost {
        Err(Overflow)
    } else {
        Ok(value)
    })
}

/// `\x…` or the escape form.
pub fn bytea(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|digit| digit as u8);
    if let Some(hex) = text.strip_prefix("\\x") {
        let mut digits = hex.bytes().filter(|byte| !byte.is_ascii_whitespace());
        let mut bytes = Vec::with_capacity(hex.len() / 2);
        while let Some(high) = digits.next() {
            bytes.push(nibble(high)? << 4 | nibble(digits.next()?)?);
        }
        return Some(bytes);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
        } else if let Some(tail) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = tail;
        } else {
            let octal = rest.first_chunk::<3>()?;
            let digit = |byte: u8| {
                (b'0'..=b'7')
                    .contains(&byte)
                    .then(|| u16::from(byte - b'0'))
            };
            let value = digit(octal[0])? << 6 | digit(octal[1])? << 3 | digit(octal[2])?;
            bytes.push(u8::try_from(value).ok()?);
            rest = &rest[3..];
        }
    }
    Some(bytes)
}

/// Any of the spellings PostgreSQL takes: hyphens after any group of four digits, braces, capitals.
pub fn uuid(text: &str) -> Option<[u8; 16]> {
    if let Some(bytes) = canonical_uuid(text.as_bytes()) {
        return Some(bytes);
    }
    let text = text.trim();
    let text = text
        .strip_prefix('{')
        .map_or(Some(text), |inner| inner.strip_suffix('}'))?;
    let mut bytes = [0; 16];
    let mut n = 0;
    let mut hyphen_allowed = false;
    for byte in text.bytes() {
        if byte == b'-' && hyphen_allowed && n < 32 {
            hyphen_allowed = false;
            continue;
        }
        let digit = (byte as char).to_digit(16)? as u8;
        *bytes.get_mut(n / 2)? |= if n % 2 == 0 { digit << 4 } else { digit };
        n += 1;
        hyphen_allowed = n % 4 == 0;
    }
    (n == 32).then_some(bytes)
}

/// The spelling that everybody writes, fast.
fn canonical_uuid(text: &[u8]) -> Option<[u8; 16]> {
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: &[u8; 36] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0xff,
    };
    let mut bytes = [0; 16];
    for (byte, at) in bytes.iter_mut().zip(PLACES) {
        let (high, low) = (nibble(text[at]), nibble(text[at + 1]));
        if high | low > 0xf {
            return None;
        }
        *byte = high << 4 | low;
    }
    Some(bytes)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What a date or a timestamp said.
struct Moment {
    days: i64,
    /// Microseconds of the day; 24:00 is allowed.
    time: Option<i64>,
    zone: Option<Zone>,
}

enum Instant {
    Infinity,
    MinusInfinity,
    At(Moment),
}

struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
        let n = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if !digits.contains(&n) {
            return None;
        }
        let (number, rest) = self.0.split_at(n);
        self.0 = rest;
        number.parse().ok()
    }

    fn take(&mut self, expected: char) -> bool {
        match self.0.strip_prefix(expected) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// `03:04`, `03:04:05`, `03:04:05.678`.
    fn time(&mut self) -> Option<Result<i64, Overflow>> {
        let hour = self.number(1..=2)?;
        if !self.take(':') {
            return None;
        }
        let minute = self.number(2..=2)?;
        let mut second = 0;
        let mut micros = 0;
        if self.take(':') {
            second = self.number(2..=2)?;
            if self.take('.') {
                let n = self.0.bytes().take_while(u8::is_ascii_digit).count();
                let (fraction, rest) = self.0.split_at(n);
                self.0 = rest;
                micros = fraction_micros(fraction);
            }
        }
        let hour = match self.half_of_day() {
            None => hour,
            Some(_) if !(1..=12).contains(&hour) => return Some(Err(Overflow)),
            Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
        };
        let total = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let total = total * MICROS_PER_SECOND + micros;
        Some(
            match hour <= 24 && minute < 60 && second <= 60 && total <= MICROS_PER_DAY {
                true => Ok(total),
                false => Err(Overflow),
            },
        )
    }

    /// `AM` is false, `PM` is true.
    fn half_of_day(&mut self) -> Option<bool> {
        let rest = self.0.trim_start();
        let (word, rest) = rest.split_at_checked(2)?;
        let afternoon = word.eq_ignore_ascii_case("pm");
        if !afternoon && !word.eq_ignore_ascii_case("am")
            || rest.starts_with(|c: char| c.is_alphabetic())
        {
            return None;
        }
        self.0 = rest;
        Some(afternoon)
    }

    /// `+02`, `-03:30`, `+0530`, `+01:23:45`.
    fn offset(&mut self) -> Option<i32> {
        let sign = if self.take('+') {
            1
        } else if self.take('-') {
            -1
        } else {
            return None;
        };
        let n = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (hours, minutes, seconds) = match n {
            4 => {
                let number = self.number(4..=4)?;
                (number / 100, number % 100, 0)
            }
            _ => {
                let hours = self.number(1..=2)?;
                let minutes = if self.take(':') {
                    self.number(2..=2)?
                } else {
                    0
                };
                let seconds = if self.take(':') {
                    self.number(2..=2)?
                } else {
                    0
                };
                (hours, minutes, seconds)
            }
        };
        let seconds = (hours * 3600 + minutes * 60 + seconds) as i32;
        (hours < 16 && minutes < 60).then_some(sign * seconds)
    }
}

/// Digits behind the point to microseconds, the seventh rounding.
fn fraction_micros(digits: &str) -> i64 {
    let mut micros = 0;
    for n in 0..6 {
        micros = micros * 10 + i64::from(digits.as_bytes().get(n).map_or(0, |digit| digit - b'0'));
    }
    micros + i64::from(digits.as_bytes().get(6).is_some_and(|digit| *digit >= b'5'))
}

fn instant(text: &str) -> Option<Result<Instant, Overflow>> {
    let text = text.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return match text.to_ascii_lowercase().as_str() {
            "infinity" | "+infinity" => Some(Ok(Instant::Infinity)),
            "-infinity" => Some(Ok(Instant::MinusInfinity)),
            "epoch" => Some(Ok(Instant::At(Moment {
                days: 0,
                time: Some(0),
                zone: Some(Zone::UTC),
            }))),
            _ => None,
        };
    }
    let mut reader = Reader(text);
    let year_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (year, month, day) = match year_digits {
        // 20240102
        8 => {
            let number = reader.number(8..=8)?;
            (number / 10_000, number / 100 % 100, number % 100)
        }
        _ => {
            let year = reader.number(4..=6)?;
            let separator = reader
                .0
                .chars()
                .next()
                .filter(|c| matches!(c, '-' | '/' | '.'))?;
            reader.take(separator);
            let month = reader.number(1..=2)?;
            if !reader.take(separator) {
                return None;
            }
            (year, month, reader.number(1..=2)?)
        }
    };
    let mut time = None;
    let mut zone = None;
    let has_clock = reader.take('T') || {
        reader.skip_spaces();
        reader.0.starts_with(|c: char| c.is_ascii_digit())
    };
    if has_clock {
        match reader.time()? {
            Ok(micros) => time = Some(micros),
            Err(overflow) => return Some(Err(overflow)),
        }
    }
    reader.skip_spaces();
    let mut before_christ = false;
    if let Some(rest) = strip_era(reader.0) {
        before_christ = true;
        reader.0 = rest;
    } else if !reader.0.is_empty() {
        let (name, rest) = match reader.offset() {
            Some(seconds) => {
                zone = Some(Zone::Fixed(seconds));
                ("", reader.0)
            }
            None => reader.0.split_once(' ').unwrap_or((reader.0, "")),
        };
        if !name.is_empty() {
            zone = Some(zone_name(name)?);
        }
        reader.0 = rest.trim_start();
        if let Some(rest) = strip_era(reader.0) {
            before_christ = true;
            reader.0 = rest;
        }
    }
    if !reader.0.is_empty() {
        return None;
    }
    let year = if before_christ {
        1 - i64::from(year)
    } else {
        i64::from(year)
    };
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || (year == 0 && !before_christ)
    {
        return Some(Err(Overflow));
    }
    Some(Ok(Instant::At(Moment {
        days: days_from_civil(year, month, day),
        time,
        zone,
    })))
}

fn strip_era(text: &str) -> Option<&str> {
    let (era, rest) = text.split_at_checked(2)?;
    era.eq_ignore_ascii_case("bc").then_some(rest)
}

fn zone_name(name: &str) -> Option<Zone> {
    let is = |words: &[&str]| words.iter().any(|word| name.eq_ignore_ascii_case(word));
    match () {
        () if is(&["z", "utc", "gmt", "zulu"]) => Some(Zone::UTC),
        () => name.parse::<chrono_tz::Tz>().ok().map(Zone::Named),
    }
}

/// Days since 1970-01-01.
pub fn date(text: &str) -> Option<Result<i32, Overflow>> {
    Some(match instant(text)? {
        Ok(Instant::Infinity) => Ok(i32::MAX),
        Ok(Instant::MinusInfinity) => Ok(i32::MIN),
        Ok(Instant::At(moment)) => i32::try_from(moment.days).map_err(|_| Overflow),
        Err(overflow) => Err(overflow),
    })
}

/// Microseconds since 1970; a zone in the text is ignored, as PostgreSQL does.
pub fn timestamp(text: &str) -> Option<Result<i64, Overflow>> {
    Some(match instant(text)? {
        Ok(Instant::Infinity) => Ok(i64::MAX),
        Ok(Instant::MinusInfinity) => Ok(i64::MIN),
        Ok(Instant::At(moment)) => local_micros(&moment),
        Err(overflow) => Err(overflow),
    })
}

/// Microseconds since 1970 in UTC; text without a zone is read on the clocks of `zone`.
pub fn timestamptz(text: &str, zone: Zone) -> Option<Result<i64, Overflow>> {
    Some(match instant(text)? {
        Ok(Instant::Infinity) => Ok(i64::MAX),
        Ok(Instant::MinusInfinity) => Ok(i64::MIN),
        Ok(Instant::At(moment)) => local_micros(&moment).map(|local| {
            local
                - i64::from(offset_of_local(moment.zone.unwrap_or(zone), local)) * MICROS_PER_SECOND
        }),
        Err(overflow) => Err(overflow),
    })
}

fn local_micros(moment: &Moment) -> Result<i64, Overflow> {
    moment
        .days
        .checked_mul(MICROS_PER_DAY)
        .and_then(|micros| micros.checked_add(moment.time.unwrap_or(0)))
        .ok_or(Overflow)
}

/// Seconds east of Greenwich when the clocks of `zone` show `local`.
///
/// In the hour that comes twice in autumn the standard time (the later one) is meant, in the hour that is skipped in
/// spring the offset from before, as PostgreSQL has it.
fn offset_of_local(zone: Zone, local: i64) -> i32 {
    let Zone::Named(named) = zone else {
        return zone.offset_at(local);
    };
    let Some(naive) =
        chrono::DateTime::from_timestamp_micros(within_tables(local)).map(|at| at.naive_utc())
    else {
        return zone.offset_at(local);
    };
    let seconds = |at: &NaiveDateTime| match named.offset_from_local_datetime(at) {
        chrono::MappedLocalTime::Single(offset) => Some(offset),
        chrono::MappedLocalTime::Ambiguous(_, later) => Some(later),
        chrono::MappedLocalTime::None => None,
    };
    seconds(&naive)
        .or_else(|| seconds(&(naive - chrono::TimeDelta::hours(3))))
        .map_or_else(
            || zone.offset_at(local),
            |offset| chrono::Offset::fix(&offset).local_minus_utc(),
        )
}

/// A time of day in microseconds; a zone behind it is ignored, as PostgreSQL does.
pub fn time(text: &str) -> Option<i64> {
    let mut reader = Reader(text.trim());
    let micros = reader.time()?.ok()?;
    reader.skip_spaces();
    let is_end = reader.0.is_empty() || zone_name(reader.0).is_some();
    (is_end || (reader.offset().is_some() && reader.0.is_empty())).then_some(micros)
}

/// Months, days and microseconds of `1 year 2 mons -3 days 04:05:06.7`, of ISO 8601's `P1Y2M3DT4H5M6.7S`, and of
/// PostgreSQL's verbose form with `@` and `ago`.
pub fn interval(text: &str) -> Option<(i32, i32, i64)> {
    let text = text.trim();
    if let Some(iso) = text.strip_prefix('P') {
        return iso_interval(iso);
    }
    let (text, sign) = match text.strip_suffix("ago") {
        Some(rest) => (rest.trim_end(), -1.0),
        None => (text, 1.0),
    };
    let mut sum = Span::default();
    let mut words = text
        .strip_prefix('@')
        .unwrap_or(text)
        .split_ascii_whitespace()
        .peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            let negative = word.starts_with('-');
            let micros = clock(word.strip_prefix(['-', '+']).unwrap_or(word))?;
            sum.micros += sign as i64 * if negative { -micros } else { micros };
            continue;
        }
        // The number and its unit may stand together: `3days`.
        let end = word
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(word.len());
        let number: f64 = word[..end].parse().ok()?;
        let unit = if end < word.len() {
            &word[end..]
        } else {
            words.next().unwrap_or("seconds")
        };
        sum.add(sign * number, unit)?;
    }
    Some(sum.parts())
}

/// Hours beyond a day are allowed here.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok().filter(|minutes| *minutes < 60)?;
    let seconds = parts.next().unwrap_or("0");
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole: i64 = whole.parse().ok().filter(|seconds| *seconds <= 60)?;
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = hours.checked_mul(3600)?.checked_add(minutes * 60 + whole)?;
    seconds
        .checked_mul(MICROS_PER_SECOND)?
        .checked_add(fraction_micros(fraction))
}

#[derive(Default)]
struct Span {
    months: i64,
    days: i64,
    micros: i64,
}

impl Span {
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let months = match unit.trim_end_matches('s') {
            "millennium" | "millennia" => 12_000.0,
            "century" | "centurie" => 1_200.0,
            "decade" => 120.0,
            "year" | "yr" | "y" => 12.0,
            "month" | "mon" => 1.0,
            _ => 0.0,
        };
        let days = match unit.trim_end_matches('s') {
            "week" | "w" => 7.0,
            "day" | "d" => 1.0,
            _ => 0.0,
        };
        let micros = match unit.as_str() {
            "h" | "hr" | "hrs" | "hour" | "hours" => 3.6e9,
            "m" | "min" | "mins" | "minute" | "minutes" => 6e7,
            "s" | "sec" | "secs" | "second" | "seconds" => 1e6,
            "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1e3,
            "us" | "usec" | "usecs" | "microsecond" | "microseconds" => 1.0,
            _ => 0.0,
        };
        if months == 0.0 && days == 0.0 && micros == 0.0 {
            return None;
        }
        // A fraction of a month is 30ths of it, a fraction of a day is hours.
        let months = number * months;
        self.months += months.trunc() as i64;
        let days = number * days + months.fract() * 30.0;
        self.days += days.trunc() as i64;
        self.micros += (number * micros + days.fract() * MICROS_PER_DAY as f64).round() as i64;
        Some(())
    }

    fn parts(&self) -> (i32, i32, i64) {
        (self.months as i32, self.days as i32, self.micros)
    }
}

fn iso_interval(text: &str) -> Option<(i32, i32, i64)> {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut sum = Span::default();
    for (part, is_time) in [(date, false), (time, true)] {
        let mut rest = part;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let number: f64 = rest[..end].parse().ok()?;
            let unit = match (&rest[end..=end], is_time) {
                ("Y", false) => "year",
                ("M", false) => "month",
                ("W", false) => "week",
                ("D", false) => "day",
                ("H", true) => "hour",
                ("M", true) => "minute",
                ("S", true) => "second",
                _ => return None,
            };
            sum.add(number, unit)?;
            rest = &rest[end + 1..];
        }
    }
    (!text.is_empty()).then(|| sum.parts())
}

/// The elements of an array's text form; nested arrays are not taken apart. `None` inside is NULL.
pub fn array(text: &str) -> Option<Vec<Option<String>>> {
    let mut text = text.trim();
    // `[1:3]={…}`: bounds are not kept.
    if text.starts_with('[') {
        text = text.split_once('=')?.1;
    }
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut chars = inner.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut element = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        let mut closed = false;
        while let Some(&c) = chars.peek() {
            if !quoted && matches!(c, ',' | '{' | '}' | '"') {
                break;
            }
            chars.next();
            match c {
                '"' => {
                    closed = true;
                    break;
                }
                '\\' => element.push(chars.next()?),
                _ => element.push(c),
            }
        }
        if quoted != closed {
            return None;
        }
        if !quoted {
            element.truncate(element.trim_end().len());
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let end = chars.next();
        if !quoted && element.is_empty() {
            // Only the empty array has an element that is not there.
            return (end.is_none() && elements.is_empty()).then_some(elements);
        }
        elements.push((quoted || !element.eq_ignore_ascii_case("null")).then_some(element));
        match end {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_may_be_abbreviated() {
        assert_eq!(bool("t"), Some(true));
        assert_eq!(bool(" YES "), Some(true));
        assert_eq!(bool("of"), Some(false));
        assert_eq!(bool("o"), None);
        assert_eq!(bool(""), None);
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        let check =
            |text, scale, expected| assert_eq!(decimal(text, scale), Some(Ok(expected)), "{text}");
        check("12.345", 2, 1235);
        check("-12.345", 2, -1235);
        check("0.004", 2, 0);
        check("0.005", 2, 1);
        check("1e3", 2, 100_000);
        check("1.5e-1", 2, 15);
        check(".5", 1, 5);
        check("5.", 1, 50);
        check("000", 2, 0);
        check("99.995", 2, 10_000);
        check("0.00000000000000000000000000000000000000000001", 2, 0);
        assert_eq!(decimal("1e40", 2), Some(Err(Overflow)));
        assert_eq!(decimal("", 2), None);
        assert_eq!(decimal(".", 2), None);
        assert_eq!(decimal("1.2.3", 2), None);
        assert_eq!(decimal("abc", 2), None);
        assert_eq!(decimal("-", 2), None);
    }

    #[test]
    fn floats_that_are_lost_are_out_of_range() {
        assert_eq!(float8("1.5"), Some(Ok(1.5)));
        assert_eq!(float8("-Infinity"), Some(Ok(f64::NEG_INFINITY)));
        assert_eq!(float8("1e400"), Some(Err(Overflow)));
        assert_eq!(float8("1e-400"), Some(Err(Overflow)));
        assert_eq!(float8("0e-400"), Some(Ok(0.0)));
        assert_eq!(float8("x"), None);
    }

    #[test]
    fn bytea_has_two_forms() {
        assert_eq!(bytea("\\x00ff"), Some(vec![0, 255]));
        assert_eq!(bytea("a\\\\b\\001"), Some(b"a\\b\x01".to_vec()));
        assert_eq!(bytea("\\x0"), None);
        assert_eq!(bytea("\\9"), None);
    }

    #[test]
    fn uuids_are_read_in_every_spelling() {
        let expected = uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert!(expected.is_some());
        assert_eq!(uuid("{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}"), expected);
        assert_eq!(uuid("a0eebc999c0b4ef8bb6d6bb9bd380a11"), expected);
        assert_eq!(uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"), None);
        assert_eq!(uuid("a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11"), None);
    }

    #[test]
    fn timestamps_are_read_in_iso_order() {
        let micros = 1_704_164_645_123_000;
        assert_eq!(timestamp("2024-01-02 03:04:05.123"), Some(Ok(micros)));
        assert_eq!(timestamp("2024-01-02T03:04:05.123+02"), Some(Ok(micros)));
        assert_eq!(timestamp("20240102"), Some(Ok(micros - 11_045_123_000)));
        assert_eq!(
            timestamptz("2024-01-02 03:04:05.123Z", Zone::UTC),
            Some(Ok(micros))
        );
        assert_eq!(
            timestamptz("2024-01-02 05:04:05.123+02", Zone::UTC),
            Some(Ok(micros))
        );
        assert_eq!(
            timestamptz("2024-01-02 04:04:05.123 Europe/Berlin", Zone::UTC),
            Some(Ok(micros))
        );
        let berlin = Zone::parse("Europe/Berlin").expect("a zone");
        assert_eq!(
            timestamptz("2024-01-02 04:04:05.123", berlin),
            Some(Ok(micros))
        );
        assert_eq!(
            timestamp("0001-01-01 00:00:00 BC"),
            Some(Ok(-719_528 * MICROS_PER_DAY))
        );
        assert_eq!(timestamp("infinity"), Some(Ok(i64::MAX)));
        assert_eq!(timestamp("2024-02-30"), Some(Err(Overflow)));
        assert_eq!(timestamp("2024-01-01 25:00"), Some(Err(Overflow)));
        assert_eq!(timestamp("yesterday-ish"), None);
        assert_eq!(timestamp("2024-01-02x"), None);
    }

    #[test]
    fn times_of_day_may_have_halves_and_zones() {
        let seconds = |text| time(text).map(|micros| micros / MICROS_PER_SECOND);
        assert_eq!(seconds("04:05:06"), Some(14_706));
        assert_eq!(seconds("04:05:06+00"), Some(14_706));
        assert_eq!(seconds("04:05 PM"), Some(57_900));
        assert_eq!(seconds("12:00am"), Some(0));
        assert_eq!(seconds("24:00"), Some(86_400));
        assert_eq!(seconds("13:00 pm"), None);
        assert_eq!(seconds("04:05:06x"), None);
        assert_eq!(
            timestamp("2024-01-02 03:04:05 PM"),
            Some(Ok(1_704_207_845_000_000))
        );
    }

    #[test]
    fn the_hour_that_comes_twice_is_the_later_one() {
        let berlin = Zone::parse("Europe/Berlin").expect("a zone");
        // 02:30 CET, not CEST.
        assert_eq!(
            timestamptz("2024-10-27 02:30:00", berlin),
            Some(Ok(1_729_992_600_000_000))
        );
        // 02:30 does not exist: read as CET, which is 03:30 CEST.
        assert_eq!(
            timestamptz("2024-03-31 02:30:00", berlin),
            Some(Ok(1_711_848_600_000_000))
        );
    }

    #[test]
    fn intervals_are_read_in_three_styles() {
        let expected = Some((14, -3, 14_706_700_000));
        assert_eq!(interval("1 year 2 mons -3 days +04:05:06.7"), expected);
        assert_eq!(interval("P1Y2M-3DT4H5M6.7S"), expected);
        assert_eq!(
            interval("@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs"),
            expected
        );
        assert_eq!(interval("1 day ago"), Some((0, -1, 0)));
        assert_eq!(interval("-00:00:01"), Some((0, 0, -1_000_000)));
        assert_eq!(interval("1.5 days"), Some((0, 1, MICROS_PER_DAY / 2)));
        assert_eq!(interval("3days"), Some((0, 3, 0)));
        assert_eq!(interval("5"), Some((0, 0, 5_000_000)));
        assert_eq!(interval("1 fortnight"), None);
        assert_eq!(interval(""), None);
    }

    #[test]
    fn arrays_tell_null_from_the_word() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(array("{}"), Some(vec![]));
        assert_eq!(
            array("{1, 2 ,NULL}"),
            Some(vec![some("1"), some("2"), None])
        );
        assert_eq!(
            array(r#"{"NULL","a \"b\"",""}"#),
            Some(vec![some("NULL"), some("a \"b\""), some("")])
        );
        assert_eq!(array("[0:1]={7,8}"), Some(vec![some("7"), some("8")]));
        assert_eq!(array("{1,,2}"), None);
        assert_eq!(array("{1"), None);
        assert_eq!(array("1"), None);
    }
}
