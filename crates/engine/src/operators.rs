//! Operators and literals that PostgreSQL has and DataFusion lacks, as what they stand for.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Statement, UnaryOperator, Value,
    VisitMut, VisitorMut,
};

use crate::{
    bits::BIT_NOT,
    tree::{call, take},
};

/// After the columns have got their names: a function would give another one.
pub(crate) fn spell_out(statement: &mut Statement) {
    let _ = statement.visit(&mut Operators);
}

struct Operators;

impl VisitorMut for Operators {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // The sign binds tighter than `^`, the parser thinks otherwise.
        if let Expr::UnaryOp {
            op: op @ (UnaryOperator::Minus | UnaryOperator::Plus),
            expr: operand,
        } = expr
            && is_power(operand)
        {
            let op = *op;
            let mut power = take(operand);
            let mut base = &mut power;
            while let Expr::BinaryOp {
                left,
                op: BinaryOperator::PGExp,
                ..
            } = base
            {
                base = left;
            }
            let signed = Box::new(take(base));
            *base = Expr::UnaryOp { op, expr: signed };
            *expr = power;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp {
                left,
                op: BinaryOperator::PGExp,
                right,
            } => *expr = call("power", vec![take(left), take(right)]),
            Expr::UnaryOp { op, expr: operand } => {
                let operand = take(operand);
                *expr = match op {
                    UnaryOperator::PGAbs => call("abs", vec![operand]),
                    UnaryOperator::PGSquareRoot => call("sqrt", vec![float(operand)]),
                    UnaryOperator::PGCubeRoot => call("cbrt", vec![float(operand)]),
                    UnaryOperator::BitwiseNot => call(BIT_NOT, vec![operand]),
                    op => Expr::UnaryOp {
                        op: *op,
                        expr: Box::new(operand),
                    },
                };
            }
            Expr::Value(value) => {
                if let Value::Number(number, _) = &value.value
                    && let Some(plain) = without_exponent(number)
                {
                    value.value = Value::Number(plain, false);
                } else if let Value::Number(number, _) = &value.value
                    && number.contains(['e', 'E'])
                {
                    *expr = float(Expr::Value(
                        Value::SingleQuotedString(number.clone()).into(),
                    ));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_power(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryOp {
            op: BinaryOperator::PGExp,
            ..
        }
    )
}

/// `1.5e3` as `1500.`: an exact number, and no integer. `None` if it has no exponent, or too many digits for any decimal;
/// PostgreSQL would keep them, and we take the nearest float.
fn without_exponent(number: &str) -> Option<String> {
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let length = i32::try_from(digits.len()).ok()?;
    if point > 38 || length - point > 37 {
        return None;
    }
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(match usize::try_from(point) {
        Ok(at) if at >= digits.len() => format!("{digits}{}.", zeros(point - length)),
        Ok(at) if at > 0 => format!("{}.{}", &digits[..at], &digits[at..]),
        _ => format!("0.{}{digits}", zeros(-point)),
    })
}

fn float(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponent_is_written_out() {
        for (number, expected) in [
            ("1e3", Some("1000.")),
            ("1.5e-3", Some("0.0015")),
            ("12.5e1", Some("125.")),
            ("12.25E1", Some("122.5")),
            ("1e300", None),
            ("15", None),
        ] {
            assert_eq!(without_exponent(number).as_deref(), expected, "{number}");
        }
    }
}
