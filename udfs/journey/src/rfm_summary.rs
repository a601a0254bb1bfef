//! `rfm_summary`: what the buy-till-you-die models want to know of a customer.

use std::mem::size_of;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int32Array, Int64Array,
    Int64Builder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Fields, Float64Type, Int32Type, Int64Type,
};
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion_macros::user_doc;
use rapport_stats::{Error, Result as StatsResult};
use rapport_udf_face::{is_unknown, no_such_function, refused, state_fields};

use crate::grouped::{GroupLog, Grouped};
use crate::lists::{items, list_of, lists};
use crate::moments::{moment_type, moments, per_second};

#[user_doc(
    doc_section(label = "Journeys"),
    description = "What the buy-till-you-die models want to know of a customer, as one row: repeats, the number of days with \
        purchases after the day of the first one (bigint); recency, the days from the first purchase to the last; age, the days \
        from the first purchase to as_of; mean_spend, the mean of what was spent on a repeat's day, 0 without repeats. Purchases of \
        one day are one; days are those of UTC for a timestamp with time zone. Purchases after as_of are left out, and so are rows \
        of which occurred_at or as_of is NULL; NULL if there are no others. A purchase whose amount is NULL counts, but a day without \
        any known amount is left out of the mean; NULL if there is no other. Refunds are netted within their day. Refused (22023): \
        an as_of that is not the same for all purchases of a customer or is infinite, an occurred_at of -infinity, an amount that \
        is not finite.",
    syntax_example = "rfm_summary(occurred_at, amount, as_of)",
    sql_example = "SELECT customer_id, (rfm_summary(occurred_at, amount, date '2026-01-01')).* FROM interactions \
        WHERE outcome = 'purchase' GROUP BY customer_id",
    argument(
        name = "occurred_at",
        description = "when it was bought: a timestamp, a date, or a whole number of seconds since 1970"
    ),
    argument(name = "amount", description = "what was spent, in any one currency"),
    argument(
        name = "as_of",
        description = "the end of observation: a date, the whole of which counts, or a timestamp or a whole number of seconds since \
            1970, up to which purchases count"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RfmSummary {
    signature: Signature,
}

/// Microseconds.
const DAY: i64 = 86_400_000_000;

/// What is bought on one day.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Purchase {
    /// Since 1970.
    day: i32,
    /// NaN if it is not known.
    amount: f64,
}

pub(crate) static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let field = |(name, data_type)| Field::new(name, data_type, true);
    let fields = [
        ("repeats", DataType::Int64),
        ("recency", DataType::Float64),
        ("age", DataType::Float64),
        ("mean_spend", DataType::Float64),
    ];
    fields.map(field).to_vec().into()
});

