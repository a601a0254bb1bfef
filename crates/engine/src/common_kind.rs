//! The type that PostgreSQL finds for expressions that stand for one another: the branches of a CASE, the arguments of
//! `coalesce`, the items of an array, the queries of a UNION. Here those that only a field's metadata tells.

use datafusion::{common::ExprSchema, logical_expr::Expr};

use crate::{
    Error, Result,
    expressions::{comparable, is_known, shown},
    pg_type::Kind,
    typed::kind_of,
};

/// Types that stand for one another, as PostgreSQL has it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Category {
    Number,
    Text,
    Truth,
    Moment,
    Span,
    Bytes,
}

/// `None` for types that are a category of their own, which the lake keeps as texts.
pub(crate) fn category(kind: &Kind) -> Option<Category> {
    Some(match kind {
        Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Float4
        | Kind::Float8
        | Kind::Numeric(_)
        | Kind::Oid => Category::Number,
        Kind::Text | Kind::Varchar(_) | Kind::Char(_) | Kind::Name => Category::Text,
        Kind::Bool => Category::Truth,
        Kind::Date | Kind::Timestamp | Kind::Timestamptz => Category::Moment,
        Kind::Interval => Category::Span,
        Kind::Bytea => Category::Bytes,
        _ => return None,
    })
}

/// Two kinds that have nothing in common.
pub(crate) fn clash(kinds: impl IntoIterator<Item = Kind>) -> Option<(Kind, Kind)> {
    let mut kinds = kinds.into_iter().filter(|kind| category(kind).is_some());
    let first = kinds.next()?;
    let other = kinds.find(|other| category(other) != category(&first))?;
    Some((first, other))
}

/// As [`clash`], of types that are a category of their own.
fn clash_of_labelled(kinds: &[Kind]) -> Option<(Kind, Kind)> {
    let own = kinds.iter().find(|kind| is_labelled(kind))?;
    let other = kinds
        .iter()
        .find(|other| *other != own && (is_labelled(other) || category(other).is_some()))?;
    Some((own.clone(), other.clone()))
}

fn check_condition(place: &str, expr: &Expr, schema: &dyn ExprSchema) -> Result<()> {
    match kind_of(expr, schema).filter(|kind| *kind != Kind::Bool) {
        Some(kind) => Err(Error::DatatypeMismatch {
            message: format!(
                "argument of {place} must be type boolean, not type {}",
                shown(Some(kind))
            ),
            hint: None,
        }),
        None => Ok(()),
    }
}

/// Refuses a CASE, `coalesce`, `greatest`, `least` or ARRAY whose values have no common type, comparisons of what cannot be
/// compared, and conditions that are none.
pub(crate) fn check_values(expr: &Expr, schema: &dyn ExprSchema) -> Result<()> {
    let (name, values): (&str, Vec<&Expr>) = match expr {
        Expr::Case(case) => {
            for (when, _) in &case.when_then_expr {
                match &case.expr {
                    Some(compared) => comparable(&"=", compared, when, schema)?,
                    None => check_condition("CASE/WHEN", when, schema)?,
                }
            }
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            (
                "CASE",
                case.else_expr.as_deref().into_iter().chain(thens).collect(),
            )
        }
        Expr::AggregateFunction(call) => {
            let filter = call.params.filter.iter();
            return filter
                .into_iter()
                .try_for_each(|filter| check_condition("FILTER", filter, schema));
        }
        Expr::Between(between) => {
            comparable(&">=", &between.expr, &between.low, schema)?;
            return comparable(&"<=", &between.expr, &between.high, schema);
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" && call.args.len() == 2 => {
            return comparable(&"=", &call.args[0], &call.args[1], schema);
        }
        Expr::ScalarFunction(call) => {
            let name = match call.name() {
                "coalesce" => "COALESCE",
                "greatest" => "GREATEST",
                "least" => "LEAST",
                "make_array" => "ARRAY",
                _ => return Ok(()),
            };
            (name, call.args.iter().collect())
        }
        _ => return Ok(()),
    };
    let known = values.iter().filter(|value| is_known(value, schema));
    let known = known.filter_map(|value| kind_of(value, schema));
    let found = clash_of_labelled(&known.collect::<Vec<_>>());
    if let Some((one, other)) = &found
        && is_labelled(other)
    {
        let (one, other) = (shown(Some(one.clone())), shown(Some(other.clone())));
        return Err(Error::CannotCoerce {
            message: format!("{name} could not convert type {other} to {one}"),
        });
    }
    let kinds = values
        .into_iter()
        .filter_map(|value| kind_of(value, schema));
    match found.or_else(|| clash(kinds)) {
        Some((one, other)) => Err(Error::DatatypeMismatch {
            message: format!(
                "{name} types {} and {} cannot be matched",
                shown(Some(one)),
                shown(Some(other))
            ),
            hint: None,
        }),
        None => Ok(()),
    }
}

/// Types that only a field's metadata tells, of which there is no other form.
pub(crate) fn is_labelled(kind: &Kind) -> bool {
    matches!(kind, Kind::Uuid | Kind::Json | Kind::Jsonb)
}

/// As [`is_labelled`], or a text with a length.
pub(crate) fn is_told(kind: &Kind) -> bool {
    is_labelled(kind) || matches!(kind, Kind::Varchar(_) | Kind::Char(_))
}

/// Of `text`, `varchar` and `char` the first decides, and its length holds where all have it; `None` is a literal without a
/// type, which is of any. Answers only where something has to be done.
pub(crate) fn common_kind(kinds: &[Option<Kind>]) -> Option<Kind> {
    let mut typed = kinds.iter().flatten();
    if let Some(kind) = typed.clone().find(|kind| is_labelled(kind)) {
        return Some(kind.clone());
    }
    let first = typed.clone().next()?;
    let is_text = |kind: &Kind| matches!(kind, Kind::Text | Kind::Varchar(_) | Kind::Char(_));
    if !typed.clone().all(is_text) || !typed.any(is_told) {
        return None;
    }
    let all_same = kinds.iter().all(|kind| kind.as_ref() == Some(first));
    Some(match all_same {
        true => first.clone(),
        false => without_length(first.clone()),
    })
}

/// What an aggregate or an array makes of it.
pub(crate) fn without_length(kind: Kind) -> Kind {
    match kind {
        Kind::Varchar(_) => Kind::Varchar(None),
        Kind::Char(_) => Kind::Char(None),
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kinds: &[Option<Kind>], expected: Option<Kind>) {
        assert_eq!(common_kind(kinds), expected, "{kinds:?}");
    }

    #[test]
    fn the_first_text_decides() {
        check(
            &[Some(Kind::Char(Some(3))), Some(Kind::Varchar(Some(5)))],
            Some(Kind::Char(None)),
        );
        check(
            &[None, Some(Kind::Varchar(Some(5)))],
            Some(Kind::Varchar(None)),
        );
        check(
            &[Some(Kind::Text), Some(Kind::Char(Some(3)))],
            Some(Kind::Text),
        );
    }

    #[test]
    fn a_length_holds_where_all_have_it() {
        let kind = Some(Kind::Char(Some(3)));
        check(&[kind.clone(), kind.clone()], kind);
    }

    #[test]
    fn nothing_is_to_be_done_for_others() {
        check(&[Some(Kind::Text), None], None);
        check(&[Some(Kind::Int4), Some(Kind::Varchar(None))], None);
    }
}
