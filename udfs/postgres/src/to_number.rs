//! `to_number`: a number read with a template.

use std::sync::Arc;

use arrow::array::{Array, Decimal128Builder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, constant_text, described, is_text, no_such_function, null, texts,
};
use crate::number_template::Template;
use crate::refusal::Refusal;

#[user_doc(
    doc_section(label = "Formatting"),
    description = "A number read with a template, with as many decimal places as the template has. NULL if an argument is NULL; a \
                   text without digits is refused (22P02).",
    syntax_example = "to_number(text, template)",
    argument(name = "text", description = "for example '12,454.8-'"),
    argument(
        name = "template",
        description = "for example '99G999D9S'; the same for all rows"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToNumber {
    signature: Signature,
}

impl ToNumber {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

fn not_constant() -> Refusal {
    Refusal::not_supported(
        "a template of to_number that differs from row to row is not supported",
        "Use CASE with one call for each template.",
    )
}

impl ScalarUDFImpl for ToNumber {
    described!("to_number");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [text, template]
                if [text, template]
                    .iter()
                    .all(|given| is_text(given) || given.is_null()) =>
            {
                Ok(vec![DataType::Utf8, DataType::Utf8])
            }
            _ => Err(no_such_function("to_number", given).into()),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Err(no_such_function("to_number", given).into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let template = args.scalar_arguments.get(1).copied().flatten();
        let template = template.ok_or_else(not_constant)?;
        let places = match template.try_as_str().flatten() {
            Some(text) => Template::parse(text)?.after,
            None => 0,
        };
        let scale = i8::try_from(places).unwrap_or(38).min(38);
        let data_type = DataType::Decimal128(38, scale);
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result = args.return_field.data_type();
        let template = constant_text(&args.args[1]).ok_or_else(not_constant)?;
        let Some(template) = template.filter(|template| !template.is_empty()) else {
            return null(result);
        };
        let template = Template::parse(&template)?;
        template.check_readable()?;
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let values = texts(&args.args[0], if scalar { 1 } else { args.number_rows })?;
        let mut numbers =
            Decimal128Builder::with_capacity(values.len()).with_data_type(result.clone());
        for text in &values {
            match text {
                Some(text) => numbers.append_value(template.read(text)?),
                None => numbers.append_null(),
            }
        }
        as_given(Arc::new(numbers.finish()), scalar)
    }
}
