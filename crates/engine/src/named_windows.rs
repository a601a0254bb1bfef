//! `WINDOW w AS (…)`: what a window's name stands for is said where it is used.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowExpr, OrderBy, Query, Select, VisitMut, VisitorMut, WindowSpec,
    WindowType,
};
use rapport_udf_postgres::refusal::Refusal;

use crate::{Error, Result, names::folded};

/// 42704 for a window that is not there, 42P20 for one that says again what its base says.
pub(crate) fn spell_out(select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<()> {
    let mut named: Vec<(String, WindowSpec)> = vec![];
    for definition in std::mem::take(&mut select.named_window) {
        let NamedWindowExpr::WindowSpec(mut spec) = definition.1 else {
            return Err(Error::Syntax {
                message: format!("the window {} has no parentheses", definition.0),
                position: None,
            });
        };
        rest_on_base(&mut spec, &named)?;
        let name = folded(&definition.0);
        if named.iter().any(|(known, _)| *known == name) {
            return Err(windowing(format!("window \"{name}\" is already defined")));
        }
        named.push((name, spec));
    }
    let mut spelling = Spell { named, depth: 0 };
    let mut spelled = select.visit(&mut spelling);
    if let (ControlFlow::Continue(()), Some(order_by)) = (&spelled, order_by) {
        spelled = order_by.visit(&mut spelling);
    }
    match spelled {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Spell {
    named: Vec<(String, WindowSpec)>,
    /// Sub-queries name windows of their own.
    depth: usize,
}

impl VisitorMut for Spell {
    type Break = Error;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let spelled = match &mut function.over {
            Some(WindowType::NamedWindow(name)) => window(name, &self.named).map(|spec| {
                function.over = Some(WindowType::WindowSpec(spec.clone()));
            }),
            Some(WindowType::WindowSpec(spec)) => rest_on_base(spec, &self.named),
            None => Ok(()),
        };
        match spelled {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn window<'a>(name: &Ident, named: &'a [(String, WindowSpec)]) -> Result<&'a WindowSpec> {
    let name = folded(name);
    match named.iter().find(|(known, _)| *known == name) {
        Some((_, spec)) => Ok(spec),
        None => Err(Error::UndefinedObject {
            what: format!("window \"{name}\""),
        }),
    }
}

/// `(w ORDER BY a)`
fn rest_on_base(spec: &mut WindowSpec, named: &[(String, WindowSpec)]) -> Result<()> {
    let Some(name) = spec.window_name.take() else {
        return Ok(());
    };
    let base = window(&name, named)?;
    if !spec.partition_by.is_empty() {
        let message = format!("cannot override PARTITION BY clause of window \"{name}\"");
        return Err(windowing(message));
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        let message = format!("cannot override ORDER BY clause of window \"{name}\"");
        return Err(windowing(message));
    }
    if base.window_frame.is_some() {
        let message = format!("cannot copy window \"{name}\" because it has a frame clause");
        return Err(windowing(message));
    }
    spec.partition_by.clone_from(&base.partition_by);
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
    Ok(())
}

fn windowing(message: String) -> Error {
    Error::Refused(Refusal::new("42P20", message))
}
