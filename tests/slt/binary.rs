//! A value in PostgreSQL's binary format, shown as PostgreSQL's text. Written from the protocol's documentation and
//! PostgreSQL's `*send` functions, not from the product's encoder, and checked against a real PostgreSQL by every file
//! that says `# also: postgres`.

use std::error::Error;
use std::fmt;

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, Timelike};
use tokio_postgres::types::{FromSql, Kind, Type};

/// The bytes of one field with their type.
pub struct Raw {
    pg_type: Type,
    bytes: Vec<u8>,
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(pg_type: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw {
            pg_type: pg_type.clone(),
            bytes: bytes.to_vec(),
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match text(&self.pg_type, &self.bytes) {
            Some(text) => f.write_str(&text),
            None => write!(f, "<not a {} in binary: {:?}>", self.pg_type, self.bytes),
        }
    }
}

/// `None` if the bytes cannot be a value of this type.
fn text(pg_type: &Type, bytes: &[u8]) -> Option<String> {
    if let Kind::Array(element) = pg_type.kind() {
        return array(element, bytes);
    }
    Some(match *pg_type {
        Type::BOOL => match bytes {
            [0] => "f".to_owned(),
            [1] => "t".to_owned(),
            _ => return None,
        },
        Type::INT2 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::INT4 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::INT8 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::OID => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::FLOAT4 => {
            let value = f32::from_be_bytes(bytes.try_into().ok()?);
            float(value.into(), &format!("{value:e}"), 6)
        }
        Type::FLOAT8 => {
            let value = f64::from_be_bytes(bytes.try_into().ok()?);
            float(value, &format!("{value:e}"), 15)
        }
        Type::NUMERIC => numeric(bytes)?,
        Type::BYTEA => format!(
            "\\x{}",
            bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()
        ),
        Type::DATE => date(i32::from_be_bytes(bytes.try_into().ok()?))?,
        Type::TIMESTAMP => timestamp(i64::from_be_bytes(bytes.try_into().ok()?))?,
        Type::TIMESTAMPTZ => match i64::from_be_bytes(bytes.try_into().ok()?) {
            infinite @ (i64::MIN | i64::MAX) => timestamp(infinite)?,
            micros => format!("{}+00", timestamp(micros)?),
        },
        Type::TIME => time(i64::from_be_bytes(bytes.try_into().ok()?)),
        Type::INTERVAL => interval(bytes)?,
        Type::UUID => uuid(bytes)?,
        Type::JSONB => String::from_utf8(bytes.strip_prefix(&[1])?.to_vec()).ok()?,
        Type::VOID => String::new(),
        Type::RECORD => record(bytes)?,
        Type::CHAR if bytes == [0] => String::new(),
        _ => String::from_utf8(bytes.to_vec()).ok()?,
    })
}

/// Shortest digits that read back the same, with an exponent below 1e-4 and from 1e15 (float4: 1e6) on.
fn float(value: f64, scientific: &str, exponent_from: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').expect("{:e} writes an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    if (-4..exponent_from).contains(&exponent) {
        let negative = if mantissa.starts_with('-') { "-" } else { "" };
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        return format!("{negative}{}", plain(&digits, exponent));
    }
    format!(
        "{mantissa}e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

/// `digits` with the point behind the digit number `exponent` (counted from 0).
fn plain(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        return format!(
            "0.{}{digits}",
            "0".repeat(exponent.unsigned_abs() as usize - 1)
        );
    }
    let whole = exponent as usize + 1;
    match digits.len().checked_sub(whole) {
        Some(0) => digits.to_owned(),
        Some(_) => format!("{}.{}", &digits[..whole], &digits[whole..]),
        None => format!("{digits}{}", "0".repeat(whole - digits.len())),
    }
}

/// Groups of four decimal digits with a weight, a sign and the number of digits to show behind the point.
fn numeric(bytes: &[u8]) -> Option<String> {
    let word = |i: usize| {
        Some(u16::from_be_bytes(
            bytes.get(2 * i..2 * i + 2)?.try_into().ok()?,
        ))
    };
    let groups = word(0)? as usize;
    let weight = i32::from(word(1)? as i16);
    let scale = word(3)? as usize;
    if bytes.len() != 8 + 2 * groups {
        return None;
    }
    let sign = match word(2)? {
        0 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let group = |position: i32| -> Option<u16> {
        let index = weight - position;
        if index < 0 || index as usize >= groups {
            Some(0)
        } else {
            word(4 + index as usize).filter(|g| *g < 10_000)
        }
    };
    let mut whole = String::new();
    for position in (0..=weight.max(0)).rev() {
        whole += &format!("{:04}", group(position)?);
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let mut fraction = String::new();
    for position in 1..=scale.div_ceil(4) as i32 {
        fraction += &format!("{:04}", group(-position)?);
    }
    fraction.truncate(scale);
    Some(if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date")
}

fn date(days: i32) -> Option<String> {
    match days {
        i32::MAX => Some("infinity".to_owned()),
        i32::MIN => Some("-infinity".to_owned()),
        _ => Some(
            epoch()
                .checked_add_signed(Duration::days(days.into()))?
                .format("%Y-%m-%d")
                .to_string(),
        ),
    }
}

fn timestamp(micros: i64) -> Option<String> {
    match micros {
        i64::MAX => return Some("infinity".to_owned()),
        i64::MIN => return Some("-infinity".to_owned()),
        _ => {}
    }
    let midnight: NaiveDateTime = DateTime::from_timestamp(946_684_800, 0)?.naive_utc();
    let at = midnight.checked_add_signed(Duration::microseconds(micros))?;
    Some(format!(
        "{}{}",
        at.format("%Y-%m-%d %H:%M:%S"),
        fraction(at.nanosecond() / 1000)
    ))
}

fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!(
        "{:02}:{:02}:{:02}{}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        fraction((micros % 1_000_000) as u32)
    )
}

fn fraction(micros: u32) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// PostgreSQL's own interval style: `1 year 2 mons -3 days +04:05:06.7`.
fn interval(bytes: &[u8]) -> Option<String> {
    let micros = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    let days = i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
    let months = i32::from_be_bytes(bytes.get(12..16)?.try_into().ok()?);
    let mut parts: Vec<String> = vec![];
    let mut after_negative = false;
    for (n, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if n != 0 {
            let plus = if after_negative && n > 0 { "+" } else { "" };
            parts.push(format!("{plus}{n} {unit}{}", if n == 1 { "" } else { "s" }));
            after_negative = n < 0;
        }
    }
    if micros != 0 || parts.is_empty() {
        let sign = match (micros < 0, after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        parts.push(format!("{sign}{}", time(micros.checked_abs()?)));
    }
    Some(parts.join(" "))
}

fn uuid(bytes: &[u8]) -> Option<String> {
    if bytes.len() != 16 {
        return None;
    }
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    Some(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

/// Of any number of dimensions.
fn array(element: &Type, bytes: &[u8]) -> Option<String> {
    let number = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let n_dimensions = number(0)? as usize;
    if n_dimensions == 0 {
        return Some("{}".to_owned());
    }
    if number(8)? as u32 != element.oid() {
        return None;
    }
    let lengths = (0..n_dimensions).map(|at| Some(number(12 + 8 * at)? as usize));
    let lengths: Vec<usize> = lengths.collect::<Option<_>>()?;
    let (mut at, mut items) = (12 + 8 * n_dimensions, vec![]);
    for _ in 0..lengths.iter().product() {
        let length = number(at)?;
        at += 4;
        if length < 0 {
            items.push("NULL".to_owned());
            continue;
        }
        let end = at + length as usize;
        items.push(quoted(&text(element, bytes.get(at..end)?)?));
        at = end;
    }
    // The innermost are put together first.
    for length in lengths.into_iter().rev() {
        let together = |items: &[String]| format!("{{{}}}", items.join(","));
        items = items.chunks(length.max(1)).map(together).collect();
    }
    items.pop()
}

/// Its columns' types stand beside their values.
fn record(bytes: &[u8]) -> Option<String> {
    let number = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (mut at, mut columns) = (4, vec![]);
    for _ in 0..number(0)? {
        let (pg_type, length) = (Type::from_oid(number(at)? as u32)?, number(at + 4)?);
        at += 8;
        if length < 0 {
            columns.push(String::new());
            continue;
        }
        let end = at + length as usize;
        let column = text(&pg_type, bytes.get(at..end)?)?;
        let plain = !column.is_empty()
            && !column
                .chars()
                .any(|c| "(),\"\\".contains(c) || c.is_whitespace());
        columns.push(if plain {
            column
        } else {
            format!("\"{}\"", column.replace('\\', "\\\\").replace('"', "\"\""))
        });
        at = end;
    }
    Some(format!("({})", columns.join(",")))
}

fn quoted(item: &str) -> String {
    let plain = !item.is_empty()
        && !item.eq_ignore_ascii_case("null")
        && !item
            .chars()
            .any(|c| "{},\"\\".contains(c) || c.is_whitespace());
    if plain {
        item.to_owned()
    } else {
        format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
