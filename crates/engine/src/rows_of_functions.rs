//! `SELECT (bgnbd_fit(repeats, recency, age)).* FROM t`: a function that answers a row, as its columns.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, SelectItemQualifiedWildcardKind, Statement, Value, VisitMut,
    VisitorMut,
};

use crate::{syntax::plain_name, tree::call};

/// `columns` are those of the row that a function of a name answers.
pub(crate) fn spell_out(statement: &mut Statement, columns: impl Fn(&str) -> Option<Vec<String>>) {
    let _ = statement.visit(&mut Rows { columns });
}

struct Rows<F> {
    columns: F,
}

impl<F: Fn(&str) -> Option<Vec<String>>> VisitorMut for Rows<F> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let is_all_of = |item: &SelectItem| self.all_of(item).is_some();
        if !select.projection.iter().any(is_all_of) {
            return ControlFlow::Continue(());
        }
        let mut items = vec![];
        for item in std::mem::take(&mut select.projection) {
            match self.all_of(&item) {
                Some(columns) => items.extend(columns),
                None => items.push(item),
            }
        }
        select.projection = items;
        ControlFlow::Continue(())
    }
}

impl<F: Fn(&str) -> Option<Vec<String>>> Rows<F> {
    fn all_of(&self, item: &SelectItem) -> Option<Vec<SelectItem>> {
        let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) = item
        else {
            return None;
        };
        let mut row = expr;
        while let Expr::Nested(inner) = row {
            row = inner;
        }
        let Expr::Function(function) = row else {
            return None;
        };
        let columns = (self.columns)(&plain_name(&function.name)?)?;
        let column = |name: String| SelectItem::ExprWithAlias {
            expr: call(
                "get_field",
                vec![
                    row.clone(),
                    Expr::Value(Value::SingleQuotedString(name.clone()).into()),
                ],
            ),
            alias: Ident::with_quote('"', name),
        };
        Some(columns.into_iter().map(column).collect())
    }
}
