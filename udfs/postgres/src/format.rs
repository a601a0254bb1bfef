//! `format`: `%s`, `%I`, `%L` and `%%`, with places and widths.

use std::{iter::Peekable, str::Chars, sync::Arc};

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    output::Output,
    quote::{put_ident, put_literal},
    refusal::{refuse, refuse_with_hint},
    simple::{Call, Kind, Overload, bounded, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: Some(Kind::Any),
        gives: Kind::Text,
        work,
    }];
    vec![
        simple(
            "format",
            "format(text, value, …)",
            "A text with values put in for %s (as it is), %I (as a name), %L (as a literal); %n$s takes the n-th.",
            OVERLOADS,
        )
        .stable()
        .udf(),
    ]
}

fn work(call: &Call) -> Result<ArrayRef> {
    let formats = call.text(0);
    let values = (1..call.count())
        .map(|index| call.shown(index))
        .collect::<Result<Vec<_>>>()?;
    call.texts(|row, out| {
        let Some(format) = formats.get(row) else {
            return Ok(false);
        };
        let mut row = Row {
            call,
            values: &values,
            row,
            next: 0,
        };
        row.put(format, out)?;
        Ok(true)
    })
}

struct Row<'a> {
    call: &'a Call,
    values: &'a [Output<'a>],
    row: usize,
    /// The value that is taken if none is named.
    next: usize,
}

impl Row<'_> {
    fn put(&mut self, format: &str, out: &mut String) -> Result<()> {
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
            } else if chars.next_if_eq(&'%').is_some() {
                out.push('%');
            } else {
                self.put_value(&mut chars, out)?;
                bounded(out.len())?;
            }
        }
        Ok(())
    }

    fn put_value(&mut self, chars: &mut Peekable<Chars>, out: &mut String) -> Result<()> {
        let mut number = digits(chars)?;
        let mut place = None;
        if number.is_some() && chars.next_if_eq(&'$').is_some() {
            place = number.take();
        }
        let mut to_the_left = false;
        if number.is_none() {
            while chars.next_if_eq(&'-').is_some() {
                to_the_left = true;
            }
            number = digits(chars)?;
        }
        let mut width = number.unwrap_or(0);
        if number.is_none() && chars.next_if_eq(&'*').is_some() {
            let from = digits(chars)?;
            if from.is_some() && chars.next_if_eq(&'$').is_none() {
                return Err(refuse(
                    "22023",
                    "width argument position must be ended by \"$\"",
                ));
            }
            let text = self.text(from)?;
            let asked = text.as_deref().unwrap_or("0").parse::<i64>();
            let asked = asked.map_err(|_| {
                let text = text.unwrap_or_default();
                refuse(
                    "22P02",
                    format!("invalid input syntax for type integer: \"{text}\""),
                )
            })?;
            to_the_left |= asked < 0;
            width = usize::try_from(asked.unsigned_abs()).unwrap_or(usize::MAX);
        }
        let Some(kind) = chars.next() else {
            return Err(refuse_with_hint(
                "22023",
                "unterminated format() type specifier",
                "For a single \"%\" use \"%%\".",
            ));
        };
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(refuse_with_hint(
                "22023",
                format!("unrecognized format() type specifier \"{kind}\""),
                "For a single \"%\" use \"%%\".",
            ));
        }
        let value = self.text(place)?;
        let mut text = String::new();
        match (kind, value) {
            ('s', value) => text = value.unwrap_or_default(),
            ('I', Some(value)) => put_ident(&value, &mut text),
            ('I', None) => {
                return Err(refuse(
                    "22004",
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (_, Some(value)) => put_literal(&value, &mut text),
            (_, None) => text.push_str("NULL"),
        }
        let missing = width.saturating_sub(text.chars().count());
        bounded(out.len().saturating_add(missing))?;
        if to_the_left {
            out.push_str(&text);
        }
        out.extend(std::iter::repeat_n(' ', missing));
        if !to_the_left {
            out.push_str(&text);
        }
        Ok(())
    }

    /// The value of a place counted from 1, or the next one.
    fn text(&mut self, place: Option<usize>) -> Result<Option<String>> {
        let index = match place {
            Some(0) => {
                return Err(refuse(
                    "22023",
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            Some(place) => place - 1,
            None => self.next,
        };
        self.next = index + 1;
        let Some(value) = self.values.get(index) else {
            return Err(refuse("22023", "too few arguments for format()"));
        };
        let at = self.call.at(index + 1, self.row);
        if value.is_null(at) {
            return Ok(None);
        }
        let mut text = String::new();
        value.write(at, &mut text);
        Ok(Some(text))
    }
}

fn digits(chars: &mut Peekable<Chars>) -> Result<Option<usize>> {
    let mut number: Option<usize> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let more = number.unwrap_or(0) * 10 + digit as usize;
        if more > i32::MAX as usize {
            return Err(refuse("22003", "number is out of range"));
        }
        number = Some(more);
    }
    Ok(number)
}
