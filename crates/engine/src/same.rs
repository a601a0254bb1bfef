//! A function that answers what it is given, under another name.
//!
//! DataFusion tells the columns of an aggregate apart by their names, and leaves casts out of them: `avg(a)` and
//! `avg(a::float)` are one name. Where that happens the casts are wrapped in this.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::{
    common::Result,
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

/// What follows is the type that is cast to.
pub(crate) const PREFIX: &str = "\u{1}as ";

pub(crate) fn same(name: &str) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Same {
        name: name.to_owned(),
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for Same {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(args.arg_fields[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args[0].clone())
    }

    fn simplify(
        &self,
        mut args: Vec<Expr>,
        _context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(args.remove(0)))
    }
}
