//! For the tests of the functions: a call without a session, and an aggregate over one state and over several.

use std::sync::Arc;

use arrow::array::builder::Float64Builder;
use arrow::array::{Array, ArrayRef, Float64Array, ListBuilder, StringArray};
use arrow::datatypes::{Field, FieldRef, Schema};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{
    Accumulator, AggregateUDF, ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF,
};

pub fn invoke(function: &ScalarUDF, args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let types: Vec<_> = args.iter().map(ColumnarValue::data_type).collect();
    let fields = types.iter().map(field).collect();
    let n_rows = args.iter().find_map(|arg| match arg {
        ColumnarValue::Array(array) => Some(array.len()),
        ColumnarValue::Scalar(_) => None,
    });
    function.invoke_with_args(ScalarFunctionArgs {
        args: args.to_vec(),
        arg_fields: fields,
        number_rows: n_rows.unwrap_or(1),
        return_field: field(&function.return_type(&types)?),
        config_options: Arc::new(ConfigOptions::default()),
    })
}

fn field(data_type: &arrow::datatypes::DataType) -> FieldRef {
    Arc::new(Field::new("", data_type.clone(), true))
}

/// Of numbers. As constants and as a column, which must be the same.
pub fn ask(function: &ScalarUDF, arguments: &[f64]) -> Result<ScalarValue> {
    let constants: Vec<ColumnarValue> = arguments
        .iter()
        .map(|value| ColumnarValue::Scalar(ScalarValue::Float64(Some(*value))))
        .collect();
    let columns: Vec<ColumnarValue> = arguments
        .iter()
        .map(|value| ColumnarValue::Array(floats([Some(*value), None])))
        .collect();
    let ColumnarValue::Scalar(answer) = invoke(function, &constants)? else {
        panic!("constants give a constant");
    };
    let column = invoke(function, &columns)?.into_array(2)?;
    assert_eq!(ScalarValue::try_from_array(&column, 0)?, answer);
    assert!(column.is_null(1), "NULL in, NULL out");
    Ok(answer)
}

/// [`ask`], for the number or the refusal; `function` is looked for among `functions`.
pub fn scalar(functions: &[Arc<ScalarUDF>], name: &str, arguments: &[f64]) -> Result<f64> {
    let function = functions.iter().find(|function| function.name() == name);
    match ask(function.expect("a function of that name"), arguments)? {
        ScalarValue::Float64(Some(value)) => Ok(value),
        ScalarValue::Int64(Some(value)) => Ok(value as f64),
        other => panic!("{other} is no number"),
    }
}

pub fn aggregate(
    functions: &[Arc<AggregateUDF>],
    name: &str,
    columns: &[ArrayRef],
) -> Result<ScalarValue> {
    let function = functions.iter().find(|function| function.name() == name);
    gather(function.expect("a function of that name"), columns)
}

/// Of one state with all rows, after seeing that one of two merged states says the same, up to rounding.
pub fn gather(function: &AggregateUDF, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let n_rows = columns[0].len();
    let part = |from: usize, to: usize| -> Result<Box<dyn Accumulator>> {
        let mut accumulator = accumulator(function, columns)?;
        let slices: Vec<ArrayRef> = columns
            .iter()
            .map(|column| column.slice(from, to - from))
            .collect();
        accumulator.update_batch(&slices)?;
        Ok(accumulator)
    };
    let mut merged = accumulator(function, columns)?;
    for (from, to) in [(0, n_rows / 2), (n_rows / 2, n_rows)] {
        let state = part(from, to)?.state()?;
        let state = state.iter().map(|value| value.to_array());
        merged.merge_batch(&state.collect::<Result<Vec<_>>>()?)?;
    }
    let answer = part(0, n_rows)?.evaluate()?;
    let of_merged = merged.evaluate()?;
    assert!(alike(&answer, &of_merged), "{answer} or {of_merged}");
    Ok(answer)
}

fn accumulator(function: &AggregateUDF, columns: &[ArrayRef]) -> Result<Box<dyn Accumulator>> {
    let fields: Vec<FieldRef> = columns.iter().map(|c| field(c.data_type())).collect();
    function.accumulator(AccumulatorArgs {
        return_field: function.return_field(&fields)?,
        schema: &Schema::empty(),
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: function.name(),
        is_distinct: false,
        exprs: &[],
        expr_fields: &fields,
    })
}

fn alike(a: &ScalarValue, b: &ScalarValue) -> bool {
    match (a, b) {
        (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
            a == b || (a - b).abs() <= 1e-4 * a.abs().max(b.abs())
        }
        (ScalarValue::Struct(row), ScalarValue::Struct(other)) => {
            let pairs = row.columns().iter().zip(other.columns());
            let mut same = pairs.map(|(a, b)| {
                let (a, b) = (
                    ScalarValue::try_from_array(a, 0),
                    ScalarValue::try_from_array(b, 0),
                );
                a.is_ok_and(|a| b.is_ok_and(|b| alike(&a, &b)))
            });
            same.all(|same| same)
        }
        // Numbers within arrays may be rounded otherwise.
        (ScalarValue::List(a), ScalarValue::List(b)) => a.len() == b.len(),
        (a, b) => a == b,
    }
}

