//! A statement's table names, resolved to pinned versions before it is planned.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use arrow::datatypes::SchemaRef;

use chrono::{DateTime, Utc};
use datafusion::{
    common::TableReference,
    datasource::{ViewTable, provider_as_source},
    logical_expr::TableSource,
    sql::sqlparser::ast::{
        self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
        FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, TableAlias,
        TableAliasColumnDef, TableFactor, TableVersion, Value, VisitMut, VisitorMut,
    },
};
use rapport_lake::TableName;

use rapport_udf_postgres::{DateOrder, Reading, Zone};

use crate::{
    Error, Result,
    computed_once::Named,
    pins::Pins,
    plan::Scope,
    privilege::{Access, Marked, Privilege},
    system::{self, System},
    times::read_texts,
    using::Merged,
    view::View,
};

/// What every name in one statement means.
#[derive(Default)]
pub(crate) struct Names {
    sources: HashMap<String, Arc<dyn TableSource>>,
    /// Names that are there and may not be read: an error only if the planner asks for them, since a common table
    /// expression may hide them.
    denied: HashMap<String, Error>,
    /// What may be read in part, with a mark on what may not.
    marked: HashMap<String, Arc<dyn TableSource>>,
    /// For functions of the catalogue.
    system: Option<System>,
    /// What the tables among the names are called in the catalogue, and what the views.
    tables: HashMap<String, TableName>,
    views: HashMap<String, TableName>,
    /// Of the columns that tables share.
    merged: Merged,
    /// Where the primary keys of the tables are among their columns.
    keys: HashMap<String, Vec<usize>>,
}

impl Names {
    pub(crate) fn merged(&self) -> &Merged {
        &self.merged
    }

    pub(crate) fn merge(&mut self, merged: Merged) {
        self.merged = merged;
    }

    pub(crate) fn source(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        let key = name.to_string();
        if let Some(Error::Denied { what }) = self.denied.get(&key) {
            return Err(Error::Denied { what: what.clone() });
        }
        self.sources
            .get(&key)
            .cloned()
            .ok_or_else(|| Error::UndefinedTable { name: shown(name) })
    }

    /// As [`Self::source`]; what a reader must not name has a mark.
    pub(crate) fn marked_source(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        match self.marked.get(&name.to_string()) {
            Some(marked) => Ok(marked.clone()),
            None => self.source(name),
        }
    }

    /// The columns of a name, as DataFusion spells it.
    pub(crate) fn columns(&self, key: &str) -> Option<Vec<String>> {
        let schema = self.sources.get(key)?.schema();
        let fields = schema.fields().iter();
        Some(fields.map(|field| field.name().clone()).collect())
    }

    pub(crate) fn has_marks(&self) -> bool {
        !self.marked.is_empty()
    }

    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Where the primary key of the table is among its columns.
    pub(crate) fn key_of(&self, parts: &[String]) -> Option<Vec<usize>> {
        self.keys.get(&key(parts)).cloned()
    }

    pub(crate) fn system(&self) -> Option<&System> {
        self.system.as_ref()
    }

    /// The table that a scan reads; what a common table expression may hide is none.
    pub(crate) fn table(&self, scan: &TableReference) -> Option<&TableName> {
        self.tables.get(&scan.to_string())
    }

    /// The view that a part of the plan stands for.
    pub(crate) fn view(&self, alias: &TableReference) -> Option<&TableName> {
        self.views.get(&alias.to_string())
    }

    pub(crate) fn add(&mut self, private: &[(&str, Arc<dyn TableSource>)]) {
        for (name, source) in private {
            self.sources
                .insert(TableReference::bare(*name).to_string(), source.clone());
        }
    }

    pub(crate) fn add_named(&mut self, named: &[Named]) {
        for Named { name, source, .. } in named {
            self.add(&[(name, source.clone())]);
        }
    }

    /// Tells which tables' columns private sources have.
    pub(crate) fn call(&mut self, tables: &[(&str, TableName)]) {
        for (name, table) in tables {
            self.tables
                .insert(TableReference::bare(*name).to_string(), table.clone());
        }
    }
}

/// Begins the names that only our own statements may use: no client can type it.
pub(crate) const PRIVATE: char = '\u{1}';

fn shown(name: &TableReference) -> String {
    match name.schema() {
        Some(schema) => format!("{schema}.{}", name.table()),
        None => name.table().to_owned(),
    }
}

/// One name as the statement writes it.
struct Wanted {
    key: String,
    parts: Vec<String>,
    version: Option<Version>,
}

#[derive(Clone, Debug, PartialEq)]
enum Version {
    Number(u64),
    AsOf(DateTime<Utc>),
}

