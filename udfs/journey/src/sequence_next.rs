//! `sequence_next`: what comes after, or before, a chain of events.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringViewArray, StringViewBuilder,
    UInt64Array,
};
use arrow::datatypes::{DataType, FieldRef, Int64Type, UInt64Type};
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion_macros::user_doc;
use rapport_stats::Result as StatsResult;
use rapport_stats::next_node::{Base, Direction, NextNode, Node};
use rapport_udf_face::{is_unknown, no_columns, no_such_function, refused, state_fields};

use crate::arguments::{condition, constant, is_text, text};
use crate::conditions::masks;
use crate::grouped::{GroupLog, Grouped};
use crate::lists::{items, list_of, lists};
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

/// Where `occurred_at` stands among the arguments.
const MOMENT: usize = 2;
const PAGE: usize = 3;
/// The other conditions follow.
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
        let (direction, base) = (
            constant(args.exprs[0].evaluate(&no_columns()))?,
            constant(args.exprs[1].evaluate(&no_columns()))?,
        );
        let none = empty(&direction, &base, args.exprs.len() - BASE_CONDITION - 1);
        Ok(Chains::new(none.map_err(refused)?))
    }
}

fn empty(direction: &ScalarValue, base: &ScalarValue, n_conditions: usize) -> StatsResult<Chain> {
    let direction = Direction::named(text(direction)?)?;
    let base = Base::named(text(base)?)?;
    let n_conditions = u32::try_from(n_conditions).unwrap_or(u32::MAX);
    let none = NextNode::new(direction, base, n_conditions)?;
    Ok(Chain { base, none })
}

fn state_types() -> [(&'static str, DataType); 4] {
    [
        ("times", list_of(DataType::Int64)),
        ("pages", list_of(DataType::Utf8View)),
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
            let mut types = vec![DataType::Utf8, DataType::Utf8, moment, DataType::Utf8View];
            for given in conditions {
                types.push(condition(given)?);
            }
            Some(types)
        };
        coerced().ok_or_else(|| no_such_function("sequence_next", given))
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&args, state_types()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneChain::new(self.chains(&args)?)))
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

/// An event, in few bytes.
#[derive(Clone, Copy, Debug)]
struct Step {
    time: i64,
    /// Bit n is set if condition n + 1 holds.
    conditions: u64,
    /// As [`Pages`] number it.
    page: u32,
    can_be_base: bool,
}

/// Of groups.
#[derive(Debug)]
struct Chains {
    none: Chain,
    log: GroupLog<Step>,
    pages: Pages,
    /// How many steps there were when those that cannot matter were forgotten last.
    n_kept: usize,
    masks: Vec<u64>,
}

/// So many steps may come before some of them are forgotten.
const MANY: usize = 1_000_000;

