//! `JOIN … USING (id)`: the column that two tables share is one column to PostgreSQL. DataFusion finds it in what is
//! selected and ordered by, not in WHERE, not where three tables share it, and takes the left table's in a RIGHT and a FULL
//! JOIN too; so it is named.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query, Select,
    SelectItem, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use crate::{names::folded, reword::expression};

/// What stands for a shared column.
struct Shared {
    expr: Expr,
    /// Not the left table's, or shared by three: named in what is selected too.
    is_other: bool,
}

type SharedColumns = BTreeMap<String, Shared>;

/// Changes one SELECT, and what orders its rows.
pub(crate) fn name_shared_columns(select: &mut Select, order_by: Option<&mut OrderBy>) {
    let mut shared = SharedColumns::new();
    let shows_all = shows_all(select);
    for from in &mut select.from {
        let mut conditions = vec![];
        let _ = find(from, &mut shared, &mut conditions);
        for (join, condition) in conditions.into_iter().filter(|_| !shows_all) {
            if let Some(constraint) = constraint(&mut from.joins[join].join_operator) {
                *constraint = JoinConstraint::On(condition);
            }
        }
    }
    if shared.is_empty() {
        return;
    }
    if let Some(selection) = &mut select.selection {
        replace(selection, &shared, false);
    }
    if !shared.values().any(|column| column.is_other) {
        return;
    }
    let mut names = vec![];
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                if let Some(column) = shared.get(&folded(name)) {
                    let (expr, alias) = (column.expr.clone(), name.clone());
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
            }
            SelectItem::UnnamedExpr(expr) => replace(expr, &shared, true),
            SelectItem::ExprWithAlias { expr, .. } => replace(expr, &shared, true),
            _ => {}
        }
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            names.push(folded(alias));
        }
    }
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
        for expr in by {
            replace(expr, &shared, true);
        }
    }
    if let Some(having) = &mut select.having {
        replace(having, &shared, true);
    }
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(order),
        ..
    }) = order_by
    {
        for by in order {
            match &by.expr {
                // What is selected goes before what is joined.
                Expr::Identifier(name) if names.contains(&folded(name)) => {}
                _ => replace(&mut by.expr, &shared, true),
            }
        }
    }
}

/// Whether a RIGHT or FULL JOIN shares columns that cannot be named: `*` shows them, or it is not known whose they are.
pub(crate) fn shares_unnamed(select: &Select) -> bool {
    let shows_all = shows_all(select);
    select.from.iter().any(|from| {
        let merges = from.joins.iter().any(|join| {
            matches!(
                join.join_operator,
                JoinOperator::Right(JoinConstraint::Using(_) | JoinConstraint::Natural)
                    | JoinOperator::RightOuter(JoinConstraint::Using(_) | JoinConstraint::Natural)
                    | JoinOperator::FullOuter(JoinConstraint::Using(_) | JoinConstraint::Natural)
            )
        });
        merges && (shows_all || find(from, &mut SharedColumns::new(), &mut vec![]).is_none())
    })
}

fn shows_all(select: &Select) -> bool {
    select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    })
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// `None` if a RIGHT or FULL JOIN has columns that cannot be named. Joins whose columns were shared before get conditions: in
/// USING, DataFusion finds a column of two tables to the left of it, not of three.
fn find(
    from: &TableWithJoins,
    shared: &mut SharedColumns,
    conditions: &mut Vec<(usize, Expr)>,
) -> Option<()> {
    let mut found_all = Some(());
    let mut tables = vec![name_of_table(&from.relation)];
    for (number, join) in from.joins.iter().enumerate() {
        let right = name_of_table(&join.relation);
        let (columns, side) = match &join.join_operator {
            JoinOperator::Join(JoinConstraint::Using(columns))
            | JoinOperator::Inner(JoinConstraint::Using(columns)) => {
                (columns.as_slice(), Side::Any)
            }
            JoinOperator::Left(JoinConstraint::Using(columns))
            | JoinOperator::LeftOuter(JoinConstraint::Using(columns)) => {
                (columns.as_slice(), Side::Left)
            }
            JoinOperator::Right(JoinConstraint::Using(columns))
            | JoinOperator::RightOuter(JoinConstraint::Using(columns)) => {
                (columns.as_slice(), Side::Right)
            }
            JoinOperator::FullOuter(JoinConstraint::Using(columns)) => {
                (columns.as_slice(), Side::Both)
            }
            JoinOperator::Right(JoinConstraint::Natural)
            | JoinOperator::RightOuter(JoinConstraint::Natural)
            | JoinOperator::FullOuter(JoinConstraint::Natural) => {
                found_all = None;
                (&[][..], Side::Both)
            }
            _ => (&[][..], Side::Any),
        };
        let mut equal = vec![];
        for column in columns {
            let Some(column) = column.0.last().and_then(|part| part.as_ident()) else {
                continue;
            };
            let before = shared.remove(&folded(column)).map(|before| Shared {
                is_other: true,
                ..before
            });
            if let (Some(before), Some(right)) = (&before, &right) {
                let right = Shared::of(right, column);
                equal.push(format!("{} = {}", before.expr, right.expr));
            }
            let left = before.or_else(|| match tables.as_slice() {
                [Some(table)] => Some(Shared::of(table, column)),
                _ => None,
            });
            let right = right.as_ref();
            let right = right.map(|table| Shared::of(table, column));
            let found = match side {
                Side::Any => left.or(right),
                Side::Left => left,
                Side::Right => right.map(|right| Shared {
                    is_other: true,
                    ..right
                }),
                Side::Both => left
                    .zip(right)
                    .and_then(|(left, right)| left.or_else(&right)),
            };
            match (found, side) {
                (Some(found), _) => {
                    shared.insert(folded(column), found);
                }
                (None, Side::Right | Side::Both) => found_all = None,
                (None, _) => {}
            }
        }
        if !columns.is_empty() && equal.len() == columns.len() {
            let condition = expression(&equal.join(" AND "));
            conditions.extend(condition.map(|condition| (number, condition)));
        }
        tables.push(right);
    }
    found_all
}

#[derive(Clone, Copy)]
enum Side {
    Any,
    Left,
    Right,
    Both,
}

impl Shared {
    fn of(table: &Ident, column: &Ident) -> Self {
        Self {
            expr: Expr::CompoundIdentifier(vec![table.clone(), column.clone()]),
            is_other: false,
        }
    }

    fn or_else(&self, other: &Self) -> Option<Self> {
        Some(Self {
            expr: expression(&format!("coalesce({}, {})", self.expr, other.expr))?,
            is_other: true,
        })
    }
}

fn name_of_table(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias, name, .. } => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last().and_then(|part| part.as_ident()).cloned(),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        _ => None,
    }
}

/// Bare names, those of sub-queries left out: there they may be others' columns.
fn replace(expr: &mut Expr, shared: &SharedColumns, others_only: bool) {
    let _ = expr.visit(&mut Replace {
        shared,
        others_only,
        depth: 0,
    });
}

struct Replace<'a> {
    shared: &'a SharedColumns,
    others_only: bool,
    depth: usize,
}

impl VisitorMut for Replace<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(name) = &*expr
            && let Some(column) = self.shared.get(&folded(name))
            && (column.is_other || !self.others_only)
        {
            *expr = column.expr.clone();
        }
        ControlFlow::Continue(())
    }
}
