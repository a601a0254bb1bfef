//! `INSERT`: rows from VALUES or a query, into one table, in one commit.

use std::sync::Arc;

use datafusion::{
    common::ScalarValue,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::execute_stream,
    sql::sqlparser::{
        ast::{self, Expr, Ident, ObjectName, SetExpr, TableObject},
        parser::Parser,
    },
};
use rapport_lake::Snapshot;

use crate::{
    Column, Error, Outcome, Result,
    assigned::check_rows,
    cancel::Guard,
    columns::{Label, column_type, first_select, label, oid},
    dialect::RapportDialect,
    execute,
    names::folded,
    pins::Pins,
    plan::{Planned, Scope, parameter_index},
    privilege::Privilege,
    returning::{Keeper, Listed, Returning, check_described},
    syntax::{array_of_rows, plain_name},
    target::{self, Target},
    tree::{asks, is_default, visit_own_functions},
    write,
};

pub(crate) async fn prepare(
    scope: &Scope,
    pins: &Arc<Pins>,
    insert: &ast::Insert,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let ready = plan(scope, pins, insert, declared, guard).await?;
    Ok(ready.described())
}

pub(crate) async fn insert(
    scope: &Scope,
    pins: &Arc<Pins>,
    insert: &ast::Insert,
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
    described: Option<&[Column]>,
    guard: &Guard,
) -> Result<Outcome> {
    let ready = plan(scope, pins, insert, declared, guard).await?;
    check_described(described, ready.listed.as_ref())?;
    let state = scope.state();
    let context = execute::task_context(&scope.warehouse, &state, guard);
    let (base, planned) = (&ready.base, &ready.planned);
    let Some(listed) = &ready.listed else {
        let rows = store(scope, base, planned, params, (context, None), guard).await?;
        return Ok(Outcome::Done {
            tag: format!("INSERT 0 {rows}"),
            notices: vec![],
        });
    };
    let keeper = listed.start(scope, &params, false, &context, guard).await?;
    let kept = (context, Some(keeper.clone()));
    store(scope, base, planned, params, kept, guard).await?;
    Ok(keeper.outcome(listed, "INSERT"))
}

/// Runs a planned insert to its end.
pub(crate) async fn run(
    scope: &Scope,
    snapshot: &Arc<Snapshot>,
    planned: &Planned,
    params: Vec<ScalarValue>,
    guard: &Guard,
) -> Result<u64> {
    let context = execute::task_context(&scope.warehouse, &scope.state(), guard);
    store(scope, snapshot, planned, params, (context, None), guard).await
}

async fn store(
    scope: &Scope,
    snapshot: &Arc<Snapshot>,
    planned: &Planned,
    params: Vec<ScalarValue>,
    (context, keeper): (Arc<TaskContext>, Option<Arc<Keeper>>),
    guard: &Guard,
) -> Result<u64> {
    let logical = execute::bind(planned, params)?;
    let plan = execute::physical(&scope.warehouse, scope.state(), logical, guard).await?;
    let destination = Destination::new(scope, snapshot);
    let work = async move {
        let rows = execute_stream(plan, context.clone())?;
        destination.take(rows, "INSERT", context, keeper).await
    };
    let rows = scope.warehouse.cpu().run(guard, work).await?;
    if scope.block.is_none() {
        scope.warehouse.tell_rows(snapshot.name()).await;
    }
    Ok(rows)
}

/// Where rows go: into a commit of their own, or to those that the block will commit.
pub(crate) struct Destination {
    scope: Scope,
    snapshot: Arc<Snapshot>,
}

impl Destination {
    pub(crate) fn new(scope: &Scope, snapshot: &Arc<Snapshot>) -> Self {
        Self {
            scope: scope.clone(),
            snapshot: snapshot.clone(),
        }
    }