/// Looks up all names of a statement. Versioned names are replaced in it by names of their own.
pub(crate) async fn resolve(
    scope: &Scope,
    pins: &Pins,
    statement: &mut ast::Statement,
) -> Result<Names> {
    let mut collect = Collect {
        wanted: vec![],
        ctes: HashSet::new(),
        error: None,
        zone: scope.time_zone(),
    };
    let _ = statement.visit(&mut collect);
    if let Some(error) = collect.error {
        return Err(error);
    }
    // Views are looked up by the statement that names them, which waits for all.
    let _no_landing = match scope.depth {
        0 => Some(scope.warehouse.landing().read().await),
        _ => None,
    };
    let mut names = Names {
        system: scope.system(&scope.invoker).await?,
        ..Names::default()
    };
    for wanted in collect.wanted {
        if names.sources.contains_key(&wanted.key) || names.denied.contains_key(&wanted.key) {
            continue;
        }
        let is_named = |named: &Named| wanted.parts == [named.name.as_str()];
        if wanted.version.is_none() && scope.named.iter().any(is_named) {
            continue;
        }
        let hidden = wanted.parts.len() == 1 && collect.ctes.contains(&wanted.parts[0]);
        resolve_one(scope, pins, wanted, hidden, &mut names).await?;
    }
    Ok(names)
}

async fn resolve_one(
    scope: &Scope,
    pins: &Pins,
    wanted: Wanted,
    may_be_hidden: bool,
    names: &mut Names,
) -> Result<()> {
    let of_other = |other: &&View| wanted.parts == [other.name.table.as_str()];
    if let Some(other) = scope.others.iter().find(of_other) {
        let plan = Box::pin(scope.plan_other(pins, other)).await?;
        let table = ViewTable::new(plan, Some(other.query.clone()));
        let source = read_texts(provider_as_source(Arc::new(table)))?;
        names.sources.insert(wanted.key, source);
        return Ok(());
    }
    // PostgreSQL looks for a bare name in its own schema first.
    if let Some(source) = scope.system_table(&wanted.parts).await? {
        if wanted.version.is_some() {
            return Err(Error::not_supported(
                format!(
                    "\"{}\" belongs to the catalogue, which has no versions",
                    wanted.parts.join(".")
                ),
                "Ask for a version of a table of the lake.",
            ));
        }
        names.sources.insert(wanted.key, source);
        return Ok(());
    }
    let candidates = scope.candidates(&wanted.parts)?;
    let found = scope.find(pins, &candidates, !may_be_hidden).await?;
    let Some((name, relation)) = found else {
        for schema in scope
            .search_path
            .iter()
            .filter(|schema| system::is_system_schema(schema))
        {
            if let [table] = wanted.parts.as_slice()
                && let Some(source) = scope.system_table(&[schema.clone(), table.clone()]).await?
            {
                names.sources.insert(wanted.key, source);
                return Ok(());
            }
        }
        return Ok(());
    };
    let access = scope.access(&name, Privilege::Select).await?;
    let kind = if matches!(relation, Relation::View(_)) {
        "view"
    } else {
        "table"
    };
    if let Some(what) = access.refusal(kind, &name) {
        names.denied.insert(wanted.key, Error::Denied { what });
        return Ok(());
    }
    if !may_be_hidden {
        let called = match relation {
            Relation::View(_) => &mut names.views,
            Relation::Table(_) => &mut names.tables,
        };
        called.insert(wanted.key.clone(), name.clone());
        if let Relation::Table(table) = &relation {
            let definition = table.snapshot().definition();
            let key = definition.primary_key.iter();
            let places = key.map(|column| definition.schema.index_of(column));
            if let Ok(places) = places.collect::<Result<Vec<_>, _>>()
                && !places.is_empty()
            {
                names.keys.insert(wanted.key.clone(), places);
            }
        }
    }
    let source: Arc<dyn TableSource> = match (relation, wanted.version) {
        (Relation::View(_), Some(_)) => {
            return Err(Error::not_supported(
                format!("\"{}\" is a view, and views have no versions", name.table),
                "Ask for a version of the tables that it reads.",
            ));
        }
        (Relation::View(view), None) => {
            let plan = Box::pin(scope.plan_view(pins, &view)).await?;
            provider_as_source(Arc::new(ViewTable::new(plan, Some(view.query.clone()))))
        }
        (Relation::Table(_), Some(version)) => {
            let table = scope.lake(&name).table(&name).await?;
            let snapshot = match version {
                Version::Number(number) => table.snapshot_at(number).await?,
                Version::AsOf(at) => table.snapshot_as_of(at).await?,
            };
            provider_as_source(scope.lake_table(snapshot))
        }
        (Relation::Table(table), None) => {
            provider_as_source(scope.warehouse.shown(&name).unwrap_or(table))
        }
    };
    let source = read_texts(source)?;
    if let Access::Columns(columns) = &access {
        let schema: SchemaRef = source.schema();
        let marked = Marked::new(&schema, columns, &format!("{kind} {}", name.table));
        names.marked.insert(wanted.key.clone(), Arc::new(marked));
    }
    names.sources.insert(wanted.key, source);
    Ok(())
}

