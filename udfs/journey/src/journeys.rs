//! Aggregates over the events of each customer in the order of time: what they keep, and how they are asked.
//!
//! Kept are the moment of each event and the conditions that it meets; events of one moment are in the order of these. Written
//! down, a state is a list of the ones and a list of the others.

use std::fmt::Debug;
use std::mem::take;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Accumulator, EmitTo, GroupsAccumulator};
use rapport_stats::Result as StatsResult;
use rapport_stats::events::Event;
use rapport_udf_face::refused;

use crate::conditions::masks;
use crate::grouped::{GroupLog, Grouped};
use crate::lists::{items, list_of, lists};
use crate::moments::moments;

/// What is asked of each customer's events.
pub(crate) trait Question: Clone + Debug + Send + Sync + 'static {
    /// An array of these is the answer.
    type Answers: Array + FromIterator<Option<Self::Answer>> + 'static;
    type Answer;

    /// Whether an event that meets no condition matters.
    fn needs_all(&self) -> bool {
        false
    }

    fn answer(&self, sorted: &[Event]) -> StatsResult<Self::Answer>;
}

/// What an aggregate over events says of itself, in an `impl AggregateUDFImpl` whose type has `signature`, `doc()` and
/// `question(&AccumulatorArgs) -> Result<(impl Question, usize)>`; the number is the place of `occurred_at` among the arguments,
/// behind which the conditions come.
macro_rules! over_events {
    ($name:literal, $answer:expr, of no events $none:expr) => {
        fn name(&self) -> &str {
            $name
        }

        fn signature(&self) -> &datafusion_expr::Signature {
            &self.signature
        }

        fn documentation(&self) -> Option<&datafusion_expr::Documentation> {
            self.doc()
        }

        fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
            Ok($answer)
        }

        fn state_fields(
            &self,
            args: datafusion_expr::function::StateFieldsArgs,
        ) -> Result<Vec<arrow::datatypes::FieldRef>> {
            Ok(rapport_udf_face::state_fields(
                &args,
                $crate::journeys::state_types(),
            ))
        }

        fn accumulator(
            &self,
            args: AccumulatorArgs,
        ) -> Result<Box<dyn datafusion_expr::Accumulator>> {
            let (question, moment) = self.question(&args)?;
            let journey = $crate::journeys::Journey::new(question, moment);
            Ok(Box::new(journey?))
        }

        fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
            true
        }

        fn create_groups_accumulator(
            &self,
            args: AccumulatorArgs,
        ) -> Result<Box<dyn datafusion_expr::GroupsAccumulator>> {
            let (question, moment) = self.question(&args)?;
            Ok(Box::new($crate::journeys::Journeys::new(question, moment)))
        }

        fn default_value(&self, _data_type: &DataType) -> Result<datafusion_common::ScalarValue> {
            Ok($none.into())
        }

        fn order_sensitivity(&self) -> datafusion_expr::utils::AggregateOrderSensitivity {
            datafusion_expr::utils::AggregateOrderSensitivity::Insensitive
        }
    };
}

pub(crate) use over_events;

