//! Answers counted by point of the scale, for each group: the state of all functions of this crate.
//!
//! A row costs an addition or two and no allocation. A state is written down as the points that have any answers, with
//! their weights, so that it is small on a long scale too; states are added up in any order.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int32Builder,
    ListBuilder, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, UInt64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Accumulator, EmitTo, GroupsAccumulator};
use rapport_stats::voice::Answers;
use rapport_stats::{Error, Result as StatsResult};
use rapport_udf_face::refused;

use crate::answers::Question;

/// Which points have answers, their weights, and of the single weights the sum of squares and the number.
pub(crate) fn state_types() -> [(&'static str, DataType); 4] {
    let list_of = |data_type| DataType::List(Arc::new(Field::new_list_field(data_type, true)));
    [
        ("points", list_of(DataType::Int32)),
        ("weights", list_of(DataType::Float64)),
        ("squares", DataType::Float64),
        ("n", DataType::UInt64),
    ]
}

#[derive(Debug)]
pub(crate) struct Tally {
    question: Question,
    is_weighted: bool,
    /// Of each group, one after the other, the weight of each point.
    weights: Vec<f64>,
    /// Of each group, of single weights; where there are none, the sum of `weights` says the same.
    singles: Vec<Singles>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Singles {
    squares: f64,
    n: u64,
}

impl Tally {
    pub(crate) fn new(question: Question, is_weighted: bool) -> Self {
        Self {
            question,
            is_weighted,
            weights: vec![],
            singles: vec![],
        }
    }

    fn grow(&mut self, n_groups: usize) {
        self.weights
            .resize(n_groups * self.question.scale.n_points(), 0.0);
        if self.is_weighted {
            self.singles.resize(n_groups, Singles::default());
        }
    }

    fn n_groups(&self) -> usize {
        self.weights.len() / self.question.scale.n_points()
    }

    /// `values` are scores and, if there are weights, these at the end. `sign` is −1 to take them out again.
    fn add(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        group: impl Fn(usize) -> usize,
        sign: f64,
    ) -> Result<()> {
        let (scores, scale) = (&values[0], self.question.scale);
        let weights = match self.is_weighted {
            true => values.last().map(|last| last.as_primitive::<Float64Type>()),
            false => None,
        };
        let unknown = NullBuffer::union(scores.nulls(), weights.and_then(|array| array.nulls()));
        let used = NullBuffer::union(unknown.as_ref(), filter.map(mask).as_ref());
        let added = match scores.data_type() {
            DataType::Int64 => {
                let scores = scores.as_primitive::<Int64Type>().values();
                let point = |row: usize| scale.point_of_whole(scores[row]);
                self.add_rows(scores.len(), used, point, weights, group, sign)
            }
            _ => {
                let scores = scores.as_primitive::<Float64Type>().values();
                let point = |row: usize| scale.point_of_number(scores[row]);
                self.add_rows(scores.len(), used, point, weights, group, sign)
            }
        };
        added.map_err(refused)
    }

    fn add_rows(
        &mut self,
        n_rows: usize,
        used: Option<NullBuffer>,
        point: impl Fn(usize) -> StatsResult<usize>,
        weights: Option<&Float64Array>,
        group: impl Fn(usize) -> usize,
        sign: f64,
    ) -> StatsResult<()> {
        let n_points = self.question.scale.n_points();
        let mut add = |row: usize| {
            let (group, point) = (group(row), point(row)?);
            let Some(weights) = weights else {
                self.weights[group * n_points + point] += sign;
                return Ok(());
            };
            let weight = checked(weights.value(row))?;
            self.weights[group * n_points + point] += weight;
            let singles = &mut self.singles[group];
            singles.squares += weight * weight;
            singles.n += u64::from(weight > 0.0);
            Ok(())
        };
        match used {
            None => (0..n_rows).try_for_each(add),
            Some(used) => used.valid_indices().try_for_each(&mut add),
        }
    }

    fn answers(&self, group: usize) -> StatsResult<Answers> {
        let n_points = self.question.scale.n_points();
        let weights = self.weights[group * n_points..][..n_points].to_vec();
        let Singles { squares, n } = self.singles_of(group);
        Answers::from_sums(self.question.scale.lowest(), weights, squares, n)
    }

    fn singles_of(&self, group: usize) -> Singles {
        let n_points = self.question.scale.n_points();
        let all = || self.weights[group * n_points..][..n_points].iter().sum();
        self.singles.get(group).copied().unwrap_or_else(|| Singles {
            squares: all(),
            n: all() as u64,
        })
    }

    /// `None` if there are no answers.
    fn number(&self, group: usize) -> Result<Option<f64>> {
        let answers = self.answers(group).map_err(refused)?;
        if answers.n_effective() == 0.0 {
            return Ok(None);
        }
        let number = self.question.number(&answers).map_err(refused)?;
        // A single answer has no standard error.
        Ok(Some(number).filter(|number| !number.is_nan()))
    }

    fn states(&self, n_groups: usize) -> Vec<ArrayRef> {
        let mut points = ListBuilder::new(Int32Builder::new());
        let mut weights = ListBuilder::new(Float64Builder::new());
        let n_points = self.question.scale.n_points();
        for group in self.weights.chunks_exact(n_points).take(n_groups) {
            for (point, weight) in (0..).zip(group).filter(|(_, weight)| **weight != 0.0) {
                points.values().append_value(point);
                weights.values().append_value(*weight);
            }
            points.append(true);
            weights.append(true);
        }
        let singles = || (0..n_groups).map(|group| self.singles_of(group));
        vec![
            Arc::new(points.finish()),
            Arc::new(weights.finish()),
            Arc::new(Float64Array::from_iter_values(singles().map(|s| s.squares))),
            Arc::new(UInt64Array::from_iter_values(singles().map(|s| s.n))),
        ]
    }

    fn merge(&mut self, states: &[ArrayRef], group: impl Fn(usize) -> usize) {
        let (points, weights) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        let of_points = points.values().as_primitive::<Int32Type>().values();
        let of_weights = weights.values().as_primitive::<Float64Type>().values();
        let squares = states[2].as_primitive::<Float64Type>();
        let n = states[3].as_primitive::<UInt64Type>();
        let n_points = self.question.scale.n_points();
        for row in 0..points.len() {
            let group = group(row);
            let places = |list: &arrow::array::ListArray| {
                let offsets = list.value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            };
            let known = of_points[places(points)]
                .iter()
                .zip(&of_weights[places(weights)]);
            for (point, weight) in known {
                self.weights[group * n_points + *point as usize] += weight;
            }
            if let Some(singles) = self.singles.get_mut(group) {
                singles.squares += squares.value(row);
                singles.n += n.value(row);
            }
        }
    }

    fn forget(&mut self, emit_to: EmitTo) {
        let n_points = self.question.scale.n_points();
        let points = match emit_to {
            EmitTo::All => EmitTo::All,
            EmitTo::First(n) => EmitTo::First(n * n_points),
        };
        points.take_needed(&mut self.weights);
        if self.is_weighted {
            emit_to.take_needed(&mut self.singles);
        }
    }

    fn n_emitted(&self, emit_to: EmitTo) -> usize {
        match emit_to {
            EmitTo::All => self.n_groups(),
            EmitTo::First(n) => n,
        }
    }
}

/// Rows that a filter lets through.
fn mask(filter: &BooleanArray) -> NullBuffer {
    let filter = match filter.null_count() {
        0 => filter.clone(),
        _ => prep_null_mask_filter(filter),
    };
    NullBuffer::new(filter.values().clone())
}

fn checked(weight: f64) -> StatsResult<f64> {
    match weight.is_finite() && weight >= 0.0 {
        true => Ok(weight),
        false => Err(Error::Range {
            name: "weight",
            range: "a finite number of at least 0",
            value: weight,
        }),
    }
}

impl GroupsAccumulator for Tally {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(values, opt_filter, |row| group_indices[row], 1.0)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.merge(values, |row| group_indices[row]);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let numbers = (0..self.n_emitted(emit_to)).map(|group| self.number(group));
        let numbers: Float64Array = numbers.collect::<Result<_>>()?;
        self.forget(emit_to);
        Ok(Arc::new(numbers))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.states(self.n_emitted(emit_to));
        self.forget(emit_to);
        Ok(states)
    }

    /// Each row a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let n_rows = values[0].len();
        let mut rows = Self::new(self.question.clone(), self.is_weighted);
        rows.grow(n_rows);
        rows.add(values, opt_filter, |row| row, 1.0)?;
        Ok(rows.states(n_rows))
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.weights.capacity() * size_of::<f64>()
            + self.singles.capacity() * size_of::<Singles>()
    }
}

