//! Definitions: PostgreSQL judges the statement in an open transaction, the lake takes what came of it, and only then
//! PostgreSQL keeps it. If one of the two fails, the other is as it was; after a crash between them the lake is right
//! and the catalogue follows it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{self, ObjectType, SetExpr};
use rapport_catalog_postgres::{Catalogue, Change, Ddl, ErrorFields, Relation, RelationKind};
use rapport_lake::{Definition, ForeignKey, PG_TYPE, TableName};
use tracing::warn;

use crate::{
    Column, Error, Notice, Outcome, Result, Session, Statement, Warehouse,
    cancel::Guard,
    change::refuse_history,
    columns::LEAST_SCALE,
    insert,
    names::parts,
    parse,
    pg_type::{Kind, PgType, UNCONSTRAINED_FINE, is_unconstrained},
    pins::Pins,
    privilege::quoted,
    view::{self, View},
};

/// The tables that `rapport init` makes; nobody drops them by accident.
const BUILT_IN: [&str; 11] = [
    "interactions",
    "customers",
    "customer_identities",
    "products",
    "campaigns",
    "offers",
    "agents",
    "consents",
    "channel_costs",
    "code_dictionary",
    "quarantine",
];

pub(crate) fn is_definition(statement: &ast::Statement) -> bool {
    use ast::Statement as S;
    matches!(
        statement,
        S::CreateTable(_)
            | S::CreateView(_)
            | S::AlterTable(_)
            | S::AlterView { .. }
            | S::Drop {
                object_type: ObjectType::Table
                    | ObjectType::View
                    | ObjectType::Schema
                    | ObjectType::Role,
                ..
            }
            | S::Comment { .. }
            | S::CreateSchema { .. }
            | S::CreateRole(_)
            | S::AlterRole { .. }
            | S::Grant(_)
            | S::Revoke(_)
    )
}

/// Runs one definition.
pub(crate) async fn define(
    session: &mut Session,
    statement: &Statement,
    guard: &Guard,
) -> Result<Outcome> {
    match &statement.ast {
        ast::Statement::CreateTable(table) => {
            check_table(table)?;
            match &table.query {
                Some(query) => {
                    let name = table.name.clone();
                    let columns = table
                        .columns
                        .iter()
                        .map(|column| crate::names::folded(&column.name))
                        .collect();
                    let query = match has_no_data(&statement.text) {
                        true => without_rows(query),
                        false => query.clone(),
                    };
                    create_as(session, &query, &name, columns, table.if_not_exists, guard).await
                }
                None => apply(session.warehouse(), session, &statement.text, None).await,
            }
        }
        ast::Statement::CreateView(view) => {
            create_view(session, view, &statement.text, guard).await
        }
        _ => apply(session.warehouse(), session, &statement.text, None).await,
    }
}

fn has_no_data(sql: &str) -> bool {
    let words: Vec<String> = sql
        .split_whitespace()
        .rev()
        .take(3)
        .map(str::to_ascii_lowercase)
        .collect();
    words == ["data", "no", "with"]
}

fn without_rows(query: &ast::Query) -> Box<ast::Query> {
    let mut query = query.clone();
    query.limit_clause = Some(ast::LimitClause::LimitOffset {
        limit: Some(ast::Expr::Value(
            ast::Value::Number("0".to_owned(), false).into(),
        )),
        offset: None,
        limit_by: vec![],
    });
    Box::new(query)
}

/// `SELECT … INTO target`.
pub(crate) async fn select_into(
    session: &mut Session,
    query: &ast::Query,
    target: &ast::SelectInto,
    guard: &Guard,
) -> Result<Outcome> {
    if target.temporary {
        return Err(no_temporary());
    }
    let mut query = query.clone();
    if let SetExpr::Select(select) = &mut *query.body {
        select.into = None;
    }
    let name = target.name.clone();
    create_as(session, &query, &name, vec![], false, guard).await
}

fn no_temporary() -> Error {
    Error::not_supported(
        "temporary tables are not supported yet",
        "Make an ordinary table and drop it afterwards.",
    )
}

