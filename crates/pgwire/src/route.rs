//! Whose question is it? Decided on the parsed statement: PostgreSQL's own catalogue, or the engine over the lake.
//!
//! A query that touches nothing but system relations goes to the catalogue, and so does one that touches no relation
//! at all, unless it calls a function that only the engine has: what PostgreSQL can compute itself is right by
//! construction. A query that mixes both, be it only by a function, and everything that is no query, is the engine's.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CopySource, CopyTarget, Expr, Ident, ObjectName, Query, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};
use rapport_catalog_postgres::SystemNames;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Catalogue,
    Engine,
}

/// `is_engine_s` tells whether the engine has a function of that name.
pub fn whose(
    statement: &Statement,
    system: &SystemNames,
    is_engine_s: &dyn Fn(&str) -> bool,
) -> Whose {
    let mut mentions = Mentions::default();
    match statement {
        // SELECT … INTO makes a table.
        Statement::Query(query) if matches!(&*query.body, SetExpr::Select(select) if select.into.is_some()) =>
        {
            return Whose::Engine;
        }
        Statement::Query(_) | Statement::Explain { .. } => {
            let _ = statement.visit(&mut mentions);
        }
        // `COPY (query) TO STDOUT` is as good as the query.
        Statement::Copy {
            source: CopySource::Query(query),
            to: true,
            target: CopyTarget::Stdout,
            ..
        } => {
            let _ = query.visit(&mut mentions);
        }
        Statement::ShowVariable { .. } | Statement::ShowStatus { .. } => return Whose::Catalogue,
        _ => return Whose::Engine,
    }
    let mut relations = mentions
        .relations
        .iter()
        .filter(|name| !mentions.table_functions.contains(*name))
        .peekable();
    let is_catalogue = match relations.peek() {
        Some(_) => {
            let is_engine_s_alone = |name: &Vec<String>| {
                !has_function(system, name)
                    && matches!(name.as_slice(), [name] if is_engine_s(name))
            };
            relations.all(|name| has_relation(system, name))
                && !mentions.functions.iter().any(is_engine_s_alone)
        }
        None => mentions
            .functions
            .iter()
            .all(|name| has_function(system, name)),
    };
    if is_catalogue {
        Whose::Catalogue
    } else {
        Whose::Engine
    }
}

fn has_relation(system: &SystemNames, name: &[String]) -> bool {
    match name {
        [name] => system.relations.contains(name),
        [.., schema, _] => is_system_schema(schema),
        [] => false,
    }
}

fn has_function(system: &SystemNames, name: &[String]) -> bool {
    match name {
        [name] => system.functions.contains(name) || GRAMMAR.contains(&name.as_str()),
        [.., schema, _] => is_system_schema(schema),
        [] => false,
    }
}

fn is_system_schema(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast")
}

/// Called like functions, and known to PostgreSQL's grammar instead of `pg_proc`.
const GRAMMAR: [&str; 21] = [
    "cast",
    "coalesce",
    "collation for",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "greatest",
    "grouping",
    "least",
    "localtime",
    "localtimestamp",
    "normalize",
    "nullif",
    "session_user",
    "treat",
    "user",
    "xmlelement",
];

/// The names a statement mentions, folded as PostgreSQL folds them.
#[derive(Default)]
struct Mentions {
    relations: Vec<Vec<String>>,
    functions: Vec<Vec<String>>,
    /// Of the queries around the place that is looked at.
    scopes: Vec<Scope>,
    /// Functions in FROM, which the visitor reports as relations too.
    table_functions: HashSet<Vec<String>>,
}

/// What a query's WITH names.
struct Scope {
    names: Vec<String>,
    queries: Vec<*const Query>,
    /// How many of the names mean something here: without RECURSIVE a query sees those before it, and `t` in
    /// `WITH t AS (SELECT * FROM t)` is the table.
    seen: usize,
    is_recursive: bool,
}

impl Mentions {
    fn is_common_table(&self, name: &[String]) -> bool {
        let mut seen = self.scopes.iter().map(|scope| &scope.names[..scope.seen]);
        matches!(name, [name] if seen.any(|names| names.contains(name)))
    }

    /// The scope whose WITH has this query, and which of its queries it is.
    fn scope_of(&mut self, query: &Query) -> Option<(&mut Scope, usize)> {
        self.scopes.iter_mut().rev().find_map(|scope| {
            let at = scope
                .queries
                .iter()
                .position(|other| std::ptr::eq(*other, query))?;
            Some((scope, at))
        })
    }

    fn add_function(&mut self, name: &ObjectName) {
        self.functions.push(folded(name));
    }
}

