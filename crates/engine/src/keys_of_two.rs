//! DataFusion orders inner joins anew, and then forgets a key of which one side is of several of their inputs: `(a CROSS JOIN b)
//! JOIN c ON a.x + b.x = c.x AND a.y = c.y`. It also takes all keys of joins that it puts together for keys of one kind, and NULL
//! for a match where one of them is `IS NOT DISTINCT FROM`. Such keys are conditions while it does that.

use std::sync::Arc;

use datafusion::{
    common::{JoinType, NullEquality, Result, tree_node::Transformed},
    logical_expr::{
        Expr, LogicalPlan, Operator, binary_expr, logical_plan::Join, utils::conjunction,
    },
    optimizer::{
        ApplyOrder, OptimizerConfig, OptimizerRule,
        extract_equijoin_predicate::ExtractEquijoinPredicate,
    },
};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules with this one before each that minds, and with what makes the conditions keys again behind them all.
pub(crate) fn with_keys_of_two(rules: Vec<Rule>) -> Vec<Rule> {
    let again: Rule = Arc::new(ExtractEquijoinPredicate::new());
    let rules = rules.into_iter().chain([again]);
    let rules = rules.flat_map(|rule| {
        let minds = matches!(
            rule.name(),
            "extract_equijoin_predicate" | "eliminate_cross_join"
        );
        let before: Option<Rule> = minds.then(|| Arc::new(KeysOfTwo) as Rule);
        before.into_iter().chain([rule])
    });
    rules.collect()
}

#[derive(Debug)]
struct KeysOfTwo;

impl OptimizerRule for KeysOfTwo {
    fn name(&self) -> &str {
        "keys_of_two"
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
            LogicalPlan::Join(join) if !join.null_aware => Ok(settled(join)),
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn settled(mut join: Join) -> Transformed<LogicalPlan> {
    let is_inner = join.join_type == JoinType::Inner;
    let takes_nulls = join.null_equality == NullEquality::NullEqualsNull;
    let has_others = is_inner || join.filter.is_some() || join.on.is_empty();
    let moved: Vec<_> = match (takes_nulls, is_inner) {
        (true, _) if has_others => {
            join.null_equality = NullEquality::NullEqualsNothing;
            std::mem::take(&mut join.on)
        }
        (false, true) => {
            let (left, right) = (&join.left, &join.right);
            let is_of_many =
                |(a, b): &mut (Expr, Expr)| !(is_of_one(a, left) && is_of_one(b, right));
            join.on.extract_if(.., is_of_many).collect()
        }
        _ => return Transformed::no(LogicalPlan::Join(join)),
    };
    if moved.is_empty() && !takes_nulls {
        return Transformed::no(LogicalPlan::Join(join));
    }
    let operator = match takes_nulls {
        true => Operator::IsNotDistinctFrom,
        false => Operator::Eq,
    };
    let moved = moved.into_iter();
    let moved = moved.map(|(left, right)| binary_expr(left, operator, right));
    join.filter = conjunction(join.filter.into_iter().chain(moved));
    Transformed::yes(LogicalPlan::Join(join))
}

/// Whether the side of a key is of one of the inputs that inner joins have when they are put together.
fn is_of_one(key: &Expr, plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            is_of_one(key, &join.left) || is_of_one(key, &join.right)
        }
        input => {
            let columns = key.column_refs();
            let mut all = columns.iter();
            !columns.is_empty() && all.all(|column| input.schema().is_column_from_schema(column))
        }
    }
}
