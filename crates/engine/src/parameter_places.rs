//! The types of parameters by the places where they stand, which DataFusion does not ask for: `left(name, $1)`, `jb @> $1`,
//! `CASE WHEN a THEN $1 ELSE b END`. What is not found here, and not by DataFusion, is text.

use std::{collections::HashMap, ops::ControlFlow};

use datafusion::{
    common::{
        DFSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Between, BinaryExpr, Cast, Expr, LogicalPlan, Operator, utils::merge_schema},
    sql::sqlparser::ast::{self, BinaryOperator, FunctionArg, FunctionArgExpr, UnaryOperator},
};
use rapport_udf_postgres::json::TO_JSONB;

use crate::{
    Result,
    names::folded,
    oid,
    pg_type::{Kind, PgType, array_oid},
    plan::parameter_index,
    typed::{field_of_kind, kind_of},
};

/// The type of an argument of a function, counted from 0, where it is the same whatever the others are.
fn argument(function: &str, at: usize) -> Option<u32> {
    Some(match (function, at) {
        ("left" | "right" | "repeat" | "lpad" | "rpad" | "substr", 1)
        | ("substr" | "split_part", 2)
        | ("lag" | "lead" | "nth_value" | "array_length" | "array_upper" | "array_lower", 1)
        | ("round" | "trunc", 1)
        | ("width_bucket", 3)
        | ("ntile" | "chr", 0)
        | ("make_date", 0..=2)
        | ("regexp_count", 2) => oid::INT4,
        ("percentile_cont" | "percentile_disc", 0) => oid::FLOAT8,
        _ => return None,
    })
}

/// Where the syntax alone tells.
pub(crate) fn of_statement(statement: &ast::Statement, types: &mut Vec<Option<u32>>) {
    let mut tell = |expr: &ast::Expr, oid: u32| {
        if let Some(index) = parameter(expr) {
            if types.len() < index {
                types.resize(index, None);
            }
            types[index - 1].get_or_insert(oid);
        }
    };
    let _ = ast::visit_expressions(statement, |expr| {
        match expr {
            ast::Expr::Function(function) => {
                if let ([name], ast::FunctionArguments::List(list)) =
                    (function.name.0.as_slice(), &function.args)
                    && let Some(name) = name.as_ident()
                {
                    let name = folded(name);
                    for (at, given) in list.args.iter().enumerate() {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(given)) = given
                            && let Some(oid) = argument(&name, at)
                        {
                            tell(given, oid);
                        }
                    }
                }
            }
            ast::Expr::Substring {
                substring_from,
                substring_for,
                shorthand,
                ..
            } => {
                // `substring` of two parameters takes patterns.
                let counts = [substring_from, substring_for].into_iter().flatten();
                if *shorthand || counts.clone().any(|count| number(count).is_some()) {
                    counts.for_each(|count| tell(count, oid::INT4));
                }
            }
            ast::Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => tell(expr, oid::BOOL),
            ast::Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And | BinaryOperator::Or => {
                    tell(left, oid::BOOL);
                    tell(right, oid::BOOL);
                }
                BinaryOperator::HashArrow
                | BinaryOperator::HashLongArrow
                | BinaryOperator::HashMinus
                | BinaryOperator::QuestionPipe
                | BinaryOperator::QuestionAnd => tell(right, array_oid(oid::TEXT)),
                _ => {}
            },
            ast::Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                if operand.is_none() {
                    conditions
                        .iter()
                        .for_each(|when| tell(&when.condition, oid::BOOL));
                }
                let results = conditions.iter().map(|when| &when.result);
                let results: Vec<&ast::Expr> = results.chain(else_result.as_deref()).collect();
                if let Some(oid) = results.iter().find_map(|result| number(result)) {
                    results.into_iter().for_each(|result| tell(result, oid));
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    let mut filters = Filters(types);
    let _ = ast::Visit::visit(statement, &mut filters);
}

/// `WHERE $1`.
struct Filters<'a>(&'a mut Vec<Option<u32>>);

impl ast::Visitor for Filters<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        for filter in select.selection.iter().chain(&select.having) {
            if let Some(index) = parameter(filter) {
                if self.0.len() < index {
                    self.0.resize(index, None);
                }
                self.0[index - 1].get_or_insert(oid::BOOL);
            }
        }
        ControlFlow::Continue(())
    }
}

