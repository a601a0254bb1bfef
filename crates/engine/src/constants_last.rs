//! `1 = x`: DataFusion takes `x = 1 AND 1 = x` for a contradiction, as it does two equal constants of which one has a label. So
//! what is compared with a constant comes first in conditions, and constants have no labels there.

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{BinaryExpr, Expr, LogicalPlan},
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

/// Has its place behind what computes constants, and before what puts conditions together.
#[derive(Debug)]
pub(crate) struct ConstantsLast;

impl OptimizerRule for ConstantsLast {
    fn name(&self) -> &str {
        "constants_last"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(_) | LogicalPlan::Join(_) => {
                plan.map_expressions(|condition| condition.transform_up(|expr| Ok(settled(expr))))
            }
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn settled(expr: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return Transformed::no(expr);
    };
    let compared = |left, op, right| Expr::BinaryExpr(BinaryExpr { left, op, right });
    if !op.supports_propagation() {
        return Transformed::no(compared(left, op, right));
    }
    match (*left, op.swap(), *right) {
        (Expr::Literal(value, _), Some(swapped), right) if right.as_literal().is_none() => {
            let left = Expr::Literal(value, None);
            Transformed::yes(compared(right.into(), swapped, left.into()))
        }
        (left, _, Expr::Literal(value, Some(_))) => {
            let right = Expr::Literal(value, None);
            Transformed::yes(compared(left.into(), op, right.into()))
        }
        (left, _, right) => Transformed::no(compared(left.into(), op, right.into())),
    }
}
