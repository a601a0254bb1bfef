//! The templates of `to_char`, `to_date` and `to_timestamp` for times, taken apart.
//!
//! Source: PostgreSQL 15, documentation, "Data Type Formatting Functions".

/// One pattern, or a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Field(Field),
    /// A punctuation mark or a space: in a text that is read, it stands for any other.
    Separator(char),
    /// A letter, a digit, or anything in quotes.
    Character(char),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub key: Key,
    /// As it is written in the template.
    pub name: &'static str,
    /// Without padding.
    pub fill: bool,
    /// Month and day names without padding.
    pub local: bool,
    /// `th` in capitals or not.
    pub th: Option<bool>,
}

/// How a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Title,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// With points, or without.
    Half(Case, bool),
    Era(Case, bool),
    Century,
    DayName(Case),
    DayShort(Case),
    DayOfYear,
    IsoDayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    Fraction(u32),
    Milliseconds,
    Microseconds,
    Exact,
    Hour24,
    Hour12,
    IsoWeek,
    /// Digits of the year.
    IsoYear(u32),
    Year(u32),
    YearWithComma,
    Julian,
    Minute,
    Month,
    MonthName(Case),
    MonthShort(Case),
    Offset,
    Quarter,
    Roman(Case),
    SecondOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    Zone(Case),
    Week,
    WeekOfMonth,
}

use Case::{Lower, Title, Upper};

/// Longer ones first, where one begins like another.
const KEYS: &[(&str, Key)] = &[
    ("A.D.", Key::Era(Upper, true)),
    ("A.M.", Key::Half(Upper, true)),
    ("AD", Key::Era(Upper, false)),
    ("AM", Key::Half(Upper, false)),
    ("B.C.", Key::Era(Upper, true)),
    ("BC", Key::Era(Upper, false)),
    ("CC", Key::Century),
    ("DAY", Key::DayName(Upper)),
    ("DDD", Key::DayOfYear),
    ("DD", Key::Day),
    ("DY", Key::DayShort(Upper)),
    ("Day", Key::DayName(Title)),
    ("Dy", Key::DayShort(Title)),
    ("D", Key::DayOfWeek),
    ("FF1", Key::Fraction(1)),
    ("FF2", Key::Fraction(2)),
    ("FF3", Key::Fraction(3)),
    ("FF4", Key::Fraction(4)),
    ("FF5", Key::Fraction(5)),
    ("FF6", Key::Fraction(6)),
    ("FX", Key::Exact),
    ("HH24", Key::Hour24),
    ("HH12", Key::Hour12),
    ("HH", Key::Hour12),
    ("IDDD", Key::IsoDayOfYear),
    ("ID", Key::IsoDayOfWeek),
    ("IW", Key::IsoWeek),
    ("IYYY", Key::IsoYear(4)),
    ("IYY", Key::IsoYear(3)),
    ("IY", Key::IsoYear(2)),
    ("I", Key::IsoYear(1)),
    ("J", Key::Julian),
    ("MI", Key::Minute),
    ("MM", Key::Month),
    ("MONTH", Key::MonthName(Upper)),
    ("MON", Key::MonthShort(Upper)),
    ("MS", Key::Milliseconds),
    ("Month", Key::MonthName(Title)),
    ("Mon", Key::MonthShort(Title)),
    ("OF", Key::Offset),
    ("P.M.", Key::Half(Upper, true)),
    ("PM", Key::Half(Upper, false)),
    ("Q", Key::Quarter),
    ("RM", Key::Roman(Upper)),
    ("SSSSS", Key::SecondOfDay),
    ("SSSS", Key::SecondOfDay),
    ("SS", Key::Second),
    ("TZH", Key::ZoneHour),
    ("TZM", Key::ZoneMinute),
    ("TZ", Key::Zone(Upper)),
    ("US", Key::Microseconds),
    ("WW", Key::Week),
    ("W", Key::WeekOfMonth),
    ("Y,YYY", Key::YearWithComma),
    ("YYYY", Key::Year(4)),
    ("YYY", Key::Year(3)),
    ("YY", Key::Year(2)),
    ("Y", Key::Year(1)),
    ("a.d.", Key::Era(Lower, true)),
    ("a.m.", Key::Half(Lower, true)),
    ("ad", Key::Era(Lower, false)),
    ("am", Key::Half(Lower, false)),
    ("b.c.", Key::Era(Lower, true)),
    ("bc", Key::Era(Lower, false)),
    ("cc", Key::Century),
    ("day", Key::DayName(Lower)),
    ("ddd", Key::DayOfYear),
    ("dd", Key::Day),
    ("dy", Key::DayShort(Lower)),
    ("d", Key::DayOfWeek),
    ("ff1", Key::Fraction(1)),
    ("ff2", Key::Fraction(2)),
    ("ff3", Key::Fraction(3)),
    ("ff4", Key::Fraction(4)),
    ("ff5", Key::Fraction(5)),
    ("ff6", Key::Fraction(6)),
    ("fx", Key::Exact),
    ("hh24", Key::Hour24),
    ("hh12", Key::Hour12),
    ("hh", Key::Hour12),
    ("iddd", Key::IsoDayOfYear),
    ("id", Key::IsoDayOfWeek),
    ("iw", Key::IsoWeek),
    ("iyyy", Key::IsoYear(4)),
    ("iyy", Key::IsoYear(3)),
    ("iy", Key::IsoYear(2)),
    ("i", Key::IsoYear(1)),
    ("j", Key::Julian),
    ("mi", Key::Minute),
    ("mm", Key::Month),
    ("month", Key::MonthName(Lower)),
    ("mon", Key::MonthShort(Lower)),
    ("ms", Key::Milliseconds),
    ("of", Key::Offset),
    ("p.m.", Key::Half(Lower, true)),
    ("pm", Key::Half(Lower, false)),
    ("q", Key::Quarter),
    ("rm", Key::Roman(Lower)),
    ("sssss", Key::SecondOfDay),
    ("ssss", Key::SecondOfDay),
    ("ss", Key::Second),
    ("tzh", Key::ZoneHour),
    ("tzm", Key::ZoneMinute),
    ("tz", Key::Zone(Lower)),
    ("us", Key::Microseconds),
    ("ww", Key::Week),
    ("w", Key::WeekOfMonth),
    ("y,yyy", Key::YearWithComma),
    ("yyyy", Key::Year(4)),
    ("yyy", Key::Year(3)),
    ("yy", Key::Year(2)),
    ("y", Key::Year(1)),
];

