//! Numerics that a client gives: `1.10` shows two digits after the point, and so does what is computed of it. Only the type
//! of a literal says so much, and so they are put into the query before it is planned.

use std::ops::ControlFlow;

use arrow::datatypes::{Decimal128Type, DecimalType};
use datafusion::{
    common::ScalarValue,
    sql::sqlparser::ast::{self, CastKind, ExactNumberInfo, Expr, Value},
};

use crate::plan::parameter_index;

/// The query with the numerics in the place of their parameters; `None` if none is given.
pub(crate) fn put_in(query: &ast::Query, params: &[ScalarValue]) -> Option<ast::Query> {
    if !params.iter().any(|value| text(value).is_some()) {
        return None;
    }
    let mut query = query.clone();
    let _ = ast::visit_expressions_mut(&mut query, |expr| {
        if let Expr::Value(value) = &*expr
            && let Value::Placeholder(id) = &value.value
            && let Ok(index) = parameter_index(id)
            && let Some(number) = params.get(index - 1).and_then(text)
        {
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::Value(Value::SingleQuotedString(number).into())),
                data_type: ast::DataType::Numeric(ExactNumberInfo::None),
                array: false,
                format: None,
            };
        }
        ControlFlow::<()>::Continue(())
    });
    Some(query)
}

/// As the client wrote it. What has an exponent, or too many digits, comes with the scale of a column.
fn text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Decimal128(Some(_), 38, 10) => None,
        ScalarValue::Decimal128(Some(number), precision, scale) => {
            Some(Decimal128Type::format_decimal(*number, *precision, *scale))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::query;

    fn check(params: &[ScalarValue], expected: Option<&str>) {
        let asked = query("SELECT $1 + n FROM t WHERE a = $2").expect("a query");
        let put = put_in(&asked, params).map(|query| query.to_string());
        assert_eq!(put.as_deref(), expected);
    }

    #[test]
    fn digits_after_the_point_stay() {
        let two = ScalarValue::Decimal128(Some(110), 3, 2);
        check(
            &[two, ScalarValue::Int32(Some(1))],
            Some("SELECT CAST('1.10' AS NUMERIC) + n FROM t WHERE a = $2"),
        );
    }

    #[test]
    fn other_values_stay_parameters() {
        let none = ScalarValue::Decimal128(None, 38, 10);
        check(&[none, ScalarValue::Int32(Some(1))], None);
    }
}
