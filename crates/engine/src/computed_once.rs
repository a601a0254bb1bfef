//! What an UPDATE, a DELETE or a MERGE asks for beside its table. Such a statement looks at its files several times, so what
//! may answer otherwise each time (LIMIT among equals, a window, `random()`) is computed once, before.

use std::{ops::ControlFlow, sync::Arc};

use datafusion::{
    common::ScalarValue,
    datasource::{MemTable, ViewTable, provider_as_source},
    execution::memory_pool::{MemoryConsumer, MemoryReservation},
    logical_expr::{TableSource, Volatility},
    physical_plan::execute_stream,
    sql::sqlparser::ast::{
        Cte, Distinct, Expr, Query, Select, Statement, Visit, VisitMut, Visitor, VisitorMut, With,
        visit_expressions,
    },
};
use futures::TryStreamExt;

use crate::{
    Error, Result,
    cancel::Guard,
    change::our_query,
    execute,
    names::folded,
    pins::Pins,
    plan::{Planned, Scope},
    privilege::quoted,
    syntax::plain_name,
};

/// Rows that a statement finds by a name, where others would find a table.
#[derive(Clone)]
pub(crate) struct Named {
    pub name: String,
    pub source: Arc<dyn TableSource>,
    /// Of the rows, where they are held.
    held: Option<Arc<MemoryReservation>>,
}

impl Scope {
    /// As it is seen behind WITH.
    pub(crate) async fn behind(
        &self,
        pins: &Pins,
        with: Option<&With>,
        declared: &[Option<u32>],
    ) -> Result<Scope> {
        let mut scope = self.clone();
        for (name, query) in named(self, with)? {
            let plan = scope.plan_query(pins, &query, declared).await?.plan;
            let source = provider_as_source(Arc::new(ViewTable::new(plan, None)));
            scope.named.push(Named {
                name,
                source,
                held: None,
            });
        }
        Ok(scope)
    }
}

/// The queries of a WITH, each as one that the earlier are beside.
fn named(scope: &Scope, with: Option<&With>) -> Result<Vec<(String, Query)>> {
    let Some(with) = with else { return Ok(vec![]) };
    let one = |cte: &Cte| {
        let name = folded(&cte.alias.name);
        let mut query = our_query(scope, &format!("SELECT * FROM {}", quoted(&name)))?;
        query.with = Some(With {
            cte_tables: vec![cte.clone()],
            ..with.clone()
        });
        Ok((name, *query))
    };
    with.cte_tables.iter().map(one).collect()
}

/// The scope and the statement with what has been computed in the place of its queries; `None` if nothing had to be.
///
/// A query that looks at the changed row stays: it can only be computed beside the row.
pub(crate) async fn compute(
    scope: &Scope,
    pins: &Arc<Pins>,
    with: Option<&With>,
    statement: &Statement,
    (types, params): (&[Option<u32>], &[ScalarValue]),
    guard: &Guard,
) -> Result<Option<(Scope, Statement)>> {
    let (mut scope, mut statement) = (scope.clone(), statement.clone());
    for (name, query) in named(&scope, with)? {
        if chooses(&scope, &query) {
            let planned = scope.plan_query(pins, &query, types).await?;
            let rows = rows(&scope, name.clone(), &planned, params, guard).await?;
            scope.named.retain(|named| named.name != name);
            scope.named.push(rows);
        }
    }
    let mut found = Found {
        scope: scope.clone(),
        inside: 0,
        queries: vec![],
        put: false,
    };
    let _ = VisitMut::visit(&mut statement, &mut found);
    for (at, query) in found.queries.iter_mut().enumerate() {
        let Some(choosing) = query.take() else {
            continue;
        };
        let Ok(planned) = scope.plan_query(pins, &choosing, types).await else {
            continue;
        };
        let name = format!("\u{1}once{at}");
        let columns = planned.columns.iter().map(|column| quoted(&column.name));
        let columns: Vec<String> = columns.collect();
        let computed = format!("SELECT {} FROM {}", columns.join(", "), quoted(&name));
        *query = Some(*our_query(&scope, &computed)?);
        let rows = rows(&scope, name, &planned, params, guard).await?;
        scope.named.push(rows);
    }
    if found.queries.iter().any(Option::is_some) {
        found.put = true;
        found.queries.reverse();
        let _ = VisitMut::visit(&mut statement, &mut found);
    }
    let is_held = |named: &Named| named.held.is_some();
    Ok(scope
        .named
        .iter()
        .any(is_held)
        .then_some((scope, statement)))
}

async fn rows(
    scope: &Scope,
    name: String,
    planned: &Planned,
    params: &[ScalarValue],
    guard: &Guard,
) -> Result<Named> {
    let logical = execute::bind(planned, params.to_vec())?;
    let schema = Arc::new(logical.schema().as_arrow().clone());
    let plan = execute::physical(&scope.warehouse, scope.state(), logical, guard).await?;
    let context = execute::task_context(&scope.warehouse, &scope.state(), guard);
    let held = MemoryConsumer::new("computed once").register(context.memory_pool());
    let work = async move {
        let mut batches = vec![];
        let mut rows = execute_stream(plan, context)?;
        while let Some(batch) = rows.try_next().await? {
            held.try_grow(batch.get_array_memory_size())?;
            batches.push(batch.with_schema(schema.clone())?);
        }
        let table = MemTable::try_new(schema, vec![batches])?;
        Ok(Named {
            name,
            source: provider_as_source(Arc::new(table)),
            held: Some(Arc::new(held)),
        })
    };
    scope.warehouse.cpu().run(guard, work).await
}

/// The outermost queries that choose: first taken out, then put back from the last to the first.
struct Found {
    scope: Scope,
    inside: usize,
    queries: Vec<Option<Query>>,
    put: bool,
}

impl VisitorMut for Found {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.inside == 0 && chooses(&self.scope, query) {
            self.inside = 1;
            match self.put {
                false => self.queries.push(Some(query.clone())),
                true => {
                    if let Some(Some(computed)) = self.queries.pop() {
                        *query = computed;
                    }
                }
            }
        } else if self.inside > 0 {
            self.inside += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

/// Whether it may answer otherwise when it is asked again.
fn chooses(scope: &Scope, query: &Query) -> bool {
    query.visit(&mut Choice).is_break() || volatile_function(scope, query).is_some()
}

/// Refuses what would be looked at several times and may differ, once all that can be has been computed.
pub(crate) fn check_stable(scope: &Scope, part: &impl Visit, what: &str) -> Result<()> {
    match volatile_function(scope, part) {
        None => Ok(()),
        Some(name) => Err(Error::not_supported(
            format!("{what} that chooses its rows by {name}() is not supported"),
            "Put what it answers into a table first: CREATE TEMPORARY TABLE … AS SELECT ….",
        )),
    }
}

fn volatile_function(scope: &Scope, part: &impl Visit) -> Option<String> {
    let functions = scope.warehouse.template().scalar_functions();
    let is_volatile = |name: &String| {
        let function = functions.get(name);
        function.is_some_and(|function| function.signature().volatility == Volatility::Volatile)
    };
    let found = visit_expressions(part, |expr| match expr {
        Expr::Function(function) => match plain_name(&function.name).filter(is_volatile) {
            Some(name) => ControlFlow::Break(name),
            None => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    found.break_value()
}

/// Finds what may choose other rows each time, where some are ordered alike.
struct Choice;

impl Visitor for Choice {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        match query.limit_clause.is_some() || query.fetch.is_some() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        match select.distinct {
            Some(Distinct::On(_)) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
