//! `VALUES ('a'::text), ('b')`: what has no type of its own takes that of the others of its column. DataFusion asks for the
//! same type, to the name that PostgreSQL has for it, in every row.

use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Value, Values};

/// Changes nothing where no value is cast.
pub(crate) fn spell_out(values: &mut Values) {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    if values.rows.len() < 2 || values.rows.iter().any(|row| row.content.len() != width) {
        return;
    }
    for at in 0..width {
        let column = values.rows.iter().map(|row| &row.content[at]);
        if column.clone().any(is_any_number) && !column.clone().all(is_null) {
            for row in &mut values.rows {
                if is_any_number(&row.content[at]) {
                    row.content[at] = Expr::Value(Value::Null.into());
                }
            }
            continue;
        }
        let Some(common) = common(column) else {
            continue;
        };
        for row in &mut values.rows {
            let value = &mut row.content[at];
            let is_wanted = match common.casts_all {
                true => cast_to(value) != Some(&common.data_type),
                false => has_no_type(value) || is_small(value),
            };
            if is_wanted {
                *value = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(value.clone()),
                    data_type: common.data_type.clone(),
                    array: false,
                    format: None,
                };
            }
        }
    }
}

struct Common {
    data_type: DataType,
    casts_all: bool,
}

/// `None`: there is nothing to be done.
fn common<'a>(column: impl Iterator<Item = &'a Expr> + Clone) -> Option<Common> {
    let types: Vec<&DataType> = column.clone().filter_map(cast_to).collect();
    let first = (*types.first()?).clone();
    let is_one = types.iter().all(|data_type| **data_type == first);
    let is_plain = |value: &Expr| cast_to(value).is_some() || has_no_type(value);
    if types.iter().all(|data_type| is_text(data_type)) {
        let all_of_one = is_one && column.clone().all(is_plain);
        return Some(Common {
            data_type: if all_of_one { first } else { DataType::Text },
            casts_all: true,
        });
    }
    if types.iter().all(|data_type| is_integer(data_type)) {
        return Some(Common {
            data_type: DataType::Integer(None),
            casts_all: false,
        });
    }
    (is_one && column.clone().all(is_plain)).then_some(Common {
        data_type: first,
        casts_all: false,
    })
}

fn cast_to(value: &Expr) -> Option<&DataType> {
    match value {
        Expr::Nested(inner) => cast_to(inner),
        Expr::Cast { data_type, .. } => Some(data_type),
        Expr::Value(value) => {
            matches!(value.value, Value::Boolean(_)).then_some(&DataType::Boolean)
        }
        _ => None,
    }
}

fn is_null(value: &Expr) -> bool {
    is_any_number(value) || matches!(value, Expr::Value(value) if value.value == Value::Null)
}

fn has_no_type(value: &Expr) -> bool {
    matches!(value, Expr::Value(value)
        if matches!(value.value, Value::Null | Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_)))
}

fn is_small(value: &Expr) -> bool {
    matches!(value, Expr::Value(value)
        if matches!(&value.value, Value::Number(number, _) if number.parse::<i32>().is_ok()))
}

/// `NULL::numeric`, which has as many digits as those of the others.
fn is_any_number(value: &Expr) -> bool {
    let none = ExactNumberInfo::None;
    matches!(value, Expr::Cast { expr, data_type: DataType::Numeric(info) | DataType::Decimal(info), .. }
        if *info == none && matches!(expr.as_ref(), Expr::Value(value) if value.value == Value::Null))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Text
            | DataType::Varchar(_)
            | DataType::CharacterVarying(_)
            | DataType::Char(_)
            | DataType::Character(_)
    )
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt(_)
            | DataType::Int2(_)
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::Int4(_)
    )
}
