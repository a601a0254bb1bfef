//! `regexp_split_to_array`, which is also what `regexp_split_to_table` makes its rows of.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    regexp::{Pattern, compiled, refuse_global},
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Texts,
            work,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Texts,
            work,
        },
    ];
    vec![
        simple(
            "regexp_split_to_array",
            "regexp_split_to_array(text, pattern [, flags])",
            "What lies between the matches of a regular expression.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn work(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    call.text_lists(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let flags = if call.count() > 2 {
            call.text(2).of(row)
        } else {
            ""
        };
        refuse_global(flags, "regexp_split_to_array")?;
        let pattern = compiled(patterns.of(row), flags)?;
        Ok(Some(parts(texts.of(row), &pattern)))
    })
}

/// A match of nothing at the beginning, at the end or right behind another match parts nothing.
fn parts(text: &str, pattern: &Pattern) -> Vec<Option<String>> {
    let mut parts = vec![];
    let mut copied = 0;
    for groups in pattern.find_all(text, 0) {
        let Some((from, to)) = groups[0] else { break };
        if from == to && (from == text.len() || from == copied) {
            continue;
        }
        parts.push(Some(text[copied..from].to_owned()));
        copied = to;
    }
    parts.push(Some(text[copied..].to_owned()));
    parts
}
