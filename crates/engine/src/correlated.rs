//! `(SELECT sum(y.amount) FROM sales y WHERE y.day <= x.day)`: DataFusion joins a correlated sub-query by equal columns only.
//! Any other condition is joined here: the sub-query is computed once for each different set of the outer values that it
//! asks for, grouped by them, and joined to the rows around it. The dependent join's elimination of Neumann and Kemper,
//! *Unnesting Arbitrary Queries*, BTW 2015, for sub-queries that aggregate; all others have become such before.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, JoinType, NullEquality, Result as PlanResult, ScalarValue, TableReference,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    functions_aggregate::expr_fn::count,
    logical_expr::{
        Aggregate, Expr, Filter, JoinConstraint, LogicalPlan, LogicalPlanBuilder, Operator,
        Projection, Subquery, expr_rewriter::NamePreserver, lit, logical_plan::Join,
        utils::split_conjunction, when,
    },
};

use crate::{Result, names::PRIVATE};

pub(crate) fn join_by_any_condition(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut count = 0;
    let changed = plan.transform_up_with_subqueries(|node| match &node {
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::Filter(Filter { input, .. }) => {
            let input = input.clone();
            around(node, &input, &mut count)
        }
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(changed.data)
}

/// Joins what the node's expressions ask for to its input.
fn around(
    node: LogicalPlan,
    input: &Arc<LogicalPlan>,
    count: &mut usize,
) -> PlanResult<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let mut joined = input.as_ref().clone();
    let exprs = node.expressions().into_iter().map(|expr| {
        let name = names.save(&expr);
        let changed = expr.transform_up(|expr| match expr {
            Expr::ScalarSubquery(subquery)
                if is_ranging(&subquery) || makes_rows(&subquery.subquery) =>
            {
                *count += 1;
                match join(&joined, &subquery, *count)? {
                    Some((plan, value)) => {
                        joined = plan;
                        Ok(Transformed::yes(value))
                    }
                    None => Ok(Transformed::no(Expr::ScalarSubquery(subquery))),
                }
            }
            Expr::Exists(exists) if makes_rows(&exists.subquery.subquery) => {
                *count += 1;
                match join(&joined, &counted(&exists.subquery)?, *count)? {
                    Some((plan, value)) => {
                        joined = plan;
                        Ok(Transformed::yes(match exists.negated {
                            true => value.eq(lit(0_i64)),
                            false => value.gt(lit(0_i64)),
                        }))
                    }
                    None => Ok(Transformed::no(Expr::Exists(exists))),
                }
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok((name.restore(changed.data), changed.transformed))
    });
    let exprs = exprs.collect::<PlanResult<Vec<_>>>()?;
    if !exprs.iter().any(|(_, transformed)| *transformed) {
        return Ok(Transformed::no(node));
    }
    let exprs = exprs.into_iter().map(|(expr, _)| expr).collect();
    let is_filter = matches!(node, LogicalPlan::Filter(_));
    let changed = node.with_new_exprs(exprs, vec![joined])?;
    let changed = match is_filter {
        true => LogicalPlanBuilder::from(changed)
            .project(columns_of(input))?
            .build()?,
        false => changed,
    };
    Ok(Transformed::yes(changed))
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    let columns = plan.schema().columns().into_iter();
    columns.map(Expr::Column).collect()
}

/// Whether a condition is not of the form `inner = outer`.
fn is_ranging(subquery: &Subquery) -> bool {
    let mut found = false;
    let _ = subquery.subquery.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            let mut conditions = split_conjunction(&filter.predicate).into_iter();
            found |= conditions.any(|condition| match condition {
                Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
                    binary.left.contains_outer()
                        && (binary.right.contains_outer() || has_columns(&binary.left))
                        || binary.right.contains_outer() && has_columns(&binary.right)
                }
                condition => condition.contains_outer(),
            });
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    });
    found
}

/// Whether a function makes rows of outer values: `FROM unnest(outer.list)`.
fn makes_rows(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        Ok(matches!(node, LogicalPlan::Unnest(unnest) if asks_outside(&unnest.input)))
    })
    .is_ok_and(|found| found)
}

/// How many rows the sub-query has.
fn counted(subquery: &Subquery) -> PlanResult<Subquery> {
    let rows = subquery.subquery.as_ref().clone();
    let count =
        LogicalPlanBuilder::from(rows).aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?;
    Ok(Subquery {
        subquery: Arc::new(count.build()?),
        ..subquery.clone()
    })
}

fn has_columns(expr: &Expr) -> bool {
    !expr.column_refs().is_empty()
}

/// The outer values that a sub-query asks for, and the names that they have in it.
struct Domain {
    plan: LogicalPlan,
    names: Vec<(Column, String)>,
}

impl Domain {
    /// The outer values in a plan that carries them.
    fn columns(&self, plan: &LogicalPlan) -> PlanResult<Vec<Expr>> {
        let names = self.names.iter();
        names.map(|(_, name)| carried(plan, name)).collect()
    }

