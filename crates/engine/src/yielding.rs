//! Operators that make many batches out of one give the thread back between them.
//!
//! DataFusion counts what is read at the leaves of a plan. A join that turns one batch into a million rows reads nothing
//! meanwhile, so a cancelled statement would go on until it is through with that batch.

use std::sync::Arc;

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{ExecutionPlan, coop::CooperativeExec},
};

#[derive(Debug)]
pub(crate) struct YieldBetweenBatches;

const AMPLIFYING: [&str; 10] = [
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "PiecewiseMergeJoinExec",
    "UnnestExec",
    "SortExec",
    "SortPreservingMergeExec",
    "AggregateExec",
    "UnionExec",
];

impl PhysicalOptimizerRule for YieldBetweenBatches {
    fn name(&self) -> &str {
        "YieldBetweenBatches"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|node| {
            Ok(if AMPLIFYING.contains(&node.name()) {
                Transformed::yes(Arc::new(CooperativeExec::new(node)) as _)
            } else {
                Transformed::no(node)
            })
        });
        Ok(wrapped?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}
