//! `window_funnel`: how far a customer got.

use arrow::array::Int32Array;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{AggregateUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;
use rapport_stats::Result as StatsResult;
use rapport_stats::events::Event;
use rapport_stats::window_funnel::{Funnel, Modes};
use rapport_udf_face::{no_columns, no_such_function, refused};

use crate::arguments::{condition, constant, is_text, text};
use crate::journeys::{Question, over_events};
use crate::moments::{moment_type, per_second, span, span_type};

#[user_doc(
    doc_section(label = "Journeys"),
    description = "How far a customer got in a funnel: the greatest k such that events meeting condition 1, 2, ..., k follow each \
        other within a window of time that opens with the first of them; 0 if nothing meets condition 1. As ClickHouse's \
        windowFunnel. Rows may come in any order; events of one moment are taken in the order of the steps. An event of which \
        the moment is NULL is left out, a condition that is NULL does not hold. Refused (22023): a window that is NULL, negative, \
        of months or not the same for all rows, an unknown mode, more than 32 conditions.",
    syntax_example = "window_funnel(window, [modes,] occurred_at, condition1 [, condition2, ...])",
    sql_example = "SELECT level, count(*) FROM (SELECT customer_id, window_funnel(interval '7 days', occurred_at, \
        interaction_type = 'view', interaction_type = 'cart', interaction_type = 'purchase') AS level FROM interactions \
        GROUP BY customer_id) AS funnel GROUP BY level ORDER BY level",
    argument(
        name = "window",
        description = "how long after its first step a funnel may be completed: an interval of days, hours ..., or a whole number of \
            seconds"
    ),
    argument(
        name = "modes",
        description = "a text, which may be left out, of modes separated by commas: strict_order (another event in between ends the \
            search), allow_reentry (beside strict_order: a step that comes too early does not), strict_deduplication (a step met \
            again ends the search), strict_increase (each step is later than the one before it), strict_once (one event is one \
            step only)"
    ),
    argument(
        name = "occurred_at",
        description = "when the event happened: a timestamp, a date, or a whole number of seconds"
    ),
    argument(
        name = "condition",
        description = "what the event has to be to count as the step: 1 to 32 booleans"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowFunnel {
    signature: Signature,
}

impl WindowFunnel {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn question(&self, args: &AccumulatorArgs) -> Result<(Funnel, usize)> {
        if args.is_distinct {
            return not_impl_err!("window_funnel(DISTINCT …)");
        }
        let types: Vec<&DataType> = args
            .expr_fields
            .iter()
            .map(|field| field.data_type())
            .collect();
        let window = constant(args.exprs[0].evaluate(&no_columns()))?;
        let moment = 1 + usize::from(is_text(types[1]));
        let modes = match moment {
            2 => Some(constant(args.exprs[1].evaluate(&no_columns()))?),
            _ => None,
        };
        let n_steps = types.len() - moment - 1;
        let funnel = funnel(&window, modes.as_ref(), types[moment], n_steps);
        Ok((funnel.map_err(refused)?, moment))
    }
}

impl AggregateUDFImpl for WindowFunnel {
    over_events!("window_funnel", DataType::Int32, of no events 0_i32);

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = || {
            let (window, rest) = given.split_first()?;
            let (modes, rest) = match rest {
                [modes, rest @ ..] if is_text(modes) => (Some(DataType::Utf8), rest),
                rest => (None, rest),
            };
            let (moment, conditions) = rest.split_first().filter(|(_, steps)| !steps.is_empty())?;
            let mut types = vec![span_type(window)?];
            types.extend(modes);
            types.push(moment_type(moment)?);
            for given in conditions {
                types.push(condition(given)?);
            }
            Some(types)
        };
        coerced().ok_or_else(|| no_such_function("window_funnel", given))
    }
}

fn funnel(
    window: &ScalarValue,
    modes: Option<&ScalarValue>,
    moment_type: &DataType,
    n_steps: usize,
) -> StatsResult<Funnel> {
    let window = span("window", window, per_second(moment_type))?;
    let names = match modes {
        Some(modes) => text(modes)?,
        None => "",
    };
    let names = names.split(',').map(str::trim);
    let modes = Modes::named(names.filter(|name| !name.is_empty()))?;
    Funnel::new(window, u32::try_from(n_steps).unwrap_or(u32::MAX), modes)
}

impl Question for Funnel {
    type Answers = Int32Array;
    type Answer = i32;

    fn needs_all(&self) -> bool {
        let of_no_condition = Event {
            time: 0,
            conditions: 0,
        };
        self.needs(of_no_condition)
    }

    fn answer(&self, sorted: &[Event]) -> StatsResult<i32> {
        Ok(self.level(sorted) as i32)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{IntervalMonthDayNano, TimeUnit};

    use super::*;
    use crate::journeys::check::answer;

    fn moment() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
    }

    fn of(window: i64, modes: &str, n_steps: usize) -> StatsResult<Funnel> {
        funnel(&window.into(), Some(&modes.into()), &moment(), n_steps)
    }

    /// Events as letters, one a second: condition 1 is `a`, 2 is `b`, …; other letters meet none.
    fn check(letters: &str, modes: &str, expected: i32) {
        let event = |(time, letter): (i64, u8)| match letter {
            b'a'..=b'c' => (time, 1 << (letter - b'a')),
            _ => (time, 0),
        };
        let events: Vec<(i64, u32)> = (1..).zip(letters.bytes()).map(event).collect();
        let got = answer(&of(86_400, modes, 3).expect("known"), &events, 3).expect("a level");
        assert_eq!(got, expected.into(), "{letters} {modes}");
    }

    #[test]
    fn users_of_clickhouse_s_own_test() {
        let users = ["abc", "adbc", "aabbcc", "aaaabbcc", "aabbdcc", "ccbbaa"];
        for (modes, expected) in [
            ("", [3, 3, 3, 3, 3, 1]),
            ("strict_order", [3, 1, 3, 3, 2, 1]),
            ("strict_deduplication, strict_order", [3, 1, 2, 2, 2, 1]),
        ] {
            for (user, expected) in users.into_iter().zip(expected) {
                check(user, modes, expected);
            }
        }
    }

    #[test]
    fn moments_of_postgresql_s_infinity() {
        let ends = [
            (i64::MIN, 1),
            (i64::MIN, 3),
            (0, 2),
            (i64::MAX, 2),
            (i64::MAX, 4),
        ];
        for modes in [
            "",
            "strict_order",
            "strict_order, allow_reentry",
            "strict_deduplication",
            "strict_increase",
            "strict_once",
            "strict_once, strict_increase",
        ] {
            for window in [0, 1, i64::MAX] {
                let got = answer(&of(window, modes, 3).expect("known"), &ends, 3);
                assert!(got.is_ok(), "{window} {modes}: {got:?}");
            }
        }
        let level = |window| answer(&of(window, "", 3).expect("known"), &ends, 3).expect("a level");
        assert_eq!((level(1), level(i64::MAX)), (2.into(), 3.into()));
    }

    #[test]
    fn nobody_who_did_nothing_is_anywhere() {
        check("", "", 0);
        check("xyz", "strict_order", 0);
    }

    #[test]
    fn the_window_is_in_seconds_or_an_interval() {
        let events = [(0, 1), (60, 2)];
        let level = |window: ScalarValue| {
            let funnel = funnel(&window, None, &moment(), 2).expect("a window");
            answer(&funnel, &events, 2).expect("a level")
        };
        let interval = |seconds: i64| {
            let interval = IntervalMonthDayNano::new(0, 0, seconds * 1_000_000_000);
            ScalarValue::IntervalMonthDayNano(Some(interval))
        };
        assert_eq!(level(60_i64.into()), 2.into());
        assert_eq!(level(59_i64.into()), 1.into());
        assert_eq!(level(interval(60)), 2.into());
        assert_eq!(level(interval(59)), 1.into());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(of(-1, "", 3).is_err());
        assert!(of(1, "strict", 3).is_err());
        assert!(of(1, "allow_reentry", 3).is_err());
        assert!(of(1, "strict_order, allow_reentry", 3).is_ok());
        assert!(of(1, "", 33).is_err());
        assert!(funnel(&ScalarValue::Int64(None), None, &moment(), 3).is_err());
    }

    #[test]
    fn arguments_are_taken_in_the_types_they_may_have() {
        use DataType::{Boolean, Date32, Float64, Int32, Int64, Null, Utf8, Utf8View};
        let coerced = |given: &[DataType]| WindowFunnel::new().coerce_types(given).ok();
        let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(
            coerced(&[Int32, Date32, Boolean, Null]),
            Some(vec![Int64, plain, Boolean, Boolean])
        );
        assert_eq!(
            coerced(&[Int64, Utf8View, Int32, Boolean]),
            Some(vec![Int64, Utf8, Int64, Boolean])
        );
        for given in [
            &[][..],
            &[Int64],
            &[Int64, Date32],
            &[Int64, Utf8, Date32],
            &[Float64, Date32, Boolean],
            &[Int64, Date32, Int32],
        ] {
            assert_eq!(coerced(given), None, "{given:?}");
        }
    }
}
