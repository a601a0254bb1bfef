//! `retention`: who came, and came again.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Builder, ListBuilder, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, UInt32Type};
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion_macros::user_doc;
use rapport_stats::retention;
use rapport_udf_face::{no_such_function, refused, state_fields};

use crate::arguments::condition;
use crate::conditions::masks;

#[user_doc(
    doc_section(label = "Journeys"),
    description = "Who came, and came again: an array of 0 and 1, one for each condition. The first is 1 if any row meets condition \
        1, each other one if any row meets its condition and some row, not necessarily the same, meets condition 1. As \
        ClickHouse's retention. A row of which any condition is NULL is left out. Refused (22023): more than 32 conditions.",
    syntax_example = "retention(condition1 [, condition2, ...])",
    sql_example = "SELECT sum(r[1]) AS january, sum(r[2]) AS again_in_february FROM (SELECT retention(date_trunc('month', occurred_at) = \
        '2026-01-01', date_trunc('month', occurred_at) = '2026-02-01') AS r FROM interactions GROUP BY customer_id) AS customers",
    argument(
        name = "condition",
        description = "what a row says of the customer: 1 to 32 booleans"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Retention {
    signature: Signature,
}

impl Retention {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

fn visits(args: &AccumulatorArgs) -> Result<Visits> {
    if args.is_distinct {
        return not_impl_err!("retention(DISTINCT …)");
    }
    Visits::new(args.exprs.len())
}

impl AggregateUDFImpl for Retention {
    fn name(&self) -> &str {
        "retention"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let coerced: Option<Vec<DataType>> = given.iter().map(condition).collect();
        coerced
            .filter(|conditions| !conditions.is_empty())
            .ok_or_else(|| no_such_function("retention", given))
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        let field = Field::new_list_field(DataType::Int32, true);
        Ok(DataType::List(Arc::new(field)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&args, [("met", DataType::UInt32)]))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(VisitsOfOne(visits(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(visits(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Of groups.
#[derive(Debug)]
struct Visits {
    none: retention::Retention,
    groups: Vec<retention::Retention>,
    masks: Vec<u64>,
}

impl Visits {
    fn new(n_conditions: usize) -> Result<Self> {
        let n_conditions = u32::try_from(n_conditions).unwrap_or(u32::MAX);
        Ok(Self {
            none: retention::Retention::new(n_conditions).map_err(refused)?,
            groups: vec![],
            masks: vec![],
        })
    }

    fn grow(&mut self, n_groups: usize) {
        self.groups
            .resize(n_groups.max(self.groups.len()), self.none);
    }

    fn add(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        group: impl Fn(usize) -> usize,
    ) {
        masks(values, values[0].len(), &mut self.masks);
        let known = NullBuffer::union_many(values.iter().map(|condition| condition.nulls()));
        for (row, mask) in self.masks.iter().enumerate() {
            let is_known = known.as_ref().is_none_or(|known| known.is_valid(row));
            let is_let = filter.is_none_or(|let_in| let_in.is_valid(row) && let_in.value(row));
            if is_known && is_let {
                // There are 32 conditions at most.
                self.groups[group(row)].add(*mask as u32);
            }
        }
    }

    fn merge(&mut self, states: &[ArrayRef], group: impl Fn(usize) -> usize) {
        let met = states[0].as_primitive::<UInt32Type>().values();
        for (row, met) in met.iter().enumerate() {
            self.groups[group(row)].add(*met);
        }
    }
}

fn states(groups: &[retention::Retention]) -> Vec<ArrayRef> {
    let met = groups.iter().map(|group| group.met());
    vec![Arc::new(UInt32Array::from_iter_values(met))]
}

fn answers(groups: &[retention::Retention]) -> ArrayRef {
    let mut lists = ListBuilder::new(Int32Builder::new());
    for group in groups {
        for came in group.finish() {
            lists.values().append_value(i32::from(came));
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

impl GroupsAccumulator for Visits {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(values, opt_filter, |row| group_indices[row]);
        Ok(())
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
        Ok(answers(&emit_to.take_needed(&mut self.groups)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(states(&emit_to.take_needed(&mut self.groups)))
    }

    /// Each row a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut rows = Self::new(values.len())?;
        rows.grow(values[0].len());
        rows.add(values, opt_filter, |row| row);
        Ok(states(&rows.groups))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<retention::Retention>()
            + self.masks.capacity() * size_of::<u64>()
    }
}

/// Without groups: one group.
#[derive(Debug)]
struct VisitsOfOne(Visits);

impl Accumulator for VisitsOfOne {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.grow(1);
        self.0.add(values, None, |_| 0);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.grow(1);
        ScalarValue::try_from_array(&answers(&self.0.groups), 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.grow(1);
        Ok(vec![ScalarValue::UInt32(Some(self.0.groups[0].met()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.grow(1);
        self.0.merge(states, |_| 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int32Type;

    use super::*;

    fn conditions<const N: usize>(rows: &[[Option<bool>; N]]) -> Vec<ArrayRef> {
        let of = |n: usize| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row[n]).collect::<BooleanArray>())
        };
        (0..N).map(of).collect()
    }

    fn lists(answers: ArrayRef) -> Vec<Vec<i32>> {
        let of = |list: Option<ArrayRef>| {
            let list = list.expect("no list is NULL");
            list.as_primitive::<Int32Type>().values().to_vec()
        };
        answers.as_list::<i32>().iter().map(of).collect()
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);
    const ROWS: [[Option<bool>; 3]; 6] = [
        [YES, NO, NO],
        [NO, NO, YES],
        [NO, YES, YES],
        [YES, NO, NO],
        [NO, YES, None],
        [None, NO, YES],
    ];
    /// The first came again for the third; the second never came; of the third, rows are not known.
    const GROUPS: [usize; 6] = [0, 0, 1, 2, 2, 2];

    #[test]
    fn one_who_did_not_come_first_has_not_come_again() {
        let mut visits = Visits::new(3).expect("a number");
        visits
            .update_batch(&conditions(&ROWS), &GROUPS, None, 4)
            .expect("few");
        let got = lists(visits.evaluate(EmitTo::All).expect("lists"));
        assert_eq!(got, [[1, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]]);
    }

    #[test]
    fn states_of_rows_and_of_one_are_merged() {
        let mut merged = Visits::new(3).expect("a number");
        let rows = Visits::new(3)
            .expect("a number")
            .convert_to_state(&conditions(&ROWS), None);
        merged
            .merge_batch(&rows.expect("rows"), &GROUPS, 3)
            .expect("few");
        let mut one = VisitsOfOne(Visits::new(3).expect("a number"));
        one.update_batch(&conditions(&ROWS[2..3])).expect("few");
        let state = one.state().expect("a state")[0].to_array().expect("one");
        merged.merge_batch(&[state], &[2], 3).expect("few");
        let got = lists(merged.evaluate(EmitTo::First(1)).expect("lists"));
        assert_eq!(got, [[1, 0, 1]]);
        let got = lists(merged.evaluate(EmitTo::All).expect("lists"));
        assert_eq!(got, [[0, 0, 0], [1, 1, 1]]);
    }

    #[test]
    fn no_rows_are_nobody() {
        let mut one = VisitsOfOne(Visits::new(2).expect("a number"));
        let got = one.evaluate().expect("a list").to_array().expect("one");
        assert_eq!(lists(got), [[0, 0]]);
        let filter = BooleanArray::from(vec![None, NO]);
        let mut visits = Visits::new(1).expect("a number");
        let values = conditions(&[[YES], [YES]]);
        visits
            .update_batch(&values, &[0, 0], Some(&filter), 1)
            .expect("few");
        assert_eq!(lists(visits.evaluate(EmitTo::All).expect("lists")), [[0]]);
    }

    #[test]
    fn there_are_1_to_32_conditions() {
        assert!(Visits::new(33).is_err());
        let coerced = |given: &[DataType]| Retention::new().coerce_types(given).ok();
        assert_eq!(coerced(&[]), None);
        assert_eq!(coerced(&[DataType::Int64]), None);
        assert_eq!(coerced(&[DataType::Null]), Some(vec![DataType::Boolean]));
    }
}
