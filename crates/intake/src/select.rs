//! A source's SELECT, planned once for the columns of a file and run batch by batch.
//!
//! Each row of its result must come from one raw row, because a refused row has a line and a raw text: so it is
//! projections and filters over `raw`, with common table expressions and subqueries in FROM, and no join, GROUP BY,
//! DISTINCT or UNION. It can reach nothing but `raw`. Names are taken as the file writes them (`InvoiceNo`, without
//! quotes). `_line` and `_file` are there beside the file's own columns.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, SubqueryAlias};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::raw::RawBatch;
use crate::{Error, Result};

/// The number of the raw row in its batch, carried through the SELECT.
pub const ROW: &str = "__row";
const LINE: &str = "_line";
const FILE: &str = "_file";

pub struct Select {
    plan: Arc<dyn ExecutionPlan>,
    feed: Arc<Feed>,
    task: Arc<TaskContext>,
    /// Raw columns that the result has as they are, perhaps with another name or type. One that only takes part in
    /// an expression is not among them: the expression may keep less than the column says.
    pub mapped: HashSet<String>,
    /// Columns that the SELECT names and the file does not have; they read as NULL.
    pub absent: Vec<String>,
    wants_file: bool,
    wants_line: bool,
}

impl Select {
    /// `raw` are the columns of the file.
    pub async fn compile(
        context: &SessionContext,
        source_name: &str,
        sql: &str,
        raw: &Schema,
    ) -> Result<Self> {
        let bad = |what: String| Error::Select {
            source_name: source_name.to_owned(),
            what,
        };
        let wants_file = sql.contains(FILE) && raw.field_with_name(FILE).is_err();
        let wants_line = sql.contains(LINE) && raw.field_with_name(LINE).is_err();
        let mut fields: Vec<Field> = raw
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        if wants_line {
            fields.push(Field::new(LINE, DataType::Int64, false));
        }
        if wants_file {
            fields.push(Field::new(FILE, DataType::Utf8, false));
        }
        fields.push(Field::new(ROW, DataType::Int32, false));

        let mut absent = vec![];
        loop {
            let mut all = fields.clone();
            all.extend(
                absent
                    .iter()
                    .map(|name: &String| Field::new(name, DataType::Utf8, true)),
            );
            let feed = Arc::new(Feed {
                schema: Arc::new(Schema::new(all)),
                batch: Mutex::default(),
            });
            match plan(context, sql, &feed).await {
                Ok(Planned { plan, task, mapped }) => {
                    return Ok(Self {
                        plan,
                        feed,
                        task,
                        mapped,
                        absent,
                        wants_file,
                        wants_line,
                    });
                }
                Err(Unplanned::Missing(name))
                    if raw.field_with_name(&name).is_err() && !absent.contains(&name) =>
                {
                    absent.push(name);
                }
                Err(Unplanned::Missing(name)) => {
                    return Err(bad(format!(
                        "column {name} is not known where the SELECT uses it"
                    )));
                }
                Err(Unplanned::Bad(what)) => return Err(bad(what)),
            }
        }
    }

