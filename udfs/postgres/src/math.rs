//! Mathematical functions, resolved as PostgreSQL resolves them.
//!
//! A function that PostgreSQL has for integers, `numeric` and `double precision` is one of them here too: integers if
//! there is a form for them, else floats as soon as one argument is a float or none is a decimal, else exact decimals.

mod exact;
mod float;
mod trigonometry;
mod whole;
mod width_bucket;

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array},
    compute::cast,
    datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type},
};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::{
    numeric::{
        ANY_SCALE, Digits,
        arithmetic::{Numbers, to_array, type_name},
        decimal::Decimal,
        transcendental::Shown,
    },
    refusal::{Refusal, refuse},
};

/// Every function of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let functions = all().into_iter();
    functions
        .map(|function| Arc::new(ScalarUDF::from(function)))
        .collect()
}

fn all() -> Vec<Math> {
    let mut functions = trigonometry::functions();
    functions.extend(float::functions());
    functions.extend(exact::functions());
    functions.extend(whole::functions());
    functions.push(width_bucket::function());
    functions
}

/// The number of an argument, if it is a constant.
type Constants<'a> = &'a [Option<i64>];

type OfIntegers = fn(&[i64]) -> Result<i64>;
type OfFloats = fn(&[f64]) -> Result<f64>;
type CountOfNumbers = fn(&[Shown]) -> Result<i32>;
type CountOfFloats = fn(&[f64]) -> Result<i32>;

/// For one number of arguments: what can be computed from which types.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub arguments: usize,
    pub whole: Option<OfIntegers>,
    pub float: Option<OfFloats>,
    pub exact: Option<Exact>,
    /// Of exact numbers or floats to an integer.
    pub count: Option<(CountOfNumbers, Option<CountOfFloats>)>,
}

#[derive(Clone, Copy)]
pub(crate) struct Exact {
    pub result: fn(&[Digits], Constants) -> Digits,
    pub work: fn(&[Shown]) -> Result<Decimal>,
}

impl Form {
    pub(crate) const fn of(arguments: usize) -> Self {
        Self {
            arguments,
            whole: None,
            float: None,
            exact: None,
            count: None,
        }
    }

    pub(crate) const fn float(arguments: usize, work: fn(&[f64]) -> Result<f64>) -> Self {
        Self {
            float: Some(work),
            ..Self::of(arguments)
        }
    }

    pub(crate) const fn or_exact(
        self,
        result: fn(&[Digits], Constants) -> Digits,
        work: fn(&[Shown]) -> Result<Decimal>,
    ) -> Self {
        Self {
            exact: Some(Exact { result, work }),
            ..self
        }
    }

