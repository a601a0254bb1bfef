//! `sequence_next`: what comes after, or before, a chain of events.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int64Builder, ListBuilder, StringArray,
    StringBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, UInt64Type};
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion_macros::user_doc;
use rapport_stats::Result as StatsResult;
use rapport_stats::next_node::{Base, Direction, NextNode, Node};

use crate::arguments::{condition, constant, is_text, is_unknown, no_such_function, refused, text};
use crate::conditions::masks;
use crate::moments::{moment_type, moments};

#[user_doc(
    doc_section(label = "Journeys"),
    description = "What comes next after a chain of events, or before it: the page of the event that follows. As ClickHouse's \
        sequenceNextNode. From a base event on, in the direction, the base itself the first of them, events have to meet condition \
        1, 2, ... in turn; the page of the next event is the answer, NULL if there is none or the chain is another. Rows may come \
        in any order; events of one moment are taken in the order of their pages. An event of which the moment is NULL is left \
        out, one of which the page is NULL is there, and conditions that are NULL do not hold. Refused (22023): a direction or a \
        base that is NULL, unknown or not the same for all rows, backward from head and forward from tail, more than 64 \
        conditions, none of a match.",
    syntax_example = "sequence_next(direction, base, occurred_at, page, base_condition [, condition1, condition2, ...])",
    sql_example = "SELECT page, count(*) FROM (SELECT sequence_next('forward', 'first_match', occurred_at, touchpoint, true, \
        touchpoint = 'error') AS page FROM interactions GROUP BY customer_id) AS next GROUP BY page",
    argument(name = "direction", description = "forward or backward in time"),
    argument(
        name = "base",
        description = "which event the chain begins with: head (the first of all), tail (the last of all), first_match or last_match \
            (the first or last one that meets base_condition and condition 1)"
    ),
    argument(
        name = "occurred_at",
        description = "when the event happened: a timestamp, a date, or a whole number of seconds"
    ),
    argument(name = "page", description = "what the event is called: a text"),
    argument(
        name = "base_condition",
        description = "whether the event may be the base: a boolean"
    ),
    argument(
        name = "condition",
        description = "what the events of the chain have to be, in turn: up to 64 booleans"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SequenceNext {
    signature: Signature,
}

type Page = Option<Box<str>>;
type State = NextNode<Page>;

/// Where `occurred_at` stands among the arguments.
const MOMENT: usize = 2;
const PAGE: usize = 3;
/// Of an event's bits the lowest; the conditions are the others.
const BASE_CONDITION: usize = 4;

impl SequenceNext {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn chains(&self, args: &AccumulatorArgs) -> Result<Chains> {
        if args.is_distinct {
            return not_impl_err!("sequence_next(DISTINCT …)");
        }
        let (direction, base) = (constant!(args.exprs[0])?, constant!(args.exprs[1])?);
        let none = empty(&direction, &base, args.exprs.len() - BASE_CONDITION - 1);
        Ok(Chains::new(none.map_err(refused)?))
    }
}

fn empty(direction: &ScalarValue, base: &ScalarValue, n_conditions: usize) -> StatsResult<State> {
    let direction = Direction::named(text(direction)?)?;
    let base = Base::named(text(base)?)?;
    let n_conditions = u32::try_from(n_conditions).unwrap_or(u32::MAX);
    NextNode::new(direction, base, n_conditions)
}

fn state_types() -> [(&'static str, DataType); 4] {
    let list_of = |data_type| DataType::List(Arc::new(Field::new_list_field(data_type, true)));
    [
        ("times", list_of(DataType::Int64)),
        ("pages", list_of(DataType::Utf8)),
        ("bases", list_of(DataType::Boolean)),
        ("conditions", list_of(DataType::UInt64)),
    ]
}

impl AggregateUDFImpl for SequenceNext {
    fn name(&self) -> &str {
        "sequence_next"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = || {
            let [direction, base, moment, page, conditions @ ..] = given else {
                return None;
            };
            let texts = [direction, base, page];
            let are_texts = texts
                .iter()
                .all(|given| is_text(given) || is_unknown(given));
            if !are_texts || conditions.is_empty() {
                return None;
            }
            let moment = moment_type(moment)?;
            let mut types = vec![DataType::Utf8, DataType::Utf8, moment, DataType::Utf8];
            for given in conditions {
                types.push(condition(given)?);
            }
            Some(types)
        };
        coerced().ok_or_else(|| no_such_function("sequence_next", given))
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |(name, data_type)| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, data_type, true))
        };
        Ok(state_types().map(field).to_vec())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Chain::new(self.chains(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.chains(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Of groups.
#[derive(Debug)]
struct Chains {
    none: State,
    groups: Vec<State>,
    n_nodes: usize,
    /// Of all pages so far, and how many they were: what one takes on average.
    page_bytes: usize,
    n_pages: usize,
    masks: Vec<u64>,
}

impl Chains {
    fn new(none: State) -> Self {
        Self {
            none,
            groups: vec![],
            n_nodes: 0,
            page_bytes: 0,
            n_pages: 0,
            masks: vec![],
        }
    }

    fn grow(&mut self, n_groups: usize) {
        self.groups
            .resize(n_groups.max(self.groups.len()), self.none.clone());
    }

    fn add_node(&mut self, group: usize, node: Node<Page>) -> Result<()> {
        self.page_bytes += node.value.as_ref().map_or(0, |page| page.len());
        self.n_pages += 1;
        let state = &mut self.groups[group];
        let before = state.nodes().len();
        state.add(node).map_err(refused)?;
        // Of a head or a tail some are forgotten now and then.
        self.n_nodes = (self.n_nodes + state.nodes().len()).saturating_sub(before);
        Ok(())
    }

    fn add(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        group: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let (times, known) = moments(&values[MOMENT]);
        let pages = values[PAGE].as_string::<i32>();
        let mut of_rows = std::mem::take(&mut self.masks);
        // The first is the base's; there may be 64 others.
        let bases = values[BASE_CONDITION].as_boolean();
        masks(&values[BASE_CONDITION + 1..], times.len(), &mut of_rows);
        for (row, (time, conditions)) in times.iter().zip(&of_rows).enumerate() {
            let is_known = known.is_none_or(|known| known.is_valid(row));
            let is_let = filter.is_none_or(|let_in| let_in.is_valid(row) && let_in.value(row));
            if is_known && is_let {
                let node = Node {
                    time: *time,
                    value: pages.is_valid(row).then(|| pages.value(row).into()),
                    can_be_base: bases.is_valid(row) && bases.value(row),
                    conditions: *conditions,
                };
                self.add_node(group(row), node)?;
            }
        }
        self.masks = of_rows;
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], group: impl Fn(usize) -> usize) -> Result<()> {
        let [times, pages, bases, conditions] = [0, 1, 2, 3].map(|n| states[n].as_list::<i32>());
        for row in 0..times.len() {
            let (times, pages) = (times.value(row), pages.value(row));
            let (bases, conditions) = (bases.value(row), conditions.value(row));
            let (times, pages) = (times.as_primitive::<Int64Type>(), pages.as_string::<i32>());
            let conditions = conditions.as_primitive::<UInt64Type>();
            for n in 0..times.len() {
                let node = Node {
                    time: times.value(n),
                    value: pages.is_valid(n).then(|| pages.value(n).into()),
                    can_be_base: bases.as_boolean().value(n),
                    conditions: conditions.value(n),
                };
                self.add_node(group(row), node)?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, emit_to: EmitTo) -> Vec<State> {
        let taken = emit_to.take_needed(&mut self.groups);
        let n_nodes: usize = taken.iter().map(|state| state.nodes().len()).sum();
        self.n_nodes = self.n_nodes.saturating_sub(n_nodes);
        taken
    }
}

fn states(groups: &[State]) -> Vec<ArrayRef> {
    let mut times = ListBuilder::new(Int64Builder::new());
    let mut pages = ListBuilder::new(StringBuilder::new());
    let mut bases = ListBuilder::new(BooleanBuilder::new());
    let mut conditions = ListBuilder::new(UInt64Builder::new());
    for group in groups {
        for node in group.nodes() {
            times.values().append_value(node.time);
            pages.values().append_option(node.value.as_deref());
            bases.values().append_value(node.can_be_base);
            conditions.values().append_value(node.conditions);
        }
        times.append(true);
        pages.append(true);
        bases.append(true);
        conditions.append(true);
    }
    vec![
        Arc::new(times.finish()),
        Arc::new(pages.finish()),
        Arc::new(bases.finish()),
        Arc::new(conditions.finish()),
    ]
}

impl GroupsAccumulator for Chains {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(values, opt_filter, |row| group_indices[row])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.merge(values, |row| group_indices[row])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.forget(emit_to);
        let next = groups.iter_mut().map(|state| state.finish()?.as_deref());
        Ok(Arc::new(next.collect::<StringArray>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(states(&self.forget(emit_to)))
    }

    /// Each row a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut rows = Self::new(self.none.clone());
        rows.grow(values[MOMENT].len());
        rows.add(values, opt_filter, |row| row)?;
        Ok(states(&rows.groups))
    }

    fn size(&self) -> usize {
        let of_page = self.page_bytes / self.n_pages.max(1);
        self.groups.capacity() * size_of::<State>()
            + self.n_nodes * (size_of::<Node<Page>>() + of_page)
            + self.masks.capacity() * size_of::<u64>()
    }
}

/// Without groups: one group.
#[derive(Debug)]
struct Chain(Chains);

impl Chain {
    fn new(mut chains: Chains) -> Self {
        chains.grow(1);
        Self(chains)
    }
}

impl Accumulator for Chain {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.add(values, None, |_| 0)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let next = self.0.groups[0].finish();
        Ok(ScalarValue::Utf8(
            next.and_then(|page| page.as_deref()).map(str::to_owned),
        ))
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = states(&self.0.groups);
        let first = |state: &ArrayRef| ScalarValue::try_from_array(state, 0);
        states.iter().map(first).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, |_| 0)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    /// Pages as letters, one a second; small ones may be the base, the conditions are to be `a`, `b`, … in turn, and `?` is a
    /// page that is not known.
    fn arguments(rows: &[(i64, char)], n_conditions: usize) -> Vec<ArrayRef> {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![""; rows.len()]));
        let times = Int64Array::from_iter_values(rows.iter().map(|(time, _)| *time));
        let page = |(_, page): &(i64, char)| (*page != '?').then(|| page.to_string());
        let pages: StringArray = rows.iter().map(page).collect();
        let bases = rows.iter().map(|(_, page)| Some(page.is_ascii_lowercase()));
        let mut values = vec![texts.clone(), texts, Arc::new(times), Arc::new(pages)];
        values.push(Arc::new(BooleanArray::from_iter(bases)));
        for wanted in ('a'..).take(n_conditions) {
            let holds = rows.iter().map(|(_, page)| Some(*page == wanted));
            values.push(Arc::new(BooleanArray::from_iter(holds)));
        }
        values
    }

    fn state(direction: &str, base: &str, n: usize) -> State {
        empty(&direction.into(), &base.into(), n).expect("possible")
    }

    fn check(direction: &str, base: &str, n: usize, letters: &str, expected: Option<&str>) {
        let rows: Vec<(i64, char)> = (0..).zip(letters.chars()).collect();
        let none = state(direction, base, n);
        let mut whole = Chain::new(Chains::new(none.clone()));
        whole.update_batch(&arguments(&rows, n)).expect("few");
        // Every other event in one group, the rest as single rows, all of it backwards.
        let mut parts = Chains::new(none.clone());
        let mut backwards = rows.clone();
        backwards.reverse();
        let groups: Vec<usize> = (0..rows.len()).map(|n| n % 2).collect();
        parts
            .update_batch(&arguments(&backwards, n), &groups, None, 2)
            .expect("few");
        let single = Chains::new(none.clone()).convert_to_state(&arguments(&[], n), None);
        let states = parts.state(EmitTo::All).expect("states");
        for (state, (name, data_type)) in states.iter().zip(state_types()) {
            assert_eq!(state.data_type(), &data_type, "{name}");
        }
        let mut merged = Chains::new(none);
        merged
            .merge_batch(&single.expect("none"), &[], 1)
            .expect("few");
        merged.merge_batch(&states, &[0, 0], 1).expect("few");
        let got = merged.evaluate(EmitTo::All).expect("a page");
        assert_eq!(
            got.as_string::<i32>().iter().next(),
            Some(expected),
            "{letters}"
        );
        assert_eq!(
            whole.evaluate().expect("a page"),
            ScalarValue::from(expected),
            "{letters}"
        );
    }

    #[test]
    fn what_comes_after_the_head_and_before_the_tail() {
        check("forward", "head", 2, "abx", Some("x"));
        check("forward", "head", 2, "axb", None);
        check("forward", "head", 0, "x", Some("x"));
        check("forward", "head", 0, "X", None);
        check("backward", "tail", 2, "xba", Some("x"));
    }

    #[test]
    fn what_comes_after_or_before_a_match() {
        check("forward", "first_match", 1, "xaybaz", Some("y"));
        check("forward", "last_match", 1, "xaybaz", Some("z"));
        check("backward", "first_match", 1, "xaybaz", Some("x"));
        check("backward", "last_match", 2, "xaybaz", Some("y"));
        check("forward", "first_match", 1, "", None);
    }

    #[test]
    fn a_page_that_is_null_is_an_event_all_the_same() {
        check("forward", "first_match", 1, "a?y", None);
        check("forward", "first_match", 1, "?ay", Some("y"));
    }

    #[test]
    fn of_a_head_little_is_kept() {
        let rows: Vec<(i64, char)> = (0..50_000).zip("ax".chars().cycle()).collect();
        let mut chains = Chains::new(state("forward", "head", 1));
        let values = arguments(&rows, 1);
        chains
            .update_batch(&values, &vec![0; rows.len()], None, 1)
            .expect("few");
        assert!(
            chains.n_nodes < 64 && chains.size() < 1_000_000,
            "{}",
            chains.size()
        );
        let got = chains.evaluate(EmitTo::All).expect("a page");
        assert_eq!(got.as_string::<i32>().value(0), "x");
        assert_eq!(chains.n_nodes, 0);
    }

    #[test]
    fn rows_without_a_time_and_rows_filtered_out_are_not_there() {
        let mut values = arguments(&[(0, 'a'), (1, 'x'), (2, 'y'), (3, 'z')], 1);
        let times = [Some(0), None, Some(2), Some(3)];
        values[MOMENT] = Arc::new(times.into_iter().collect::<Int64Array>());
        let filter = BooleanArray::from(vec![Some(true), Some(true), None, Some(true)]);
        let mut chains = Chains::new(state("forward", "first_match", 1));
        chains
            .update_batch(&values, &[0; 4], Some(&filter), 1)
            .expect("few");
        let got = chains.evaluate(EmitTo::All).expect("a page");
        assert_eq!(got.as_string::<i32>().value(0), "z");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (direction, base, n) in [
            ("up", "head", 1),
            ("forward", "middle", 1),
            ("backward", "head", 1),
            ("forward", "tail", 1),
            ("forward", "first_match", 0),
            ("forward", "head", 65),
        ] {
            assert!(
                empty(&direction.into(), &base.into(), n).is_err(),
                "{direction} {base}"
            );
        }
        assert!(empty(&ScalarValue::Utf8(None), &"head".into(), 1).is_err());
    }

    #[test]
    fn arguments_are_taken_in_the_types_they_may_have() {
        use DataType::{Boolean, Int32, Int64, Utf8, Utf8View};
        let coerced = |given: &[DataType]| SequenceNext::new().coerce_types(given).ok();
        assert_eq!(
            coerced(&[Utf8, Utf8, Int32, Utf8View, Boolean]),
            Some(vec![Utf8, Utf8, Int64, Utf8, Boolean])
        );
        assert_eq!(coerced(&[Utf8, Utf8, Int32, Utf8]), None);
        assert_eq!(coerced(&[Utf8, Utf8, Int32, Int32, Boolean]), None);
    }
}
