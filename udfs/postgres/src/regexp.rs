//! Regular expressions as PostgreSQL has them, matched by the regex crate.
//!
//! `pattern.rs` turns the one language into the other. What is found where may differ: PostgreSQL takes the longest match
//! (or the shortest, if the expression begins with a lazy repetition), the regex crate the first that it comes upon.
//! Where that can make a difference, the end of the match is looked for first, and then a match that ends there.

mod count;
mod instr;
mod like;
mod matches;
mod operators;
mod pattern;
mod replace;
mod split;
mod substr;

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

pub(crate) use pattern::Pattern;

use crate::refusal::refuse;

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        operators::functions(),
        like::functions(),
        matches::functions(),
        replace::functions(),
        split::functions(),
        count::functions(),
        instr::functions(),
        substr::functions(),
    ]
    .concat()
}

/// So many patterns are kept per thread.
const KEPT: usize = 64;

/// A pattern with PostgreSQL's flags, compiled once for many rows. `g` is for the caller.
pub(crate) fn compiled(pattern: &str, flags: &str) -> Result<Rc<Pattern>> {
    type Cache = HashMap<(String, String), Rc<Pattern>>;
    thread_local! {
        static LAST: RefCell<Option<(String, String, Rc<Pattern>)>> = const { RefCell::new(None) };
        static CACHE: RefCell<Cache> = RefCell::default();
    }
    let last = LAST.with_borrow(|last| match last {
        Some((known, with, compiled)) if known == pattern && with == flags => {
            Some(compiled.clone())
        }
        _ => None,
    });
    if let Some(last) = last {
        return Ok(last);
    }
    CACHE.with_borrow_mut(|cache| {
        let key = (pattern.to_owned(), flags.to_owned());
        let compiled = match cache.get(&key) {
            Some(known) => known.clone(),
            None => {
                let new = Rc::new(Pattern::new(pattern, flags)?);
                if cache.len() >= KEPT {
                    cache.clear();
                }
                cache.insert(key, new.clone());
                new
            }
        };
        LAST.set(Some((
            pattern.to_owned(),
            flags.to_owned(),
            compiled.clone(),
        )));
        Ok(compiled)
    })
}

/// Flags without `g`, and whether there was one.
fn global(flags: &str) -> (String, bool) {
    (flags.replace('g', ""), flags.contains('g'))
}

/// 22023 for a function that always looks for all matches, or for one.
fn refuse_global(flags: &str, function: &str) -> Result<()> {
    if flags.contains('g') {
        return Err(refuse(
            "22023",
            format!("{function}() does not support the \"global\" option"),
        ));
    }
    Ok(())
}

/// A place counted in characters from 1, in bytes from 0.
fn byte_at(text: &str, place: i64) -> usize {
    let skipped = usize::try_from(place.saturating_sub(1)).unwrap_or(0);
    text.char_indices()
        .nth(skipped)
        .map_or(text.len(), |(at, _)| at)
}

/// Whether a search from this place, counted from 1, can find anything: it may begin right behind the text.
fn is_within(text: &str, place: i64) -> bool {
    usize::try_from(place.saturating_sub(1)).is_ok_and(|skipped| skipped <= text.chars().count())
}

/// 22023 for a number of what is counted from 1.
fn at_least(value: i64, least: i64, what: &str) -> Result<i64> {
    if value < least {
        return Err(refuse(
            "22023",
            format!("invalid value for parameter \"{what}\": {value}"),
        ));
    }
    Ok(value)
}