/// What a name turned out to be.
pub(crate) enum Relation {
    Table(Arc<rapport_catalog_lake::LakeTable>),
    View(Arc<View>),
}

impl Scope {
    /// A name's possible meanings, in the order of the search path.
    pub(crate) fn candidates(&self, parts: &[String]) -> Result<Vec<TableName>> {
        match parts {
            [table] => {
                let own = self.temporary.iter().map(|temporary| temporary.schema());
                let schemas = own.chain(self.search_path.iter().map(String::as_str));
                Ok(schemas
                    .map(|schema| TableName::new(schema, table.as_str()))
                    .collect())
            }
            [schema, table] | [_, schema, table] if schema == "pg_temp" => {
                let temporary = self.temporary.as_ref();
                let own = temporary.map(|own| TableName::new(own.schema(), table.as_str()));
                Ok(own.into_iter().collect())
            }
            [schema, table] | [_, schema, table] => {
                Ok(vec![TableName::new(schema.as_str(), table.as_str())])
            }
            _ => Err(Error::Syntax {
                message: format!(
                    "improper qualified name (too many dotted names): {}",
                    parts.join(".")
                ),
                position: None,
            }),
        }
    }

    /// What a new table or view of that name is called in full.
    pub(crate) fn home(&self, parts: &[String]) -> Result<TableName> {
        let schema = match parts {
            [_] => self.search_path.first().cloned(),
            [.., schema, _] if schema == "pg_temp" => {
                let own = self.temporary.as_ref();
                own.map(|temporary| temporary.schema().to_owned())
            }
            [.., schema, _] => Some(schema.clone()),
            [] => None,
        };
        let schema = schema.ok_or_else(|| Error::UndefinedSchema {
            name: "public".to_owned(),
        })?;
        Ok(TableName::new(
            schema,
            parts.last().cloned().unwrap_or_default(),
        ))
    }

    /// The block's view of that name, the session's or everybody's.
    pub(crate) fn view(&self, name: &TableName) -> Option<Arc<View>> {
        if let Some(view) = self.block.as_ref().and_then(|block| block.view(name)) {
            return view;
        }
        match &self.temporary {
            Some(temporary) if temporary.has(name) => temporary.views().get(name).cloned(),
            _ => self.warehouse.views().get(name),
        }
    }

    /// The first of the candidates that exists. With `look_again`, a name that is not known is looked for where
    /// other processes may have put it.
    pub(crate) async fn find(
        &self,
        pins: &Pins,
        candidates: &[TableName],
        look_again: bool,
    ) -> Result<Option<(TableName, Relation)>> {
        for name in candidates {
            if let Some(view) = self.view(name) {
                return Ok(Some((name.clone(), Relation::View(view))));
            }
            if let Some(table) = pins.table(self, name).await? {
                return Ok(Some((name.clone(), Relation::Table(table))));
            }
        }
        if look_again && self.warehouse.reload_views().await? {
            for name in candidates {
                if let Some(view) = self.view(name) {
                    return Ok(Some((name.clone(), Relation::View(view))));
                }
            }
        }
        Ok(None)
    }
}

/// A name in lower case unless it is quoted.
pub(crate) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

pub(crate) fn parts(name: &ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(folded(ident)),
            other => Err(Error::not_supported(
                format!("{other} is not a table's name"),
                "",
            )),
        })
        .collect()
}

/// As DataFusion spells the reference that it looks up.
pub(crate) fn key(parts: &[String]) -> String {
    match parts {
        [table] => TableReference::bare(table.as_str()),
        [schema, table] => TableReference::partial(schema.as_str(), table.as_str()),
        [catalog, schema, table, ..] => {
            TableReference::full(catalog.as_str(), schema.as_str(), table.as_str())
        }
        [] => TableReference::bare(""),
    }
    .to_string()
}

struct Collect {
    wanted: Vec<Wanted>,
    ctes: HashSet<String>,
    error: Option<Error>,
    zone: String,
}

