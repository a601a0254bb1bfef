//! Functions bound to a model by its name: `clv('clv', customer_id)`, `churn_probability('churn', repeats, recency, age)`.
//!
//! Asked of a customer, a call is a sub-query of the table that the model publishes its scores to; asked of features, the
//! function of the family that was fitted, with the parameters of the version in use. Both are spelled out before anything
//! is planned, so that rights, EXPLAIN and transactions are those of what stands there then.

mod formula;
mod list;
mod published;
mod statements;

use std::{collections::BTreeMap, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, Visit,
    VisitMut, Visitor, VisitorMut,
};

use crate::{
    Error, Result, pins::Pins, plan::Scope, privilege::quoted, syntax::plain_name,
    table_functions::expression,
};
pub(crate) use list::{Call, FUNCTIONS, ModelFunction, Parameter, syntax};
use published::{Published, published};
pub use statements::{STATEMENT_FUNCTIONS, StatementFunction};

pub(crate) fn find(name: &str) -> Option<&'static ModelFunction> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// In the place of every call, what it stands for.
pub(crate) async fn spell_out(scope: &Scope, pins: &Pins, statement: &mut Statement) -> Result<()> {
    let mut mentioned = Mentioned::default();
    if let ControlFlow::Break(error) = Visit::visit(statement, &mut mentioned) {
        return Err(error);
    }
    if mentioned.models.is_empty() {
        return Ok(());
    }
    let mut models = BTreeMap::new();
    for model in mentioned.models {
        let found = published(scope, pins, &model).await?;
        models.insert(model, found);
    }
    match VisitMut::visit(statement, &mut SpellOut { models }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// A call as it was written.
struct Asked<'a> {
    function: &'static ModelFunction,
    model: &'a str,
    /// Behind the model.
    arguments: Vec<&'a Expr>,
}

impl<'a> Asked<'a> {
    /// `None` if it is not one of ours.
    fn read(expr: &'a Expr) -> Option<Result<Self>> {
        let Expr::Function(call) = expr else {
            return None;
        };
        let function = find(&plain_name(&call.name)?)?;
        Some(Self::of(function, call))
    }

    fn of(function: &'static ModelFunction, call: &'a Function) -> Result<Self> {
        let FunctionArguments::List(list) = &call.args else {
            return Err(function.no_such_call());
        };
        if call.over.is_some() || call.filter.is_some() || !list.clauses.is_empty() {
            return Err(function.no_such_call());
        }
        let mut arguments = vec![];
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
                _ => return Err(function.no_such_call()),
            }
        }
        let n = arguments.len();
        if !function.calls().any(|call| call.takes(n)) {
            return Err(function.no_such_call());
        }
        Ok(Self {
            model: literal(arguments.remove(0)).ok_or_else(|| {
                let hint = format!("Write its name: {}('…', …).", function.name);
                let what = format!("a model of {}() that is not a literal", function.name);
                Error::not_supported(what, &hint)
            })?,
            function,
            arguments,
        })
    }

    fn stands_for(&self, model: &Published) -> Result<Expr> {
        let Some(column) = self.function.column_of(&model.kind) else {
            let kinds: Vec<&str> = self.function.scores.iter().map(|(kind, _)| *kind).collect();
            return Err(Error::InvalidParameter {
                message: format!("model \"{}\" is a {} model", self.model, model.kind),
                hint: Some(format!(
                    "{}() is asked of {} models.",
                    self.function.name,
                    kinds.join(" and ")
                )),
            });
        };
        let (text, names) = match self.arguments.len() {
            1 => (self.of_customer(model, column), vec!["customer"]),
            _ => {
                let names: Vec<&str> = self.function.features.iter().map(|one| one.name).collect();
                let horizon = names.iter().position(|name| *name == "horizon");
                let horizon = horizon.and_then(|n| self.arguments.get(n).copied());
                (formula::of(self.function.name, model, horizon)?, names)
            }
        };
        let mut expr = expression(&text)?;
        let places = names.into_iter().zip(self.arguments.iter().copied());
        let mut places = Places(places.collect());
        let _ = VisitMut::visit(&mut expr, &mut places);
        Ok(expr)
    }

    /// What is asked of stands for itself: names that nobody can write keep it from meaning the scores' own columns.
    fn of_customer(&self, model: &Published, column: &str) -> String {
        format!(
            "(SELECT max(\"\u{1}score\")::{answers} AS {name} FROM (SELECT customer_id AS \"\u{1}customer\", {column} AS \"\u{1}score\"
              FROM scores.{table}) AS \"\u{1}scores\" WHERE \"\u{1}customer\" = $customer)",
            answers = self.function.answers,
            name = self.function.name,
            column = quoted(column),
            table = quoted(&model.scores),
        )
    }
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => literal(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Which models are asked.
#[derive(Default)]
struct Mentioned {
    models: Vec<String>,
}

impl Visitor for Mentioned {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        match Asked::read(expr) {
            Some(Ok(asked)) => self.models.push(asked.model.to_owned()),
            Some(Err(error)) => return ControlFlow::Break(error),
            None => {}
        }
        ControlFlow::Continue(())
    }
}

struct SpellOut {
    models: BTreeMap<String, Published>,
}

impl VisitorMut for SpellOut {
    type Break = Error;

    // After what is inside it: a call may be given another.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let stands_for = match Asked::read(expr) {
            Some(Ok(asked)) => asked.stands_for(&self.models[asked.model]),
            Some(Err(error)) => Err(error),
            None => return ControlFlow::Continue(()),
        };
        match stands_for {
            Ok(other) => {
                *expr = other;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// What stands for each `$name`.
struct Places<'a>(Vec<(&'static str, &'a Expr)>);

impl VisitorMut for Places<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(place) = &value.value
            && let Some(name) = place.strip_prefix('$')
            && let Some((_, given)) = self.0.iter().find(|(known, _)| *known == name)
        {
            *expr = Expr::Nested(Box::new((*given).clone()));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    use super::*;

    #[test]
    fn each_function_has_its_page() {
        for function in FUNCTIONS {
            let of_arguments = function.features.iter().map(|parameter| parameter.says);
            let page = &function.page;
            check::told(function.name, page.says, page.example, of_arguments);
        }
        for function in STATEMENT_FUNCTIONS {
            let of_arguments = function.parameters.iter().map(|parameter| parameter.says);
            let page = &function.page;
            check::told(function.name, page.says, page.example, of_arguments);
        }
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/models");
        let statements = STATEMENT_FUNCTIONS.iter().map(|function| function.name);
        let names = FUNCTIONS.iter().map(|function| function.name);
        check::called(folder, names.chain(statements));
    }
}
