//! `('x' || md5(id))::bit(64)::bigint`: the number that a hash begins with, which is how Looker counts each row of a joined
//! table once. Bits by themselves are no type of Rapport's.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, Int64Array},
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};
use rapport_udf_postgres::refusal::refuse;

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
