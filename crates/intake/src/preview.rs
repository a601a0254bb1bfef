//! `--dry-run`: the first rows as they would be loaded, and the first that would be refused. Writes nothing.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use rapport_engine::Warehouse;
use rapport_lake::TableName;
use tokio_util::sync::CancellationToken;

use crate::check::{Checked, Checker, Rows};
use crate::decode::decode;
use crate::gather::panicked;
use crate::key::push_uuid;
use crate::load::Targets;
use crate::table::Facts;
use crate::{Error, LoadOptions, Refusal, Result, Source, input};

#[derive(Clone, Debug)]
pub struct Preview {
    pub tables: Vec<PreviewTable>,
    /// The first ten.
    pub refused: Vec<Refusal>,
    /// Raw rows that were looked at, and how many of them would be refused.
    pub n_read: u64,
    pub n_refused: u64,
    /// All rows were looked at.
    pub complete: bool,
}

/// The first ten rows for one table. `interactions` shows `customer`, the company's identifier, in place of
/// `customer_id`, which is given out by a load only.
#[derive(Clone, Debug)]
pub struct PreviewTable {
    pub table: TableName,
    pub rows: RecordBatch,
}

/// Raw rows to look at.
const ROWS: u64 = 10_000;
const SHOWN: usize = 10;

/// Looks at the first files until it has seen enough rows.
pub async fn preview(
    warehouse: &Warehouse,
    source: &Source,
    options: LoadOptions,
    cancel: CancellationToken,
) -> Result<Preview> {
    let files = input::find(&options).await?;
    let targets = Targets::open(warehouse.lake(), source).await?;
    let facts = targets.facts_of_targets();
    let mut checker = Checker::new(source, warehouse.bare_context(), facts.clone(), options.now);
    let source = source.clone();
    let runtime = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let mut preview = Preview {
            tables: vec![],
            refused: vec![],
            n_read: 0,
            n_refused: 0,
            complete: true,
        };
        let mut rows: Vec<Vec<RecordBatch>> = facts.iter().map(|_| vec![]).collect();
        for found in &files {
            if preview.n_read >= ROWS {
                preview.complete = false;
                break;
            }
            let input =
                runtime.block_on(found.fingerprint(options.spill_folder.as_deref(), &cancel))?;
            checker.next_file(&input.name);
            let mut failed = None;
            decode(&input.path, &input.name, &source, &mut |raw| {
                if preview.n_read >= ROWS || cancel.is_cancelled() {
                    preview.complete = false;
                    return ControlFlow::Break(());
                }
                let taken = checker
                    .check(&raw)
                    .and_then(|checked| preview.take(checked, &facts, &mut rows, &source.name));
                failed = taken.err();
                if failed.is_some() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if preview.complete {
                checker.end_of_file()?;
            }
        }
        for (table, rows) in facts.iter().zip(rows) {
            if let Some(first) = rows.first() {
                let rows = concat_batches(&first.schema(), &rows).map_err(internal)?;
                preview.tables.push(PreviewTable {
                    table: table.name.clone(),
                    rows,
                });
            }
        }
        Ok(preview)
    });
    work.await.map_err(panicked)?
}

impl Preview {
    fn take(
        &mut self,
        checked: Checked,
        facts: &[Arc<Facts>],
        all: &mut [Vec<RecordBatch>],
        source: &str,
    ) -> Result<()> {
        self.n_read += checked.n_read;
        self.n_refused += checked.refused.len() as u64;
        let room = SHOWN.saturating_sub(self.refused.len());
        self.refused.extend(checked.refused.into_iter().take(room));
        for ((rows, table), all) in checked.rows.into_iter().zip(facts).zip(all) {
            let room = SHOWN - all.iter().map(RecordBatch::num_rows).sum::<usize>();
            let n = rows.n.min(room);
            if n > 0 {
                all.push(shown(&rows, table, source, n)?);
            }
        }
        Ok(())
    }
}

/// The first `n` rows with the table's columns.
fn shown(rows: &Rows, table: &Facts, source: &str, n: usize) -> Result<RecordBatch> {
    let mut fields: Vec<Field> = vec![];
    let mut columns: Vec<ArrayRef> = vec![];
    for (field, column) in table.schema.fields().iter().zip(&rows.columns) {
        let mut field = Field::new(field.name(), field.data_type().clone(), true);
        let mut values = column.as_ref().map(|column| column.slice(0, n));
        if table.is_interactions {
            match field.name().as_str() {
                "interaction_id" => {
                    let ids = rows.ids[..n].iter().map(|id| {
                        let mut text = vec![];
                        push_uuid(&mut text, *id);
                        String::from_utf8(text).expect("a uuid is ASCII")
                    });
                    values = Some(Arc::new(StringArray::from_iter_values(ids)));
                }
                "customer_id" => {
                    field = Field::new("customer", DataType::Utf8, true);
                    let customers = rows.customers.as_ref();
                    values = customers.map(|customers| Arc::new(customers.slice(0, n)) as ArrayRef);
                }
                "source" if values.is_none() => {
                    let sources = std::iter::repeat_n(source, n);
                    values = Some(Arc::new(StringArray::from_iter_values(sources)));
                }
                _ => {}
            }
        }
        columns.push(values.unwrap_or_else(|| new_null_array(field.data_type(), n)));
        fields.push(field);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::Internal {
        what: error.to_string(),
    }
}
