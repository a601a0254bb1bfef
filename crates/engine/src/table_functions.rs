//! Functions over a relation, where a statement names its tables: `FROM funnel(interactions, customer_id, …)`.
//!
//! Each is a query of its own in `table_functions/*.sql`, with places for what it is given: `"$relation"` is the table or the
//! sub-query, every other `$name` an expression over its columns. What stands there is planned, judged, cancelled and shown
//! by EXPLAIN as if the user had written the query.

mod checked;
mod list;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, SelectItem, SetExpr, Statement, TableAlias, TableFactor, Value, Visit,
    VisitMut, Visitor, VisitorMut,
};

use crate::{
    Error, Result,
    model_functions::{STATEMENT_FUNCTIONS, StatementFunction},
    names::folded,
    parse,
    syntax::plain_name,
};
pub(crate) use checked::checks;
pub(crate) use list::{FUNCTIONS, Parameter, TableFunction};

/// In the place of every call, its query.
pub(crate) fn spell_out(part: &mut impl VisitMut) -> Result<()> {
    match VisitMut::visit(part, &mut Calls) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Whether a relation stands among the arguments of a function.
pub fn calls_table_function(statement: &Statement) -> bool {
    struct Finds;
    impl Visitor for Finds {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                TableFactor::Table {
                    name,
                    args: Some(_),
                    ..
                } if plain_name(name).is_some_and(|name| {
                    find(&name).is_some() || stands_for_a_statement(&name).is_some()
                }) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    Visit::visit(statement, &mut Finds).is_break()
}

fn stands_for_a_statement(name: &str) -> Option<&'static StatementFunction> {
    STATEMENT_FUNCTIONS
        .iter()
        .find(|function| function.name == name)
}

pub(crate) fn find(name: &str) -> Option<&'static TableFunction> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

struct Calls;

impl VisitorMut for Calls {
    type Break = Error;

    // After what is inside it: a call may be given another.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let called = plain_name(name).unwrap_or_default();
        if let Some(statement) = stands_for_a_statement(&called) {
            return ControlFlow::Break(statement.stands_alone());
        }
        let Some(function) = find(&called) else {
            return ControlFlow::Continue(());
        };
        match function.query(&args.args) {
            Ok(query) => {
                let alias = alias.take();
                *factor = factor_of(query, alias.unwrap_or_else(|| named(function.name)));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn factor_of(query: Query, alias: TableAlias) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(alias),
        sample: None,
    }
}

fn named(name: &str) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::with_quote('"', name),
        columns: vec![],
        at: None,
    }
}

impl TableFunction {
    fn query(&self, args: &[FunctionArg]) -> Result<Query> {
        let mut given = Given::default();
        let mut rest = args.iter();
        let mut by_name = vec![];
        for parameter in self
            .parameters
            .iter()
            .filter(|parameter| !parameter.is_named_only)
        {
            if parameter.is_many {
                break;
            }
            let Some(FunctionArg::Unnamed(_)) = rest.as_slice().first() else {
                break;
            };
            let arg = rest.next().expect("it was looked at");
            given.take(parameter, vec![(None, value_of(arg, self)?)], self)?;
        }
        for arg in rest {
            by_name.push((name_of(arg), value_of(arg, self)?));
        }
        let mut many = vec![];
        for (name, value) in by_name {
            let of_name = |parameter: &&Parameter| {
                !parameter.is_many && name.as_deref() == Some(parameter.name)
            };
            match self.parameters.iter().find(of_name) {
                Some(parameter) if given.has(parameter.name) => {
                    return Err(self.no_such_call(&format!("{} is given twice", parameter.name)));
                }
                Some(parameter) => given.take(parameter, vec![(name, value)], self)?,
                None => many.push((name, value)),
            }
        }
        let takes_many = self.parameters.iter().find(|parameter| parameter.is_many);
        match takes_many {
            Some(parameter) if !many.is_empty() => given.take(parameter, many, self)?,
            None if !many.is_empty() => {
                let name = many.into_iter().find_map(|(name, _)| name);
                let why = name.map_or("too many arguments".to_owned(), |name| {
                    format!("there is no argument {name}")
                });
                return Err(self.no_such_call(&why));
            }
            _ => {}
        }
        for parameter in self.parameters {
            if given.has(parameter.name) {
                continue;
            }
            let Some(default) = parameter.default else {
                return Err(self.no_such_call(&format!("{} is missing", parameter.name)));
            };
            given.take(parameter, vec![(None, expression(default)?)], self)?;
        }
        let mut query = parse::query(self.sql)?;
        let _ = VisitMut::visit(&mut query, &mut given);
        Ok(query)
    }

