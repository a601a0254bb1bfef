//! `json_typeof` and `json_array_length`, for json and jsonb.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::value::Value;
use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TYPE: &[Overload] = &[Overload {
        takes: &[Kind::Json],
        more: None,
        gives: Kind::Text,
        work: type_of,
    }];
    const LENGTH: &[Overload] = &[Overload {
        takes: &[Kind::Json],
        more: None,
        gives: Kind::Int4,
        work: length,
    }];
    let about = "object, array, string, number, boolean or null.";
    let length = "How many elements an array has.";
    vec![
        simple("json_typeof", "json_typeof(json)", about, TYPE).udf(),
        simple("jsonb_typeof", "jsonb_typeof(jsonb)", about, TYPE).udf(),
        simple(
            "json_array_length",
            "json_array_length(json)",
            length,
            LENGTH,
        )
        .udf(),
        simple(
            "jsonb_array_length",
            "jsonb_array_length(jsonb)",
            length,
            LENGTH,
        )
        .udf(),
    ]
}

fn type_of(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    call.strict_texts(|row, out| {
        out.push_str(Value::parse(values.of(row))?.kind());
        Ok(())
    })
}

fn length(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    call.ints(|row| {
        let Some(value) = values.get(row) else {
            return Ok(None);
        };
        match Value::parse(value)? {
            Value::Array(items) => Ok(Some(i32::try_from(items.len()).unwrap_or(i32::MAX))),
            Value::Object(_) => Err(refuse("22023", "cannot get array length of a non-array")),
            _ => Err(refuse("22023", "cannot get array length of a scalar")),
        }
    })
}