fn folded(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => folded_ident(ident),
            None => part.to_string(),
        })
        .collect()
}

fn folded_ident(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some((scope, at)) = self.scope_of(query)
            && !scope.is_recursive
        {
            scope.seen = at;
        }
        if let Some(with) = &query.with {
            let names = with
                .cte_tables
                .iter()
                .map(|table| folded_ident(&table.alias.name));
            let queries = with.cte_tables.iter().map(|table| &raw const *table.query);
            self.scopes.push(Scope {
                names: names.collect(),
                queries: queries.collect(),
                seen: if with.recursive {
                    with.cte_tables.len()
                } else {
                    0
                },
                is_recursive: with.recursive,
            });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.with.is_some() {
            self.scopes.pop();
        }
        if let Some((scope, at)) = self.scope_of(query)
            && !scope.is_recursive
        {
            scope.seen = at + 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            } => {
                self.add_function(name);
                self.table_functions.insert(folded(name));
            }
            TableFactor::Function { name, .. } => self.add_function(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let name = folded(name);
        if !self.is_common_table(&name) {
            self.relations.push(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.add_function(&function.name);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn check(sql: &str, expected: Whose) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let system = SystemNames {
            relations: words(&["pg_class", "pg_type"]),
            functions: words(&["now", "version", "generate_series", "count", "format_type"]),
            ..SystemNames::default()
        };
        let is_engine_s = |name: &str| name == "bgnbd_p_alive";
        let statements =
            Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement of the test");
        assert_eq!(
            whose(&statements[0], &system, &is_engine_s),
            expected,
            "{sql}"
        );
    }

    #[test]
    fn system_relations_are_the_catalogue_s() {
        check("select * from pg_class", Whose::Catalogue);
        check(
            "select * from PG_CLASS c join pg_catalog.pg_type t on true",
            Whose::Catalogue,
        );
        check("select * from information_schema.tables", Whose::Catalogue);
        check(
            "with c as (select oid from pg_class) select count(*) from c",
            Whose::Catalogue,
        );
        check(
            "select (select count(*) from pg_type) from pg_class",
            Whose::Catalogue,
        );
        check("explain select * from pg_class", Whose::Catalogue);
        check("copy (select * from pg_class) to stdout", Whose::Catalogue);
        check(
            "select * from pg_class where oid in (select format_type(1, 2) from pg_type)",
            Whose::Catalogue,
        );
    }

    #[test]
    fn a_common_table_may_have_a_table_s_name() {
        check(
            "with orders as (select * from orders) select * from orders",
            Whose::Engine,
        );
        check(
            "with recursive n as (select 1 union all select * from n) select * from n",
            Whose::Catalogue,
        );
        check(
            "with a as (select 1), b as (select * from a) select * from b, a",
            Whose::Catalogue,
        );
        check(
            "with b as (select * from a), a as (select 1) select * from b",
            Whose::Engine,
        );
        check(
            "select * from (with a as (select 1) select * from a) q, a",
            Whose::Engine,
        );
    }

    #[test]
    fn lake_relations_are_the_engine_s() {
        check("select * from interactions", Whose::Engine);
        check("select * from pg_class, interactions", Whose::Engine);
        check("select * from public.pg_class", Whose::Engine);
        check("select * from system.job_runs", Whose::Engine);
        check("select * from pg_customers", Whose::Engine);
        check(
            "with c as (select * from interactions) select * from c",
            Whose::Engine,
        );
        check("insert into pg_class values (1)", Whose::Engine);
        check(
            "select bgnbd_p_alive(reltuples, 2, 3) from pg_class",
            Whose::Engine,
        );
        check("select nobody_s(reltuples) from pg_class", Whose::Catalogue);
        check("create table t as select * from pg_class", Whose::Engine);
        check("select 1 as a into t", Whose::Engine);
        check("copy interactions to stdout", Whose::Engine);
        check("copy (select 1) to '/tmp/a'", Whose::Engine);
        check("copy (select 1) to program 'cat'", Whose::Engine);
    }

    #[test]
    fn without_relations_the_functions_decide() {
        check("select 1", Whose::Catalogue);
        check(
            "select now(), version(), coalesce(null, 1), current_date",
            Whose::Catalogue,
        );
        check("select * from generate_series(1, 3) g", Whose::Catalogue);
        check("values (1), (2)", Whose::Catalogue);
        check("select bgnbd_p_alive(1, 2, 3)", Whose::Engine);
        check("select pg_catalog.anything(1)", Whose::Catalogue);
    }
}