pub(crate) fn parse(template: &str) -> Vec<Node> {
    let mut nodes = vec![];
    let mut rest = template;
    while !rest.is_empty() {
        let (mut fill, mut local) = (false, false);
        // One of them, not both.
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            local = true;
            rest = after;
        }
        if let Some((name, key)) = KEYS.iter().find(|(name, _)| rest.starts_with(name)) {
            rest = &rest[name.len()..];
            let mut th = None;
            for (mark, upper) in [("TH", Some(true)), ("th", Some(false)), ("SP", None)] {
                if let Some(after) = rest.strip_prefix(mark) {
                    th = upper;
                    rest = after;
                    break;
                }
            }
            nodes.push(Node::Field(Field {
                key: *key,
                name,
                fill,
                local,
                th,
            }));
            continue;
        }
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { break };
        if c == '"' {
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => {
                        let next = chars.next();
                        nodes.push(Node::Character(next.unwrap_or('\\')));
                    }
                    c => nodes.push(Node::Character(c)),
                }
            }
            rest = chars.as_str();
            continue;
        }
        // Outside of quotes it matters only before one.
        let c = match (c, chars.as_str().starts_with('"')) {
            ('\\', true) => chars.next().unwrap_or(c),
            (c, _) => c,
        };
        rest = chars.as_str();
        nodes.push(match c {
            c if c.is_ascii_punctuation() || c.is_ascii_whitespace() => Node::Separator(c),
            c => Node::Character(c),
        });
    }
    nodes
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// January first.
pub(crate) const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// `st`, `nd`, `rd` or `th` for a number that ends like the text.
pub(crate) fn ordinal(digits: &str, upper: bool) -> &'static str {
    let bytes = digits.as_bytes();
    let last = bytes.last().copied().unwrap_or(b'0');
    let is_teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match (last, is_teen, upper) {
        (b'1', false, true) => "ST",
        (b'1', false, false) => "st",
        (b'2', false, true) => "ND",
        (b'2', false, false) => "nd",
        (b'3', false, true) => "RD",
        (b'3', false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}
