//! `EXPLAIN` of a query: the plan that would run, one line a row, as PostgreSQL answers it.

use std::sync::Arc;

use arrow::{
    array::{RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    physical_plan::{display::DisplayableExecutionPlan, execute_stream, memory::MemoryStream},
    sql::sqlparser::ast,
};
use futures::TryStreamExt;

use crate::{Column, Error, Outcome, Result, cancel::Guard, execute, oid, pins::Pins, plan::Scope};

pub(crate) fn column() -> Column {
    Column {
        name: "QUERY PLAN".to_owned(),
        pg_type: oid::TEXT,
        typmod: -1,
        least_scale: 0,
        table_oid: 0,
        number: 0,
        data_type: DataType::Utf8,
    }
}

pub(crate) async fn explain(
    scope: &Scope,
    pins: &Arc<Pins>,
    statement: &ast::Statement,
    guard: &Guard,
) -> Result<Outcome> {
    let ast::Statement::Explain {
        statement,
        analyze,
        options,
        ..
    } = statement
    else {
        return Err(Error::not_supported("this form of EXPLAIN", ""));
    };
    let ast::Statement::Query(query) = statement.as_ref() else {
        return Err(Error::not_supported(
            "EXPLAIN of anything but a query",
            "EXPLAIN SELECT … works.",
        ));
    };
    let analyze = *analyze
        || options
            .iter()
            .flatten()
            .any(|option| option.name.value.eq_ignore_ascii_case("analyze"));

    let (inner, pins, query) = (scope.clone(), pins.clone(), query.clone());
    let planning = async move { inner.plan_query(&pins, &query, &[]).await };
    let planned = scope.warehouse.plan_within_budget(guard, planning).await?;
    let state = scope.state();
    let logical = execute::bind(&planned, vec![])?;
    let plan = execute::physical(&scope.warehouse, state.clone(), logical, guard).await?;

    if analyze {
        let context = execute::task_context(&scope.warehouse, &state, guard);
        let plan = plan.clone();
        let work = async move {
            let mut rows = execute_stream(plan, context)?;
            while rows.try_next().await?.is_some() {}
            Ok(())
        };
        scope.warehouse.cpu().run(guard, work).await?;
    }
    let text = match analyze {
        true => DisplayableExecutionPlan::with_metrics(plan.as_ref())
            .indent(false)
            .to_string(),
        false => DisplayableExecutionPlan::new(plan.as_ref())
            .indent(false)
            .to_string(),
    };
    let schema = Arc::new(Schema::new(vec![Field::new(
        "QUERY PLAN",
        DataType::Utf8,
        false,
    )]));
    let lines: StringArray = text.lines().map(Some).collect();
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(lines)])?;
    let stream = MemoryStream::try_new(vec![batch], schema, None)?;
    Ok(Outcome::Rows {
        columns: vec![column()],
        stream: Box::pin(stream),
        tag: "EXPLAIN",
    })
}
