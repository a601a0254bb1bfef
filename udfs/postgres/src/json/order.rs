//! What a jsonb is sorted by: bytes in the order of the values.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::value::Value;
use crate::simple::{Call, Kind, Overload, simple};

/// What the planner calls it.
pub const SORT_KEY: &str = "\u{1}jsonb_sort_key";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const OVERLOADS: &[Overload] = &[Overload {
        takes: &[Kind::Jsonb],
        more: None,
        gives: Kind::Bytea,
        work: sort_keys,
    }];
    vec![
        simple(
            SORT_KEY,
            "ORDER BY jsonb",
            "Bytes that compare as the values do.",
            OVERLOADS,
        )
        .udf(),
    ]
}

fn sort_keys(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    call.byteas(|row| {
        let Some(text) = values.get(row) else {
            return Ok(None);
        };
        let value = Value::parse(text)?;
        let mut key = vec![];
        if !matches!(value, Value::Array(_) | Value::Object(_)) {
            // By itself it stands where an array of one item does, and before that.
            key.extend([ARRAY, 0, 0, 0, 1, 0]);
        } else if let Value::Array(items) = &value {
            push_array_head(items.len(), &mut key);
        }
        match &value {
            Value::Array(items) => items.iter().for_each(|item| push(item, &mut key)),
            value => push(value, &mut key),
        }
        Ok(Some(key))
    })
}

const NULL: u8 = 1;
const STRING: u8 = 2;
const NUMBER: u8 = 3;
const BOOLEAN: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

fn push_array_head(n: usize, key: &mut Vec<u8>) {
    key.push(ARRAY);
    key.extend(u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
    key.push(1);
}

fn push(value: &Value, key: &mut Vec<u8>) {
    match value {
        Value::Null => key.push(NULL),
        Value::Bool(is) => key.extend([BOOLEAN, u8::from(*is)]),
        Value::Number(digits) => {
            key.push(NUMBER);
            push_number(digits, key);
        }
        Value::String(text) => {
            key.push(STRING);
            push_text(text, key);
        }
        Value::Array(items) => {
            push_array_head(items.len(), key);
            items.iter().for_each(|item| push(item, key));
        }
        Value::Object(members) => {
            key.push(OBJECT);
            key.extend(
                u32::try_from(members.len())
                    .unwrap_or(u32::MAX)
                    .to_be_bytes(),
            );
            for (name, member) in members {
                push_text(name, key);
                push(member, key);
            }
        }
    }
}

/// No text holds a zero byte.
fn push_text(text: &str, key: &mut Vec<u8>) {
    key.extend(text.as_bytes());
    key.push(0);
}

/// The sign, where the point stands, the digits; all of it turned over if it is negative.
fn push_number(number: &str, key: &mut Vec<u8>) {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.trim_start_matches('0');
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        key.push(2);
        return;
    }
    let leading = digits.len() - significant.len();
    let point = whole.len() as i64 - leading as i64;
    let mut magnitude = (point + (1 << 32)).to_be_bytes().to_vec();
    push_text(significant.trim_end_matches('0'), &mut magnitude);
    key.push(if is_negative { 1 } else { 3 });
    match is_negative {
        true => key.extend(magnitude.iter().map(|byte| !byte)),
        false => key.extend(magnitude),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Vec<u8> {
        let mut key = vec![];
        push(&Value::parse(text).expect(text), &mut key);
        key
    }

    #[test]
    fn keys_are_in_the_order_of_the_values() {
        let sorted = [
            "null",
            "\"\"",
            "\"a\"",
            "\"ab\"",
            "-100",
            "-99.5",
            "-1",
            "-0.5",
            "-0.05",
            "0",
            "0.05",
            "0.5",
            "1",
            "1.5",
            "9",
            "10",
            "99.5",
            "100",
            "false",
            "true",
            "[]",
            "[1]",
            "[2]",
            "[1, 1]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
            "{\"b\": 1}",
            "{\"a\": 1, \"b\": 1}",
        ];
        for two in sorted.windows(2) {
            assert!(key(two[0]) < key(two[1]), "{} < {}", two[0], two[1]);
        }
        assert_eq!(key("1.50"), key("1.5"));
    }
}
