//! `to_date`: a date read with a template.

use std::sync::Arc;

use arrow::array::{Array, Date32Builder};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{as_given, described, is_scalar, is_text, no_such_function, texts};
use crate::from_char::read;
use crate::moment::date_in_range;
use crate::template::{Node, parse};
use crate::zone::DAY;

#[user_doc(
    doc_section(label = "Formatting"),
    description = "A date read with a template. NULL if an argument is NULL. A text that does not fit (22007) and a day that is not in \
                   the calendar (22008) are refused.",
    syntax_example = "to_date(text, template)",
    argument(name = "text", description = "for example '31.01.2026'"),
    argument(name = "template", description = "for example 'DD.MM.YYYY'")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToDate {
    signature: Signature,
}

impl ToDate {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ToDate {
    described!("to_date");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [text, template]
                if [text, template]
                    .iter()
                    .all(|given| is_text(given) || given.is_null()) =>
            {
                Ok(vec![DataType::Utf8, DataType::Utf8])
            }
            _ => Err(no_such_function("to_date", given).into()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = is_scalar(&args.args);
        let rows = if scalar { 1 } else { args.number_rows };
        let (values, templates) = (texts(&args.args[0], rows)?, texts(&args.args[1], rows)?);
        let mut dates = Date32Builder::with_capacity(rows);
        let mut known: Option<(&str, Vec<Node>)> = None;
        for row in 0..rows {
            if values.is_null(row) || templates.is_null(row) {
                dates.append_null();
                continue;
            }
            let template = templates.value(row);
            if known.as_ref().is_none_or(|(of, _)| *of != template) {
                known = Some((template, parse(template)));
            }
            let (_, nodes) = known.as_ref().expect("it was put in");
            let said = read(values.value(row), nodes)?;
            dates.append_value(date_in_range(said.local.div_euclid(DAY))?);
        }
        as_given(Arc::new(dates.finish()), scalar)
    }
}
