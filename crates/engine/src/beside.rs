//! `FROM t, unnest(t.array)`: the elements of each row's own array, beside the row.
//!
//! DataFusion plans it as a join with a sub-query that looks at the row of the other side, which it can't run. Unnested
//! above the other side, it can.

use datafusion::{
    common::{
        Column, DFSchema, Result as PlanResult, ScalarValue, TableReference, UnnestOptions,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder},
};

use crate::Result;

/// The new columns until they have the name of their sub-query.
const NEW: &str = "\u{1}new";

/// Changes joins with such sub-queries, and nothing else.
pub(crate) fn unnest_beside(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        Ok(match joined(&node)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(node),
        })
    });
    Ok(changed?.data)
}

fn joined(node: &LogicalPlan) -> PlanResult<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = node else {
        return Ok(None);
    };
    let is_free = join.on.is_empty()
        && match &join.filter {
            None => true,
            Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => true,
            Some(_) => false,
        };
    let is_left = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        _ => return Ok(None),
    };
    let (alias, subquery) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => (alias.alias.clone(), subquery),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    if !is_free {
        return Ok(None);
    }
    let work = Beside {
        left: join.left.as_ref(),
        is_left,
    };
    let Some(plan) = work.plan(&subquery.subquery)? else {
        return Ok(None);
    };
    let count = join.left.schema().fields().len();
    let schema = plan.schema().clone();
    let exprs = schema
        .iter()
        .enumerate()
        .map(|(index, (qualifier, field))| {
            let column = Expr::Column(Column::from((qualifier, field)));
            if index < count {
                column
            } else {
                column.alias_qualified(Some(alias.clone()), field.name())
            }
        });
    let exprs: Vec<Expr> = exprs.collect();
    Ok(Some(
        LogicalPlanBuilder::from(plan).project(exprs)?.build()?,
    ))
}

struct Beside<'a> {
    left: &'a LogicalPlan,
    is_left: bool,
}

impl Beside<'_> {
    /// The sub-query's plan with the columns of the other side before its own; `None` if it does anything but unnest.
    fn plan(&self, plan: &LogicalPlan) -> PlanResult<Option<LogicalPlan>> {
        Ok(match plan {
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Some(self.left.clone()),
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.plan(&projection.input)? else {
                    return Ok(None);
                };
                let count = self.left.schema().fields().len();
                let schema = input.schema().clone();
                let mut exprs: Vec<Expr> = schema
                    .iter()
                    .take(count)
                    .map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field))))
                    .collect();
                let is_below = matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(_));
                for expr in &projection.expr {
                    let name = expr.schema_name().to_string();
                    let expr = self.here(expr.clone(), &schema)?;
                    // What is unnested above is known by its name alone.
                    exprs.push(if is_below && name.starts_with("__unnest") {
                        expr.alias(name)
                    } else {
                        expr.alias_qualified(Some(TableReference::bare(NEW)), name)
                    });
                }
                Some(LogicalPlanBuilder::from(input).project(exprs)?.build()?)
            }
            LogicalPlan::Unnest(unnest) => {
                let Some(input) = self.plan(&unnest.input)? else {
                    return Ok(None);
                };
                let options = UnnestOptions {
                    null_handling: if self.is_left {
                        datafusion::common::NullHandling::PreserveAndExpandEmpty
                    } else {
                        datafusion::common::NullHandling::Drop
                    },
                    ..unnest.options.clone()
                };
                let columns = unnest.exec_columns.clone();
                let unnested = LogicalPlanBuilder::from(input);
                Some(
                    unnested
                        .unnest_columns_with_options(columns, options)?
                        .build()?,
                )
            }
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input)?,
            _ => None,
        })
    }

    /// What looked at the other side from within the sub-query now has it beside itself.
    fn here(&self, expr: Expr, schema: &DFSchema) -> PlanResult<Expr> {
        let changed = expr.transform_up(|expr| {
            Ok(match expr {
                Expr::OuterReferenceColumn(_, column) if self.left.schema().has_column(&column) => {
                    Transformed::yes(Expr::Column(column))
                }
                Expr::Column(column) if column.relation.is_none() => {
                    let new = Column::new(Some(TableReference::bare(NEW)), &column.name);
                    if schema.has_column(&new) {
                        Transformed::yes(Expr::Column(new))
                    } else {
                        Transformed::no(Expr::Column(column))
                    }
                }
                other => Transformed::no(other),
            })
        });
        Ok(changed?.data)
    }
}
