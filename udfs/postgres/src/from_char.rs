//! A text read with a template: what `to_date` and `to_timestamp` have in common.

use crate::calendar::{JULIAN, civil, day_of, days_in_month, first_of_iso_year, is_leap};
use crate::moment::in_range;
use crate::refusal::Refusal;
use crate::template::{DAYS, Field, Key, MONTHS, Node, ROMAN};
use crate::zone::{DAY, HOUR, MINUTE, SECOND};

/// What a text said.
pub(crate) struct Said {
    /// What clocks show, in microseconds since they showed 1970.
    pub local: i64,
    /// Seconds east of Greenwich, if there was a pattern for it.
    pub offset: Option<i32>,
    /// Digits of the seconds to keep.
    pub digits: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    Gregorian,
    IsoWeek,
}

/// Zero is "not said", as in PostgreSQL.
#[derive(Default)]
struct Parts {
    convention: Option<Convention>,
    hour: i64,
    minute: i64,
    second: i64,
    second_of_day: i64,
    millis: i64,
    micros: i64,
    digits: Option<u32>,
    twelve_hours: bool,
    afternoon: i64,
    before_christ: i64,
    year: i64,
    year_digits: u32,
    century: i64,
    month: i64,
    week: i64,
    week_of_month: i64,
    day: i64,
    day_of_year: i64,
    /// Sunday is 1.
    day_of_week: i64,
    julian: i64,
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: i64,
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("22007", message)
}

fn out_of_range(text: &str) -> Refusal {
    Refusal::new(
        "22008",
        format!("date/time field value out of range: \"{text}\""),
    )
}

struct Reader<'a> {
    nodes: &'a [Node],
    rest: &'a str,
    /// Characters that were skipped beyond what the template asks for.
    skipped: i64,
    last_skipped: Option<char>,
    exact: bool,
    parts: Parts,
}

/// 22007 if the text does not fit the template, 22008 if there is no such day or hour.
pub(crate) fn read(text: &str, nodes: &[Node]) -> Result<Said, Refusal> {
    let mut reader = Reader {
        nodes,
        rest: text,
        skipped: 0,
        last_skipped: None,
        exact: false,
        parts: Parts::default(),
    };
    reader.run()?;
    reader.parts.finish(text)
}

