//! What takes any values, as many as one likes: `concat`, `concat_ws`, `num_nulls`; and any value as text.

use std::sync::Arc;

use arrow::{array::ArrayRef, datatypes::DataType};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::simple::{Call, Kind, Overload, simple};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const CONCAT: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: Some(Kind::Any),
        gives: Kind::Text,
        work: concat,
    }];
    const CONCAT_WS: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: Some(Kind::Any),
        gives: Kind::Text,
        work: concat_ws,
    }];
    const NULLS: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: Some(Kind::Any),
        gives: Kind::Int4,
        work: |call| counted(call, true),
    }];
    const NONNULLS: &[Overload] = &[Overload {
        work: |call| counted(call, false),
        ..NULLS[0]
    }];
    const TEXT: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Text,
        work: text,
    }];
    vec![
        simple(
            "concat",
            "concat(value, …)",
            "All values as texts, one behind the other. NULLs are left out.",
            CONCAT,
        )
        .stable()
        .udf(),
        simple(
            "concat_ws",
            "concat_ws(separator, value, …)",
            "All values as texts, with the separator between them. NULLs are left out.",
            CONCAT_WS,
        )
        .stable()
        .udf(),
        simple(
            "num_nulls",
            "num_nulls(value, …)",
            "How many of the values are NULL.",
            NULLS,
        )
        .udf(),
        simple(
            "num_nonnulls",
            "num_nonnulls(value, …)",
            "How many of the values are not NULL.",
            NONNULLS,
        )
        .udf(),
        simple(
            TEXT_OF,
            "value::text",
            "A value as PostgreSQL casts it to text.",
            TEXT,
        )
        .stable()
        .udf(),
    ]
}

/// What the planner calls the cast of anything to text.
pub const TEXT_OF: &str = "\u{1}text";

fn counted(call: &Call, is_null: bool) -> Result<ArrayRef> {
    call.ints(|row| {
        let values = 0..call.count();
        let counted = values.filter(|index| call.is_null(*index, row) == is_null);
        Ok(i32::try_from(counted.count()).ok())
    })
}

fn concat(call: &Call) -> Result<ArrayRef> {
    let values = (0..call.count())
        .map(|index| call.shown(index))
        .collect::<Result<Vec<_>>>()?;
    call.texts(|row, out| {
        for (index, value) in values.iter().enumerate() {
            let at = call.at(index, row);
            if !value.is_null(at) {
                value.write(at, out);
            }
        }
        Ok(true)
    })
}

fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.text(0);
    let values = (1..call.count())
        .map(|index| call.shown(index))
        .collect::<Result<Vec<_>>>()?;
    call.texts(|row, out| {
        let Some(separator) = separators.get(row) else {
            return Ok(false);
        };
        let mut is_first = true;
        for (index, value) in (1..).zip(&values) {
            let at = call.at(index, row);
            if value.is_null(at) {
                continue;
            }
            if !is_first {
                out.push_str(separator);
            }
            is_first = false;
            value.write(at, out);
        }
        Ok(true)
    })
}

fn text(call: &Call) -> Result<ArrayRef> {
    let values = call.shown(0)?;
    let is_bool = call.array(0).data_type() == &DataType::Boolean;
    call.strict_texts(|row, out| {
        if is_bool {
            let value = call.bool(0, row).unwrap_or_default();
            out.push_str(if value { "true" } else { "false" });
        } else {
            values.write(call.at(0, row), out);
        }
        Ok(())
    })
}
