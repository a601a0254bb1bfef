//! Intervals: months, days and microseconds, kept apart because a month has no fixed number of days and a day not always 24
//! hours.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};

use crate::refusal::Refusal;
use crate::zone::{DAY, HOUR, MINUTE, SECOND};

/// What values are compared and sorted by: intervals that are equal may be written differently.
pub fn by_weight(values: &ArrayRef) -> ArrayRef {
    match values.as_primitive_opt::<IntervalMonthDayNanoType>() {
        Some(spans) => {
            let weights = spans.iter().map(|span| Some(Span::from(span?).weight()));
            Arc::new(weights.collect::<Decimal128Array>())
        }
        None => values.clone(),
    }
}

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl From<IntervalMonthDayNano> for Span {
    fn from(value: IntervalMonthDayNano) -> Self {
        Self {
            months: value.months,
            days: value.days,
            micros: value.nanoseconds / 1_000,
        }
    }
}

impl Span {
    pub(crate) fn new(months: i32, days: i32, micros: i64) -> Self {
        Self {
            months,
            days,
            micros,
        }
    }

    /// As batches hold it: with nanoseconds, which reach 292 years (PostgreSQL's microseconds 292 thousand).
    pub fn to_arrow(self) -> Result<IntervalMonthDayNano, Refusal> {
        let Some(nanos) = self.micros.checked_mul(1_000) else {
            return Err(Refusal::not_supported(
                "an interval of more than 2562047 hours is not supported",
                "Count in days or months, or in numbers: extract(epoch FROM …).",
            ));
        };
        Ok(IntervalMonthDayNano::new(self.months, self.days, nanos))
    }

