//! `corr`, `covar_…` and `regr_…`, to PostgreSQL's last digit: sums of squares and products about the mean, kept as the rows come.
//!
//! Source: E. A. Youngs & E. M. Cramer (1971), "Some results relevant to choice of sum and sum-of-product algorithms",
//! Technometrics 13(3), 657-665; merged after Chan, Golub & LeVeque (1979).

use std::collections::VecDeque;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::format_state_name;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use crate::refusal::Refusal;
use crate::simple::shown;

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let function = |(name, finish): &(&'static str, Finish)| {
        Arc::new(AggregateUDF::from(Regression {
            name,
            finish: *finish,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    FUNCTIONS.iter().map(function).collect()
}

/// `None` is NULL.
type Finish = fn(&Sums) -> Option<f64>;

const COUNT: &str = "regr_count";

const FUNCTIONS: [(&str, Finish); 12] = [
    ("corr", |sums| {
        let is_line = sums.xx == 0.0 || sums.yy == 0.0;
        (!is_line).then(|| sums.xy / (sums.xx * sums.yy).sqrt())
    }),
    ("covar_pop", |sums| Some(sums.xy / sums.n)),
    ("covar_samp", |sums| {
        (sums.n >= 2.0).then(|| sums.xy / (sums.n - 1.0))
    }),
    ("regr_avgx", |sums| Some(sums.x / sums.n)),
    ("regr_avgy", |sums| Some(sums.y / sums.n)),
    (COUNT, |sums| Some(sums.n)),
    ("regr_intercept", |sums| {
        (sums.xx != 0.0).then(|| (sums.y - sums.x * sums.xy / sums.xx) / sums.n)
    }),
    ("regr_r2", |sums| match (sums.xx == 0.0, sums.yy == 0.0) {
        (true, _) => None,
        (_, true) => Some(1.0),
        _ => Some((sums.xy * sums.xy) / (sums.xx * sums.yy)),
    }),
    ("regr_slope", |sums| {
        (sums.xx != 0.0).then(|| sums.xy / sums.xx)
    }),
    ("regr_sxx", |sums| Some(sums.xx)),
    ("regr_sxy", |sums| Some(sums.xy)),
    ("regr_syy", |sums| Some(sums.yy)),
];

/// Of pairs (y, x) without NULL.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: f64,
    x: f64,
    /// Σ (x − x̄)²
    xx: f64,
    y: f64,
    yy: f64,
    /// Σ (x − x̄)(y − ȳ)
    xy: f64,
}

const PARTS: [&str; 6] = ["n", "sx", "sxx", "sy", "syy", "sxy"];

impl Sums {
    fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let before = *self;
        self.n += 1.0;
        self.x += x;
        self.y += y;
        if before.n > 0.0 {
            let from_x = x * self.n - self.x;
            let from_y = y * self.n - self.y;
            let scale = 1.0 / (self.n * before.n);
            self.xx += from_x * from_x * scale;
            self.yy += from_y * from_y * scale;
            self.xy += from_x * from_y * scale;
            let sums = [self.x, self.xx, self.y, self.yy, self.xy];
            if sums.iter().any(|sum| sum.is_infinite()) {
                let was_finite = before.x.is_finite() && before.y.is_finite();
                if was_finite && x.is_finite() && y.is_finite() {
                    return Err(Refusal::out_of_range("value out of range: overflow").into());
                }
                let nan = |sum: &mut f64| {
                    if sum.is_infinite() {
                        *sum = f64::NAN;
                    }
                };
                nan(&mut self.xx);
                nan(&mut self.yy);
                nan(&mut self.xy);
            }
        } else {
            if !x.is_finite() {
                self.xx = f64::NAN;
                self.xy = f64::NAN;
            }
            if !y.is_finite() {
                self.yy = f64::NAN;
                self.xy = f64::NAN;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if self.n == 0.0 {
            *self = *other;
        } else if other.n > 0.0 {
            let n = self.n + other.n;
            let between_x = self.x / self.n - other.x / other.n;
            let between_y = self.y / self.n - other.y / other.n;
            let of = self.n * other.n;
            *self = Self {
                n,
                x: self.x + other.x,
                xx: self.xx + other.xx + of * between_x * between_x / n,
                y: self.y + other.y,
                yy: self.yy + other.yy + of * between_y * between_y / n,
                xy: self.xy + other.xy + of * between_x * between_y / n,
            };
        }
    }

    fn parts(&self) -> [f64; 6] {
        [self.n, self.x, self.xx, self.y, self.yy, self.xy]
    }

    fn of_parts([n, x, xx, y, yy, xy]: [f64; 6]) -> Self {
        Self {
            n,
            x,
            xx,
            y,
            yy,
            xy,
        }
    }
}

#[derive(Clone, Debug)]
struct Regression {
    name: &'static str,
    finish: Finish,
    signature: Signature,
}

impl PartialEq for Regression {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Regression {}

impl std::hash::Hash for Regression {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Regression {
    fn answer(&self, sums: &Sums) -> Option<f64> {
        (self.name == COUNT || sums.n > 0.0)
            .then(|| (self.finish)(sums))
            .flatten()
    }

    fn scalar(&self, sums: &Sums) -> ScalarValue {
        let answer = self.answer(sums);
        match self.name {
            COUNT => ScalarValue::Int64(answer.map(|n| n as i64)),
            _ => ScalarValue::Float64(answer),
        }
    }
}

impl AggregateUDFImpl for Regression {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_number = |given: &DataType| given.is_numeric() || given.is_null();
        match given {
            [y, x] if is_number(y) && is_number(x) => Ok(vec![DataType::Float64; 2]),
            _ => {
                let given: Vec<String> = given.iter().map(shown).collect();
                let message = format!(
                    "function {}({}) does not exist",
                    self.name,
                    given.join(", ")
                );
                Err(Refusal::no_such_function(message).into())
            }
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.name {
            COUNT => DataType::Int64,
            _ => DataType::Float64,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part: &str| {
            let name = format_state_name(args.name, part);
            Arc::new(Field::new(name, DataType::Float64, true))
        };
        Ok(PARTS.iter().copied().map(field).collect())
    }

    fn default_value(&self, _given: &DataType) -> Result<ScalarValue> {
        Ok(self.scalar(&Sums::default()))
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup {
            function: self.clone(),
            sums: Sums::default(),
        }))
    }

    fn create_sliding_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Frame {
            function: self.clone(),
            pairs: VecDeque::new(),
        }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups {
            function: self.clone(),
            sums: vec![],
        }))
    }
}

/// The rows of (y, x) in which neither is NULL, with their place.
fn pairs(values: &[ArrayRef]) -> impl Iterator<Item = (usize, f64, f64)> + '_ {
    let y = values[0].as_primitive::<Float64Type>();
    let x = values[1].as_primitive::<Float64Type>();
    (0..y.len())
        .filter(|row| y.is_valid(*row) && x.is_valid(*row))
        .map(|row| (row, y.value(row), x.value(row)))
}

