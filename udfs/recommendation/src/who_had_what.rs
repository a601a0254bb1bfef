//! The arguments that both functions have, and the interactions that they are.

use rapport_stats::interactions::Interactions;
use rapport_stats::recommendation::Recommendation;
use rapport_stats::{Error, Result};
use rapport_udf_face::{Argument, Rows, Values, whole, within};

pub(crate) const SECTION: &str = "Recommendation";

pub(crate) const CUSTOMER: Argument = Argument::label(
    "customer",
    "who: a number, a text or whatever else names them",
);
pub(crate) const ITEM: Argument = Argument::label(
    "item",
    "what they have had: a number, a text or whatever else names it",
);
pub(crate) const K: Argument = Argument::constant(
    "k",
    "how many at most, a whole number from 1 to 10000; the same in all rows",
);

/// Of an aggregate whose first arguments are customer and item, in an order of their own.
pub(crate) fn interactions(rows: &Rows, weights: &[f64]) -> Result<Interactions> {
    let (customers, n_customers) = rows.labels(0);
    let (items, n_items) = rows.labels(1);
    let pairs = customers.into_iter().zip(items).zip(weights);
    let mut entries: Vec<(u32, u32, f64)> = pairs
        .map(|((customer, item), weight)| (customer, item, *weight))
        .collect();
    entries.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
    Interactions::new(n_customers, n_items, &entries)
}

/// Refuses `n` times `each` of them where these are more than `most`, which bounds the memory that is not counted.
pub(crate) fn check(what: &'static str, n: usize, each: usize, most: usize) -> Result<()> {
    match n.saturating_mul(each) <= most {
        true => Ok(()),
        false => Err(Error::TooMany { what, most }),
    }
}

/// Rows of an answer.
pub(crate) const MOST_ROWS: usize = 1 << 25;

/// Of the constant [`K`].
pub(crate) fn most(rows: &Rows, argument: usize) -> Result<usize> {
    whole_within(
        "k",
        "a whole number from 1 to 10000",
        rows.constant(argument),
        10_000.0,
    )
}

/// `value` as a whole number from 1 to `most`; `range` says the same in words.
pub(crate) fn whole_within(
    name: &'static str,
    range: &'static str,
    value: Option<f64>,
    most: f64,
) -> Result<usize> {
    let value = value.unwrap_or(f64::NAN);
    let value = within(name, range, value, 1.0..=most)?;
    let refused = |_| Error::Range { name, range, value };
    Ok(whole(name, value).map_err(refused)? as usize)
}

/// What was found for each number from 0, the best first.
pub(crate) struct Found {
    pub of: Vec<u32>,
    pub items: Vec<u32>,
    pub ranks: Values,
    pub scores: Values,
}

impl Found {
    pub fn new<'a>(lists: impl Iterator<Item = &'a [Recommendation]>) -> Self {
        let (mut of, mut items, mut ranks, mut scores) = (vec![], vec![], vec![], vec![]);
        for (number, list) in (0_u32..).zip(lists) {
            of.extend(list.iter().map(|_| number));
            items.extend(list.iter().map(|found| found.item));
            ranks.extend(1..=list.len());
            scores.extend(list.iter().map(|found| found.score));
        }
        Self {
            of,
            items,
            ranks: ranks.into(),
            scores: scores.into(),
        }
    }
}