    pub(crate) fn checked_add(self, other: Self) -> Result<Self, Refusal> {
        let sum = || {
            Some(Self {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        sum().ok_or_else(Refusal::interval_out_of_range)
    }

    pub(crate) fn checked_neg(self) -> Result<Self, Refusal> {
        let negated = || {
            Some(Self {
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        negated().ok_or_else(Refusal::interval_out_of_range)
    }

    pub(crate) fn checked_sub(self, other: Self) -> Result<Self, Refusal> {
        let difference = || {
            Some(Self {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                micros: self.micros.checked_sub(other.micros)?,
            })
        };
        difference().ok_or_else(Refusal::interval_out_of_range)
    }

    /// Parts of a month become days of thirty, parts of a day microseconds; but what is left of a day never becomes days.
    pub(crate) fn multiply(self, factor: f64) -> Result<Self, Refusal> {
        self.scale(|value| value * factor)
    }

    /// The divisor is not zero.
    pub(crate) fn divide(self, divisor: f64) -> Result<Self, Refusal> {
        self.scale(|value| value / divisor)
    }

    fn scale(self, by: impl Fn(f64) -> f64) -> Result<Self, Refusal> {
        let months = by(f64::from(self.months));
        let days = by(f64::from(self.days));
        let whole_months = to_i32(months)?;
        let whole_days = to_i32(days)?;

        // What is left of a month, in days, to the microsecond; what is left of a day, in seconds.
        let of_month = rounded_seconds((months - f64::from(whole_months)) * 30.0);
        let extra_days = of_month.trunc();
        let mut of_day = (days - f64::from(whole_days)) + (of_month - extra_days);
        of_day = rounded_seconds(of_day * 86_400.0);
        let mut whole_days = whole_days;
        if of_day.abs() >= 86_400.0 {
            whole_days = whole_days
                .checked_add((of_day / 86_400.0) as i32)
                .ok_or_else(Refusal::interval_out_of_range)?;
            of_day -= f64::from((of_day / 86_400.0) as i32) * 86_400.0;
        }
        let whole_days = whole_days
            .checked_add(to_i32(extra_days)?)
            .ok_or_else(Refusal::interval_out_of_range)?;
        let micros = (by(self.micros as f64) + of_day * 1e6).round_ties_even();
        if micros.is_nan() || micros.abs() >= 9.223_372_036_854_775e18 {
            return Err(Refusal::interval_out_of_range());
        }
        Ok(Self::new(whole_months, whole_days, micros as i64))
    }

    /// For comparisons: a month is thirty days, a day 24 hours.
    pub(crate) fn weight(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY)
            + i128::from(self.micros)
    }

    /// `1 year 2 mons -3 days +04:05:06.7`
    pub fn push_text(self, out: &mut String) {
        use std::fmt::Write;
        let start = out.len();
        // A positive part says so when the one before it was negative.
        let mut after_negative = false;
        for (value, unit) in [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ] {
            if value == 0 {
                continue;
            }
            if out.len() > start {
                out.push(' ');
            }
            if after_negative && value > 0 {
                out.push('+');
            }
            let many = if value == 1 { "" } else { "s" };
            let _ = write!(out, "{value} {unit}{many}");
            after_negative = value < 0;
        }
        if self.micros == 0 && out.len() > start {
            return;
        }
        if out.len() > start {
            out.push(' ');
        }
        if self.micros < 0 {
            out.push('-');
        } else if after_negative {
            out.push('+');
        }
        let micros = self.micros.unsigned_abs();
        let seconds = micros / SECOND as u64;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
        push_fraction(out, micros % SECOND as u64);
    }

    /// Reads what PostgreSQL reads: `1 year 2 mons 3 days 04:05:06`, `-3 hours`, `1-2`, `P1Y2M`. A number without a unit is
    /// of the last of `units`.
    pub fn parse(text: &str, units: Units) -> Result<Self, Refusal> {
        let bad = || {
            Refusal::new(
                "22007",
                format!("invalid input syntax for type interval: \"{text}\""),
            )
        };
        let parsed = match words(text).map(|words| read(&words, units)) {
            Some(Read::Total(total)) => total.span(),
            Some(Read::TooLarge) => None,
            Some(Read::No) | None => match iso_8601(text.trim()) {
                Read::Total(total) => total.span(),
                Read::TooLarge => None,
                Read::No => return Err(bad()),
            },
        };
        let span = parsed.ok_or_else(|| {
            Refusal::new(
                "22015",
                format!("interval field value out of range: \"{text}\""),
            )
        })?;
        Ok(units.cut(span))
    }
}

fn to_i32(value: f64) -> Result<i32, Refusal> {
    if value.is_nan() || value.abs() > f64::from(i32::MAX) {
        return Err(Refusal::interval_out_of_range());
    }
    Ok(value as i32)
}

/// To six places, as PostgreSQL does against the error of cascading.
fn rounded_seconds(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// `.678`, nothing if it is zero.
pub(crate) fn push_fraction(out: &mut String, micros: u64) {
    use std::fmt::Write;
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
        while out.ends_with('0') {
            out.pop();
        }
    }
}

/// Which parts `INTERVAL '…' DAY TO SECOND(2)` is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Units {
    /// The smallest part; nothing is said of it by `INTERVAL '…'`.
    pub last: Option<Unit>,
    /// Whether hours or more come with it, so that `1:2` is hours and minutes.
    pub clock_from_hours: bool,
    /// Digits of the seconds.
    pub digits: Option<u8>,
}

/// A unit that an interval is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

impl Units {
    /// Drops what is smaller than the last unit.
    pub(crate) fn cut(self, span: Span) -> Span {
        let micros = match self.last {
            Some(Unit::Year) => return Span::new(span.months / 12 * 12, 0, 0),
            Some(Unit::Month) => return Span::new(span.months, 0, 0),
            Some(Unit::Day) => 0,
            Some(Unit::Hour) => span.micros / HOUR * HOUR,
            Some(Unit::Minute) => span.micros / MINUTE * MINUTE,
            _ => match self.digits {
                Some(digits) if digits < 6 => {
                    let step = 10_i64.pow(6 - u32::from(digits));
                    let half = if span.micros < 0 { -step / 2 } else { step / 2 };
                    (span.micros + half) / step * step
                }
                _ => span.micros,
            },
        };
        Span { micros, ..span }
    }
}

impl Unit {
    /// The names that interval literals take.
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "microsecon" | "usecond"
            | "useconds" => Self::Microsecond,
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds"
            | "millisecon" => Self::Millisecond,
            "second" | "seconds" | "sec" | "secs" | "s" => Self::Second,
            "minute" | "minutes" | "min" | "mins" | "m" => Self::Minute,
            "hour" | "hours" | "hr" | "hrs" | "h" => Self::Hour,
            "day" | "days" | "d" => Self::Day,
            "week" | "weeks" | "w" => Self::Week,
            "month" | "months" | "mon" | "mons" => Self::Month,
            "year" | "years" | "yr" | "yrs" | "y" => Self::Year,
            "decade" | "decades" | "dec" | "decs" => Self::Decade,
            "century" | "centuries" | "cent" | "c" => Self::Century,
            "millennium" | "millennia" | "mil" | "mils" => Self::Millennium,
            _ => return None,
        })
    }
}

enum Read {
    Total(Total),
    TooLarge,
    No,
}

#[derive(Default)]
struct Total {
    months: i64,
    days: i64,
    micros: i64,
    /// Units that were said, to refuse the same one twice.
    seen: u32,
}

impl Total {
    fn span(self) -> Option<Span> {
        Some(Span {
            months: i32::try_from(self.months).ok()?,
            days: i32::try_from(self.days).ok()?,
            micros: self.micros,
        })
    }

