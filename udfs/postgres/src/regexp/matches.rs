//! `regexp_match`, and what `regexp_matches` makes its rows of.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ListBuilder, StringViewBuilder},
    datatypes::{DataType, Field},
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    regexp::{compiled, global, pattern::Groups, refuse_global},
    simple::{Call, Kind, Overload, bounded, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const MATCH: &[Overload] = &[
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Texts,
            work: first,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Texts,
            work: first,
        },
    ];
    const MATCHES: &[Overload] = &[
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::TextLists,
            work: all,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::TextLists,
            work: all,
        },
    ];
    vec![
        simple(
            "regexp_match",
            "regexp_match(text, pattern [, flags])",
            "What the groups of a regular expression, or all of it, first match; NULL without a match.",
            MATCH,
        )
        .udf(),
        simple(
            "\u{1}regexp_matches",
            "regexp_matches(text, pattern [, flags])",
            "A row for the first match, or with the flag g for each.",
            MATCHES,
        )
        .udf(),
    ]
}

/// The groups, or the whole match of a pattern that has none.
fn captured(text: &str, groups: &Groups) -> Vec<Option<String>> {
    let wanted = if groups.len() > 1 {
        &groups[1..]
    } else {
        &groups[..]
    };
    let part = |place: &Option<(usize, usize)>| place.map(|(from, to)| text[from..to].to_owned());
    wanted.iter().map(part).collect()
}

fn first(call: &Call) -> Result<ArrayRef> {
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
        refuse_global(flags, "regexp_match")?;
        let (text, pattern) = (texts.of(row), compiled(patterns.of(row), flags)?);
        Ok(pattern.find(text, 0).map(|groups| captured(text, &groups)))
    })
}

fn all(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
    let inner = ListBuilder::new(StringViewBuilder::new()).with_field(item);
    let mut rows = ListBuilder::new(inner);
    let mut total = 0;
    for row in 0..call.rows {
        if !call.any_null(row) {
            let flags = if call.count() > 2 {
                call.text(2).of(row)
            } else {
                ""
            };
            let (flags, every) = global(flags);
            let (text, pattern) = (texts.of(row), compiled(patterns.of(row), &flags)?);
            let most = if every { usize::MAX } else { 1 };
            for groups in pattern.find_all(text, 0).take(most) {
                for part in captured(text, &groups) {
                    total += part.as_ref().map_or(0, String::len) + 16;
                    bounded(total)?;
                    rows.values().values().append_option(part);
                }
                rows.values().append(true);
            }
        }
        rows.append(true);
    }
    Ok(Arc::new(rows.finish()))
}