    /// The expression over a plan that carries them.
    fn resolve(&self, expr: Expr, plan: &LogicalPlan) -> PlanResult<Expr> {
        let changed = expr.transform_up(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => {
                match self.names.iter().find(|(outer, _)| outer == column) {
                    Some((_, name)) => Ok(Transformed::yes(carried(plan, name)?)),
                    None => Ok(Transformed::no(expr)),
                }
            }
            _ => Ok(Transformed::no(expr)),
        })?;
        Ok(changed.data)
    }
}

fn carried(plan: &LogicalPlan, name: &str) -> PlanResult<Expr> {
    let (table, field) = plan.schema().qualified_field_with_unqualified_name(name)?;
    Ok(Expr::Column(Column::from((table, field))))
}

/// The rows with the sub-query's value beside each, and what the value is called. `None` if it is of a form that is not known.
fn join(
    rows: &LogicalPlan,
    subquery: &Subquery,
    number: usize,
) -> PlanResult<Option<(LogicalPlan, Expr)>> {
    let mut outer: Vec<Column> = vec![];
    for expr in &subquery.outer_ref_columns {
        match expr {
            Expr::OuterReferenceColumn(_, column) if rows.schema().has_column(column) => {
                if !outer.contains(column) {
                    outer.push(column.clone());
                }
            }
            // Of a query further out.
            _ => return Ok(None),
        }
    }
    let names = outer.into_iter().enumerate();
    let names: Vec<_> = names
        .map(|(at, column)| (column, format!("{PRIVATE}outer{number}_{at}")))
        .collect();
    let values = names
        .iter()
        .map(|(column, name)| Expr::Column(column.clone()).alias(name));
    let domain = Domain {
        plan: LogicalPlanBuilder::from(rows.clone())
            .project(values)?
            .distinct()?
            .build()?,
        names: names.clone(),
    };
    let Some(computed) = carry(&subquery.subquery, &domain)? else {
        return Ok(None);
    };
    let Some(of_no_rows) = of_no_rows(&subquery.subquery)? else {
        return Ok(None);
    };
    // One name for what was computed, so that no column of the rows is taken for one of its own.
    let table = TableReference::bare(format!("{PRIVATE}correlated{number}"));
    let (value, is_there) = (
        format!("{PRIVATE}value{number}"),
        format!("{PRIVATE}is_there{number}"),
    );
    let first = columns_of(&computed).swap_remove(0);
    let mut columns = domain.columns(&computed)?;
    columns.extend([first.alias(&value), lit(true).alias(&is_there)]);
    let computed = LogicalPlanBuilder::from(computed)
        .project(columns)?
        .alias(table.clone())?
        .build()?;
    let on = names.iter().map(|(outer, name)| {
        let inner = Column::new(Some(table.clone()), name);
        (Expr::Column(outer.clone()), Expr::Column(inner))
    });
    let joined = LogicalPlan::Join(Join::try_new(
        Arc::new(rows.clone()),
        Arc::new(computed),
        on.collect(),
        None,
        JoinType::Left,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    )?);
    let column = |name| Expr::Column(Column::new(Some(table.clone()), name));
    let default = format!("{PRIVATE}default{number}");
    let first = columns_of(&of_no_rows).swap_remove(0);
    let of_no_rows = LogicalPlanBuilder::from(of_no_rows)
        .project([first.alias(&default)])?
        .build()?;
    let joined = LogicalPlanBuilder::from(joined)
        .cross_join(of_no_rows)?
        .build()?;
    let default = Expr::Column(Column::from_name(default));
    let value = when(column(is_there), column(value)).otherwise(default)?;
    Ok(Some((joined, value)))
}

fn asks_outside(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let _ = plan.apply_with_subqueries(|node| {
        found |= node.expressions().iter().any(Expr::contains_outer);
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    });
    found
}