/// A column of a row.
pub fn column(row: &ScalarValue, name: &str) -> ScalarValue {
    let ScalarValue::Struct(row) = row else {
        panic!("{row} is no row");
    };
    let column = row.column_by_name(name).expect("a column of that name");
    ScalarValue::try_from_array(column, 0).expect("a value")
}

pub fn number(row: &ScalarValue, name: &str) -> Option<f64> {
    match column(row, name) {
        ScalarValue::Float64(value) => value,
        ScalarValue::Int64(value) => value.map(|value| value as f64),
        other => panic!("{name} is {other}"),
    }
}

/// The numbers of an array, or of arrays within one.
pub fn numbers(value: &ScalarValue) -> Vec<f64> {
    let ScalarValue::List(list) = value else {
        panic!("{value} is no array");
    };
    let mut values = list.value(0);
    while let Some(inner) = arrow::array::AsArray::as_list_opt::<i32>(&values).cloned() {
        values = inner.values().clone();
    }
    let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&values);
    values.values().to_vec()
}

pub fn floats(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

/// A column without NULL.
pub fn column_of(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub fn labels<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub fn lists<const N: usize>(rows: impl IntoIterator<Item = [f64; N]>) -> ArrayRef {
    let mut lists = ListBuilder::new(Float64Builder::new());
    for row in rows {
        lists.append_value(row.map(Some));
    }
    Arc::new(lists.finish())
}

/// That it is the mathematics' own error, and speaks of `what`.
pub fn is_refusal(error: &DataFusionError, what: &str) {
    let DataFusionError::External(source) = error else {
        panic!("{error} does not come from the mathematics");
    };
    assert!(source.is::<rapport_stats::Error>(), "{source}");
    assert!(source.to_string().contains(what), "{source}");
}

/// Every function has a page with an example that calls it, and says each argument.
pub fn pages(scalars: &[Arc<ScalarUDF>], aggregates: &[Arc<AggregateUDF>]) {
    let of_scalars = scalars.iter().map(|f| (f.name(), f.documentation()));
    let of_aggregates = aggregates.iter().map(|f| (f.name(), f.documentation()));
    for (name, page) in of_scalars.chain(of_aggregates) {
        documented(name, page);
    }
}

/// As [`pages`], of one function.
pub fn documented(name: &str, page: Option<&Documentation>) {
    let page = page.expect("a page");
    let example = page.sql_example.as_deref().unwrap_or_default();
    let arguments = page.arguments.iter().flatten();
    told(
        name,
        &page.description,
        example,
        arguments.map(|(_, said)| said.as_str()),
    );
}

/// As [`pages`], of a function that the engine does not know as one.
pub fn told<'a>(
    name: &str,
    says: &str,
    example: &str,
    mut of_arguments: impl Iterator<Item = &'a str>,
) {
    assert!(example.contains(&format!("{name}(")), "{name}: {example}");
    assert!(says.ends_with('.'), "{name}");
    assert!(of_arguments.all(|said| !said.is_empty()), "{name}");
}

/// Every function is called in the slt files of a folder, once to answer and once to be refused.
pub fn slts(folder: &str, scalars: &[Arc<ScalarUDF>], aggregates: &[Arc<AggregateUDF>]) {
    let of_scalars = scalars.iter().map(|function| function.name());
    let names = of_scalars.chain(aggregates.iter().map(|function| function.name()));
    called(folder, names);
}

/// As [`slts`], by the names of the functions.
pub fn called<'a>(folder: &str, names: impl Iterator<Item = &'a str>) {
    let files = std::fs::read_dir(folder).expect("a folder");
    let texts = files.map(|file| std::fs::read_to_string(file.expect("a file").path()));
    let text = texts
        .collect::<std::io::Result<Vec<_>>>()
        .expect("UTF-8")
        .join("\n\n");
    let is_refused = |record: &&str| {
        let mut lines = record.lines();
        lines.any(|line| line.starts_with("query error") || line.starts_with("statement error"))
    };
    for name in names {
        let call = format!("{name}(");
        let is_called = |record: &&str| record.contains(&call);
        let (refused, others): (Vec<&str>, Vec<&str>) =
            text.split("\n\n").filter(is_called).partition(is_refused);
        assert!(!others.is_empty(), "{name} has no slt file in {folder}");
        assert!(!refused.is_empty(), "{name} is never refused in {folder}");
    }
}
