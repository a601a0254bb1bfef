//! `(a, b) < (c, d)` and what else is said of rows of values, as comparisons of the values: with PostgreSQL's answer where one
//! of them is NULL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Statement, UnaryOperator, VisitMut, VisitorMut,
};
use rapport_udf_postgres::ROW_KEY;

use crate::{
    Error, Result,
    names::folded,
    syntax::plain_name,
    tree::{call, take},
};

/// Spells out what is said of rows.
pub(crate) fn spell_out(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Spell) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Spell;

impl VisitorMut for Spell {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match spelled(expr) {
            Ok(Some(spelled)) => *expr = spelled,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn spelled(expr: &mut Expr) -> Result<Option<Expr>> {
    Ok(match expr {
        Expr::Function(function) => {
            count_keys(function);
            None
        }
        Expr::BinaryOp { left, op, right } => match (values(left), values(right)) {
            (Some(left), Some(right)) => compared(left, op, right)?,
            _ => None,
        },
        Expr::IsDistinctFrom(left, right) => distinct(left, right)?,
        Expr::IsNotDistinctFrom(left, right) => distinct(left, right)?.map(not),
        Expr::IsNull(_) | Expr::IsNotNull(_) => is_null(expr),
        Expr::InList {
            expr: row,
            list,
            negated,
        } => {
            let (Some(row), negated) = (values(row), *negated) else {
                return Ok(None);
            };
            let Some(rows) = list.iter().map(values).collect::<Option<Vec<_>>>() else {
                return Ok(None);
            };
            let mut equal = vec![];
            for other in rows {
                equal.extend(compared(row.clone(), &BinaryOperator::Eq, other)?);
            }
            let found = joined(&equal, &BinaryOperator::Or);
            found.map(|found| if negated { not(found) } else { found })
        }
        Expr::Between {
            expr: row,
            negated,
            low,
            high,
        } => match (values(row), values(low), values(high)) {
            (Some(row), Some(low), Some(high)) => {
                let from = compared(row.clone(), &BinaryOperator::GtEq, low)?;
                let to = compared(row, &BinaryOperator::LtEq, high)?;
                let within = all(from.into_iter().chain(to));
                Some(if *negated { not(within) } else { within })
            }
            _ => None,
        },
        _ => None,
    })
}

/// `row IS NULL` and `row IS NOT NULL`, where the values of the row are known.
pub(crate) fn is_null(expr: &Expr) -> Option<Expr> {
    let (row, test): (_, fn(Box<Expr>) -> Expr) = match expr {
        Expr::IsNull(row) => (row, Expr::IsNull),
        Expr::IsNotNull(row) => (row, Expr::IsNotNull),
        _ => return None,
    };
    values(row).map(|values| all(values.into_iter().map(|value| is(test, value))))
}

/// `count(DISTINCT (a, b))`: DataFusion keeps every row that it counts as one of a batch of rows.
fn count_keys(function: &mut Function) {
    let is_count = plain_name(&function.name).is_some_and(|name| name == "count");
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(row))] = list.args.as_mut_slice()
        && is_count
        && is_distinct
        && let Some(values) = values(row)
    {
        *row = call(ROW_KEY, values);
    }
}

/// The values of `(a, b)` and of `ROW(a, b)`.
pub(crate) fn values(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Nested(inner) => values(inner),
        Expr::Function(function) => {
            let [name] = function.name.0.as_slice() else {
                return None;
            };
            let FunctionArguments::List(list) = &function.args else {
                return None;
            };
            if folded(name.as_ident()?) != "row" || list.args.is_empty() {
                return None;
            }
            let values = list.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
                _ => None,
            });
            values.collect()
        }
        _ => None,
    }
}

