//! `regexp_substr`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    regexp::{at_least, byte_at, compiled, is_within, refuse_global},
    simple::{Call, Kind, Overload, simple},
};

macro_rules! taking {
    ($($kind:ident),*) => {
        Overload {
            takes: &[Kind::Text, Kind::Text, $(Kind::$kind),*],
            more: None,
            gives: Kind::Text,
            work,
        }
    };
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[
        taking!(),
        taking!(Int),
        taking!(Int, Int),
        taking!(Int, Int, Text),
        taking!(Int, Int, Text, Int),
    ];
    vec![
        simple(
            "regexp_substr",
            "regexp_substr(text, pattern [, start [, number [, flags [, group]]]])",
            "What a regular expression, or one of its groups, matches; NULL without a match.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn work(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    call.texts(|row, out| {
        if call.any_null(row) {
            return Ok(false);
        }
        let number = |index: usize, otherwise: i64| {
            if call.count() > index {
                call.int(index, row).unwrap_or(otherwise)
            } else {
                otherwise
            }
        };
        let start = at_least(number(2, 1), 1, "start")?;
        let wanted = at_least(number(3, 1), 1, "n")?;
        let flags = if call.count() > 4 {
            call.text(4).of(row)
        } else {
            ""
        };
        refuse_global(flags, "regexp_substr")?;
        let group = usize::try_from(at_least(number(5, 0), 0, "subexpr")?).unwrap_or(usize::MAX);
        let (text, pattern) = (texts.of(row), compiled(patterns.of(row), flags)?);
        if !is_within(text, start) {
            return Ok(false);
        }
        let skipped = usize::try_from(wanted - 1).unwrap_or(usize::MAX);
        let found = pattern.find_all(text, byte_at(text, start)).nth(skipped);
        match found.and_then(|groups| groups.get(group).copied().flatten()) {
            Some((from, to)) => {
                out.push_str(&text[from..to]);
                Ok(true)
            }
            None => Ok(false),
        }
    })
}
