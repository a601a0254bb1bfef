//! `JOIN … USING (id)` and `NATURAL JOIN`: the column that two tables share is one column to PostgreSQL, stands first in `*`, and is
//! not the left table's in a RIGHT or a FULL JOIN. DataFusion has it otherwise; so such joins get a condition.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, SetExpr, TableFactor,
    TableWithJoins, Value,
};

use crate::{names::folded, parse, tree::call};

/// A column of what is joined.
#[derive(Clone)]
pub(crate) struct Column {
    pub name: String,
    pub expr: Expr,
    /// Of two tables or more.
    pub is_shared: bool,
}

/// What a table in FROM is called, and its columns, if they are known.
pub(crate) trait Tables {
    fn of(&self, factor: &TableFactor) -> Option<(String, Vec<String>)>;
}

/// The columns that `*` shows of it. `None` if they are not known.
pub(crate) fn columns(table: &TableWithJoins, tables: &impl Tables) -> Option<Vec<Column>> {
    let mut columns = columns_of(&table.relation, tables)?;
    for join in &table.joins {
        columns = joined(columns, &join.join_operator, &join.relation, tables)?.0;
    }
    Some(columns)
}

/// Gives the joins conditions. `false` if one has a column that cannot be named.
pub(crate) fn name_conditions(table: &mut TableWithJoins, tables: &impl Tables) -> bool {
    let mut left = columns_of(&table.relation, tables);
    let mut all = name_within(&mut table.relation, tables);
    for join in &mut table.joins {
        let found = left
            .take()
            .and_then(|left| joined(left, &join.join_operator, &join.relation, tables));
        all &= name_within(&mut join.relation, tables);
        match found {
            Some((columns, condition)) => {
                if let Some(condition) = condition
                    && let Some(constraint) = constraint_of(&mut join.join_operator)
                {
                    *constraint = JoinConstraint::On(condition);
                }
                left = Some(columns);
            }
            None => all &= !merges(&join.join_operator),
        }
    }
    all
}

/// `(a JOIN b USING (id)) AS j` is a sub-query.
pub(crate) fn enclose(table: &mut TableWithJoins) {
    let joins = table.joins.iter_mut().map(|join| &mut join.relation);
    for factor in std::iter::once(&mut table.relation).chain(joins) {
        let TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } = factor
        else {
            continue;
        };
        let (Some(alias), Ok(mut query)) = (alias.take(), parse::query("SELECT * FROM t")) else {
            enclose(table_with_joins);
            continue;
        };
        if let SetExpr::Select(select) = query.body.as_mut() {
            std::mem::swap(&mut select.from[0], table_with_joins);
        }
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query),
            alias: Some(alias),
            sample: None,
        };
    }
}

fn name_within(factor: &mut TableFactor, tables: &impl Tables) -> bool {
    match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => name_conditions(table_with_joins, tables),
        _ => true,
    }
}

/// All that is joined.
pub(crate) fn factors(table: &TableWithJoins) -> Vec<&TableFactor> {
    let joins = table.joins.iter().map(|join| &join.relation);
    let all = std::iter::once(&table.relation).chain(joins);
    let within = all.flat_map(|factor| match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => factors(table_with_joins),
        factor => vec![factor],
    });
    within.collect()
}

fn columns_of(factor: &TableFactor, tables: &impl Tables) -> Option<Vec<Column>> {
    if let TableFactor::NestedJoin {
        table_with_joins,
        alias: None,
    } = factor
    {
        return columns(table_with_joins, tables);
    }
    let (table, names) = tables.of(factor)?;
    let columns = names.into_iter().map(|name| Column {
        expr: Expr::CompoundIdentifier(vec![
            Ident::with_quote('"', &table),
            Ident::with_quote('"', &name),
        ]),
        name,
        is_shared: false,
    });
    Some(columns.collect())
}

/// The columns of both sides, and the condition that stands for USING or NATURAL.
fn joined(
    mut left: Vec<Column>,
    operator: &JoinOperator,
    right: &TableFactor,
    tables: &impl Tables,
) -> Option<(Vec<Column>, Option<Expr>)> {
    let mut right = columns_of(right, tables)?;
    let has = |columns: &[Column], name: &str| columns.iter().any(|column| column.name == name);
    let names: Vec<String> = match constraint(operator) {
        Some(JoinConstraint::Using(names)) => names
            .iter()
            .map(|name| name.0.last()?.as_ident().map(folded))
            .collect::<Option<_>>()?,
        Some(JoinConstraint::Natural) => left
            .iter()
            .map(|column| column.name.clone())
            .filter(|name| has(&right, name))
            .collect(),
        _ => {
            left.extend(right);
            return Some((left, None));
        }
    };
    let (mut columns, mut condition) = (vec![], None);
    for name in names {
        let (own, other) = (only(&mut left, &name)?, only(&mut right, &name)?);
        let equal = binary(own.expr.clone(), BinaryOperator::Eq, other.expr.clone());
        condition = Some(match condition {
            Some(before) => binary(before, BinaryOperator::And, equal),
            None => equal,
        });
        let expr = match operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => other.expr,
            JoinOperator::FullOuter(_) => call("coalesce", vec![own.expr, other.expr]),
            _ => own.expr,
        };
        columns.push(Column {
            name,
            expr,
            is_shared: true,
        });
    }
    columns.extend(left);
    columns.extend(right);
    let condition = condition.unwrap_or_else(|| Expr::Value(Value::Boolean(true).into()));
    Some((columns, Some(condition)))
}

/// Takes the one column of that name out.
fn only(columns: &mut Vec<Column>, name: &str) -> Option<Column> {
    let at = columns.iter().position(|column| column.name == name)?;
    let found = columns.remove(at);
    let is_only = columns.iter().all(|column| column.name != name);
    is_only.then_some(found)
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// Whether the shared column is not the left table's.
fn merges(operator: &JoinOperator) -> bool {
    matches!(
        operator,
        JoinOperator::Right(JoinConstraint::Using(_) | JoinConstraint::Natural)
            | JoinOperator::RightOuter(JoinConstraint::Using(_) | JoinConstraint::Natural)
            | JoinOperator::FullOuter(JoinConstraint::Using(_) | JoinConstraint::Natural)
    )
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint)
        | J::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn constraint_of(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}