/// `None`: not a comparison.
fn compared(left: Vec<Expr>, op: &BinaryOperator, right: Vec<Expr>) -> Result<Option<Expr>> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let strict = match op {
        Eq | NotEq => op,
        Lt | LtEq => &Lt,
        Gt | GtEq => &Gt,
        _ => return Ok(None),
    };
    let mut pairs = pairs(left, right)?.into_iter().rev();
    let each = |(left, right): (Expr, Expr), op: &BinaryOperator| binary(left, op, right);
    Ok(match op {
        Eq | NotEq => {
            let terms: Vec<Expr> = pairs.rev().map(|pair| each(pair, op)).collect();
            joined(&terms, if *op == Eq { &And } else { &Or })
        }
        // The last pair decides where all before it are equal.
        _ => {
            let Some(last) = pairs.next() else {
                return Ok(None);
            };
            let mut decided = each(last, op);
            for pair in pairs {
                let equal = each(pair.clone(), &Eq);
                let further = binary(equal, &And, decided);
                decided = binary(each(pair, strict), &Or, further);
            }
            Some(decided)
        }
    })
}

fn distinct(left: &Expr, right: &Expr) -> Result<Option<Expr>> {
    let (Some(left), Some(right)) = (values(left), values(right)) else {
        return Ok(None);
    };
    let terms = pairs(left, right)?.into_iter().map(|(left, right)| {
        Expr::Nested(Box::new(Expr::IsDistinctFrom(
            Box::new(left),
            Box::new(right),
        )))
    });
    Ok(joined(&terms.collect::<Vec<_>>(), &BinaryOperator::Or))
}

fn pairs(left: Vec<Expr>, right: Vec<Expr>) -> Result<Vec<(Expr, Expr)>> {
    if left.len() != right.len() {
        return Err(Error::Syntax {
            message: "unequal number of entries in row expressions".to_owned(),
            position: None,
        });
    }
    Ok(left.into_iter().zip(right).collect())
}

fn is(test: impl Fn(Box<Expr>) -> Expr, value: Expr) -> Expr {
    Expr::Nested(Box::new(test(Box::new(value))))
}

fn all(terms: impl Iterator<Item = Expr>) -> Expr {
    let terms: Vec<Expr> = terms.collect();
    joined(&terms, &BinaryOperator::And).expect("a row has values")
}

/// As a balanced tree: a long list is not a deep one.
fn joined(terms: &[Expr], op: &BinaryOperator) -> Option<Expr> {
    match terms {
        [] => None,
        [term] => Some(term.clone()),
        terms => {
            let (left, right) = terms.split_at(terms.len() / 2);
            Some(binary(joined(left, op)?, op, joined(right, op)?))
        }
    }
}

fn binary(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    }))
}

fn not(mut expr: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(take(&mut expr)),
    }))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    fn check(sql: &str, expected: &str) {
        let sql = format!("SELECT {sql}");
        let mut statements =
            Parser::parse_sql(&PostgreSqlDialect {}, &sql).expect("a statement of the test");
        spell_out(&mut statements[0]).expect("it can be spelled out");
        assert_eq!(statements[0].to_string(), format!("SELECT {expected}"));
    }

    #[test]
    fn a_row_is_compared_value_by_value() {
        check("(a, b) = (1, 2)", "((a = 1) AND (b = 2))");
        check("(a, b) <> (1, 2)", "((a <> 1) OR (b <> 2))");
        check("(a, b) <= (1, 2)", "((a < 1) OR ((a = 1) AND (b <= 2)))");
        check(
            "ROW(a, b, c) > ROW(1, 2, 3)",
            "((a > 1) OR ((a = 1) AND ((b > 2) OR ((b = 2) AND (c > 3)))))",
        );
        check(
            "(a, b) IS NOT NULL",
            "((a IS NOT NULL) AND (b IS NOT NULL))",
        );
        check(
            "(a, b) NOT IN ((1, 2), (3, 4))",
            "(NOT (((a = 1) AND (b = 2)) OR ((a = 3) AND (b = 4))))",
        );
    }
}
