//! One client's conversation: its role, settings, transaction and the statement it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use datafusion::{
    common::ScalarValue,
    execution::SendableRecordBatchStream,
    sql::sqlparser::ast::{self, SetExpr},
};
use rapport_lake::TableName;

use crate::{
    Cancel, Column, CopyFormat, CopyIn, Error, Result, Statement, Warehouse,
    block::Block,
    cancel::Guard,
    change, commit, copy_in,
    copy_options::copy_format,
    define, execute, explain, given_numbers, insert, merge,
    names::{Relation, parts},
    parse,
    pins::Pins,
    plan::{Planned, Scope},
    shown::shown,
    styles::Styles,
    temporary::Temporary,
    view::{View, Views},
};

pub struct Session {
    warehouse: Warehouse,
    role: String,
    settings: BTreeMap<String, String>,
    cancel: Mutex<Cancel>,
    block: Option<Arc<Block>>,
    temporary: Option<Arc<Temporary>>,
    /// Names that stand for what others ask.
    others: Arc<Vec<View>>,
}

/// A statement that has been planned once: its parameters and result are known.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub statement: Statement,
    /// Types of `$1`, `$2`, …
    pub params: Vec<u32>,
    /// `None` for a statement that returns no rows.
    pub columns: Option<Vec<Column>>,
    /// Types that the client declared.
    declared: Vec<Option<u32>>,
    plan: Option<Arc<Kept>>,
}

impl Prepared {
    pub fn is_copy(&self) -> bool {
        matches!(self.statement.ast, ast::Statement::Copy { .. })
    }
}

/// A plan, and what it was planned on: it is used again while that holds.
#[derive(Debug)]
struct Kept {
    planned: Planned,
    pins: Arc<Pins>,
    settings: BTreeMap<String, String>,
    role: String,
    views: Arc<Views>,
    /// Of the privileges.
    generation: u64,
    since: Instant,
}

/// A prepared plan is made anew after so long, because privileges are looked at when it is made, and another process
/// may change them.
const PLAN_KEPT: Duration = Duration::from_secs(5);

/// Something PostgreSQL would say beside the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl Notice {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            severity: "NOTICE",
            code: code.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }
}

pub enum Outcome {
    /// Dropping the stream ends the work.
    Rows {
        columns: Vec<Column>,
        stream: SendableRecordBatchStream,
        tag: &'static str,
    },
    Done {
        tag: String,
        notices: Vec<Notice>,
    },
    CopyIn(Box<CopyIn>),
    CopyOut {
        columns: Vec<Column>,
        stream: SendableRecordBatchStream,
        format: CopyFormat,
    },
}

