//! A function of one row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::{
    array::{ArrayRef, StringViewArray, new_null_array},
    buffer::NullBuffer,
    datatypes::DataType,
};
use datafusion_common::{Result, ScalarValue};
use datafusion_doc::Documentation;
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use rapport_stats::Error;

use crate::answer::Answer;
use crate::argument::{self, Argument};
use crate::batch::{Batch, Column};
use crate::of_model;
use crate::page::Page;

/// The mathematics of one row; no argument is NULL.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// What is not finite is refused, unless an argument was not.
    Number(fn(&[f64]) -> rapport_stats::Result<f64>),
    /// As the manual says, the right answer may be infinite.
    NumberOrInfinity(fn(&[f64]) -> rapport_stats::Result<f64>),
    Whole(fn(&[f64]) -> rapport_stats::Result<i64>),
    Text(fn(&[f64]) -> rapport_stats::Result<&'static str>),
    /// As the others, of functions that take arrays.
    NumberOfArrays(fn(&[Array]) -> rapport_stats::Result<f64>),
    WholeOfArrays(fn(&[Array]) -> rapport_stats::Result<i64>),
    NumbersOfArrays(fn(&[Array]) -> rapport_stats::Result<Vec<f64>>),
    /// Of a stored model and the features of many rows, in which NULL is NaN: see [`OfModel`].
    NumberOfModel(OfModel),
    /// As many for each row.
    NumbersOfModel(OfModel),
}

/// Takes the model's text, features row by row, and how many of them a row has; answers row by row.
pub type OfModel = fn(&str, &[f64], usize) -> rapport_stats::Result<Vec<f64>>;

/// An argument of one row: a number is an array of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    /// Of an array of arrays: one behind the other.
    pub values: &'a [f64],
    /// Of an array of arrays: how long each of them is; otherwise how long the array is.
    pub width: usize,
}

impl Array<'_> {
    /// Of an argument that is a number.
    pub fn number(&self) -> f64 {
        self.values[0]
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    pub name: &'static str,
    /// Numbers, arrays and matrices, or a text and features; all of them required.
    pub arguments: &'static [Argument],
    pub page: Page,
    pub work: Work,
}

impl Scalar {
    pub fn function(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(ScalarFunction {
            scalar: self,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: self.page.documentation(self.name, self.arguments),
        }))
    }

    fn answer(&self) -> Answer {
        match self.work {
            Work::Number(_)
            | Work::NumberOrInfinity(_)
            | Work::NumberOfArrays(_)
            | Work::NumberOfModel(_) => Answer::Number,
            Work::Whole(_) | Work::WholeOfArrays(_) => Answer::Whole,
            Work::Text(_) => Answer::Text,
            Work::NumbersOfArrays(_) | Work::NumbersOfModel(_) => Answer::Numbers,
        }
    }
}

/// A [`Scalar`] as DataFusion knows it.
#[derive(Debug)]
pub struct ScalarFunction {
    scalar: Scalar,
    signature: Signature,
    documentation: Documentation,
}

impl ScalarFunction {
    /// The types of its arguments, for each way to call it.
    pub fn calls(&self) -> Vec<Vec<DataType>> {
        argument::calls(self.scalar.arguments)
    }

    /// Whether its last argument stands for any number of features.
    pub fn takes_features(&self) -> bool {
        argument::takes_features(self.scalar.arguments)
    }
}

impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        self.scalar.name == other.scalar.name
    }
}

impl Eq for ScalarFunction {}

impl Hash for ScalarFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scalar.name.hash(state);
    }
}

