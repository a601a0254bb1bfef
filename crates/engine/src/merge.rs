//! `MERGE`: rows of the target that meet a row of the source are changed or go, rows of the source that meet none are
//! added. All of it is one rewrite of the files that hold a row to change, in one commit.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    common::ScalarValue,
    datasource::provider_as_source,
    sql::sqlparser::ast::{self, Expr, MergeAction, MergeClauseKind, MergeInsertKind},
};
use rapport_catalog_lake::LakeTable;
use rapport_lake::{DataFile, Snapshot, TableName};
use rapport_udf_postgres::refusal::Refusal;

use crate::{
    Error, Outcome, Result,
    cancel::Guard,
    change::{
        FILES, ROW, Work, all_assigned, changed, check_columns, check_values, may_read, our_query,
        ours, turn, typed_value,
    },
    computed_once::{self, check_stable},
    execute,
    names::folded,
    pins::Pins,
    plan::{Planned, Scope},
    privilege::{Privilege, quoted},
    target::{self, Target},
    times::read_texts,
    tree::asks,
};

/// What the statements that we make call all files of the target.
const ALL: &str = "\u{1}all";

/// A MERGE, taken apart.
struct Merge {
    name: TableName,
    /// What the statement calls the target.
    alias: String,
    source: String,
    on: String,
    matched: Vec<When<Matched>>,
    unmatched: Vec<When<Unmatched>>,
}

/// One WHEN: the first whose condition holds decides what becomes of a row.
struct When<T> {
    condition: Option<String>,
    action: T,
}

enum Matched {
    /// New values by column.
    Update(BTreeMap<String, Expr>),
    Delete,
    Nothing,
}

enum Unmatched {
    /// Values by column.
    Insert(Vec<(String, Expr)>),
    Nothing,
}

pub(crate) async fn prepare(
    scope: &Scope,
    pins: &Arc<Pins>,
    statement: &ast::Statement,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let merge = read(scope, pins, statement).await?;
    let base = scope.base(pins, &merge.name).await?;
    check_join(scope, pins, &merge, &base, declared, guard).await?;
    check_assigned(scope, pins, &merge, &base, declared).await?;
    plan_rows(scope, pins, &merge, &base, None, declared, guard).await
}

