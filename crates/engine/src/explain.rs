//! `EXPLAIN` of a query: the plan that would run, one line a row, or as JSON, as PostgreSQL answers it.

use std::sync::Arc;

use arrow::{
    array::{RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    common::ScalarValue,
    physical_plan::{
        ExecutionPlan, display::DisplayableExecutionPlan, execute_stream, memory::MemoryStream,
    },
    sql::sqlparser::ast::{self, UtilityOption},
};
use futures::TryStreamExt;
use serde_json::{Map, Value};

use crate::{
    Column, Error, Outcome, Result, cancel::Guard, execute, names::folded, oid, pins::Pins,
    plan::Scope,
};

/// In the form that the options ask for.
pub(crate) fn column(options: Option<&[UtilityOption]>, analyze: bool) -> Result<Column> {
    check(options.unwrap_or_default(), analyze)?;
    let pg_type = match is_json(options)? {
        true => oid::JSON,
        false => oid::TEXT,
    };
    Ok(Column {
        name: "QUERY PLAN".to_owned(),
        pg_type,
        typmod: -1,
        least_scale: 0,
        table_oid: 0,
        number: 0,
        data_type: DataType::Utf8,
    })
}

/// 42601 for options that PostgreSQL does not know, 22023 for those that ask for what is not measured.
fn check(options: &[UtilityOption], analyze: bool) -> Result<()> {
    const SWITCHES: [&str; 8] = [
        "analyze", "verbose", "costs", "settings", "buffers", "wal", "timing", "summary",
    ];
    let syntax = |message: String| Error::Syntax {
        message,
        position: None,
    };
    for option in options {
        let name = folded(&option.name);
        if name == "format" {
            continue;
        }
        if !SWITCHES.contains(&name.as_str()) {
            return Err(syntax(format!("unrecognized EXPLAIN option \"{name}\"")));
        }
        if switch(option).is_none() {
            return Err(syntax(format!("{name} requires a Boolean value")));
        }
    }
    let analyze = analyze || is_on(options, "analyze");
    for name in ["wal", "timing"] {
        if is_on(options, name) && !analyze {
            return Err(Error::InvalidParameter {
                message: format!("EXPLAIN option {} requires ANALYZE", name.to_uppercase()),
                hint: None,
            });
        }
    }
    Ok(())
}

/// The last word on an option; without a word it is on.
fn is_on(options: &[UtilityOption], name: &str) -> bool {
    let mut options = options.iter().filter(|option| folded(&option.name) == name);
    options.next_back().and_then(switch).unwrap_or(false)
}

fn switch(option: &UtilityOption) -> Option<bool> {
    let Some(arg) = &option.arg else {
        return Some(true);
    };
    match arg
        .to_string()
        .trim_matches(['\'', '"'])
        .to_lowercase()
        .as_str()
    {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn is_json(options: Option<&[UtilityOption]>) -> Result<bool> {
    let options = options.into_iter().flatten();
    let mut formats = options.filter(|option| option.name.value.eq_ignore_ascii_case("format"));
    let Some(format) = formats.next_back() else {
        return Ok(false);
    };
    let name = format.arg.as_ref().map(ToString::to_string);
    match name
        .unwrap_or_default()
        .trim_matches('\'')
        .to_lowercase()
        .as_str()
    {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(Error::not_supported(
            format!("EXPLAIN in the format {other} is not supported"),
            "There are text and json.",
        )),
    }
}

/// A node with those below it, under PostgreSQL's keys. Costs are not known.
fn node(plan: &dyn ExecutionPlan, analyze: bool) -> Value {
    let one = DisplayableExecutionPlan::new(plan).one_line().to_string();
    let mut node = Map::from_iter([
        ("Node Type".to_owned(), plan.name().into()),
        ("Details".to_owned(), one.trim().into()),
    ]);
    if let Some(rows) = plan.metrics().and_then(|metrics| metrics.output_rows())
        && analyze
    {
        node.insert("Actual Rows".to_owned(), rows.into());
    }
    let children = plan.children().into_iter();
    let children: Vec<Value> = children
        .map(|child| self::node(child.as_ref(), analyze))
        .collect();
    if !children.is_empty() {
        node.insert("Plans".to_owned(), children.into());
    }
    node.into()
}

pub(crate) async fn explain(
    scope: &Scope,
    pins: &Arc<Pins>,
    statement: &ast::Statement,
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
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
    let column = column(options.as_deref(), *analyze)?;
    let is_json = column.pg_type == oid::JSON;
    let analyze = *analyze || is_on(options.as_deref().unwrap_or_default(), "analyze");

    let (inner, pins, query) = (scope.clone(), pins.clone(), query.clone());
    let declared = declared.to_vec();
    let planning = async move { inner.plan_query(&pins, &query, &declared).await };
    let planned = scope.warehouse.plan_within_budget(guard, planning).await?;
    let state = scope.state();
    let logical = execute::bind(&planned, params)?;
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
    let lines = match is_json {
        true => {
            let whole = serde_json::json!([{ "Plan": node(plan.as_ref(), analyze) }]);
            StringArray::from(vec![format!("{whole:#}")])
        }
        false => text.lines().map(Some).collect(),
    };
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(lines)])?;
    let stream = MemoryStream::try_new(vec![batch], schema, None)?;
    Ok(Outcome::Rows {
        columns: vec![column],
        stream: Box::pin(stream),
        tag: "EXPLAIN",
    })
}