impl Chains {
    fn new(none: Chain) -> Self {
        Self {
            none,
            log: GroupLog::default(),
            pages: Pages::default(),
            n_kept: 0,
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
        let (times, known) = moments(&values[MOMENT]);
        let pages = values[PAGE].as_string_view();
        let bases = values[BASE_CONDITION].as_boolean();
        self.log.grow(n_groups, times.len())?;
        masks(&values[BASE_CONDITION + 1..], times.len(), &mut self.masks);
        for (row, (time, conditions)) in times.iter().zip(&self.masks).enumerate() {
            let is_known = known.is_none_or(|known| known.is_valid(row));
            let is_let = filter.is_none_or(|let_in| let_in.is_valid(row) && let_in.value(row));
            if is_known && is_let {
                let page = pages.is_valid(row).then(|| pages.value(row));
                let step = Step {
                    time: *time,
                    conditions: *conditions,
                    page: self.pages.number(page),
                    can_be_base: bases.is_valid(row) && bases.value(row),
                };
                self.log.push(group(row), step);
            }
        }
        self.forget_some(n_groups)
    }

    fn merge(
        &mut self,
        states: &[ArrayRef],
        group: impl Fn(usize) -> usize,
        n_groups: usize,
    ) -> Result<()> {
        let lists = [0, 1, 2, 3].map(|n| states[n].as_list::<i64>());
        let (times, starts) = items::<Int64Type>(lists[0]);
        let (conditions, _) = items::<UInt64Type>(lists[3]);
        let values = [1, 2].map(|n| {
            let first = lists[n].value_offsets()[0] as usize;
            lists[n].values().slice(first, times.len())
        });
        let (pages, bases) = (values[0].as_string_view(), values[1].as_boolean());
        self.log.grow(n_groups, times.len())?;
        for row in 0..starts.len() - 1 {
            let group = group(row);
            for n in starts[row]..starts[row + 1] {
                let page = pages.is_valid(n).then(|| pages.value(n));
                let step = Step {
                    time: times[n],
                    conditions: conditions[n],
                    page: self.pages.number(page),
                    can_be_base: bases.value(n),
                };
                self.log.push(group, step);
            }
        }
        self.forget_some(n_groups)
    }

    /// Of a head or a tail few steps matter, however many there are.
    fn forget_some(&mut self, n_groups: usize) -> Result<()> {
        let is_bounded = matches!(self.none.base, Base::Head | Base::Tail);
        if !is_bounded || self.log.len() < 2 * self.n_kept + MANY {
            return Ok(());
        }
        let order = self.pages.order();
        let steps = self.log.take(EmitTo::All);
        self.log.grow(n_groups, 0)?;
        for (group, steps) in steps.iter().enumerate() {
            for node in self.none.with(steps, &order)?.nodes() {
                let step = Step {
                    time: node.time,
                    conditions: node.conditions,
                    page: order.numbers[node.value as usize],
                    can_be_base: node.can_be_base,
                };
                self.log.push(group, step);
            }
        }
        self.n_kept = self.log.len();
        Ok(())
    }

    fn answers(&self, steps: &Grouped<Step>) -> Result<ArrayRef> {
        let order = self.pages.order();
        let mut answers = StringViewBuilder::with_capacity(steps.ends.len());
        for steps in steps.iter() {
            let next = self.none.with(steps, &order)?.finish().copied();
            let next = next.map(|place| order.numbers[place as usize]);
            answers.append_option(next.and_then(|number| self.pages.text(number)));
        }
        Ok(Arc::new(answers.finish()))
    }

    fn states(&self, steps: &Grouped<Step>) -> Result<Vec<ArrayRef>> {
        let items = || steps.items.iter();
        let pages = items().map(|step| self.pages.text(step.page));
        let bases = items().map(|step| Some(step.can_be_base));
        let arrays: [ArrayRef; 4] = [
            Arc::new(Int64Array::from_iter_values(items().map(|step| step.time))),
            Arc::new(pages.collect::<StringViewArray>()),
            Arc::new(bases.collect::<BooleanArray>()),
            Arc::new(UInt64Array::from_iter_values(
                items().map(|step| step.conditions),
            )),
        ];
        Ok(arrays.map(|items| lists(items, &steps.ends)).to_vec())
    }
}

/// A chain that nothing has been added to yet.
#[derive(Clone, Debug)]
struct Chain {
    base: Base,
    none: NextNode<u32>,
}

impl Chain {
    /// Values are the places of pages in their order.
    fn with(&self, steps: &[Step], order: &Order) -> Result<NextNode<u32>> {
        let mut chain = self.none.clone();
        for step in steps {
            let node = Node {
                time: step.time,
                value: order.places[step.page as usize],
                can_be_base: step.can_be_base,
                conditions: step.conditions,
            };
            chain.add(node).map_err(refused)?;
        }
        Ok(chain)
    }
}

/// The different pages, each held once and known by its number.
#[derive(Debug, Default)]
struct Pages {
    numbers: HashMap<Arc<str>, u32>,
    /// Number n is at n − 1; 0 is a page that is NULL.
    texts: Vec<Arc<str>>,
    bytes: usize,
}

/// The place of each page's number in the order of the pages, and the number at each place.
struct Order {
    places: Vec<u32>,
    numbers: Vec<u32>,
}

impl Pages {
    fn number(&mut self, page: Option<&str>) -> u32 {
        let Some(page) = page else {
            return 0;
        };
        if let Some(number) = self.numbers.get(page) {
            return *number;
        }
        let text: Arc<str> = page.into();
        self.bytes += text.len();
        self.texts.push(text.clone());
        // More than four thousand million different texts find no memory.
        let number = self.texts.len() as u32;
        self.numbers.insert(text, number);
        number
    }

    fn text(&self, number: u32) -> Option<&str> {
        let place = (number as usize).checked_sub(1)?;
        Some(&self.texts[place])
    }

    /// A page that is NULL comes first.
    fn order(&self) -> Order {
        let mut numbers: Vec<u32> = (0..=self.texts.len() as u32).collect();
        numbers.sort_unstable_by_key(|number| self.text(*number));
        let mut places = vec![0; numbers.len()];
        for (place, number) in (0..).zip(&numbers) {
            places[*number as usize] = place;
        }
        Order { places, numbers }
    }

    fn size(&self) -> usize {
        let of_entry = size_of::<(Arc<str>, u32)>() + size_of::<usize>();
        let of_text = size_of::<Arc<str>>() + 2 * size_of::<usize>();
        self.bytes + self.numbers.capacity() * of_entry + self.texts.capacity() * of_text
    }
}

impl GroupsAccumulator for Chains {
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
        let steps = self.log.take(emit_to);
        self.answers(&steps)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let steps = self.log.take(emit_to);
        self.states(&steps)
    }

