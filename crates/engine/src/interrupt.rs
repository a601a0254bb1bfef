//! Ends operators that compute for seconds without giving the thread back.
//!
//! A nested loop join compares one batch of one side with all rows of the other, and comes back when it has found
//! something or is through. It is ended from within: its condition fails as soon as nobody wants the answer. A model is
//! fitted when its aggregate is asked for the answer, and a function of one row gets thousands of rows at once: whoever asks
//! tells them whether it is still wanted.

use std::{
    fmt::{self, Display},
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, FieldRef, Schema},
};
use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::ColumnarValue,
    physical_expr::{PhysicalExpr, ScalarFunctionExpr},
    physical_plan::{
        ExecutionPlan,
        aggregates::AggregateExec,
        joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder, utils::JoinFilter},
        windows::{BoundedWindowAggExec, WindowAggExec},
    },
};

use crate::{asking::Asking, cancel::Guard};

/// The same plan, which ends soon after the guard says that it is over.
pub(crate) fn interruptible(
    plan: Arc<dyn ExecutionPlan>,
    guard: &Guard,
) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let computes = is_aggregate(&node) || calls_functions(&node)?;
        let asking = |node: Arc<dyn ExecutionPlan>| -> Arc<dyn ExecutionPlan> {
            match computes {
                true => Arc::new(Asking::new(node, guard)),
                false => node,
            }
        };
        let Some((join, filter)) = node
            .downcast_ref::<NestedLoopJoinExec>()
            .and_then(|join| Some((join, join.filter()?)))
        else {
            return Ok(match computes {
                true => Transformed::yes(asking(node)),
                false => Transformed::no(node),
            });
        };
        let condition = Condition {
            inner: filter.expression().clone(),
            guard: guard.clone(),
        };
        let filter = JoinFilter::new(
            Arc::new(condition),
            filter.column_indices().to_vec(),
            filter.schema().clone(),
        );
        let join = NestedLoopJoinExecBuilder::new(
            join.left().clone(),
            join.right().clone(),
            *join.join_type(),
        )
        .with_projection_ref(join.projection().clone())
        .with_filter(Some(filter))
        .build()?;
        Ok(Transformed::yes(asking(Arc::new(join))))
    });
    Ok(changed?.data)
}

fn is_aggregate(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<AggregateExec>() || node.is::<WindowAggExec>() || node.is::<BoundedWindowAggExec>()
}

fn calls_functions(node: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(&mut |expr| {
        expr.apply(|expr| {
            found |= expr.is::<ScalarFunctionExpr>();
            Ok(match found {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })
    })?;
    Ok(found)
}

#[derive(Debug)]
struct Condition {
    inner: Arc<dyn PhysicalExpr>,
    guard: Guard,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Condition {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.guard.is_over() {
            return Err(self.guard.why().into());
        }
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children
            .into_iter()
            .next()
            .unwrap_or_else(|| self.inner.clone());
        Ok(Arc::new(Self {
            inner,
            guard: self.guard.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