impl Outcome {
    /// Nothing of it is still to be computed: what is to be sent is what a statement that writes returns.
    pub fn is_done(&self) -> bool {
        match self {
            Outcome::Rows { tag, .. } => ["INSERT", "UPDATE", "DELETE"].contains(tag),
            Outcome::Done { .. } => true,
            Outcome::CopyIn(_) | Outcome::CopyOut { .. } => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    Idle,
    InBlock,
}

impl Session {
    pub(crate) fn new(warehouse: Warehouse, role: &str) -> Self {
        Self {
            warehouse,
            role: role.to_owned(),
            settings: BTreeMap::new(),
            cancel: Mutex::default(),
            block: None,
            temporary: None,
            others: Arc::default(),
        }
    }

    /// From now on a name stands for a query as `role` would ask it: with its rights, its name and its search path, and
    /// without this session's temporary tables.
    pub fn read_as(&mut self, name: &str, role: &str, path: Option<&str>, query: &str) {
        let mut others: Vec<View> = self.others.iter().cloned().collect();
        others.retain(|other| other.name.table != name);
        others.push(View {
            name: TableName::new("", name),
            query: query.to_owned(),
            columns: vec![],
            answers: vec![],
            search_path: search_path(path),
            owner: role.to_owned(),
        });
        self.others = Arc::new(others);
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// Splits and parses a client's text; an empty text is no statement.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        parse::parse(sql, self.warehouse.limits())
    }

    /// Plans without running. `param_types` are the types the client declared; `None` is "infer it".
    pub async fn prepare(
        &self,
        statement: &Statement,
        param_types: &[Option<u32>],
    ) -> Result<Prepared> {
        let guard = self.guard()?;
        let pins = self.pins();
        let scope = self.scope();
        let mut prepared = Prepared {
            statement: statement.clone(),
            params: vec![],
            columns: None,
            declared: param_types.to_vec(),
            plan: None,
        };
        let with = statement.with.as_ref();
        match &statement.ast {
            ast::Statement::Query(query) if into(query).is_none() => {
                let planned = self.plan(&scope, &pins, query, param_types, &guard).await?;
                let planned = shown(planned)?;
                prepared.params.clone_from(&planned.params);
                prepared.columns = Some(planned.columns.clone());
                let (settings, role) = (self.settings.clone(), self.role.clone());
                let (views, since) = (self.warehouse.views(), Instant::now());
                let generation = self.warehouse.privileges().generation();
                prepared.plan = Some(Arc::new(Kept {
                    planned,
                    pins,
                    settings,
                    role,
                    views,
                    generation,
                    since,
                }));
            }
            ast::Statement::Explain {
                options,
                statement,
                analyze,
                ..
            } => {
                prepared.columns = Some(vec![explain::column(options.as_deref(), *analyze)?]);
                if let ast::Statement::Query(query) = statement.as_ref() {
                    let planned = self.plan(&scope, &pins, query, param_types, &guard).await?;
                    prepared.params = planned.params;
                }
            }
            ast::Statement::Insert(insert) => {
                let planned = insert::prepare(&scope, &pins, insert, param_types, &guard).await?;
                prepared.params = planned.params;
                prepared.columns = insert.returning.as_ref().map(|_| planned.columns);
            }
            ast::Statement::Update(ast::Update { returning, .. })
            | ast::Statement::Delete(ast::Delete { returning, .. }) => {
                let scope = scope.behind(&pins, with, param_types).await?;
                let ast = &statement.ast;
                let planned = change::prepare(&scope, &pins, ast, param_types, &guard).await?;
                prepared.params = planned.params;
                prepared.columns = returning.as_ref().map(|_| planned.columns);
            }
            ast::Statement::Merge(_) => {
                let scope = scope.behind(&pins, with, param_types).await?;
                let ast = &statement.ast;
                let planned = merge::prepare(&scope, &pins, ast, param_types, &guard).await?;
                prepared.params = planned.params;
            }
            // What is wrong with the options is wrong now.
            ast::Statement::Copy { .. } => drop(copy_format(statement)?),
            _ => {}
        }
        Ok(prepared)
    }

    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        params: Vec<ScalarValue>,
    ) -> Result<Outcome> {
        let outcome = self.run(prepared, params).await?;
        if self.block.is_none() && outcome.is_done() {
            commit::empty_temporary(&self.scope()).await?;
        }
        Ok(outcome)
    }

    async fn run(&mut self, prepared: &Prepared, params: Vec<ScalarValue>) -> Result<Outcome> {
        let guard = self.guard()?;
        let scope = self.scope();
        let statement = &prepared.statement;
        let with = statement.with.as_ref();
        match &statement.ast {
            ast::Statement::Query(query) => match into(query) {
                Some(target) => {
                    let (query, target) = (query.clone(), target.clone());
                    self.in_block(async |session| {
                        define::select_into(session, &query, &target, &guard).await
                    })
                    .await
                }
                None => {
                    let with_numbers = given_numbers::put_in(query, &params);
                    let kept = match &with_numbers {
                        Some(_) => None,
                        None => self.kept(prepared).await?,
                    };
                    let fresh;
                    let planned = match kept {
                        Some(kept) => &kept.planned,
                        None => {
                            let pins = self.pins();
                            let (query, types) = match &with_numbers {
                                Some(query) => {
                                    let types = prepared.params.iter().copied().map(Some);
                                    (query, types.collect())
                                }
                                None => (&**query, prepared.declared.clone()),
                            };
                            fresh = self
                                .plan(&scope, &pins, query, &types, &guard)
                                .await
                                .and_then(shown)?;
                            &fresh
                        }
                    };
                    let stream = execute::rows(&scope, planned, params, &guard).await?;
                    let mut columns = planned.columns.clone();
                    if with_numbers.is_some() {
                        // Those of casts are others.
                        let described = prepared.columns.iter().flatten();
                        for (column, described) in columns.iter_mut().zip(described) {
                            column.name.clone_from(&described.name);
                        }
                    }
                    Ok(Outcome::Rows {
                        columns,
                        stream,
                        tag: "SELECT",
                    })
                }
            },
            ast::Statement::Explain { .. } => {
                let pins = self.pins();
                let declared = &prepared.declared;
                explain::explain(&scope, &pins, &statement.ast, declared, params, &guard).await
            }
            ast::Statement::Insert(insert) => {
                let pins = self.pins();
                let (declared, described) = (&prepared.declared, prepared.columns.as_deref());
                insert::insert(&scope, &pins, insert, declared, params, described, &guard).await
            }
            ast::Statement::Copy { source, to, .. } => {
                let pins = self.pins();
                let format = copy_format(statement)?;
                if *to {
                    copy_in::check_source(&scope, &pins, source).await?;
                    let query = copy_in::source_query(&scope, source)?;
                    let planned = self.plan(&scope, &pins, &query, &[], &guard).await?;
                    let planned = shown(planned)?;
                    let stream = execute::rows(&scope, &planned, vec![], &guard).await?;
                    return Ok(Outcome::CopyOut {
                        columns: planned.columns,
                        stream,
                        format,
                    });
                }
                copy_in::begin(&scope, &pins, source, format, &guard).await
            }
            ast::Statement::Update(_) | ast::Statement::Delete(_) => {
                let (pins, declared) = (self.pins(), &prepared.declared);
                let scope = scope.behind(&pins, with, declared).await?;
                let (asked, described) = ((with, &statement.ast), prepared.columns.as_deref());
                change::run(&scope, &pins, asked, declared, params, described, &guard).await
            }
            ast::Statement::Merge(_) => {
                let (pins, declared) = (self.pins(), &prepared.declared);
                let scope = scope.behind(&pins, with, declared).await?;
                let asked = (with, &statement.ast);
                merge::merge(&scope, &pins, asked, declared, params, &guard).await
            }
            ast::Statement::Truncate(truncate) => {
                change::truncate(&scope, &self.pins(), truncate, &guard).await
            }
            other if define::is_definition(other) => {
                self.in_block(async |session| define::define(session, statement, &guard).await)
                    .await
            }
            ast::Statement::CreateSequence { .. } => Err(Error::not_supported(
                "CREATE SEQUENCE is not supported",
                define::NO_COUNTER,
            )),
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(2).collect();
                Err(Error::not_supported(
                    format!("{} is not supported", words.join(" ").to_uppercase()),
                    "Rapport reads with SELECT, VALUES and EXPLAIN and writes with INSERT, COPY, UPDATE, DELETE, \
                     MERGE, TRUNCATE, CREATE, ALTER, DROP and COMMENT.",
                ))
            }
        }
    }