/// What is wrong with the condition of the join is found where both tables are seen.
async fn check_join(
    scope: &Scope,
    pins: &Arc<Pins>,
    merge: &Merge,
    base: &Arc<Snapshot>,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<()> {
    let query = our_query(scope, &format!("SELECT 1 {}", merge.joined()))?;
    let (inner, pins) = (scope.clone(), pins.clone());
    let (declared, base) = (declared.to_vec(), base.clone());
    let work = async move {
        let url = inner.store_url(base.name());
        let files = LakeTable::of_files(base, url, vec![]);
        let files = read_texts(provider_as_source(Arc::new(files)))?;
        inner
            .plan_query_over(&pins, &query, &declared, &[(FILES, files)])
            .await
    };
    scope.warehouse.plan_within_budget(guard, work).await?;
    Ok(())
}

/// Of types that the columns take.
async fn check_assigned(
    scope: &Scope,
    pins: &Pins,
    merge: &Merge,
    base: &Arc<Snapshot>,
    declared: &[Option<u32>],
) -> Result<()> {
    let joined = merge.joined();
    for when in &merge.matched {
        if let Matched::Update(values) = &when.action {
            check_values(scope, pins, base, values.iter(), &joined, declared).await?;
        }
    }
    let source = format!("FROM {}", merge.source);
    for when in &merge.unmatched {
        if let Unmatched::Insert(values) = &when.action {
            let values = values.iter().map(|(column, value)| (column, value));
            check_values(scope, pins, base, values, &source, declared).await?;
        }
    }
    Ok(())
}

pub(crate) async fn merge(
    scope: &Scope,
    pins: &Arc<Pins>,
    (with, statement): (Option<&ast::With>, &ast::Statement),
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
    guard: &Guard,
) -> Result<Outcome> {
    let merge = read(scope, pins, statement).await?;
    let _turn = turn(scope, &merge.name, guard).await?;
    let base = scope.base(pins, &merge.name).await?;
    // Planned over everything first: what is wrong with the statement is wrong for an empty table too.
    check_join(scope, pins, &merge, &base, declared, guard).await?;
    check_assigned(scope, pins, &merge, &base, declared).await?;
    let planned = plan_rows(scope, pins, &merge, &base, None, declared, guard).await?;
    let types: Vec<Option<u32>> = planned.params.iter().copied().map(Some).collect();
    let known = (types.as_slice(), params.as_slice());
    let computed = computed_once::compute(scope, pins, with, statement, known, guard).await?;
    let (scope, merge) = match &computed {
        Some((scope, statement)) => (scope, read(scope, pins, statement).await?),
        None => (scope, merge),
    };
    check(
        scope,
        computed
            .as_ref()
            .map_or(statement, |(_, statement)| statement),
    )?;
    let work = Work {
        scope,
        pins,
        base: &base,
        types: &types,
        params: &params,
        guard,
    };
    let mut affected = vec![];
    let (mut n_changed, mut expected) = (0, 0);
    if let Some(counted) = merge.counted() {
        let counted = our_query(scope, &counted)?;
        for file in base.files() {
            let [changes, rows, deletes] = work.count(&counted, vec![file.clone()]).await?;
            if changes > rows {
                return Err(Error::Refused(
                    Refusal::new("21000", "MERGE command cannot affect row a second time")
                        .with_hint(
                            "Ensure that not more than one source row matches any one target row.",
                        ),
                ));
            }
            if changes > 0 {
                affected.push(file.clone());
                expected += file.rows - deletes;
                n_changed += changes;
            }
        }
    }
    let mut n_added = 0;
    if let Some(added) = merge.added_count() {
        let added = our_query(scope, &added)?;
        [n_added] = work.count(&added, base.files().to_vec()).await?;
    }
    let count = n_changed + n_added;
    if count > 0 {
        let files = Some(affected.clone());
        let planned = plan_rows(scope, pins, &merge, &base, files, &types, guard).await?;
        let context = execute::task_context(&scope.warehouse, &scope.state(), guard);
        let expected = expected + n_added;
        work.rewrite(&planned, (context, None), affected, expected, "MERGE")
            .await?;
        if scope.block.is_none() {
            scope.warehouse.tell_rows(&merge.name).await;
        }
    }
    Ok(Outcome::Done {
        tag: format!("MERGE {count}"),
        notices: vec![],
    })
}

async fn read(scope: &Scope, pins: &Pins, statement: &ast::Statement) -> Result<Merge> {
    let ast::Statement::Merge(merge) = statement else {
        return Err(Error::not_supported("this form of the statement", ""));
    };
    if merge.output.is_some() {
        return Err(Error::not_supported("MERGE … RETURNING", ""));
    }
    let table = ast::TableWithJoins {
        relation: merge.table.clone(),
        joins: vec![],
    };
    let (name, alias) = changed(scope, pins, &table, "MERGE").await?;
    let base = scope.base(pins, &name).await?;
    let columns: Vec<String> = base
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    check_conditions(merge)?;
    let (mut matched, mut unmatched) = (vec![], vec![]);
    let mut looked_at = vec![merge.on.as_ref()];
    for clause in &merge.clauses {
        let condition = clause.predicate.as_ref().map(ToString::to_string);
        looked_at.extend(&clause.predicate);
        match (clause.clause_kind, &clause.action) {
            (MergeClauseKind::Matched, MergeAction::Update(update)) => {
                let values = all_assigned(&update.assignments, &base)?;
                let action = if values.contains_key(NOTHING) {
                    Matched::Nothing
                } else {
                    may_set(scope, &base, Privilege::Update, values.keys()).await?;
                    Matched::Update(values)
                };
                matched.push(When { condition, action });
            }
            (MergeClauseKind::Matched, MergeAction::Delete { .. }) => {
                scope.require(&name, Privilege::Delete).await?;
                matched.push(When {
                    condition,
                    action: Matched::Delete,
                });
            }
            (MergeClauseKind::NotMatched, MergeAction::Insert(insert)) => {
                let action = unmatched_action(&columns, insert)?;
                if let Unmatched::Insert(values) = &action {
                    let columns = values.iter().map(|(column, _)| column);
                    may_set(scope, &base, Privilege::Insert, columns).await?;
                }
                unmatched.push(When { condition, action });
            }
            (kind, _) => {
                return Err(Error::not_supported(
                    format!("this action of WHEN {kind} is not supported"),
                    "WHEN MATCHED takes UPDATE, DELETE and DO NOTHING, WHEN NOT MATCHED takes INSERT and DO NOTHING.",
                ));
            }
        }
    }
    let is_reached = |before: &[Option<&String>]| {
        let others = before.len().saturating_sub(1);
        before.iter().take(others).all(Option::is_some)
    };
    let conditions: Vec<_> = matched.iter().map(|when| when.condition.as_ref()).collect();
    let others: Vec<_> = unmatched
        .iter()
        .map(|when| when.condition.as_ref())
        .collect();
    if !is_reached(&conditions) || !is_reached(&others) {
        return Err(Error::Syntax {
            message: "unreachable WHEN clause specified after unconditional WHEN clause".to_owned(),
            position: None,
        });
    }
    for when in &matched {
        if let Matched::Update(values) = &when.action {
            looked_at.extend(values.values());
        }
    }
    may_read(scope, pins, &name, &alias, looked_at.into_iter()).await?;
    Ok(Merge {
        name,
        alias,
        source: merge.source.to_string(),
        on: merge.on.to_string(),
        matched,
        unmatched,
    })
}

fn check_conditions(merge: &ast::Merge) -> Result<()> {
    let mut conditions = merge
        .clauses
        .iter()
        .filter_map(|clause| clause.predicate.as_ref());
    match conditions.any(asks) {
        false => Ok(()),
        true => Err(Error::not_supported(
            "a sub-query in a condition of MERGE is not supported",
            "Join what it asks for in the source: USING (SELECT … FROM …) AS s.",
        )),
    }
}

/// The source and the conditions are the same each time that they are looked at.
fn check(scope: &Scope, statement: &ast::Statement) -> Result<()> {
    let ast::Statement::Merge(merge) = statement else {
        return Ok(());
    };
    for clause in &merge.clauses {
        check_stable(scope, &clause.predicate, "a MERGE")?;
    }
    check_stable(scope, &merge.source, "a MERGE")?;
    check_stable(scope, &merge.on, "a MERGE")
}

/// In the place of DO NOTHING, which the parser does not know: an action on a column of this name.
pub(crate) const NOTHING: &str = "\u{1}nothing";

fn unmatched_action(columns: &[String], insert: &ast::MergeInsertExpr) -> Result<Unmatched> {
    let MergeInsertKind::Values(values) = &insert.kind else {
        return Err(Error::not_supported(
            "INSERT ROW is not supported",
            "Write VALUES (…).",
        ));
    };
    let [row] = values.rows.as_slice() else {
        return Err(Error::Syntax {
            message: "MERGE inserts one row of VALUES".to_owned(),
            position: None,
        });
    };
    let named: Vec<String> = insert
        .columns
        .iter()
        .filter_map(|column| column.0.last().and_then(|part| part.as_ident()).map(folded))
        .collect();
    if named == [NOTHING] {
        return Ok(Unmatched::Nothing);
    }
    let given = if named.is_empty() { columns } else { &named };
    if row.content.len() > given.len() {
        return Err(Error::Syntax {
            message: "INSERT has more expressions than target columns".to_owned(),
            position: None,
        });
    }
    if row.content.len() < named.len() {
        return Err(Error::Syntax {
            message: "INSERT has more target columns than expressions".to_owned(),
            position: None,
        });
    }
    let values = given.iter().cloned().zip(row.content.iter().cloned());
    Ok(Unmatched::Insert(values.collect()))
}

/// The columns are there, and may be set.
async fn may_set(
    scope: &Scope,
    base: &Snapshot,
    privilege: Privilege,
    columns: impl Iterator<Item = &String> + Clone,
) -> Result<()> {
    check_columns(base, columns.clone())?;
    let columns: Vec<String> = columns.cloned().collect();
    scope
        .require_columns(base.name(), privilege, &columns)
        .await
}

/// The number of the first WHEN whose condition holds, from 0; NULL if there is none.
fn chosen<T>(whens: &[When<T>]) -> String {
    let mut branches = String::new();
    for (at, when) in whens.iter().enumerate() {
        let condition = when.condition.as_deref().unwrap_or("TRUE");
        branches += &format!(" WHEN ({condition}) THEN {at}");
    }
    format!("CASE{branches} END")
}

/// Which of them do what is asked for, as a list of numbers.
fn numbers<T>(whens: &[When<T>], is_wanted: impl Fn(&T) -> bool) -> Option<String> {
    let wanted = whens
        .iter()
        .enumerate()
        .filter(|(_, when)| is_wanted(&when.action));
    let wanted: Vec<String> = wanted.map(|(at, _)| at.to_string()).collect();
    (!wanted.is_empty()).then(|| wanted.join(", "))
}

impl Merge {
    /// `FROM files AS alias JOIN source ON …`, of numbered rows.
    fn joined(&self) -> String {
        format!(
            "FROM (SELECT *, row_number() OVER () AS {row} FROM {files}) AS {alias} JOIN {source} ON {on}",
            row = quoted(ROW),
            files = quoted(FILES),
            alias = quoted(&self.alias),
            source = self.source,
            on = self.on,
        )
    }

    fn acting(&self) -> Option<String> {
        numbers(&self.matched, |action| !matches!(action, Matched::Nothing))
    }

    /// How often rows of the files are changed, how many of them, and how many go.
    fn counted(&self) -> Option<String> {
        let acting = self.acting()?;
        let deletes = numbers(&self.matched, |action| matches!(action, Matched::Delete));
        let deletes = match deletes {
            Some(deletes) => format!("count(*) FILTER (WHERE chosen IN ({deletes}))"),
            None => "0::bigint".to_owned(),
        };
        Some(format!(
            "SELECT count(*), count(DISTINCT row), {deletes} \
             FROM (SELECT {alias}.{row} AS row, {chosen} AS chosen {joined}) AS met WHERE chosen IN ({acting})",
            alias = quoted(&self.alias),
            row = quoted(ROW),
            chosen = chosen(&self.matched),
            joined = self.joined(),
        ))
    }

    /// `FROM source WHERE …`, of the rows that meet none.
    fn unmet(&self, files: &str) -> String {
        format!(
            "FROM {source} WHERE NOT EXISTS (SELECT 1 FROM {files} AS {alias} WHERE {on})",
            source = self.source,
            files = quoted(files),
            alias = quoted(&self.alias),
            on = self.on,
        )
    }

    fn added_count(&self) -> Option<String> {
        let inserts = numbers(&self.unmatched, |action| {
            matches!(action, Unmatched::Insert(_))
        })?;
        Some(format!(
            "SELECT count(*) {} AND {} IN ({inserts})",
            self.unmet(FILES),
            chosen(&self.unmatched),
        ))
    }

    /// The rows of the files after the change, and those that are added.
    fn rows(&self, base: &Snapshot) -> Result<String> {
        let schema = base.schema();
        let alias = quoted(&self.alias);
        let fields = || schema.fields().iter();
        let old: Vec<String> = fields()
            .map(|field| format!("{alias}.{}", quoted(field.name())))
            .collect();
        let mut parts = vec![];
        if let Some(updates) = numbers(&self.matched, |action| matches!(action, Matched::Update(_)))
        {
            let mut new = vec![];
            for (field, old) in fields().zip(&old) {
                let mut branches = String::new();
                for (at, when) in self.matched.iter().enumerate() {
                    if let Matched::Update(values) = &when.action
                        && let Some(value) = values.get(field.name())
                    {
                        branches +=
                            &format!(" WHEN {at} THEN {}", typed_value(base, field, value)?);
                    }
                }
                new.push(match branches.is_empty() {
                    true => old.clone(),
                    false => format!("CASE {}{branches} ELSE {old} END", chosen(&self.matched)),
                });
            }
            parts.push(format!(
                "SELECT {} {} WHERE {} IN ({updates})",
                new.join(", "),
                self.joined(),
                chosen(&self.matched)
            ));
        }
        let unchanged = match self.acting() {
            Some(acting) => format!(
                "WHERE NOT EXISTS (SELECT 1 FROM {} WHERE ({}) AND {} IN ({acting}))",
                self.source,
                self.on,
                chosen(&self.matched)
            ),
            None => String::new(),
        };
        parts.push(format!(
            "SELECT {} FROM {} AS {alias} {unchanged}",
            old.join(", "),
            quoted(FILES)
        ));
        let default = Expr::Identifier(ast::Ident::new("default"));
        for (at, when) in self.unmatched.iter().enumerate() {
            if let Unmatched::Insert(values) = &when.action {
                let new = fields().map(|field| {
                    let value = values.iter().find(|(column, _)| column == field.name());
                    typed_value(base, field, value.map_or(&default, |(_, value)| value))
                });
                parts.push(format!(
                    "SELECT {} {} AND {} = {at}",
                    new.collect::<Result<Vec<_>>>()?.join(", "),
                    self.unmet(ALL),
                    chosen(&self.unmatched)
                ));
            }
        }
        Ok(parts.join(" UNION ALL "))
    }
}

/// With `files` in the place of those that hold a row to change; `None`: all of them.
async fn plan_rows(
    scope: &Scope,
    pins: &Arc<Pins>,
    merge: &Merge,
    base: &Arc<Snapshot>,
    files: Option<Vec<DataFile>>,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let sql = format!("INSERT INTO {} {}", quoted(target::NAME), merge.rows(base)?);
    let ast::Statement::Insert(insert) = ours(scope, &sql)? else {
        return Err(Error::not_supported("this form of the statement", ""));
    };
    let (inner, pins) = (scope.clone(), pins.clone());
    let (declared, base) = (declared.to_vec(), base.clone());
    let work = async move {
        let target = Target::source(&base, &[], Default::default());
        let url = inner.store_url(base.name());
        let all = base.files().to_vec();
        let source = |files| {
            let files = LakeTable::of_files(base.clone(), url.clone(), files);
            read_texts(provider_as_source(Arc::new(files)))
        };
        let private = [
            (target::NAME, target),
            (FILES, source(files.unwrap_or_else(|| all.clone()))?),
            (ALL, source(all)?),
        ];
        inner.plan_insert(&pins, &insert, &declared, &private).await
    };
    scope.warehouse.plan_within_budget(guard, work).await
}