pub(crate) fn state_types() -> [(&'static str, DataType); 2] {
    [
        ("times", list_of(DataType::Int64)),
        ("conditions", list_of(DataType::UInt32)),
    ]
}

/// Of groups.
#[derive(Debug)]
pub(crate) struct Journeys<Q> {
    question: Q,
    /// Which of the arguments tells the time of an event; conditions follow it.
    moment: usize,
    log: GroupLog<Event>,
    /// Of the last rows; kept for the next.
    masks: Vec<u64>,
}

impl<Q: Question> Journeys<Q> {
    pub(crate) fn new(question: Q, moment: usize) -> Self {
        Self {
            question,
            moment,
            log: GroupLog::default(),
            masks: vec![],
        }
    }

    fn add(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        group: impl Fn(usize) -> usize,
        n_groups: usize,
    ) -> Result<()> {
        let (times, known) = moments(&values[self.moment]);
        self.log.grow(n_groups, times.len())?;
        let mut of_rows = take(&mut self.masks);
        masks(&values[self.moment + 1..], times.len(), &mut of_rows);
        let needs_all = self.question.needs_all();
        self.log.push_wanted(times.len(), |row| {
            let mask = of_rows[row];
            let is_known = known.is_none_or(|known| known.is_valid(row));
            let is_let = filter.is_none_or(|let_in| let_in.is_valid(row) && let_in.value(row));
            let event = Event {
                time: times[row],
                // There are 32 conditions at most.
                conditions: mask as u32,
            };
            (
                group(row),
                event,
                (mask != 0 || needs_all) && is_known && is_let,
            )
        });
        self.masks = of_rows;
        Ok(())
    }

    fn merge(
        &mut self,
        states: &[ArrayRef],
        group: impl Fn(usize) -> usize,
        n_groups: usize,
    ) -> Result<()> {
        let times = states[0].as_list::<i64>();
        let (of_times, starts) = items::<Int64Type>(times);
        let (of_conditions, _) = items::<UInt32Type>(states[1].as_list::<i64>());
        self.log.grow(n_groups, of_times.len())?;
        for row in 0..times.len() {
            let places = starts[row]..starts[row + 1];
            let group = group(row);
            for (time, conditions) in of_times[places.clone()].iter().zip(&of_conditions[places]) {
                let (time, conditions) = (*time, *conditions);
                self.log.push(group, Event { time, conditions });
            }
        }
        Ok(())
    }

    fn answers(&self, journeys: &mut Grouped<Event>) -> Result<ArrayRef> {
        journeys.sort();
        let answers = journeys
            .iter()
            .map(|sorted| self.question.answer(sorted).map(Some));
        let answers: Q::Answers = answers.collect::<StatsResult<_>>().map_err(refused)?;
        Ok(Arc::new(answers))
    }
}

fn states(journeys: &Grouped<Event>) -> Vec<ArrayRef> {
    let times = journeys.items.iter().map(|event| event.time);
    let conditions = journeys.items.iter().map(|event| event.conditions);
    vec![
        lists(
            Arc::new(Int64Array::from_iter_values(times)),
            &journeys.ends,
        ),
        lists(
            Arc::new(UInt32Array::from_iter_values(conditions)),
            &journeys.ends,
        ),
    ]
}

impl<Q: Question> GroupsAccumulator for Journeys<Q> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.add(
            values,
            opt_filter,
            |row| group_indices[row],
            total_num_groups,
        )
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.merge(values, |row| group_indices[row], total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut journeys = self.log.take(emit_to);
        self.answers(&mut journeys)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(states(&self.log.take(emit_to)))
    }

    /// Each row a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut rows = Self::new(self.question.clone(), self.moment);
        rows.add(values, opt_filter, |row| row, values[self.moment].len())?;
        rows.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.log.size() + self.masks.capacity() * size_of::<u64>()
    }
}

/// Without groups: one group.
#[derive(Debug)]
pub(crate) struct Journey<Q>(Journeys<Q>);

impl<Q: Question> Journey<Q> {
    pub(crate) fn new(question: Q, moment: usize) -> Result<Self> {
        let mut all = Journeys::new(question, moment);
        all.log.grow(1, 0)?;
        Ok(Self(all))
    }

    /// The events stay: a window function asks again after the next rows.
    fn with_events<T>(
        &mut self,
        ask: impl FnOnce(&Journeys<Q>, &mut Grouped<Event>) -> Result<T>,
    ) -> Result<T> {
        let mut events = self.0.log.take(EmitTo::All);
        let answer = ask(&self.0, &mut events);
        self.0.log.put_back(events);
        answer
    }
}

impl<Q: Question> Accumulator for Journey<Q> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.add(values, None, |_| 0, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answers = self.with_events(|all, events| all.answers(events))?;
        ScalarValue::try_from_array(&answers, 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.with_events(|_, events| Ok(states(events)))?;
        let first = |state: &ArrayRef| ScalarValue::try_from_array(state, 0);
        states.iter().map(first).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, |_| 0, 1)
    }
}

/// How tests write events down: user, time, and which of the conditions hold.
#[cfg(test)]
pub(crate) mod check {
    use arrow::array::TimestampMicrosecondArray;

    use super::*;

    /// The arguments from `occurred_at` on, with times in seconds.
    pub(crate) fn arguments(events: &[(i64, u32)], n_conditions: usize) -> Vec<ArrayRef> {
        let times = events
            .iter()
            .map(|(time, _)| time.saturating_mul(1_000_000));
        let times = TimestampMicrosecondArray::from_iter_values(times);
        let condition = |n: usize| -> ArrayRef {
            let holds = events.iter().map(|(_, mask)| mask >> n & 1 == 1);
            Arc::new(BooleanArray::from_iter(holds.map(Some)))
        };
        let times: ArrayRef = Arc::new(times);
        [times]
            .into_iter()
            .chain((0..n_conditions).map(condition))
            .collect()
    }

