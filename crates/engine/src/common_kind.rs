//! The type that PostgreSQL finds for expressions that stand for one another: the branches of a CASE, the arguments of
//! `coalesce`, the items of an array, the queries of a UNION. Here those that only a field's metadata tells.

use crate::pg_type::Kind;

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
