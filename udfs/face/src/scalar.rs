//! A function of the numbers of one row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StringViewArray,
        new_null_array,
    },
    buffer::NullBuffer,
    datatypes::{DataType, Float64Type},
};
use datafusion_common::{Result, ScalarValue};
use datafusion_doc::Documentation;
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use rapport_stats::Error;

use crate::answer::Answer;
use crate::argument::{self, Argument, Kind};
use crate::page::Page;
use crate::refused;

/// The mathematics of one row; no argument is NULL.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Number(fn(&[f64]) -> rapport_stats::Result<f64>),
    Whole(fn(&[f64]) -> rapport_stats::Result<i64>),
    Text(fn(&[f64]) -> rapport_stats::Result<&'static str>),
    /// As the others, of functions that take arrays.
    NumberOfArrays(fn(&[Array]) -> rapport_stats::Result<f64>),
    WholeOfArrays(fn(&[Array]) -> rapport_stats::Result<i64>),
}

/// An argument of one row: a number is an array of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    /// Of an array of arrays: one behind the other.
    pub values: &'a [f64],
    /// Of an array of arrays: how long each of them is; otherwise how long the array is.
    pub width: usize,
}

impl Array<'_> {
    /// Of a [`Kind::Number`].
    pub fn number(&self) -> f64 {
        self.values[0]
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    pub name: &'static str,
    /// Numbers, arrays and matrices; all of them required.
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
            Work::Number(_) | Work::NumberOfArrays(_) => Answer::Number,
            Work::Whole(_) | Work::WholeOfArrays(_) => Answer::Whole,
            Work::Text(_) => Answer::Text,
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
        Ok(self.scalar.answer().data_type())
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
        let pairs = self.arguments.iter().zip(&arrays);
        let columns: Vec<Column> = pairs
            .map(|(argument, (array, is_constant))| {
                Column::new(argument.kind, array.as_ref(), *is_constant)
            })
            .collect();
        let is_null = |column: &Column| column.is_constant && column.nulls.is_some();
        if columns.iter().any(is_null) {
            return Ok(new_null_array(&self.answer().data_type(), n_rows));
        }
        let rows = Rows {
            nulls: columns.iter().fold(None, |nulls, column| {
                NullBuffer::union(nulls.as_ref(), column.nulls.as_ref())
            }),
            columns,
            n_rows,
        };
        Ok(match self.work {
            Work::Number(f) => rows.floats(f)?,
            Work::Whole(f) => rows.whole(f)?,
            Work::Text(f) => {
                let texts = rows.map(f, "")?;
                let valid = |index: usize| rows.is_valid(index);
                let texts = texts.into_iter().enumerate();
                let texts = texts.map(|(index, text)| valid(index).then_some(text));
                Arc::new(texts.collect::<StringViewArray>())
            }
            Work::NumberOfArrays(f) => rows.floats_of_arrays(f)?,
            Work::WholeOfArrays(f) => rows.whole_of_arrays(f)?,
        })
    }
}

/// One argument of a batch.
struct Column<'a> {
    kind: Kind,
    is_constant: bool,
    /// Of arrays: the innermost numbers.
    values: &'a Float64Array,
    list: Option<&'a ListArray>,
    /// Of an array of arrays: the arrays.
    inner: Option<&'a ListArray>,
    nulls: Option<NullBuffer>,
}

impl<'a> Column<'a> {
    fn new(kind: Kind, array: &'a dyn arrow::array::Array, is_constant: bool) -> Self {
        let list = matches!(kind, Kind::Numbers | Kind::Matrix).then(|| array.as_list::<i32>());
        let inner = match (kind, list) {
            (Kind::Matrix, Some(list)) => Some(list.values().as_list::<i32>()),
            _ => None,
        };
        let values = match (inner, list) {
            (Some(inner), _) => inner.values().as_ref(),
            (None, Some(list)) => list.values().as_ref(),
            (None, None) => array,
        };
        let mut column = Self {
            kind,
            is_constant,
            values: values.as_primitive::<Float64Type>(),
            list,
            inner,
            nulls: array
                .nulls()
                .filter(|nulls| nulls.null_count() > 0)
                .cloned(),
        };
        if column.has_hidden_nulls() {
            let is_known = |row: usize| array.is_valid(row) && column.is_complete(row);
            let nulls: NullBuffer = (0..array.len()).map(is_known).collect::<Vec<_>>().into();
            column.nulls = (nulls.null_count() > 0).then_some(nulls);
        }
        column
    }

    /// An array that holds a NULL is as good as NULL.
    fn has_hidden_nulls(&self) -> bool {
        let has_nulls = |list: &ListArray| list.null_count() > 0;
        self.list.is_some() && self.values.null_count() > 0 || self.inner.is_some_and(has_nulls)
    }

