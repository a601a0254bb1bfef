//! `regexp_replace`: the first match or, with the flag `g`, all; also from a place on, and of the n-th.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse_with_hint,
    regexp::{at_least, byte_at, compiled, global, is_within, pattern::Groups},
    simple::{Call, Kind, Overload, bounded, simple},
};

macro_rules! taking {
    ($($kind:ident),*) => {
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text, $(Kind::$kind),*],
            more: None,
            gives: Kind::Text,
            work,
        }
    };
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[
        taking!(),
        taking!(Text),
        taking!(Int),
        taking!(Int, Int),
        taking!(Int, Int, Text),
    ];
    vec![
        simple(
            "regexp_replace",
            "regexp_replace(text, pattern, replacement [, start [, number]] [, flags])",
            "A text whose first match of a regular expression (number 0 or flag g: all) is replaced. \\1 to \\9 are its \
             groups, \\& is all of it.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn work(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns, replacements) = (call.text(0), call.text(1), call.text(2));
    let fourth_is_flags = call.count() == 4 && !call.array(3).data_type().is_integer();
    call.strict_texts(|row, out| {
        let flags = match call.count() {
            4 if fourth_is_flags => call.text(3).of(row),
            6 => call.text(5).of(row),
            _ => "",
        };
        if fourth_is_flags && flags.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(refuse_with_hint(
                "22023",
                format!("invalid regular expression option: \"{}\"", &flags[..1]),
                "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
            ));
        }
        let (flags, every) = global(flags);
        let has_start = call.count() > 3 && !fourth_is_flags;
        let start = if has_start {
            at_least(call.int(3, row).unwrap_or(1), 1, "start")?
        } else {
            1
        };
        let number = if call.count() > 4 {
            at_least(call.int(4, row).unwrap_or(1), 0, "n")?
        } else {
            i64::from(!every)
        };
        let (text, pattern) = (texts.of(row), compiled(patterns.of(row), &flags)?);
        if !is_within(text, start) {
            out.push_str(text);
            return Ok(());
        }
        let mut copied = 0;
        for (index, groups) in (1..).zip(pattern.find_all(text, byte_at(text, start))) {
            if number > index {
                continue;
            }
            let Some((from, to)) = groups[0] else { break };
            out.push_str(&text[copied..from]);
            put(text, replacements.of(row), &groups, out);
            bounded(out.len())?;
            copied = to;
            if number == index {
                break;
            }
        }
        out.push_str(&text[copied..]);
        Ok(())
    })
}

fn put(text: &str, replacement: &str, groups: &Groups, out: &mut String) {
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let mut ahead = chars.clone();
        let group = match ahead.next() {
            Some(digit @ '1'..='9') => digit as usize - '0' as usize,
            Some('&') => 0,
            Some('\\') => {
                out.push('\\');
                chars = ahead;
                continue;
            }
            // A backslash before anything else stands for itself.
            _ => {
                out.push('\\');
                continue;
            }
        };
        if let Some((from, to)) = groups.get(group).copied().flatten() {
            out.push_str(&text[from..to]);
        }
        chars = ahead;
    }
}
