//! How many digits after the point PostgreSQL shows of a result, and a number written with them.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int32Array, StringArray},
    compute::cast,
    datatypes::{DataType, Int32Type},
};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{
    Digits, Shown,
    arithmetic::Numbers,
    decimal::{Decimal, MOST_SCALE},
    transcendental,
};

/// Digits after the point that a number shows at most; PostgreSQL's NUMERIC_DSCALE_MAX.
const MOST_WRITTEN: i32 = 16_383;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Of a number: by what its type says of it.
    Scale,
    /// Of the quotient of two numbers, which show so many: four arguments.
    ScaleOfQuotient,
    /// Of such a function of one number, or of two, which show so many: the numbers, then their digits.
    ScaleOf(Curve),
    /// The number and its digits after the point, as a text. No digit is lost if they are too few.
    Written,
}

/// Functions whose results have digits by rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    Sqrt,
    Exp,
    Ln,
    Log10,
    Log,
    Power,
}

impl Curve {
    /// By its name in SQL and the number of its arguments.
    pub fn named(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("sqrt", 1) => Self::Sqrt,
            ("exp", 1) => Self::Exp,
            ("ln", 1) => Self::Ln,
            ("log" | "log10", 1) => Self::Log10,
            ("log", 2) => Self::Log,
            ("power", 2) => Self::Power,
            _ => return None,
        })
    }

    fn arguments(self) -> usize {
        match self {
            Self::Log | Self::Power => 2,
            _ => 1,
        }
    }

    fn scale(self, x: &[transcendental::Shown]) -> i32 {
        match self {
            Self::Sqrt => transcendental::sqrt_scale(x[0]),
            Self::Exp => transcendental::exp_scale(x[0]),
            Self::Ln => transcendental::ln_scale(x[0]),
            Self::Log10 => transcendental::log_scale((Decimal::whole(10), 0), x[0]),
            Self::Log => transcendental::log_scale(x[0], x[1]),
            Self::Power => transcendental::power_scale(x[0], x[1]),
        }
    }
}

/// The step as a function.
pub fn function(step: Step) -> Arc<ScalarUDF> {
    let arguments = match step {
        Step::Scale => 1,
        Step::ScaleOfQuotient => 4,
        Step::ScaleOf(curve) => 2 * curve.arguments(),
        Step::Written => 2,
    };
    Arc::new(ScalarUDF::from(Function {
        step,
        signature: Signature::any(arguments, Volatility::Immutable),
    }))
}

#[derive(Debug)]
struct Function {
    step: Step,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.step == other.step
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.step.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.step {
            Step::Scale => "shown_scale",
            Step::ScaleOfQuotient => "shown_scale_of_quotient",
            Step::ScaleOf(_) => "shown_scale_of_function",
            Step::Written => "numeric_out",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.step {
            Step::Written => DataType::Utf8,
            Step::Scale | Step::ScaleOfQuotient | Step::ScaleOf(_) => DataType::Int32,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let done = match (self.step, arrays.as_slice()) {
            (Step::ScaleOfQuotient, [left, right, left_scale, right_scale]) => {
                of_quotients(left, right, left_scale, right_scale)?
            }
            (Step::ScaleOf(curve), arrays) => of_curve(curve, arrays)?,
            (Step::Written, [numbers, scales]) => written(numbers, scales)?,
            (_, arrays) => of_numbers(&arrays[0])?,
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&done, 0)?),
            false => ColumnarValue::Array(done),
        })
    }
}

fn rule(array: &ArrayRef) -> Shown {
    Digits::of(array.data_type()).map_or(Shown::Scale, |digits| digits.shown)
}

fn of_numbers(array: &ArrayRef) -> Result<ArrayRef> {
    let (numbers, rule) = (Numbers::new(array)?, rule(array));
    let scales = (0..numbers.len()).map(|row| {
        let number = numbers.get(row)?;
        Some(number.shown_scale(rule))
    });
    Ok(Arc::new(scales.collect::<Int32Array>()))
}

fn of_quotients(
    left: &ArrayRef,
    right: &ArrayRef,
    left_scales: &ArrayRef,
    right_scales: &ArrayRef,
) -> Result<ArrayRef> {
    let (left, right) = (Numbers::new(left)?, Numbers::new(right)?);
    let left_scales = cast(left_scales, &DataType::Int32)?;
    let right_scales = cast(right_scales, &DataType::Int32)?;
    let scale = |scales: &ArrayRef, row| {
        let scales = scales.as_primitive::<Int32Type>();
        if scales.is_null(row) {
            0
        } else {
            scales.value(row)
        }
    };
    let scales = (0..left.len()).map(|row| {
        let (number, divisor) = (left.get(row)?, right.get(row)?);
        let scale =
            number.quotient_scale(scale(&left_scales, row), divisor, scale(&right_scales, row));
        Some(scale.min(MOST_SCALE))
    });
    Ok(Arc::new(scales.collect::<Int32Array>()))
}

fn of_curve(curve: Curve, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let (numbers, scales) = arrays.split_at(curve.arguments());
    let numbers = numbers.iter().map(Numbers::new);
    let numbers = numbers.collect::<Result<Vec<_>>>()?;
    let scales = scales.iter().map(|scales| cast(scales, &DataType::Int32));
    let scales = scales.collect::<Result<Vec<_>, _>>()?;
    let rows = numbers.first().map_or(0, Numbers::len);
    let of_rows = (0..rows).map(|row| {
        let mut values = Vec::with_capacity(numbers.len());
        for (numbers, scales) in numbers.iter().zip(&scales) {
            let scales = scales.as_primitive::<Int32Type>();
            let scale = if scales.is_null(row) {
                0
            } else {
                scales.value(row)
            };
            values.push((numbers.get(row)?, scale));
        }
        Some(curve.scale(&values))
    });
    Ok(Arc::new(of_rows.collect::<Int32Array>()))
}

fn written(array: &ArrayRef, scales: &ArrayRef) -> Result<ArrayRef> {
    let (numbers, rule) = (Numbers::new(array)?, rule(array));
    let scales = cast(scales, &DataType::Int32)?;
    let scales = scales.as_primitive::<Int32Type>();
    let texts = (0..numbers.len()).map(|row| {
        let number = numbers.get(row)?.trimmed();
        let scale = match scales.is_null(row) {
            true => numbers.get(row)?.shown_scale(rule),
            false => scales.value(row),
        };
        let mut text = String::with_capacity(24);
        let scale = scale.min(MOST_WRITTEN).max(number.scale).max(0);
        number.write(scale, &mut text);
        Some(text)
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}
