//! Definitions: PostgreSQL judges the statement, the block's drafts take what came of it, and both are kept when the
//! block ends.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{self, ObjectType, SetExpr};
use rapport_catalog_postgres::{Catalogue, Change, ErrorFields, Relation, RelationKind};
use rapport_lake::{Definition, ForeignKey, PG_TYPE, TableName};
use rapport_udf_postgres::refusal::Refusal;

use crate::{
    Error, Notice, Outcome, Result, Session, Statement, Warehouse, alter, block,
    cancel::Guard,
    change::refuse_history,
    columns::LEAST_SCALE,
    commit, insert,
    names::parts,
    parse,
    pg_type::{Kind, PgType, UNCONSTRAINED_FINE, is_unconstrained},
    plan::Planned,
    privilege::quoted,
    temporary,
    view::View,
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
            | S::CreateIndex(_)
            | S::AlterTable(_)
            | S::AlterView { .. }
            | S::Drop {
                object_type: ObjectType::Table
                    | ObjectType::View
                    | ObjectType::Index
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

/// Runs one definition, as a part of the open block.
pub(crate) async fn define(
    session: &mut Session,
    statement: &Statement,
    guard: &Guard,
) -> Result<Outcome> {
    if let ast::Statement::CreateSchema { schema_name, .. } = &statement.ast {
        check_schema(&schema_name.to_string())?;
    }
    let mut named = temporary::name_own(session, statement).await?;
    let on_commit = named.as_mut().and_then(|named| named.on_commit.take());
    let (ast, text) = match &named {
        Some(named) => (&named.ast, named.text.as_str()),
        None => (&statement.ast, statement.text.as_str()),
    };
    match ast {
        ast::Statement::CreateTable(table) => {
            check_table(table)?;
            let done = match &table.query {
                Some(query) => {
                    let made = Made {
                        name: session.scope().home(&parts(&table.name)?)?,
                        columns: table
                            .columns
                            .iter()
                            .map(|column| crate::names::folded(&column.name))
                            .collect(),
                        if_not_exists: table.if_not_exists,
                        with_data: !has_no_data(&statement.text),
                    };
                    create_as(session, query, made, guard).await?
                }
                None => apply(session, text, Said::default(), guard)
                    .await?
                    .outcome(),
            };
            if let Some((temporary, on_commit)) = on_commit {
                let name = session.scope().home(&parts(&table.name)?)?;
                temporary.on_commit().insert(name, on_commit);
            }
            Ok(done)
        }
        ast::Statement::CreateView(view) => create_view(session, view, text, guard).await,
        ast::Statement::AlterTable(alter) => {
            let said = Said {
                using: using(&alter.operations),
                ..Said::default()
            };
            Ok(apply(session, text, said, guard).await?.outcome())
        }
        _ => Ok(apply(session, text, Said::default(), guard)
            .await?
            .outcome()),
    }
}

fn check_schema(name: &str) -> Result<()> {
    let name = name.trim_matches('"');
    match name.starts_with("pg_") {
        true => Err(Error::Refused(Refusal::new(
            "42939",
            format!("unacceptable schema name \"{name}\""),
        ))),
        false => Ok(()),
    }
}

/// What `ALTER COLUMN … TYPE … USING` says, by column.
fn using(operations: &[ast::AlterTableOperation]) -> Vec<(String, String)> {
    let using = operations.iter().filter_map(|operation| match operation {
        ast::AlterTableOperation::AlterColumn {
            column_name,
            op:
                ast::AlterColumnOperation::SetDataType {
                    using: Some(expr), ..
                },
        } => Some((crate::names::folded(column_name), expr.to_string())),
        _ => None,
    });
    using.collect()
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

/// `SELECT … INTO target`.
pub(crate) async fn select_into(
    session: &mut Session,
    query: &ast::Query,
    target: &ast::SelectInto,
    guard: &Guard,
) -> Result<Outcome> {
    let mut query = query.clone();
    if let SetExpr::Select(select) = &mut *query.body {
        select.into = None;
    }
    let parts = parts(&target.name)?;
    let name = match target.temporary {
        true => TableName::new(
            session.temporary().await?.schema(),
            parts.last().cloned().unwrap_or_default(),
        ),
        false => session.scope().home(&parts)?,
    };
    let made = Made {
        name,
        columns: vec![],
        if_not_exists: false,
        with_data: true,
    };
    create_as(session, &query, made, guard).await
}

fn check_table(table: &ast::CreateTable) -> Result<()> {
    if table.external || table.location.is_some() {
        return Err(Error::not_supported(
            "CREATE EXTERNAL TABLE is not supported: queries read the lake and nothing else",
            "Load the files with `rapport load`, or make a table and COPY … FROM STDIN into it.",
        ));
    }
    match table.columns.iter().find(|column| counts(column)) {
        Some(column) => Err(Error::not_supported(
            format!(
                "column \"{}\" would number its rows (serial, identity), which is not supported",
                column.name.value
            ),
            NO_COUNTER,
        )),
        None => Ok(()),
    }
}

/// Several processes write to a lake, and nothing counts for all of them.
pub(crate) const NO_COUNTER: &str = "Several processes may write to the lake, and nothing counts for all of them: make the column an integer or a uuid, \
     and give each row its number when you insert it.";

fn counts(column: &ast::ColumnDef) -> bool {
    let data_type = column.data_type.to_string().to_lowercase();
    let is_serial = matches!(
        data_type.as_str(),
        "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8"
    );
    let mut options = column.options.iter();
    is_serial
        || options.any(|option| {
            matches!(
                option.option,
                ast::ColumnOption::Generated {
                    generation_expr: None,
                    ..
                }
            )
        })
}

struct Done {
    tag: String,
    notices: Vec<Notice>,
    has_created: bool,
}

impl Done {
    fn outcome(self) -> Outcome {
        Outcome::Done {
            tag: self.tag,
            notices: self.notices,
        }
    }
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

/// What a definition says that PostgreSQL is not told, or not told in our words.
#[derive(Default)]
struct Said {
    view: Option<View>,
    /// Expressions for columns that get another type.
    using: Vec<(String, String)>,
    numerics: Numerics,
}

/// Columns without a declared scale whose values come from a query: how they are kept, and how many digits after the
/// point they show at least.
type Numerics = BTreeMap<String, (DataType, i8)>;

/// PostgreSQL judges the statement behind the block's earlier ones, and the block's drafts follow. A view's own text is
/// kept beside.
async fn apply(session: &Session, sql: &str, said: Said, guard: &Guard) -> Result<Done> {
    let scope = session.scope();
    let block = session.block().expect("a definition runs in a block");
    let definition = block::Definition {
        sql: sql.to_owned(),
        settings: session.catalogue_settings(),
    };
    let mut definitions = block.definitions();
    definitions.push(definition.clone());
    let ddl = commit::judge(&scope, &definitions).await?;
    let ddl = ddl.expect("there is a definition to judge");
    let mut done = Done {
        tag: ddl.tag().to_owned(),
        notices: ddl.notices().iter().map(notice).collect(),
        has_created: false,
    };
    let changes = ddl.changes().to_vec();
    // The backend is everybody's: it is not kept while the rows are written.
    ddl.rollback().await?;
    for change in &changes {
        check(change)?;
    }
    check_view(&changes, said.view.is_some())?;
    for change in &changes {
        match change {
            Change::Created(relation) if relation.kind == RelationKind::Table => {
                alter::create(
                    &scope,
                    &block,
                    &relation.name,
                    &definition_of(relation, &said.numerics)?,
                )
                .await?;
                done.has_created = true;
                done.notices.extend(declared_only(relation));
            }
            Change::Altered { before, after } if after.kind == RelationKind::Table => {
                alter::alter(&scope, &block, before, after, &said.using, guard).await?;
                if before.primary_key != after.primary_key
                    || before.foreign_keys != after.foreign_keys
                {
                    done.notices.extend(declared_only(after));
                }
            }
            Change::Altered { before, after }
                if before.name != after.name || names_of(before) != names_of(after) =>
            {
                // A view that is made anew has been named by its author.
                if let Some(view) = scope.view(&before.name)
                    && said.view.is_none()
                {
                    let mut renamed = view.as_ref().clone();
                    renamed.name = after.name.clone();
                    renamed.columns = names_of(after);
                    block.put_view(&before.name, None);
                    block.put_view(&after.name, Some(renamed));
                }
            }
            Change::Dropped(relation) if relation.kind == RelationKind::Table => {
                let base = scope.base(&block.pins, &relation.name).await;
                match base {
                    Ok(base) => {
                        let mut draft = scope.draft(&block, &base).await?;
                        draft.drop_table();
                        block.put(&scope, draft);
                    }
                    // The mirror had it, and the lake no longer.
                    Err(Error::Lake(rapport_lake::Error::NoSuchTable(_))) => {}
                    Err(error) => return Err(error),
                }
            }
            Change::Dropped(relation) => block.put_view(&relation.name, None),
            Change::Created(_) | Change::Altered { .. } => {}
        }
    }
    if let Some(view) = said.view {
        block.put_view(&view.name.clone(), Some(view));
    }
    block.add_definition(definition);
    Ok(done)
}

fn names_of(relation: &Relation) -> Vec<String> {
    let columns = relation.columns.iter();
    columns.map(|column| column.name.clone()).collect()
}

fn check(change: &Change) -> Result<()> {
    let (Change::Dropped(relation)
    | Change::Altered {
        before: relation, ..
    }) = change
    else {
        return Ok(());
    };
    let is_built_in =
        relation.name.schema == "public" && BUILT_IN.contains(&relation.name.table.as_str());
    if !is_built_in {
        return Ok(());
    }
    let name = &relation.name.table;
    match change {
        Change::Altered { before, after } if alter::keeps_rows(before, after) => Ok(()),
        Change::Altered { .. } => Err(Error::not_supported(
            format!("\"{name}\" belongs to Rapport; only nullable columns can be added to it"),
            "Make a table of your own from it: CREATE TABLE new AS SELECT … FROM old.",
        )),
        _ => {
            refuse_history(&relation.name, "DROP")?;
            Err(Error::not_supported(
                format!("\"{name}\" belongs to Rapport and can't be dropped"),
                "Empty it with TRUNCATE.",
            ))
        }
    }
}

/// A new relation of PostgreSQL as the lake keeps it.
fn definition_of(relation: &Relation, numerics: &Numerics) -> Result<Definition> {
    definition(relation, |column| {
        let (storage, least_scale) = numerics.get(&column.name)?;
        let metadata = [
            (PG_TYPE.to_owned(), column.pg_type.clone()),
            (LEAST_SCALE.to_owned(), least_scale.to_string()),
        ];
        let field = Field::new(&column.name, storage.clone(), !column.not_null);
        Some(field.with_metadata(metadata.into()))
    })
}

/// Columns that are not new keep the field that `known` has for them.
pub(crate) fn definition(
    relation: &Relation,
    known: impl Fn(&rapport_catalog_postgres::Column) -> Option<Field>,
) -> Result<Definition> {
    if relation.columns.is_empty() {
        return Err(Error::not_supported(
            "a table without columns is not supported",
            "Give it a column.",
        ));
    }
    let mut fields = vec![];
    let mut defaults = BTreeMap::new();
    let mut comments = BTreeMap::new();
    for column in &relation.columns {
        fields.push(match known(column) {
            Some(field) => field,
            None => field(column)?,
        });
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
    let mut definition = Definition::new(Arc::new(Schema::new(fields)));
    definition.comment.clone_from(&relation.comment);
    definition.primary_key.clone_from(&relation.primary_key);
    definition.unique.clone_from(&relation.unique);
    definition.foreign_keys = foreign_keys.collect();
    definition.defaults = defaults;
    definition.column_comments = comments;
    Ok(definition)
}

pub(crate) fn field(column: &rapport_catalog_postgres::Column) -> Result<Field> {
    let pg_type = PgType::parse(&column.pg_type)?;
    let mut metadata = HashMap::from([(PG_TYPE.to_owned(), column.pg_type.clone())]);
    if let Kind::Numeric(Some((_, scale))) = pg_type.kind
        && is_unconstrained(&pg_type.storage())
    {
        // Stored as a numeric without a scale is, which would show fewer digits.
        metadata.insert(LEAST_SCALE.to_owned(), scale.to_string());
    }
    let field = Field::new(&column.name, pg_type.storage(), !column.not_null);
    Ok(field.with_metadata(metadata))
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

/// What `CREATE TABLE … AS` is to make.
struct Made {
    name: TableName,
    /// Other names for the query's columns.
    columns: Vec<String>,
    if_not_exists: bool,
    with_data: bool,
}

/// `CREATE TABLE … AS`: the query's columns become the table's, and its rows are in the first commit.
async fn create_as(
    session: &mut Session,
    query: &ast::Query,
    made: Made,
    guard: &Guard,
) -> Result<Outcome> {
    let scope = session.scope();
    let pins = session.pins();
    let planned = session.plan(&scope, &pins, query, &[], guard).await?;
    if made.columns.len() > planned.columns.len() {
        return Err(Error::Syntax {
            message: "too many column names were specified".to_owned(),
            position: None,
        });
    }
    let fields = planned.plan.schema().fields().iter();
    let columns = planned.columns.iter().zip(fields).enumerate();
    let columns = columns.map(|(index, (column, field))| {
        let name = made.columns.get(index).unwrap_or(&column.name);
        let pg_type = crate::columns::column_type(field);
        format!("{} {}", quoted(name), pg_type.name())
    });
    let columns: Vec<String> = columns.collect();
    let sql = format!(
        "CREATE TABLE {}{}.{} ({})",
        if made.if_not_exists {
            "IF NOT EXISTS "
        } else {
            ""
        },
        quoted(&made.name.schema),
        quoted(&made.name.table),
        columns.join(", "),
    );
    let said = Said {
        numerics: numerics(&made, &planned),
        ..Said::default()
    };
    let done = apply(session, &sql, said, guard).await?;
    let mut tag = "CREATE TABLE AS".to_owned();
    // If it was there already, the notice says so.
    if done.has_created && made.with_data {
        let snapshot = scope.base(&pins, &made.name).await?;
        let rows = insert::run(&scope, &snapshot, &planned, vec![], guard).await?;
        tag = format!("SELECT {rows}");
    }
    Ok(Outcome::Done {
        tag,
        notices: done.notices,
    })
}

fn numerics(made: &Made, planned: &Planned) -> Numerics {
    let fields = planned.plan.schema().fields().iter();
    let columns = planned.columns.iter().zip(fields).enumerate();
    let numerics = columns.filter_map(|(index, (column, field))| {
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
        let name = made.columns.get(index).unwrap_or(&column.name);
        Some((name.clone(), (storage, column.least_scale)))
    });
    numerics.collect()
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
    if !matches!(statement.options, ast::CreateTableOptions::None) {
        return Err(Error::not_supported(
            "options of views are not supported",
            "A view reads with its owner's rights. Leave WITH (…) out.",
        ));
    }
    let scope = session.scope();
    let pins = session.pins();
    let planned = session
        .plan(&scope, &pins, &statement.query, &[], guard)
        .await?;
    if statement.columns.len() > planned.columns.len() {
        return Err(Error::Syntax {
            message: "CREATE VIEW specifies more column names than columns".to_owned(),
            position: None,
        });
    }
    let target = scope.home(&parts(&statement.name)?)?;
    let view = View {
        name: target.clone(),
        query: statement.query.to_string(),
        columns: statement
            .columns
            .iter()
            .map(|column| crate::names::folded(&column.name))
            .collect(),
        answers: planned
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect(),
        search_path: scope.search_path.clone(),
        owner: session.role().to_owned(),
    };
    // It has to read the same the next time.
    parse::parse(&view.query, session.warehouse().limits())?;

    let said = |view| Said {
        view: Some(view),
        ..Said::default()
    };
    let applied = apply(session, text, said(view.clone()), guard).await;
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
            Ok(apply(session, &sql, said(view), guard).await?.outcome())
        }
        applied => Ok(applied?.outcome()),
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
    let definitions = [block::Definition {
        sql: sql.to_owned(),
        settings: session.settings().clone(),
    }];
    let Some(ddl) = commit::judge(&session.scope(), &definitions).await? else {
        return Ok(());
    };
    let relation = ddl.relation().cloned();
    let Some(relation) = relation else {
        return Ok(ddl.rollback().await?);
    };
    let mut definition = definition_of(&relation, &Numerics::new())?;
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
