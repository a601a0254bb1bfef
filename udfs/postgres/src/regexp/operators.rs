//! The operators `~`, `~*`, `!~` and `!~*`, under the names that PostgreSQL's functions behind them have.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    regexp::compiled,
    simple::{Call, Kind, Overload, simple},
};

macro_rules! operator {
    ($name:literal, $operator:literal, $flags:literal, $wanted:literal) => {{
        fn work(call: &Call) -> Result<ArrayRef> {
            matched(call, $flags, $wanted)
        }
        const OVERLOADS: &[Overload] = &[Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Bool,
            work,
        }];
        simple(
            $name,
            concat!("text ", $operator, " pattern"),
            "Whether a text matches a regular expression anywhere.",
            OVERLOADS,
        )
        .udf()
    }};
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        operator!("textregexeq", "~", "", true),
        operator!("texticregexeq", "~*", "i", true),
        operator!("textregexne", "!~", "", false),
        operator!("texticregexne", "!~*", "i", false),
    ]
}

fn matched(call: &Call, flags: &str, wanted: bool) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    call.bools(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let pattern = compiled(patterns.of(row), flags)?;
        Ok(Some(pattern.is_match(texts.of(row)) == wanted))
    })
}
