//! What a source has and the model does not: raw columns that the SELECT leaves out become one JSON object.

use arrow::array::{Array, StringArray, StringBuilder};
use serde::de::IgnoredAny;

use crate::raw::{RawBatch, push_json_string, push_json_value};

/// `columns` of `raw` as an object for each of `rows`, after what the SELECT itself says in `own`. NULLs are left
/// out; a row with nothing to say has NULL. `own` values that are no JSON object are refused.
pub fn properties(
    raw: &RawBatch,
    columns: &[usize],
    rows: &[usize],
    own: Option<&StringArray>,
    refuse: &mut dyn FnMut(usize, String),
) -> StringArray {
    let mut objects = StringBuilder::new();
    let mut object = String::new();
    let names: Vec<String> = columns
        .iter()
        .map(|column| {
            let mut name = String::new();
            push_json_string(&mut name, raw.columns.schema_ref().field(*column).name());
            name.push(':');
            name
        })
        .collect();
    for (i, row) in rows.iter().enumerate() {
        object.clear();
        object.push('{');
        if let Some(own) = own
            .filter(|own| own.is_valid(i))
            .map(|own| own.value(i).trim())
        {
            if !is_object(own) {
                refuse(
                    i,
                    format!("{} is not a JSON object", crate::text::quoted(own)),
                );
            } else {
                object.push_str(own[1..own.len() - 1].trim());
            }
        }
        for (column, name) in columns.iter().zip(&names) {
            let array = raw.columns.column(*column);
            if array.is_valid(*row) {
                if object.len() > 1 {
                    object.push(',');
                }
                object.push_str(name);
                push_json_value(&mut object, array, *row, raw.is_json(*column, *row));
            }
        }
        object.push('}');
        objects.append_option((object.len() > 2).then_some(&object));
    }
    objects.finish()
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};

    use super::*;
    use crate::raw::{Lines, RawForm};

    fn check(own: Option<&str>, expected: Option<&str>, n_refused: usize) {
        let text = |text| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let raw = RawBatch {
            file: "test".into(),
            form: RawForm::Json,
            columns: RecordBatch::try_from_iter_with_nullable([
                ("a \"b\"", text(Some("x\ny")), true),
                ("n", Arc::new(Int64Array::from(vec![5])) as ArrayRef, true),
                ("nested", text(Some("[1,{\"k\":null}]")), true),
                ("gone", text(None), true),
            ])
            .expect("a test's own columns"),
            lines: Lines::From(1),
            json: vec![None, None, Some(BooleanArray::from(vec![true])), None],
            refused: vec![],
            bytes: 0,
        };
        let columns: Vec<usize> = if expected.is_some() {
            vec![0, 1, 2, 3]
        } else {
            vec![3]
        };
        let own = StringArray::from(vec![own]);
        let mut refused = 0;
        let got = properties(&raw, &columns, &[0], Some(&own), &mut |_, _| refused += 1);
        assert_eq!(got.iter().next().flatten(), expected);
        assert_eq!(refused, n_refused);
    }

    #[test]
    fn unmapped_columns_keep_their_names_and_kinds() {
        check(
            None,
            Some(r#"{"a \"b\"":"x\ny","n":5,"nested":[1,{"k":null}]}"#),
            0,
        );
    }

    #[test]
    fn they_are_added_to_what_the_select_says() {
        check(
            Some(r#" {"own": true} "#),
            Some(r#"{"own": true,"a \"b\"":"x\ny","n":5,"nested":[1,{"k":null}]}"#),
            0,
        );
        check(
            Some("{}"),
            Some(r#"{"a \"b\"":"x\ny","n":5,"nested":[1,{"k":null}]}"#),
            0,
        );
    }

    #[test]
    fn a_row_with_nothing_to_say_has_null() {
        check(None, None, 0);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        check(
            Some("[1]"),
            Some(r#"{"a \"b\"":"x\ny","n":5,"nested":[1,{"k":null}]}"#),
            1,
        );
    }
}