impl Reader<'_> {
    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        self.last_skipped = chars.next();
        self.rest = chars.as_str();
    }

    fn skip_spaces(&mut self) {
        while self
            .rest
            .starts_with(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
        {
            self.skip();
            self.skipped += 1;
        }
    }

    fn run(&mut self) -> Result<(), Refusal> {
        let nodes = self.nodes;
        for (index, node) in nodes.iter().enumerate() {
            if self.rest.is_empty() {
                break;
            }
            let is_exact_mark = matches!(node, Node::Field(field) if field.key == Key::Exact);
            let is_field = matches!(node, Node::Field(_));
            if !self.exact && !is_exact_mark && (is_field || index == 0) {
                self.skip_spaces();
            }
            match node {
                Node::Separator(_) if !self.exact => {
                    self.skipped -= 1;
                    let matches = |c: char| c.is_ascii_whitespace() || c.is_ascii_punctuation();
                    if self.rest.starts_with(matches) {
                        self.skip();
                        self.skipped += 1;
                    }
                }
                Node::Character(_) if !self.exact && self.skipped > 0 => self.skipped -= 1,
                Node::Separator(_) | Node::Character(_) => self.skip(),
                Node::Field(field) => {
                    self.field(field, index)?;
                    if !self.exact {
                        self.skipped = 0;
                        self.skip_spaces();
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, index: usize) -> Result<(), Refusal> {
        self.keep_convention(field.key)?;
        match field.key {
            Key::Exact => self.exact = true,
            Key::Half(_, points) => {
                let words: &[&str] = match points {
                    true => &["a.m.", "p.m."],
                    false => &["am", "pm"],
                };
                let found = self.word(words, field)?;
                set(&mut self.parts.afternoon, found, field)?;
                self.parts.twelve_hours = true;
            }
            Key::Era(_, points) => {
                let words: &[&str] = match points {
                    true => &["a.d.", "b.c."],
                    false => &["ad", "bc"],
                };
                let found = self.word(words, field)?;
                set(&mut self.parts.before_christ, found, field)?;
            }
            Key::Hour12 => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.hour, value, field)?;
                self.parts.twelve_hours = true;
            }
            Key::Hour24 => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.hour, value, field)?;
            }
            Key::Minute => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.minute, value, field)?;
            }
            Key::Second => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.second, value, field)?;
            }
            Key::Milliseconds => {
                // 25 is 0.25, and 250 is too.
                let (value, length) = self.number(field, index, 3)?;
                set(&mut self.parts.millis, value, field)?;
                self.parts.millis *= 10_i64.pow(3_u32.saturating_sub(length));
            }
            Key::Fraction(_) | Key::Microseconds => {
                let digits = match field.key {
                    Key::Fraction(digits) => {
                        self.parts.digits = Some(digits);
                        digits
                    }
                    _ => 6,
                };
                let (value, length) = self.number(field, index, digits as usize)?;
                set(&mut self.parts.micros, value, field)?;
                self.parts.micros *= 10_i64.pow(6_u32.saturating_sub(length));
            }
            Key::SecondOfDay => {
                let (value, _) = self.number(field, index, field.name.len())?;
                set(&mut self.parts.second_of_day, value, field)?;
            }
            Key::Zone(_) | Key::Offset => {
                return Err(Refusal::new(
                    "0A000",
                    format!(
                        "formatting field \"{}\" is only supported in to_char",
                        field.name
                    ),
                ));
            }
            Key::ZoneHour => {
                let first = self.rest.chars().next();
                self.parts.zone_sign = match first {
                    Some(c @ ('+' | '-' | ' ')) => {
                        self.skip();
                        if c == '-' { -1 } else { 1 }
                    }
                    _ if self.skipped > 0 && self.last_skipped == Some('-') => -1,
                    _ => 1,
                };
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.zone_hour, value, field)?;
            }
            Key::ZoneMinute => {
                if self.parts.zone_sign == 0 {
                    self.parts.zone_sign = 1;
                }
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.zone_minute, value, field)?;
            }
            Key::MonthName(_) => {
                let found = self.word(&MONTHS, field)?;
                set(&mut self.parts.month, found + 1, field)?;
            }
            Key::MonthShort(_) => {
                let short = MONTHS.map(|name| &name[..3]);
                let found = self.word(&short, field)?;
                set(&mut self.parts.month, found + 1, field)?;
            }
            Key::Month => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.month, value, field)?;
            }
            Key::DayName(_) => {
                let found = self.word(&DAYS, field)?;
                set(&mut self.parts.day_of_week, found, field)?;
                self.parts.day_of_week += 1;
            }
            Key::DayShort(_) => {
                let short = DAYS.map(|name| &name[..3]);
                let found = self.word(&short, field)?;
                set(&mut self.parts.day_of_week, found, field)?;
                self.parts.day_of_week += 1;
            }
            Key::DayOfYear => {
                let (value, _) = self.number(field, index, 3)?;
                set(&mut self.parts.day_of_year, value, field)?;
            }
            Key::IsoDayOfYear => {
                let (value, _) = self.number(field, index, 3)?;
                set(&mut self.parts.day_of_year, value, field)?;
            }
            Key::Day => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.day, value, field)?;
            }
            Key::DayOfWeek => {
                let (value, _) = self.number(field, index, 1)?;
                set(&mut self.parts.day_of_week, value, field)?;
            }
            Key::IsoDayOfWeek => {
                let (value, _) = self.number(field, index, 1)?;
                set(&mut self.parts.day_of_week, value, field)?;
                // Sunday is the first there and the last here.
                self.parts.day_of_week += 1;
                if self.parts.day_of_week > 7 {
                    self.parts.day_of_week = 1;
                }
            }
            Key::Week | Key::IsoWeek => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.week, value, field)?;
            }
            Key::WeekOfMonth => {
                let (value, _) = self.number(field, index, 1)?;
                set(&mut self.parts.week_of_month, value, field)?;
            }
            // Which of its days is meant is not known, so it is read and forgotten.
            Key::Quarter => {
                self.number(field, index, 1)?;
            }
            Key::Century => {
                let (value, _) = self.number(field, index, 2)?;
                set(&mut self.parts.century, value, field)?;
            }
            Key::YearWithComma => self.year_with_comma(field)?,
            Key::Year(digits) | Key::IsoYear(digits) => {
                let (value, length) = self.number(field, index, digits as usize)?;
                set(&mut self.parts.year, value, field)?;
                if digits < 4 && length < 4 {
                    self.parts.year = near_2020(value);
                }
                self.parts.year_digits = digits;
            }
            Key::Roman(_) => {
                // XII before XI before X, so that the longest fits first.
                let backwards: Vec<&str> = ROMAN.iter().rev().copied().collect();
                let found = self.word(&backwards, field)?;
                set(&mut self.parts.month, 12 - found, field)?;
            }
            Key::Julian => {
                let (value, _) = self.number(field, index, 1)?;
                set(&mut self.parts.julian, value, field)?;
            }
        }
        if field.th.is_some() && !is_word(field.key) {
            for _ in 0..2 {
                self.skip();
            }
        }
        Ok(())
    }

    fn keep_convention(&mut self, key: Key) -> Result<(), Refusal> {
        let of = match key {
            Key::IsoDayOfYear | Key::IsoDayOfWeek | Key::IsoWeek | Key::IsoYear(_) => {
                Convention::IsoWeek
            }
            Key::DayOfYear
            | Key::Day
            | Key::DayOfWeek
            | Key::Month
            | Key::MonthName(_)
            | Key::MonthShort(_)
            | Key::Roman(_)
            | Key::Week
            | Key::WeekOfMonth
            | Key::Year(_)
            | Key::YearWithComma => Convention::Gregorian,
            _ => return Ok(()),
        };
        match self.parts.convention.replace(of) {
            Some(before) if before != of => Err(invalid("invalid combination of date conventions")
                .with_hint(
                    "Do not mix Gregorian and ISO week date conventions in a formatting template.",
                )),
            _ => Ok(()),
        }
    }

    /// The number, and how many characters it took.
    fn number(&mut self, field: &Field, index: usize, width: usize) -> Result<(i64, u32), Refusal> {
        let start = self.rest;
        let trimmed = start.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let shown: String = trimmed.chars().take(width).collect();
        let not_a_number = || invalid(format!("invalid value \"{shown}\" for \"{}\"", field.name));
        let takes_all = field.fill || self.next_is_no_digit(index);
        let length = if takes_all {
            let length = number_length(trimmed);
            if length == 0 {
                return Err(not_a_number());
            }
            length
        } else {
            if trimmed.len() < width {
                return Err(invalid(format!(
                    "source string too short for \"{}\" formatting field",
                    field.name
                ))
                .with_hint(
                    "If your source string is not fixed-width, try using the \"FM\" modifier.",
                ));
            }
            let length = number_length(&shown);
            if length == 0 {
                return Err(not_a_number());
            }
            if length < width {
                return Err(not_a_number().with_hint(
                    "If your source string is not fixed-width, try using the \"FM\" modifier.",
                ));
            }
            length
        };
        let value: i64 = trimmed[..length]
            .trim_start_matches('+')
            .parse()
            .unwrap_or(i64::MAX);
        if i32::try_from(value).is_err() {
            return Err(Refusal::new(
                "22008",
                format!(
                    "value for \"{}\" in source string is out of range",
                    field.name
                ),
            ));
        }
        self.rest = &trimmed[length..];
        Ok((value, (start.len() - self.rest.len()) as u32))
    }

    fn next_is_no_digit(&self, index: usize) -> bool {
        if matches!(&self.nodes[index], Node::Field(field) if field.th.is_some()) {
            return true;
        }
        match self.nodes.get(index + 1) {
            None => true,
            Some(Node::Field(next)) => {
                is_word(next.key)
                    || matches!(
                        next.key,
                        Key::ZoneHour | Key::Exact | Key::Zone(_) | Key::Offset
                    )
            }
            Some(Node::Character(c) | Node::Separator(c)) => !c.is_ascii_digit(),
        }
    }

    /// Which of the words comes next.
    fn word(&mut self, words: &[&str], field: &Field) -> Result<i64, Refusal> {
        let fits = |word: &str| {
            self.rest
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let found = words.iter().position(|word| fits(word)).ok_or_else(|| {
            let shown = self.rest.split_ascii_whitespace().next().unwrap_or("");
            invalid(format!("invalid value \"{shown}\" for \"{}\"", field.name))
        })?;
        self.rest = &self.rest[words[found].len()..];
        Ok(found as i64)
    }

    fn year_with_comma(&mut self, field: &Field) -> Result<(), Refusal> {
        let refused = || invalid("invalid input string for \"Y,YYY\"");
        let (thousands, rest) = self.rest.split_once(',').ok_or_else(refused)?;
        let thousands: i64 = thousands.trim().parse().map_err(|_| refused())?;
        let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let years: i64 = rest[..digits].parse().map_err(|_| refused())?;
        set(&mut self.parts.year, thousands * 1000 + years, field)?;
        self.parts.year_digits = 4;
        self.rest = &rest[digits..];
        Ok(())
    }
}