    /// False if it does not fit.
    fn add(&mut self, whole: i64, fraction: f64, unit: Unit) -> Option<()> {
        let months = |total: &mut Self, of_one: i64| {
            // A part of a year is whole months.
            let part = (fraction * 12.0 * (of_one / 12) as f64).round_ties_even() as i64;
            let sum = whole.checked_mul(of_one)?.checked_add(part)?;
            total.months = total.months.checked_add(sum)?;
            Some(())
        };
        match unit {
            Unit::Millennium => months(self, 12_000),
            Unit::Century => months(self, 1_200),
            Unit::Decade => months(self, 120),
            Unit::Year => months(self, 12),
            Unit::Month => {
                self.months = self.months.checked_add(whole)?;
                self.part_of_days(fraction * 30.0)
            }
            Unit::Week => {
                self.days = self.days.checked_add(whole.checked_mul(7)?)?;
                self.part_of_days(fraction * 7.0)
            }
            Unit::Day => {
                self.days = self.days.checked_add(whole)?;
                self.part_of_time(fraction, DAY)
            }
            Unit::Hour => self.time(whole, fraction, HOUR),
            Unit::Minute => self.time(whole, fraction, MINUTE),
            Unit::Second => self.time(whole, fraction, SECOND),
            Unit::Millisecond => self.time(whole, fraction, 1_000),
            Unit::Microsecond => self.time(whole, fraction, 1),
        }
    }

    fn time(&mut self, whole: i64, fraction: f64, unit: i64) -> Option<()> {
        self.micros = self.micros.checked_add(whole.checked_mul(unit)?)?;
        self.part_of_time(fraction, unit)
    }

    fn part_of_days(&mut self, days: f64) -> Option<()> {
        let whole = days.trunc();
        self.days = self.days.checked_add(whole as i64)?;
        self.part_of_time(days - whole, DAY)
    }

    fn part_of_time(&mut self, fraction: f64, unit: i64) -> Option<()> {
        // Whole microseconds first: what is left is rounded alone.
        let micros = fraction * unit as f64;
        self.micros = self.micros.checked_add(micros.round_ties_even() as i64)?;
        Some(())
    }

    /// False if this unit, or one that stands for the same, was there before.
    fn first(&mut self, unit: Unit, has_fraction: bool) -> bool {
        let bit = |unit: Unit| 1_u32 << (unit as u32);
        let all_seconds = bit(Unit::Microsecond) | bit(Unit::Millisecond) | bit(Unit::Second);
        let mask = match unit {
            Unit::Second if has_fraction => all_seconds,
            unit => bit(unit),
        };
        let is_first = self.seen & mask == 0;
        self.seen |= mask;
        is_first
    }

    fn first_clock(&mut self) -> bool {
        [Unit::Hour, Unit::Minute]
            .into_iter()
            .all(|unit| self.first(unit, false))
            && self.first(Unit::Second, true)
    }
}

/// Numbers, units and clocks, in lower case: `1year` is two words, `-04:05` one.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit() || matches!(first, '+' | '-' | '.');
        let end = if first == '@' {
            1
        } else if is_number {
            let sign = usize::from(matches!(first, '+' | '-'));
            // A space may follow the sign.
            if sign == 1 && rest[1..].starts_with(' ') {
                let after = rest[1..].trim_start();
                let end = number_end(after);
                if end == 0 {
                    return None;
                }
                words.push(format!("{first}{}", &after[..end]));
                rest = after[end..].trim_start();
                continue;
            }
            sign + number_end(&rest[sign..])
        } else if first.is_ascii_alphabetic() {
            rest.find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len())
        } else if matches!(first, ',' | ';' | '/') {
            rest = rest[1..].trim_start();
            continue;
        } else {
            return None;
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    (!words.is_empty()).then_some(words)
}

fn number_end(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':' | '-')))
        .unwrap_or(text.len())
}