    /// The columns of the result, `ROW` among them.
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// The result for a batch. Where the SELECT fails, the batch is halved until the guilty rows are found; they
    /// are refused with what the SELECT said.
    pub fn run(
        &self,
        raw: &RawBatch,
        refuse: &mut dyn FnMut(usize, String),
    ) -> Result<Vec<RecordBatch>> {
        let mut columns: Vec<ArrayRef> = raw.columns.columns().to_vec();
        let rows = raw.rows();
        if self.wants_line {
            let lines = (0..rows).map(|row| i64::try_from(raw.line(row)).unwrap_or(i64::MAX));
            columns.push(Arc::new(Int64Array::from_iter_values(lines)));
        }
        if self.wants_file {
            columns.push(Arc::new(StringArray::from_iter_values(
                (0..rows).map(|_| &raw.file),
            )));
        }
        let numbers = 0..i32::try_from(rows).expect("a batch is small");
        columns.push(Arc::new(Int32Array::from_iter_values(numbers)));
        for _ in &self.absent {
            columns.push(arrow::array::new_null_array(&DataType::Utf8, rows));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(Arc::clone(&self.feed.schema), columns, &options)
                .map_err(|error| Error::Internal {
                    what: error.to_string(),
                })?;
        let mut results = vec![];
        self.halve(batch, 0, &mut results, refuse);
        Ok(results)
    }

    fn halve(
        &self,
        batch: RecordBatch,
        first: usize,
        results: &mut Vec<RecordBatch>,
        refuse: &mut dyn FnMut(usize, String),
    ) {
        let rows = batch.num_rows();
        if rows == 0 {
            return;
        }
        match self.once(batch.clone()) {
            Ok(batches) => results.extend(batches),
            Err(error) if rows == 1 => refuse(first, in_words(&error)),
            Err(_) => {
                let half = rows / 2;
                self.halve(batch.slice(0, half), first, results, refuse);
                self.halve(
                    batch.slice(half, rows - half),
                    first + half,
                    results,
                    refuse,
                );
            }
        }
    }

    fn once(&self, batch: RecordBatch) -> Result<Vec<RecordBatch>, DataFusionError> {
        *self
            .feed
            .batch
            .lock()
            .expect("nothing panics while it is held") = Some(batch);
        let stream = self.plan.execute(0, Arc::clone(&self.task))?;
        // There is nothing to wait for: the rows are in memory.
        futures::executor::block_on(stream.collect::<Vec<_>>())
            .into_iter()
            .collect()
    }
}

struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    mapped: HashSet<String>,
}

enum Unplanned {
    Missing(String),
    Bad(String),
}

impl From<DataFusionError> for Unplanned {
    fn from(error: DataFusionError) -> Self {
        if let DataFusionError::SchemaError(schema, _) = error.find_root()
            && let SchemaError::FieldNotFound { field, .. } = schema.as_ref()
        {
            return Self::Missing(field.name.clone());
        }
        Self::Bad(in_words(&error))
    }
}

async fn plan(context: &SessionContext, sql: &str, feed: &Arc<Feed>) -> Result<Planned, Unplanned> {
    let state = context.state();
    let mut config = state
        .config()
        .clone()
        .with_target_partitions(1)
        .with_batch_size(1 << 20);
    config.options_mut().sql_parser.enable_ident_normalization = false;
    let context = SessionContext::new_with_state(
        SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .build(),
    );
    let table = StreamingTable::try_new(
        Arc::clone(&feed.schema),
        vec![Arc::clone(feed) as Arc<dyn PartitionStream>],
    )?;
    context.register_table("raw", Arc::new(table))?;

    let state = context.state();
    let plan = carry_row(&state.create_logical_plan(sql).await?)?;
    let wanted: Vec<usize> = (0..plan.schema().fields().len())
        .filter(|i| plan.schema().field(*i).name() != ROW)
        .collect();
    let mut mapped = HashSet::new();
    lineage(&plan, &wanted, &mut mapped);
    let plan = state.create_physical_plan(&plan).await?;
    Ok(Planned {
        plan,
        task: state.task_ctx(),
        mapped,
    })
}

/// The same plan, with `ROW` in every projection.
fn carry_row(plan: &LogicalPlan) -> Result<LogicalPlan, Unplanned> {
    Ok(match plan {
        LogicalPlan::Projection(projection) => {
            let input = carry_row(&projection.input)?;
            refuse_subqueries(&projection.expr)?;
            let mut exprs = projection.expr.clone();
            let has_row = projection
                .schema
                .fields()
                .iter()
                .any(|field| field.name() == ROW);
            if !has_row {
                exprs.push(Expr::Column(row_column(&input)?));
            }
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)
        }
        LogicalPlan::Filter(filter) => {
            refuse_subqueries(std::slice::from_ref(&filter.predicate))?;
            let input = carry_row(&filter.input)?;
            LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), Arc::new(input))?)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = carry_row(&alias.input)?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
                Arc::new(input),
                alias.alias.clone(),
            )?)
        }
        LogicalPlan::TableScan(_) => plan.clone(),
        other => {
            let node = other.display().to_string();
            let node = node
                .split([':', '('])
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            return Err(Unplanned::Bad(format!(
                "each row must come from one row of `raw`, so a SELECT … FROM raw WHERE … is wanted ({node} is not); \
                 for several rows out of one, write several [[target]]"
            )));
        }
    })
}

