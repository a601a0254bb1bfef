//! What DataFusion believes of groups: that `GROUP BY s.c, g.m` has one row for each `s.c` if `s` has, and that each row of groups
//! stays one where `unnest` makes several of it. It would then leave a key, a DISTINCT or a sort key out. It knows the columns by
//! the names of what is grouped and sorted by; so these have names of their own here. And it groups by what it believes to be
//! decided by the keys beside them; so a mark tells where the keys of the statement end.

use std::ops::ControlFlow;

use datafusion::{
    common::{
        Column, Result, ScalarValue,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SortExpr,
    },
    sql::sqlparser::ast::{self, GroupByExpr, Select, Statement, Value, VisitMut, VisitorMut},
};

use crate::{Error, correlated::outer_columns};

/// More rows than there are: a limit that conditions do not pass.
const ALL: usize = i64::MAX as usize;

const END: &str = "\u{1}end of keys";

/// Before the statement is planned.
pub(crate) fn mark_keys(statement: &mut Statement) {
    struct Keys;

    impl VisitorMut for Keys {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            let is_set = |key: &ast::Expr| {
                use ast::Expr as E;
                matches!(key, E::Rollup(_) | E::Cube(_) | E::GroupingSets(_))
            };
            if let GroupByExpr::Expressions(keys, modifiers) = &mut select.group_by
                && !(keys.is_empty() || keys.iter().any(is_set))
                && modifiers.is_empty()
            {
                let end = Value::SingleQuotedString(END.to_owned());
                keys.push(ast::Expr::Value(end.into()));
            }
            ControlFlow::Continue(())
        }
    }

    let _ = statement.visit(&mut Keys);
}

/// The plan with the keys of the statement alone. 42803 where it asks for a column that is none of them.
pub(crate) fn only_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    let cut = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Aggregate(mut aggregate) => {
                let mut keys = aggregate.group_expr.iter();
                let Some(end) = keys.position(is_end) else {
                    return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
                };
                aggregate.group_expr.truncate(end);
                let Aggregate {
                    input,
                    group_expr,
                    aggr_expr,
                    ..
                } = aggregate;
                let aggregate = Aggregate::try_new(input, group_expr, aggr_expr)?;
                return Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)));
            }
            node => node,
        };
        if !is_over_groups(&node) {
            return Ok(Transformed::no(node));
        }
        let schema = node.inputs()[0].schema().clone();
        for expr in node.expressions() {
            let mut columns = expr.column_refs().into_iter();
            if let Some(column) = columns.find(|column| !schema.has_column(column)) {
                let name = column.flat_name();
                let message = format!(
                    "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                );
                return Err(Error::Grouping { message }.into());
            }
        }
        Ok(Transformed::yes(node.recompute_schema()?))
    })?;
    Ok(cut.data)
}

fn is_end(key: &Expr) -> bool {
    matches!(key, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if text == END)
}

/// What the columns of an aggregate go through before they are those of a query.
fn is_over_groups(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Window(_) => {
            let input = node.inputs()[0];
            matches!(input, LogicalPlan::Aggregate(_)) || is_over_groups(input)
        }
        _ => false,
    }
}

/// Of a plan whose names are settled.
pub(crate) fn forget(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut number = 0;
    let mut name = || {
        number += 1;
        format!("\u{1}key{number}")
    };
    let forgotten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Distinct(Distinct::All(input))
            if !input.schema().fields().is_empty() && has_groups(&input)? =>
        {
            let columns = input.schema().iter().map(Column::from);
            let (groups, shown): (Vec<Expr>, Vec<Expr>) = columns
                .map(|column| {
                    let (name, relation) = (name(), column.relation.clone());
                    let shown = Expr::Column(Column::new_unqualified(&name));
                    let shown = shown.alias_qualified(relation, &column.name);
                    (Expr::Column(column).alias(name), shown)
                })
                .unzip();
            let grouped = LogicalPlan::Aggregate(Aggregate::try_new(input, groups, vec![])?);
            let shown = Projection::try_new(shown, grouped.into())?;
            Ok(Transformed::yes(LogicalPlan::Projection(shown)))
        }
        LogicalPlan::Aggregate(aggregate)
            if !answers_of_nothing(&aggregate) && has_spread_groups(&aggregate.input)? =>
        {
            let groups = aggregate.group_expr.len();
            let names: Vec<String> = (0..groups).map(|_| name()).collect();
            let keys = aggregate.group_expr.into_iter().zip(&names);
            let keys = keys.map(|(key, name)| key.alias(name)).collect();
            let columns = aggregate.schema.iter().enumerate();
            let columns = columns.map(|(at, (relation, field))| match names.get(at) {
                Some(name) => Expr::Column(Column::new_unqualified(name))
                    .alias_qualified(relation.cloned(), field.name()),
                None => Expr::Column(Column::from((relation, field))),
            });
            let columns = columns.collect();
            let grouped = Aggregate::try_new(aggregate.input, keys, aggregate.aggr_expr)?;
            let grouped = LogicalPlan::Aggregate(grouped).into();
            let shown = Projection::try_new(columns, grouped)?;
            Ok(Transformed::yes(LogicalPlan::Projection(shown)))
        }
        // A condition on constants beside it would be asked of the rows.
        LogicalPlan::Aggregate(aggregate)
            if answers_of_nothing(&aggregate) && outer_columns(&aggregate.input).is_empty() =>
        {
            let aggregate = LogicalPlanBuilder::from(LogicalPlan::Aggregate(aggregate));
            Ok(Transformed::yes(aggregate.limit(0, Some(ALL))?.build()?))
        }
        LogicalPlan::Sort(sort) if has_groups_of_groups(&sort.input)? => {
            let keys = sort.expr.into_iter().map(|key| SortExpr {
                expr: key.expr.alias(name()),
                ..key
            });
            Ok(Transformed::yes(LogicalPlan::Sort(Sort {
                expr: keys.collect(),
                ..sort
            })))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(forgotten.data)
}

/// Whether groups are below, or rows that will be groups.
fn has_groups(plan: &LogicalPlan) -> Result<bool> {
    has(plan, &|node| Ok(is_group(node)))
}

fn has_groups_of_groups(plan: &LogicalPlan) -> Result<bool> {
    has(plan, &|node| match node {
        node if is_group(node) || matches!(node, LogicalPlan::Unnest(_)) => {
            has_groups(node.inputs()[0])
        }
        _ => Ok(false),
    })
}

/// Whether groups are below what makes several rows of one.
fn has_spread_groups(plan: &LogicalPlan) -> Result<bool> {
    has(plan, &|node| match node {
        LogicalPlan::Join(_) | LogicalPlan::Unnest(_) => {
            let mut found = false;
            for input in node.inputs() {
                found |= has_groups(input)?;
            }
            Ok(found)
        }
        _ => Ok(false),
    })
}

/// Whether it may have a row for no rows.
fn answers_of_nothing(aggregate: &Aggregate) -> bool {
    let mut groups = aggregate.group_expr.iter();
    aggregate.group_expr.is_empty() || groups.any(|group| matches!(group, Expr::GroupingSet(_)))
}

fn is_group(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_))
}

fn has(plan: &LogicalPlan, wanted: &dyn Fn(&LogicalPlan) -> Result<bool>) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= wanted(node)?;
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}
