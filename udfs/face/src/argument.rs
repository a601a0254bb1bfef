//! What a function takes: names, kinds, and which types they are given in.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use rapport_stats::Error;

use crate::refused;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of any numeric type, taken as double precision.
    Number,
    /// A boolean, or a number that is 1 or 0. Of aggregates only.
    Flag,
    /// A number that must be the same in all rows. Of aggregates only.
    Constant,
    /// A text that must be the same in all rows of an aggregate. Of scalars, a text.
    Text,
    /// Anything that names a group: a text, a number, a boolean. Of aggregates only.
    Label,
    /// An array of what names something. Of aggregates only.
    Labels,
    /// The last argument: numbers and booleans, as many as one likes, or one array of numbers, equally long in all rows. Of
    /// aggregates, and of scalars that are asked of a stored model.
    Features,
    /// Features of which any may be NULL, and is NaN then; an array of them may not.
    FeaturesOrNull,
    /// An array of numbers.
    Numbers,
    /// An array of equally long arrays of numbers. Of scalars only.
    Matrix,
}

#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub name: &'static str,
    pub kind: Kind,
    /// For the manual: meaning, unit, range.
    pub says: &'static str,
    /// May be left out, as may all that follow.
    pub is_optional: bool,
}

impl Argument {
    const fn new(name: &'static str, kind: Kind, says: &'static str) -> Self {
        Self {
            name,
            kind,
            says,
            is_optional: false,
        }
    }

    pub const fn number(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Number, says)
    }

    pub const fn flag(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Flag, says)
    }

    pub const fn constant(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Constant, says)
    }

    pub const fn text(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Text, says)
    }

    pub const fn label(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Label, says)
    }

    pub const fn labels(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Labels, says)
    }

    pub const fn features(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Features, says)
    }

    pub const fn features_or_null(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::FeaturesOrNull, says)
    }

    pub const fn numbers(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Numbers, says)
    }

    pub const fn matrix(name: &'static str, says: &'static str) -> Self {
        Self::new(name, Kind::Matrix, says)
    }

    pub const fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

/// Becomes SQLSTATE 42883.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("function {name}({given}) does not exist")]
pub struct NoSuchFunction {
    pub name: String,
    /// The types of the arguments, as PostgreSQL calls them.
    pub given: String,
}

impl Kind {
    /// Whether it stands for as many arguments as one likes.
    pub(crate) fn is_features(self) -> bool {
        matches!(self, Self::Features | Self::FeaturesOrNull)
    }

    /// The type that its values are given in.
    fn told(self) -> DataType {
        match self {
            Self::Number | Self::Constant | Self::Features | Self::FeaturesOrNull => {
                DataType::Float64
            }
            Self::Flag => DataType::Boolean,
            // A long one is not copied into each row.
            Self::Text => DataType::Utf8View,
            Self::Label => DataType::Utf8,
            Self::Labels => list_of(DataType::Utf8),
            Self::Numbers => list_of(DataType::Float64),
            Self::Matrix => list_of(list_of(DataType::Float64)),
        }
    }

    /// What a given type is cast to; `None` if it is something else altogether.
    fn coerced(self, given: &DataType) -> Option<DataType> {
        let is_unknown = is_unknown(given);
        let is_number = given.is_numeric() || is_unknown;
        let is_boolean = matches!(given, DataType::Boolean);
        let takes = match self {
            Self::Number | Self::Constant => is_number,
            Self::Flag if is_unknown => return Some(DataType::Boolean),
            Self::Flag | Self::Features | Self::FeaturesOrNull if is_boolean => {
                return Some(DataType::Boolean);
            }
            Self::Flag | Self::Features | Self::FeaturesOrNull => is_number,
            Self::Text => given.is_string() || is_unknown,
            Self::Label if given.is_integer() => return Some(DataType::Int64),
            Self::Label if given == &DataType::Date32 => return Some(DataType::Date32),
            Self::Label => true,
            Self::Labels => is_unknown || element(given).is_some_and(|one| element(one).is_none()),
            Self::Numbers => is_unknown || element(given).is_some_and(is_usable),
            Self::Matrix => {
                is_unknown
                    || element(given)
                        .is_some_and(|row| row.is_null() || element(row).is_some_and(is_usable))
            }
        };
        let told = match self {
            Self::Flag => DataType::Float64,
            other => other.told(),
        };
        takes.then_some(told)
    }
}

