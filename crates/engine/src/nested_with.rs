//! `WITH a AS (…) SELECT … FROM (WITH a AS (…) SELECT * FROM a) x`: the inner `a` is another one. DataFusion wants each name
//! once, so inner ones that are there more than once get names of their own.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement, TableAlias, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};

use crate::names::{PRIVATE, folded};

pub(crate) fn tell_apart(statement: &mut Statement) {
    let mut names = Names::default();
    let _ = Visit::visit(statement, &mut names);
    if names.0.values().any(|times| *times > 1) {
        let mut inner = Inner {
            times: names.0,
            depth: 0,
            named: 0,
        };
        let _ = VisitMut::visit(statement, &mut inner);
    }
}

/// How often each name is given.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            *self.0.entry(folded(&table.alias.name)).or_default() += 1;
        }
        ControlFlow::Continue(())
    }
}

struct Inner {
    times: HashMap<String, usize>,
    depth: usize,
    named: usize,
}

impl VisitorMut for Inner {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    /// What is inside has been done: a name that is left there is this query's.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        if self.depth == 0 {
            return ControlFlow::Continue(());
        }
        let Some(mut with) = query.with.take() else {
            return ControlFlow::Continue(());
        };
        for at in 0..with.cte_tables.len() {
            let (before, after) = with.cte_tables.split_at_mut(at + 1);
            let table = &mut before[at];
            let from = folded(&table.alias.name);
            if self.times[&from] < 2 {
                continue;
            }
            self.named += 1;
            let to = Ident::with_quote('"', format!("{PRIVATE}{from}{}", self.named));
            table.alias.name = to.clone();
            let mut rename = Rename { from, to };
            if with.recursive {
                let _ = VisitMut::visit(&mut table.query, &mut rename);
            }
            for later in after {
                let _ = VisitMut::visit(&mut later.query, &mut rename);
            }
            let _ = VisitMut::visit(query, &mut rename);
        }
        query.with = Some(with);
        ControlFlow::Continue(())
    }
}

struct Rename {
    from: String,
    to: Ident,
}

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
            && let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident().cloned()
            && folded(&ident) == self.from
        {
            *name = ObjectName::from(vec![self.to.clone()]);
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: ident,
                columns: vec![],
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}
