//! `sequence_count`: how often a customer's events follow a pattern.

use arrow::array::Int64Array;
use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{AggregateUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;
use rapport_stats::Result as StatsResult;
use rapport_stats::events::Event;
use rapport_stats::sequence::Pattern;
use rapport_udf_face::{no_columns, no_such_function, refused};

use crate::arguments::constant;
use crate::journeys::{Question, over_events};
use crate::sequence_match::{coerced, pattern_of};

#[user_doc(
    doc_section(label = "Journeys"),
    description = "How often a customer's events follow a pattern, one match after the other: they do not overlap. As ClickHouse's \
        sequenceCount; patterns are those of sequence_match. Rows may come in any order. An event of which the moment is NULL is \
        left out, a condition that is NULL does not hold. Refused (22023): a pattern that is NULL, cannot be read, asks for a \
        condition that is not given or is not the same for all rows, more than 32 conditions, and a search of more than a million \
        steps for one customer.",
    syntax_example = "sequence_count(pattern, occurred_at, condition1 [, condition2, ...])",
    sql_example = "SELECT customer_id, sequence_count('(?1).*(?2)', occurred_at, interaction_type = 'view', interaction_type = 'cart') \
        FROM interactions GROUP BY customer_id",
    argument(
        name = "pattern",
        description = "what to look for, such as '(?1)(?t<=3600)(?2)': see sequence_match"
    ),
    argument(
        name = "occurred_at",
        description = "when the event happened: a timestamp, a date, or a whole number of seconds"
    ),
    argument(
        name = "condition",
        description = "what the pattern calls (?1), (?2) ...: 1 to 32 booleans"
    ),
    related_udf(name = "sequence_match")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SequenceCount {
    signature: Signature,
}

/// How often it is followed.
#[derive(Clone, Debug)]
struct Counts(Pattern);

impl SequenceCount {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn question(&self, args: &AccumulatorArgs) -> Result<(Counts, usize)> {
        if args.is_distinct {
            return not_impl_err!("sequence_count(DISTINCT …)");
        }
        let pattern = constant(args.exprs[0].evaluate(&no_columns()))?;
        let moment_type = args.expr_fields[1].data_type();
        let pattern = pattern_of(&pattern, moment_type, args.exprs.len() - 2);
        Ok((Counts(pattern.map_err(refused)?), 1))
    }
}

impl AggregateUDFImpl for SequenceCount {
    over_events!("sequence_count", DataType::Int64, of no events 0_i64);

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerced(given).ok_or_else(|| no_such_function("sequence_count", given))
    }
}

impl Question for Counts {
    type Answers = Int64Array;
    type Answer = i64;

    fn answer(&self, sorted: &[Event]) -> StatsResult<i64> {
        Ok(i64::try_from(self.0.count(sorted)?).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journeys::check::answer;

    fn check(text: &str, events: &[(i64, u32)], expected: i64) {
        // Moments of tests are microseconds.
        let moment = crate::moments::moment_type(&DataType::Date32).expect("a moment");
        let counts = Counts(pattern_of(&text.into(), &moment, 3).expect("readable"));
        let got = answer(&counts, events, 3).expect("easy");
        assert_eq!(got, expected.into(), "{text}");
    }

    /// The events of ClickHouse's own test, which are all of one condition.
    #[test]
    fn patterns_of_clickhouse_s_own_test() {
        let data = [0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 1];
        let events: Vec<(i64, u32)> = (0..).zip(data.map(|data| 1 << data)).collect();
        for (text, expected) in [
            ("", 12),
            ("(?1)", 8),
            ("(?1)(?1)", 4),
            ("(?1)(?1)(?1)", 2),
            ("(?1)(?t>10)(?2)", 1),
            ("(?1)(?t<11)(?2)", 2),
            ("(?2)(?t>=7)(?2)", 1),
            ("(?2)(?t>7)(?2)", 0),
        ] {
            check(text, &events, expected);
        }
    }

    #[test]
    fn nothing_follows_nothing() {
        check("(?1)", &[], 0);
        check("(?1)(?2)", &[(1, 2), (2, 1)], 0);
    }
}
