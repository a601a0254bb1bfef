//! A function of PostgreSQL, asked for a batch of rows at once: `f(u.a1, $2) FROM unnest($1) AS u (a1)`.
//!
//! Equal rows are asked once. With constant arguments it is one question for the whole statement, when it is planned.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
};

use arrow::{
    array::{Array, ArrayRef, StringArray, UInt32Array},
    compute::take,
    datatypes::{DataType, FieldRef},
};
use bytes::Bytes;
use datafusion::{
    common::{Result as PlanResult, ScalarValue, exec_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
        TypeSignature, Volatility,
    },
};
use rapport_catalog_postgres::Request;

use super::{
    System,
    value::{Kind, columns, parameter_oid},
};
use crate::{Error, Result, coerce, names::PRIVATE, pg_type::array_oid, privilege::quoted};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Function(String),
    /// A function without parentheses.
    Word(String),
    /// A cast to a type of object numbers, from a name or a number.
    Cast(&'static str),
    /// The name of the object that a number means.
    Shown(&'static str),
}

impl Call {
    fn sql(&self, args: &[String]) -> String {
        match self {
            Call::Function(name) => format!("pg_catalog.{}({})", quoted(name), args.join(", ")),
            Call::Word(name) => name.clone(),
            Call::Cast(to) => format!("CAST({} AS pg_catalog.{to})", args.join(", ")),
            Call::Shown(from) => format!(
                "{}::pg_catalog.oid::pg_catalog.{from}::pg_catalog.text",
                args.join(", ")
            ),
        }
    }
}

#[derive(Debug)]
pub(super) struct CatalogueFunction {
    system: System,
    call: Call,
    name: String,
    signature: Signature,
    /// By the types of the arguments.
    results: Mutex<HashMap<Vec<u32>, Kind>>,
}

impl CatalogueFunction {
    pub(super) fn new(system: System, call: Call) -> Self {
        let name = match &call {
            Call::Function(name) | Call::Word(name) => name.clone(),
            Call::Cast(to) => format!("{PRIVATE}{to}"),
            Call::Shown(from) => format!("{PRIVATE}{from} shown"),
        };
        Self {
            system,
            call,
            name,
            signature: Signature::one_of(
                vec![TypeSignature::Nullary, TypeSignature::VariadicAny],
                Volatility::Stable,
            ),
            results: Mutex::default(),
        }
    }

    /// What PostgreSQL says that the call answers, or why there is no such function.
    fn result(&self, types: &[u32]) -> Result<Kind> {
        if let Some(known) = self
            .results
            .lock()
            .expect("never held over a panic")
            .get(types)
        {
            return Ok(known.clone());
        }
        let args: Vec<String> = (1..=types.len()).map(|n| format!("${n}")).collect();
        let reply = self.system.ask_now(Request::Describe {
            sql: format!("SELECT {}", self.call.sql(&args)),
            param_types: types.to_vec(),
        })?;
        let fields = reply.fields.unwrap_or_default();
        let field = fields.first().ok_or_else(|| Error::UndefinedFunction {
            message: format!("function {} does not exist", self.name),
            hint: None,
        })?;
        let kind = Kind::of(field);
        let mut known = self.results.lock().expect("never held over a panic");
        known.insert(types.to_vec(), kind.clone());
        Ok(kind)
    }

    /// A value that was computed ahead, such as a count, is of the type that it was planned with, if its own small one does not
    /// tell which function is meant.
    fn as_planned(&self, types: Vec<u32>, plain: Vec<u32>) -> Vec<u32> {
        let results = self.results.lock().expect("never held over a panic");
        let is_known = results.contains_key(&plain);
        drop(results);
        match is_known && self.result(&types).is_err() {
            true => plain,
            false => types,
        }
    }

    fn answers(&self, args: &[ColumnarValue], types: &[u32]) -> Result<(ArrayRef, Kind)> {
        let kind = self.result(types)?;
        let rows = distinct(args)?;
        let mut params = vec![];
        let mut declared = vec![];
        let mut expressions = vec![];
        let mut sources = vec![];
        for (index, arg) in args.iter().enumerate() {
            let n = index + 1;
            match arg {
                ColumnarValue::Scalar(_) => {
                    expressions.push(format!("${n}"));
                    declared.push(types[index]);
                    let value = rows.values.first().and_then(|row| row[index].clone());
                    params.push(value.map(Bytes::from));
                }
                ColumnarValue::Array(_) => {
                    expressions.push(format!("u.a{n}"));
                    sources.push((n, format!("pg_catalog.unnest(${n})")));
                    declared.push(array_oid(types[index]));
                    let values = rows.values.iter().map(|row| row[index].as_deref());
                    params.push(Some(Bytes::from(array_text(values))));
                }
            }
        }
        let call = self.call.sql(&expressions);
        let sql = if sources.is_empty() {
            format!("SELECT {call}")
        } else {
            let names: Vec<String> = sources.iter().map(|(n, _)| format!("a{n}")).collect();
            let sources: Vec<String> = sources.into_iter().map(|(_, source)| source).collect();
            format!(
                "SELECT {call} FROM ROWS FROM ({}) WITH ORDINALITY AS u ({}, n) ORDER BY u.n",
                sources.join(", "),
                names.join(", ")
            )
        };
        let reply = self.system.ask_now(Request::Extended {
            sql,
            param_types: declared,
            params,
            param_formats: vec![],
            result_formats: vec![kind.format],
        })?;
        let answers = columns(&reply.rows, std::slice::from_ref(&kind))?.remove(0);
        Ok((take(&answers, &rows.places, None)?, kind))
    }
}

impl PartialEq for CatalogueFunction {
    fn eq(&self, other: &Self) -> bool {
        self.call == other.call
            && self.system.role == other.system.role
            && self.system.settings == other.system.settings
    }
}

impl Eq for CatalogueFunction {}

impl Hash for CatalogueFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.call.hash(state);
        self.system.role.hash(state);
    }
}