fn is_usable(element: &DataType) -> bool {
    element.is_numeric() || element.is_null()
}

pub(crate) fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

fn element(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => Some(element.data_type()),
        _ => None,
    }
}

/// The types in which the arguments are to be given: once in each number that is allowed, features as one number and as one
/// array of them.
pub(crate) fn calls(arguments: &[Argument]) -> Vec<Vec<DataType>> {
    let required = arguments.iter().filter(|argument| !argument.is_optional);
    let of = |n: usize| -> Vec<DataType> {
        let kinds = arguments[..n].iter().map(|argument| argument.kind.told());
        kinds.collect()
    };
    let mut calls: Vec<Vec<DataType>> = (required.count()..=arguments.len()).map(of).collect();
    if let Some((last, fixed)) = arguments.split_last()
        && last.kind.is_features()
    {
        let mut with_array = of(fixed.len());
        with_array.push(Kind::Numbers.told());
        calls.push(with_array);
    }
    calls
}

pub(crate) fn takes_features(arguments: &[Argument]) -> bool {
    arguments.last().is_some_and(|last| last.kind.is_features())
}

/// The types that given ones are cast to.
pub(crate) fn coerced(
    name: &str,
    arguments: &[Argument],
    given: &[DataType],
) -> Result<Vec<DataType>> {
    let types = match arguments.split_last() {
        Some((last, fixed)) if last.kind.is_features() && given.len() > fixed.len() => {
            let (of_fixed, of_features) = given.split_at(fixed.len());
            each(fixed, of_fixed).and_then(|mut types| {
                types.extend(features(of_features)?);
                Some(types)
            })
        }
        _ => each(arguments, given),
    };
    types.ok_or_else(|| no_such_function(name, given))
}

/// 42883 for arguments of these types.
pub fn no_such_function(name: &str, given: &[DataType]) -> DataFusionError {
    let given: Vec<String> = given.iter().map(type_name).collect();
    DataFusionError::External(Box::new(NoSuchFunction {
        name: name.to_owned(),
        given: given.join(", "),
    }))
}

/// A literal in quotes, a NULL or a parameter; what a column holds is a view.
pub fn is_unknown(given: &DataType) -> bool {
    matches!(given, DataType::Utf8 | DataType::Null)
}

/// The value of an argument that has to be the same for all rows, as it is over [`no_columns`]; `or_else` says that it is not.
pub fn constant(value: Result<ColumnarValue>, or_else: &'static str) -> Result<ScalarValue> {
    match value {
        Ok(ColumnarValue::Scalar(value)) => Ok(value),
        Ok(ColumnarValue::Array(_)) | Err(_) => Err(refused(Error::Contradiction(or_else))),
    }
}

/// What constants can be evaluated over.
pub fn no_columns() -> RecordBatch {
    RecordBatch::new_empty(Arc::new(Schema::empty()))
}

fn each(arguments: &[Argument], given: &[DataType]) -> Option<Vec<DataType>> {
    let required = arguments.iter().filter(|argument| !argument.is_optional);
    if given.len() < required.count() || given.len() > arguments.len() {
        return None;
    }
    let pairs = arguments.iter().zip(given);
    pairs
        .map(|(argument, given)| argument.kind.coerced(given))
        .collect()
}

fn features(given: &[DataType]) -> Option<Vec<DataType>> {
    match given {
        [array] if element(array).is_some() => Some(vec![Kind::Numbers.coerced(array)?]),
        numbers => numbers
            .iter()
            .map(|given| Kind::Features.coerced(given))
            .collect(),
    }
}

