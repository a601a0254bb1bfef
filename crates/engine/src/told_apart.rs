//! Names for the columns of a join that both of its sides have a name of. DataFusion finds a column again by its name alone where
//! it moves a filter down a plan: `id IS NULL` would be asked of the other table's `id`.

use std::{collections::HashSet, sync::Arc};

use datafusion::{
    common::{
        Column, DFSchemaRef, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, JoinType, LogicalPlan, Projection, Subquery},
};

use crate::names::PRIVATE;

/// Of an optimised plan; its own columns keep their names.
pub(crate) fn tell_apart(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan
        .transform_up(|node| node.map_subqueries(told_apart_within))?
        .data;
    let schema = plan.schema().clone();
    match told_apart(&plan)? {
        Some(told) => renamed(told, &schema),
        None => Ok(plan),
    }
}

/// A sub-query that is computed by itself.
fn told_apart_within(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Subquery(subquery) = plan else {
        return Ok(Transformed::no(plan));
    };
    let told = tell_apart(Arc::unwrap_or_clone(subquery.subquery))?;
    Ok(Transformed::yes(LogicalPlan::Subquery(Subquery {
        subquery: Arc::new(told),
        ..subquery
    })))
}

/// Its columns stand where they stood. `None`: nothing is to be done.
fn told_apart(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let before = plan.inputs();
    let told = before.iter().map(|input| told_apart(input));
    let mut told = told.collect::<Result<Vec<_>>>()?;
    if let LogicalPlan::Join(join) = plan
        && matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
        )
    {
        let [left, right] = [0, 1].map(|side| told[side].as_ref().unwrap_or(before[side]));
        if let Some(right) = unlike(left, right)? {
            told[1] = Some(right);
        }
    }
    if told.iter().all(Option::is_none) {
        return Ok(None);
    }
    let inputs = told.into_iter().zip(&before);
    let inputs = inputs.map(|(told, before)| told.unwrap_or_else(|| (*before).clone()));
    let inputs: Vec<LogicalPlan> = inputs.collect();
    let passes_on = matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Join(_)
    );
    if !passes_on {
        let inputs = inputs.into_iter().zip(&before);
        let inputs = inputs.map(|(input, before)| renamed(input, before.schema()));
        let inputs = inputs.collect::<Result<_>>()?;
        return plan.with_new_exprs(plan.expressions(), inputs).map(Some);
    }
    let anew = |column: &Column| {
        before.iter().zip(&inputs).find_map(|(before, input)| {
            let at = before.schema().maybe_index_of_column(column)?;
            Some(Column::from(input.schema().qualified_field(at)))
        })
    };
    let expressions = plan.expressions().into_iter().map(|expr| {
        let expr = expr.transform(|expr| {
            Ok(match &expr {
                Expr::Column(column) if let Some(column) = anew(column) => {
                    Transformed::yes(Expr::Column(column))
                }
                _ => Transformed::no(expr),
            })
        });
        Ok(expr?.data)
    });
    let expressions = expressions.collect::<Result<_>>()?;
    plan.with_new_exprs(expressions, inputs).map(Some)
}

/// The right side, if it has a name that the left one has too.
fn unlike(left: &LogicalPlan, right: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let mut names: HashSet<&str> = left
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let fields = right.schema().fields();
    if fields
        .iter()
        .all(|field| !names.contains(field.name().as_str()))
    {
        return Ok(None);
    }
    names.extend(fields.iter().map(|field| field.name().as_str()));
    let mut number = 0;
    let columns = right.schema().iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        if left
            .schema()
            .fields()
            .iter()
            .all(|other| other.name() != field.name())
        {
            return column;
        }
        let name = loop {
            number += 1;
            let name = format!("{}{PRIVATE}joined {number}", field.name());
            if !names.contains(name.as_str()) {
                break name;
            }
        };
        column.alias_qualified(qualifier.cloned(), name)
    });
    let columns = columns.collect();
    Projection::try_new(columns, right.clone().into())
        .map(|projection| Some(LogicalPlan::Projection(projection)))
}

fn renamed(plan: LogicalPlan, names: &DFSchemaRef) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().zip(names.iter());
    let columns = columns.map(|(column, (qualifier, field))| {
        Expr::Column(Column::from(column)).alias_qualified(qualifier.cloned(), field.name())
    });
    let columns = columns.collect();
    Projection::try_new(columns, plan.into()).map(LogicalPlan::Projection)
}
