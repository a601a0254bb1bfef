//! Intervals as people write them and PostgreSQL reads them: `1 year 2 mons 3 days 04:05:06`, `-3 hours`, `P1Y2M`.

use arrow::datatypes::IntervalMonthDayNano;

const SECOND: f64 = 1e9;

/// `None` if it can't be understood.
pub(crate) fn parse(text: &str) -> Option<IntervalMonthDayNano> {
    let text = text.trim().to_ascii_lowercase();
    if let Some(iso) = text.strip_prefix('p') {
        return iso_8601(iso);
    }
    let mut total = Total::default();
    let (text, sign) = match text.trim_start_matches('@').trim().strip_suffix("ago") {
        Some(text) => (text.trim_end().to_owned(), -1.0),
        None => (text.trim_start_matches('@').trim().to_owned(), 1.0),
    };
    let mut words = words(&text).into_iter().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            total.clock(&word)?;
            continue;
        }
        let number: f64 = word.parse().ok()?;
        match words.next() {
            Some(unit) => total.add(number, &unit)?,
            None => total.add(number, "second")?,
        }
    }
    total.finish(sign)
}

/// `1year` is two words, `-04:05` one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    for part in text.split_whitespace() {
        let letter = part.find(|c: char| c.is_ascii_alphabetic());
        match letter {
            Some(at) if at > 0 => words.extend([part[..at].to_owned(), part[at..].to_owned()]),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[derive(Default)]
struct Total {
    months: f64,
    days: f64,
    nanos: f64,
}

impl Total {
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        match unit.trim_end_matches(',') {
            "millennium" | "millennia" | "mil" | "mils" => self.months(number * 12_000.0),
            "century" | "centuries" | "cent" | "c" => self.months(number * 1_200.0),
            "decade" | "decades" | "dec" | "decs" => self.months(number * 120.0),
            "year" | "years" | "yr" | "yrs" | "y" => self.months(number * 12.0),
            "month" | "months" | "mon" | "mons" => self.months(number),
            "week" | "weeks" | "w" => self.days(number * 7.0),
            "day" | "days" | "d" => self.days(number),
            "hour" | "hours" | "hr" | "hrs" | "h" => self.nanos += number * 3_600.0 * SECOND,
            "minute" | "minutes" | "min" | "mins" | "m" => self.nanos += number * 60.0 * SECOND,
            "second" | "seconds" | "sec" | "secs" | "s" => self.nanos += number * SECOND,
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => self.nanos += number * 1e6,
            "microsecond" | "microseconds" | "us" | "usec" | "usecs" => self.nanos += number * 1e3,
            _ => return None,
        }
        Some(())
    }

    /// Parts of a month become days of thirty.
    fn months(&mut self, number: f64) {
        let whole = number.trunc();
        self.months += whole;
        self.days((number - whole) * 30.0);
    }

    fn days(&mut self, number: f64) {
        let number = (number * 1e9).round() / 1e9;
        let whole = number.trunc();
        self.days += whole;
        self.nanos += (number - whole) * 86_400.0 * SECOND;
    }

    /// `[-]hours:minutes[:seconds]`
    fn clock(&mut self, text: &str) -> Option<()> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, text.strip_prefix('+').unwrap_or(text)),
        };
        let mut seconds = 0.0;
        let mut weight = 3_600.0;
        for part in text.split(':') {
            let part: f64 = part.parse().ok().filter(|part: &f64| *part >= 0.0)?;
            seconds += part * weight;
            weight /= 60.0;
        }
        (weight >= 1.0 / 60.0).then(|| self.nanos += sign * seconds * SECOND)
    }

    fn finish(self, sign: f64) -> Option<IntervalMonthDayNano> {
        let within =
            |value: f64| (value.abs() <= f64::from(i32::MAX)).then_some((value * sign) as i32);
        // Microseconds are what PostgreSQL keeps.
        let micros = (self.nanos * sign / 1e3).round();
        let nanos = (micros.abs() < 9e15).then_some(micros as i64 * 1_000)?;
        Some(IntervalMonthDayNano::new(
            within(self.months)?,
            within(self.days)?,
            nanos,
        ))
    }
}

/// `1Y2M3DT4H5M6S`, after the P.
fn iso_8601(text: &str) -> Option<IntervalMonthDayNano> {
    let mut total = Total::default();
    let (dates, times) = text.split_once('t').unwrap_or((text, ""));
    for (part, is_time) in [(dates, false), (times, true)] {
        let mut number = String::new();
        for c in part.chars() {
            if c.is_ascii_digit() || matches!(c, '.' | '-' | '+') {
                number.push(c);
                continue;
            }
            let unit = match (c, is_time) {
                ('y', false) => "year",
                ('m', false) => "month",
                ('w', false) => "week",
                ('d', false) => "day",
                ('h', true) => "hour",
                ('m', true) => "minute",
                ('s', true) => "second",
                _ => return None,
            };
            total.add(std::mem::take(&mut number).parse().ok()?, unit)?;
        }
        if !number.is_empty() {
            return None;
        }
    }
    (!dates.is_empty() || !times.is_empty()).then(|| total.finish(1.0))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(i32, i32, i64)>) {
        let parsed = parse(text).map(|interval| {
            (
                interval.months,
                interval.days,
                interval.nanoseconds / 1_000_000,
            )
        });
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn intervals_are_read_as_postgres_reads_them() {
        check("1 year 2 mons 3 days 04:05:06", Some((14, 3, 14_706_000)));
        check("00:00:00", Some((0, 0, 0)));
        check("-1 days +02:03:00", Some((0, -1, 7_380_000)));
        check("1.5 days", Some((0, 1, 43_200_000)));
        check("2 hours ago", Some((0, 0, -7_200_000)));
        check("1day", Some((0, 1, 0)));
        check("P1Y2M3DT4H5M6S", Some((14, 3, 14_706_000)));
        check("90", Some((0, 0, 90_000)));
    }

    #[test]
    fn nonsense_is_not_understood() {
        for text in ["", "abc", "1 parsec", "P", "1:2:3:4", "days"] {
            check(text, None);
        }
    }
}