fn is_word(key: Key) -> bool {
    matches!(
        key,
        Key::Half(..)
            | Key::Era(..)
            | Key::MonthName(_)
            | Key::MonthShort(_)
            | Key::DayName(_)
            | Key::DayShort(_)
            | Key::Roman(_)
    )
}

/// Of a number with its sign.
fn number_length(text: &str) -> usize {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text
        .bytes()
        .skip(sign)
        .take_while(u8::is_ascii_digit)
        .count();
    if digits == 0 { 0 } else { sign + digits }
}

/// The same field may be said twice, if it says the same.
fn set(part: &mut i64, value: i64, field: &Field) -> Result<(), Refusal> {
    if *part != 0 && *part != value {
        return Err(invalid(format!(
            "conflicting values for \"{}\" field in formatting string",
            field.name
        )));
    }
    *part = value;
    Ok(())
}

/// The year next to 2020 that ends like this.
fn near_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

impl Parts {
    fn finish(mut self, text: &str) -> Result<Said, Refusal> {
        let (mut hour, mut minute, mut second) = (0, 0, 0);
        if self.second_of_day != 0 {
            hour = self.second_of_day / 3600;
            minute = self.second_of_day / 60 % 60;
            second = self.second_of_day % 60;
        }
        for (part, value) in [
            (&mut hour, self.hour),
            (&mut minute, self.minute),
            (&mut second, self.second),
        ] {
            if value != 0 {
                *part = value;
            }
        }
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                return Err(
                    invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                        .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."),
                );
            }
            if self.afternoon != 0 && hour < 12 {
                hour += 12;
            } else if self.afternoon == 0 && hour == 12 {
                hour = 0;
            }
        }
        let day = self.date(text)?;
        let micros = self.millis * 1_000 + self.micros;
        let within = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..SECOND).contains(&micros);
        if !within {
            return Err(out_of_range(text));
        }
        let offset = match self.zone_sign {
            0 => None,
            sign => {
                if !(0..=15).contains(&self.zone_hour) || !(0..60).contains(&self.zone_minute) {
                    return Err(out_of_range(text));
                }
                Some((sign * (self.zone_hour * 3600 + self.zone_minute * 60)) as i32)
            }
        };
        let time = hour * HOUR + minute * MINUTE + second * SECOND + micros;
        let local = day
            .checked_mul(DAY)
            .and_then(|start| start.checked_add(time));
        Ok(Said {
            local: in_range(local.unwrap_or(i64::MAX)).map_err(|_| {
                Refusal::new("22008", format!("timestamp out of range: \"{text}\""))
            })?,
            offset,
            digits: self.digits,
        })
    }

    /// The year, if one was said.
    fn year(&mut self) -> Option<i64> {
        let before_christ = self.before_christ != 0;
        if self.year != 0 {
            if self.century != 0 && self.year_digits <= 2 {
                if before_christ {
                    self.century = -self.century;
                }
                let century = self.century;
                return Some(match (self.year % 100, century >= 0) {
                    (0, true) => century * 100,
                    (0, false) => century * 100 + 1,
                    (year, true) => year + (century - 1) * 100,
                    (year, false) => (century + 1) * 100 - year + 1,
                });
            }
            let year = if before_christ { -self.year } else { self.year };
            return Some(if year < 0 { year + 1 } else { year });
        }
        if self.century != 0 {
            let century = if before_christ {
                -self.century
            } else {
                self.century
            };
            return Some(match century >= 0 {
                true => (century - 1) * 100 + 1,
                false => century * 100 + 1,
            });
        }
        None
    }

    /// Days since 1970.
    fn date(&mut self, text: &str) -> Result<i64, Refusal> {
        let said_year = self.year();
        let (mut year, mut month, mut day) = (said_year.unwrap_or(0), 1, 1);
        let mut is_date = said_year.is_some();
        let set_day = |at: i64, year: &mut i64, month: &mut i64, day: &mut i64| {
            let date = civil(at);
            (*year, *month, *day) = (date.year, date.month, date.day);
        };
        let is_iso = self.convention == Some(Convention::IsoWeek);
        if self.julian != 0 {
            set_day(self.julian - JULIAN, &mut year, &mut month, &mut day);
            is_date = true;
        }
        if self.week != 0 {
            if is_iso {
                let monday = first_of_iso_year(year) + (self.week - 1) * 7;
                let at = match self.day_of_week {
                    0 => monday,
                    1 => monday + 6,
                    weekday => monday + weekday - 2,
                };
                set_day(at, &mut year, &mut month, &mut day);
                is_date = true;
            } else {
                self.day_of_year = (self.week - 1) * 7 + 1;
            }
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            day = self.day;
            is_date = true;
        }
        if self.month != 0 {
            month = self.month;
            is_date = true;
        }
        if self.day_of_year != 0 && (month <= 1 || day <= 1) {
            if year == 0 && self.before_christ == 0 {
                return Err(invalid(
                    "cannot calculate day of year without year information",
                ));
            }
            is_date = true;
            if is_iso {
                let at = first_of_iso_year(year) + self.day_of_year - 1;
                set_day(at, &mut year, &mut month, &mut day);
            } else {
                let length = if is_leap(year) { 366 } else { 365 };
                let within = self.day_of_year.clamp(1, length);
                let of = civil(day_of(year, 1, 1) + within - 1);
                let beyond = self.day_of_year - within;
                if month <= 1 {
                    month = if beyond > 0 { 13 } else { of.month };
                }
                if day <= 1 {
                    day = of.day + beyond;
                }
            }
        }
        if is_date
            && (!(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day))
        {
            return Err(out_of_range(text));
        }
        Ok(day_of(year, month, day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::parse;
    use crate::written;

    // What PostgreSQL 15 answers.
    fn check(text: &str, template: &str, expected: &str) {
        let mut shown = String::new();
        match read(text, &parse(template)) {
            Ok(said) => written::push_timestamp(&mut shown, said.local),
            Err(refusal) => shown.push_str(refusal.code),
        }
        assert_eq!(shown, expected, "{text} {template}");
    }

    #[test]
    fn texts_are_read_with_templates() {
        check(
            "2024-01-31 12:34:56",
            "YYYY-MM-DD HH24:MI:SS",
            "2024-01-31 12:34:56",
        );
        check("31.01.2024", "DD.MM.YYYY", "2024-01-31 00:00:00");
        check("20240131", "YYYYMMDD", "2024-01-31 00:00:00");
        check("05 Dec 2000", "DD Mon YYYY", "2000-12-05 00:00:00");
        check("2000    JUN", "YYYY MON", "2000-06-01 00:00:00");
        check("2024-060", "YYYY-DDD", "2024-02-29 00:00:00");
        check("2024-09-4", "IYYY-IW-ID", "2024-02-29 00:00:00");
        check("12:30 pm", "HH12:MI am", "0001-01-01 12:30:00 BC");
        check("95-05-12", "YY-MM-DD", "1995-05-12 00:00:00");
        check("2024-02-30", "YYYY-MM-DD", "22008");
        check("2024-Foo-30", "YYYY-Mon-DD", "22007");
        check("13:00 pm", "HH12:MI am", "22007");
        check("2451187", "J", "1999-01-08 00:00:00");
        check(
            "2024-01-31 12:34:56.789",
            "YYYY-MM-DD HH24:MI:SS.MS",
            "2024-01-31 12:34:56.789",
        );
    }
}
