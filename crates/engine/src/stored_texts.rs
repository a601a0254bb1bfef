//! What an INSERT puts into a column of another type, cast as PostgreSQL casts it: DataFusion has its own words for arrays,
//! and leaves a char(n) its spaces.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use datafusion::logical_expr::{Cast, DmlStatement, Expr, LogicalPlan, Projection, Values};
use rapport_lake::PG_TYPE;

use crate::{Result, columns::column_type, pg_type::Kind, typed::field_of};

/// Before types are given to the plan's expressions.
pub(crate) fn spell_out(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Dml(dml) = plan else {
        return Ok(plan);
    };
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else {
        return Ok(LogicalPlan::Dml(dml));
    };
    let schema = dml.target.schema();
    let input = match projection.input.as_ref() {
        LogicalPlan::Values(values) => {
            let targets = (0..values.schema.fields().len())
                .map(|at| target_of(values, at, &projection.expr, &schema));
            let targets: Vec<Option<&FieldRef>> = targets.collect();
            let rows = values.values.iter().map(|row| {
                let cells = row.iter().cloned().zip(&targets);
                let cells = cells.map(|(cell, target)| match target {
                    Some(field) => as_kept(cell, field),
                    None => cell,
                });
                cells.collect()
            });
            Arc::new(LogicalPlan::Values(Values {
                schema: values.schema.clone(),
                values: rows.collect(),
            }))
        }
        _ => projection.input.clone(),
    };
    let exprs = projection.expr.iter().cloned().zip(schema.fields());
    let exprs = exprs.map(|(expr, field)| match expr {
        Expr::Alias(mut alias) => {
            *alias.expr = as_kept(*alias.expr, field);
            Expr::Alias(alias)
        }
        expr => as_kept(expr, field),
    });
    let projection = Projection::try_new(exprs.collect(), input)?;
    Ok(LogicalPlan::Dml(DmlStatement {
        input: Arc::new(LogicalPlan::Projection(projection)),
        ..dml
    }))
}

/// The column that is given what stands at this place of each row, if that is of its type.
fn target_of<'a>(
    values: &Values,
    at: usize,
    exprs: &[Expr],
    schema: &'a SchemaRef,
) -> Option<&'a FieldRef> {
    let given = exprs.iter().position(|expr| match expr.clone().unalias() {
        Expr::Column(column) => values.schema.maybe_index_of_column(&column) == Some(at),
        _ => false,
    })?;
    let field = schema.fields().get(given)?;
    (field.data_type() == values.schema.field(at).data_type()).then_some(field)
}

/// The same as by a cast that the statement says, in the place of DataFusion's.
fn as_kept(expr: Expr, field: &Field) -> Expr {
    let through = match column_type(field).kind {
        Kind::Text | Kind::Name | Kind::Varchar(_) => field_of(DataType::Utf8View, "text"),
        // Kept as moments of UTC, which they are not.
        Kind::Array(element) if element.kind == Kind::Timestamp => {
            let item = DataType::Timestamp(TimeUnit::Microsecond, None);
            let item = Field::new_list_field(item, true);
            Arc::new(Field::new("", DataType::List(Arc::new(item)), true))
        }
        _ => return expr,
    };
    let is_array = matches!(through.data_type(), DataType::List(_));
    let is_open = |expr: &Expr| match expr {
        Expr::Placeholder(_) => true,
        Expr::Literal(value, label) => {
            let is_text = label.is_none() && value.try_as_str().is_some();
            value.is_null() || is_text && !is_array
        }
        _ => false,
    };
    match expr {
        Expr::Cast(cast) if !cast.field.metadata().contains_key(PG_TYPE) => {
            let Cast { expr: inner, field } = cast;
            if is_open(&inner) {
                return Expr::Cast(Cast::new_from_field(inner, field));
            }
            let inner = Box::new(Expr::Cast(Cast::new_from_field(inner, through)));
            Expr::Cast(Cast::new_from_field(inner, field))
        }
        // It is of the column's type to DataFusion.
        expr if is_open(&expr) || is_array => expr,
        expr => {
            // The rows of VALUES have to be of one label, and parameters have none.
            let plain = Arc::new(Field::new("", through.data_type().clone(), true));
            let kept = Expr::Cast(Cast::new_from_field(Box::new(expr), through));
            Expr::Cast(Cast::new_from_field(Box::new(kept), plain))
        }
    }
}
