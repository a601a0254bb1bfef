//! PostgreSQL's text forms, read: what a parameter or a field of COPY may hold.
//!
//! Dates and times are read as literals are. Answers are `None` when the text is not of the type; [`crate::value`] words
//! the error.

use rapport_udf_postgres::{DateOrder, Reading, Span, Units, Zone};

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

/// How dates and times are read; a text without a zone is read on the clocks of `zone`.
pub fn reading(zone: Zone, now: i64) -> Reading {
    Reading {
        zone,
        order: DateOrder::default(),
        now,
    }
}

/// Microseconds of the day, of a time that the lake keeps as text.
pub fn time(text: &str) -> Option<i64> {
    reading(Zone::UTC, 0).time(text).ok()
}

/// Months, days and microseconds.
pub fn interval(text: &str) -> Option<(i32, i32, i64)> {
    let span = Span::parse(text, Units::default()).ok()?;
    Some((span.months, span.days, span.micros))
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
