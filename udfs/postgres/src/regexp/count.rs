//! `regexp_count`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    regexp::{at_least, byte_at, compiled, is_within, refuse_global},
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Int4,
            work,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Int],
            more: None,
            gives: Kind::Int4,
            work,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Int, Kind::Text],
            more: None,
            gives: Kind::Int4,
            work,
        },
    ];
    vec![
        simple(
            "regexp_count",
            "regexp_count(text, pattern [, start [, flags]])",
            "How often a regular expression matches.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn work(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    call.ints(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let start = if call.count() > 2 {
            at_least(call.int(2, row).unwrap_or(1), 1, "start")?
        } else {
            1
        };
        let flags = if call.count() > 3 {
            call.text(3).of(row)
        } else {
            ""
        };
        refuse_global(flags, "regexp_count")?;
        let (text, pattern) = (texts.of(row), compiled(patterns.of(row), flags)?);
        if !is_within(text, start) {
            return Ok(Some(0));
        }
        let count = pattern.find_all(text, byte_at(text, start)).count();
        Ok(Some(i32::try_from(count).unwrap_or(i32::MAX)))
    })
}
