//! Text → numbers, as PostgreSQL reads them: blanks around are allowed, too many decimals are rounded half away from
//! zero, nothing is guessed.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANumber {
    Malformed,
    OutOfRange,
}

/// `12.345` as an integer of `scale` decimals, of at most `precision` digits. A decimal comma only where the source
/// says so; there a point may part the thousands.
pub fn decimal(text: &str, precision: u8, scale: i8, comma: bool) -> Result<i128, NotANumber> {
    use NotANumber::{Malformed, OutOfRange};
    let text = text.trim();
    let ungrouped;
    let text = if comma && is_grouped(text) {
        ungrouped = text.replace('.', "");
        &ungrouped
    } else {
        text
    };
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = if comma { b',' } else { b'.' };
    let (digits, exponent) = match digits.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => {
            let exponent = std::str::from_utf8(&digits[at + 1..])
                .ok()
                .and_then(|e| e.parse().ok());
            (&digits[..at], exponent.ok_or(Malformed)?)
        }
        None => (digits, 0_i32),
    };

    let mut value: i128 = 0;
    let mut n_digits = 0;
    let mut decimals: Option<i32> = None;
    for byte in digits {
        if *byte == point && decimals.is_none() {
            decimals = Some(0);
            continue;
        }
        if !byte.is_ascii_digit() {
            return Err(Malformed);
        }
        n_digits += 1;
        decimals = decimals.map(|n| n + 1);
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i128::from(byte - b'0')))
            .ok_or(OutOfRange)?;
    }
    if n_digits == 0 {
        return Err(Malformed);
    }

    let shift = i32::from(scale) - decimals.unwrap_or(0) + exponent.clamp(-1_000, 1_000);
    if value != 0 {
        value = if shift >= 0 {
            10_i128
                .checked_pow(shift.unsigned_abs())
                .and_then(|factor| value.checked_mul(factor))
                .ok_or(OutOfRange)?
        } else {
            match 10_i128.checked_pow(shift.unsigned_abs()) {
                Some(divisor) => {
                    let rest = value % divisor;
                    value / divisor + i128::from(rest >= divisor - rest)
                }
                None => 0,
            }
        };
    }
    if value >= 10_i128.pow(u32::from(precision)) {
        return Err(OutOfRange);
    }
    Ok(if negative { -value } else { value })
}

/// A whole number; `12.0` is one too, because spreadsheets write that.
pub fn whole(text: &str, comma: bool) -> Result<i64, NotANumber> {
    let text = text.trim();
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    let hundredths = decimal(text, 38, 2, comma)?;
    if hundredths % 100 != 0 {
        return Err(NotANumber::Malformed);
    }
    i64::try_from(hundredths / 100).map_err(|_| NotANumber::OutOfRange)
}

/// NaN and infinity in words are numbers to PostgreSQL, too.
pub fn float(text: &str, comma: bool) -> Result<f64, NotANumber> {
    let text = text.trim();
    let parsed = if comma {
        text.replace(',', ".").parse()
    } else {
        text.parse::<f64>()
    };
    match parsed {
        Ok(value) if value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) => {
            Err(NotANumber::OutOfRange)
        }
        Ok(value) => Ok(value),
        Err(_) => Err(NotANumber::Malformed),
    }
}

pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `1.234.567,8`: groups of three digits, after one to three.
fn is_grouped(text: &str) -> bool {
    let whole = text.split(',').next().unwrap_or_default();
    let mut groups = whole.trim_start_matches(['+', '-']).split('.');
    let first = groups.next().unwrap_or_default();
    let mut n_more = 0;
    let all_three = groups.all(|group| {
        n_more += 1;
        group.len() == 3
    });
    n_more > 0 && all_three && (1..=3).contains(&first.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<i128, NotANumber>) {
        assert_eq!(decimal(text, 18, 2, false), expected, "{text}");
    }

    #[test]
    fn amounts_are_exact() {
        check("29.33", Ok(2933));
        check(" -0.1 ", Ok(-10));
        check("+7", Ok(700));
        check(".5", Ok(50));
        check("5.", Ok(500));
        check("9999999999999999.99", Ok(999_999_999_999_999_999));
        check("1e3", Ok(100_000));
        check("1.5E-1", Ok(15));
        check("0e999", Ok(0));
    }

    #[test]
    fn too_many_decimals_are_rounded_half_away_from_zero() {
        check("1.005", Ok(101));
        check("-1.005", Ok(-101));
        check("1.00499999", Ok(100));
        check("1e-100", Ok(0));
    }

    #[test]
    fn amounts_beyond_the_type_are_out_of_range() {
        check("10000000000000000", Err(NotANumber::OutOfRange));
        check("9999999999999999.995", Err(NotANumber::OutOfRange));
        check("1e40", Err(NotANumber::OutOfRange));
        check(&"9".repeat(60), Err(NotANumber::OutOfRange));
    }

    #[test]
    fn what_is_not_a_number_is_not_guessed() {
        for text in [
            "", "-", ".", "1,5", "1 000", "1.2.3", "12 zł", "NaN", "1e", "e5", "0x10", "--1",
        ] {
            check(text, Err(NotANumber::Malformed));
        }
    }

    #[test]
    fn a_decimal_comma_is_read_where_the_source_says_so() {
        assert_eq!(decimal("12,50", 18, 2, true), Ok(1250));
        assert_eq!(decimal("12.50", 18, 2, true), Err(NotANumber::Malformed));
        assert_eq!(decimal("-1.234.567,5", 18, 2, true), Ok(-123_456_750));
        assert_eq!(decimal("1234.567", 18, 2, true), Err(NotANumber::Malformed));
        assert_eq!(float("12,5", true), Ok(12.5));
    }

    #[test]
    fn whole_numbers_may_have_empty_decimals() {
        assert_eq!(whole("-42", false), Ok(-42));
        assert_eq!(whole("42.0", false), Ok(42));
        assert_eq!(whole("42.5", false), Err(NotANumber::Malformed));
        assert_eq!(
            whole("99999999999999999999", false),
            Err(NotANumber::OutOfRange)
        );
    }

    #[test]
    fn a_float_too_large_is_out_of_range() {
        assert_eq!(float("1e999", false), Err(NotANumber::OutOfRange));
        assert_eq!(float("Infinity", false), Ok(f64::INFINITY));
        assert_eq!(float("one", false), Err(NotANumber::Malformed));
    }
}
