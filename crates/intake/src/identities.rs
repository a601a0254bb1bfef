//! Whose a row is: the company's identifiers → `customer_id`, dense and in order of first appearance.
//!
//! While a load is read, each identifier gets a number of the load's own; what it is called in the warehouse is
//! looked up at the end, in one pass over `customer_identities`. New ones are added by compare-and-swap: if somebody
//! else added meanwhile, the look-up is repeated, so no number is given twice and no identifier gets two. A load that
//! was killed after adding them finds them when it is run again.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Utc};
use datafusion::common::HashMap;
use futures::StreamExt;
use rapport_lake::{Append, DataFile, Lake, Snapshot, TableName};
use tokio_util::sync::CancellationToken;

use crate::held::{Finish, Held, HeldRows};
use crate::key::IdSet;
use crate::table::{Facts, open};
use crate::text::as_text;
use crate::{Error, Result, Source, stored};

/// Other loads may come first this often.
const ATTEMPTS: usize = 100;
/// Identities in one batch that is written.
const BATCH_ROWS: usize = 65_536;

/// The customers of one load, numbered from 0.
#[derive(Default)]
pub struct Customers {
    numbers: HashMap<Arc<str>, i64>,
    values: Vec<Arc<str>>,
}

impl Customers {
    pub fn numbers(&mut self, identifiers: &StringArray) -> Int64Array {
        // Files are often in order of customer, so the one before is worth a look.
        let mut last: Option<(&str, i64)> = None;
        let numbers = identifiers.iter().map(|identifier| {
            let identifier = identifier?;
            let number = match last {
                Some((text, number)) if text == identifier => number,
                _ => self.number(identifier),
            };
            last = Some((identifier, number));
            Some(number)
        });
        numbers.collect()
    }

    fn number(&mut self, identifier: &str) -> i64 {
        if let Some(number) = self.numbers.get(identifier) {
            return *number;
        }
        let number = i64::try_from(self.values.len()).expect("memory is smaller");
        let value: Arc<str> = identifier.into();
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }
}

/// When each customer of the load was first seen; `None` for those whose rows are all known already.
pub fn first_seen(held: &Held, n_customers: usize, known: &IdSet) -> Result<Vec<Option<i64>>> {
    let mut first: Vec<Option<i64>> = vec![None; n_customers];
    let index = |column| held.table.index(column).expect("interactions have it");
    let (customer, time) = (index("customer_id"), index("occurred_at"));
    for rows in held.each() {
        let rows = rows?;
        let (Some(customers), Some(times)) = (&rows.columns[customer], &rows.columns[time]) else {
            continue;
        };
        let times = times
            .as_primitive::<arrow::datatypes::TimestampMicrosecondType>()
            .values();
        for (row, customer) in customers.as_primitive::<Int64Type>().iter().enumerate() {
            let is_new = known.is_empty() || !known.contains(&rows.ids[row]);
            if let (Some(customer), true) = (customer, is_new) {
                let first = &mut first[customer as usize];
                *first = Some(first.map_or(times[row], |first| first.min(times[row])));
            }
        }
    }
    Ok(first)
}

/// What the customers of a load are called in the warehouse, before that is made true by [`LookedUp::add_new`].
pub struct LookedUp {
    /// `customer_id` of each customer of the load that has a new row; 0 for the others.
    pub ids: Vec<i64>,
    /// Places in `ids` of those who are new to the warehouse.
    new: Vec<usize>,
    /// The version of `customer_identities` that was looked at.
    base: u64,
}

pub async fn look_up(
    lake: &Lake,
    source: &Source,
    customers: &Customers,
    first_seen: &[Option<i64>],
    cancel: &CancellationToken,
) -> Result<LookedUp> {
    let mut ids = vec![0; customers.len()];
    let (_, snapshot) = open(lake, &identities()).await?;
    let mut largest = 0;
    if first_seen.iter().any(Option::is_some) {
        let files: Vec<&DataFile> = snapshot.files().iter().collect();
        stored::scan(
            lake,
            &files,
            &["kind", "value", "customer_id"],
            cancel,
            &mut |batch| {
                largest = largest.max(stored::largest(batch, "customer_id").unwrap_or(0));
                find(batch, source, customers, &mut ids);
            },
        )
        .await?;
        // Somebody may have put customers into `customers` by hand.
        largest = largest.max(largest_customer(lake, cancel).await?);
    }
    let mut new = vec![];
    for (i, id) in ids.iter_mut().enumerate() {
        if first_seen[i].is_none() {
            *id = 0;
        } else if *id == 0 {
            new.push(i);
            largest += 1;
            *id = largest;
        }
    }
    Ok(LookedUp {
        ids,
        new,
        base: snapshot.version(),
    })
}

