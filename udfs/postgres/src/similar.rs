//! Patterns of `SIMILAR TO` as regular expressions, and `LIKE` patterns with an escape of their own as ordinary ones.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const SIMILAR: &[Overload] = &[
        Overload {
            takes: &[Kind::Text],
            more: None,
            gives: Kind::Text,
            work: similar,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Text,
            work: similar,
        },
    ];
    const LIKE: &[Overload] = &[Overload {
        takes: &[Kind::Text, Kind::Text],
        more: None,
        gives: Kind::Text,
        work: like,
    }];
    vec![
        simple(
            "similar_to_escape",
            "similar_to_escape(pattern [, escape])",
            "The regular expression that matches what a pattern of SIMILAR TO matches.",
            SIMILAR,
        )
        .udf(),
        simple(
            "like_escape",
            "like_escape(pattern, escape)",
            "A LIKE pattern whose escape character is another, with a backslash in its place.",
            LIKE,
        )
        .udf(),
    ]
}

fn similar(call: &Call) -> Result<ArrayRef> {
    let patterns = call.text(0);
    call.strict_texts(|row, out| {
        let escape = if call.count() > 1 {
            call.text(1).get(row)
        } else {
            None
        };
        out.push_str(&similar_to_escape(patterns.of(row), escape)?);
        Ok(())
    })
}

fn like(call: &Call) -> Result<ArrayRef> {
    let (patterns, escapes) = (call.text(0), call.text(1));
    call.strict_texts(|row, out| {
        let escape = single(Some(escapes.of(row)))?;
        let mut chars = patterns.of(row).chars();
        while let Some(c) = chars.next() {
            if Some(c) == escape {
                out.push('\\');
                out.extend(chars.next());
            } else {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        Ok(())
    })
}

/// `None` is a backslash, an empty text no escape at all.
fn single(escape: Option<&str>) -> Result<Option<char>> {
    let mut chars = escape.unwrap_or("\\").chars();
    let first = chars.next();
    if chars.next().is_some() {
        return Err(refuse("22025", "invalid escape string"));
    }
    Ok(first)
}

/// `%` and `_` are `.*` and `.`, what has a meaning in both keeps it, everything else stands for itself. Escaped quotes
/// part the text into three, of which `substring` wants the second.
pub(crate) fn similar_to_escape(pattern: &str, escape: Option<&str>) -> Result<String> {
    let escape = single(escape)?;
    let mut out = String::from("^(?:");
    let (mut after_escape, mut in_brackets, mut separators) = (false, false, 0);
    for c in pattern.chars() {
        if after_escape {
            if c == '"' && !in_brackets {
                match separators {
                    0 => out.push_str("){1,1}?("),
                    1 => out.push_str("){1,1}(?:"),
                    _ => {
                        return Err(refuse(
                            "2200C",
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                }
                separators += 1;
            } else {
                out.push('\\');
                out.push(c);
            }
            after_escape = false;
        } else if Some(c) == escape {
            after_escape = true;
        } else if in_brackets {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_brackets = c != ']';
        } else {
            match c {
                '[' => {
                    out.push('[');
                    in_brackets = true;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// The regular expression of a `LIKE` pattern. 22025 if it ends with its escape.
pub(crate) fn like_to_regexp(pattern: &str) -> Result<String> {
    let mut out = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '%' => {
                out.push_str(".*");
                continue;
            }
            '_' => {
                out.push('.');
                continue;
            }
            '\\' => chars.next().ok_or_else(|| {
                refuse("22025", "LIKE pattern must not end with escape character")
            })?,
            c => c,
        };
        if plain.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(plain);
    }
    out.push('$');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, escape: Option<&str>, expected: &str) {
        let made = similar_to_escape(pattern, escape).expect("a pattern");
        assert_eq!(made, expected, "{pattern}");
    }

    #[test]
    fn patterns_are_those_that_postgres_makes() {
        check("a(b|x)%_c.", None, "^(?:a(?:b|x).*.c\\.)$");
        check("50#%", Some("#"), "^(?:50\\%)$");
        check("[a%]\\_", None, "^(?:[a%]\\_)$");
        check("%#\"o_b#\"%", Some("#"), "^(?:.*){1,1}?(o.b){1,1}(?:.*)$");
    }
}
