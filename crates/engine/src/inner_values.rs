//! `VALUES` within the query of an INSERT: DataFusion would read them as rows of the target. They are planned by themselves.

use std::{ops::ControlFlow, sync::Arc};

use datafusion::{
    datasource::{ViewTable, provider_as_source},
    logical_expr::TableSource,
    sql::sqlparser::ast::{
        Expr, Query, SetExpr, Statement, Value, Visit, VisitMut, Visitor, VisitorMut,
    },
};

use crate::{Error, Result, change::ours, pins::Pins, plan::Scope, privilege::quoted};

/// Puts names in their place, and answers what is to be found by them.
pub(crate) async fn planned(
    scope: &Scope,
    pins: &Pins,
    statement: &mut Statement,
) -> Result<Vec<(String, Arc<dyn TableSource>)>> {
    let mut inner = Inner {
        scope,
        depth: 0,
        found: vec![],
    };
    if let ControlFlow::Break(error) = VisitMut::visit(statement, &mut inner) {
        return Err(error);
    }
    let mut sources: Vec<(String, Arc<dyn TableSource>)> = vec![];
    for (name, query) in inner.found {
        let plan = Box::pin(scope.plan_query(pins, &query, &[])).await?.plan;
        let view = ViewTable::new(plan, None);
        sources.push((name, provider_as_source(Arc::new(view))));
    }
    Ok(sources)
}

struct Inner<'a> {
    scope: &'a Scope,
    depth: usize,
    found: Vec<(String, Box<Query>)>,
}

impl VisitorMut for Inner<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        if self.depth > 1 && matches!(&*query.body, SetExpr::Values(_)) && is_constant(&query.body)
        {
            let name = format!("\u{1}values {}", self.found.len());
            match ours(self.scope, &format!("SELECT * FROM {}", quoted(&name))) {
                Ok(Statement::Query(mut values)) => {
                    std::mem::swap(&mut values.body, &mut query.body);
                    self.found.push((name, values));
                }
                Ok(_) => {}
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// Whether it names nothing of the statement around it.
pub(crate) fn is_constant(values: &SetExpr) -> bool {
    struct Looks;
    impl Visitor for Looks {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let is_placeholder = matches!(expr, Expr::Value(value)
                if matches!(value.value, Value::Placeholder(_)));
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ if is_placeholder => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    values.visit(&mut Looks).is_continue()
}
