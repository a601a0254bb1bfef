//! A JSON value as a tree, and the canonical text of one.

use std::{borrow::Cow, cmp::Ordering};

use datafusion_common::Result;

use super::scan::{Scan, quote, unescaped};
use crate::refusal::refuse;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// Without an exponent.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// Each key once, shorter ones first.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let mut scan = Scan::new(text);
        let value = Self::read(&mut scan)?;
        scan.end()?;
        Ok(value)
    }

    fn read(scan: &mut Scan<'a>) -> Result<Self> {
        Ok(match scan.peek() {
            Some(b'{') => {
                scan.enter()?;
                scan.expect(b'{')?;
                let mut members = vec![];
                if !scan.skips(b'}') {
                    loop {
                        scan.peek();
                        let key = unescaped(scan.string()?)?;
                        scan.expect(b':')?;
                        members.push((key, Self::read(scan)?));
                        if scan.skips(b'}') {
                            break;
                        }
                        scan.expect(b',')?;
                    }
                }
                scan.leave();
                Self::object(members)
            }
            Some(b'[') => {
                scan.enter()?;
                scan.expect(b'[')?;
                let mut items = vec![];
                if !scan.skips(b']') {
                    loop {
                        items.push(Self::read(scan)?);
                        if scan.skips(b']') {
                            break;
                        }
                        scan.expect(b',')?;
                    }
                }
                scan.leave();
                Self::Array(items)
            }
            Some(b'"') => Self::String(unescaped(scan.string()?)?),
            Some(b't') => {
                scan.word("true")?;
                Self::Bool(true)
            }
            Some(b'f') => {
                scan.word("false")?;
                Self::Bool(false)
            }
            Some(b'n') => {
                scan.word("null")?;
                Self::Null
            }
            _ => Self::Number(plain(scan.number()?)?),
        })
    }

    /// The last of equal keys stays.
    pub(crate) fn object(mut members: Vec<(Cow<'a, str>, Self)>) -> Self {
        members.sort_by(|(a, _), (b, _)| key_order(a, b));
        let mut kept: Vec<(Cow<'a, str>, Self)> = Vec::with_capacity(members.len());
        for (key, value) in members {
            match kept.last_mut() {
                Some((last, known)) if *last == key => *known = value,
                _ => kept.push((key, value)),
            }
        }
        Self::Object(kept)
    }

    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(number),
            Self::String(text) => quote(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    quote(key, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// As text that is not JSON: strings without quotes. `None` is NULL.
    pub(crate) fn write_text(&self, out: &mut String) -> bool {
        match self {
            Self::Null => return false,
            Self::String(text) => out.push_str(text),
            other => other.write(out),
        }
        true
    }

    /// The same, holding nothing of the text that it was read from.
    pub(crate) fn owned(self) -> Value<'static> {
        let text = |text: Cow<str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(text(number)),
            Self::String(string) => Value::String(text(string)),
            Self::Array(items) => Value::Array(items.into_iter().map(Value::owned).collect()),
            Self::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (text(key), value.owned()))
                    .collect(),
            ),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                let found = members.binary_search_by(|(known, _)| key_order(known, key));
                found.ok().map(|index| &members[index].1)
            }
            _ => None,
        }
    }

    /// PostgreSQL's order of jsonb: Object > Array > Boolean > Number > String > Null, and an empty array before all.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::Array(items) if items.is_empty() => 0,
            Self::Null => 1,
            Self::String(_) => 2,
            Self::Number(_) => 3,
            Self::Bool(_) => 4,
            Self::Array(_) => 5,
            Self::Object(_) => 6,
        };
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => number_order(a, b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) => {
                let items = a.iter().zip(b).map(|(a, b)| a.order(b));
                a.len().cmp(&b.len()).then_with(|| first_difference(items))
            }
            (Self::Object(a), Self::Object(b)) => {
                let members = a.iter().zip(b).map(|((known, a), (key, b))| {
                    known.as_ref().cmp(key.as_ref()).then_with(|| a.order(b))
                });
                a.len()
                    .cmp(&b.len())
                    .then_with(|| first_difference(members))
            }
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }

    /// Numbers are compared by value: 1.0 is 1.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Equal
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

pub(crate) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A place in so many items, counted from the end if negative.
pub(crate) fn place(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// A number as numeric prints it: without an exponent, and zero without a sign.
fn plain(text: &str) -> Result<Cow<'_, str>> {
    /// Digits of a numeric, before the point and behind it.
    const MOST: i64 = 16_383;
    let has_exponent = text.contains(['e', 'E']);
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    if !has_exponent {
        return Ok(Cow::Borrowed(if is_zero {
            text.trim_start_matches('-')
        } else {
            text
        }));
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let overflow = || refuse("22003", "value overflows numeric format");
    let exponent: i64 = exponent.parse().map_err(|_| overflow())?;
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let scale = i64::try_from(fraction.len()).map_err(|_| overflow())? - exponent;
    if !(-131_072..=MOST).contains(&scale) {
        return Err(overflow());
    }
    let digits = if scale < 0 {
        let zeros = usize::try_from(-scale).unwrap_or(0);
        digits + &"0".repeat(zeros)
    } else {
        digits
    };
    let scale = usize::try_from(scale.max(0)).unwrap_or(0);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let is_zero = digits.bytes().all(|byte| byte == b'0');
    let sign = if is_zero { "" } else { sign };
    Ok(Cow::Owned(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }))
}

/// Both without exponents.
fn number_order(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = whole.trim_start_matches('0').to_owned();
        (
            is_negative,
            whole,
            fraction.trim_end_matches('0').to_owned(),
        )
    };
    let (a_negative, a_whole, a_fraction) = split(a);
    let (b_negative, b_whole, b_fraction) = split(b);
    let size = (a_whole.len().cmp(&b_whole.len()))
        .then_with(|| a_whole.cmp(&b_whole))
        .then_with(|| a_fraction.cmp(&b_fraction));
    match (a_negative, b_negative) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut out = String::new();
        Value::parse(text).expect(text).write(&mut out);
        assert_eq!(out, expected, "{text}");
    }

    #[test]
    fn jsonb_is_written_as_postgres_writes_it() {
        check(
            r#"{"bb":1,"a":2,"bb":3, "":0}"#,
            r#"{"": 0, "a": 2, "bb": 3}"#,
        );
        check(
            "[1.10,-0,1E5,1.5e-3, -0.00, 12e1]",
            "[1.10, 0, 100000, 0.0015, 0.00, 120]",
        );
        check(r#" "a\u00e4\n\/\u0001" "#, "\"aä\\n/\\u0001\"");
        check(r#""\ud83d\ude00""#, "\"😀\"");
        check("[ ]", "[]");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "01",
            "1.",
            "nul",
            "'a'",
            "\"\\x\"",
            "{a:1}",
            "1 2",
            "truer",
            "\"\t\"",
            "\"\\u0000\"",
            "-",
            "1e",
        ] {
            assert!(Value::parse(text).is_err(), "{text}");
        }
        assert!(Value::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn numbers_are_equal_by_value() {
        let order = |a: &str, b: &str| Value::parse(a).expect(a).order(&Value::parse(b).expect(b));
        assert_eq!(order("1.0", "1"), Ordering::Equal);
        assert_eq!(order("-2", "-10"), Ordering::Greater);
        assert_eq!(order("[]", "null"), Ordering::Less);
        assert_eq!(order("{\"a\":1}", "[1,2]"), Ordering::Greater);
    }
}