    pub(crate) async fn take(
        self,
        rows: SendableRecordBatchStream,
        operation: &'static str,
        context: Arc<TaskContext>,
        keeper: Option<Arc<Keeper>>,
    ) -> Result<u64> {
        if let Some(block) = &self.scope.block {
            let mut draft = self.scope.draft(block, &self.snapshot).await?;
            let rows = write::storable(&self.snapshot, rows, context, keeper)?;
            let count = write::add_to(&mut draft, rows).await?;
            block.put(&self.scope, draft);
            return Ok(count);
        }
        let name = self.snapshot.name();
        let table = self.scope.lake(name).table(name).await?;
        let written =
            write::append(&table, &self.snapshot, rows, operation, context, keeper).await?;
        Ok(written.rows)
    }
}

/// An INSERT that can be run.
struct Ready {
    base: Arc<Snapshot>,
    planned: Planned,
    listed: Option<Listed>,
}

impl Ready {
    /// Its parameters, and the columns that it returns.
    fn described(self) -> Planned {
        let columns = self.listed.map(|listed| listed.columns());
        Planned {
            columns: columns.unwrap_or_default(),
            ..self.planned
        }
    }
}

async fn plan(
    scope: &Scope,
    pins: &Arc<Pins>,
    insert: &ast::Insert,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Ready> {
    check_form(insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::not_supported("INSERT into a function", ""));
    };
    let name = scope.target(pins, name).await?;
    let snapshot = scope.base(pins, &name).await?;
    scope
        .require_columns(&name, Privilege::Insert, &target_columns(insert, &snapshot))
        .await?;
    let returning = match &insert.returning {
        Some(items) => {
            let alias = insert.table_alias.as_ref();
            let alias = alias.map_or_else(|| name.table.clone(), |alias| folded(&alias.alias));
            Some(Returning::new(scope, pins, &name, &alias, items, None).await?)
        }
        None => None,
    };
    let declared = &selected(insert, &snapshot, declared);
    let mut insert = insert.clone();
    insert.table =
        TableObject::TableName(ObjectName::from(vec![Ident::with_quote('"', target::NAME)]));
    (insert.table_alias, insert.returning) = (None, None);
    let were_values = insert
        .source
        .as_ref()
        .is_some_and(|source| matches!(*source.body, SetExpr::Values(_)));
    fill_defaults(&mut insert, &snapshot)?;
    if let Some(rows) = &insert.source {
        let columns = target_columns(&insert, &snapshot);
        check_rows(
            scope,
            pins,
            &snapshot,
            &columns,
            (rows, were_values),
            declared,
        )
        .await?;
    }
    let planned = plan_rows(scope, pins, &snapshot, &insert, declared, guard).await?;
    let Some(returning) = returning else {
        return Ok(Ready {
            base: snapshot,
            planned,
            listed: None,
        });
    };
    let statement = ast::Statement::Insert(insert.clone());
    let (listed, types) = returning
        .plan_beside(
            scope,
            pins,
            &snapshot,
            &statement,
            (&planned, declared),
            guard,
        )
        .await?;
    let planned = match types {
        Some(types) => plan_rows(scope, pins, &snapshot, &insert, &types, guard).await?,
        None => planned,
    };
    Ok(Ready {
        base: snapshot,
        planned,
        listed: Some(listed),
    })
}

async fn plan_rows(
    scope: &Scope,
    pins: &Arc<Pins>,
    base: &Arc<Snapshot>,
    insert: &ast::Insert,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let (inner, pins, declared) = (scope.clone(), pins.clone(), declared.to_vec());
    let (base, insert) = (base.clone(), insert.clone());
    let work = async move {
        let given = target_columns(&insert, &base);
        let defaults = target::defaults(&inner, &pins, &base, &given).await?;
        let source = Target::source(&base, &[], defaults);
        let mut insert = insert;
        round_numerics(&mut insert, &base, &declared);
        inner
            .plan_insert(&pins, &insert, &declared, &[(target::NAME, source)])
            .await
    };
    scope.warehouse.plan_within_budget(guard, work).await
}