    /// From where to where the innermost numbers of a row lie.
    fn range(&self, row: usize) -> (usize, usize) {
        let of = |list: &ListArray, at: usize| list.value_offsets()[at] as usize;
        match (self.list, self.inner) {
            (Some(list), Some(inner)) => (of(inner, of(list, row)), of(inner, of(list, row + 1))),
            (Some(list), None) => (of(list, row), of(list, row + 1)),
            (None, _) => (row, row + 1),
        }
    }

    fn is_complete(&self, row: usize) -> bool {
        let (start, end) = self.range(row);
        let no_nulls = |array: &dyn arrow::array::Array, start: usize, end: usize| {
            array
                .nulls()
                .is_none_or(|nulls| nulls.slice(start, end - start).null_count() == 0)
        };
        let rows_known = match (self.list, self.inner) {
            (Some(list), Some(inner)) => {
                let offsets = list.value_offsets();
                no_nulls(inner, offsets[row] as usize, offsets[row + 1] as usize)
            }
            _ => true,
        };
        rows_known && no_nulls(self.values, start, end)
    }

    fn number(&self, row: usize) -> f64 {
        self.values.value(if self.is_constant { 0 } else { row })
    }

    fn array(&self, row: usize) -> rapport_stats::Result<Array<'a>> {
        let row = if self.is_constant { 0 } else { row };
        let (start, end) = self.range(row);
        let values = &self.values.values()[start..end];
        let mut width = values.len();
        if let (Kind::Matrix, Some(list), Some(inner)) = (self.kind, self.list, self.inner) {
            let offsets = list.value_offsets();
            let rows = offsets[row] as usize..offsets[row + 1] as usize;
            let length = |row: usize| inner.value_length(row) as usize;
            width = rows.clone().next().map_or(0, length);
            if rows.map(length).any(|other| other != width) {
                return Err(Error::Contradiction(
                    "the arrays within an array must be equally long",
                ));
            }
        }
        Ok(Array { values, width })
    }
}

struct Rows<'a> {
    columns: Vec<Column<'a>>,
    nulls: Option<NullBuffer>,
    n_rows: usize,
}

impl Rows<'_> {
    fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    /// `empty` stands where the answer is NULL.
    fn map<T: Copy>(
        &self,
        f: impl Fn(&[f64]) -> rapport_stats::Result<T>,
        empty: T,
    ) -> Result<Vec<T>> {
        let mut row = vec![0.0; self.columns.len()];
        let mut answers = Vec::with_capacity(self.n_rows);
        for index in 0..self.n_rows {
            if !self.is_valid(index) {
                answers.push(empty);
                continue;
            }
            for (value, column) in row.iter_mut().zip(&self.columns) {
                *value = column.number(index);
            }
            answers.push(f(&row).map_err(refused)?);
        }
        Ok(answers)
    }

    fn map_arrays<T: Copy>(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<T>,
        empty: T,
    ) -> Result<Vec<T>> {
        let none = Array {
            values: &[],
            width: 0,
        };
        let mut row = vec![none; self.columns.len()];
        let mut answers = Vec::with_capacity(self.n_rows);
        for index in 0..self.n_rows {
            if !self.is_valid(index) {
                answers.push(empty);
                continue;
            }
            for (value, column) in row.iter_mut().zip(&self.columns) {
                *value = column.array(index).map_err(refused)?;
            }
            answers.push(f(&row).map_err(refused)?);
        }
        Ok(answers)
    }

    fn floats(&self, f: impl Fn(&[f64]) -> rapport_stats::Result<f64>) -> Result<ArrayRef> {
        // A zero has no sign.
        let values = self.map(|row| Ok(f(row)? + 0.0), 0.0)?;
        Ok(Arc::new(Float64Array::new(
            values.into(),
            self.nulls.clone(),
        )))
    }

    fn whole(&self, f: impl Fn(&[f64]) -> rapport_stats::Result<i64>) -> Result<ArrayRef> {
        let values = self.map(f, 0)?;
        Ok(Arc::new(Int64Array::new(values.into(), self.nulls.clone())))
    }

    fn floats_of_arrays(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<f64>,
    ) -> Result<ArrayRef> {
        let values = self.map_arrays(f, 0.0)?;
        Ok(Arc::new(Float64Array::new(
            values.into(),
            self.nulls.clone(),
        )))
    }

    fn whole_of_arrays(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<i64>,
    ) -> Result<ArrayRef> {
        let values = self.map_arrays(f, 0)?;
        Ok(Arc::new(Int64Array::new(values.into(), self.nulls.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use arrow::array::ListBuilder;
    use arrow::array::builder::Float64Builder;

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
        let matrix = Answer::Matrix
            .scalar(crate::Value::Matrix(vec![1.0, 1.0, 1.0, 1.0], 2))
            .expect("fits");
        let xs: ArrayRef = Arc::new(xs.finish());
        let args = [ColumnarValue::Array(xs), ColumnarValue::Scalar(matrix)];
        let answer = check::invoke(&SCALAR.function(), &args).expect("an answer");
        let answer = answer.into_array(4).expect("an array");
        let expected: Float64Array = [Some(11.0), None, None, Some(8.0)].into_iter().collect();
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
