//! `isfinite`: false for the infinite dates and moments.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, described, is_scalar, moment_type, no_such_function, span_type,
};
use crate::moment::{is_finite, is_finite_date};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "Whether a date or moment is neither infinity nor -infinity. An interval always is finite. NULL if the argument is NULL.",
    syntax_example = "isfinite(x)",
    argument(
        name = "x",
        description = "date, timestamp, timestamp with time zone or interval"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct IsFinite {
    signature: Signature,
}

impl IsFinite {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for IsFinite {
    described!("isfinite");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![match given {
            [DataType::Date32] => DataType::Date32,
            [DataType::Timestamp(_, None)] => clock_type(),
            [DataType::Timestamp(_, Some(_))] => moment_type(),
            [DataType::Interval(_) | DataType::Duration(_)] => span_type(),
            _ => return Err(no_such_function("isfinite", given).into()),
        }])
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(1)?;
        let finite: BooleanArray = match array.data_type() {
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>();
                days.iter().map(|day| day.map(is_finite_date)).collect()
            }
            DataType::Timestamp(..) => {
                let moments = array.as_primitive::<TimestampMicrosecondType>();
                moments.iter().map(|at| at.map(is_finite)).collect()
            }
            _ => (0..array.len())
                .map(|row| array.is_valid(row).then_some(true))
                .collect(),
        };
        as_given(Arc::new(finite), is_scalar(&args.args))
    }
}