    /// Each row a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut rows = Self::new(self.none.clone());
        rows.add(values, opt_filter, |row| row, values[MOMENT].len())?;
        rows.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.log.size() + self.pages.size() + self.masks.capacity() * size_of::<u64>()
    }
}

/// Without groups: one group.
#[derive(Debug)]
struct OneChain(Chains);

impl OneChain {
    fn new(chains: Chains) -> Self {
        Self(chains)
    }

    /// The steps stay: a window function asks again after the next rows.
    fn with_steps<T>(
        &mut self,
        ask: impl FnOnce(&Chains, &Grouped<Step>) -> Result<T>,
    ) -> Result<T> {
        self.0.log.grow(1, 0)?;
        let steps = self.0.log.take(EmitTo::All);
        let answer = ask(&self.0, &steps);
        self.0.log.put_back(steps);
        answer
    }
}

impl Accumulator for OneChain {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.add(values, None, |_| 0, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let next = self.with_steps(|chains, steps| chains.answers(steps))?;
        ScalarValue::try_from_array(&next, 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.with_steps(|chains, steps| chains.states(steps))?;
        let first = |state: &ArrayRef| ScalarValue::try_from_array(state, 0);
        states.iter().map(first).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, |_| 0, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages as letters, one a second; small ones may be the base, the conditions are to be `a`, `b`, … in turn, and `?` is a
    /// page that is not known.
    fn arguments(rows: &[(i64, char)], n_conditions: usize) -> Vec<ArrayRef> {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![""; rows.len()]));
        let times = Int64Array::from_iter_values(rows.iter().map(|(time, _)| *time));
        let page = |(_, page): &(i64, char)| (*page != '?').then(|| page.to_string());
        let pages: StringViewArray = rows.iter().map(page).collect();
        let bases = rows.iter().map(|(_, page)| Some(page.is_ascii_lowercase()));
        let mut values = vec![texts.clone(), texts, Arc::new(times), Arc::new(pages)];
        values.push(Arc::new(BooleanArray::from_iter(bases)));
        for wanted in ('a'..).take(n_conditions) {
            let holds = rows.iter().map(|(_, page)| Some(*page == wanted));
            values.push(Arc::new(BooleanArray::from_iter(holds)));
        }
        values
    }

    fn state(direction: &str, base: &str, n: usize) -> Chain {
        empty(&direction.into(), &base.into(), n).expect("possible")
    }

    fn check(direction: &str, base: &str, n: usize, letters: &str, expected: Option<&str>) {
        let rows: Vec<(i64, char)> = (0..).zip(letters.chars()).collect();
        let none = state(direction, base, n);
        let mut whole = OneChain::new(Chains::new(none.clone()));
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
            got.as_string_view().iter().next(),
            Some(expected),
            "{letters}"
        );
        assert_eq!(
            whole.evaluate().expect("a page"),
            ScalarValue::Utf8View(expected.map(str::to_owned)),
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
    fn of_a_head_or_a_tail_little_is_kept() {
        for (direction, base, expected) in [("forward", "head", "x"), ("backward", "tail", "a")] {
            let mut chains = Chains::new(state(direction, base, 0));
            let mut rows: Vec<(i64, char)> = (0..MANY as i64).zip("xa".chars().cycle()).collect();
            rows.reverse();
            let groups = vec![1; rows.len()];
            chains
                .update_batch(&arguments(&rows, 0), &groups, None, 3)
                .expect("few");
            assert!(chains.log.len() < 64, "{}", chains.log.len());
            let got = chains.evaluate(EmitTo::All).expect("pages");
            let got: Vec<_> = got.as_string_view().iter().collect();
            assert_eq!(got, [None, Some(expected), None]);
        }
    }

    #[test]
    fn events_of_one_moment_are_in_the_order_of_their_pages() {
        let rows = [(1, 'z'), (1, 'y'), (0, 'a'), (1, '?')];
        let mut chains = Chains::new(state("backward", "tail", 0));
        let values = arguments(&rows, 0);
        chains.update_batch(&values, &[0; 4], None, 1).expect("few");
        let got = chains.evaluate(EmitTo::All).expect("a page");
        assert_eq!(got.as_string_view().value(0), "z");
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
        assert_eq!(got.as_string_view().value(0), "z");
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
            Some(vec![Utf8, Utf8, Int64, Utf8View, Boolean])
        );
        assert_eq!(coerced(&[Utf8, Utf8, Int32, Utf8]), None);
        assert_eq!(coerced(&[Utf8, Utf8, Int32, Int32, Boolean]), None);
    }
}
