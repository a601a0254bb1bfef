//! `('x' || md5(id))::bit(64)::bigint`: the number that a hash begins with, which is how Looker counts each row of a joined
//! table once. Bits by themselves are no type of Rapport's.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, Int64Array},
    compute::{cast, kernels::bitwise::bitwise_not},
    datatypes::{DataType, Int16Type, Int32Type, Int64Type},
};
use datafusion::{
    common::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};
use rapport_udf_postgres::refusal::refuse;

use crate::pg_type::PgType;

/// A name that no client can type.
pub(crate) const BITS: &str = "\u{1}bigint_of_64_bits";

pub(crate) fn bigint_of_64_bits() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Bits {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bits {
    signature: Signature,
}

impl ScalarUDFImpl for Bits {
    fn name(&self) -> &str {
        BITS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = cast(&args.args[0].to_array(args.number_rows)?, &DataType::Utf8)?;
        let numbers = texts.as_string::<i32>().iter();
        let numbers = numbers.map(|text| text.map(number).transpose());
        let numbers: ArrayRef = Arc::new(numbers.collect::<Result<Int64Array>>()?);
        Ok(ColumnarValue::Array(numbers))
    }
}

/// `x` begins hexadecimal digits, `b` or nothing binary ones. What is missing at the end is zero, what is too much is cut off.
fn number(text: &str) -> Result<i64> {
    let (digits, width) = match text.as_bytes().first() {
        Some(b'x' | b'X') => (&text[1..], 4),
        Some(b'b' | b'B') => (&text[1..], 1),
        _ => (text, 1),
    };
    let mut bits = 0_u64;
    let mut room = 64;
    for digit in digits.chars() {
        let value = digit.to_digit(1 << width).ok_or_else(|| {
            let kind = if width == 4 { "hexadecimal" } else { "binary" };
            refuse("22P02", format!("\"{digit}\" is not a valid {kind} digit"))
        })?;
        if room > 0 {
            room -= width;
            bits |= u64::from(value) << room;
        }
    }
    Ok(i64::from_be_bytes(bits.to_be_bytes()))
}

/// A name that no client can type.
pub(crate) const BIT_NOT: &str = "\u{1}bit_not";

pub(crate) fn bit_not() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(BitNot {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BitNot {
    signature: Signature,
}

impl ScalarUDFImpl for BitNot {
    fn name(&self) -> &str {
        BIT_NOT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [whole @ (DataType::Int16 | DataType::Int32 | DataType::Int64)] => {
                Ok(vec![whole.clone()])
            }
            [DataType::Null | DataType::Utf8] => Err(refuse(
                "42725",
                "operator is not unique: ~ unknown".to_owned(),
            )),
            [other, ..] => {
                let name = PgType::of_arrow(other).name_alone();
                let message = format!("operator does not exist: ~ {name}");
                Err(refuse("42883", message))
            }
            [] => Err(refuse("42601", "syntax error at end of input".to_owned())),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let numbers = args.args[0].to_array(args.number_rows)?;
        let turned: ArrayRef = match numbers.data_type() {
            DataType::Int16 => Arc::new(bitwise_not(numbers.as_primitive::<Int16Type>())?),
            DataType::Int32 => Arc::new(bitwise_not(numbers.as_primitive::<Int32Type>())?),
            _ => Arc::new(bitwise_not(numbers.as_primitive::<Int64Type>())?),
        };
        Ok(ColumnarValue::Array(turned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: i64) {
        assert_eq!(number(text).expect(text), expected, "{text}");
    }

    #[test]
    fn a_hash_begins_with_a_number() {
        check("x0cc175b9c0f1b6a831c399e269772661", 919_145_239_626_757_800);
        check("xffffffffffffffff", -1);
        check("x8", i64::MIN);
        check("B01", 1 << 62);
        assert!(number("xg").is_err());
    }
}