    /// What the arguments are computed as. A text is a literal whose type is what its place asks for.
    fn way(&self, given: &[DataType]) -> Option<Way> {
        let is_numeric = |data_type: &DataType| {
            data_type.is_numeric() || data_type.is_null() || is_text(data_type)
        };
        if given.len() != self.arguments || !given.iter().all(is_numeric) {
            return None;
        }
        let has_float = given.iter().any(DataType::is_floating);
        let has_decimal = given.iter().any(DataType::is_decimal);
        let has_text = given.iter().any(is_text);
        if let Some(work) = self.whole
            && !has_float
            && !has_decimal
            && !has_text
        {
            return Some(Way::Whole(work));
        }
        if let Some((exact, float)) = self.count {
            return match float {
                Some(float) if has_float => Some(Way::CountOfFloats(float)),
                _ if has_float => None,
                _ => Some(Way::Count(exact)),
            };
        }
        match (self.float, self.exact) {
            (Some(float), _) if has_float || !has_decimal => Some(Way::Float(float)),
            (_, Some(exact)) if !has_float => Some(Way::Exact(exact)),
            (Some(float), None) => Some(Way::Float(float)),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    Whole(OfIntegers),
    Float(OfFloats),
    Exact(Exact),
    Count(CountOfNumbers),
    CountOfFloats(CountOfFloats),
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

/// Whether PostgreSQL has the function for arguments of these types, of which no text is a literal: 42883 if not. Other
/// functions are none of ours.
///
/// The functions themselves take more, because the first types that a planner sees are not the final ones.
pub fn check(name: &str, given: &[DataType]) -> Result<()> {
    static FORMS: LazyLock<HashMap<&'static str, Vec<Form>>> = LazyLock::new(|| {
        let functions = all().into_iter();
        functions.map(|math| (math.name, math.forms)).collect()
    });
    let Some(forms) = FORMS.get(name) else {
        return Ok(());
    };
    let is_known = forms.iter().any(|form| form.way(given).is_some());
    match is_known && !given.iter().any(is_text) {
        true => Ok(()),
        false => Err(no_such(name, given)),
    }
}

fn no_such(name: &str, given: &[DataType]) -> DataFusionError {
    let given: Vec<&str> = given.iter().map(type_name).collect();
    let message = format!("function {name}({}) does not exist", given.join(", "));
    Refusal::no_such_function(message).into()
}

/// A function's face.
pub(crate) struct Math {
    name: &'static str,
    aliases: Vec<String>,
    forms: Vec<Form>,
    signature: Signature,
}

impl Math {
    pub(crate) fn new(name: &'static str, forms: &[Form]) -> Self {
        Self {
            name,
            aliases: vec![],
            forms: forms.to_vec(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    pub(crate) fn also(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }

    fn way(&self, given: &[DataType]) -> Result<Way> {
        let strict = self.forms.iter().find_map(|form| form.way(given));
        // An average that is a float now will be a decimal once it is known what is averaged.
        let lenient = || {
            let mut forms = self.forms.iter();
            let form = forms.find(|form| form.arguments == given.len())?;
            form.exact.map(Way::Exact)
        };
        strict
            .or_else(lenient)
            .ok_or_else(|| no_such(self.name, given))
    }
}

impl std::fmt::Debug for Math {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Math {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Math {}

impl Hash for Math {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The wider of integer types.
fn widest(given: &[DataType]) -> DataType {
    let width = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 2,
        DataType::UInt16 | DataType::Int32 => 4,
        DataType::Null => 0,
        _ => 8,
    };
    match given.iter().map(width).max() {
        Some(2) => DataType::Int16,
        Some(0 | 4) => DataType::Int32,
        _ => DataType::Int64,
    }
}

fn digits(given: &[DataType]) -> Vec<Digits> {
    let unknown = Digits {
        whole: 1,
        scale: 0,
        shown: crate::numeric::Shown::Scale,
    };
    given
        .iter()
        .map(|data_type| Digits::of(data_type).unwrap_or(unknown))
        .collect()
}

impl ScalarUDFImpl for Math {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let way = self.way(given)?;
        let coerced = |data_type: &DataType| match way {
            Way::Float(_) | Way::CountOfFloats(_) => DataType::Float64,
            Way::Whole(_) => widest(given),
            Way::Exact(_) | Way::Count(_) if data_type.is_null() => DataType::Int64,
            Way::Exact(_) | Way::Count(_) if Digits::of(data_type).is_none() => ANY_SCALE,
            Way::Exact(_) | Way::Count(_) => data_type.clone(),
        };
        Ok(given.iter().map(coerced).collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match self.way(given)? {
            Way::Float(_) => DataType::Float64,
            Way::Whole(_) => widest(given),
            Way::Exact(exact) => {
                (exact.result)(&digits(given), &vec![None; given.len()]).data_type()
            }
            Way::Count(_) | Way::CountOfFloats(_) => DataType::Int32,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone());
        let given: Vec<DataType> = given.collect();
        let constants = args.scalar_arguments.iter().map(|argument| {
            let number = argument.and_then(|scalar| scalar.cast_to(&DataType::Int64).ok());
            match number {
                Some(ScalarValue::Int64(number)) => number,
                _ => None,
            }
        });
        let constants: Vec<Option<i64>> = constants.collect();
        let data_type = match self.way(&given)? {
            Way::Exact(exact) => (exact.result)(&digits(&given), &constants).data_type(),
            _ => self.return_type(&given)?,
        };
        Ok(Arc::new(Field::new(self.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let given: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let result = args.return_field.data_type();
        let done = match self.way(&given)? {
            Way::Float(work) => of_floats(&arrays, rows, work)?,
            Way::Whole(work) => of_integers(&arrays, rows, work, result)?,
            Way::Exact(exact) => {
                let rows = of_numbers(&arrays, rows, exact.work)?;
                to_array(rows.into_iter().map(Ok), result)?
            }
            Way::Count(work) => {
                let counts = of_numbers(&arrays, rows, work)?;
                Arc::new(counts.into_iter().collect::<Int32Array>())
            }
            Way::CountOfFloats(work) => {
                let columns = float_columns(&arrays)?;
                let counts = (0..rows).map(|row| strict(&columns, row, work));
                Arc::new(counts.collect::<Result<Int32Array>>()?)
            }
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&done, 0)?),
            false => ColumnarValue::Array(done),
        })
    }
}

fn float_columns(arrays: &[ArrayRef]) -> Result<Vec<Float64Array>> {
    let columns = arrays.iter().map(|array| {
        let floats = cast(array, &DataType::Float64)?;
        Ok(floats.as_primitive::<Float64Type>().clone())
    });
    columns.collect()
}

/// NULL if an argument is.
fn strict<T>(
    columns: &[Float64Array],
    row: usize,
    work: fn(&[f64]) -> Result<T>,
) -> Result<Option<T>> {
    let mut values = [0.0; 4];
    for (value, column) in values.iter_mut().zip(columns) {
        if column.is_null(row) {
            return Ok(None);
        }
        *value = column.value(row);
    }
    work(&values[..columns.len()]).map(Some)
}

fn of_floats(
    arrays: &[ArrayRef],
    rows: usize,
    work: fn(&[f64]) -> Result<f64>,
) -> Result<ArrayRef> {
    let columns = float_columns(arrays)?;
    let values = (0..rows).map(|row| strict(&columns, row, work));
    Ok(Arc::new(values.collect::<Result<Float64Array>>()?))
}

fn of_integers(
    arrays: &[ArrayRef],
    rows: usize,
    work: fn(&[i64]) -> Result<i64>,
    result: &DataType,
) -> Result<ArrayRef> {
    let columns = arrays.iter().map(|array| cast(array, &DataType::Int64));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let (least, most) = match result {
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    let values = (0..rows).map(|row| {
        let mut values = Vec::with_capacity(columns.len());
        for column in &columns {
            if column.is_null(row) {
                return Ok(None);
            }
            values.push(column.as_primitive::<Int64Type>().value(row));
        }
        let value = work(&values)?;
        if value < least || value > most {
            return Err(refuse(
                "22003",
                format!("{} out of range", type_name(result)),
            ));
        }
        Ok(Some(value))
    });
    let wide: ArrayRef = Arc::new(values.collect::<Result<Int64Array>>()?);
    Ok(cast(&wide, result)?)
}

fn of_numbers<T>(
    arrays: &[ArrayRef],
    rows: usize,
    work: fn(&[Shown]) -> Result<T>,
) -> Result<Vec<Option<T>>> {
    let columns = arrays.iter().map(|array| {
        let shown = Digits::of(array.data_type()).map(|digits| digits.shown);
        Ok((
            Numbers::new(array)?,
            shown.unwrap_or(crate::numeric::Shown::Scale),
        ))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let values = (0..rows).map(|row| {
        let mut values = Vec::with_capacity(columns.len());
        for (numbers, shown) in &columns {
            match numbers.get(row) {
                Some(number) => values.push((number, number.shown_scale(*shown))),
                None => return Ok(None),
            }
        }
        work(&values).map(Some)
    });
    values.collect()
}
