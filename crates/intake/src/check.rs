//! Raw batch → rows of each target table, checked and identified; what can't be understood is refused.
//!
//! A raw row is loaded whole or refused whole: if one target refuses it, no other gets it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{concat_batches, filter, take};
use arrow::datatypes::{Int32Type, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;

use crate::conform::Conform;
use crate::key::{self, Keys};
use crate::properties::properties;
use crate::raw::{RawBatch, RawForm};
use crate::select::{ROW, Select};
use crate::source::nearest;
use crate::table::{Facts, pg_type};
use crate::text::as_text;
use crate::{Error, Refusal, Result, Source, Target};

/// Set by the load itself; a SELECT can't give them.
const OURS: [&str; 3] = ["interaction_id", "source", "customer_id"];
const CUSTOMER: &str = "customer";

pub struct Checker {
    source: Source,
    context: SessionContext,
    runtime: tokio::runtime::Handle,
    tables: Vec<Arc<Facts>>,
    conform: Conform,
    keys: Keys,
    now: DateTime<Utc>,
    planned: Option<(SchemaRef, Vec<Plan>)>,
    /// Columns that a SELECT names and no batch of this file has had.
    unseen: HashSet<String>,
    file: Arc<str>,
}

/// How one target's rows come out of raw rows with certain columns.
struct Plan {
    way: Way,
    /// Raw columns that go to `properties`.
    unmapped: Vec<usize>,
}

enum Way {
    Select(Select),
    /// Raw column → name in the result.
    ByName(Vec<(usize, String)>),
}

pub struct Checked {
    pub n_read: u64,
    pub refused: Vec<Refusal>,
    /// One for each target of the source.
    pub rows: Vec<Rows>,
}

/// Rows of one target table.
pub struct Rows {
    /// By the table's columns; `None` where nothing is given.
    pub columns: Vec<Option<ArrayRef>>,
    pub customers: Option<StringArray>,
    /// Empty if the table's rows have no identity.
    pub ids: Vec<u128>,
    pub n: usize,
}

/// Rows on their way: as `Rows`, and where each comes from.
struct Rising {
    columns: Vec<Option<ArrayRef>>,
    customers: Option<StringArray>,
    raw_rows: Vec<usize>,
}

type Refused = BTreeMap<usize, (Option<String>, String)>;

impl Checker {
    /// `tables`: one for each target. `now` is when the rows are received. Call within a runtime, use outside of it.
    pub fn new(
        source: &Source,
        context: SessionContext,
        tables: Vec<Arc<Facts>>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            source: source.clone(),
            context,
            runtime: tokio::runtime::Handle::current(),
            tables,
            conform: Conform::new(source),
            keys: Keys::new(source),
            now,
            planned: None,
            unseen: HashSet::new(),
            file: "".into(),
        }
    }

    pub fn next_file(&mut self, name: &Arc<str>) {
        self.keys.next_file();
        self.planned = None;
        self.unseen.clear();
        self.file = Arc::clone(name);
    }

    /// Fails if the file never had a column that the source names.
    pub fn end_of_file(&self) -> Result<()> {
        let has = self
            .planned
            .as_ref()
            .map_or_else(Vec::new, |(schema, _)| names(schema));
        match self.unseen.iter().min() {
            Some(column) => Err(self.missing(column, has)),
            None => Ok(()),
        }
    }

    pub fn check(&mut self, raw: &RawBatch) -> Result<Checked> {
        let n_read = (raw.rows() + raw.refused.len()) as u64;
        let mut refused = Refused::new();
        if raw.rows() == 0 && raw.form == RawForm::Json {
            // Without any row, JSON lines have no columns.
            return Ok(Checked {
                n_read,
                refused: raw.refused.clone(),
                rows: vec![],
            });
        }
        self.plan(raw)?;
        let (schema, plans) = self.planned.take().expect("it has just been planned");
        let rising = self.rise(raw, &plans, &mut refused);
        self.planned = Some((schema, plans));
        let rising = rising?;

        let sources = self.sources(raw);
        let ids = self
            .keys
            .of(raw, sources.as_ref(), &mut |row, column, reason| {
                refused
                    .entry(row)
                    .or_insert_with(|| (column.map(str::to_owned), reason));
            })?;

        let mut rows = vec![];
        for (i, rising) in rising.into_iter().enumerate() {
            let rising = without(rising, &refused)?;
            rows.push(identify(
                rising,
                &self.tables[i],
                &self.source.targets[i],
                &ids,
            )?);
        }
        let mut all_refused = raw.refused.clone();
        all_refused.extend(refused.into_iter().map(|(row, (column, reason))| Refusal {
            file: raw.file.to_string(),
            line: raw.line(row),
            column,
            reason,
            raw: raw.text(row),
        }));
        Ok(Checked {
            n_read,
            refused: all_refused,
            rows,
        })
    }

    /// Each row's own source, where files with the table's own columns tell it.
    fn sources(&self, raw: &RawBatch) -> Option<StringArray> {
        if self
            .source
            .targets
            .iter()
            .any(|target| target.select.is_some())
        {
            return None;
        }
        as_text(raw.column_called("source")?)
    }

    fn plan(&mut self, raw: &RawBatch) -> Result<()> {
        let schema = raw.columns.schema();
        if self
            .planned
            .as_ref()
            .is_some_and(|(planned, _)| *planned == schema)
        {
            return Ok(());
        }
        let is_first = self.planned.is_none();
        let mut plans = vec![];
        let mut mapped: HashSet<String> = HashSet::new();
        let mut absent: HashSet<String> = HashSet::new();
        for (target, table) in self.source.targets.iter().zip(&self.tables) {
            let way = match &target.select {
                Some(sql) => {
                    let compiled = Select::compile(&self.context, &self.source.name, sql, &schema);
                    let select = self.runtime.block_on(compiled)?;
                    self.fits(table, &select)?;
                    if table.is_interactions {
                        mapped.extend(select.mapped.iter().cloned());
                    }
                    absent.extend(select.absent.iter().cloned());
                    Way::Select(select)
                }
                None => {
                    let taken = by_name(&schema, table);
                    mapped.extend(taken.iter().map(|(i, _)| schema.field(*i).name().clone()));
                    let is_given = |name: &str| taken.iter().any(|(_, given)| given == name);
                    absent.extend(
                        required(table)
                            .filter(|name| !is_given(name))
                            .map(str::to_owned),
                    );
                    Way::ByName(taken)
                }
            };
            plans.push(Plan {
                way,
                unmapped: vec![],
            });
        }
        let is_optional = self
            .source
            .targets
            .iter()
            .all(|target| target.select.is_none());
        let named = self
            .source
            .time_zone_column
            .iter()
            .chain(&self.source.currency_column);
        let keys = self.source.key.iter().filter(|_| !is_optional);
        absent.extend(
            named
                .chain(keys)
                .filter(|name| schema.field_with_name(name).is_err())
                .cloned(),
        );
        mapped.extend(self.source.currency_column.clone());
        mapped.extend(self.source.drop.iter().cloned());

        // Other formats have the same columns from beginning to end.
        if raw.form == RawForm::Json {
            self.unseen = if is_first {
                absent
            } else {
                &self.unseen & &absent
            };
        } else if let Some(column) = absent.iter().min() {
            return Err(self.missing(column, names(&schema)));
        }

        let keeps = self.tables.iter().position(|table| table.is_interactions);
        if let Some(plan) = keeps.map(|keeps| &mut plans[keeps]) {
            plan.unmapped = (0..schema.fields().len())
                .filter(|i| !mapped.contains(schema.field(*i).name()))
                .collect();
        }
        self.planned = Some((schema, plans));
        Ok(())
    }

    fn missing(&self, column: &str, has: Vec<String>) -> Error {
        Error::MissingColumn {
            file: self.file.to_string(),
            column: column.to_owned(),
            source_name: self.source.name.clone(),
            has,
        }
    }

    /// Fails if the SELECT gives what the table does not have.
    fn fits(&self, table: &Facts, select: &Select) -> Result<()> {
        let bad = |what| {
            Err(Error::Select {
                source_name: self.source.name.clone(),
                what,
            })
        };
        let schema = select.schema();
        for field in schema.fields() {
            let name = field.name().as_str();
            if name == ROW || table.is_interactions && name == CUSTOMER {
                continue;
            }
            if table.is_interactions && OURS.contains(&name) {
                return bad(match name {
                    "customer_id" => {
                        "`customer_id` is given out by the warehouse; name the company's own identifier `customer`"
                            .to_owned()
                    }
                    _ => format!("`{name}` is set by the load; leave it out"),
                });
            }
            if table.index(name).is_none() {
                let known = table
                    .schema
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str());
                let meant = nearest(name, known).map_or_else(String::new, |nearest| {
                    format!("; did you mean `{nearest}`?")
                });
                return bad(format!(
                    "the SELECT gives `{name}`, which {} does not have{meant}",
                    table.name
                ));
            }
        }
        let required = table
            .schema
            .fields()
            .iter()
            .filter(|field| !field.is_nullable());
        let required = required.map(|field| field.name().as_str());
        for name in required.chain(table.is_interactions.then_some("occurred_at")) {
            let is_given = schema.field_with_name(name).is_ok();
            if !is_given
                && !(table.is_interactions && (OURS.contains(&name) || name == "received_at"))
            {
                return bad(format!(
                    "the SELECT must give `{name}`, which {} can't be without",
                    table.name
                ));
            }
        }
        Ok(())
    }

    fn rise(
        &mut self,
        raw: &RawBatch,
        plans: &[Plan],
        refused: &mut Refused,
    ) -> Result<Vec<Rising>> {
        let mut all = vec![];
        for (i, plan) in plans.iter().enumerate() {
            let (columns, raw_rows) = match &plan.way {
                Way::Select(select) => {
                    let batches = select.run(raw, &mut |row, reason| {
                        refused.entry(row).or_insert((None, reason));
                    })?;
                    selected(&batches, select)?
                }
                Way::ByName(taken) => {
                    let columns = taken
                        .iter()
                        .map(|(column, name)| {
                            (name.clone(), Arc::clone(raw.columns.column(*column)))
                        })
                        .collect();
                    (columns, (0..raw.rows()).collect())
                }
            };
            let table = Arc::clone(&self.tables[i]);
            let rising = self.conform(raw, &table, columns, raw_rows, &plan.unmapped, refused)?;
            all.push(rising);
        }
        Ok(all)
    }

    fn conform(
        &mut self,
        raw: &RawBatch,
        table: &Facts,
        given: Vec<(String, ArrayRef)>,
        raw_rows: Vec<usize>,
        unmapped: &[usize],
        refused: &mut Refused,
    ) -> Result<Rising> {
        let n = raw_rows.len();
        let zones = self.raw_texts(raw, self.source.time_zone_column.as_deref(), &raw_rows)?;
        let mut columns: Vec<Option<ArrayRef>> = vec![None; table.schema.fields().len()];
        let mut customers = None;
        for (name, array) in given {
            if table.is_interactions && name == CUSTOMER {
                customers = Some(identifiers(&array).ok_or_else(|| Error::Select {
                    source_name: self.source.name.clone(),
                    what: format!("`customer` is {}, not text or a number", array.data_type()),
                })?);
                continue;
            }
            let index = table
                .index(&name)
                .expect("the SELECT has been checked against the table");
            let field = table.schema.field(index);
            let mut refuse = |row: usize, reason: String| {
                refused
                    .entry(raw_rows[row])
                    .or_insert_with(|| (Some(name.clone()), reason));
            };
            let column = self
                .conform
                .column(&array, field, pg_type(field), zones.as_ref(), &mut refuse)
                .map_err(|what| Error::Select {
                    source_name: self.source.name.clone(),
                    what: format!("`{name}`: {what}"),
                })?;
            columns[index] = Some(column);
        }
        if table.is_interactions {
            self.complete(raw, table, &raw_rows, unmapped, &mut columns, refused)?;
        }
        for (field, column) in table.schema.fields().iter().zip(&columns) {
            let must =
                !field.is_nullable() || table.is_interactions && field.name() == "occurred_at";
            let set_later = table.is_interactions
                && column.is_none()
                && (OURS.contains(&field.name().as_str()) || field.name() == "received_at");
            if !must || set_later {
                continue;
            }
            for (row, raw_row) in raw_rows.iter().enumerate() {
                if column.as_ref().is_none_or(|column| column.is_null(row)) {
                    let missing = || (Some(field.name().clone()), "is missing".to_owned());
                    refused.entry(*raw_row).or_insert_with(missing);
                }
            }
        }
        debug_assert!(columns.iter().flatten().all(|column| column.len() == n));
        Ok(Rising {
            columns,
            customers,
            raw_rows,
        })
    }

    /// What an interaction gets beside the SELECT: currency, properties, and defaults where a file has gaps.
    fn complete(
        &mut self,
        raw: &RawBatch,
        table: &Facts,
        raw_rows: &[usize],
        unmapped: &[usize],
        columns: &mut [Option<ArrayRef>],
        refused: &mut Refused,
    ) -> Result<()> {
        let n = raw_rows.len();
        if let (Some(currency), Some(amount)) = (table.index("currency"), table.index("amount")) {
            let default = match &self.source.currency {
                Some(currency) => Some(StringArray::from_iter_values((0..n).map(|_| currency))),
                None => self.raw_texts(raw, self.source.currency_column.as_deref(), raw_rows)?,
            };
            if let (Some(default), None, Some(amount)) =
                (default, &columns[currency], &columns[amount])
            {
                // A currency says what an amount is; without one it says nothing.
                let there: StringArray = default
                    .iter()
                    .enumerate()
                    .map(|(row, text)| text.filter(|_| amount.is_valid(row)))
                    .collect();
                columns[currency] = Some(Arc::new(there));
            }
        }
        if let Some(index) = table.index("properties")
            && (!unmapped.is_empty() || columns[index].is_some())
        {
            let own = columns[index].take();
            let own = own.as_ref().map(|own| own.as_string::<i32>());
            if !unmapped.is_empty() || own.is_some_and(|own| own.null_count() < n) {
                let all = properties(raw, unmapped, raw_rows, own, &mut |row, reason| {
                    let why = || (Some("properties".to_owned()), reason);
                    refused.entry(raw_rows[row]).or_insert_with(why);
                });
                columns[index] = Some(Arc::new(all));
            }
        }
        if let Some(index) = table.index("received_at")
            && let Some(column) = &columns[index]
            && column.null_count() > 0
        {
            let now = self.now.timestamp_micros();
            let times = column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            let times = TimestampMicrosecondArray::from_iter_values(
                times.iter().map(|time| time.unwrap_or(now)),
            );
            columns[index] = Some(Arc::new(times.with_timezone("UTC")));
        }
        if let Some(index) = table.index("source")
            && let Some(column) = &columns[index]
            && column.null_count() > 0
        {
            let texts = column.as_string::<i32>().iter();
            let texts = texts.map(|text| text.unwrap_or(&self.source.name));
            columns[index] = Some(Arc::new(StringArray::from_iter_values(texts)));
        }
        Ok(())
    }

    fn raw_texts(
        &self,
        raw: &RawBatch,
        column: Option<&str>,
        rows: &[usize],
    ) -> Result<Option<StringArray>> {
        let Some(texts) = column
            .and_then(|name| raw.columns.column_by_name(name))
            .and_then(as_text)
        else {
            return Ok(None);
        };
        let rows = rows
            .iter()
            .map(|row| i32::try_from(*row).expect("a batch is small"));
        let taken = take(&texts, &Int32Array::from_iter_values(rows), None).map_err(internal)?;
        Ok(Some(taken.as_string::<i32>().clone()))
    }
}

