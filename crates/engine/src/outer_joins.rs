//! `a LEFT JOIN b ON a.k = b.k AND b.s IN (SELECT …)`: DataFusion asks sub-queries as conditions of rows only, not of pairs. One
//! that is about rows that may be left out chooses among these before they are joined; of other rows it is computed beforehand,
//! beside the row.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, DFSchema, JoinType, Result as PlanResult,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        BinaryExpr, Expr, Join, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr,
        expr::{Exists, InSubquery},
        utils::{conjunction, split_conjunction_owned},
    },
};

use crate::{
    Result,
    correlated::{columns_of, lateral, outer_columns, rows_of_value},
    names::PRIVATE,
};

pub(crate) fn ask_before_joining(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut count = 0;
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join)
            if matches!(
                join.join_type,
                JoinType::Left | JoinType::Right | JoinType::Full
            ) && lateral(&join).is_none()
                && join.filter.as_ref().is_some_and(has_subquery) =>
        {
            asked_before(join, &mut count).map(Transformed::yes)
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(changed.data)
}

/// One side of the join, and what is asked of its rows.
struct Side {
    plan: LogicalPlan,
    /// Its rows may be left out.
    is_chosen: bool,
    conditions: Vec<Expr>,
    /// What is computed beside its rows.
    answers: Vec<Expr>,
}

impl Side {
    fn new(plan: &LogicalPlan, is_chosen: bool) -> Self {
        Self {
            plan: plan.clone(),
            is_chosen,
            conditions: vec![],
            answers: vec![],
        }
    }

    fn build(self) -> PlanResult<LogicalPlan> {
        let mut side = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(condition) = conjunction(self.conditions) {
            side = side.filter(condition)?;
        }
        if !self.answers.is_empty() {
            let mut columns = columns_of(&self.plan);
            columns.extend(self.answers);
            side = side.project(columns)?;
        }
        side.build()
    }
}

fn asked_before(mut join: Join, count: &mut usize) -> PlanResult<LogicalPlan> {
    let columns = columns_of(&LogicalPlan::Join(join.clone()));
    let mut sides = [
        Side::new(&join.left, join.join_type == JoinType::Right),
        Side::new(&join.right, join.join_type == JoinType::Left),
    ];
    let conditions = join.filter.take().into_iter();
    let conditions = conditions.flat_map(split_conjunction_owned);
    let mut of_pairs = vec![];
    for condition in conditions {
        if !has_subquery(&condition) {
            of_pairs.push(condition);
            continue;
        }
        let chooses = |side: &&mut Side| side.is_chosen && is_about(&condition, side.plan.schema());
        match sides.iter_mut().find(chooses) {
            Some(side) => side.conditions.push(condition),
            None => of_pairs.push(answered(condition, &mut sides, count)?),
        }
    }
    join.filter = conjunction(of_pairs);
    let [left, right] = sides;
    join.left = Arc::new(left.build()?);
    join.right = Arc::new(right.build()?);
    LogicalPlanBuilder::from(LogicalPlan::Join(join).recompute_schema()?)
        .project(columns)?
        .build()
}

/// The condition over what its sub-queries answer, where it does not matter whether that is false or unknown.
fn answered(condition: Expr, sides: &mut [Side; 2], count: &mut usize) -> PlanResult<Expr> {
    let asked = match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let left = answered(*left, sides, count)?;
            return Ok(binary_expr(left, op, answered(*right, sides, count)?));
        }
        asked @ (Expr::InSubquery(_) | Expr::Exists(_)) => asked,
        other => return Ok(other),
    };
    let mut sides = sides.iter_mut();
    let Some(side) = sides.find(|side| is_about(&asked, side.plan.schema())) else {
        return Ok(asked);
    };
    let answer = match asked {
        Expr::InSubquery(asked) => {
            let rows = rows_of_value(&asked, side.plan.schema())?;
            Expr::Exists(Exists {
                subquery: Subquery {
                    outer_ref_columns: rows.all_out_ref_exprs(),
                    subquery: Arc::new(rows),
                    spans: asked.subquery.spans,
                },
                negated: asked.negated,
            })
        }
        exists => exists,
    };
    *count += 1;
    let name = format!("{PRIVATE}asked{count}");
    side.answers.push(answer.alias(&name));
    Ok(Expr::Column(Column::from_name(name)))
}

/// Whether all that it asks for outside of its sub-queries is there.
fn is_about(condition: &Expr, schema: &DFSchema) -> bool {
    let own = condition.column_refs().into_iter();
    let asked = subqueries(condition);
    let asked = asked
        .iter()
        .flat_map(|asked| outer_columns(&asked.subquery));
    own.cloned()
        .chain(asked)
        .all(|column| schema.has_column(&column))
}

fn has_subquery(condition: &Expr) -> bool {
    !subqueries(condition).is_empty()
}

fn subqueries(condition: &Expr) -> Vec<Subquery> {
    let mut found = vec![];
    let _ = condition.apply(|part| {
        match part {
            Expr::InSubquery(InSubquery { subquery, .. })
            | Expr::Exists(Exists { subquery, .. }) => found.push(subquery.clone()),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}