/// From the last word to the first: a unit stands behind its number.
fn read(words: &[String], units: Units) -> Read {
    let mut total = Total::default();
    let mut unit: Option<Unit> = None;
    let mut ago = false;
    let mut any = false;
    for word in words.iter().rev() {
        let first = word.as_bytes()[0];
        if first == b'@' {
            continue;
        }
        if first.is_ascii_alphabetic() {
            if word == "ago" {
                ago = true;
                continue;
            }
            match Unit::parse(word) {
                Some(found) => unit = Some(found),
                None => return Read::No,
            }
            continue;
        }
        any = true;
        let (sign, digits): (i32, &str) = match first {
            b'-' => (-1, &word[1..]),
            b'+' => (1, &word[1..]),
            _ => (1, word.as_str()),
        };
        if digits.contains(':') {
            let Some(clock) = clock(digits, units) else {
                return Read::No;
            };
            if !total.first_clock() {
                return Read::No;
            }
            let Some(micros) =
                clock.and_then(|micros| total.micros.checked_add(i64::from(sign) * micros))
            else {
                return Read::TooLarge;
            };
            total.micros = micros;
            // A number before it counts days.
            unit = Some(Unit::Day);
            continue;
        }
        if let Some((years, months)) = digits.split_once('-') {
            let (Ok(years), Ok(months)) = (years.parse::<i64>(), months.parse::<i64>()) else {
                return Read::No;
            };
            if months >= 12 || years > 178_956_970 {
                return Read::TooLarge;
            }
            if !total.first(Unit::Month, false) {
                return Read::No;
            }
            total.months += i64::from(sign) * (years * 12 + months);
            unit = Some(Unit::Month);
            continue;
        }
        let said = unit.unwrap_or(units.last.unwrap_or(Unit::Second));
        // A number before hours counts days too.
        unit = Some(match said {
            Unit::Hour => Unit::Day,
            said => said,
        });
        let Some((whole, fraction)) = number(digits) else {
            return Read::No;
        };
        if !total.first(said, fraction != 0.0) {
            return Read::No;
        }
        let Some(whole) = whole else {
            return Read::TooLarge;
        };
        if total
            .add(i64::from(sign) * whole, f64::from(sign) * fraction, said)
            .is_none()
        {
            return Read::TooLarge;
        }
    }
    if !any {
        return Read::No;
    }
    if ago {
        total.months = -total.months;
        total.days = -total.days;
        total.micros = -total.micros;
    }
    Read::Total(total)
}

/// The whole part (`None` inside if it is too large) and the fraction.
fn number(digits: &str) -> Option<(Option<i64>, f64)> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || digits.is_empty() || digits == "." {
        return None;
    }
    let fraction = match fraction {
        "" => 0.0,
        digits => format!("0.{digits}").parse().ok()?,
    };
    let whole = match whole {
        "" => Some(0),
        digits => digits
            .parse::<i64>()
            .ok()
            .filter(|number| *number <= i64::from(i32::MAX)),
    };
    Some((whole, fraction))
}

/// `hours:minutes[:seconds]`, or `minutes:seconds.fraction`. `None` inside if a part is out of range.
fn clock(text: &str, units: Units) -> Option<Option<i64>> {
    let parts: Vec<&str> = text.split(':').collect();
    let last = parts.last()?;
    let whole = |text: &str| -> Option<i64> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let fraction = |text: &str| -> Option<(i64, i64)> {
        let (seconds, digits) = text.split_once('.').unwrap_or((text, ""));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part: f64 = format!("0.{digits}0").parse().ok()?;
        Some((whole(seconds)?, (part * 1e6).round_ties_even() as i64))
    };
    let (hours, minutes, (seconds, micros)) = match parts.as_slice() {
        [minutes, seconds] if last.contains('.') => (0, whole(minutes)?, fraction(seconds)?),
        [minutes, seconds] if units.last == Some(Unit::Second) && !units.clock_from_hours => {
            (0, whole(minutes)?, fraction(seconds)?)
        }
        [hours, minutes] => (whole(hours)?, whole(minutes)?, (0, 0)),
        [hours, minutes, seconds] => (whole(hours)?, whole(minutes)?, fraction(seconds)?),
        _ => return None,
    };
    if minutes > 59 || seconds > 60 {
        return Some(None);
    }
    let micros = hours
        .checked_mul(HOUR)
        .and_then(|total| total.checked_add(minutes * MINUTE + seconds * SECOND + micros));
    Some(micros)
}