impl ScalarUDFImpl for CatalogueFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> PlanResult<DataType> {
        exec_err!("its arguments' fields decide")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> PlanResult<FieldRef> {
        let types: Vec<u32> = args
            .arg_fields
            .iter()
            .zip(args.scalar_arguments)
            .map(|(field, value)| argument_oid(field, *value))
            .collect();
        let plain = args
            .arg_fields
            .iter()
            .map(|field| argument_oid(field, None));
        let kind = self.result(&self.as_planned(types, plain.collect()))?;
        Ok(Arc::new(kind.field.as_ref().clone().with_name(&self.name)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let types: Vec<u32> = args
            .arg_fields
            .iter()
            .zip(&args.args)
            .map(|(field, arg)| match arg {
                ColumnarValue::Scalar(value) => argument_oid(field, Some(value)),
                ColumnarValue::Array(_) => argument_oid(field, None),
            })
            .collect();
        let plain = args
            .arg_fields
            .iter()
            .map(|field| argument_oid(field, None));
        let types = self.as_planned(types, plain.collect());
        let (answers, _) = self.answers(&args.args, &types)?;
        let is_one = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        Ok(if is_one {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?)
        } else {
            ColumnarValue::Array(answers)
        })
    }
}

/// A quoted literal may be of any type, and a small whole number is an integer, as in PostgreSQL.
fn argument_oid(field: &FieldRef, literal: Option<&ScalarValue>) -> u32 {
    use crate::columns::oid;
    match literal {
        Some(value) if value.data_type().is_string() || value.data_type().is_null() => 0,
        Some(ScalarValue::Int64(Some(number)))
            if i32::try_from(*number).is_ok() && parameter_oid(field) == oid::INT8 =>
        {
            oid::INT4
        }
        _ => parameter_oid(field),
    }
}

/// Rows of texts, each but once, and for each row asked where its like is.
struct Distinct {
    values: Vec<Vec<Option<String>>>,
    places: UInt32Array,
}

fn distinct(args: &[ColumnarValue]) -> Result<Distinct> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let texts: Vec<StringArray> = arrays.iter().map(coerce::to_text).collect::<Result<_>>()?;
    let n_rows = texts.first().map_or(1, Array::len);
    let mut seen = HashMap::new();
    let mut values = vec![];
    let mut places = Vec::with_capacity(n_rows);
    for row in 0..n_rows {
        let row: Vec<Option<String>> = texts
            .iter()
            .map(|texts| texts.is_valid(row).then(|| texts.value(row).to_owned()))
            .collect();
        let next = u32::try_from(values.len()).expect("a batch has fewer rows");
        let place = *seen.entry(row.clone()).or_insert(next);
        if place == next {
            values.push(row);
        }
        places.push(place);
    }
    Ok(Distinct {
        values,
        places: places.into(),
    })
}

/// `{"a","b",NULL}`
fn array_text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> String {
    let quoted = values.map(|value| match value {
        Some(value) => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        None => "NULL".to_owned(),
    });
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_s_text_holds_any_text() {
        let values = [Some("a"), None, Some("b\"c\\d"), Some("NULL")];
        assert_eq!(
            array_text(values.into_iter()),
            r#"{"a",NULL,"b\"c\\d","NULL"}"#
        );
    }
}