impl LookedUp {
    /// For tables whose rows are nobody's.
    pub fn nobody() -> Self {
        Self {
            ids: vec![],
            new: vec![],
            base: 0,
        }
    }

    pub fn n_new(&self) -> u64 {
        self.new.len() as u64
    }

    /// Adds the new ones to `customer_identities` and what is missing to `customers`. `false` if somebody else added
    /// identities meanwhile: then look up again.
    pub async fn add_new(
        &self,
        lake: &Lake,
        source: &Source,
        customers: &Customers,
        first_seen: &[Option<i64>],
        now: DateTime<Utc>,
        cancel: &CancellationToken,
    ) -> Result<bool> {
        if !self.new.is_empty() {
            let (table, snapshot) = open(lake, &identities()).await?;
            let facts = Arc::new(Facts::of(&snapshot));
            let rows = self.identity_rows(&facts, source, customers, first_seen)?;
            match add(&table, &rows, self.base, now).await {
                Ok(()) => {}
                Err(Error::Lake(rapport_lake::Error::Conflict { .. })) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        complete_customers(lake, customers, first_seen, &self.ids, now, cancel).await?;
        Ok(true)
    }

    fn identity_rows(
        &self,
        facts: &Arc<Facts>,
        source: &Source,
        customers: &Customers,
        first_seen: &[Option<i64>],
    ) -> Result<Held> {
        let mut held = Held::new(Arc::clone(facts), usize::MAX, None);
        for new in self.new.chunks(BATCH_ROWS) {
            let n = new.len();
            held.push(by_name(facts, n, |column| match column {
                "kind" => Some(constant(&source.customer_kind, n)),
                "value" => Some(Arc::new(values(customers, new))),
                "customer_id" => Some(Arc::new(Int64Array::from_iter_values(
                    new.iter().map(|i| self.ids[*i]),
                ))),
                "since" => Some(times(first_seen, new)),
                "source" => Some(constant(&source.name, n)),
                _ => None,
            }))?;
        }
        Ok(held)
    }
}

fn identities() -> TableName {
    TableName::public("customer_identities")
}

fn times(first_seen: &[Option<i64>], places: &[usize]) -> ArrayRef {
    let times: TimestampMicrosecondArray = places.iter().map(|i| first_seen[*i]).collect();
    Arc::new(times.with_timezone("UTC"))
}

/// Files that were not looked at yet.
fn unseen<'a>(snapshot: &'a Snapshot, seen: &mut HashSet<String>) -> Vec<&'a DataFile> {
    snapshot
        .files()
        .iter()
        .filter(|file| seen.insert(file.path.clone()))
        .collect()
}

fn find(batch: &RecordBatch, source: &Source, customers: &Customers, ids: &mut [i64]) {
    let text = |column: &str| batch.column_by_name(column).and_then(as_text);
    let (Some(kinds), Some(values)) = (text("kind"), text("value")) else {
        return;
    };
    let Some(found) = batch.column_by_name("customer_id") else {
        return;
    };
    let found = found.as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        if kinds.is_valid(row)
            && values.is_valid(row)
            && kinds.value(row) == source.customer_kind
            && let Some(number) = customers.numbers.get(values.value(row))
        {
            ids[*number as usize] = found.value(row);
        }
    }
}