/// `P1Y2M3DT4H5M6S`, or `P0001-02-03T04:05:06`.
fn iso_8601(text: &str) -> Read {
    let Some(text) = text.strip_prefix(['P', 'p']) else {
        return Read::No;
    };
    let mut total = Total::default();
    let (dates, times) = match text.find(['T', 't']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if dates.is_empty() && times.is_none_or(str::is_empty) {
        return Read::No;
    }
    for (part, is_time) in [(dates, false), (times.unwrap_or(""), true)] {
        let mut rest = part;
        while !rest.is_empty() {
            let sign: i32 = if rest.starts_with('-') { -1 } else { 1 };
            let unsigned = rest.trim_start_matches(['-', '+']);
            let end = unsigned
                .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .unwrap_or(unsigned.len());
            let Some((whole, fraction)) = number(&unsigned[..end]) else {
                return Read::No;
            };
            let Some(whole) = whole else {
                return Read::TooLarge;
            };
            let Some(designator) = unsigned[end..].chars().next() else {
                return Read::No;
            };
            let unit = match (designator.to_ascii_uppercase(), is_time) {
                ('Y', false) => Unit::Year,
                ('M', false) => Unit::Month,
                ('W', false) => Unit::Week,
                ('D', false) => Unit::Day,
                ('H', true) => Unit::Hour,
                ('M', true) => Unit::Minute,
                ('S', true) => Unit::Second,
                // The alternative form.
                ('-', false) => return alternative(dates, times),
                (':', true) => return alternative(dates, times),
                _ => return Read::No,
            };
            if total
                .add(i64::from(sign) * whole, f64::from(sign) * fraction, unit)
                .is_none()
            {
                return Read::TooLarge;
            }
            rest = &unsigned[end + 1..];
        }
    }
    Read::Total(total)
}

/// `0001-02-03T04:05:06`
fn alternative(dates: &str, times: Option<&str>) -> Read {
    let mut total = Total::default();
    let mut parts = dates.split('-');
    for unit in [Unit::Year, Unit::Month, Unit::Day] {
        let Some(part) = parts.next().filter(|part| !part.is_empty()) else {
            break;
        };
        let Ok(number) = part.parse::<i64>() else {
            return Read::No;
        };
        if total.add(number, 0.0, unit).is_none() {
            return Read::TooLarge;
        }
    }
    if parts.next().is_some() {
        return Read::No;
    }
    match times.filter(|times| !times.is_empty()) {
        None => {}
        Some(times) => match clock(times, Units::default()) {
            Some(Some(micros)) => total.micros = micros,
            Some(None) => return Read::TooLarge,
            None => return Read::No,
        },
    }
    Read::Total(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    // What PostgreSQL 15 answers.
    fn check(text: &str, expected: &str) {
        let mut shown = String::new();
        match Span::parse(text, Units::default()) {
            Ok(span) => span.push_text(&mut shown),
            Err(refusal) => shown.push_str(refusal.code),
        }
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn intervals_are_read_and_written_as_postgres_does() {
        check(
            "1 year 2 mons 3 days 04:05:06",
            "1 year 2 mons 3 days 04:05:06",
        );
        check("00:00:00", "00:00:00");
        check("-1 days +02:03:00", "-1 days +02:03:00");
        check("1.5 days", "1 day 12:00:00");
        check("2 hours ago", "-02:00:00");
        check("1day", "1 day");
        check("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06");
        check("P0001-02-03T04:05:06", "1 year 2 mons 3 days 04:05:06");
        check("90", "00:01:30");
        check("1.1 years", "1 year 1 mon");
        check("1.55 weeks", "10 days 20:24:00");
        check("1 2:03", "1 day 02:03:00");
        check("1-2", "1 year 2 mons");
        check(
            "-1-2 3 4:05:06.789",
            "-1 years -2 mons +3 days 04:05:06.789",
        );
        check("0.1 decades", "1 year");
        check("@ 1 minute", "00:01:00");
        check("1:02.5", "00:01:02.5");
    }

    #[test]
    fn nonsense_is_not_understood() {
        for text in [
            "",
            "abc",
            "1 parsec",
            "P",
            "1:2:3:4",
            "days",
            "1 day 1 day",
            "2024-01-01",
        ] {
            check(text, "22007");
        }
        check("3000000000 days", "22015");
        check("1:70", "22015");
    }

    #[test]
    fn a_part_of_a_month_becomes_days_and_of_a_day_hours() {
        let span = Span::new(1, 1, 0);
        assert_eq!(span.multiply(1.5), Ok(Span::new(1, 16, 43_200_000_000)));
        assert_eq!(span.divide(2.0), Ok(Span::new(0, 15, 43_200_000_000)));
    }
}