impl ScalarUDFImpl for ScalarFunction {
    fn name(&self) -> &str {
        self.scalar.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        argument::coerced(self.scalar.name, self.scalar.arguments, given)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.scalar.answer().data_type(&[]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let is_constant = args.args.iter().all(is_scalar);
        let n_rows = if is_constant { 1 } else { args.number_rows };
        let done = self.scalar.work(&args.args, n_rows)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&done, 0)?),
            false => ColumnarValue::Array(done),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

impl Scalar {
    fn work(&self, args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let arrays = args.iter().map(|arg| match arg {
            ColumnarValue::Array(array) => Ok((array.clone(), false)),
            ColumnarValue::Scalar(scalar) => Ok((scalar.to_array()?, true)),
        });
        let arrays = arrays.collect::<Result<Vec<(ArrayRef, bool)>>>()?;
        match self.work {
            Work::NumberOfModel(f) => return of_model::numbers(f, &arrays, n_rows),
            Work::NumbersOfModel(f) => return of_model::lists(f, &arrays, n_rows),
            _ => {}
        }
        let pairs = self.arguments.iter().zip(&arrays);
        let columns: Vec<Column> = pairs
            .map(|(argument, (array, is_constant))| {
                Column::new(argument.kind, array.as_ref(), *is_constant)
            })
            .collect();
        let is_null = |column: &Column| column.is_constant && column.nulls.is_some();
        if columns.iter().any(is_null) {
            return Ok(new_null_array(&self.answer().data_type(&[]), n_rows));
        }
        let batch = Batch {
            nulls: columns.iter().fold(None, |nulls, column| {
                NullBuffer::union(nulls.as_ref(), column.nulls.as_ref())
            }),
            columns,
            n_rows,
        };
        Ok(match self.work {
            Work::Number(f) => batch.floats(|row| self.in_range(row, f(row)?, f64::is_finite))?,
            Work::NumberOrInfinity(f) => {
                batch.floats(|row| self.in_range(row, f(row)?, |answer| !answer.is_nan()))?
            }
            Work::Whole(f) => batch.whole(f)?,
            Work::Text(f) => {
                let texts = batch.map(f, "")?;
                let valid = |index: usize| batch.is_valid(index);
                let texts = texts.into_iter().enumerate();
                let texts = texts.map(|(index, text)| valid(index).then_some(text));
                Arc::new(texts.collect::<StringViewArray>())
            }
            Work::NumberOfArrays(f) => batch.floats_of_arrays(f)?,
            Work::WholeOfArrays(f) => batch.whole_of_arrays(f)?,
            Work::NumbersOfArrays(f) => batch.lists_of_arrays(f)?,
            Work::NumberOfModel(_) | Work::NumbersOfModel(_) => {
                unreachable!("told apart above")
            }
        })
    }
}

impl Scalar {
    /// 22003 for an answer that is none, of a row of finite numbers.
    fn in_range(
        &self,
        row: &[f64],
        answer: f64,
        is_answer: fn(f64) -> bool,
    ) -> rapport_stats::Result<f64> {
        if is_answer(answer) || !row.iter().all(|value| value.is_finite()) {
            return Ok(answer);
        }
        Err(Error::OutOfRange {
            function: self.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use arrow::array::builder::Float64Builder;
    use arrow::array::{AsArray, Float64Array, ListBuilder};
    use arrow::datatypes::Float64Type;

    const PAGE: Page = Page {
        section: "Tests",
        says: "A quotient.",
        example: "SELECT quotient(1, 2);",
    };

    fn quotient() -> Arc<ScalarUDF> {
        const SCALAR: Scalar = Scalar {
            name: "quotient",
            arguments: &[Argument::number("a", ""), Argument::number("b", "")],
            page: PAGE,
            work: Work::Number(|row| match row[1] {
                0.0 => Err(Error::TooLittle("nothing to divide by")),
                b => Ok(row[0] / b),
            }),
        };
        SCALAR.function()
    }

    fn floats(values: &[Option<f64>]) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(values.iter().copied().collect::<Float64Array>()))
    }

    fn constant(value: Option<f64>) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Float64(value))
    }

    fn check(args: &[ColumnarValue], expected: &[Option<f64>]) {
        let answer = check::invoke(&quotient(), args).expect("an answer");
        let answer = answer.into_array(expected.len()).expect("an array");
        let expected: Float64Array = expected.iter().copied().collect();
        assert_eq!(answer.as_primitive::<Float64Type>(), &expected);
    }

    #[test]
    fn columns_and_constants_give_the_same() {
        let a = [Some(1.0), None, Some(3.0)];
        check(
            &[floats(&a), constant(Some(2.0))],
            &[Some(0.5), None, Some(1.5)],
        );
        let b = [Some(2.0), Some(2.0), Some(2.0)];
        check(&[floats(&a), floats(&b)], &[Some(0.5), None, Some(1.5)]);
        check(&[constant(Some(1.0)), constant(Some(2.0))], &[Some(0.5)]);
    }

    #[test]
    fn a_constant_null_is_null_in_every_row() {
        check(
            &[floats(&[Some(1.0), Some(2.0)]), constant(None)],
            &[None, None],
        );
        check(&[constant(Some(1.0)), constant(None)], &[None]);
    }

    #[test]
    fn a_refusal_behind_null_is_not_seen_and_another_is_an_error() {
        check(&[floats(&[None]), floats(&[Some(0.0)])], &[None]);
        let error = check::ask(&quotient(), &[1.0, 0.0]).expect_err("refused");
        check::is_refusal(&error, "nothing to divide by");
    }

    #[test]
    fn what_is_no_number_is_refused_by_name_unless_an_argument_was_none() {
        let error = check::ask(&quotient(), &[1e300, 1e-300]).expect_err("refused");
        check::is_refusal(&error, "value out of range: quotient cannot be computed");
        check(
            &[constant(Some(f64::INFINITY)), constant(Some(2.0))],
            &[Some(f64::INFINITY)],
        );
        check(&[floats(&[None]), floats(&[Some(1e-300)])], &[None]);
    }

