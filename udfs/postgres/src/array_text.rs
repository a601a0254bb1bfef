//! Arrays written as one text, `{a,NULL,"b c"}`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::Refusal,
    simple::{Call, Kind, Overload, simple},
};

/// What the planner calls a cast of a text to an array of texts.
pub const TO_TEXTS: &str = "\u{1}texts";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Texts,
        work: to_texts,
    }];
    vec![
        simple(
            TO_TEXTS,
            "text::text[]",
            "The items of an array that a text describes.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn to_texts(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.text_lists(|row| Ok(texts.get(row).map(array_items).transpose()?))
}

/// The items of an array of one dimension; `None` is NULL. 22P02 if it is malformed.
pub fn array_items(text: &str) -> Result<Vec<Option<String>>, Refusal> {
    items_of(text).ok_or_else(|| {
        let start = text.trim_start();
        let inner = start.strip_prefix('{').map(str::trim_start);
        if start.starts_with('[') || inner.is_some_and(|inner| inner.starts_with('{')) {
            return one_dimension();
        }
        Refusal::new("22P02", format!("malformed array literal: \"{text}\""))
    })
}

/// 0A000 for an array of arrays, or one that does not count from 1.
pub fn one_dimension() -> Refusal {
    Refusal::not_supported(
        "arrays of several dimensions, or with bounds of their own, are not supported",
        "Keep an array of one dimension that counts from 1, or jsonb.",
    )
}

/// `None` if it is malformed.
fn items_of(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(vec![]);
    }
    let mut items = vec![];
    let mut item = Item::default();
    let mut in_quotes = false;
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes => in_quotes = false,
            // Quotes stand around the whole of an item.
            '"' if item.text.is_empty() && !item.is_quoted => {
                (in_quotes, item.is_quoted) = (true, true);
            }
            '"' => return None,
            _ if in_quotes => item.push(if c == '\\' { chars.next()? } else { c }),
            ',' => items.push(std::mem::take(&mut item).read()?),
            '{' | '}' => return None,
            c if c.is_ascii_whitespace() => item.blank(c),
            _ if item.is_quoted => return None,
            '\\' => item.push(chars.next()?),
            c => item.push(c),
        }
    }
    if in_quotes {
        return None;
    }
    items.push(item.read()?);
    Some(items)
}

#[derive(Default)]
struct Item {
    text: String,
    /// Blanks behind this are not its own.
    end: usize,
    is_quoted: bool,
}

impl Item {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.end = self.text.len();
    }

    /// Outside of quotes it counts only between others.
    fn blank(&mut self, c: char) {
        if !self.text.is_empty() {
            self.text.push(c);
        }
    }

    fn read(mut self) -> Option<Option<String>> {
        self.text.truncate(self.end);
        match self.text.as_str() {
            _ if self.is_quoted => Some(Some(self.text)),
            "" => None,
            null if null.eq_ignore_ascii_case("null") => Some(None),
            _ => Some(Some(self.text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::array_items;

    fn check(text: &str, expected: &[Option<&str>]) {
        let expected = expected.iter().map(|item| item.map(str::to_owned));
        assert_eq!(array_items(text), Ok(expected.collect()), "{text}");
    }

    fn refuse(text: &str, code: &str) {
        let refused = array_items(text).expect_err(text);
        assert_eq!(refused.code, code, "{text}");
    }

    #[test]
    fn items_are_read_as_postgres_reads_them() {
        check("{}", &[]);
        check(" {a, NULL,\"b c\" } ", &[Some("a"), None, Some("b c")]);
        check("{\"{a,b}\",\"NULL\"}", &[Some("{a,b}"), Some("NULL")]);
        check(
            "{ a b , \" c \" ,\"\"}",
            &[Some("a b"), Some(" c "), Some("")],
        );
        check("{a\\,b,\"c\\\"d\"}", &[Some("a,b"), Some("c\"d")]);
    }

    #[test]
    fn what_is_no_array_of_one_dimension_is_refused() {
        refuse("abc", "22P02");
        refuse("{\"a\"b}", "22P02");
        refuse("{a\"b\"}", "22P02");
        refuse("{1,", "22P02");
        refuse("{{1,2},{3,4}}", "0A000");
        refuse("[0:1]={1,2}", "0A000");
    }
}
