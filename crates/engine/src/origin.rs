//! Which table's column a result's column is: what an editor of rows, a driver's metadata and Power BI ask for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};
use rapport_lake::TableName;

use crate::{Result, Warehouse, names::Names, times::KEPT};

/// The relation and the column's number in it, from 1.
pub(crate) type Origin = (TableName, i16);

/// Where the column at `index` of a plan's result comes from, unless it is computed.
///
/// As in PostgreSQL, sub-queries are looked through and views are not.
pub(crate) fn origin(plan: &LogicalPlan, index: usize, names: &Names) -> Option<Origin> {
    match plan {
        LogicalPlan::Projection(projection) => {
            through(projection.expr.get(index)?, &projection.input, names)
        }
        LogicalPlan::Aggregate(aggregate) => {
            through(aggregate.group_expr.get(index)?, &aggregate.input, names)
        }
        LogicalPlan::Window(window) => {
            let is_input = index < window.input.schema().fields().len();
            is_input.then(|| origin(&window.input, index, names))?
        }
        LogicalPlan::Filter(filter) => origin(&filter.input, index, names),
        LogicalPlan::Sort(sort) => origin(&sort.input, index, names),
        LogicalPlan::Limit(limit) => origin(&limit.input, index, names),
        LogicalPlan::Distinct(Distinct::All(input)) => origin(input, index, names),
        LogicalPlan::Distinct(Distinct::On(on)) => {
            through(on.select_expr.get(index)?, &on.input, names)
        }
        LogicalPlan::SubqueryAlias(alias) => match names.view(&alias.alias) {
            Some(view) => Some((view.clone(), number(index)?)),
            None if is_read_from_texts(&alias.input) => {
                Some((names.table(&alias.alias)?.clone(), number(index)?))
            }
            None => origin(&alias.input, index, names),
        },
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti => origin(&join.right, index, names),
                _ if index < left => origin(&join.left, index, names),
                _ => origin(&join.right, index - left, names),
            }
        }
        LogicalPlan::TableScan(scan) => {
            let column = match &scan.projection {
                Some(columns) => *columns.get(index)?,
                None => index,
            };
            Some((names.table(&scan.table_name)?.clone(), number(column)?))
        }
        _ => None,
    }
}

fn is_read_from_texts(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Projection(projection) = plan else {
        return false;
    };
    matches!(projection.input.as_ref(), LogicalPlan::TableScan(scan) if scan.table_name.table() == KEPT)
}

fn through(expr: &Expr, input: &Arc<LogicalPlan>, names: &Names) -> Option<Origin> {
    match expr {
        Expr::Alias(alias) => through(&alias.expr, input, names),
        Expr::Column(column) => {
            let index = input.schema().maybe_index_of_column(column)?;
            origin(input, index, names)
        }
        _ => None,
    }
}

fn number(index: usize) -> Option<i16> {
    i16::try_from(index + 1).ok()
}

/// The catalogue's number of each relation, remembered until definitions change. One that it does not know has 0.
#[derive(Default)]
pub(crate) struct Oids(Mutex<HashMap<TableName, u32>>);

impl Oids {
    pub(crate) fn forget(&self) {
        self.0.lock().expect("never held over a panic").clear();
    }
}

impl Warehouse {
    pub(crate) async fn oid(&self, table: &TableName) -> Result<u32> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(0);
        };
        if let Some(oid) = self
            .oids()
            .0
            .lock()
            .expect("never held over a panic")
            .get(table)
        {
            return Ok(*oid);
        }
        let oid = catalogue.oid(table).await?.unwrap_or(0);
        let mut oids = self.oids().0.lock().expect("never held over a panic");
        oids.insert(table.clone(), oid);
        Ok(oid)
    }
}
