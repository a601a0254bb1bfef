//! JSON text as `jsonb` writes it: keys sorted and unique, one space after a colon and a comma, numbers as they are.

use std::{iter::Peekable, str::Chars};

const MAX_DEPTH: usize = 200;

/// `None` if it is not JSON, or is nested too deeply.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let mut chars = text.chars().peekable();
    let mut out = String::with_capacity(text.len() + 8);
    value(&mut chars, &mut out, 0)?;
    space(&mut chars);
    chars.peek().is_none().then_some(out)
}

fn space(chars: &mut Peekable<Chars>) {
    while chars
        .next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))
        .is_some()
    {}
}

fn value(chars: &mut Peekable<Chars>, out: &mut String, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    space(chars);
    match chars.peek()? {
        '{' => object(chars, out, depth),
        '[' => array(chars, out, depth),
        '"' => {
            out.push_str(&string(chars)?);
            Some(())
        }
        't' => word(chars, "true", out),
        'f' => word(chars, "false", out),
        'n' => word(chars, "null", out),
        _ => number(chars, out),
    }
}

fn object(chars: &mut Peekable<Chars>, out: &mut String, depth: usize) -> Option<()> {
    chars.next();
    let mut entries: Vec<(String, String)> = vec![];
    space(chars);
    if chars.next_if_eq(&'}').is_none() {
        loop {
            space(chars);
            let key = string(chars)?;
            space(chars);
            chars.next_if_eq(&':')?;
            let mut item = String::new();
            value(chars, &mut item, depth + 1)?;
            entries.retain(|(known, _)| *known != key);
            entries.push((key, item));
            space(chars);
            match chars.next()? {
                ',' => {}
                '}' => break,
                _ => return None,
            }
        }
    }
    // PostgreSQL sorts keys by length first.
    entries.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let entries: Vec<String> = entries
        .into_iter()
        .map(|(key, item)| format!("{key}: {item}"))
        .collect();
    out.push('{');
    out.push_str(&entries.join(", "));
    out.push('}');
    Some(())
}

fn array(chars: &mut Peekable<Chars>, out: &mut String, depth: usize) -> Option<()> {
    chars.next();
    out.push('[');
    space(chars);
    if chars.next_if_eq(&']').is_none() {
        loop {
            value(chars, out, depth + 1)?;
            space(chars);
            match chars.next()? {
                ',' => out.push_str(", "),
                ']' => break,
                _ => return None,
            }
        }
    }
    out.push(']');
    Some(())
}

/// With its quotes, as it stands.
fn string(chars: &mut Peekable<Chars>) -> Option<String> {
    chars.next_if_eq(&'"')?;
    let mut out = String::from('"');
    loop {
        let c = chars.next()?;
        out.push(c);
        match c {
            '"' => return Some(out),
            '\\' => {
                let escaped = chars.next()?;
                out.push(escaped);
                match escaped {
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {}
                    'u' => {
                        for _ in 0..4 {
                            out.push(chars.next_if(char::is_ascii_hexdigit)?);
                        }
                    }
                    _ => return None,
                }
            }
            c if c < ' ' => return None,
            _ => {}
        }
    }
}

fn word(chars: &mut Peekable<Chars>, word: &str, out: &mut String) -> Option<()> {
    for expected in word.chars() {
        chars.next_if_eq(&expected)?;
    }
    out.push_str(word);
    Some(())
}

fn number(chars: &mut Peekable<Chars>, out: &mut String) -> Option<()> {
    out.extend(chars.next_if_eq(&'-'));
    let first = chars.next_if(char::is_ascii_digit)?;
    out.push(first);
    if first != '0' {
        digits(chars, out);
    }
    if let Some(point) = chars.next_if_eq(&'.') {
        out.push(point);
        out.push(chars.next_if(char::is_ascii_digit)?);
        digits(chars, out);
    }
    if let Some(exponent) = chars.next_if(|c| matches!(c, 'e' | 'E')) {
        out.push(exponent);
        out.extend(chars.next_if(|c| matches!(c, '+' | '-')));
        out.push(chars.next_if(char::is_ascii_digit)?);
        digits(chars, out);
    }
    Some(())
}

fn digits(chars: &mut Peekable<Chars>, out: &mut String) {
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        out.push(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(canonical(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn keys_are_sorted_and_the_last_of_equal_ones_stays() {
        check(r#"{"bb":1,"a":2,"bb":3}"#, Some(r#"{"a": 2, "bb": 3}"#));
    }

    #[test]
    fn numbers_stay_as_they_are() {
        check(
            "[1.10,-0,1E5,12345678901234567890123]",
            Some("[1.10, -0, 1E5, 12345678901234567890123]"),
        );
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "", "{", "[1,]", "01", "1.", "nul", "'a'", "\"\\x\"", "{a:1}", "1 2",
        ] {
            check(text, None);
        }
        check(&"[".repeat(100_000), None);
    }
}