impl Collect {
    fn table(&mut self, factor: &mut TableFactor) -> Result<()> {
        name_function_column(factor);
        let TableFactor::Table {
            name,
            alias,
            args: None,
            version,
            ..
        } = factor
        else {
            return Ok(());
        };
        let parts = parts(name)?;
        if parts.iter().any(|part| part.starts_with(PRIVATE)) {
            return Ok(());
        }
        let Some(version) = version.take() else {
            self.wanted.push(Wanted {
                key: key(&parts),
                parts,
                version: None,
            });
            return Ok(());
        };
        let version = version_of(&version, &self.zone)?;
        let unique = format!("{} {version:?}", parts.join("."));
        if alias.is_none() {
            let shown = Ident::with_quote('"', parts.last().cloned().unwrap_or_default());
            *alias = Some(TableAlias {
                explicit: true,
                name: shown,
                columns: vec![],
                at: None,
            });
        }
        *name = ObjectName::from(vec![Ident::with_quote('"', unique.clone())]);
        self.wanted.push(Wanted {
            key: key(&[unique]),
            parts,
            version: Some(version),
        });
        Ok(())
    }
}

/// `FROM generate_series(1, 9) AS g` has a column `g`, without an alias `generate_series`.
fn name_function_column(factor: &mut TableFactor) {
    let TableFactor::Table {
        name,
        alias,
        args: Some(_),
        ..
    } = factor
    else {
        return;
    };
    let Some(function) = name.0.last().and_then(|part| part.as_ident()) else {
        return;
    };
    let shown = match alias {
        Some(alias) if alias.columns.is_empty() => alias.name.clone(),
        Some(_) => return,
        None => function.clone(),
    };
    let column = TableAliasColumnDef {
        name: shown.clone(),
        data_type: None,
    };
    let named = TableAlias {
        explicit: true,
        name: shown,
        columns: vec![column],
        at: None,
    };
    *alias = Some(named);
}

impl VisitorMut for Collect {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match self.table(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        as_engine_knows(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.ctes.insert(folded(&cte.alias.name));
        }
        ControlFlow::Continue(())
    }
}

/// Functions of `pg_catalog` under their bare names, words of PostgreSQL's grammar as the functions that they are, and
/// casts to types such as regclass as functions of the catalogue.
fn as_engine_knows(expr: &mut Expr) {
    match expr {
        Expr::Function(function) => {
            if let [schema, name] = function.name.0.as_slice()
                && schema
                    .as_ident()
                    .is_some_and(|schema| folded(schema) == "pg_catalog")
            {
                function.name = ObjectName(vec![name.clone()]);
            }
        }
        Expr::Identifier(ident)
            if ident.quote_style.is_none()
                && matches!(
                    ident.value.to_ascii_lowercase().as_str(),
                    "current_schema" | "current_role"
                ) =>
        {
            *expr = call(&ident.value.to_ascii_lowercase(), FunctionArguments::None);
        }
        Expr::Cast {
            expr: inner,
            data_type,
            ..
        } => {
            if let Some(name) = system::cast_name(&data_type.to_string().to_ascii_lowercase()) {
                let arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(inner.as_ref().clone()));
                let args = FunctionArgumentList {
                    duplicate_treatment: None,
                    args: vec![arg],
                    clauses: vec![],
                };
                *expr = call(&name, FunctionArguments::List(args));
            }
        }
        _ => {}
    }
}

fn call(name: &str, args: FunctionArguments) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

fn version_of(version: &TableVersion, zone: &str) -> Result<Version> {
    let usage = || {
        Error::not_supported(
            "this way to ask for a version is not known",
            "Write FROM t VERSION AS OF 12, or FROM t TIMESTAMP AS OF '2026-01-31 12:00'.",
        )
    };
    match version {
        TableVersion::VersionAsOf(Expr::Value(value)) => match &value.value {
            Value::Number(number, _) => Ok(Version::Number(number.parse().map_err(|_| usage())?)),
            _ => Err(usage()),
        },
        TableVersion::TimestampAsOf(expr) | TableVersion::ForSystemTimeAsOf(expr) => {
            let value = match expr {
                Expr::Value(value) => value,
                Expr::TypedString(typed) => &typed.value,
                Expr::Cast { expr, .. } => match expr.as_ref() {
                    Expr::Value(value) => value,
                    _ => return Err(usage()),
                },
                _ => return Err(usage()),
            };
            let text = value.value.clone().into_string().ok_or_else(usage)?;
            let reading = Reading {
                zone: Zone::parse(zone).unwrap_or(Zone::UTC),
                order: DateOrder::default(),
                now: Utc::now().timestamp_micros(),
            };
            let at = reading.timestamptz(&text).map_err(Error::Refused)?;
            let at = DateTime::from_timestamp_micros(at).ok_or_else(|| Error::InvalidDatetime {
                message: format!(
                    "invalid input syntax for type timestamp with time zone: \"{text}\""
                ),
            })?;
            Ok(Version::AsOf(at))
        }
        _ => Err(usage()),
    }
}
