//! `SELECT (bgnbd_fit(repeats, recency, age)).* FROM t`: a function that answers a row, as its columns. Of one that answers an
//! array of rows it is `SELECT (unnest(km_curve(tenure, churned))).* FROM t`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Select, SelectItem, SelectItemQualifiedWildcardKind, Value, VisitMut, VisitorMut,
};

use crate::{syntax::plain_name, tree::call};

/// In the place of `*` behind a row, which the parser does not know.
pub(crate) const ALL: &str = "\u{1}all_columns";

/// `columns` are those of what a function of a name answers, if that is of this form.
pub(crate) fn spell_out(
    part: &mut impl VisitMut,
    columns: impl Fn(&str, Form) -> Option<Vec<String>>,
) {
    let _ = part.visit(&mut Rows { columns });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Row,
    ArrayOfRows,
}

struct Rows<F> {
    columns: F,
}

impl<F: Fn(&str, Form) -> Option<Vec<String>>> VisitorMut for Rows<F> {
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

impl<F: Fn(&str, Form) -> Option<Vec<String>>> Rows<F> {
    fn all_of(&self, item: &SelectItem) -> Option<Vec<SelectItem>> {
        let SelectItem::UnnamedExpr(Expr::CompoundFieldAccess { root, access_chain }) = item else {
            return None;
        };
        let [AccessExpr::Dot(Expr::Identifier(all))] = access_chain.as_slice() else {
            return None;
        };
        if all.value != ALL {
            return None;
        }
        let mut row = root.as_ref();
        while let Expr::Nested(inner) = row {
            row = inner;
        }
        let function = match row {
            Expr::Function(function) => function,
            // All columns of a table.
            Expr::Identifier(table) => {
                let table = ObjectName::from(vec![table.clone()]);
                let all = SelectItemQualifiedWildcardKind::ObjectName(table);
                return Some(vec![SelectItem::QualifiedWildcard(all, Default::default())]);
            }
            _ => return None,
        };
        let columns = match plain_name(&function.name)?.as_str() {
            "unnest" => (self.columns)(&unnested(function)?, Form::ArrayOfRows)?,
            name => (self.columns)(name, Form::Row)?,
        };
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

/// The name of the function whose answer is unnested.
fn unnested(unnest: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &unnest.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner)))] => {
            plain_name(&inner.name)
        }
        _ => None,
    }
}
