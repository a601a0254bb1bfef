//! `+ - * / %` and the sign, for every pair of number types, refused where PostgreSQL refuses.
//!
//! The planner puts these in the place of DataFusion's operators, which wrap integers, divide decimals with four more
//! digits, and let floats overflow to infinity.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
    compute::{binary, cast, try_binary, try_unary},
    datatypes::{
        ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
        Int16Type, Int32Type, Int64Type, i256,
    },
    error::ArrowError,
};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{
    Digits, Shown,
    decimal::{Decimal, MOST_SCALE, overflow, power_of_ten},
};
use crate::refusal::{Refusal, refuse};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
}

impl Operation {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// The type of the result; none if PostgreSQL has no such operator.
    ///
    /// Integers and floats have to be of one type.
    pub fn result(self, left: &DataType, right: &DataType) -> Option<DataType> {
        if left == right && (left.is_integer() || left.is_floating()) {
            let has_operator = left.is_integer() || self != Self::Remainder;
            return has_operator.then(|| left.clone());
        }
        let (left, right) = (Digits::of(left)?, Digits::of(right)?);
        let shown = left.shown.max(right.shown);
        let whole = left.whole.max(right.whole);
        let scale = left.scale.max(right.scale);
        let digits = match self {
            Self::Add | Self::Subtract => Digits {
                whole: whole + 1,
                scale,
                shown,
            },
            Self::Multiply => Digits {
                whole: left.whole + right.whole,
                scale: left.scale + right.scale,
                shown,
            },
            Self::Divide => Digits {
                whole,
                scale,
                shown: Shown::Quotient,
            },
            Self::Remainder => Digits {
                whole,
                scale,
                shown,
            },
            Self::Negate => left,
        };
        Some(digits.data_type())
    }
}

/// The operator as a function of one argument (the sign) or two.
pub fn function(operation: Operation) -> Arc<ScalarUDF> {
    let arguments = match operation {
        Operation::Negate => 1,
        _ => 2,
    };
    Arc::new(ScalarUDF::from(Arithmetic {
        operation,
        signature: Signature::any(arguments, Volatility::Immutable),
    }))
}

#[derive(Debug)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl PartialEq for Arithmetic {
    fn eq(&self, other: &Self) -> bool {
        self.operation == other.operation
    }
}

impl Eq for Arithmetic {}

impl Hash for Arithmetic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.operation.symbol()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        if self.operation == Operation::Negate {
            return Ok(given[0].clone());
        }
        let result = self.operation.result(&given[0], &given[1]);
        result.ok_or_else(|| no_such_operator(self.operation, &given[0], &given[1]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let result = args.return_field.data_type();
        let done = match arrays.as_slice() {
            [value] => negate(value)?,
            [left, right] => compute(self.operation, left, right, result)?,
            _ => return Err(Refusal::no_such_function("no such operator").into()),
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&done, 0)?),
            false => ColumnarValue::Array(done),
        })
    }
}

/// 42883
pub fn no_such_operator(
    operation: Operation,
    left: &DataType,
    right: &DataType,
) -> DataFusionError {
    let message = format!(
        "operator does not exist: {} {} {}",
        type_name(left),
        operation.symbol(),
        type_name(right)
    );
    Refusal::new("42883", message)
        .with_hint(
            "No operator matches the given name and argument types. You might need to add explicit type casts.",
        )
        .into()
}

/// As PostgreSQL calls a number type.
pub(crate) fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        other if other.is_decimal() => "numeric",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(..) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Null => "unknown",
        _ => "text",
    }
}

fn compute(
    operation: Operation,
    left: &ArrayRef,
    right: &ArrayRef,
    result: &DataType,
) -> Result<ArrayRef> {
    match (left.data_type(), right.data_type()) {
        (DataType::Int16, DataType::Int16) => integers::<Int16Type>(operation, left, right),
        (DataType::Int32, DataType::Int32) => integers::<Int32Type>(operation, left, right),
        (DataType::Int64, DataType::Int64) => integers::<Int64Type>(operation, left, right),
        (DataType::Float32, DataType::Float32) => floats::<Float32Type>(operation, left, right),
        (DataType::Float64, DataType::Float64) => floats::<Float64Type>(operation, left, right),
        _ => decimals(operation, left, right, result),
    }
}

