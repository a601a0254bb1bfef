//! Functions that make much text out of little, with a bound on how much.
//!
//! `repeat('x', 2000000000)` is computed outside of every memory pool, and a failed allocation ends the process. So the
//! size of the answer is estimated before it is made.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, StringArray},
    compute::cast,
    datatypes::{DataType, FieldRef, Int64Type},
};
use datafusion::{
    common::Result,
    logical_expr::{
        ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
        ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

use crate::Error;

/// Of one batch of rows.
const MAX_BYTES: u128 = 256 << 20;
/// One value of this size for all rows of a batch is counted once for each: most functions make a row of it each.
const BIG_CONSTANT: u128 = 1 << 20;

/// The functions of the list, those that amplify replaced by bounded ones.
pub(crate) fn bounded(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .map(|function| {
            let growth = match function.name() {
                "repeat" => Growth::Repeat,
                "lpad" | "rpad" => Growth::Pad,
                "replace" => Growth::Replace,
                _ => return function,
            };
            let mut signature = function.signature().clone();
            if growth != Growth::Replace {
                // Never computed while the plan is made: nobody knows then for how many rows.
                signature.volatility = Volatility::Volatile;
            }
            Arc::new(ScalarUDF::from(Bounded {
                inner: function,
                signature,
                growth,
            }))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    Repeat,
    Pad,
    Replace,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    signature: Signature,
    growth: Growth,
}

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let rows = args.number_rows.max(1);
        let constant = is_constant(args);
        let arrays = args
            .args
            .iter()
            .map(|arg| arg.to_array(if constant { 1 } else { rows }));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let estimate = match self.growth {
            Growth::Repeat => repeated(&arrays)?,
            Growth::Pad => padded(&arrays)?,
            Growth::Replace => replaced(&arrays)?,
        };
        let estimate = match constant && estimate > BIG_CONSTANT {
            true => estimate * rows as u128,
            false => estimate,
        };
        if estimate > MAX_BYTES {
            let message = format!(
                "{} would make {estimate} bytes, at most {MAX_BYTES} are allowed",
                self.name()
            );
            return Err(Error::OutOfMemory { message }.into());
        }
        Ok(())
    }
}

fn is_constant(args: &ScalarFunctionArgs) -> bool {
    args.args
        .iter()
        .all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

fn texts(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn repeated(args: &[ArrayRef]) -> Result<u128> {
    let [text, count, ..] = args else {
        return Ok(0);
    };
    let counts = cast(count, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    let sizes = texts(text)?;
    let sizes = sizes
        .iter()
        .zip(counts)
        .map(|(text, count)| match (text, count) {
            (Some(text), Some(count)) => text.len() as u128 * u128::try_from(count).unwrap_or(0),
            _ => 0,
        });
    Ok(sizes.sum())
}

/// Characters of four bytes at most.
fn padded(args: &[ArrayRef]) -> Result<u128> {
    let [_, length, ..] = args else { return Ok(0) };
    let lengths = cast(length, &DataType::Int64)?;
    let lengths = lengths.as_primitive::<Int64Type>().iter().flatten();
    Ok(lengths
        .map(|length| u128::try_from(length).unwrap_or(0))
        .sum())
}

fn replaced(args: &[ArrayRef]) -> Result<u128> {
    let [text, from, to] = args else { return Ok(0) };
    let (text, from, to) = (texts(text)?, texts(from)?, texts(to)?);
    let sizes = text
        .iter()
        .zip(&from)
        .zip(&to)
        .map(|((text, from), to)| match (text, from, to) {
            (Some(text), Some(from), Some(to)) if !from.is_empty() && to.len() > from.len() => {
                text.len() as u128
                    + text.matches(from).count() as u128 * (to.len() - from.len()) as u128
            }
            _ => 0,
        });
    Ok(sizes.sum())
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