fn refuse_subqueries(exprs: &[Expr]) -> Result<(), Unplanned> {
    use datafusion::common::tree_node::TreeNode;
    for expr in exprs {
        let has_subquery = expr.exists(|expr| {
            Ok(matches!(
                expr,
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)
            ))
        })?;
        if has_subquery {
            return Err(Unplanned::Bad("a subquery is allowed in FROM only".into()));
        }
    }
    Ok(())
}

fn row_column(input: &LogicalPlan) -> Result<Column, Unplanned> {
    let column = input
        .schema()
        .columns()
        .into_iter()
        .find(|column| column.name == ROW);
    column.ok_or_else(|| Unplanned::Bad("FROM raw is missing".into()))
}

/// Which columns of `raw` the `wanted` columns of the plan are, renamed or cast.
fn lineage(plan: &LogicalPlan, wanted: &[usize], mapped: &mut HashSet<String>) {
    match plan {
        LogicalPlan::Projection(projection) => {
            let inputs: Vec<usize> = wanted
                .iter()
                .filter_map(|i| bare_column(&projection.expr[*i]))
                .filter_map(|column| projection.input.schema().maybe_index_of_column(column))
                .collect();
            lineage(&projection.input, &inputs, mapped);
        }
        LogicalPlan::Filter(filter) => lineage(&filter.input, wanted, mapped),
        LogicalPlan::SubqueryAlias(alias) => lineage(&alias.input, wanted, mapped),
        other => {
            mapped.extend(
                wanted
                    .iter()
                    .map(|i| other.schema().field(*i).name().clone()),
            );
        }
    }
}

fn bare_column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => bare_column(&alias.expr),
        Expr::Cast(cast) => bare_column(&cast.expr),
        Expr::TryCast(cast) => bare_column(&cast.expr),
        _ => None,
    }
}

/// What DataFusion says, without the names of its own layers.
fn in_words(error: &DataFusionError) -> String {
    let mut text = error.find_root().strip_backtrace();
    for layer in [
        "Arrow error: ",
        "Cast error: ",
        "Execution error: ",
        "Parser error: ",
        "SQL error: ",
        "Error during planning: ",
        "Compute error: ",
    ] {
        text = text.replace(layer, "");
    }
    text
}

/// Where the plan takes its one batch from.
#[derive(Debug)]
struct Feed {
    schema: SchemaRef,
    batch: Mutex<Option<RecordBatch>>,
}