fn parameter(expr: &ast::Expr) -> Option<usize> {
    match expr {
        ast::Expr::Nested(inner) => parameter(inner),
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Placeholder(id) => parameter_index(id).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Of a number as it is written.
fn number(expr: &ast::Expr) -> Option<u32> {
    match expr {
        ast::Expr::Nested(inner) | ast::Expr::UnaryOp { expr: inner, .. } => number(inner),
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => Some(match digits.parse::<i64>() {
                Ok(whole) if i32::try_from(whole).is_ok() => oid::INT4,
                Ok(_) => oid::INT8,
                Err(_) => oid::NUMERIC,
            }),
            _ => None,
        },
        _ => None,
    }
}

/// Where what stands beside a parameter tells, by the parameters' names.
pub(crate) fn of_plan(plan: &LogicalPlan) -> Result<HashMap<String, u32>> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if schema.fields().is_empty() {
            schema = node.schema().as_ref().clone();
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                for (id, kind) in places(expr, &schema) {
                    let oid = PgType::parse(&of_kind(kind))?.oid;
                    if PgType::of_parameter(oid).is_some() {
                        found.entry(id).or_insert(oid);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// As `format_type` prints it, of a type that a parameter may have.
fn of_kind(kind: Kind) -> String {
    let field = match kind {
        // It has no operators of its own.
        Kind::Varchar(_) => return "text".to_owned(),
        kind => field_of_kind(kind),
    };
    field.metadata()[rapport_lake::PG_TYPE].clone()
}

fn places(expr: &Expr, schema: &DFSchema) -> Vec<(String, Kind)> {
    let id = |expr: &Expr| match expr {
        Expr::Placeholder(placeholder) => Some(placeholder.id.clone()),
        _ => None,
    };
    let kind = |expr: &Expr| match expr {
        Expr::Placeholder(_) => None,
        expr => kind_of(expr, schema),
    };
    // Those that stand for one another are of the first type that is known.
    let alike = |all: &[&Expr]| -> Vec<(String, Kind)> {
        let Some(common) = all.iter().find_map(|expr| kind(expr)) else {
            return vec![];
        };
        let all = all.iter().filter_map(|expr| id(expr));
        all.map(|id| (id, common.clone())).collect()
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_arithmetic = matches!(
                op,
                Operator::Plus
                    | Operator::Minus
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulo
            );
            let mut found = alike(&[left, right]);
            found.retain(|(_, kind)| match is_arithmetic {
                true => is_number(kind),
                false => op.supports_propagation() && *kind != Kind::Record,
            });
            found
        }
        Expr::Between(Between {
            expr, low, high, ..
        }) => alike(&[expr, low, high]),
        Expr::InList(list) => {
            let all = std::iter::once(list.expr.as_ref()).chain(&list.list);
            alike(&all.collect::<Vec<_>>())
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results: Vec<&Expr> = results.chain(case.else_expr.as_deref()).collect();
            let mut found = alike(&results);
            if let Some(operand) = &case.expr {
                let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
                let all = std::iter::once(operand.as_ref()).chain(whens);
                found.extend(alike(&all.collect::<Vec<_>>()));
            }
            found
        }
        Expr::ScalarFunction(call) if call.name() == TO_JSONB => {
            let given = call.args.first().and_then(id);
            given.map(|id| (id, Kind::Jsonb)).into_iter().collect()
        }
        Expr::ScalarFunction(call) if call.name() == "make_array" => {
            alike(&call.args.iter().collect::<Vec<_>>())
        }
        // An array beside another one.
        Expr::Cast(Cast { expr, field }) if field.data_type().is_list() => {
            let kind = PgType::of_arrow(field.data_type()).kind;
            id(expr).map(|id| (id, kind)).into_iter().collect()
        }
        _ => vec![],
    }
}

fn is_number(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8 | Kind::Numeric(_)
    )
}