    #[test]
    fn rows_that_nobody_wants_are_not_computed() {
        let args = [floats(&[Some(1.0); 100]), constant(Some(2.0))];
        let is_cancelled: crate::cancel::IsCancelled = Arc::new(|| true);
        let answer = crate::cancel::with(&is_cancelled, || check::invoke(&quotient(), &args));
        check::is_refusal(&answer.expect_err("cancelled"), "cancelled");
    }

    #[test]
    fn a_planner_casts_numbers_and_tells_of_other_types() {
        use arrow::datatypes::Field;
        use datafusion_expr::type_coercion::functions::fields_with_udf;
        let planned = |types: [DataType; 2]| {
            let fields = types.map(|data_type| Arc::new(Field::new("", data_type, true)));
            fields_with_udf(&fields, quotient().as_ref())
        };
        let fields = planned([DataType::Decimal128(4, 3), DataType::Int64]).expect("taken");
        let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Float64, &DataType::Float64]);
        let error = planned([DataType::Float64, DataType::Boolean]).expect_err("refused");
        let said = "External error: function quotient(double precision, boolean) does not exist";
        assert!(error.strip_backtrace().contains(said), "{error}");
    }

    #[test]
    fn arrays_are_slices_and_one_with_a_null_is_null() {
        const SCALAR: Scalar = Scalar {
            name: "of_arrays",
            arguments: &[Argument::numbers("xs", ""), Argument::matrix("m", "")],
            page: PAGE,
            work: Work::NumberOfArrays(|row| {
                let [xs, m] = crate::taken(row);
                Ok(xs.values.iter().sum::<f64>() + m.values.iter().sum::<f64>() * m.width as f64)
            }),
        };
        let mut xs = ListBuilder::new(Float64Builder::new());
        xs.append_value([Some(1.0), Some(2.0)]);
        xs.append_value([Some(1.0), None]);
        xs.append_null();
        xs.append_value([]);
        let matrix = crate::Value::Matrix(vec![1.0, 1.0, 1.0, 1.0], 2);
        let matrix = matrix.scalar(&Answer::Matrix.data_type(&[])).expect("fits");
        let xs: ArrayRef = Arc::new(xs.finish());
        let args = [ColumnarValue::Array(xs), ColumnarValue::Scalar(matrix)];
        let answer = check::invoke(&SCALAR.function(), &args).expect("an answer");
        let answer = answer.into_array(4).expect("an array");
        let expected: Float64Array = [Some(11.0), None, None, Some(8.0)].into_iter().collect();
        assert_eq!(answer.as_primitive::<Float64Type>(), &expected);
    }

    #[test]
    fn a_model_is_read_once_and_missing_features_are_nan() {
        const SCALAR: Scalar = Scalar {
            name: "scored",
            arguments: &[
                Argument::text("model", ""),
                Argument::features_or_null("x", ""),
            ],
            page: PAGE,
            work: Work::NumberOfModel(|model, features, width| {
                let n_rows = (features.len() / width) as f64;
                let known = |row: &[f64]| row.iter().filter(|x| !x.is_nan()).sum::<f64>();
                let rows = features.chunks_exact(width);
                Ok(rows
                    .map(|row| model.len() as f64 * 100.0 * n_rows + known(row))
                    .collect())
            }),
        };
        let texts = [Some("a"), Some("a"), None, Some("bb")];
        let models: ArrayRef = Arc::new(StringViewArray::from(texts.to_vec()));
        let x = floats(&[Some(1.0), None, Some(3.0), Some(4.0)]);
        let flags = ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)));
        let args = [ColumnarValue::Array(models), x, flags];
        let answer = check::invoke(&SCALAR.function(), &args).expect("an answer");
        let answer = answer.into_array(4).expect("an array");
        let expected = [Some(202.0), Some(201.0), None, Some(205.0)];
        let expected: Float64Array = expected.into_iter().collect();
        assert_eq!(answer.as_primitive::<Float64Type>(), &expected);
    }

    #[test]
    fn arrays_within_an_array_are_equally_long() {
        let mut matrix = ListBuilder::new(ListBuilder::new(Float64Builder::new()));
        matrix.values().append_value([Some(1.0), Some(2.0)]);
        matrix.values().append_value([Some(1.0)]);
        matrix.append(true);
        const SCALAR: Scalar = Scalar {
            name: "width",
            arguments: &[Argument::matrix("m", "")],
            page: PAGE,
            work: Work::WholeOfArrays(|row| Ok(row[0].width as i64)),
        };
        let matrix: ArrayRef = Arc::new(matrix.finish());
        let args = [ColumnarValue::Array(matrix)];
        let error = check::invoke(&SCALAR.function(), &args).expect_err("refused");
        check::is_refusal(&error, "equally long");
    }
}
