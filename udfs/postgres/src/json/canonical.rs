//! Texts to `json` and `jsonb`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{scan::Scan, value::Value};
use crate::simple::{Call, Kind, Overload, simple};

/// What the planner calls casts of texts to json and jsonb.
pub const TO_JSON: &str = "\u{1}json";
pub const TO_JSONB: &str = "\u{1}jsonb";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const JSON: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Json,
        work: json,
    }];
    const JSONB: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Jsonb,
        work: jsonb,
    }];
    vec![
        simple(
            TO_JSON,
            "text::json",
            "A text that is valid JSON, as it is.",
            JSON,
        )
        .udf(),
        simple(
            TO_JSONB,
            "text::jsonb",
            "A text that is valid JSON, in canonical form.",
            JSONB,
        )
        .udf(),
    ]
}

/// The text of a jsonb. 22P02 if it is no JSON.
pub fn canonical(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len() + 8);
    Value::parse(text)?.write(&mut out);
    Ok(out)
}

/// 22P02 if it is no JSON.
pub fn check(text: &str) -> Result<()> {
    let mut scan = Scan::new(text);
    scan.skip()?;
    scan.end()
}

fn json(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    for row in 0..call.rows {
        if let Some(text) = texts.get(row) {
            check(text)?;
        }
    }
    call.strict_texts(|row, out| {
        out.push_str(texts.of(row));
        Ok(())
    })
}

fn jsonb(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        Value::parse(texts.of(row))?.write(out);
        Ok(())
    })
}
