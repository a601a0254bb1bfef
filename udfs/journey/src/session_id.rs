//! `session_id`: numbers the sessions of a customer.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{Documentation, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};
use datafusion_macros::user_doc;
use rapport_stats::sessions::Sessions;
use rapport_udf_face::{no_columns, no_such_function, refused};

use crate::arguments::constant;
use crate::moments::{moment_type, moments, per_second, span, span_type};

#[user_doc(
    doc_section(label = "Journeys"),
    description = "Numbers the sessions of a customer, from 1: an event that comes more than the gap after the one before it opens a new \
        one. A window function: the window has to be partitioned by customer and ordered by occurred_at, the earliest first; an event that is earlier \
        than one before it in the window belongs to the session of that. NULL for an event of which the moment is NULL, which is \
        otherwise not there. Refused (22023): a gap that is NULL, negative, of months or not the same for all rows.",
    syntax_example = "session_id(occurred_at, gap) OVER (PARTITION BY ... ORDER BY occurred_at)",
    sql_example = "SELECT customer_id, occurred_at, session_id(occurred_at, interval '30 minutes') OVER (PARTITION BY customer_id \
        ORDER BY occurred_at) FROM interactions",
    argument(
        name = "occurred_at",
        description = "when the event happened: a timestamp, a date, or a whole number of seconds"
    ),
    argument(
        name = "gap",
        description = "for how long nothing may happen within a session: an interval of minutes, hours ..., or a whole number of \
            seconds"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    signature: Signature,
}

impl SessionId {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl WindowUDFImpl for SessionId {
    fn name(&self) -> &str {
        "session_id"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = || match given {
            [moment, gap] => Some(vec![moment_type(moment)?, span_type(gap)?]),
            _ => None,
        };
        coerced().ok_or_else(|| no_such_function("session_id", given))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, true)))
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let gap = constant(args.input_exprs()[1].evaluate(&no_columns()))?;
        let moment_type = args.input_fields()[0].data_type();
        Ok(Box::new(evaluator(&gap, moment_type)?))
    }
}

fn evaluator(gap: &ScalarValue, moment_type: &DataType) -> Result<Evaluator> {
    let gap = span("gap", gap, per_second(moment_type)).map_err(refused)?;
    Ok(Evaluator {
        sessions: Sessions::new(gap),
    })
}

/// Of one partition.
#[derive(Debug)]
struct Evaluator {
    sessions: Sessions,
}

impl Evaluator {
    fn next(&mut self, times: &[i64], known: Option<&NullBuffer>, row: usize) -> Option<i64> {
        let is_known = known.is_none_or(|known| known.is_valid(row));
        // As many sessions as rows at most.
        is_known.then(|| self.sessions.next(times[row]) as i64)
    }
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let (times, known) = moments(&values[0]);
        let ids = (0..num_rows).map(|row| self.next(times, known, row));
        Ok(Arc::new(ids.collect::<Int64Array>()))
    }

    /// Rows come one after the other, so that a partition need not be held as a whole.
    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let (times, known) = moments(&values[0]);
        Ok(ScalarValue::Int64(self.next(times, known, range.start)))
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn is_causal(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Int64Type, IntervalMonthDayNano};

    use super::*;

    fn check(times: ArrayRef, gap: ScalarValue, expected: &[Option<i64>]) {
        let new = || evaluator(&gap, times.data_type()).expect("a gap");
        let values = [times.clone()];
        let got = new().evaluate_all(&values, times.len()).expect("numbers");
        let got: Vec<_> = got.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(got, expected);
        let mut bounded = new();
        for (row, expected) in expected.iter().enumerate() {
            let range = bounded.get_range(row, times.len()).expect("a row");
            let got = bounded.evaluate(&values, &range).expect("a number");
            assert_eq!(got, ScalarValue::Int64(*expected), "{row}");
        }
    }

    fn seconds(seconds: &[Option<i64>]) -> ArrayRef {
        Arc::new(seconds.iter().copied().collect::<Int64Array>())
    }

    #[test]
    fn a_session_ends_after_more_than_the_gap() {
        let times = [0, 1_800, 3_601, 3_601, 9_000].map(Some);
        let expected = [1, 1, 2, 2, 3].map(Some);
        check(seconds(&times), 1_800_i64.into(), &expected);
        let micros = TimestampMicrosecondArray::from(vec![0, 1_800_000_000, 3_600_000_001]);
        let gap = IntervalMonthDayNano::new(0, 0, 1_800_000_000_000);
        let gap = ScalarValue::IntervalMonthDayNano(Some(gap));
        check(Arc::new(micros), gap, &[1, 1, 2].map(Some));
    }

    #[test]
    fn moments_that_are_null_are_in_no_session() {
        check(
            seconds(&[None, Some(5), None, Some(7)]),
            1_i64.into(),
            &[None, Some(1), None, Some(2)],
        );
        check(seconds(&[]), 1_i64.into(), &[]);
    }

    #[test]
    fn an_event_out_of_order_belongs_to_the_session_of_the_one_before() {
        check(
            seconds(&[100, 0, 101].map(Some)),
            10_i64.into(),
            &[1; 3].map(Some),
        );
    }

    #[test]
    fn moments_of_postgresql_s_infinity() {
        let micros = vec![i64::MIN, i64::MIN, 0, i64::MAX - 1, i64::MAX];
        let times = || Arc::new(TimestampMicrosecondArray::from(micros.clone())) as ArrayRef;
        check(times(), 1_i64.into(), &[1, 1, 2, 3, 3].map(Some));
        check(times(), i64::MAX.into(), &[1, 1, 1, 1, 1].map(Some));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let month = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(1, 0, 0)));
        for gap in [month, (-1_i64).into(), ScalarValue::Int64(None)] {
            assert!(evaluator(&gap, &DataType::Int64).is_err(), "{gap}");
        }
    }

    #[test]
    fn a_moment_and_a_gap_are_taken() {
        use DataType::{Boolean, Int32, Int64};
        let coerced = |given: &[DataType]| SessionId::new().coerce_types(given).ok();
        assert_eq!(coerced(&[Int64, Int32]), Some(vec![Int64, Int64]));
        assert_eq!(coerced(&[Int64]), None);
        assert_eq!(coerced(&[Boolean, Int64]), None);
    }
}
