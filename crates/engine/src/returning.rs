//! `RETURNING`: what a client wants to see of the rows that its INSERT, UPDATE or DELETE makes, changes or takes away.
//!
//! The rows are kept on their way into the table, as the table stores them; those that go are kept instead of stored. The list
//! is computed over them when the last one has passed, and before anything is committed: if it fails, nothing becomes
//! visible. What is kept and what is computed counts as the statement's memory.

use std::{
    collections::HashSet,
    fmt,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::{cast, filter, filter_record_batch, not},
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{
        Result as PlanResult, ScalarValue, TableReference,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    datasource::{TableType, provider_as_source},
    execution::{
        SendableRecordBatchStream, TaskContext,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    logical_expr::{Expr as PlanExpr, LogicalPlan},
    physical_plan::{
        ExecutionPlan, execute_stream,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
    sql::sqlparser::ast::{
        self, Expr, Ident, SelectItem, SelectItemQualifiedWildcardKind, VisitMut, VisitorMut,
    },
};
use futures::{StreamExt, stream};
use rapport_catalog_lake::present_schema;
use rapport_lake::{Snapshot, TableName};

use crate::{
    Column, Error, Outcome, Result,
    cancel::Guard,
    change::{may_read, ours},
    execute,
    names::folded,
    pins::Pins,
    plan::{Planned, Scope, parameter_index},
    privilege::{Privilege, quoted},
    shown::shown,
};

/// What the statements that we make call the rows.
const ROWS: &str = "\u{1}returned";

/// Whether a row is one to return, behind the table's own columns.
const MARK: &str = "\u{1}is_returned";

/// A list as it is written, over rows that the statement calls `alias`.
#[derive(Clone)]
pub(crate) struct Returning {
    name: TableName,
    alias: String,
    items: Vec<SelectItem>,
    /// Columns of other tables, which are kept beside the rows.
    beside: Vec<Beside>,
}

/// A column of a table in FROM of an UPDATE or in USING of a DELETE.
#[derive(Clone)]
struct Beside {
    table: Option<String>,
    field: FieldRef,
}

impl Beside {
    fn is_of(&self, table: &str) -> bool {
        self.table.as_deref() == Some(table)
    }

    fn sql(&self) -> String {
        let column = quoted(self.field.name());
        match &self.table {
            Some(table) => format!("{}.{column}", quoted(table)),
            None => column,
        }
    }
}

/// A list that has been planned, and where it finds its rows.
pub(crate) struct Listed {
    pub planned: Planned,
    kept: Arc<Passed>,
}

impl Returning {
    /// `beside` is the plan of `SELECT *` of the other tables.
    pub(crate) async fn new(
        scope: &Scope,
        pins: &Pins,
        name: &TableName,
        alias: &str,
        items: &[SelectItem],
        beside: Option<&LogicalPlan>,
    ) -> Result<Self> {
        let beside = beside.map(|plan| plan.schema().iter().map(beside_column).collect());
        let mut returning = Self {
            name: name.clone(),
            alias: alias.to_owned(),
            items: items.to_vec(),
            beside: beside.unwrap_or_default(),
        };
        returning.check_rights(scope, pins).await?;
        let schema = scope.base(pins, name).await?.schema();
        returning.shorten_names();
        returning.name_columns(&schema)?;
        Ok(returning)
    }

    /// Who sees rows must be allowed to read them.
    async fn check_rights(&self, scope: &Scope, pins: &Pins) -> Result<()> {
        let is_all = self.items.iter().any(|item| match item {
            SelectItem::Wildcard(_) => true,
            SelectItem::QualifiedWildcard(kind, _) => wildcard_of(kind) == Some(self.alias.clone()),
            _ => false,
        });
        if is_all {
            scope.require(&self.name, Privilege::Select).await?;
        }
        let exprs = self.items.iter().filter_map(expr_of);
        may_read(scope, pins, &self.name, &self.alias, exprs).await
    }

    /// `public.orders.id` is `orders.id`.
    fn shorten_names(&mut self) {
        let (name, alias) = (self.name.clone(), self.alias.clone());
        if alias != name.table {
            return;
        }
        for item in &mut self.items {
            let _ = ast::visit_expressions_mut(item, |expr| {
                if let Expr::CompoundIdentifier(parts) = expr
                    && let [schema, table, _] = parts.as_slice()
                    && folded(schema) == name.schema
                    && folded(table) == name.table
                {
                    parts.remove(0);
                }
                ControlFlow::<()>::Continue(())
            });
        }
    }

    /// Puts columns in the place of `*`, and columns of the rows, under the same names, in the place of other tables' columns.
    fn name_columns(&mut self, schema: &Schema) -> Result<()> {
        let mut items = vec![];
        for mut item in std::mem::take(&mut self.items) {
            match &mut item {
                SelectItem::Wildcard(_) => {
                    items.extend(self.own(schema));
                    items.extend(self.all_of(None));
                }
                SelectItem::QualifiedWildcard(kind, _) => match wildcard_of(kind) {
                    Some(table) if table == self.alias => items.extend(self.own(schema)),
                    Some(table) if self.beside.iter().any(|beside| beside.is_of(&table)) => {
                        items.extend(self.all_of(Some(&table)));
                    }
                    _ => items.push(item),
                },
                SelectItem::UnnamedExpr(expr) => {
                    let label = match &*expr {
                        Expr::Identifier(last) => Some(folded(last)),
                        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
                        _ => None,
                    };
                    self.keep_instead(expr, schema)?;
                    let expr = expr.clone();
                    items.push(match label {
                        Some(label) => SelectItem::ExprWithAlias {
                            expr,
                            alias: Ident::with_quote('"', label),
                        },
                        None => SelectItem::UnnamedExpr(expr),
                    });
                }
                SelectItem::ExprWithAlias { expr, .. } => {
                    self.keep_instead(expr, schema)?;
                    items.push(item);
                }
                _ => items.push(item),
            }
        }
        self.items = items;
        Ok(())
    }

    fn own(&self, schema: &Schema) -> Vec<SelectItem> {
        let columns = schema.fields().iter().map(|field| {
            let parts = [&self.alias, field.name()];
            let parts = parts.map(|part| Ident::with_quote('"', part));
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts.to_vec()))
        });
        columns.collect()
    }

    fn all_of(&self, table: Option<&str>) -> Vec<SelectItem> {
        let beside = self.beside.iter().enumerate();
        let of_table = beside
            .filter(|(_, column)| table.is_none_or(|table| column.is_of(table)))
            .map(|(at, column)| SelectItem::ExprWithAlias {
                expr: self.kept_column(at),
                alias: Ident::with_quote('"', column.field.name()),
            });
        of_table.collect()
    }

    fn kept_column(&self, at: usize) -> Expr {
        let parts = [self.alias.clone(), beside_name(at)];
        Expr::CompoundIdentifier(parts.map(|part| Ident::with_quote('"', part)).to_vec())
    }

    /// Puts columns of the rows in the place of other tables' columns.
    fn keep_instead(&self, expr: &mut Expr, schema: &Schema) -> Result<()> {
        let mut naming = Naming {
            returning: self,
            schema,
            depth: 0,
        };
        match expr.visit(&mut naming) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn find(&self, table: Option<&str>, column: &str) -> Vec<usize> {
        let beside = self.beside.iter().enumerate();
        let same = beside.filter(|(_, beside)| {
            beside.field.name() == column && table.is_none_or(|table| beside.is_of(table))
        });
        same.map(|(at, _)| at).collect()
    }

    /// What is selected behind the table's own columns for a row that is to be returned.
    pub(crate) fn kept(&self) -> Vec<String> {
        let mark = "TRUE".to_owned();
        let beside = self.beside.iter().map(Beside::sql);
        [mark].into_iter().chain(beside).collect()
    }

    /// The same for a row that stays as it is.
    pub(crate) fn not_kept(&self) -> Vec<String> {
        let mark = "FALSE".to_owned();
        let beside = self.beside.iter().map(|_| "NULL".to_owned());
        [mark].into_iter().chain(beside).collect()
    }

    /// The columns that come behind the table's own.
    pub(crate) fn columns(&self) -> Vec<Field> {
        let mark = Field::new(MARK, DataType::Boolean, true);
        let beside = self.beside_columns();
        [mark].into_iter().chain(beside).collect()
    }

    fn beside_columns(&self) -> impl Iterator<Item = Field> {
        let beside = self.beside.iter().enumerate();
        beside.map(|(at, column)| {
            let field = column.field.as_ref().clone();
            field.with_name(beside_name(at)).with_nullable(true)
        })
    }

    /// Plans the list alone. `types` are those of the statement's parameters, as far as they are known.
    async fn plan(
        &self,
        scope: &Scope,
        pins: &Arc<Pins>,
        base: &Arc<Snapshot>,
        types: &[Option<u32>],
        guard: &Guard,
    ) -> Result<Listed> {
        let sql = format!("SELECT 1 FROM {} AS {}", quoted(ROWS), quoted(&self.alias));
        let ast::Statement::Query(mut query) = ours(scope, &sql)? else {
            return Err(Error::not_supported("this form of the statement", ""));
        };
        if let ast::SetExpr::Select(select) = &mut *query.body {
            select.projection.clone_from(&self.items);
        }
        let own = present_schema(&base.schema());
        let own = own.fields().iter().map(|field| field.as_ref().clone());
        let fields: Vec<Field> = own.chain(self.beside_columns()).collect();
        let kept = Arc::new(Passed {
            schema: Arc::new(Schema::new(fields)),
            rows: Mutex::default(),
        });
        let (inner, pins, types) = (scope.clone(), pins.clone(), types.to_vec());
        let source = provider_as_source(Arc::new(Kept(kept.clone())));
        let name = self.name.clone();
        let work = async move {
            inner
                .plan_query_of(&pins, &query, &types, &[(ROWS, source)], &[(ROWS, name)])
                .await
        };
        let planned = scope.warehouse.plan_within_budget(guard, work).await?;
        check_rows_one_by_one(&planned.plan)?;
        Ok(Listed {
            planned: shown(planned)?,
            kept,
        })
    }

    /// Plans the list for a statement that has been planned, and tells what the parameters of both are if that is more
    /// than the statement alone has told.
    pub(crate) async fn plan_beside(
        &self,
        scope: &Scope,
        pins: &Arc<Pins>,
        base: &Arc<Snapshot>,
        statement: &ast::Statement,
        (planned, declared): (&Planned, &[Option<u32>]),
        guard: &Guard,
    ) -> Result<(Listed, Option<Vec<Option<u32>>>)> {
        if parameters_of(&self.items).is_empty() {
            return Ok((self.plan(scope, pins, base, &[], guard).await?, None));
        }
        let named = parameters_of(statement);
        let known = planned.params.iter().enumerate().map(|(at, oid)| {
            let is_known = named.contains(&(at + 1));
            is_known
                .then_some(*oid)
                .or_else(|| declared.get(at).copied().flatten())
        });
        let known: Vec<Option<u32>> = known.collect();
        let listed = self.plan(scope, pins, base, &known, guard).await?;
        let types = listed.planned.params.iter().copied().map(Some).collect();
        Ok((listed, Some(types)))
    }
}

/// Puts names of kept columns into an expression.
struct Naming<'a> {
    returning: &'a Returning,
    schema: &'a Schema,
    /// Subqueries that the expression is in. What a bare name means there is theirs to say.
    depth: usize,
}

impl VisitorMut for Naming<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let (found, column) = match expr {
            Expr::Identifier(column) if self.depth == 0 => {
                let column = folded(column);
                let mut found = self.returning.find(None, &column);
                if !found.is_empty() && self.schema.index_of(&column).is_ok() {
                    found.push(usize::MAX);
                }
                (found, column)
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] | [_, table, column] => {
                    let column = folded(column);
                    (self.returning.find(Some(&folded(table)), &column), column)
                }
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        match found.as_slice() {
            [] => {}
            [at] => *expr = self.returning.kept_column(*at),
            _ => {
                let message = format!("column reference \"{column}\" is ambiguous");
                return ControlFlow::Break(Error::AmbiguousColumn { message });
            }
        }
        ControlFlow::Continue(())
    }
}

