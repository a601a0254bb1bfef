//! Queries put together whose columns are of one type to Arrow and of several to PostgreSQL: `numeric(18,2)` and
//! `numeric(18,4)` give `numeric`, `varchar(20)` and `text` give `text`. What a column declares holds only where all agree.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::{
    common::{Column, Result as PlanResult, tree_node::Transformed},
    logical_expr::{
        ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, RecursiveQuery, ScalarFunctionArgs,
        ScalarUDF, ScalarUDFImpl, Signature, Union, Volatility,
    },
};
use rapport_lake::PG_TYPE;

use crate::Result;

pub(crate) fn undeclare(plan: LogicalPlan) -> Result<LogicalPlan> {
    let function = without_type();
    let changed = plan.transform_up_with_subqueries(|node| {
        let inputs: Vec<Arc<LogicalPlan>> = match &node {
            LogicalPlan::Union(union) => union.inputs.clone(),
            LogicalPlan::RecursiveQuery(query) => {
                vec![query.static_term.clone(), query.recursive_term.clone()]
            }
            _ => return Ok(Transformed::no(node)),
        };
        let differs: Vec<bool> = (0..node.schema().fields().len())
            .map(|column| differs(&inputs, column))
            .collect();
        if !differs.contains(&true) {
            return Ok(Transformed::no(node));
        }
        let inputs = inputs.iter();
        let inputs = inputs.map(|input| undeclared(input, &differs, &function));
        let mut inputs = inputs.collect::<PlanResult<Vec<_>>>()?;
        let changed = match node {
            LogicalPlan::RecursiveQuery(query) => {
                let recursive = inputs.pop().expect("it has two terms");
                let first = inputs.pop().expect("it has two terms");
                let query =
                    RecursiveQuery::try_new(query.name, first, recursive, query.is_distinct)?;
                LogicalPlan::RecursiveQuery(query)
            }
            _ => LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?),
        };
        Ok(Transformed::yes(changed))
    })?;
    match changed.transformed {
        // What is above has seen the declared types.
        true => {
            let plan = changed.data.transform_up_with_subqueries(|node| {
                Ok(Transformed::yes(node.recompute_schema()?))
            })?;
            Ok(plan.data)
        }
        false => Ok(changed.data),
    }
}

fn differs(inputs: &[Arc<LogicalPlan>], column: usize) -> bool {
    let mut declared = inputs.iter().map(|input| {
        let field = input.schema().field(column);
        field.metadata().get(PG_TYPE)
    });
    let first = declared.next();
    declared.any(|other| Some(other) != first)
}

fn undeclared(
    input: &Arc<LogicalPlan>,
    differs: &[bool],
    function: &Arc<ScalarUDF>,
) -> PlanResult<Arc<LogicalPlan>> {
    let exprs: Vec<Expr> = input
        .schema()
        .iter()
        .zip(differs)
        .map(|((qualifier, field), differs)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            match *differs && field.metadata().contains_key(PG_TYPE) {
                true => function
                    .call(vec![column])
                    .alias_qualified(qualifier.cloned(), field.name()),
                false => column,
            }
        })
        .collect();
    let projected = LogicalPlanBuilder::from(input.clone()).project(exprs)?;
    Ok(Arc::new(projected.build()?))
}

pub(crate) const WITHOUT_TYPE: &str = "\u{1}without_type";

/// The same value, without what its column declares.
pub(crate) fn without_type() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(WithoutType {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithoutType {
    signature: Signature,
}

impl ScalarUDFImpl for WithoutType {
    fn name(&self) -> &str {
        WITHOUT_TYPE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> PlanResult<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