/// The states in a batch of them.
fn states(states: &[ArrayRef]) -> impl Iterator<Item = Sums> + '_ {
    let parts: [&Float64Array; 6] =
        std::array::from_fn(|part| states[part].as_primitive::<Float64Type>());
    (0..parts[0].len()).map(move |row| Sums::of_parts(parts.map(|part| part.value(row))))
}

#[derive(Debug)]
struct OneGroup {
    function: Regression,
    sums: Sums,
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        pairs(values).try_for_each(|(_, y, x)| self.sums.add(y, x))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.function.scalar(&self.sums))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.sums.parts().map(ScalarValue::from).to_vec())
    }

    fn merge_batch(&mut self, batch: &[ArrayRef]) -> Result<()> {
        states(batch).for_each(|sums| self.sums.merge(&sums));
        Ok(())
    }
}

/// The rows of a frame that loses its first ones: they are summed anew for each answer, as PostgreSQL does.
#[derive(Debug)]
struct Frame {
    function: Regression,
    pairs: VecDeque<(f64, f64)>,
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.pairs.extend(pairs(values).map(|(_, y, x)| (y, x)));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.pairs.drain(..pairs(values).count());
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sums = Sums::default();
        self.pairs.iter().try_for_each(|(y, x)| sums.add(*y, *x))?;
        Ok(self.function.scalar(&sums))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.pairs.capacity() * size_of::<(f64, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        datafusion_common::internal_err!("a frame of a window is not merged")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        datafusion_common::internal_err!("a frame of a window is not merged")
    }
}

#[derive(Debug)]
struct Groups {
    function: Regression,
    sums: Vec<Sums>,
}

fn columns(sums: &[Sums]) -> Vec<ArrayRef> {
    let column = |part: usize| -> ArrayRef {
        let values = sums.iter().map(|sums| sums.parts()[part]);
        Arc::new(Float64Array::from_iter_values(values))
    };
    (0..PARTS.len()).map(column).collect()
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.sums.resize(n_groups, Sums::default());
        let is_wanted =
            |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        pairs(values)
            .filter(|(row, _, _)| is_wanted(*row))
            .try_for_each(|(row, y, x)| self.sums[groups[row]].add(y, x))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let answers = sums.iter().map(|sums| self.function.answer(sums));
        Ok(match self.function.name {
            COUNT => Arc::new(answers.map(|n| n.map(|n| n as i64)).collect::<Int64Array>()),
            _ => Arc::new(answers.collect::<Float64Array>()),
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(columns(&emit_to.take_needed(&mut self.sums)))
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let n_rows = values[0].len();
        let mut rows = Groups {
            function: self.function.clone(),
            sums: vec![],
        };
        let each: Vec<usize> = (0..n_rows).collect();
        rows.update_batch(values, &each, filter, n_rows)?;
        Ok(columns(&rows.sums))
    }

    fn merge_batch(&mut self, batch: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.sums.resize(n_groups, Sums::default());
        for (sums, group) in states(batch).zip(groups) {
            self.sums[*group].merge(&sums);
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.capacity() * size_of::<Sums>()
    }
}
