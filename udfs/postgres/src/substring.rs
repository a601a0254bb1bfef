//! `substring` and `substr`: by place, which may lie before the text, or by regular expression.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse,
    regexp,
    similar::similar_to_escape,
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const PLACES: [Overload; 4] = [
        Overload {
            takes: &[Kind::Text, Kind::Int],
            more: None,
            gives: Kind::Text,
            work: by_place,
        },
        Overload {
            takes: &[Kind::Text, Kind::Int, Kind::Int],
            more: None,
            gives: Kind::Text,
            work: by_place,
        },
        Overload {
            takes: &[Kind::Bytea, Kind::Int],
            more: None,
            gives: Kind::Bytea,
            work: bytes_by_place,
        },
        Overload {
            takes: &[Kind::Bytea, Kind::Int, Kind::Int],
            more: None,
            gives: Kind::Bytea,
            work: bytes_by_place,
        },
    ];
    const PATTERNS: [Overload; 2] = [
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Text,
            work: by_pattern,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Text,
            work: by_similar_pattern,
        },
    ];
    const ALL: [Overload; 6] = {
        let [a, b, c, d] = PLACES;
        let [e, f] = PATTERNS;
        [a, b, c, d, e, f]
    };
    let about =
        "A part of a text: from a place on, counted from 1, or what matches a regular expression.";
    vec![
        simple("substr", "substr(text, from [, count])", about, &PLACES).udf(),
        simple("substring", "substring(text, from [, count])", about, &ALL).udf(),
    ]
}

/// The places that are asked for, from 0, of which the last is not meant; 22011 if there are fewer than none.
fn range(from: i64, count: Option<i64>) -> Result<(usize, usize)> {
    let first = usize::try_from(from.saturating_sub(1)).unwrap_or(0);
    let end = match count {
        None => usize::MAX,
        Some(count) if count < 0 => {
            return Err(refuse("22011", "negative substring length not allowed"));
        }
        Some(count) => usize::try_from(from.saturating_add(count).saturating_sub(1)).unwrap_or(0),
    };
    Ok((first, end.max(first)))
}

/// Characters, counted from 0.
pub(crate) fn characters(text: &str, from: usize, to: usize) -> &str {
    if text.is_ascii() {
        return &text[from.min(text.len())..to.min(text.len())];
    }
    let mut places = text.char_indices().map(|(at, _)| at);
    let start = places.by_ref().nth(from).unwrap_or(text.len());
    let end = match to.checked_sub(from + 1) {
        None => start,
        Some(more) => places.nth(more).unwrap_or(text.len()),
    };
    &text[start..end]
}

fn by_place(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let count = if call.count() > 2 {
            call.int(2, row)
        } else {
            None
        };
        let (from, to) = range(call.int(1, row).unwrap_or(1), count)?;
        out.push_str(characters(texts.of(row), from, to));
        Ok(())
    })
}

fn bytes_by_place(call: &Call) -> Result<ArrayRef> {
    call.byteas(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let bytes = call.bytes(0, row).unwrap_or_default();
        let count = if call.count() > 2 {
            call.int(2, row)
        } else {
            None
        };
        let (from, to) = range(call.int(1, row).unwrap_or(1), count)?;
        let part = &bytes[from.min(bytes.len())..to.min(bytes.len())];
        Ok(Some(part.to_vec()))
    })
}

/// What the first parentheses match, or without any the whole pattern.
fn by_pattern(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    call.texts(|row, out| {
        if call.any_null(row) {
            return Ok(false);
        }
        let pattern = regexp::compiled(patterns.of(row), "")?;
        Ok(first_group(&pattern, texts.of(row), out))
    })
}

fn by_similar_pattern(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns, escapes) = (call.text(0), call.text(1), call.text(2));
    call.texts(|row, out| {
        if call.any_null(row) {
            return Ok(false);
        }
        let pattern = similar_to_escape(patterns.of(row), Some(escapes.of(row)))?;
        let pattern = regexp::compiled(&pattern, "")?;
        Ok(first_group(&pattern, texts.of(row), out))
    })
}

fn first_group(pattern: &regexp::Pattern, text: &str, out: &mut String) -> bool {
    let Some(found) = pattern.find(text, 0) else {
        return false;
    };
    let group = if found.len() > 1 { found[1] } else { found[0] };
    match group {
        Some((from, to)) => {
            out.push_str(&text[from..to]);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_may_lie_outside_of_the_text() {
        let part = |from, count| {
            let (from, to) = range(from, count).expect("not negative");
            characters("grün", from, to).to_owned()
        };
        assert_eq!(part(2, None), "rün");
        assert_eq!(part(0, Some(2)), "g");
        assert_eq!(part(-1, Some(2)), "");
        assert_eq!(part(3, Some(1)), "ü");
        assert_eq!(part(9, Some(3)), "");
        assert_eq!(part(2, Some(i64::MAX)), "rün");
        assert!(range(1, Some(-1)).is_err());
    }
}