    /// 42883
    fn no_such_call(&self, why: &str) -> Error {
        Error::UndefinedFunction {
            message: format!(
                "function {} does not exist with these arguments: {why}",
                self.name
            ),
            hint: Some(format!("Call it as {}.", self.syntax())),
        }
    }

    /// Such as `f(relation, customer [, gap => …], step [, …])`.
    pub(crate) fn syntax(&self) -> String {
        let mut text = format!("{}(", self.name);
        for (index, parameter) in self.parameters.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let name = parameter.name;
            text += &match (parameter.default, parameter.is_named_only) {
                (Some(_), true) => format!(" [{comma}{name} => …]"),
                (Some(_), false) => format!(" [{comma}{name}]"),
                _ => format!("{comma}{name}"),
            };
            if parameter.is_many {
                text += " [, …]";
            }
        }
        text + ")"
    }
}

fn name_of(arg: &FunctionArg) -> Option<String> {
    match arg {
        FunctionArg::Named { name, .. } => Some(folded(name)),
        FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            ..
        } => Some(folded(name)),
        _ => None,
    }
}

fn value_of(arg: &FunctionArg, function: &TableFunction) -> Result<Expr> {
    let (FunctionArg::Unnamed(value)
    | FunctionArg::Named { arg: value, .. }
    | FunctionArg::ExprNamed { arg: value, .. }) = arg;
    match value {
        FunctionArgExpr::Expr(expr) => Ok(expr.clone()),
        _ => Err(function.no_such_call("* is no argument")),
    }
}

/// What a call has in each place of the query.
#[derive(Default)]
struct Given {
    relation: Option<TableFactor>,
    places: Vec<(String, Vec<Expr>)>,
    /// The place of what may be many, and what each of them is called, as texts.
    many: String,
    names: Vec<Expr>,
}

impl Given {
    fn has(&self, name: &str) -> bool {
        match name {
            RELATION => self.relation.is_some(),
            name => self.of(name).is_some(),
        }
    }

    fn of(&self, name: &str) -> Option<&[Expr]> {
        let place = self.places.iter().find(|(place, _)| place == name)?;
        Some(&place.1)
    }

    fn take(
        &mut self,
        parameter: &Parameter,
        values: Vec<(Option<String>, Expr)>,
        function: &TableFunction,
    ) -> Result<()> {
        if parameter.name == RELATION {
            let relation = values
                .into_iter()
                .next()
                .and_then(|(_, value)| relation(value));
            let why = "the relation is a table's name or a query in parentheses";
            self.relation = Some(relation.ok_or_else(|| function.no_such_call(why))?);
            return Ok(());
        }
        if parameter.pg_type == "integer" {
            for (_, value) in &values {
                is_count(parameter.name, value)?;
            }
        }
        if parameter.is_many {
            let shown = |(name, value): &(Option<String>, Expr)| {
                let text = name.clone().unwrap_or_else(|| value.to_string());
                Expr::Value(Value::SingleQuotedString(text).into())
            };
            self.names = values.iter().map(shown).collect();
            self.many = parameter.name.to_owned();
        }
        let values = values.into_iter().map(|(_, value)| value).collect();
        self.places.push((parameter.name.to_owned(), values));
        Ok(())
    }

    /// What stands for `$name`.
    fn at(&self, place: &Expr) -> Option<&[Expr]> {
        let Expr::Value(value) = place else {
            return None;
        };
        let Value::Placeholder(name) = &value.value else {
            return None;
        };
        match name.strip_prefix('$')? {
            "names" => Some(&self.names),
            name => self.of(name),
        }
    }
}

/// 22023 for a number that is written down and counts nothing.
fn is_count(name: &str, value: &Expr) -> Result<()> {
    let text = value.to_string();
    match text.parse::<f64>() {
        Ok(number) if number < 1.0 => Err(Error::InvalidParameter {
            message: format!("{name} must be at least 1, got {text}"),
            hint: None,
        }),
        _ => Ok(()),
    }
}

