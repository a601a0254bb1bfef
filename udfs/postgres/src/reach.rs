//! Moments that windows with offsets are ordered by. An offset is added to each, which an infinity does not bear: it becomes a
//! moment that is as good as never. That is wrong where the frame begins behind the row or ends before it: an infinity stays where
//! it is, and is in its own frame; so there it is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion_common::Result;
use datafusion_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::refusal::Refusal;

/// Days from 1970 to the year 200000 or so, and as many back: within what a calendar counts.
const FAR: i32 = 72_000_000;
const FAR_MICROS: i64 = FAR as i64 * 86_400_000_000;

/// Of dates, and of timestamps of microseconds. `is_aside`: the frame has no place for the row itself.
pub fn within_reach(is_aside: bool) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(WithinReach {
        is_aside,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithinReach {
    is_aside: bool,
    signature: Signature,
}

impl ScalarUDFImpl for WithinReach {
    fn name(&self) -> &str {
        match self.is_aside {
            true => "\u{1}within_reach_aside",
            false => "\u{1}within_reach",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given[0].clone())
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs[0].sort_properties)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let array: ArrayRef = match array.data_type() {
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>();
                let is_infinite = |days: i32| matches!(days, i32::MIN | i32::MAX);
                if self.is_aside && days.iter().flatten().any(is_infinite) {
                    return Err(no_infinity().into());
                }
                Arc::new(days.unary::<_, Date32Type>(|days| days.clamp(-FAR, FAR)))
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let micros = array.as_primitive::<TimestampMicrosecondType>();
                let is_infinite = |micros: i64| matches!(micros, i64::MIN | i64::MAX);
                if self.is_aside && micros.iter().flatten().any(is_infinite) {
                    return Err(no_infinity().into());
                }
                let micros = micros.unary::<_, TimestampMicrosecondType>(|micros| {
                    micros.clamp(-FAR_MICROS, FAR_MICROS)
                });
                Arc::new(micros.with_timezone_opt(zone.clone()))
            }
            _ => array,
        };
        Ok(ColumnarValue::Array(array))
    }
}

fn no_infinity() -> Refusal {
    Refusal::not_supported(
        "a RANGE that begins behind the row or ends before it is not supported where a moment is infinite",
        "Leave such rows out: WHERE isfinite(…).",
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::Date32Array;
    use arrow::datatypes::Field;
    use datafusion_common::config::ConfigOptions;

    use super::*;

    #[test]
    fn infinities_come_within_reach_and_others_stay() {
        let days = Date32Array::from(vec![Some(i32::MAX), Some(i32::MIN), Some(19_000), None]);
        let field = Arc::new(Field::new("", DataType::Date32, true));
        let done = within_reach(false)
            .invoke_with_args(ScalarFunctionArgs {
                number_rows: 4,
                args: vec![ColumnarValue::Array(Arc::new(days))],
                arg_fields: vec![field.clone()],
                return_field: field,
                config_options: Arc::new(ConfigOptions::default()),
            })
            .and_then(|done| done.to_array(4))
            .expect("dates");
        let expected = Date32Array::from(vec![Some(FAR), Some(-FAR), Some(19_000), None]);
        assert_eq!(done.as_primitive::<Date32Type>(), &expected);
    }
}