/// As PostgreSQL calls it, nearly.
fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(..) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Null => "unknown",
        other if other.is_numeric() => "numeric",
        other => match element(other) {
            Some(element) => return format!("{}[]", type_name(element)),
            None => "text",
        },
    };
    name.to_owned()
}

/// The arguments of one row, by name: `let [r, alpha] = taken(row);`.
pub fn taken<T: Copy, const N: usize>(row: &[T]) -> [T; N] {
    row.try_into()
        .expect("a function is called with as many arguments as it declares")
}

/// `value` as a whole number of at most a million, which bounds what is counted up to it.
pub fn whole(name: &'static str, value: f64) -> rapport_stats::Result<u32> {
    if value.fract() == 0.0 && (0.0..=1e6).contains(&value) {
        return Ok(value as u32);
    }
    Err(Error::Range {
        name,
        range: "a whole number from 0 to 1000000",
        value,
    })
}

/// `value`, if it lies in `of`; `range` says the same in words.
pub fn within(
    name: &'static str,
    range: &'static str,
    value: f64,
    of: RangeInclusive<f64>,
) -> rapport_stats::Result<f64> {
    if of.contains(&value) {
        return Ok(value);
    }
    Err(Error::Range { name, range, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENTS: &[Argument] = &[
        Argument::flag("label", ""),
        Argument::number("age", ""),
        Argument::number("weight", "").optional(),
    ];

    #[test]
    fn numbers_of_any_type_become_double_precision() {
        let decimal = DataType::Decimal128(4, 3);
        let types = coerced("f", ARGUMENTS, &[DataType::Int32, decimal, DataType::Null]);
        assert_eq!(types.expect("taken"), vec![DataType::Float64; 3]);
        let types = coerced("f", ARGUMENTS, &[DataType::Boolean, DataType::UInt8]);
        let expected = [DataType::Boolean, DataType::Float64];
        assert_eq!(types.expect("taken"), expected);
    }

    #[test]
    fn too_few_too_many_and_wrong_ones_are_no_such_function() {
        let refused = |given: &[DataType]| {
            let error = coerced("f", ARGUMENTS, given).expect_err("refused");
            error.strip_backtrace()
        };
        assert!(refused(&[DataType::Boolean]).contains("function f(boolean) does not exist"));
        let given = vec![DataType::Float64; 4];
        assert!(refused(&given).contains("does not exist"));
        let given = [DataType::Boolean, DataType::Utf8View];
        assert!(refused(&given).contains("f(boolean, text)"));
    }

    #[test]
    fn features_are_numbers_or_one_array() {
        let arguments = [Argument::flag("label", ""), Argument::features("x", "")];
        let given = [DataType::Boolean, DataType::Int32, DataType::Boolean];
        let types = coerced("f", &arguments, &given).expect("taken");
        let expected = [DataType::Boolean, DataType::Float64, DataType::Boolean];
        assert_eq!(types, expected);
        let array = list_of(DataType::Decimal128(3, 1));
        let types = coerced("f", &arguments, &[DataType::Boolean, array]).expect("taken");
        assert_eq!(types[1], list_of(DataType::Float64));
        assert!(coerced("f", &arguments, &[DataType::Boolean]).is_err());
    }

    #[test]
    fn each_way_to_call_is_told() {
        let (flag, number) = (DataType::Boolean, DataType::Float64);
        let with_weight = vec![flag.clone(), number.clone(), number.clone()];
        let expected = [with_weight[..2].to_vec(), with_weight];
        assert_eq!(calls(ARGUMENTS), expected);
        let arguments = [Argument::flag("label", ""), Argument::features("x", "")];
        let array = list_of(number.clone());
        assert_eq!(calls(&arguments), [[flag.clone(), number], [flag, array]]);
    }

    #[test]
    fn whole_numbers_are_not_rounded() {
        assert_eq!(whole("repeats", 12.0), Ok(12));
        for value in [0.5, -1.0, f64::NAN, 1e7] {
            assert!(whole("repeats", value).is_err());
        }
    }
}