fn check_table(table: &ast::CreateTable) -> Result<()> {
    if table.external || table.location.is_some() {
        return Err(Error::not_supported(
            "CREATE EXTERNAL TABLE is not supported: queries read the lake and nothing else",
            "Load the files with `rapport load`, or make a table and COPY … FROM STDIN into it.",
        ));
    }
    if table.temporary {
        return Err(no_temporary());
    }
    Ok(())
}

/// What PostgreSQL made of the statement goes to the lake. A view's own text is kept beside.
async fn apply(
    warehouse: &Warehouse,
    session: &Session,
    sql: &str,
    view: Option<View>,
) -> Result<Outcome> {
    let done = {
        let _turn = warehouse.lock_definitions().await;
        apply_locked(warehouse, session, sql, view, Numerics::new()).await
    };
    let done = done?;
    warehouse.dump_catalogue().await?;
    Ok(Outcome::Done {
        tag: done.tag,
        notices: done.notices,
    })
}

struct Done {
    tag: String,
    notices: Vec<Notice>,
    /// Tables that are new.
    created: Vec<TableName>,
}

async fn apply_locked(
    warehouse: &Warehouse,
    session: &Session,
    sql: &str,
    view: Option<View>,
    numerics: Numerics,
) -> Result<Done> {
    let ddl = begin(warehouse, session, sql).await?;
    let mut done = Done {
        tag: ddl.tag().to_owned(),
        notices: ddl.notices().iter().map(notice).collect(),
        created: vec![],
    };
    let changes = ddl.changes().to_vec();
    if let Err(error) = check(&changes).and_then(|()| check_view(&changes, view.is_some())) {
        ddl.rollback().await?;
        return Err(error);
    }
    let mut applied = Applied {
        numerics,
        ..Applied::default()
    };
    for change in &changes {
        if let Err(error) = applied.take(warehouse, change).await {
            applied.undo(warehouse).await;
            ddl.rollback().await?;
            return Err(error);
        }
        if let Change::Created(relation) = change
            && relation.kind == RelationKind::Table
        {
            done.created.push(relation.name.clone());
            done.notices.extend(declared_only(relation));
        }
        if let Change::Altered { before, after } = change
            && (before.primary_key != after.primary_key
                || before.foreign_keys != after.foreign_keys)
        {
            done.notices.extend(declared_only(after));
        }
    }
    if let Some(view) = &view {
        view.save(warehouse.lake()).await?;
    }
    if let Err(error) = ddl.commit().await {
        applied.undo(warehouse).await;
        // Whatever became of the transaction, the lake is right.
        if let Err(error) = warehouse.mirror_lake().await {
            warn!(%error, "the catalogue could not be made equal to the lake");
        }
        return Err(error.into());
    }
    warehouse.reload_views().await?;
    Ok(done)
}

/// A table that the mirror does not have yet, because another process made it, is mirrored and the statement tried again.
async fn begin(warehouse: &Warehouse, session: &Session, sql: &str) -> Result<Ddl> {
    let Some(catalogue) = warehouse.catalogue() else {
        return Err(Error::not_supported(
            "definitions need the catalogue, and this process has none",
            "",
        ));
    };
    let begun = catalogue
        .begin_ddl(session.role(), session.settings(), sql)
        .await;
    match begun {
        Err(rapport_catalog_postgres::Error::Postgres(fields)) if fields.code == "42P01" => {
            warehouse.mirror_lake().await?;
            Ok(catalogue
                .begin_ddl(session.role(), session.settings(), sql)
                .await?)
        }
        begun => Ok(begun?),
    }
}

fn check(changes: &[Change]) -> Result<()> {
    for change in changes {
        match change {
            Change::Created(_) => {}
            Change::Altered { before, after } => check_altered(before, after)?,
            Change::Dropped(relation) if relation.name.schema == "public" => {
                refuse_history(&relation.name, "DROP")?;
                if BUILT_IN.contains(&relation.name.table.as_str()) {
                    return Err(Error::not_supported(
                        format!(
                            "\"{}\" belongs to Rapport and can't be dropped",
                            relation.name.table
                        ),
                        "Empty it with TRUNCATE.",
                    ));
                }
            }
            Change::Dropped(_) => {}
        }
    }
    Ok(())
}