/// Columns that a row can't be without and that the load does not set itself.
fn required(table: &Facts) -> impl Iterator<Item = &str> {
    let must = table
        .schema
        .fields()
        .iter()
        .filter(|field| !field.is_nullable());
    let names = must.map(|field| field.name().as_str());
    names.filter(|name| !table.is_interactions || !OURS.contains(name) && *name != "received_at")
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

/// Raw columns that are called like the table's, whatever the case of their letters. The company's identifier is
/// `customer`; without that, `customer_id` is understood as the company's, because the warehouse's own number is not
/// something that a file can know.
fn by_name(schema: &SchemaRef, table: &Facts) -> Vec<(usize, String)> {
    let mut taken: Vec<(usize, String)> = vec![];
    let has_customer = schema
        .fields()
        .iter()
        .any(|field| field.name().eq_ignore_ascii_case(CUSTOMER));
    for (i, field) in schema.fields().iter().enumerate() {
        let mut name = field.name().to_ascii_lowercase();
        if table.is_interactions {
            match name.as_str() {
                "customer_id" if has_customer => continue,
                "customer_id" => name = CUSTOMER.to_owned(),
                "interaction_id" => continue,
                _ => {}
            }
        }
        let is_known = table.index(&name).is_some() || table.is_interactions && name == CUSTOMER;
        if is_known && !taken.iter().any(|(_, other)| *other == name) {
            taken.push((i, name));
        }
    }
    taken
}

type Named = Vec<(String, ArrayRef)>;

/// The result of a SELECT as one batch, taken apart.
fn selected(batches: &[RecordBatch], select: &Select) -> Result<(Named, Vec<usize>)> {
    let schema = select.schema();
    let one = match batches {
        [one] => one.clone(),
        several => concat_batches(&schema, several).map_err(internal)?,
    };
    let mut raw_rows = vec![];
    let mut columns = vec![];
    for (field, column) in schema.fields().iter().zip(one.columns()) {
        if field.name() == ROW {
            let rows = column.as_primitive::<Int32Type>().values().iter();
            raw_rows = rows
                .map(|row| usize::try_from(*row).expect("rows are counted from 0"))
                .collect();
        } else {
            columns.push((field.name().clone(), Arc::clone(column)));
        }
    }
    Ok((columns, raw_rows))
}

/// Identifiers as text, without blanks around; nobody is called "".
fn identifiers(array: &ArrayRef) -> Option<StringArray> {
    let texts = as_text(array)?;
    let is_clean = texts
        .iter()
        .flatten()
        .all(|text| !text.is_empty() && text.trim().len() == text.len());
    if is_clean {
        return Some(texts);
    }
    Some(
        texts
            .iter()
            .map(|text| text.map(str::trim).filter(|text| !text.is_empty()))
            .collect(),
    )
}

fn without(rising: Rising, refused: &Refused) -> Result<Rising> {
    if refused.is_empty() {
        return Ok(rising);
    }
    let kept: BooleanArray = rising
        .raw_rows
        .iter()
        .map(|row| Some(!refused.contains_key(row)))
        .collect();
    let columns = rising.columns.into_iter().map(|column| {
        column
            .map(|column| filter(&column, &kept))
            .transpose()
            .map_err(internal)
    });
    let customers = rising
        .customers
        .map(|customers| filter(&customers, &kept))
        .transpose();
    Ok(Rising {
        columns: columns.collect::<Result<_>>()?,
        customers: customers
            .map_err(internal)?
            .map(|customers| customers.as_string::<i32>().clone()),
        raw_rows: rising
            .raw_rows
            .into_iter()
            .filter(|row| !refused.contains_key(row))
            .collect(),
    })
}

/// `raw_ids`: of each raw row.
fn identify(rising: Rising, table: &Facts, target: &Target, raw_ids: &[u128]) -> Result<Rows> {
    let Rising {
        columns,
        customers,
        raw_rows,
    } = rising;
    let n = raw_rows.len();
    let ids = if table.is_interactions {
        let name = target.name.as_bytes();
        let ids = raw_rows.iter().map(|row| raw_ids[*row]);
        if name.is_empty() {
            ids.collect()
        } else {
            ids.map(|id| key::derived(id, name)).collect()
        }
    } else if table.has_identity() {
        let mut key = vec![];
        for index in &table.primary_key {
            let texts = columns[*index].as_ref().and_then(as_text);
            key.push(texts.unwrap_or_else(|| StringArray::new_null(n)));
        }
        let mut buffer = vec![];
        (0..n)
            .map(|row| key::of_primary_key(&key, row, &mut buffer))
            .collect()
    } else {
        vec![]
    };
    Ok(Rows {
        columns,
        customers,
        ids,
        n,
    })
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::Internal {
        what: error.to_string(),
    }
}