const RELATION: &str = "relation";

fn relation(value: Expr) -> Option<TableFactor> {
    let name = match value {
        Expr::Nested(inner) => return relation(*inner),
        Expr::Subquery(query) => return Some(factor_of(*query, named(RELATION))),
        Expr::Identifier(name) => vec![name],
        Expr::CompoundIdentifier(parts) => parts,
        _ => return None,
    };
    match select(&format!("SELECT FROM {}", ObjectName::from(name))).ok()? {
        (_, Some(table)) => Some(table),
        _ => None,
    }
}

pub(crate) fn expression(sql: &str) -> Result<Expr> {
    match select(&format!("SELECT {sql}"))? {
        (Some(SelectItem::UnnamedExpr(expr)), _) => Ok(expr),
        _ => Err(Error::not_supported("this form of an argument", "")),
    }
}

/// The first thing that a query of our own answers, and its first table.
fn select(sql: &str) -> Result<(Option<SelectItem>, Option<TableFactor>)> {
    let SetExpr::Select(select) = *parse::query(sql)?.body else {
        return Ok((None, None));
    };
    let table = select.from.into_iter().next();
    let item = select.projection.into_iter().next();
    Ok((item, table.map(|table| table.relation)))
}

impl VisitorMut for Given {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, args: None, ..
        } = factor
            && plain_name(name).is_some_and(|name| name == "$relation")
            && let Some(relation) = &self.relation
        {
            *factor = relation.clone();
        }
        ControlFlow::Continue(())
    }

    // Before what is inside it, which is then as the user wrote it.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let written = plain_name(&function.name);
                if let Some(name) = written.as_deref().and_then(checked::hidden_name) {
                    function.name = ObjectName::from(vec![Ident::with_quote('"', name)]);
                }
                if let FunctionArguments::List(list) = &mut function.args {
                    self.spread_arguments(list);
                }
            }
            Expr::Array(Array { elem, .. }) => {
                *elem = elem.drain(..).flat_map(|item| self.spread(item)).collect();
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some([value]) = self.at(expr) {
            *expr = match value {
                simple @ (Expr::Value(_) | Expr::Identifier(_)) => simple.clone(),
                other => Expr::Nested(Box::new(other.clone())),
            };
        }
        ControlFlow::Continue(())
    }
}

/// `"$each"(…$step…)` in a list is the expression once for each of what may be many.
const EACH: &str = "$each";

impl Given {
    fn spread_arguments(&self, list: &mut FunctionArgumentList) {
        let unnamed = |expr: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
        let args = std::mem::take(&mut list.args).into_iter();
        list.args = args
            .flat_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    self.spread(expr).into_iter().map(unnamed).collect()
                }
                other => vec![other],
            })
            .collect();
    }

    /// What stands in a list for an item of it.
    fn spread(&self, item: Expr) -> Vec<Expr> {
        if let Some(values) = self.at(&item) {
            return values.to_vec();
        }
        let Some(pattern) = pattern(&item) else {
            return vec![item];
        };
        let Some((name, values)) = self.places.iter().find(|(name, _)| *name == self.many) else {
            return vec![pattern.clone()];
        };
        let of = |value: &Expr| {
            let mut one = Given {
                places: vec![(name.clone(), vec![value.clone()])],
                ..Given::default()
            };
            let mut item = pattern.clone();
            let _ = VisitMut::visit(&mut item, &mut one);
            item
        };
        values.iter().map(of).collect()
    }
}

fn pattern(item: &Expr) -> Option<&Expr> {
    let Expr::Function(function) = item else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))]
            if plain_name(&function.name).as_deref() == Some(EACH) =>
        {
            Some(pattern)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    use super::*;

    #[test]
    fn each_function_has_its_page() {
        for function in FUNCTIONS {
            let of_arguments = function.parameters.iter().map(|parameter| parameter.says);
            let page = &function.page;
            check::told(function.name, page.says, page.example, of_arguments);
        }
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/relations");
        check::called(folder, FUNCTIONS.iter().map(|function| function.name));
    }
}