    /// The answer for one user, which has to be the same in whatever parts and order the events come.
    pub(crate) fn answer<Q: Question>(
        question: &Q,
        events: &[(i64, u32)],
        n_conditions: usize,
    ) -> Result<ScalarValue> {
        let mut journey = Journey::new(question.clone(), 0)?;
        journey.update_batch(&arguments(events, n_conditions))?;
        let whole = journey.evaluate()?;
        let (front, back) = events.split_at(events.len() / 2);
        let mut merged = Journey::new(question.clone(), 0)?;
        for part in [back, front] {
            let mut backwards = part.to_vec();
            backwards.reverse();
            let mut other = Journey::new(question.clone(), 0)?;
            other.update_batch(&arguments(&backwards, n_conditions))?;
            let state = other.state()?;
            let state = state.iter().map(ScalarValue::to_array);
            merged.merge_batch(&state.collect::<Result<Vec<_>>>()?)?;
        }
        assert_eq!(merged.evaluate()?, whole, "merged, out of order");
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::compute::concat;

    use super::check::arguments;
    use super::*;

    /// How many events there are.
    #[derive(Clone, Debug)]
    struct Count;

    impl Question for Count {
        type Answers = Int32Array;
        type Answer = i32;

        fn answer(&self, sorted: &[Event]) -> StatsResult<i32> {
            assert!(sorted.is_sorted());
            Ok(sorted.len() as i32)
        }
    }

    fn counts(array: ArrayRef) -> Vec<i32> {
        array
            .as_primitive::<arrow::datatypes::Int32Type>()
            .values()
            .to_vec()
    }

    const EVENTS: [(i64, u32); 6] = [(5, 1), (1, 2), (3, 0), (2, 3), (2, 1), (9, 1)];
    const USERS: [usize; 6] = [1, 0, 0, 1, 1, 3];

    fn journeys() -> Journeys<Count> {
        let mut all = Journeys::new(Count, 0);
        let values = arguments(&EVENTS, 2);
        all.update_batch(&values, &USERS, None, 4).expect("few");
        all
    }

    #[test]
    fn each_user_has_their_own_events() {
        let mut all = journeys();
        assert_eq!(counts(all.evaluate(EmitTo::First(1)).expect("few")), [1]);
        assert_eq!(counts(all.evaluate(EmitTo::All).expect("few")), [3, 0, 1]);
        assert!(all.size() > 0);
    }

    #[test]
    fn states_of_users_and_of_rows_are_merged() {
        let mut all = Journeys::new(Count, 0);
        let states = journeys().state(EmitTo::All).expect("states");
        for (state, (name, data_type)) in states.iter().zip(state_types()) {
            assert_eq!(state.data_type(), &data_type, "{name}");
        }
        all.merge_batch(&states, &[3, 2, 1, 0], 4).expect("few");
        let rows = Journeys::new(Count, 0).convert_to_state(&arguments(&EVENTS, 2), None);
        all.merge_batch(&rows.expect("rows"), &USERS, 4)
            .expect("few");
        assert_eq!(
            counts(all.evaluate(EmitTo::All).expect("few")),
            [2, 3, 3, 2]
        );
    }

    #[test]
    fn states_may_be_a_part_of_an_array() {
        let states = journeys().state(EmitTo::All).expect("states");
        let twice = |state: &ArrayRef| concat(&[state, state]).expect("alike").slice(1, 3);
        let states: Vec<ArrayRef> = states.iter().map(twice).collect();
        let mut all = Journeys::new(Count, 0);
        all.merge_batch(&states, &[0, 1, 2], 3).expect("few");
        assert_eq!(counts(all.evaluate(EmitTo::All).expect("few")), [3, 0, 1]);
    }

    #[test]
    fn rows_without_a_time_and_rows_filtered_out_are_not_there() {
        let mut values = arguments(&EVENTS, 1);
        let times = [Some(1), None, Some(1), Some(1), Some(1), Some(1)];
        values[0] = Arc::new(times.into_iter().collect::<Int64Array>());
        let filter = [
            Some(true),
            Some(true),
            Some(true),
            Some(false),
            None,
            Some(true),
        ];
        let filter: BooleanArray = filter.into_iter().collect();
        let mut all = Journeys::new(Count, 0);
        all.update_batch(&values, &[0; 6], Some(&filter), 1)
            .expect("few");
        assert_eq!(counts(all.evaluate(EmitTo::All).expect("few")), [2]);
    }

    #[test]
    fn a_window_may_ask_again() {
        let mut one = Journey::new(Count, 0).expect("one group");
        assert_eq!(one.evaluate().expect("few"), 0_i32.into());
        for expected in [5_i32, 10] {
            one.update_batch(&arguments(&EVENTS, 2)).expect("few");
            assert_eq!(one.evaluate().expect("few"), expected.into());
        }
    }
}
