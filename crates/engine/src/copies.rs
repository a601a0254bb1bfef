//! `INTERSECT ALL` and `EXCEPT ALL`: of a row that stands m times on the left and n times on the right, they keep
//! min(m, n) and max(m - n, 0) copies. DataFusion joins the two sides and keeps all m or none, so the copies are numbered
//! on both sides, and the number is one more column to join by.

use std::sync::Arc;

use datafusion::{
    common::{JoinType, NullEquality, Result as PlanResult, tree_node::Transformed},
    functions_window::expr_fn::row_number,
    logical_expr::{ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder},
};

use crate::{Result, correlated::columns_of};

/// A name that nobody can write.
const COPY: &str = "\u{1}copy";

pub(crate) fn number_copies(plan: LogicalPlan) -> Result<LogicalPlan> {
    let numbered = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if is_of_all(&join) => Ok(Transformed::yes(by_copy(join)?)),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(numbered.data)
}

/// Only set operations are planned as such joins, and only ALL leaves the copies on the left.
fn is_of_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
}

fn by_copy(mut join: Join) -> PlanResult<LogicalPlan> {
    let columns = columns_of(&join.left);
    let (left, right) = (numbered(&join.left)?, numbered(&join.right)?);
    let copy_of = |side: &LogicalPlan| columns_of(side).pop().expect("its copies are numbered");
    join.on.push((copy_of(&left), copy_of(&right)));
    join.left = Arc::new(left);
    join.right = Arc::new(right);
    LogicalPlanBuilder::from(LogicalPlan::Join(join).recompute_schema()?)
        .project(columns)?
        .build()
}

/// Its columns, and the number of each row among those equal to it.
fn numbered(side: &LogicalPlan) -> PlanResult<LogicalPlan> {
    let columns = columns_of(side);
    let number = row_number().partition_by(columns.clone()).build()?;
    let windowed = LogicalPlanBuilder::from(side.clone())
        .window(vec![number])?
        .build()?;
    let number = columns_of(&windowed).pop().expect("it has a number");
    LogicalPlanBuilder::from(windowed)
        .project(columns.into_iter().chain([number.alias(COPY)]))?
        .build()
}
