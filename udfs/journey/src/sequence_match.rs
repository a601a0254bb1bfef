//! `sequence_match`: whether a customer's events follow a pattern.

use arrow::array::BooleanArray;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{AggregateUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;
use rapport_stats::Result as StatsResult;
use rapport_stats::events::Event;
use rapport_stats::sequence::Pattern;
use rapport_udf_face::{no_columns, no_such_function, refused};

use crate::arguments::{condition, constant, is_text, text};
use crate::journeys::{Question, over_events};
use crate::moments::{moment_type, per_second};

#[user_doc(
    doc_section(label = "Journeys"),
    description = "Whether a customer's events follow a pattern somewhere. As ClickHouse's sequenceMatch. A pattern is a row of (?N), \
        an event that meets condition N; . for any event that meets one of the conditions; .* for any number of those; and, \
        between two events, (?t<=x), (?t<x), (?t>=x), (?t>x) or (?t==x) for the seconds between them. Events that meet no \
        condition are not there at all: (?1)(?2) matches across them. Rows may come in any order. An event of which the moment is \
        NULL is left out, a condition that is NULL does not hold. Refused (22023): a pattern that is NULL, cannot be read, asks for \
        a condition that is not given or is not the same for all rows, more than 32 conditions, and a search of more than a \
        million steps for one customer.",
    syntax_example = "sequence_match(pattern, occurred_at, condition1 [, condition2, ...])",
    sql_example = "SELECT customer_id FROM interactions GROUP BY customer_id HAVING sequence_match('(?1)(?t<=3600)(?2)', occurred_at, \
        interaction_type = 'error', interaction_type = 'call')",
    argument(
        name = "pattern",
        description = "what to look for, such as '(?1)(?t<=3600)(?2)'"
    ),
    argument(
        name = "occurred_at",
        description = "when the event happened: a timestamp, a date, or a whole number of seconds"
    ),
    argument(
        name = "condition",
        description = "what the pattern calls (?1), (?2) ...: 1 to 32 booleans"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SequenceMatch {
    signature: Signature,
}

/// Whether it is followed.
#[derive(Clone, Debug)]
struct Matches(Pattern);

impl SequenceMatch {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn question(&self, args: &AccumulatorArgs) -> Result<(Matches, usize)> {
        if args.is_distinct {
            return not_impl_err!("sequence_match(DISTINCT …)");
        }
        let pattern = constant(args.exprs[0].evaluate(&no_columns()))?;
        let moment_type = args.expr_fields[1].data_type();
        let pattern = pattern_of(&pattern, moment_type, args.exprs.len() - 2);
        Ok((Matches(pattern.map_err(refused)?), 1))
    }
}

impl AggregateUDFImpl for SequenceMatch {
    over_events!("sequence_match", DataType::Boolean, of no events false);

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerced(given).ok_or_else(|| no_such_function("sequence_match", given))
    }
}

/// The types of a pattern, a moment and conditions.
pub(crate) fn coerced(given: &[DataType]) -> Option<Vec<DataType>> {
    match given {
        [pattern, moment, conditions @ ..]
            if (is_text(pattern) || pattern.is_null()) && !conditions.is_empty() =>
        {
            let mut types = vec![DataType::Utf8, moment_type(moment)?];
            for given in conditions {
                types.push(condition(given)?);
            }
            Some(types)
        }
        _ => None,
    }
}

/// With its seconds in the unit of the moments.
pub(crate) fn pattern_of(
    pattern: &ScalarValue,
    moment_type: &DataType,
    n_conditions: usize,
) -> StatsResult<Pattern> {
    let n_conditions = u32::try_from(n_conditions).unwrap_or(u32::MAX);
    let pattern = Pattern::new(text(pattern)?, n_conditions)?;
    Ok(pattern.in_units(per_second(moment_type)))
}

impl Question for Matches {
    type Answers = BooleanArray;
    type Answer = bool;

    fn answer(&self, sorted: &[Event]) -> StatsResult<bool> {
        self.0.matches(sorted)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;
    use crate::journeys::check::answer;

    fn pattern(text: &str, n_conditions: usize) -> StatsResult<Pattern> {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        pattern_of(&text.into(), &moment, n_conditions)
    }

    fn check(text: &str, events: &[(i64, u32)], expected: bool) {
        let matches = Matches(pattern(text, 3).expect("readable"));
        let got = answer(&matches, events, 3).expect("easy");
        assert_eq!(got, expected.into(), "{text}");
    }

    #[test]
    fn moments_of_postgresql_s_infinity() {
        let ends = [(i64::MIN, 1), (0, 2), (i64::MAX, 4)];
        check("(?1)(?2)(?3)", &ends, true);
        check("(?1)(?t>9223372036854)(?3)", &ends, true);
        check("(?1)(?t<5)(?2)", &ends, false);
        check("(?1).*(?t<=99999999999999999)(?3)", &ends, true);
    }

    /// The events of ClickHouse's own test, which are all of one condition.
    #[test]
    fn patterns_of_clickhouse_s_own_test() {
        let data = [0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 1];
        let events: Vec<(i64, u32)> = (0..).zip(data.map(|data| 1 << data)).collect();
        for (text, expected) in [
            ("", true),
            ("(?1)(?1)(?1)(?1)(?2)", true),
            ("(?1)(?1)(?1)(?1)(?1)", false),
            ("(?1)(?t>10)(?2)", true),
            ("(?1)(?t>11)(?2)", false),
            ("(?1)(?t<=2)(?3)", true),
            ("(?1)(?t<2)(?3)", false),
            ("(?2)(?3)(?1)", true),
        ] {
            check(text, &events, expected);
        }
    }

    #[test]
    fn no_events_match_what_needs_none() {
        check("(?1)", &[], false);
        check("", &[], true);
        check("(?1)(?2)", &[(1, 1), (2, 0), (3, 2)], true);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (text, n_conditions) in [("(?1", 1), ("(?2)", 1), ("(?t5)", 1), ("(?1)", 33)] {
            assert!(pattern(text, n_conditions).is_err(), "{text}");
        }
        let moment = DataType::Int64;
        assert!(pattern_of(&ScalarValue::Utf8(None), &moment, 1).is_err());
    }

    #[test]
    fn a_pattern_a_moment_and_conditions_are_taken() {
        use DataType::{Boolean, Int32, Int64, Utf8, Utf8View};
        assert_eq!(
            coerced(&[Utf8View, Int32, Boolean]),
            Some(vec![Utf8, Int64, Boolean])
        );
        for given in [
            &[Utf8, Int64][..],
            &[Int64, Int64, Boolean],
            &[Utf8, Int64, Int64],
        ] {
            assert_eq!(coerced(given), None, "{given:?}");
        }
    }
}
