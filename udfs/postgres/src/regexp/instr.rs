//! `regexp_instr`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse,
    regexp::{at_least, byte_at, compiled, is_within, refuse_global},
    simple::{Call, Kind, Overload, simple},
};

macro_rules! taking {
    ($($kind:ident),*) => {
        Overload {
            takes: &[Kind::Text, Kind::Text, $(Kind::$kind),*],
            more: None,
            gives: Kind::Int4,
            work,
        }
    };
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[
        taking!(),
        taking!(Int),
        taking!(Int, Int),
        taking!(Int, Int, Int),
        taking!(Int, Int, Int, Text),
        taking!(Int, Int, Int, Text, Int),
    ];
    vec![
        simple(
            "regexp_instr",
            "regexp_instr(text, pattern [, start [, number [, end [, flags [, group]]]]])",
            "Where the match of a regular expression begins, or with end = 1 what follows it; 0 without a match.",
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
        let number = |index: usize, otherwise: i64| {
            if call.count() > index {
                call.int(index, row).unwrap_or(otherwise)
            } else {
                otherwise
            }
        };
        let start = at_least(number(2, 1), 1, "start")?;
        let wanted = at_least(number(3, 1), 1, "n")?;
        let end = number(4, 0);
        if !(0..=1).contains(&end) {
            return Err(refuse(
                "22023",
                format!("invalid value for parameter \"endoption\": {end}"),
            ));
        }
        let flags = if call.count() > 5 {
            call.text(5).of(row)
        } else {
            ""
        };
        refuse_global(flags, "regexp_instr")?;
        let group = usize::try_from(at_least(number(6, 0), 0, "subexpr")?).unwrap_or(usize::MAX);
        let (text, pattern) = (texts.of(row), compiled(patterns.of(row), flags)?);
        if !is_within(text, start) {
            return Ok(Some(0));
        }
        let skipped = usize::try_from(wanted - 1).unwrap_or(usize::MAX);
        let found = pattern.find_all(text, byte_at(text, start)).nth(skipped);
        let place = found.and_then(|groups| groups.get(group).copied().flatten());
        Ok(Some(place.map_or(0, |(from, to)| {
            let before = if end == 1 { to } else { from };
            i32::try_from(text[..before].chars().count() + 1).unwrap_or(i32::MAX)
        })))
    })
}
