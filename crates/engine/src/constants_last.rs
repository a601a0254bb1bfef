//! `1 = x`: DataFusion takes `x = 1 AND 1 = x` for a contradiction, as it does two equal constants of which one has a label. So
//! what is compared with a constant comes first in conditions, and constants have no labels there.

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{BinaryExpr, Expr, LogicalPlan, cast},
};

/// Of a plan whose types are settled.
pub(crate) fn constants_last(plan: LogicalPlan) -> Result<LogicalPlan> {
    let settled = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) => {
            node.map_expressions(|condition| condition.transform_up(|expr| Ok(settled(expr))))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(settled.data)
}

fn settled(expr: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return Transformed::no(expr);
    };
    let compared = |left, op, right| Expr::BinaryExpr(BinaryExpr { left, op, right });
    match (op.swap(), is_constant(&left), is_constant(&right)) {
        (Some(swapped), true, false) if op.supports_propagation() => {
            Transformed::yes(compared(right, swapped, unlabelled(*left).into()))
        }
        (_, false, true) if op.supports_propagation() => {
            Transformed::yes(compared(left, op, unlabelled(*right).into()))
        }
        _ => Transformed::no(compared(left, op, right)),
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(made) => is_constant(&made.expr),
        _ => false,
    }
}

fn unlabelled(constant: Expr) -> Expr {
    match constant {
        Expr::Literal(value, _) => Expr::Literal(value, None),
        Expr::Cast(made) => {
            let data_type = made.field.data_type().clone();
            cast(unlabelled(*made.expr), data_type)
        }
        other => other,
    }
}