async fn largest_customer(lake: &Lake, cancel: &CancellationToken) -> Result<i64> {
    let (_, snapshot) = open(lake, &TableName::public("customers")).await?;
    let mut largest = 0;
    let mut unknown = vec![];
    for file in snapshot.files() {
        match file
            .stats
            .column("customer_id")
            .and_then(|stats| stats.max.clone())
        {
            Some(max) => {
                let max = max
                    .as_primitive_opt::<Int64Type>()
                    .and_then(|max| max.iter().flatten().next());
                largest = largest.max(max.unwrap_or(0));
            }
            None => unknown.push(file),
        }
    }
    stored::scan(lake, &unknown, &["customer_id"], cancel, &mut |batch| {
        largest = largest.max(stored::largest(batch, "customer_id").unwrap_or(0));
    })
    .await?;
    Ok(largest)
}

/// Adds the rows of `customers` that are missing, also those that a load left out when it was killed between the
/// two tables.
async fn complete_customers(
    lake: &Lake,
    customers: &Customers,
    first_seen: &[Option<i64>],
    ids: &[i64],
    now: DateTime<Utc>,
    cancel: &CancellationToken,
) -> Result<()> {
    let name = TableName::public("customers");
    let mut missing: HashMap<i64, usize> = (0..ids.len())
        .filter(|i| ids[*i] > 0)
        .map(|i| (ids[i], i))
        .collect();
    let mut seen = HashSet::new();
    for _ in 0..ATTEMPTS {
        let (table, snapshot) = open(lake, &name).await?;
        let files = unseen(&snapshot, &mut seen);
        stored::scan(lake, &files, &["customer_id"], cancel, &mut |batch| {
            for id in batch.column(0).as_primitive::<Int64Type>().iter().flatten() {
                missing.remove(&id);
            }
        })
        .await?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<(i64, usize)> = missing.iter().map(|(id, i)| (*id, *i)).collect();
        rows.sort_unstable();
        let facts = Arc::new(Facts::of(&snapshot));
        let mut held = Held::new(Arc::clone(&facts), usize::MAX, None);
        for rows in rows.chunks(BATCH_ROWS) {
            let (ids, places): (Vec<i64>, Vec<usize>) = rows.iter().copied().unzip();
            held.push(by_name(&facts, rows.len(), |column| match column {
                "customer_id" => Some(Arc::new(Int64Array::from(ids.clone()))),
                "customer_ref" => Some(Arc::new(values(customers, &places))),
                "first_seen" => Some(times(first_seen, &places)),
                _ => None,
            }))?;
        }
        match add(&table, &held, snapshot.version(), now).await {
            Ok(()) => return Ok(()),
            Err(Error::Lake(rapport_lake::Error::Conflict { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Contention {
        table: name.to_string(),
    })
}

fn values(customers: &Customers, places: &[usize]) -> StringArray {
    StringArray::from_iter_values(places.iter().map(|i| &customers.values[*i]))
}

fn constant(text: &str, n: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, n)))
}

fn by_name(facts: &Facts, n: usize, column: impl Fn(&str) -> Option<ArrayRef>) -> HeldRows {
    let columns = facts
        .schema
        .fields()
        .iter()
        .map(|field| column(field.name()));
    HeldRows {
        columns: columns.collect(),
        ids: vec![],
        n,
    }
}

async fn add(
    table: &rapport_lake::Table,
    rows: &Held,
    base: u64,
    now: DateTime<Utc>,
) -> Result<()> {
    let finish = Finish {
        known: IdSet::default(),
        customers: vec![],
        source: String::new(),
        now,
    };
    let mut batches = vec![];
    rows.sorted(&finish, &mut |batch| {
        batches.push(Ok(batch));
        true
    })?;
    let options = Append {
        base: Some(base),
        operation: "LOAD",
        ..Append::default()
    };
    table
        .append(futures::stream::iter(batches).boxed(), options)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_numbered_as_they_appear() {
        let mut customers = Customers::default();
        let first = customers.numbers(&StringArray::from(vec![
            Some("b"),
            None,
            Some("a"),
            Some("b"),
        ]));
        assert_eq!(
            first,
            Int64Array::from(vec![Some(0), None, Some(1), Some(0)])
        );
        let second = customers.numbers(&StringArray::from(vec!["c", "c", "a"]));
        assert_eq!(second, Int64Array::from(vec![2, 2, 1]));
        assert_eq!(customers.len(), 3);
    }
}
