//! Reading JSON without building anything: what is valid, and where a value ends.

use std::borrow::Cow;

use datafusion_common::{DataFusionError, Result};

use crate::refusal::refuse;

/// Deeper nesting is refused (54001).
const MOST_NESTED: usize = 1_000;

/// A place in a JSON text.
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// 22P02
pub(crate) fn invalid(type_name: &str) -> DataFusionError {
    refuse(
        "22P02",
        format!("invalid input syntax for type {type_name}"),
    )
}

fn broken() -> DataFusionError {
    invalid("json")
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// The next byte that says something has to be this.
    pub(crate) fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.peek() != Some(wanted) {
            return Err(broken());
        }
        self.at += 1;
        Ok(())
    }

    pub(crate) fn skips(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    /// Nothing may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(broken()),
        }
    }

    pub(crate) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(refuse("54001", "stack depth limit exceeded"));
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Goes over one value, and answers it as it stands.
    pub(crate) fn skip(&mut self) -> Result<&'a str> {
        let first = self.peek().ok_or_else(broken)?;
        let start = self.at;
        match first {
            b'{' => {
                self.enter()?;
                self.at += 1;
                if !self.skips(b'}') {
                    loop {
                        self.peek();
                        self.string()?;
                        self.expect(b':')?;
                        self.skip()?;
                        if self.skips(b'}') {
                            break;
                        }
                        self.expect(b',')?;
                    }
                }
                self.leave();
            }
            b'[' => {
                self.enter()?;
                self.at += 1;
                if !self.skips(b']') {
                    loop {
                        self.skip()?;
                        if self.skips(b']') {
                            break;
                        }
                        self.expect(b',')?;
                    }
                }
                self.leave();
            }
            b'"' => {
                self.string()?;
            }
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => {
                self.number()?;
            }
        }
        Ok(&self.text[start..self.at])
    }

    pub(crate) fn word(&mut self, word: &str) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let follows = rest.get(word.len()).copied().unwrap_or(b' ');
        if !rest.starts_with(word.as_bytes()) || follows.is_ascii_alphanumeric() {
            return Err(broken());
        }
        self.at += word.len();
        Ok(())
    }

    /// A string as it stands between its quotes.
    pub(crate) fn string(&mut self) -> Result<&'a str> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return Err(broken());
        }
        self.at += 1;
        let start = self.at;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    let string = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.at += 1;
                    match bytes.get(self.at) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 1;
                        }
                        Some(b'u') => {
                            let digits = bytes.get(self.at + 1..self.at + 5);
                            if !digits
                                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                            {
                                return Err(broken());
                            }
                            self.at += 5;
                        }
                        _ => return Err(broken()),
                    }
                }
                Some(byte) if *byte >= b' ' => self.at += 1,
                _ => return Err(broken()),
            }
        }
    }

    pub(crate) fn number(&mut self) -> Result<&'a str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        let mut at = self.at;
        if bytes.get(at) == Some(&b'-') {
            at += 1;
        }
        let starts_with_zero = bytes.get(at) == Some(&b'0');
        if starts_with_zero {
            at += 1;
        } else if !digits(&mut at) {
            return Err(broken());
        }
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            if !digits(&mut at) {
                return Err(broken());
            }
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            if let Some(b'+' | b'-') = bytes.get(at) {
                at += 1;
            }
            if !digits(&mut at) {
                return Err(broken());
            }
        }
        if bytes
            .get(at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(broken());
        }
        self.at = at;
        Ok(&self.text[start..at])
    }
}

/// The text that a string means. 22P05 for a null character, 22P02 for half a pair of surrogates.
pub(crate) fn unescaped(raw: &str) -> Result<Cow<'_, str>> {
    if !raw.contains('\\') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let code = |chars: &mut std::str::Chars| {
                    let digits: String = chars.take(4).collect();
                    u32::from_str_radix(&digits, 16).map_err(|_| broken())
                };
                let mut unit = code(&mut chars)?;
                if (0xd800..0xdc00).contains(&unit) {
                    if chars.next() != Some('\\') || chars.next() != Some('u') {
                        return Err(broken());
                    }
                    let low = code(&mut chars)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(broken());
                    }
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                }
                if unit == 0 {
                    return Err(refuse("22P05", "unsupported Unicode escape sequence"));
                }
                text.push(char::from_u32(unit).ok_or_else(broken)?);
            }
            Some(other) => text.push(other),
            None => return Err(broken()),
        }
    }
    Ok(Cow::Owned(text))
}

/// A text as a JSON string, with its quotes.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
