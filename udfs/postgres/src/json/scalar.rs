//! A jsonb as a number or a truth value: `(properties -> 'seats')::int`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, simple},
};

/// What the planner calls it: the text of the scalar, if it can be cast to the type of this name.
pub const SCALAR: &str = "\u{1}jsonb_scalar";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[Overload {
        takes: &[Kind::Jsonb, Kind::Text],
        more: None,
        gives: Kind::Text,
        work: scalar,
    }];
    vec![
        simple(
            SCALAR,
            "jsonb::type",
            "The number or truth value that a jsonb is.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn scalar(call: &Call) -> Result<ArrayRef> {
    let (values, types) = (call.text(0), call.text(1));
    call.strict_texts(|row, out| {
        let (value, wanted) = (values.of(row).trim(), types.of(row));
        let kind = kind(value);
        let fits = match wanted {
            "boolean" => kind == "boolean",
            _ => kind == "numeric",
        };
        if !fits {
            let message = format!("cannot cast jsonb {kind} to type {wanted}");
            return Err(refuse("22023", message));
        }
        out.push_str(value);
        Ok(())
    })
}

fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "numeric",
    }
}
