//! Sums of floats that leave the range of their type: 22003, as PostgreSQL has it, where none of the values was infinite.
//! DataFusion answers an infinity or NaN.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Accumulator, EmitTo, GroupsAccumulator};

use crate::refusal::Refusal;

pub(crate) fn overflow() -> Refusal {
    Refusal::out_of_range("value out of range: overflow")
}

/// Calls for each row whose value is an infinity or NaN.
fn each_odd(array: &ArrayRef, mut odd: impl FnMut(usize)) {
    let mut each = |is_odd: &dyn Fn(usize) -> bool| {
        for row in (0..array.len()).filter(|row| is_odd(*row) && array.is_valid(*row)) {
            odd(row);
        }
    };
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            if values.iter().any(|value| !value.is_finite()) {
                each(&|row| !values[row].is_finite());
            }
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            if values.iter().any(|value| !value.is_finite()) {
                each(&|row| !values[row].is_finite());
            }
        }
        _ => {}
    }
}

fn has_odd(array: &ArrayRef) -> bool {
    let mut found = false;
    each_odd(array, |_| found = true);
    found
}

fn is_odd(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(value)) => !value.is_finite(),
        ScalarValue::Float32(Some(value)) => !value.is_finite(),
        _ => false,
    }
}

/// Of floats, not distinct.
#[derive(Debug)]
pub(crate) struct Checked {
    inner: Box<dyn Accumulator>,
    /// An infinity among the values makes it NaN.
    is_variance: bool,
    has_odd: bool,
    /// Of the finite values, which PostgreSQL adds up for a variance too.
    sum: f64,
}

impl Checked {
    pub(crate) fn new(inner: Box<dyn Accumulator>, is_variance: bool) -> Self {
        Self {
            inner,
            is_variance,
            has_odd: false,
            sum: 0.0,
        }
    }

    fn check(&self, value: &ScalarValue) -> Result<()> {
        match !self.has_odd && (is_odd(value) || !self.sum.is_finite()) {
            true => Err(overflow().into()),
            false => Ok(()),
        }
    }
}

impl Accumulator for Checked {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.has_odd |= has_odd(&values[0]);
        if self.is_variance
            && let Some(floats) = values[0].as_primitive_opt::<Float64Type>()
        {
            self.sum += floats.iter().flatten().sum::<f64>();
        }
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        self.check(&value)?;
        if self.is_variance && self.has_odd && !value.is_null() {
            return ScalarValue::Float64(Some(f64::NAN)).cast_to(&value.data_type());
        }
        Ok(value)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.inner.state()?;
        state.iter().try_for_each(|part| self.check(part))?;
        Ok(state)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.has_odd |= states.iter().any(has_odd);
        self.inner.merge_batch(states)
    }
}

/// Of floats, not distinct, group by group.
pub(crate) struct CheckedGroups {
    inner: Box<dyn GroupsAccumulator>,
    /// Which groups have an infinity or NaN.
    odd: Vec<bool>,
}

impl CheckedGroups {
    pub(crate) fn new(inner: Box<dyn GroupsAccumulator>) -> Self {
        Self { inner, odd: vec![] }
    }

    fn note(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) {
        self.odd.resize(n_groups, false);
        for array in values {
            each_odd(array, |row| {
                if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                    self.odd[groups[row]] = true;
                }
            });
        }
    }

    fn check(odd: &[bool], values: &ArrayRef) -> Result<()> {
        let mut is_beyond = false;
        each_odd(values, |group| is_beyond |= !odd[group]);
        match is_beyond {
            true => Err(overflow().into()),
            false => Ok(()),
        }
    }
}

impl GroupsAccumulator for CheckedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.note(values, groups, filter, n_groups);
        self.inner.update_batch(values, groups, filter, n_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let odd = emit_to.take_needed(&mut self.odd);
        let values = self.inner.evaluate(emit_to)?;
        Self::check(&odd, &values)?;
        Ok(values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let odd = emit_to.take_needed(&mut self.odd);
        let state = self.inner.state(emit_to)?;
        state.iter().try_for_each(|part| Self::check(&odd, part))?;
        Ok(state)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        n_groups: usize,
    ) -> Result<()> {
        self.note(values, groups, None, n_groups);
        self.inner.merge_batch(values, groups, n_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size() + self.odd.capacity()
    }
}
