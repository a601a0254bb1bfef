//! Variance and standard deviation of exact numbers, from their count, their sum and the sum of their squares.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::{
    array::{AsArray, Int32Array},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{
    QUOTIENT, Shown,
    arithmetic::{Numbers, to_array},
    decimal::{Decimal, MOST_SCALE},
    transcendental::square_root,
};

/// Of a sample or of a whole population, as it is or its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measure {
    is_sample: bool,
    is_root: bool,
}

impl Measure {
    /// By the name of the aggregate function.
    pub fn named(name: &str) -> Option<Self> {
        let (is_sample, is_root) = match name {
            "variance" | "var" | "var_samp" | "var_sample" => (true, false),
            "var_pop" | "var_population" => (false, false),
            "stddev" | "stddev_samp" => (true, true),
            "stddev_pop" => (false, true),
            _ => return None,
        };
        Some(Self { is_sample, is_root })
    }

    /// With the digits that PostgreSQL shows of it. NULL for no value at all, and for one that is to be a sample.
    fn of(self, count: i128, sum: Decimal, squares: Decimal) -> Result<Option<(Decimal, i32)>> {
        let least = if self.is_sample { 2 } else { 1 };
        if count < least {
            return Ok(None);
        }
        let numerator = Decimal::whole(count)
            .multiply(squares)?
            .subtract(sum.multiply(sum)?)?;
        if numerator.is_zero() || numerator.is_negative() {
            // Nothing varies: 0, without a point.
            return Ok(Some((Decimal::ZERO, 0)));
        }
        let divisor = Decimal::whole(count * if self.is_sample { count - 1 } else { count });
        let shown = numerator.quotient_scale(numerator.shown_scale(Shown::Scale), divisor, 0);
        let scale = shown.min(MOST_SCALE);
        let variance = numerator.divide(divisor, scale)?;
        Ok(Some(match self.is_root {
            true => (square_root(variance, scale)?, scale),
            false => (variance, scale),
        }))
    }
}

/// `(count, sum, sum of squares)` to the measure.
pub fn function(measure: Measure) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Variance {
        measure,
        gives_scale: false,
        signature: Signature::any(3, Volatility::Immutable),
    }))
}

/// Of the same arguments, how many digits after the point the measure shows: an int.
pub fn scale(function: &ScalarUDF) -> Option<Arc<ScalarUDF>> {
    let variance = function.inner().downcast_ref::<Variance>()?;
    Some(Arc::new(ScalarUDF::from(Variance {
        measure: variance.measure,
        gives_scale: true,
        signature: Signature::any(3, Volatility::Immutable),
    })))
}

#[derive(Debug)]
struct Variance {
    measure: Measure,
    gives_scale: bool,
    signature: Signature,
}

impl PartialEq for Variance {
    fn eq(&self, other: &Self) -> bool {
        (self.measure, self.gives_scale) == (other.measure, other.gives_scale)
    }
}

impl Eq for Variance {}

impl Hash for Variance {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.measure, self.gives_scale).hash(state);
    }
}

impl ScalarUDFImpl for Variance {
    fn name(&self) -> &str {
        match self.gives_scale {
            true => "variance_of_sums_scale",
            false => "variance_of_sums",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.gives_scale {
            true => DataType::Int32,
            false => QUOTIENT,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let counts = cast(&args.args[0].to_array(rows)?, &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        let sums = Numbers::new(&args.args[1].to_array(rows)?)?;
        let squares = Numbers::new(&args.args[2].to_array(rows)?)?;
        let values = counts.iter().enumerate().map(|(row, count)| {
            match (count, sums.get(row), squares.get(row)) {
                (Some(count), Some(sum), Some(squares)) => {
                    self.measure.of(count.into(), sum, squares)
                }
                _ => Ok(None),
            }
        });
        let done = match self.gives_scale {
            true => {
                let scales = values.map(|value| Ok(value?.map(|(_, scale)| scale)));
                Arc::new(scales.collect::<Result<Int32Array>>()?)
            }
            false => to_array(
                values.map(|value| Ok(value?.map(|(value, _)| value))),
                &QUOTIENT,
            )?,
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&done, 0)?),
            false => ColumnarValue::Array(done),
        })
    }
}
