//! `regexp_like`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    regexp::{compiled, refuse_global},
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Bool,
            work,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Bool,
            work,
        },
    ];
    vec![
        simple(
            "regexp_like",
            "regexp_like(text, pattern [, flags])",
            "Whether a text matches a regular expression anywhere.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn work(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    call.bools(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let flags = if call.count() > 2 {
            call.text(2).of(row)
        } else {
            ""
        };
        refuse_global(flags, "regexp_like")?;
        let pattern = compiled(patterns.of(row), flags)?;
        Ok(Some(pattern.is_match(texts.of(row))))
    })
}