fn integers<T>(operation: Operation, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp,
{
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let minus_one = T::Native::ZERO.sub_wrapping(T::Native::ONE);
    let done: Result<PrimitiveArray<T>, ArrowError> = match operation {
        Operation::Add => try_binary(left, right, |a, b| a.add_checked(b)),
        Operation::Subtract => try_binary(left, right, |a, b| a.sub_checked(b)),
        Operation::Multiply => try_binary(left, right, |a, b| a.mul_checked(b)),
        Operation::Divide => try_binary(left, right, |a, b| a.div_checked(b)),
        Operation::Remainder | Operation::Negate => try_binary(left, right, |a, b| {
            // The least number has a remainder, though no quotient.
            if b == minus_one {
                Ok(T::Native::ZERO)
            } else {
                a.mod_checked(b)
            }
        }),
    };
    Ok(Arc::new(
        done.map_err(|error| integer_error(error, &T::DATA_TYPE))?,
    ))
}

fn integer_error(error: ArrowError, data_type: &DataType) -> DataFusionError {
    match error {
        ArrowError::DivideByZero => refuse("22012", "division by zero"),
        _ => refuse("22003", format!("{} out of range", type_name(data_type))),
    }
}

/// A float as far as overflow is concerned.
trait Float: ArrowNativeTypeOp {
    fn is_infinite(self) -> bool;
    fn is_nan(self) -> bool;
}

impl Float for f32 {
    fn is_infinite(self) -> bool {
        f32::is_infinite(self)
    }

    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
}

impl Float for f64 {
    fn is_infinite(self) -> bool {
        f64::is_infinite(self)
    }

    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
}

fn floats<T>(operation: Operation, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let checked = |a: T::Native, b: T::Native, result: T::Native, may_vanish: bool| {
        if result.is_infinite() && !a.is_infinite() && !b.is_infinite() {
            return Err(float_error("overflow"));
        }
        if may_vanish && result.is_zero() && !a.is_zero() && !b.is_zero() && !b.is_infinite() {
            return Err(float_error("underflow"));
        }
        Ok(result)
    };
    let done: Result<PrimitiveArray<T>, ArrowError> = match operation {
        Operation::Add => try_binary(left, right, |a, b| checked(a, b, a.add_wrapping(b), false)),
        Operation::Subtract => {
            try_binary(left, right, |a, b| checked(a, b, a.sub_wrapping(b), false))
        }
        Operation::Multiply => {
            try_binary(left, right, |a, b| checked(a, b, a.mul_wrapping(b), true))
        }
        _ => try_binary(left, right, |a: T::Native, b: T::Native| {
            if b.is_zero() && !a.is_nan() {
                return Err(ArrowError::DivideByZero);
            }
            checked(a, b, a.div_wrapping(b), true)
        }),
    };
    Ok(Arc::new(done.map_err(|error| match error {
        ArrowError::DivideByZero => refuse("22012", "division by zero"),
        error => error.into(),
    })?))
}

fn float_error(what: &str) -> ArrowError {
    let refusal = Refusal::out_of_range(format!("value out of range: {what}"));
    ArrowError::ExternalError(Box::new(refusal))
}

/// Integers and decimals, one value at a time.
pub(crate) enum Numbers {
    Small(PrimitiveArray<Decimal128Type>, i32),
    Large(PrimitiveArray<Decimal256Type>, i32),
}

impl Numbers {
    pub(crate) fn new(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Decimal128(_, scale) => {
                Self::Small(array.as_primitive().clone(), i32::from(*scale))
            }
            DataType::Decimal256(_, scale) => {
                Self::Large(array.as_primitive().clone(), i32::from(*scale))
            }
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                let wide = cast(array, &DataType::Decimal128(*precision, *scale))?;
                Self::Small(wide.as_primitive().clone(), i32::from(*scale))
            }
            _ => {
                let wide = cast(array, &DataType::Int64)?;
                let whole = wide.as_primitive::<Int64Type>();
                Self::Small(whole.unary(i128::from), 0)
            }
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Small(array, _) => array,
            Self::Large(array, _) => array,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.array().len()
    }

    pub(crate) fn get(&self, row: usize) -> Option<Decimal> {
        if self.array().is_null(row) {
            return None;
        }
        Some(match self {
            Self::Small(array, scale) => Decimal::new(i256::from_i128(array.value(row)), *scale),
            Self::Large(array, scale) => Decimal::new(array.value(row), *scale),
        })
    }
}