/// A view lives by its text, which has to be one that can be planned.
fn check_view(changes: &[Change], is_planned: bool) -> Result<()> {
    let makes_view = changes.iter().any(
        |change| matches!(change, Change::Created(relation) if relation.kind == RelationKind::View),
    );
    if makes_view && !is_planned {
        return Err(Error::not_supported(
            "Rapport can't read the query of this view",
            "PostgreSQL can; say it in other words.",
        ));
    }
    Ok(())
}

fn check_altered(before: &Relation, after: &Relation) -> Result<()> {
    let refuse = |what: &str| {
        Err(Error::not_supported(
            format!("{what} is not supported"),
            "Make a new table from the old one: CREATE TABLE new AS SELECT … FROM old.",
        ))
    };
    if before.name != after.name {
        return refuse("renaming a table or a view");
    }
    if before.kind == RelationKind::View {
        return Ok(());
    }
    for old in &before.columns {
        match after.columns.iter().find(|new| new.name == old.name) {
            None => return refuse("dropping or renaming a column"),
            Some(new) if new.pg_type != old.pg_type => return refuse("changing a column's type"),
            Some(new)
                if new.not_null && !old.not_null && !after.primary_key.contains(&new.name) =>
            {
                return refuse("SET NOT NULL");
            }
            Some(_) => {}
        }
    }
    for new in &after.columns {
        let is_added = !before.columns.iter().any(|old| old.name == new.name);
        if is_added && (new.not_null || new.default.is_some()) {
            return refuse("adding a column that is NOT NULL or has a DEFAULT");
        }
    }
    Ok(())
}

/// What has been done to the lake, to take it back.
#[derive(Default)]
struct Applied {
    created: Vec<TableName>,
    altered: Vec<(TableName, Definition)>,
    numerics: Numerics,
}

/// Columns without a declared scale whose values come from a query: how they are kept, and how many digits after the
/// point they show at least.
type Numerics = BTreeMap<String, (DataType, i8)>;