    /// Starts a transaction block: from its first statement on, all statements see one state of the lake.
    pub fn begin(&mut self) -> Result<()> {
        if self.block.is_some() {
            let message = "there is already a transaction in progress".to_owned();
            return Err(Error::ActiveTransaction { message });
        }
        self.block = Some(Block::new(Pins::of_block()));
        Ok(())
    }

    /// Runs what may have several parts, which become visible together: at the end of the open block, or now.
    async fn in_block(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<Outcome> {
        if self.block.is_some() {
            return work(self).await;
        }
        self.block = Some(Block::new(Pins::default()));
        match work(self).await {
            Ok(outcome) => {
                self.commit().await?;
                Ok(outcome)
            }
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    /// Makes the block's writes visible.
    pub async fn commit(&mut self) -> Result<()> {
        let Some(block) = self.block.take() else {
            return Ok(());
        };
        let scope = Scope {
            block: Some(block.clone()),
            ..self.scope()
        };
        commit::commit(&scope, block.take()).await
    }

    /// The open block is to land only while `token` fences the table off for `app_id`, see `rapport_lake::Draft::fenced`.
    pub async fn fence(&mut self, table: &TableName, app_id: &str, token: i64) -> Result<()> {
        let Some(block) = &self.block else {
            return Err(Error::not_supported(
                "only a transaction block can be fenced",
                "Begin one first.",
            ));
        };
        let scope = self.scope();
        let base = scope.base(&block.pins, table).await?;
        let draft = scope.draft(block, &base).await?;
        block.put(&scope, draft.fenced(app_id, token));
        Ok(())
    }

    pub async fn rollback(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        for draft in block.take().drafts.into_values() {
            draft.discard().await;
        }
    }

    /// Remembers where the block is.
    pub fn save(&self) {
        if let Some(block) = &self.block {
            block.save();
        }
    }

    /// Goes back to a savepoint, counted from the block's oldest; it stays.
    pub fn roll_back_to(&self, at: usize) {
        if let Some(block) = &self.block {
            block.roll_back_to(&self.scope(), at);
        }
    }

    /// Forgets a savepoint, counted from the block's oldest, and those after it.
    pub fn release(&self, at: usize) {
        if let Some(block) = &self.block {
            block.release(at);
        }
    }

    /// Drops the session's temporary tables.
    pub fn discard_temporary(&mut self) {
        self.temporary = None;
    }

    /// The session's temporary tables; there are some from now on.
    pub(crate) async fn temporary(&mut self) -> Result<Arc<Temporary>> {
        if let Some(temporary) = &self.temporary {
            return Ok(temporary.clone());
        }
        let temporary = Arc::new(Temporary::open(&self.warehouse, &self.role).await?);
        self.temporary = Some(temporary.clone());
        Ok(temporary)
    }

    pub(crate) fn block(&self) -> Option<Arc<Block>> {
        self.block.clone()
    }

    /// The session's settings as the catalogue is to see them: with the schema of its temporary tables.
    pub(crate) fn catalogue_settings(&self) -> BTreeMap<String, String> {
        self.with_temporary(self.settings.clone())
    }

    /// Settings with the schema of the session's temporary tables on the search path.
    pub fn with_temporary(
        &self,
        mut settings: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        if let Some(temporary) = &self.temporary {
            let path = settings
                .entry("search_path".to_owned())
                .or_insert_with(|| "\"$user\", public".to_owned());
            if !path.is_empty() {
                path.push_str(", ");
            }
            path.push_str(temporary.schema());
        }
        settings
    }

    /// The definitions that the open block has made and nobody else sees, each with its settings.
    pub fn open_definitions(&self) -> Vec<(BTreeMap<String, String>, String)> {
        let definitions = self.block.as_ref().map(|block| block.definitions());
        let definitions = definitions.into_iter().flatten();
        definitions
            .map(|definition| (definition.settings, definition.sql))
            .collect()
    }

    /// When the open block began, in microseconds since 1970.
    pub fn began(&self) -> Option<i64> {
        self.block.as_ref().map(|block| block.began)
    }

    pub fn transaction(&self) -> TransactionStatus {
        match self.block {
            Some(_) => TransactionStatus::InBlock,
            None => TransactionStatus::Idle,
        }
    }

    /// Names in lower case. What a setting may hold has been judged by PostgreSQL before.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.settings.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    pub fn reset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Ends what is asked of the session from now on. Each call makes a new one, and the one before has no effect on
    /// statements that begin later; so ask before each statement.
    pub fn cancel_token(&self) -> Cancel {
        let cancel = Cancel::default();
        *self.cancel.lock().expect("never held over a panic") = cancel.clone();
        cancel
    }

    /// True if the name is a table or a view of the lake.
    pub async fn knows_relation(&self, name: &ast::ObjectName) -> Result<bool> {
        let scope = self.scope();
        let candidates = scope.candidates(&parts(name)?)?;
        Ok(scope.find(&self.pins(), &candidates, true).await?.is_some())
    }

    pub(crate) fn scope(&self) -> Scope {
        let zone = self
            .setting("timezone")
            .or_else(|| self.setting("TimeZone"));
        Scope {
            warehouse: self.warehouse.clone(),
            role: self.role.clone(),
            invoker: self.role.clone(),
            settings: Arc::new(self.settings.clone()),
            search_path: search_path(self.setting("search_path")),
            time_zone: zone.unwrap_or("UTC").to_owned(),
            styles: Styles::of(&self.settings),
            block: self.block.clone(),
            temporary: self.temporary.clone(),
            others: self.others.clone(),
            named: vec![],
            depth: 0,
        }
    }

    pub(crate) fn pins(&self) -> Arc<Pins> {
        match &self.block {
            Some(block) => block.pins.clone(),
            None => Arc::default(),
        }
    }

    fn guard(&self) -> Result<Guard> {
        let cancel = self.cancel.lock().expect("never held over a panic").clone();
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let timeout = match self.setting("statement_timeout") {
            Some(text) => duration(text),
            None => self.warehouse.limits().statement_timeout,
        };
        Ok(Guard::new(
            cancel,
            timeout.map(|timeout| Instant::now() + timeout),
        ))
    }

    pub(crate) async fn plan(
        &self,
        scope: &Scope,
        pins: &Arc<Pins>,
        query: &ast::Query,
        declared: &[Option<u32>],
        guard: &Guard,
    ) -> Result<Planned> {
        let (scope, pins, query, declared) = (
            scope.clone(),
            pins.clone(),
            query.clone(),
            declared.to_vec(),
        );
        let work = async move { scope.plan_query(&pins, &query, &declared).await };
        self.warehouse.plan_within_budget(guard, work).await
    }

    /// The prepared plan, if planning again would give the same.
    async fn kept<'a>(&self, prepared: &'a Prepared) -> Result<Option<&'a Kept>> {
        let Some(kept) = prepared.plan.as_deref() else {
            return Ok(None);
        };
        let same_session = kept.settings == self.settings && kept.role == self.role;
        let same_views = Arc::ptr_eq(&kept.views, &self.warehouse.views());
        let same_privileges = kept.generation == self.warehouse.privileges().generation();
        if !same_session || !same_views || !same_privileges || kept.since.elapsed() > PLAN_KEPT {
            return Ok(None);
        }
        if let Some(block) = &self.block {
            let same = Arc::ptr_eq(&kept.pins, &block.pins);
            return Ok((same && block.is_untouched()).then_some(kept));
        }
        let now = Pins::default();
        let scope = self.scope();
        for (name, pinned) in kept.pins.tables() {
            match now.table(&scope, &name).await? {
                Some(table) if Arc::ptr_eq(&table, &pinned) => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(kept))
    }
}

/// The target of `SELECT … INTO target`.
fn into(query: &ast::Query) -> Option<&ast::SelectInto> {
    match &*query.body {
        SetExpr::Select(select) => select.into.as_ref(),
        _ => None,
    }
}

/// PostgreSQL's units; a bare number is milliseconds and 0 is "no limit".
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim().trim_matches('\'').to_ascii_lowercase();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match text[digits..].trim() {
        "" | "ms" => number,
        "s" => number.saturating_mul(1_000),
        "min" => number.saturating_mul(60_000),
        "h" => number.saturating_mul(3_600_000),
        "d" => number.saturating_mul(86_400_000),
        _ => return None,
    };
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// Schemas that a bare name is looked for in. There is no schema of the user's own name unless somebody makes one.
fn search_path(setting: Option<&str>) -> Vec<String> {
    let Some(setting) = setting else {
        return vec!["public".to_owned()];
    };
    // A comma in quotes belongs to the name.
    let mut is_quoted = false;
    let names = setting.split(|c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    names
        .map(|name| name.trim().trim_matches(['"', '\'']))
        .filter(|name| !name.is_empty() && *name != "$user" && *name != "pg_catalog")
        .map(str::to_owned)
        .collect()
}

impl Scope {
    /// A table that a statement writes to.
    pub(crate) async fn target(&self, pins: &Pins, name: &ast::ObjectName) -> Result<TableName> {
        let parts = parts(name)?;
        let candidates = self.candidates(&parts)?;
        match self.find(pins, &candidates, true).await? {
            Some((name, Relation::Table(_))) => Ok(name),
            Some((name, Relation::View(_))) => Err(Error::WrongObjectType {
                message: format!("\"{}\" is a view", name.table),
                hint: Some("Write to the tables that it reads.".to_owned()),
            }),
            None => Err(Error::UndefinedTable {
                name: parts.join("."),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_postgres_reads_it() {
        for (text, millis) in [
            ("250", Some(250)),
            ("5s", Some(5_000)),
            ("2min", Some(120_000)),
            ("0", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_search_path_is_a_list_of_schemas() {
        assert_eq!(search_path(None), ["public"]);
        assert_eq!(
            search_path(Some("\"$user\", \"My Schema\", public")),
            ["My Schema", "public"]
        );
        assert_eq!(
            search_path(Some("\"public, pg_catalog\"")),
            ["public, pg_catalog"]
        );
    }
}
