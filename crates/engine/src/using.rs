//! `JOIN … USING (id)` and `NATURAL JOIN`: the column that two tables share is one column to PostgreSQL, stands first in `*`, and is
//! not the left table's in a RIGHT or a FULL JOIN. DataFusion has it otherwise; so such joins get a condition.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
};

use datafusion::{
    common::{ExprSchema, tree_node::TreeNodeRecursion},
    logical_expr::{self, LogicalPlan, Operator, utils::split_conjunction},
    sql::sqlparser::ast::{
        BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Ident, JoinConstraint,
        JoinOperator, ObjectName, Query, SetExpr, Statement, TableFactor, TableWithJoins,
        TimezoneInfo, Value, Visit, Visitor, visit_expressions,
    },
};

use crate::{
    Result,
    columns::column_type,
    common_kind::{Category, category, without_length},
    names::folded,
    parse,
    pg_type::Kind,
    tree::call,
};

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

    fn merged(&self) -> &Merged;
}

/// Of what shared columns are where their sides are not of one type: by what is named on the right side.
pub(crate) type Merged = HashMap<Named, Common>;

type Named = BTreeSet<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Common {
    data_type: DataType,
    /// Which side is of the type as it stands.
    is_of_left: bool,
    is_of_right: bool,
}

/// Whether tables may share columns.
pub(crate) fn is_in(statement: &Statement) -> bool {
    struct Joins;
    impl Visitor for Joins {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let mut bodies = vec![query.body.as_ref()];
            while let Some(body) = bodies.pop() {
                match body {
                    SetExpr::Select(select) if select.from.iter().any(shares) => {
                        return ControlFlow::Break(());
                    }
                    SetExpr::SetOperation { left, right, .. } => bodies.extend([&**left, &**right]),
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        }
    }
    statement.visit(&mut Joins).is_break()
}

fn shares(table: &TableWithJoins) -> bool {
    let within = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => shares(table_with_joins),
        _ => false,
    };
    within(&table.relation)
        || table.joins.iter().any(|join| {
            within(&join.relation)
                || matches!(
                    constraint(&join.join_operator),
                    Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
                )
        })
}

/// The columns that two tables may share and that are of two types in them.
pub(crate) fn of_two_types(plan: &LogicalPlan) -> Result<Merged> {
    let mut merged = Merged::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            let on = join.on.iter().map(|(left, right)| (left, right));
            let filter = join.filter.iter().flat_map(split_conjunction);
            let equal = filter.filter_map(|term| match term {
                logical_expr::Expr::BinaryExpr(equal) if equal.op == Operator::Eq => {
                    Some((equal.left.as_ref(), equal.right.as_ref()))
                }
                _ => None,
            });
            for (left, right) in on.chain(equal) {
                let kinds = |expr: &logical_expr::Expr| {
                    let columns = expr.column_refs();
                    let fields = columns.into_iter();
                    let fields = fields.filter_map(|column| {
                        let (schema, other) = (join.left.schema(), join.right.schema());
                        let field = schema.field_from_column(column);
                        field.or_else(|_| other.field_from_column(column)).ok()
                    });
                    let kinds = fields.map(|field| column_type(field).kind);
                    kinds.reduce(common)
                };
                let (Some(left_kind), Some(right_kind)) = (kinds(left), kinds(right)) else {
                    continue;
                };
                if left_kind == right_kind {
                    continue;
                }
                let kind = common(left_kind.clone(), right_kind.clone());
                let names = right.column_refs().into_iter().filter_map(|column| {
                    let table = column.relation.as_ref()?.table().to_owned();
                    Some((table, column.name.clone()))
                });
                if let Some(data_type) = spelled(&kind) {
                    let found = Common {
                        data_type,
                        is_of_left: kind == left_kind,
                        is_of_right: kind == right_kind,
                    };
                    merged.insert(names.collect(), found);
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(merged)
}

/// The type that PostgreSQL finds for both, without a length.
fn common(one: Kind, other: Kind) -> Kind {
    let rank = |kind: &Kind| match kind {
        Kind::Int2 | Kind::Date => 1,
        Kind::Int4 | Kind::Timestamp => 2,
        Kind::Int8 | Kind::Timestamptz => 3,
        Kind::Numeric(_) => 4,
        Kind::Float4 => 5,
        Kind::Float8 => 6,
        _ => 0,
    };
    if one == other {
        return one;
    }
    let bare = |kind: Kind| match kind {
        Kind::Numeric(_) => Kind::Numeric(None),
        kind => without_length(kind),
    };
    match category(&one) {
        Some(Category::Number | Category::Moment) if rank(&one) < rank(&other) => bare(other),
        _ => bare(one),
    }
}

fn spelled(kind: &Kind) -> Option<DataType> {
    Some(match kind {
        Kind::Int2 => DataType::SmallInt(None),
        Kind::Int4 => DataType::Integer(None),
        Kind::Int8 => DataType::BigInt(None),
        Kind::Numeric(_) => DataType::Numeric(ExactNumberInfo::None),
        Kind::Float4 => DataType::Real,
        Kind::Float8 => DataType::DoublePrecision,
        Kind::Date => DataType::Date,
        Kind::Timestamp => DataType::Timestamp(None, TimezoneInfo::None),
        Kind::Timestamptz => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        Kind::Text => DataType::Text,
        Kind::Varchar(_) => DataType::Varchar(None),
        Kind::Char(_) => DataType::Custom(ObjectName::from(vec![Ident::new("bpchar")]), vec![]),
        _ => return None,
    })
}

/// What is named in it.
fn named(expr: &Expr) -> Named {
    let mut names = Named::new();
    let _ = visit_expressions(expr, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table, column] = parts.as_slice()
        {
            names.insert((table.value.clone(), column.value.clone()));
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

fn as_type(expr: Expr, common: &Common) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: common.data_type.clone(),
        array: false,
        format: None,
    }
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
        let common = tables.merged().get(&named(&other.expr));
        let is_right = matches!(
            operator,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_)
        );
        let is_left = matches!(operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
        let expr = match common {
            _ if matches!(operator, JoinOperator::FullOuter(_)) => {
                call("coalesce", vec![own.expr, other.expr])
            }
            Some(common) if is_right && !common.is_of_right => as_type(other.expr, common),
            _ if is_right => other.expr,
            None => own.expr,
            Some(common) if common.is_of_left => own.expr,
            // Where both are equal, one may need no cast.
            Some(common) if !is_left && common.is_of_right => other.expr,
            Some(common) => as_type(own.expr, common),
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