impl Applied {
    async fn take(&mut self, warehouse: &Warehouse, change: &Change) -> Result<()> {
        let lake = warehouse.lake();
        match change {
            Change::Created(relation) if relation.kind == RelationKind::Table => {
                let definition = definition(relation, None, &self.numerics)?;
                lake.create_table(&relation.name, &definition)
                    .await
                    .map_err(|error| match error {
                        rapport_lake::Error::TableExists(name) => {
                            Error::DuplicateTable { name: name.table }
                        }
                        error => error.into(),
                    })?;
                self.created.push(relation.name.clone());
            }
            Change::Altered { after, .. } if after.kind == RelationKind::Table => {
                let table = lake.table(&after.name).await?;
                let before = table.snapshot().await?.definition().clone();
                let definition = definition(after, Some(&before), &self.numerics)?;
                if definition != before {
                    table.set_definition(&definition).await?;
                    self.altered.push((after.name.clone(), before));
                }
            }
            Change::Dropped(relation) if relation.kind == RelationKind::Table => {
                match lake.drop_table(&relation.name).await {
                    Ok(()) | Err(rapport_lake::Error::NoSuchTable(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                warehouse.forget_table(&relation.name);
            }
            Change::Dropped(relation) => view::remove(lake, &relation.name).await?,
            Change::Created(_) | Change::Altered { .. } => {}
        }
        Ok(())
    }

    /// A dropped table can't come back; the catalogue follows then.
    async fn undo(self, warehouse: &Warehouse) {
        for name in self.created {
            if let Err(error) = warehouse.lake().drop_table(&name).await {
                warn!(table = %name, %error, "a table that was not to be stays");
            }
        }
        for (name, before) in self.altered {
            let undone = match warehouse.lake().table(&name).await {
                Ok(table) => table.set_definition(&before).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = undone {
                warn!(table = %name, %error, "a definition stays changed");
            }
        }
    }
}

/// A relation of PostgreSQL as the lake keeps it. Columns that `before` has stay as nullable as they were: a primary
/// key is declared, and does not make old rows have it.
fn definition(
    relation: &Relation,
    before: Option<&Definition>,
    numerics: &Numerics,
) -> Result<Definition> {
    let mut fields = vec![];
    let mut defaults = BTreeMap::new();
    let mut comments = BTreeMap::new();
    for column in &relation.columns {
        let old = before.and_then(|before| before.schema.field_with_name(&column.name).ok());
        if let Some(old) = old {
            fields.push(old.clone());
        } else {
            let pg_type = PgType::parse(&column.pg_type)?;
            let mut metadata: HashMap<_, _> = [(PG_TYPE.to_owned(), column.pg_type.clone())].into();
            let mut storage = pg_type.storage();
            if let Some((computed, least_scale)) = numerics.get(&column.name) {
                storage = computed.clone();
                metadata.insert(LEAST_SCALE.to_owned(), least_scale.to_string());
            }
            let field = Field::new(&column.name, storage, !column.not_null);
            fields.push(field.with_metadata(metadata));
        }
        if let Some(default) = &column.default {
            defaults.insert(column.name.clone(), default.clone());
        }
        if let Some(comment) = &column.comment {
            comments.insert(column.name.clone(), comment.clone());
        }
    }
    let foreign_keys = relation.foreign_keys.iter().map(|key| ForeignKey {
        columns: key.columns.clone(),
        table: key.table.to_string(),
        ref_columns: key.ref_columns.clone(),
    });
    let schema = match before {
        Some(before) => Schema::new_with_metadata(fields, before.schema.metadata().clone()),
        None => Schema::new(fields),
    };
    let mut definition = Definition::new(Arc::new(schema));
    definition.comment.clone_from(&relation.comment);
    definition.primary_key.clone_from(&relation.primary_key);
    definition.unique.clone_from(&relation.unique);
    definition.foreign_keys = foreign_keys.collect();
    definition.defaults = defaults;
    definition.column_comments = comments;
    Ok(definition)
}

fn declared_only(relation: &Relation) -> Option<Notice> {
    let has_keys = !relation.primary_key.is_empty()
        || !relation.unique.is_empty()
        || !relation.foreign_keys.is_empty();
    has_keys.then(|| {
        Notice::new(
            "00000",
            format!(
                "keys of \"{}\" are declared for tools to see, and not enforced",
                relation.name.table
            ),
        )
    })
}

fn notice(fields: &ErrorFields) -> Notice {
    Notice {
        severity: if fields.severity == "WARNING" {
            "WARNING"
        } else {
            "NOTICE"
        },
        code: fields.code.clone(),
        message: fields.message.clone(),
        detail: fields.detail.clone(),
        hint: fields.hint.clone(),
    }
}

/// `CREATE TABLE … AS`: the query's columns become the table's, and its rows the first commit.
async fn create_as(
    session: &mut Session,
    query: &ast::Query,
    name: &ast::ObjectName,
    columns: Vec<String>,
    if_not_exists: bool,
    guard: &Guard,
) -> Result<Outcome> {
    let scope = session.scope();
    let pins: Arc<Pins> = Arc::default();
    let planned = session.plan(&scope, &pins, query, &[], guard).await?;
    let target = scope.candidates(&parts(name)?)?.into_iter().next();
    let target = target.ok_or_else(|| Error::UndefinedSchema {
        name: "public".to_owned(),
    })?;
    if columns.len() > planned.columns.len() {
        return Err(Error::Syntax {
            message: "too many column names were specified".to_owned(),
            position: None,
        });
    }
    let named = planned
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| Column {
            name: columns.get(index).unwrap_or(&column.name).clone(),
            ..column.clone()
        });
    let named: Vec<Column> = named.collect();
    let sql = format!(
        "CREATE TABLE {}{}.{} ({})",
        if if_not_exists { "IF NOT EXISTS " } else { "" },
        quoted(&target.schema),
        quoted(&target.table),
        column_list(&named, &planned)?.join(", "),
    );
    let warehouse = session.warehouse().clone();
    let done = {
        let _turn = guard
            .bound(async { Ok(warehouse.lock_definitions().await) })
            .await?;
        apply_locked(&warehouse, session, &sql, None, numerics(&named, &planned)).await?
    };
    if done.created.is_empty() {
        // It is there already; the notice says so.
        return Ok(Outcome::Done {
            tag: "CREATE TABLE AS".to_owned(),
            notices: done.notices,
        });
    }
    let snapshot = warehouse.lake().table(&target).await?.snapshot().await?;
    match insert::run(&scope, &snapshot, &planned, vec![], None, guard).await {
        Ok(rows) => {
            warehouse.dump_catalogue().await?;
            Ok(Outcome::Done {
                tag: format!("SELECT {rows}"),
                notices: done.notices,
            })
        }
        Err(error) => {
            if let Err(error) = warehouse.lake().drop_table(&target).await {
                warn!(table = %target, %error, "a table without its rows stays");
            }
            warehouse.forget_table(&target);
            warehouse.mirror_lake().await?;
            Err(error)
        }
    }
}

fn numerics(columns: &[Column], planned: &crate::plan::Planned) -> Numerics {
    let fields = planned.plan.schema().fields().iter();
    let numerics = columns.iter().zip(fields).filter_map(|(column, field)| {
        let pg_type = crate::columns::column_type(field);
        if pg_type.kind != Kind::Numeric(None) {
            return None;
        }
        let storage = match field.data_type() {
            fine @ DataType::Decimal128(_, scale) if is_unconstrained(fine) && *scale > 10 => {
                UNCONSTRAINED_FINE
            }
            DataType::Decimal256(_, scale) if *scale > 10 => UNCONSTRAINED_FINE,
            _ => pg_type.storage(),
        };
        Some((column.name.clone(), (storage, column.least_scale)))
    });
    numerics.collect()
}

fn column_list(columns: &[Column], planned: &crate::plan::Planned) -> Result<Vec<String>> {
    let fields = planned.plan.schema().fields().iter();
    let columns = columns.iter().zip(fields).map(|(column, field)| {
        let pg_type = crate::columns::column_type(field);
        if column.name == "?column?" {
            return Err(Error::Syntax {
                message: "a column of the new table has no name; give it one with AS".to_owned(),
                position: None,
            });
        }
        Ok(format!("{} {}", quoted(&column.name), pg_type.name()))
    });
    columns.collect()
}

/// Our engine has to be able to plan it. PostgreSQL keeps the text if it can read it, and otherwise a view of the same
/// columns, so that clients see it all the same.
async fn create_view(
    session: &mut Session,
    statement: &ast::CreateView,
    text: &str,
    guard: &Guard,
) -> Result<Outcome> {
    if statement.materialized {
        return Err(Error::not_supported(
            "materialized views are not supported",
            "Use CREATE TABLE … AS.",
        ));
    }
    if statement.temporary {
        return Err(no_temporary());
    }
    let scope = session.scope();
    let pins: Arc<Pins> = Arc::default();
    let planned = session
        .plan(&scope, &pins, &statement.query, &[], guard)
        .await?;
    let target = scope
        .candidates(&parts(&statement.name)?)?
        .into_iter()
        .next();
    let target = target.ok_or_else(|| Error::UndefinedSchema {
        name: "public".to_owned(),
    })?;
    let view = View {
        name: target.clone(),
        query: statement.query.to_string(),
        columns: statement
            .columns
            .iter()
            .map(|column| crate::names::folded(&column.name))
            .collect(),
        search_path: scope.search_path.clone(),
        owner: session.role().to_owned(),
    };
    // It has to read the same the next time.
    parse::parse(&view.query, session.warehouse().limits())?;

    let warehouse = session.warehouse().clone();
    let applied = apply(&warehouse, session, text, Some(view.clone())).await;
    match applied {
        Err(Error::Catalogue(rapport_catalog_postgres::Error::Postgres(fields)))
            if only_ours(&fields.code) =>
        {
            let columns = planned
                .plan
                .schema()
                .fields()
                .iter()
                .zip(&planned.columns)
                .enumerate();
            let columns = columns.map(|(index, (field, column))| {
                let name = view.columns.get(index).unwrap_or(&column.name);
                format!(
                    "NULL::{} AS {}",
                    crate::columns::column_type(field).name(),
                    quoted(name)
                )
            });
            let columns: Vec<String> = columns.collect();
            let sql = format!(
                "CREATE {}VIEW {}.{} AS SELECT {} WHERE false",
                if statement.or_replace {
                    "OR REPLACE "
                } else {
                    ""
                },
                quoted(&target.schema),
                quoted(&target.table),
                columns.join(", "),
            );
            apply(&warehouse, session, &sql, Some(view)).await
        }
        applied => applied,
    }
}

/// PostgreSQL does not know the function, the syntax or the type that our engine knows.
fn only_ours(code: &str) -> bool {
    matches!(
        code,
        "42883" | "42601" | "42704" | "42804" | "42P01" | "42703" | "0A000"
    )
}

const HISTORY: &str = include_str!("history.sql");

impl Warehouse {
    /// Creates the built-in tables that are missing.
    pub async fn init(&self) -> Result<()> {
        let session = self.session(Catalogue::OWNER);
        {
            let _turn = self.lock_definitions().await;
            let there = self.lake().table_names().await?;
            let statements = session.parse(HISTORY)?;
            for statement in &statements {
                let ast::Statement::CreateTable(table) = &statement.ast else {
                    continue;
                };
                let name = TableName::public(last(&table.name.0));
                if !there.contains(&name) {
                    let comments = statements.iter().map(|statement| &statement.ast);
                    create_built_in(self, &session, &name, &statement.text, comments).await?;
                }
            }
        }
        // With the comments, which the lake has got already.
        self.mirror_lake().await?;
        self.dump_catalogue().await
    }

    /// Creates a table without asking PostgreSQL to judge it; the catalogue learns of it afterwards.
    pub async fn create_from_definition(
        &self,
        name: &TableName,
        definition: &Definition,
    ) -> Result<rapport_lake::Table> {
        let table = {
            let _turn = self.lock_definitions().await;
            self.lake().create_table(name, definition).await?
        };
        self.mirror_lake().await?;
        self.dump_catalogue().await?;
        Ok(table)
    }
}

/// One table of `history.sql`, with its comments in the first commit.
async fn create_built_in(
    warehouse: &Warehouse,
    session: &Session,
    name: &TableName,
    sql: &str,
    statements: impl Iterator<Item = &ast::Statement>,
) -> Result<()> {
    let ddl = begin(warehouse, session, sql).await?;
    let relation = ddl.relation().cloned();
    let Some(relation) = relation else {
        return Ok(ddl.rollback().await?);
    };
    let mut definition = definition(&relation, None, &Numerics::new())?;
    for statement in statements {
        let ast::Statement::Comment {
            object_type,
            object_name,
            comment,
            ..
        } = statement
        else {
            continue;
        };
        let parts = &object_name.0;
        match object_type {
            ast::CommentObject::Table if last(parts) == name.table => {
                definition.comment.clone_from(comment);
            }
            ast::CommentObject::Column if last(&parts[..parts.len() - 1]) == name.table => {
                let text = comment.clone().unwrap_or_default();
                definition.column_comments.insert(last(parts), text);
            }
            _ => {}
        }
    }
    if let Err(error) = warehouse.lake().create_table(name, &definition).await {
        ddl.rollback().await?;
        return Err(error.into());
    }
    if let Err(error) = ddl.commit().await {
        warehouse.lake().drop_table(name).await?;
        return Err(error.into());
    }
    Ok(())
}

fn last(parts: &[ast::ObjectNamePart]) -> String {
    let ident = parts.last().and_then(|part| part.as_ident());
    ident.map(|ident| ident.value.clone()).unwrap_or_default()
}
