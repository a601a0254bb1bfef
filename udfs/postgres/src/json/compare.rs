//! `=`, `<>`, `<` and their kind between two `jsonb`.

use std::{cmp::Ordering, sync::Arc};

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::value::Value;
use crate::simple::{Call, Kind, Overload, simple};

macro_rules! comparison {
    ($name:literal, $operator:literal, $fits:expr) => {{
        fn work(call: &Call) -> Result<ArrayRef> {
            compared(call, $fits)
        }
        const OVERLOADS: &[Overload] = &[Overload {
            takes: &[Kind::Jsonb, Kind::Jsonb],
            more: None,
            gives: Kind::Bool,
            work,
        }];
        simple(
            $name,
            concat!("jsonb ", $operator, " jsonb"),
            "Compares as jsonb does: numbers by value, whatever their digits.",
            OVERLOADS,
        )
        .udf()
    }};
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        comparison!("jsonb_eq", "=", Ordering::is_eq),
        comparison!("jsonb_ne", "<>", Ordering::is_ne),
        comparison!("jsonb_lt", "<", Ordering::is_lt),
        comparison!("jsonb_le", "<=", Ordering::is_le),
        comparison!("jsonb_gt", ">", Ordering::is_gt),
        comparison!("jsonb_ge", ">=", Ordering::is_ge),
    ]
}

fn compared(call: &Call, fits: fn(Ordering) -> bool) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    call.bools(|row| {
        let Some((left, right)) = left.get(row).zip(right.get(row)) else {
            return Ok(None);
        };
        let order = if left == right {
            Ordering::Equal
        } else {
            Value::parse(left)?.order(&Value::parse(right)?)
        };
        Ok(Some(fits(order)))
    })
}