/// The sub-query for each set of outer values, with these values beside what it answers.
fn carry(plan: &LogicalPlan, domain: &Domain) -> PlanResult<Option<LogicalPlan>> {
    if !asks_outside(plan) {
        let plan = LogicalPlanBuilder::from(plan.clone())
            .cross_join(domain.plan.clone())?
            .build()?;
        return Ok(Some(plan));
    }
    // What is inside an expression of it, nobody has joined yet.
    let mut nests = false;
    for expr in plan.expressions() {
        nests |= expr.exists(|expr| {
            Ok(matches!(
                expr,
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)
            ))
        })?;
    }
    if nests {
        return Ok(None);
    }
    let resolve_all = |exprs: &[Expr], input: &LogicalPlan| {
        let names = NamePreserver::new_for_projection();
        let exprs = exprs.iter().map(|expr| {
            let name = names.save(expr);
            Ok(name.restore(domain.resolve(expr.clone(), input)?))
        });
        exprs.collect::<PlanResult<Vec<_>>>()
    };
    let plan = match plan {
        LogicalPlan::Filter(filter) => {
            let Some(input) = carry(&filter.input, domain)? else {
                return Ok(None);
            };
            let predicate = domain.resolve(filter.predicate.clone(), &input)?;
            LogicalPlanBuilder::from(input).filter(predicate)?.build()?
        }
        LogicalPlan::Projection(projection) => {
            let Some(input) = carry(&projection.input, domain)? else {
                return Ok(None);
            };
            let mut exprs = resolve_all(&projection.expr, &input)?;
            exprs.extend(domain.columns(&input)?);
            LogicalPlanBuilder::from(input).project(exprs)?.build()?
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(input) = carry(&unnest.input, domain)? else {
                return Ok(None);
            };
            LogicalPlanBuilder::from(input)
                .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?
                .build()?
        }
        // What is LATERAL has nothing beside it but the outer values.
        LogicalPlan::Subquery(lateral) => return carry(&lateral.subquery, domain),
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = carry(&alias.input, domain)? else {
                return Ok(None);
            };
            LogicalPlanBuilder::from(input)
                .alias(alias.alias.clone())?
                .build()?
        }
        LogicalPlan::Aggregate(aggregate) => {
            let Some(input) = carry(&aggregate.input, domain)? else {
                return Ok(None);
            };
            let mut groups = resolve_all(&aggregate.group_expr, &input)?;
            if groups
                .iter()
                .any(|group| matches!(group, Expr::GroupingSet(_)))
            {
                return Ok(None);
            }
            groups.extend(domain.columns(&input)?);
            let aggregates = resolve_all(&aggregate.aggr_expr, &input)?;
            let mut answers = vec![];
            let own = aggregate.schema.columns();
            let grouped = Aggregate::try_new(Arc::new(input), groups, aggregates)?;
            let grouped = LogicalPlan::Aggregate(grouped);
            for column in own {
                answers.push(Expr::Column(column));
            }
            answers.extend(domain.columns(&grouped)?);
            // In the order of before, the outer values last.
            LogicalPlanBuilder::from(grouped)
                .project(answers)?
                .build()?
        }
        LogicalPlan::Join(join)
            if join.join_type == JoinType::Inner
                && !join.filter.iter().any(Expr::contains_outer) =>
        {
            let (left, right) = match (asks_outside(&join.left), asks_outside(&join.right)) {
                (true, false) => (
                    carry(&join.left, domain)?,
                    Some(join.right.as_ref().clone()),
                ),
                (false, true) => (
                    Some(join.left.as_ref().clone()),
                    carry(&join.right, domain)?,
                ),
                _ => return Ok(None),
            };
            let Some((left, right)) = left.zip(right) else {
                return Ok(None);
            };
            LogicalPlan::Join(Join::try_new(
                Arc::new(left),
                Arc::new(right),
                join.on.clone(),
                join.filter.clone(),
                join.join_type,
                join.join_constraint,
                join.null_equality,
                join.null_aware,
            )?)
        }
        _ => return Ok(None),
    };
    Ok(Some(plan))
}

/// What the sub-query answers where it finds nothing: `count` has an answer to that. `None` if it does not aggregate into one
/// row, or asks outside above the aggregate.
fn of_no_rows(plan: &LogicalPlan) -> PlanResult<Option<LogicalPlan>> {
    let empty = match plan {
        LogicalPlan::Projection(projection)
            if !projection.expr.iter().any(Expr::contains_outer) =>
        {
            let Some(input) = of_no_rows(&projection.input)? else {
                return Ok(None);
            };
            plan.with_new_exprs(plan.expressions(), vec![input])?
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = of_no_rows(&alias.input)? else {
                return Ok(None);
            };
            plan.with_new_exprs(vec![], vec![input])?
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            let input = without_outer(aggregate.input.as_ref().clone())?;
            let nothing = LogicalPlanBuilder::from(input)
                .filter(lit(false))?
                .build()?;
            let exprs = aggregate.aggr_expr.iter();
            if exprs.clone().any(Expr::contains_outer) {
                return Ok(None);
            }
            let exprs = exprs.cloned().collect();
            LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(nothing), vec![], exprs)?)
        }
        _ => return Ok(None),
    };
    Ok(Some(empty))
}

/// Nothing of it is computed, so its conditions need no values.
fn without_outer(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Subquery(lateral) => Arc::unwrap_or_clone(lateral.subquery),
            node => node,
        };
        node.map_expressions(|expr| {
            expr.transform_up(|expr| match &expr {
                Expr::OuterReferenceColumn(field, _) => {
                    let nothing = ScalarValue::try_from(field.data_type())?;
                    Ok(Transformed::yes(lit(nothing)))
                }
                _ => Ok(Transformed::no(expr)),
            })
        })
    })?;
    Ok(changed.data)
}
