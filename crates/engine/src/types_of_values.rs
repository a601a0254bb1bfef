//! `VALUES ('a'::text), ('b')`: what has no type of its own takes that of the others of its column. DataFusion asks for the
//! same type, to the name that PostgreSQL has for it, in every row.

use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Value, Values};

use crate::{Error, Result};

/// Changes nothing where all values are of one type. Of what is inserted, each row by itself takes the types of the columns.
pub(crate) fn spell_out(values: &mut Values, is_inserted: bool) -> Result<()> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    if values.rows.len() < 2 || values.rows.iter().any(|row| row.content.len() != width) {
        return Ok(());
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
        if column.clone().any(is_number) && column.clone().filter_map(cast_to).any(is_text) {
            return Err(Error::DatatypeMismatch {
                message: "VALUES types integer and text cannot be matched".to_owned(),
                hint: None,
            });
        }
        let Some(common) = common(column, is_inserted) else {
            continue;
        };
        for row in &mut values.rows {
            let value = &mut row.content[at];
            let is_wanted = match common.casts_all {
                true => cast_to(value) != Some(&common.data_type),
                false => has_no_type(value) || is_small(value),
            };
            // A NULL has the name of its type only from a cast of what has one.
            if is_labelled(&common.data_type) && is_typed_null(value) {
                *value = cast(Expr::Value(Value::Null.into()), DataType::Text);
                *value = cast(value.clone(), common.data_type.clone());
            } else if is_wanted {
                *value = cast(value.clone(), common.data_type.clone());
            }
        }
    }
    Ok(())
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

struct Common {
    data_type: DataType,
    casts_all: bool,
}

/// `None`: there is nothing to be done.
fn common<'a>(column: impl Iterator<Item = &'a Expr> + Clone, is_inserted: bool) -> Option<Common> {
    let types: Vec<&DataType> = column.clone().filter_map(cast_to).collect();
    let Some(first) = types.first().map(|first| (*first).clone()) else {
        return number_in_quotes(column).filter(|_| !is_inserted);
    };
    let is_one = types.iter().all(|data_type| **data_type == first);
    let is_plain = |value: &Expr| cast_to(value).is_some() || has_no_type(value);
    if types.iter().all(|data_type| is_text(data_type)) {
        let all_of_one = is_one && column.clone().all(is_plain);
        return Some(Common {
            data_type: match first {
                first if all_of_one => first,
                DataType::Varchar(_) | DataType::CharacterVarying(_) => DataType::Varchar(None),
                _ => DataType::Text,
            },
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

/// `(1), ('2')`: a text beside numbers is one.
fn number_in_quotes<'a>(column: impl Iterator<Item = &'a Expr> + Clone) -> Option<Common> {
    let is_text = |value: &Expr| has_no_type(value) && !is_null(value);
    let is_known = column
        .clone()
        .all(|value| is_number(value) || has_no_type(value));
    let numbers = column.clone().filter(|value| is_number(value));
    if !is_known || !column.clone().any(is_text) || numbers.clone().next().is_none() {
        return None;
    }
    Some(Common {
        data_type: match numbers.clone().all(is_small) {
            true => DataType::Integer(None),
            false => DataType::Numeric(ExactNumberInfo::None),
        },
        casts_all: false,
    })
}

fn is_number(value: &Expr) -> bool {
    match value {
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => is_number(expr),
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    }
}

/// A type that only its name tells from text.
fn is_labelled(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Uuid | DataType::JSON | DataType::JSONB)
}

fn is_typed_null(value: &Expr) -> bool {
    match value {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_typed_null(expr),
        value => is_null(value),
    }
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