impl PartitionStream for Feed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = self
            .batch
            .lock()
            .expect("nothing panics while it is held")
            .take();
        let stream = futures::stream::iter(batch.map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            stream,
        ))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::raw::{Lines, RawForm};

    fn raw() -> RawBatch {
        let column = |name: &str, values: Vec<&str>| {
            (
                name.to_owned(),
                Arc::new(StringArray::from(values)) as ArrayRef,
            )
        };
        let columns = RecordBatch::try_from_iter([
            column("InvoiceNo", vec!["1", "C2", "x", "4"]),
            column("Quantity", vec!["5", "6", "seven", "8"]),
            column("Country", vec!["PL", "PL", "RU", "GB"]),
        ])
        .expect("a test's own columns");
        RawBatch {
            file: "test.csv".into(),
            form: RawForm::Csv {
                delimiter: b',',
                quote: None,
            },
            columns,
            lines: Lines::Each(vec![2, 3, 4, 5]),
            json: vec![],
            refused: vec![],
            bytes: 0,
        }
    }

    fn compile(sql: &str) -> Result<Select> {
        let context = SessionContext::new();
        let raw = raw();
        futures::executor::block_on(Select::compile(
            &context,
            "test",
            sql,
            raw.columns.schema_ref(),
        ))
    }

    /// Row numbers of the result, and the refusals.
    fn check(sql: &str, rows: &[i32], refused: &[&str]) -> Vec<RecordBatch> {
        let mut reasons = vec![];
        let batches = compile(sql)
            .expect("the SELECT is good")
            .run(&raw(), &mut |row, reason| {
                reasons.push(format!("{row}: {reason}"))
            })
            .expect("it can be run");
        let got: Vec<i32> = batches
            .iter()
            .flat_map(|batch| {
                let column = batch.column_by_name(ROW).expect("the row is carried");
                column.as_primitive::<Int32Type>().values().to_vec()
            })
            .collect();
        assert_eq!(got, rows, "{sql}");
        assert_eq!(reasons, refused, "{sql}");
        batches
    }

    fn error(sql: &str) -> String {
        compile(sql).err().expect("must be refused").to_string()
    }

    #[test]
    fn columns_are_named_as_the_file_writes_them() {
        check(
            "SELECT InvoiceNo AS source_id FROM raw WHERE Country = 'PL'",
            &[0, 1],
            &[],
        );
        check("SELECT * FROM raw", &[0, 1, 2, 3], &[]);
        check(
            "WITH t AS (SELECT InvoiceNo AS n FROM raw) SELECT upper(n) AS m FROM t WHERE n <> 'x'",
            &[0, 1, 3],
            &[],
        );
    }

    #[test]
    fn a_row_that_the_select_fails_on_is_refused_alone() {
        check(
            "SELECT CAST(Quantity AS INT) AS quantity FROM raw",
            &[0, 1, 3],
            &["2: Cannot cast string 'seven' to value of Int32 type"],
        );
    }

    #[test]
    fn the_line_and_file_are_there() {
        let batches = check(
            "SELECT concat(_file, ':', _line) AS source_id FROM raw WHERE Country = 'GB'",
            &[3],
            &[],
        );
        assert_eq!(
            batches[0]
                .column(0)
                .as_string_opt::<i32>()
                .map(|a| a.value(0)),
            Some("test.csv:5")
        );
    }

    #[test]
    fn mapped_columns_are_those_that_the_result_has_as_they_are() {
        let select = compile(
            "WITH t AS (SELECT *, lower(Country) AS c FROM raw)
             SELECT c, InvoiceNo AS n, CAST(Quantity AS DOUBLE) AS q FROM t WHERE Country = 'PL'",
        );
        let mapped = select.expect("the SELECT is good").mapped;
        assert_eq!(
            mapped,
            HashSet::from(["InvoiceNo".to_owned(), "Quantity".to_owned()])
        );
    }

    #[test]
    fn a_column_that_the_file_lacks_is_told() {
        let select =
            compile("SELECT Quantity AS quantity, Price AS amount FROM raw WHERE Colour = 'red'");
        let mut absent = select.expect("the SELECT is good").absent;
        absent.sort();
        assert_eq!(absent, ["Colour", "Price"]);
    }

    #[test]
    fn what_does_not_keep_rows_apart_is_refused() {
        for sql in [
            "SELECT count(*) AS n FROM raw",
            "SELECT DISTINCT Country FROM raw",
            "SELECT Country FROM raw UNION ALL SELECT Country FROM raw",
            "SELECT a.Country FROM raw a JOIN raw b ON a.Country = b.Country",
            "SELECT Country FROM raw ORDER BY 1",
            "SELECT row_number() OVER () AS n FROM raw",
            "SELECT 1 AS n",
        ] {
            assert!(error(sql).contains("raw"), "{sql}: {}", error(sql));
        }
        assert!(
            error("SELECT (SELECT max(Quantity) FROM raw) AS m FROM raw").contains("FROM only")
        );
    }

    #[test]
    fn nothing_but_raw_can_be_reached() {
        for sql in [
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM other",
            "COPY raw TO '/tmp/x'",
            "CREATE TABLE t AS SELECT 1",
        ] {
            error(sql);
        }
    }
}