fn beside_column((table, field): (Option<&TableReference>, &FieldRef)) -> Beside {
    Beside {
        table: table.map(|table| table.table().to_owned()),
        field: field.clone(),
    }
}

fn beside_name(at: usize) -> String {
    format!("\u{1}beside{at}")
}

fn expr_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// The table of `table.*`.
fn wildcard_of(kind: &SelectItemQualifiedWildcardKind) -> Option<String> {
    match kind {
        SelectItemQualifiedWildcardKind::ObjectName(name) => {
            name.0.last().and_then(|part| part.as_ident()).map(folded)
        }
        SelectItemQualifiedWildcardKind::Expr(_) => None,
    }
}

/// The numbers of the parameters that it names.
fn parameters_of(part: &impl ast::Visit) -> HashSet<usize> {
    let mut found = HashSet::new();
    let _ = ast::visit_expressions(part, |expr| {
        if let Expr::Value(value) = expr
            && let ast::Value::Placeholder(id) = &value.value
            && let Ok(index) = parameter_index(id)
        {
            found.insert(index);
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

/// As in PostgreSQL, each row is returned once and for itself.
fn check_rows_one_by_one(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply(|node| {
        refused = match node {
            LogicalPlan::Aggregate(_) => Some(Error::Grouping {
                message: "aggregate functions are not allowed in RETURNING".to_owned(),
            }),
            LogicalPlan::Window(_) => Some(Error::Windowing { place: "RETURNING" }),
            LogicalPlan::Unnest(_) => Some(Error::not_supported(
                "set-returning functions are not allowed in RETURNING",
                "",
            )),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    refused.map_or(Ok(()), Err)
}

/// What was described to the client is what it gets.
pub(crate) fn check_described(described: Option<&[Column]>, listed: Option<&Listed>) -> Result<()> {
    let (Some(described), Some(listed)) = (described, listed) else {
        return Ok(());
    };
    let columns = &listed.planned.columns;
    let same = described.len() == columns.len()
        && described
            .iter()
            .zip(columns)
            .all(|(before, now)| before.name == now.name && before.pg_type == now.pg_type);
    match same {
        true => Ok(()),
        false => Err(Error::not_supported(
            "cached plan must not change result type",
            "",
        )),
    }
}

/// Rows that have passed, as the table would present them.
struct Passed {
    schema: SchemaRef,
    rows: Mutex<Vec<RecordBatch>>,
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows to return")
    }
}

impl PartitionStream for Passed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = std::mem::take(&mut *self.rows.lock().expect("never held over a panic"));
        let rows = stream::iter(rows.into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// Them as a table.
#[derive(Debug)]
struct Kept(Arc<Passed>);

#[async_trait]
impl TableProvider for Kept {
    fn schema(&self) -> SchemaRef {
        self.0.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[PlanExpr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(StreamingTableExec::try_new(
            self.0.schema.clone(),
            vec![self.0.clone()],
            projection,
            None,
            false,
            limit,
        )?))
    }
}

impl Listed {
    pub(crate) fn columns(&self) -> Vec<Column> {
        self.planned.columns.clone()
    }

    /// Ready to keep rows. With `takes_away`, those that are returned go no further.
    pub(crate) async fn start(
        &self,
        scope: &Scope,
        params: &[ScalarValue],
        takes_away: bool,
        context: &Arc<TaskContext>,
        guard: &Guard,
    ) -> Result<Arc<Keeper>> {
        let params = match self.planned.param_types.is_empty() {
            true => vec![],
            false => params.to_vec(),
        };
        let logical = execute::bind(&self.planned, params)?;
        let mut state = scope.state();
        // In the order in which the rows pass.
        state.config_mut().options_mut().execution.target_partitions = 1;
        let plan = execute::physical(&scope.warehouse, state, logical, guard).await?;
        let held = MemoryConsumer::new("rows to return").register(context.memory_pool());
        Ok(Arc::new(Keeper {
            passed: self.kept.clone(),
            takes_away,
            plan,
            context: context.clone(),
            held: Mutex::new(held),
            computed: Mutex::default(),
        }))
    }

    /// That no row was touched.
    pub(crate) fn nothing(&self, tag: &'static str) -> Outcome {
        let schema = Arc::new(self.planned.plan.schema().as_arrow().clone());
        Outcome::Rows {
            columns: self.columns(),
            stream: Box::pin(RecordBatchStreamAdapter::new(schema, stream::empty())),
            tag,
        }
    }
}

/// Keeps rows on their way into a table, and computes the list over them.
pub(crate) struct Keeper {
    passed: Arc<Passed>,
    takes_away: bool,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    held: Mutex<MemoryReservation>,
    computed: Mutex<Vec<RecordBatch>>,
}

impl Keeper {
    /// Keeps what is to be returned of a batch, of which `stored` are the table's own columns; and gives what goes on.
    pub(crate) fn take(&self, batch: &RecordBatch, stored: RecordBatch) -> Result<RecordBatch> {
        let own = stored.num_columns();
        let Some(mark) = batch.columns().get(own) else {
            self.keep(stored.columns())?;
            return Ok(stored);
        };
        let mark = mark.as_boolean();
        let columns = stored.columns().iter().chain(&batch.columns()[own + 1..]);
        let columns = columns.map(|column| filter(column, mark));
        self.keep(&columns.collect::<Result<Vec<_>, _>>()?)?;
        match self.takes_away {
            true => Ok(filter_record_batch(&stored, &not(mark)?)?),
            false => Ok(stored),
        }
    }

    fn keep(&self, columns: &[ArrayRef]) -> Result<()> {
        let fields = self.passed.schema.fields();
        let columns = columns.iter().zip(fields);
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(self.passed.schema.clone(), columns)?;
        self.hold(&rows)?;
        let mut passed = self.passed.rows.lock().expect("never held over a panic");
        passed.push(rows);
        Ok(())
    }

    fn hold(&self, rows: &RecordBatch) -> Result<()> {
        let held = self.held.lock().expect("never held over a panic");
        Ok(held.try_grow(rows.get_array_memory_size())?)
    }

    /// Computes the list, once the last row has passed.
    pub(crate) async fn finish(&self) -> Result<()> {
        let mut rows = execute_stream(self.plan.clone(), self.context.clone())?;
        while let Some(batch) = rows.next().await.transpose()? {
            self.hold(&batch)?;
            let mut computed = self.computed.lock().expect("never held over a panic");
            computed.push(batch);
        }
        Ok(())
    }

    /// What the client gets.
    pub(crate) fn outcome(self: &Arc<Self>, listed: &Listed, tag: &'static str) -> Outcome {
        let computed = std::mem::take(&mut *self.computed.lock().expect("never held over a panic"));
        // The memory is given back with the last batch.
        let keeper = self.clone();
        let batches = stream::iter(computed).map(move |batch| {
            let _ = &keeper;
            Ok(batch)
        });
        Outcome::Rows {
            columns: listed.columns(),
            stream: Box::pin(RecordBatchStreamAdapter::new(self.plan.schema(), batches)),
            tag,
        }
    }
}