/// Values of any scale as an array of a decimal type; 22003 for one that has too many digits.
pub(crate) fn to_array(
    values: impl Iterator<Item = Result<Option<Decimal>>>,
    data_type: &DataType,
) -> Result<ArrayRef> {
    match data_type {
        DataType::Decimal128(precision, scale) => {
            let limit = power_of_ten(i32::from(*precision)).unwrap_or(i256::MAX);
            let digits = values.map(|value| {
                let fitted = fitted(value?, i32::from(*scale), limit)?;
                Ok(fitted.map(i256::as_i128))
            });
            let array = digits.collect::<Result<PrimitiveArray<Decimal128Type>>>()?;
            Ok(Arc::new(
                array.with_precision_and_scale(*precision, *scale)?,
            ))
        }
        DataType::Decimal256(precision, scale) => {
            let limit = power_of_ten(i32::from(*precision)).unwrap_or(i256::MAX);
            let digits = values.map(|value| fitted(value?, i32::from(*scale), limit));
            let array = digits.collect::<Result<PrimitiveArray<Decimal256Type>>>()?;
            Ok(Arc::new(
                array.with_precision_and_scale(*precision, *scale)?,
            ))
        }
        other => Err(DataFusionError::Internal(format!("{other} is no decimal"))),
    }
}

fn fitted(value: Option<Decimal>, scale: i32, limit: i256) -> Result<Option<i256>> {
    let Some(value) = value else { return Ok(None) };
    let digits = value.rounded(scale)?.digits;
    if digits.wrapping_abs() >= limit {
        return Err(overflow());
    }
    Ok(Some(digits))
}

fn decimals(
    operation: Operation,
    left: &ArrayRef,
    right: &ArrayRef,
    result: &DataType,
) -> Result<ArrayRef> {
    let shown = |array: &ArrayRef| {
        Digits::of(array.data_type())
            .map(|digits| digits.shown)
            .ok_or_else(|| no_such_operator(operation, left.data_type(), right.data_type()))
    };
    let (left_shown, right_shown) = (shown(left)?, shown(right)?);
    let (left, right) = (Numbers::new(left)?, Numbers::new(right)?);
    if let (Numbers::Small(left, left_scale), Numbers::Small(right, right_scale)) = (&left, &right)
        && let DataType::Decimal128(precision, scale) = result
        && let Some(done) = narrow(operation, (left, *left_scale), (right, *right_scale))
    {
        return Ok(Arc::new(done.with_precision_and_scale(*precision, *scale)?));
    }
    let values = (0..left.len()).map(|row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else {
            return Ok(None);
        };
        let value = match operation {
            Operation::Add => left.add(right),
            Operation::Subtract => left.subtract(right),
            Operation::Multiply => left.multiply(right),
            Operation::Remainder | Operation::Negate => left.remainder(right),
            Operation::Divide => quotient(left, left_shown, right, right_shown),
        };
        value.map(Some)
    });
    to_array(values, result)
}

/// A quotient with the digits that PostgreSQL gives it.
pub(crate) fn quotient(
    left: Decimal,
    left_shown: Shown,
    right: Decimal,
    right_shown: Shown,
) -> Result<Decimal> {
    let scale = left.quotient_scale(
        left.shown_scale(left_shown),
        right,
        right.shown_scale(right_shown),
    );
    left.divide(right, scale.min(MOST_SCALE))
}

/// Sums and products whose type says that they fit: nothing has to be checked.
fn narrow(
    operation: Operation,
    (left, left_scale): (&PrimitiveArray<Decimal128Type>, i32),
    (right, right_scale): (&PrimitiveArray<Decimal128Type>, i32),
) -> Option<PrimitiveArray<Decimal128Type>> {
    let scale = left_scale.max(right_scale);
    let power = |own: i32| Some(10i128.pow(u32::try_from(scale - own).ok()?));
    let (by_left, by_right) = (power(left_scale)?, power(right_scale)?);
    let scaled = |a: i128, by: i128| a.wrapping_mul(by);
    let done = match operation {
        Operation::Add => binary(left, right, |a, b| {
            scaled(a, by_left).wrapping_add(scaled(b, by_right))
        }),
        Operation::Subtract => binary(left, right, |a, b| {
            scaled(a, by_left).wrapping_sub(scaled(b, by_right))
        }),
        Operation::Multiply => binary(left, right, |a, b| a.wrapping_mul(b)),
        _ => return None,
    };
    done.ok()
}

fn negate(value: &ArrayRef) -> Result<ArrayRef> {
    fn integer<T: ArrowPrimitiveType>(value: &ArrayRef) -> Result<ArrayRef>
    where
        T::Native: ArrowNativeTypeOp,
    {
        let done: Result<PrimitiveArray<T>, ArrowError> =
            try_unary(value.as_primitive::<T>(), |value| value.neg_checked());
        Ok(Arc::new(
            done.map_err(|error| integer_error(error, &T::DATA_TYPE))?,
        ))
    }
    Ok(match value.data_type() {
        DataType::Int16 => integer::<Int16Type>(value)?,
        DataType::Int32 => integer::<Int32Type>(value)?,
        DataType::Int64 => integer::<Int64Type>(value)?,
        _ => arrow::compute::kernels::numeric::neg_wrapping(value)?,
    })
}