impl RfmSummary {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

fn histories(args: &AccumulatorArgs) -> Result<Histories> {
    match args.is_distinct {
        true => not_impl_err!("rfm_summary(DISTINCT …)"),
        false => Ok(Histories::default()),
    }
}

fn state_types() -> [(&'static str, DataType); 3] {
    [
        ("days", list_of(DataType::Int32)),
        ("amounts", list_of(DataType::Float64)),
        ("as_of", DataType::Int64),
    ]
}

impl AggregateUDFImpl for RfmSummary {
    fn name(&self) -> &str {
        "rfm_summary"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = || {
            let [moment, amount, as_of] = given else {
                return None;
            };
            if !amount.is_numeric() && !is_unknown(amount) {
                return None;
            }
            let as_of = match as_of {
                DataType::Date32 | DataType::Date64 => DataType::Date32,
                as_of => moment_type(as_of)?,
            };
            Some(vec![moment_type(moment)?, DataType::Float64, as_of])
        };
        coerced().ok_or_else(|| no_such_function("rfm_summary", given))
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(FIELDS.clone()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&args, state_types()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneHistory::new(histories(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(histories(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Of groups.
#[derive(Debug, Default)]
struct Histories {
    log: GroupLog<Purchase>,
    /// The end of each group's observation.
    as_of: Vec<Option<i64>>,
}

impl Histories {
    fn grow(&mut self, n_groups: usize, n_rows: usize) -> Result<()> {
        self.as_of.resize(n_groups.max(self.as_of.len()), None);
        self.log.grow(n_groups, n_rows)
    }

    fn observe_until(&mut self, group: usize, as_of: i64) -> StatsResult<()> {
        match self.as_of[group].replace(as_of) {
            Some(known) if known != as_of => Err(Error::Contradiction(
                "as_of must be the same for all purchases of a customer",
            )),
            _ => Ok(()),
        }
    }

    fn add(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        group: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let (times, known) = moments(&values[0]);
        let unit = micros_of_unit(&values[0]);
        let (as_of, known_ends) = ends(&values[2]);
        let known = NullBuffer::union(known, known_ends.as_ref());
        let amounts = values[1].as_primitive::<Float64Type>();
        for (row, time) in times.iter().enumerate() {
            let is_known = known.as_ref().is_none_or(|known| known.is_valid(row));
            let is_let = filter.is_none_or(|let_in| let_in.is_valid(row) && let_in.value(row));
            if !is_known || !is_let {
                continue;
            }
            let (group, time) = (group(row), time.saturating_mul(unit));
            for (name, moment) in [("occurred_at", time), ("as_of", as_of[row])] {
                not_endless(name, moment).map_err(refused)?;
            }
            self.observe_until(group, as_of[row]).map_err(refused)?;
            if time <= as_of[row] {
                let amount = match amounts.is_valid(row) {
                    true => finite(amounts.value(row)).map_err(refused)?,
                    false => f64::NAN,
                };
                // Days of all microseconds there are fit.
                let day = time.div_euclid(DAY) as i32;
                self.log.push(group, Purchase { day, amount });
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], group: impl Fn(usize) -> usize) -> Result<()> {
        let (days, starts) = items::<Int32Type>(states[0].as_list::<i64>());
        let (amounts, _) = items::<Float64Type>(states[1].as_list::<i64>());
        let as_of = states[2].as_primitive::<Int64Type>();
        for row in 0..as_of.len() {
            let group = group(row);
            if as_of.is_valid(row) {
                self.observe_until(group, as_of.value(row))
                    .map_err(refused)?;
            }
            for n in starts[row]..starts[row + 1] {
                let (day, amount) = (days[n], amounts[n]);
                self.log.push(group, Purchase { day, amount });
            }
        }
        Ok(())
    }

    /// Of all groups or of the first: what they bought, and until when they were seen.
    fn take(&mut self, emit_to: EmitTo) -> (Grouped<Purchase>, Vec<Option<i64>>) {
        (self.log.take(emit_to), emit_to.take_needed(&mut self.as_of))
    }
}

fn finite(amount: f64) -> StatsResult<f64> {
    match amount.is_finite() {
        true => Ok(amount),
        false => Err(Error::Range {
            name: "amount",
            range: "a finite number",
            value: amount,
        }),
    }
}

/// A purchase of PostgreSQL's infinity is after any end, and left out; of -infinity it would be older than all there is.
fn not_endless(name: &'static str, moment: i64) -> StatsResult<()> {
    match (name, moment) {
        (_, i64::MIN) => Err(Error::Range {
            name,
            range: "a moment or a day",
            value: f64::NEG_INFINITY,
        }),
        ("as_of", i64::MAX) => Err(Error::Range {
            name,
            range: "a moment or a day",
            value: f64::INFINITY,
        }),
        _ => Ok(()),
    }
}

fn micros_of_unit(moments: &ArrayRef) -> i64 {
    match per_second(moments.data_type()) {
        1 => 1_000_000,
        _ => 1,
    }
}

/// The last microsecond that counts, of each row; and which are known.
fn ends(as_of: &ArrayRef) -> (Vec<i64>, Option<NullBuffer>) {
    if let Some(dates) = as_of.as_primitive_opt::<Date32Type>() {
        let end = |day: &i32| match *day {
            i32::MIN => i64::MIN,
            i32::MAX => i64::MAX,
            day => (i64::from(day) + 1).saturating_mul(DAY).saturating_sub(1),
        };
        return (
            dates.values().iter().map(end).collect(),
            dates.nulls().cloned(),
        );
    }
    let (times, known) = moments(as_of);
    let unit = micros_of_unit(as_of);
    let times = times.iter().map(|time| time.saturating_mul(unit));
    (times.collect(), known.cloned())
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    repeats: i64,
    recency: f64,
    age: f64,
    mean_spend: Option<f64>,
}

/// Purchases in any order; `None` of none.
fn summary(purchases: &mut [Purchase], as_of: Option<i64>) -> Option<Summary> {
    purchases.sort_unstable_by_key(|purchase| purchase.day);
    let (first, last) = (purchases.first()?.day, purchases.last()?.day);
    let (mut repeats, mut spent, mut n_known) = (0, 0.0, 0);
    for day in purchases.chunk_by(|a, b| a.day == b.day).skip(1) {
        repeats += 1;
        let known = day.iter().map(|purchase| purchase.amount);
        let known = known.filter(|amount| !amount.is_nan());
        let (n, sum) = known.fold((0, 0.0), |(n, sum), amount| (n + 1, sum + amount));
        if n > 0 {
            spent += sum;
            n_known += 1;
        }
    }
    let end = as_of?.div_euclid(DAY) as i32;
    Some(Summary {
        repeats,
        recency: f64::from(last) - f64::from(first),
        age: f64::from(end) - f64::from(first),
        mean_spend: match (repeats, n_known) {
            (0, _) => Some(0.0),
            (_, 0) => None,
            _ => Some(spent / f64::from(n_known)),
        },
    })
}

fn summaries(purchases: &mut Grouped<Purchase>, as_of: &[Option<i64>]) -> Result<ArrayRef> {
    let n = as_of.len();
    let mut repeats = Int64Builder::with_capacity(n);
    let [mut recency, mut age, mut mean_spend] = [(); 3].map(|()| Float64Builder::with_capacity(n));
    let mut is_known = vec![];
    let mut ends = as_of.iter();
    purchases.each(|purchases| {
        let summary = summary(purchases, ends.next().copied().flatten());
        repeats.append_option(summary.map(|summary| summary.repeats));
        recency.append_option(summary.map(|summary| summary.recency));
        age.append_option(summary.map(|summary| summary.age));
        mean_spend.append_option(summary.and_then(|summary| summary.mean_spend));
        is_known.push(summary.is_some());
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(repeats.finish()),
        Arc::new(recency.finish()),
        Arc::new(age.finish()),
        Arc::new(mean_spend.finish()),
    ];
    let rows = StructArray::try_new(FIELDS.clone(), columns, Some(is_known.into()))?;
    Ok(Arc::new(rows))
}

fn states(purchases: &Grouped<Purchase>, as_of: &[Option<i64>]) -> Vec<ArrayRef> {
    let days = purchases.items.iter().map(|purchase| purchase.day);
    let amounts = purchases.items.iter().map(|purchase| purchase.amount);
    vec![
        lists(
            Arc::new(Int32Array::from_iter_values(days)),
            &purchases.ends,
        ),
        lists(
            Arc::new(Float64Array::from_iter_values(amounts)),
            &purchases.ends,
        ),
        Arc::new(as_of.iter().copied().collect::<Int64Array>()),
    ]
}

impl GroupsAccumulator for Histories {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups, values[0].len())?;
        self.add(values, opt_filter, |row| group_indices[row])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups, 0)?;
        self.merge(values, |row| group_indices[row])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (mut purchases, as_of) = self.take(emit_to);
        summaries(&mut purchases, &as_of)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (purchases, as_of) = self.take(emit_to);
        Ok(states(&purchases, &as_of))
    }

    /// Each row a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut rows = Self::default();
        rows.grow(values[0].len(), values[0].len())?;
        rows.add(values, opt_filter, |row| row)?;
        rows.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.log.size() + self.as_of.capacity() * size_of::<Option<i64>>()
    }
}

/// Without groups: one group.
#[derive(Debug)]
struct OneHistory(Histories);

impl OneHistory {
    fn new(mut histories: Histories) -> Self {
        histories.as_of.push(None);
        Self(histories)
    }

    /// The purchases stay: a window function asks again after the next rows.
    fn with_purchases<T>(
        &mut self,
        ask: impl FnOnce(&mut Grouped<Purchase>, &[Option<i64>]) -> T,
    ) -> Result<T> {
        self.0.grow(1, 0)?;
        let mut purchases = self.0.log.take(EmitTo::All);
        let answer = ask(&mut purchases, &self.0.as_of);
        self.0.log.put_back(purchases);
        Ok(answer)
    }
}

impl Accumulator for OneHistory {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.grow(1, values[0].len())?;
        self.0.add(values, None, |_| 0)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let summary = self.with_purchases(summaries)??;
        ScalarValue::try_from_array(&summary, 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.with_purchases(|purchases, as_of| states(purchases, as_of))?;
        let first = |state: &ArrayRef| ScalarValue::try_from_array(state, 0);
        states.iter().map(first).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.grow(1, 0)?;
        self.0.merge(states, |_| 0)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// Hours since 1970 and amounts, seen until the end of a day.
    fn arguments(purchases: &[(i64, Option<f64>)], last_day: i32) -> Vec<ArrayRef> {
        let times = purchases.iter().map(|(hour, _)| hour * HOUR);
        let amounts: Float64Array = purchases.iter().map(|(_, amount)| *amount).collect();
        vec![
            Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
            Arc::new(amounts),
            Arc::new(Date32Array::from(vec![last_day; purchases.len()])),
        ]
    }

    /// As SQL shows it.
    fn shown(answer: &ArrayRef, row: usize) -> Option<(i64, f64, f64, Option<f64>)> {
        let rows = answer.as_struct();
        let number = |n: usize| rows.column(n).as_primitive::<Float64Type>();
        let mean_spend = number(3);
        rows.is_valid(row).then(|| {
            (
                rows.column(0).as_primitive::<Int64Type>().value(row),
                number(1).value(row),
                number(2).value(row),
                mean_spend.is_valid(row).then(|| mean_spend.value(row)),
            )
        })
    }

    fn check(
        purchases: &[(i64, Option<f64>)],
        last_day: i32,
        expected: Option<(i64, f64, f64, Option<f64>)>,
    ) {
        let mut whole = Histories::default();
        let values = arguments(purchases, last_day);
        let groups = vec![0; purchases.len()];
        whole
            .update_batch(&values, &groups, None, 1)
            .expect("finite");
        let got = whole.evaluate(EmitTo::All).expect("a row");
        assert_eq!(shown(&got, 0), expected);
        // Backwards, each row by itself.
        let mut backwards = purchases.to_vec();
        backwards.reverse();
        let rows = Histories::default().convert_to_state(&arguments(&backwards, last_day), None);
        let rows = rows.expect("states");
        for (state, (name, data_type)) in rows.iter().zip(state_types()) {
            assert_eq!(state.data_type(), &data_type, "{name}");
        }
        let mut one = OneHistory::new(Histories::default());
        one.merge_batch(&rows).expect("finite");
        let state = one.state().expect("a state");
        let state: Vec<_> = state.iter().map(|s| s.to_array().expect("one")).collect();
        let mut again = OneHistory::new(Histories::default());
        again.merge_batch(&state).expect("finite");
        for _ in 0..2 {
            let got = again.evaluate().expect("a row").to_array().expect("one");
            assert_eq!(shown(&got, 0), expected);
        }
    }

    #[test]
    fn the_first_day_is_no_repeat_and_a_day_is_one_purchase() {
        let purchases = [
            (1, Some(100.0)),
            (23, Some(50.0)),
            (48, Some(10.0)),
            (50, Some(20.0)),
            (240, Some(40.0)),
        ];
        check(&purchases, 30, Some((2, 10.0, 30.0, Some(35.0))));
    }

    #[test]
    fn one_who_came_once() {
        check(
            &[(5, Some(9.0)), (6, Some(1.0))],
            7,
            Some((0, 0.0, 7.0, Some(0.0))),
        );
        check(&[(5, None)], 0, Some((0, 0.0, 0.0, Some(0.0))));
    }

    #[test]
    fn what_comes_after_the_end_is_left_out() {
        // The last hour of the day of the end, and the first of the next.
        let purchases = [(0, Some(1.0)), (47, Some(2.0)), (48, Some(3.0))];
        check(&purchases, 1, Some((1, 1.0, 1.0, Some(2.0))));
        check(&[(48, Some(3.0))], 1, None);
    }

    #[test]
    fn an_unknown_amount_counts_as_a_purchase_only() {
        let purchases = [(0, Some(1.0)), (24, None), (25, Some(6.0)), (48, None)];
        check(&purchases, 9, Some((2, 2.0, 9.0, Some(6.0))));
        check(&[(0, Some(1.0)), (24, None)], 9, Some((1, 1.0, 9.0, None)));
    }

    #[test]
    fn moments_and_days_of_postgresql_s_infinity() {
        let ask = |time: i64, as_of: ArrayRef| {
            let values = vec![
                Arc::new(TimestampMicrosecondArray::from(vec![time])) as ArrayRef,
                Arc::new(Float64Array::from(vec![1.0])),
                as_of,
            ];
            let mut histories = Histories::default();
            histories.update_batch(&values, &[0], None, 1)?;
            let answer = histories.evaluate(EmitTo::All)?;
            Ok::<_, datafusion_common::DataFusionError>(shown(&answer, 0))
        };
        let day = |day: i32| Arc::new(Date32Array::from(vec![day])) as ArrayRef;
        let moment = |time: i64| Arc::new(TimestampMicrosecondArray::from(vec![time])) as ArrayRef;
        assert_eq!(ask(i64::MAX, day(30)).expect("left out"), None);
        assert!(ask(i64::MIN, day(30)).is_err());
        for endless in [
            day(i32::MIN),
            day(i32::MAX),
            moment(i64::MIN),
            moment(i64::MAX),
        ] {
            assert!(ask(0, endless).is_err());
        }
        assert!(ask(0, day(i32::MIN + 1)).is_err());
        assert!(ask(0, day(i32::MAX - 1)).expect("far").is_some());
    }

    #[test]
    fn refunds_are_netted_within_their_day() {
        let purchases = [(0, Some(5.0)), (24, Some(10.0)), (26, Some(-4.0))];
        check(&purchases, 2, Some((1, 1.0, 2.0, Some(6.0))));
    }

    #[test]
    fn days_before_1970_are_days_too() {
        check(
            &[(-1, Some(5.0)), (0, Some(2.0))],
            0,
            Some((1, 1.0, 1.0, Some(2.0))),
        );
    }

    #[test]
    fn seconds_and_moments_that_are_null() {
        let seconds = |seconds: [Option<i64>; 3]| -> ArrayRef {
            Arc::new(seconds.into_iter().collect::<Int64Array>())
        };
        let values = vec![
            seconds([Some(0), None, Some(86_400)]),
            Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0])) as ArrayRef,
            seconds([Some(90_000), Some(90_000), Some(90_000)]),
        ];
        let mut histories = Histories::default();
        histories
            .update_batch(&values, &[0, 0, 1], None, 3)
            .expect("finite");
        let got = histories.evaluate(EmitTo::First(1)).expect("a row");
        assert_eq!(shown(&got, 0), Some((0, 0.0, 1.0, Some(0.0))));
        let got = histories.evaluate(EmitTo::All).expect("rows");
        assert_eq!(shown(&got, 0), Some((0, 0.0, 0.0, Some(0.0))));
        assert_eq!(shown(&got, 1), None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut histories = Histories::default();
        for amount in [f64::NAN, f64::INFINITY] {
            let values = arguments(&[(0, Some(amount))], 1);
            assert!(histories.update_batch(&values, &[0], None, 1).is_err());
        }
        let mut histories = Histories::default();
        let mut update = |last_day: i32| {
            histories.update_batch(&arguments(&[(0, Some(1.0))], last_day), &[0], None, 1)
        };
        assert!(update(1).is_ok() && update(1).is_ok() && update(2).is_err());
    }

    #[test]
    fn arguments_are_taken_in_the_types_they_may_have() {
        use DataType::{Date32, Decimal128, Float64, Int32, Int64, Utf8View};
        let coerced = |given: &[DataType]| RfmSummary::new().coerce_types(given).ok();
        assert_eq!(
            coerced(&[Int32, Decimal128(18, 2), Date32]),
            Some(vec![Int64, Float64, Date32])
        );
        assert_eq!(coerced(&[Int32, Utf8View, Date32]), None);
        assert_eq!(coerced(&[Int32, Float64]), None);
    }
}
