//! `COLLATE "C"`: texts sort by their bytes here, whatever is said.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Statement, VisitMut, VisitorMut};

use crate::{Error, Result, names::folded, tree::take};

/// Those of PostgreSQL that sort by bytes, and the one that a database has if nothing is said.
const BY_BYTES: [&str; 4] = ["C", "POSIX", "ucs_basic", "default"];

/// Leaves out what says nothing new, and refuses what would be another order.
pub(crate) fn leave_out(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut LeaveOut) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct LeaveOut;

impl VisitorMut for LeaveOut {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Collate {
            expr: inner,
            collation,
        } = expr
        {
            if !is_by_bytes(collation) {
                let what = format!("collation \"{}\" for encoding \"UTF8\"", shown(collation));
                return ControlFlow::Break(Error::UndefinedObject { what });
            }
            *expr = take(inner);
        }
        ControlFlow::Continue(())
    }
}

fn parts(collation: &ObjectName) -> Vec<String> {
    let parts = collation.0.iter().filter_map(|part| part.as_ident());
    parts.map(folded).collect()
}

fn is_by_bytes(collation: &ObjectName) -> bool {
    match parts(collation).as_slice() {
        [name] => BY_BYTES.contains(&name.as_str()),
        [schema, name] => schema == "pg_catalog" && BY_BYTES.contains(&name.as_str()),
        _ => false,
    }
}

fn shown(collation: &ObjectName) -> String {
    parts(collation).join(".")
}
