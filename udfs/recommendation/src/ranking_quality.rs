//! `ranking_quality`: how much of what customers took afterwards was recommended to them, and how far ahead.

use std::collections::HashMap;

use rapport_stats::Result;
use rapport_stats::ranking::evaluate;
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value};

use crate::who_had_what::{K, SECTION, most};

pub(crate) const AGGREGATE: Aggregate = Aggregate {
    name: "ranking_quality",
    arguments: &[
        Argument::labels(
            "recommended",
            "the items that were recommended to the customer, an array, the best first",
        ),
        Argument::labels("taken", "the items that they took afterwards, an array"),
        K,
    ],
    answer: Answer::Row(&[
        ("precision", Answer::Number),
        ("recall", Answer::Number),
        ("ndcg", Answer::Number),
        ("map", Answer::Number),
        ("map_at_k", Answer::Number),
        ("customers", Answer::Whole),
    ]),
    page: Page {
        section: SECTION,
        says: "How good recommendations were, of one row for each customer: a row of precision (share of the first k that was taken), recall (share of what was taken that is among the first k), ndcg (what was taken counts 1 / log2(1 + rank), divided by the best possible), map (mean average precision: the precision at each rank whose item was taken, divided by how many were taken), map_at_k (divided by the most hits possible among k instead), all between 0 and 1, and customers. They are means over the customers who were recommended something and took something; the others say nothing. Rows with a NULL are left out; NULL without any row. Refused (22023) are a k out of range, and that nobody was recommended something and took something.",
        example: "SELECT (ranking_quality(ARRAY['milk', 'bread'], ARRAY['bread'], 2)).*;",
    },
    work,
};

fn work(rows: &Rows) -> Result<Value> {
    let (recommended, _) = rows.label_arrays(0);
    let (mut taken, _) = rows.label_arrays(1);
    let known = rows.names(0);
    let number: HashMap<&str, u32> = known.iter().copied().zip(0..).collect();
    // What was never recommended has a number beyond those.
    let numbers: Vec<u32> = (known.len() as u32..)
        .zip(rows.names(1))
        .map(|(beyond, name)| number.get(name).copied().unwrap_or(beyond))
        .collect();
    for item in taken.iter_mut().flatten() {
        *item = numbers[*item as usize];
    }
    let quality = evaluate(&recommended, &taken, most(rows, 2)?)?;
    Ok(Value::Row(vec![
        quality.precision.into(),
        quality.recall.into(),
        quality.ndcg.into(),
        quality.mean_average_precision.into(),
        quality.mean_average_precision_at_k.into(),
        quality.n_customers.into(),
    ]))
}
