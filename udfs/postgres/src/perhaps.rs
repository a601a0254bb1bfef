//! A value that may be NULL for all that the planner knows.

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// A name that nobody can write.
pub const PERHAPS: &str = "\u{1}perhaps";

/// Answers what it is given. Volatile, because a constant in its place would not be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Perhaps {
    signature: Signature,
}

impl Perhaps {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Volatile),
        }
    }
}

impl ScalarUDFImpl for Perhaps {
    fn name(&self) -> &str {
        PERHAPS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = args.arg_fields[0].as_ref().clone();
        Ok(field.with_nullable(true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args[0].clone())
    }
}