/// DataFusion takes a parameter in VALUES to be of its column's type, and cuts a numeric off where that is an integer.
fn round_numerics(insert: &mut ast::Insert, base: &Snapshot, declared: &[Option<u32>]) {
    let columns = target_columns(insert, base);
    let schema = &base.definition().schema;
    let is_integer = |column: &String| {
        let field = schema.field_with_name(column);
        field.is_ok_and(|field| field.data_type().is_integer())
    };
    let Some(SetExpr::Values(values)) = insert.source.as_mut().map(|source| &mut *source.body)
    else {
        return;
    };
    for row in &mut values.rows {
        let cells = row.content.iter_mut().zip(&columns);
        for (cell, _) in cells.filter(|(_, column)| is_integer(column)) {
            if let Expr::Value(value) = &*cell
                && let ast::Value::Placeholder(id) = &value.value
                && let Ok(index) = parameter_index(id)
                && declared.get(index - 1) == Some(&Some(oid::NUMERIC))
            {
                *cell = Expr::Cast {
                    kind: ast::CastKind::Cast,
                    expr: Box::new(cell.clone()),
                    data_type: ast::DataType::Numeric(ast::ExactNumberInfo::PrecisionAndScale(
                        38, 10,
                    )),
                    array: false,
                    format: None,
                };
            }
        }
    }
}

fn check_form(insert: &ast::Insert) -> Result<()> {
    if insert.on.is_some() || insert.ignore || insert.replace_into || insert.overwrite {
        return Err(Error::not_supported(
            "INSERT … ON CONFLICT is not supported: keys are declared, not enforced",
            "Insert what is missing with INSERT … SELECT … WHERE NOT EXISTS (…).",
        ));
    }
    Ok(())
}

/// `INSERT … SELECT $1`: a parameter that is a column's whole value is of the column's type.
fn selected(
    insert: &ast::Insert,
    snapshot: &Snapshot,
    declared: &[Option<u32>],
) -> Vec<Option<u32>> {
    let mut types = declared.to_vec();
    let source = insert.source.as_ref().map(|source| source.body.as_ref());
    let Some(SetExpr::Select(select)) = source else {
        return types;
    };
    let schema = &snapshot.definition().schema;
    for (item, column) in select
        .projection
        .iter()
        .zip(target_columns(insert, snapshot))
    {
        if let ast::SelectItem::UnnamedExpr(Expr::Value(value))
        | ast::SelectItem::ExprWithAlias {
            expr: Expr::Value(value),
            ..
        } = item
            && let ast::Value::Placeholder(id) = &value.value
            && let Ok(index) = parameter_index(id)
            && let Ok(field) = schema.field_with_name(&column)
        {
            if types.len() < index {
                types.resize(index, None);
            }
            types[index - 1].get_or_insert(column_type(field).oid);
        }
    }
    types
}

/// The columns that rows are given for, in their order.
fn target_columns(insert: &ast::Insert, snapshot: &Snapshot) -> Vec<String> {
    if insert.columns.is_empty() {
        let fields = snapshot.definition().schema.fields().iter();
        return fields.map(|field| field.name().clone()).collect();
    }
    let columns = insert.columns.iter();
    columns
        .map(|column| match column.0.as_slice() {
            [part] => part.as_ident().map(folded).unwrap_or_default(),
            _ => column.to_string(),
        })
        .collect()
}

