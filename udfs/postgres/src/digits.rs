//! `CAST(x AS timestamp(3))`, where x is a timestamp already: rounds the seconds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType as Moments,
};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::arguments::{clock_type, map1, moment_type, no_such_function, span_type, time_type};
use crate::moment::is_finite;
use crate::now::{rounded, rounded_moment};
use crate::simple::PG_TYPE;
use crate::span::Span;

/// Its name, which no client can type without quotes: the planner calls it.
pub const DIGITS: &str = "\u{1}digits";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digits {
    signature: Signature,
}

impl Digits {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Digits {
    fn name(&self) -> &str {
        DIGITS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let of = match given.first() {
            Some(DataType::Timestamp(_, None)) => clock_type(),
            Some(DataType::Timestamp(..)) => moment_type(),
            Some(DataType::Time64(_)) => time_type(),
            Some(DataType::Interval(_)) => span_type(),
            _ => return Err(no_such_function("digits", given).into()),
        };
        Ok(vec![of, DataType::Int64])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = args.arg_fields[0].data_type();
        let field = Field::new(self.name(), data_type.clone(), true);
        let digits = args.scalar_arguments.get(1).copied().flatten();
        let digits = digits.and_then(|digits| digits.cast_to(&DataType::Int64).ok());
        let Some(ScalarValue::Int64(Some(digits))) = digits else {
            return Ok(Arc::new(field));
        };
        let pg_type = match data_type {
            DataType::Timestamp(_, None) => format!("timestamp({digits}) without time zone"),
            DataType::Timestamp(..) => format!("timestamp({digits}) with time zone"),
            DataType::Time64(_) => format!("time({digits}) without time zone"),
            _ => format!("interval({digits})"),
        };
        let metadata = HashMap::from([(PG_TYPE.to_owned(), pg_type)]);
        Ok(Arc::new(field.with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let digits = match &args.args[1] {
            ColumnarValue::Scalar(ScalarValue::Int64(Some(digits))) => {
                u32::try_from(*digits).unwrap_or(6)
            }
            _ => 6,
        };
        round(&args.args[0], args.return_field.data_type(), digits)
    }
}

/// Moments, times of day or intervals to so many digits of the seconds.
pub fn to_digits(array: &ArrayRef, digits: u32) -> Result<ArrayRef> {
    round(
        &ColumnarValue::Array(array.clone()),
        array.data_type(),
        digits,
    )?
    .to_array(array.len())
}

fn round(value: &ColumnarValue, of: &DataType, digits: u32) -> Result<ColumnarValue> {
    match of {
        DataType::Timestamp(..) => map1::<Moments, Moments>(value, of, |at| {
            Ok(if is_finite(at) {
                rounded_moment(at, digits)
            } else {
                at
            })
        }),
        DataType::Time64(_) => {
            map1::<Time64MicrosecondType, Time64MicrosecondType>(value, of, |time| {
                Ok(rounded(time, digits))
            })
        }
        _ => map1::<IntervalMonthDayNanoType, IntervalMonthDayNanoType>(value, of, |span| {
            let span = Span::from(span);
            Span::new(span.months, span.days, rounded(span.micros, digits)).to_arrow()
        }),
    }
}