/// Without groups.
#[derive(Debug)]
pub(crate) struct TallyOfAll(Tally);

impl TallyOfAll {
    pub(crate) fn new(mut tally: Tally) -> Self {
        tally.grow(1);
        Self(tally)
    }
}

impl Accumulator for TallyOfAll {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.add(values, None, |_| 0, 1.0)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.0.number(0)?))
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.0.states(1);
        let first = |state: &ArrayRef| ScalarValue::try_from_array(state, 0);
        states.iter().map(first).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, |_| 0);
        Ok(())
    }

    /// A frame that slides: counts can be taken out again. Sums of weights would not come back to exactly 0.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.add(values, None, |_| 0, -1.0)
    }

    fn supports_retract_batch(&self) -> bool {
        !self.0.is_weighted
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::scale::Scale;

    fn tally(is_weighted: bool) -> Tally {
        let scale = Scale::new(0, 10).expect("a scale");
        let question = Question::new(scale, |answers| Ok(answers.nps(0.95)?.score));
        Tally::new(question, is_weighted)
    }

    fn scores(scores: &[Option<i64>]) -> ArrayRef {
        Arc::new(scores.iter().copied().collect::<Int64Array>())
    }

    fn weights(weights: &[f64]) -> ArrayRef {
        Arc::new(Float64Array::from(weights.to_vec()))
    }

    fn numbers(array: ArrayRef) -> Vec<Option<f64>> {
        array.as_primitive::<Float64Type>().iter().collect()
    }

    const ROWS: [Option<i64>; 6] = [Some(9), Some(3), None, Some(10), Some(8), Some(10)];
    const GROUPS: [usize; 6] = [0, 1, 2, 1, 0, 0];

    #[test]
    fn groups_are_counted_apart_and_one_of_nulls_is_null() {
        let mut all = tally(false);
        all.update_batch(&[scores(&ROWS)], &GROUPS, None, 3)
            .expect("on the scale");
        let got = numbers(all.evaluate(EmitTo::All).expect("counts"));
        assert_eq!(got, [Some(200.0 / 3.0), Some(0.0), None]);
        assert_eq!(all.n_groups(), 0);
    }

    #[test]
    fn a_filter_leaves_rows_out_before_they_are_looked_at() {
        let filter = BooleanArray::from(vec![Some(true), Some(false), None]);
        let mut all = tally(false);
        let rows = scores(&[Some(9), Some(99), Some(-1)]);
        all.update_batch(&[rows], &[0, 0, 0], Some(&filter), 1)
            .expect("filtered");
        let got = numbers(all.evaluate(EmitTo::All).expect("counts"));
        assert_eq!(got, [Some(100.0)]);
    }

    #[test]
    fn states_of_parts_in_any_order_are_one_state() {
        for is_weighted in [false, true] {
            let of = |from: usize, to: usize| {
                let mut values = vec![scores(&ROWS[from..to])];
                if is_weighted {
                    values.push(weights(&[0.5, 2.0, 1.0, 0.25, 3.0, 1.0][from..to]));
                }
                values
            };
            let mut whole = tally(is_weighted);
            whole
                .update_batch(&of(0, 6), &GROUPS, None, 3)
                .expect("on the scale");
            let mut merged = tally(is_weighted);
            // One part as single rows, one as the state of its groups.
            let rows = tally(is_weighted)
                .convert_to_state(&of(3, 6), None)
                .expect("rows");
            merged.merge_batch(&rows, &GROUPS[3..], 3).expect("states");
            let mut part = tally(is_weighted);
            part.update_batch(&of(0, 3), &GROUPS[..3], None, 3)
                .expect("on the scale");
            let first = part.state(EmitTo::First(2)).expect("states");
            let rest = part.state(EmitTo::All).expect("states");
            merged.merge_batch(&rest, &[2], 3).expect("states");
            merged.merge_batch(&first, &[0, 1], 3).expect("states");
            assert_eq!(merged.weights, whole.weights);
            let got = merged.evaluate(EmitTo::All).expect("counts");
            assert_eq!(
                numbers(got),
                numbers(whole.evaluate(EmitTo::All).expect("counts"))
            );
        }
    }

    #[test]
    fn the_first_groups_leave_and_the_others_stay() {
        let mut all = tally(true);
        let values = [scores(&ROWS), weights(&[1.0; 6])];
        all.update_batch(&values, &GROUPS, None, 3)
            .expect("on the scale");
        let got = numbers(all.evaluate(EmitTo::First(1)).expect("counts"));
        assert_eq!(got, [Some(200.0 / 3.0)]);
        let got = numbers(all.evaluate(EmitTo::All).expect("counts"));
        assert_eq!(got, [Some(0.0), None]);
    }

    #[test]
    fn a_state_of_one_is_written_and_read() {
        let mut one = TallyOfAll::new(tally(false));
        one.update_batch(&[scores(&ROWS)]).expect("on the scale");
        let states = one.state().expect("a state");
        for (state, (name, data_type)) in states.iter().zip(state_types()) {
            assert_eq!(state.data_type(), data_type, "{name}");
        }
        let arrays: Vec<_> = states.iter().map(|s| s.to_array().expect("one")).collect();
        let mut other = TallyOfAll::new(tally(false));
        other.merge_batch(&arrays).expect("a state");
        assert_eq!(other.evaluate().expect("a number"), 40.0.into());
    }

    #[test]
    fn a_sliding_frame_forgets_what_left_it() {
        let mut frame = TallyOfAll::new(tally(false));
        assert!(frame.supports_retract_batch());
        frame.update_batch(&[scores(&ROWS)]).expect("on the scale");
        frame
            .retract_batch(&[scores(&ROWS[1..])])
            .expect("on the scale");
        assert_eq!(frame.evaluate().expect("a number"), 100.0.into());
        frame
            .retract_batch(&[scores(&ROWS[..1])])
            .expect("on the scale");
        assert_eq!(frame.evaluate().expect("none"), ScalarValue::Float64(None));
    }

    #[test]
    fn weights_below_0_or_unknown_are_refused_and_null_ones_left_out() {
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            let values = [scores(&[Some(9)]), weights(&[weight])];
            assert!(tally(true).update_batch(&values, &[0], None, 1).is_err());
        }
        let none: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(0.0)]));
        let mut all = tally(true);
        let values = [scores(&[Some(9), Some(9)]), none];
        all.update_batch(&values, &[0, 0], None, 1)
            .expect("on the scale");
        assert_eq!(numbers(all.evaluate(EmitTo::All).expect("counts")), [None]);
    }
}
