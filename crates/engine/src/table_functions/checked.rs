//! What the queries of functions over a relation refuse of their arguments (22023): `"$one_of"('period', 'day, week or month', x)`
//! and `"$not_negative"('value', x)` are x, if it may be so.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Float64Type},
};
use datafusion::{
    common::{Result, ScalarValue, cast::as_string_view_array},
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};
use rapport_udf_postgres::refusal::refuse;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Check {
    OneOf,
    NotNegative,
}

const CHECKS: [Check; 2] = [Check::OneOf, Check::NotNegative];

impl Check {
    /// In the queries.
    fn written(self) -> &'static str {
        match self {
            Self::OneOf => "$one_of",
            Self::NotNegative => "$not_negative",
        }
    }

    /// That no client can type.
    fn name(self) -> &'static str {
        match self {
            Self::OneOf => "\u{1}one_of",
            Self::NotNegative => "\u{1}not_negative",
        }
    }

    fn check(self, name: &str, arguments: &[ArrayRef]) -> Result<()> {
        let values = arguments.last().expect("three or two arguments");
        let known = (0..values.len()).filter(|row| values.is_valid(*row));
        let (range, refused) = match self {
            Self::OneOf => {
                let range = as_string_view_array(&arguments[1])?.value(0).to_owned();
                let values = as_string_view_array(values)?;
                let is_one = |value: &str| {
                    range
                        .replace(" or ", ", ")
                        .split(", ")
                        .any(|one| one == value)
                };
                let mut known = known.map(|row| values.value(row));
                let refused = known.find(|value| !is_one(value)).map(str::to_owned);
                (range, refused)
            }
            Self::NotNegative => {
                let values = values.as_primitive::<Float64Type>();
                let mut known = known.map(|row| values.value(row));
                let refused = known.find(|value| !(value.is_finite() && *value >= 0.0));
                let range = "a finite number of at least 0".to_owned();
                (range, refused.map(|value| value.to_string()))
            }
        };
        match refused {
            Some(value) => Err(refuse(
                "22023",
                format!("{name} must be {range}, got {value}"),
            )),
            None => Ok(()),
        }
    }
}

pub(super) fn hidden_name(written: &str) -> Option<&'static str> {
    let mut checks = CHECKS.into_iter();
    checks
        .find(|check| check.written() == written)
        .map(Check::name)
}

pub(crate) fn checks() -> impl Iterator<Item = Arc<ScalarUDF>> {
    CHECKS.into_iter().map(|check| {
        let types = match check {
            Check::OneOf => vec![DataType::Utf8View; 3],
            Check::NotNegative => vec![DataType::Utf8View, DataType::Float64],
        };
        Arc::new(ScalarUDF::from(Checked {
            check,
            signature: Signature::exact(types, Volatility::Immutable),
        }))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    check: Check,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.check.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.last().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = match &args.args[0] {
            ColumnarValue::Scalar(ScalarValue::Utf8View(Some(name))) => name.clone(),
            other => other.to_array(1)?.as_string_view().value(0).to_owned(),
        };
        let arrays = args.args.iter().map(|value| match value {
            ColumnarValue::Scalar(value) => value.to_array(),
            ColumnarValue::Array(values) => Ok(values.clone()),
        });
        self.check
            .check(&name, &arrays.collect::<Result<Vec<_>>>()?)?;
        Ok(args.args.last().expect("three or two arguments").clone())
    }
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check::invoke;

    use super::*;

    fn check(written: &str, given: &[ScalarValue], expected: Option<&str>) {
        let name = hidden_name(written).expect("one of them");
        let function = checks().find(|function| function.name() == name);
        let args: Vec<_> = given.iter().cloned().map(ColumnarValue::Scalar).collect();
        let got = invoke(&function.expect("registered"), &args);
        match (got, expected) {
            (Ok(ColumnarValue::Scalar(got)), None) => assert_eq!(Some(&got), given.last()),
            (Err(error), Some(told)) => assert!(error.to_string().contains(told), "{error}"),
            (got, _) => panic!("{got:?}"),
        }
    }

    #[test]
    fn one_of_several() {
        let of = |value: Option<&str>| {
            ["period", "day, week or month"]
                .map(|text| ScalarValue::Utf8View(Some(text.to_owned())))
                .into_iter()
                .chain([ScalarValue::Utf8View(value.map(str::to_owned))])
                .collect::<Vec<_>>()
        };
        for allowed in [Some("day"), Some("week"), Some("month"), None] {
            check("$one_of", &of(allowed), None);
        }
        let told = "period must be day, week or month, got hour";
        check("$one_of", &of(Some("hour")), Some(told));
        check("$one_of", &of(Some("")), Some("got "));
    }

    #[test]
    fn not_below_0() {
        let of = |value: Option<f64>| {
            [
                ScalarValue::Utf8View(Some("value".to_owned())),
                ScalarValue::Float64(value),
            ]
        };
        check("$not_negative", &of(Some(0.0)), None);
        check("$not_negative", &of(None), None);
        let told = "value must be a finite number of at least 0, got -5";
        check("$not_negative", &of(Some(-5.0)), Some(told));
        check("$not_negative", &of(Some(f64::NAN)), Some("got NaN"));
    }
}
