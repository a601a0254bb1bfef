//! Rows that can't be understood: where they stand, what is wrong, and their raw text.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};

use crate::Result;
use crate::held::{Held, HeldRows};

/// One row that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub file: String,
    /// Counted from 1; in Parquet the number of the row.
    pub line: u64,
    /// `None` if the row as a whole is wrong.
    pub column: Option<String>,
    pub reason: String,
    pub raw: String,
}

/// Kinds of reason that are counted one by one; the rest is counted together.
const MOST_KINDS: usize = 1_000;
const MOST_SHOWN: usize = 10;

/// Refusals by kind of reason, and the first of them.
#[derive(Default)]
pub struct Reasons {
    counts: HashMap<String, u64>,
    pub first: Vec<Refusal>,
    pub n: u64,
}

impl Reasons {
    pub fn count(&mut self, refused: &[Refusal]) {
        self.n += refused.len() as u64;
        for refusal in refused {
            if self.first.len() < MOST_SHOWN {
                self.first.push(refusal.clone());
            }
            let mut kind = kind(refusal);
            if self.counts.len() >= MOST_KINDS && !self.counts.contains_key(&kind) {
                kind = "other reasons".into();
            }
            *self.counts.entry(kind).or_default() += 1;
        }
    }

    /// Most frequent first.
    pub fn by_count(&self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self
            .counts
            .iter()
            .map(|(kind, n)| (kind.clone(), *n))
            .collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

/// The reason with the offending value left out: `occurred_at: "…" is not a time`.
fn kind(refusal: &Refusal) -> String {
    let reason = &refusal.reason;
    let reason = match (reason.find('"'), reason.rfind('"')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}…{}", &reason[..=from], &reason[to..])
        }
        _ => reason.clone(),
    };
    match &refusal.column {
        Some(column) => format!("{column}: {reason}"),
        None => reason,
    }
}

/// As rows of the table `quarantine`.
pub fn hold(
    held: &mut Held,
    refused: &[Refusal],
    load_id: &str,
    source: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let text = |value: fn(&Refusal) -> Option<&str>| -> ArrayRef {
        Arc::new(refused.iter().map(value).collect::<StringArray>())
    };
    let n = refused.len();
    let constant = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, n)))
    };
    let columns = held
        .table
        .schema
        .fields()
        .iter()
        .map(|field| -> Option<ArrayRef> {
            Some(match field.name().as_str() {
                "load_id" => constant(load_id),
                "source" => constant(source),
                "file" => text(|refusal| Some(&refusal.file)),
                "line" => {
                    let lines = refused
                        .iter()
                        .map(|refusal| i64::try_from(refusal.line).unwrap_or(i64::MAX));
                    Arc::new(Int64Array::from_iter_values(lines))
                }
                "column" => text(|refusal| refusal.column.as_deref()),
                "reason" => text(|refusal| Some(&refusal.reason)),
                "raw" => {
                    // PostgreSQL's text has no zero byte, and these rows go to its clients.
                    let raws = refused
                        .iter()
                        .map(|refusal| refusal.raw.replace('\0', "\\x00"));
                    Arc::new(StringArray::from_iter_values(raws))
                }
                "refused_at" => {
                    let now = TimestampMicrosecondArray::from_value(now.timestamp_micros(), n);
                    Arc::new(now.with_timezone("UTC"))
                }
                _ => return None,
            })
        });
    let columns = columns.collect();
    held.push(HeldRows {
        columns,
        ids: vec![],
        n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(column: Option<&str>, reason: &str) -> Refusal {
        Refusal {
            file: "f".into(),
            line: 1,
            column: column.map(str::to_owned),
            reason: reason.into(),
            raw: String::new(),
        }
    }

    #[test]
    fn reasons_are_counted_without_the_offending_value() {
        let mut reasons = Reasons::default();
        reasons.count(&[
            refusal(Some("amount"), "\"x\" is not a number"),
            refusal(Some("amount"), "\"y \"\" z\" is not a number"),
            refusal(None, "3 fields, the header has 8"),
        ]);
        assert_eq!(
            reasons.by_count(),
            [
                ("amount: \"…\" is not a number".to_owned(), 2),
                ("3 fields, the header has 8".to_owned(), 1),
            ]
        );
        assert_eq!(reasons.first.len(), 3);
    }
}