/// `DEFAULT` in VALUES becomes the column's default, and `DEFAULT VALUES` a row of them.
fn fill_defaults(insert: &mut ast::Insert, snapshot: &Snapshot) -> Result<()> {
    if let Some(source) = &insert.source
        && let SetExpr::Values(values) = &*source.body
    {
        check_lengths(values)?;
        check_one_row_each(values)?;
    }
    let definition = snapshot.definition();
    let columns = target_columns(insert, snapshot);
    let default_of =
        |column: Option<&String>| match column.and_then(|column| definition.defaults.get(column)) {
            Some(sql) => expression(sql),
            None => Ok(Expr::Value(ast::Value::Null.into())),
        };
    let Some(source) = &mut insert.source else {
        let row = columns
            .iter()
            .map(|column| default_of(Some(column)))
            .collect::<Result<Vec<_>>>()?;
        let texts: Vec<String> = row.iter().map(ToString::to_string).collect();
        insert.source = Some(query(&format!("VALUES ({})", texts.join(", ")))?);
        return Ok(());
    };
    if let SetExpr::Values(values) = &*source.body
        && values.rows.iter().any(|row| row.content.iter().any(asks))
        && !values
            .rows
            .iter()
            .any(|row| row.content.iter().any(is_default))
        && let Some(rows) = as_selects(values)
    {
        source.body = rows;
    }
    let SetExpr::Values(values) = &mut *source.body else {
        // As PostgreSQL does: what the query leaves out at its end is the default.
        if insert.columns.is_empty()
            && let Some(width) = width(source)
            && width < columns.len()
        {
            let given = columns.into_iter().take(width);
            let named = given.map(|name| ObjectName::from(vec![Ident::with_quote('"', name)]));
            insert.columns = named.collect();
        }
        return Ok(());
    };
    for row in &mut values.rows {
        if row.content.len() > columns.len() {
            return Err(Error::Syntax {
                message: "INSERT has more expressions than target columns".to_owned(),
                position: None,
            });
        }
        // As PostgreSQL does: what the row leaves out at its end is the default.
        if insert.columns.is_empty() {
            for column in &columns[row.content.len()..] {
                row.content.push(default_of(Some(column))?);
            }
        }
        for (index, value) in row.content.iter_mut().enumerate() {
            if is_default(value) {
                *value = default_of(columns.get(index))?;
            }
        }
    }
    Ok(())
}

/// 0A000 for a function that answers several rows.
fn check_one_row_each(values: &ast::Values) -> Result<()> {
    let mut many = None;
    visit_own_functions(&mut values.clone(), |expr| {
        if let Expr::Function(function) = expr
            && let Some(name) = plain_name(&function.name)
            && (matches!(name.as_str(), "generate_series" | "unnest")
                || array_of_rows(&name).is_some())
        {
            many = Some(name);
        }
    });
    match many {
        Some(name) => Err(Error::not_supported(
            format!("{name} in VALUES is not supported: it answers several rows"),
            "Write INSERT INTO … SELECT.",
        )),
        None => Ok(()),
    }
}

fn check_lengths(values: &ast::Values) -> Result<()> {
    let mut lengths = values.rows.iter().map(|row| row.content.len());
    let first = lengths.next();
    match lengths.all(|length| Some(length) == first) {
        true => Ok(()),
        false => Err(Error::Syntax {
            message: "VALUES lists must all be the same length".to_owned(),
            position: None,
        }),
    }
}

/// `VALUES (a, b), (c, d)` as `SELECT a, b UNION ALL SELECT c, d`.
fn as_selects(values: &ast::Values) -> Option<Box<SetExpr>> {
    let rows = values.rows.iter().map(|row| {
        let items: Vec<String> = row.content.iter().map(ToString::to_string).collect();
        format!("SELECT {}", items.join(", "))
    });
    let rows: Vec<String> = rows.collect();
    query(&rows.join(" UNION ALL "))
        .ok()
        .map(|query| query.body)
}

/// How many columns a query answers, where it does not say `*`.
fn width(query: &ast::Query) -> Option<usize> {
    let items = &first_select(query)?.projection;
    let is_one = |item: &ast::SelectItem| matches!(label(item), Label::One(_));
    items.iter().all(is_one).then_some(items.len())
}

fn expression(sql: &str) -> Result<Expr> {
    let dialect = RapportDialect { versions: false };
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr());
    parsed.map_err(|error| Error::Syntax {
        message: format!("in a column's default: {error}"),
        position: None,
    })
}

fn query(sql: &str) -> Result<Box<ast::Query>> {
    let dialect = RapportDialect { versions: false };
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_query());
    parsed.map_err(|error| Error::Syntax {
        message: format!("in a column's default: {error}"),
        position: None,
    })
}
