//! What time it is: `now()` and its kin. All but `clock_timestamp` stand still, as PostgreSQL has it: those of the
//! transaction in a transaction, `statement_timestamp` in a statement.

use std::hash::{Hash, Hasher};

use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::arguments::{clock_type, moment_type, time_type};
use crate::clock::Clock;
use crate::refusal::Refusal;
use crate::zone::{DAY, SECOND, Zone};

/// One of PostgreSQL's words for the present. Those that SQL writes without parentheses may be given digits to keep of the seconds.
#[derive(Debug)]
pub(crate) struct Now {
    name: &'static str,
    answers: Answer,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Transaction,
    Statement,
    Clock,
    /// What clocks show in the session's zone.
    Local,
    Date,
    Time,
    NotSupported,
}

impl PartialEq for Now {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Now {}

impl Hash for Now {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Now {
    pub(crate) fn all() -> Vec<Self> {
        let with = |name, answers| Self {
            name,
            answers,
            signature: match answers {
                Answer::Clock => Signature::nullary(Volatility::Volatile),
                Answer::Transaction | Answer::Statement if name != "current_timestamp" => {
                    Signature::nullary(Volatility::Stable)
                }
                Answer::Date => Signature::nullary(Volatility::Stable),
                _ => Signature::one_of(
                    vec![
                        TypeSignature::Nullary,
                        TypeSignature::Exact(vec![DataType::Int64]),
                    ],
                    Volatility::Stable,
                ),
            },
        };
        vec![
            with("now", Answer::Transaction),
            with("transaction_timestamp", Answer::Transaction),
            with("current_timestamp", Answer::Transaction),
            with("statement_timestamp", Answer::Statement),
            with("clock_timestamp", Answer::Clock),
            with("localtimestamp", Answer::Local),
            with("current_date", Answer::Date),
            with("localtime", Answer::Time),
            with("current_time", Answer::NotSupported),
        ]
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.answers {
            Answer::Transaction | Answer::Statement | Answer::Clock => moment_type(),
            Answer::Local => clock_type(),
            Answer::Date => DataType::Date32,
            Answer::Time => time_type(),
            Answer::NotSupported => {
                return Err(Refusal::not_supported(
                    "time with time zone is not supported",
                    "Use localtime or current_timestamp.",
                )
                .into());
            }
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let clock = Clock::of(&args.config_options);
        let at = match self.answers {
            Answer::Statement => clock.statement,
            Answer::Clock => chrono::Utc::now().timestamp_micros(),
            _ => clock.transaction,
        };
        let at = match args.args.first() {
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(digits)))) => {
                rounded_moment(at, u32::try_from(*digits).unwrap_or(0))
            }
            _ => at,
        };
        let zone = Zone::of_session(&args.config_options)?;
        let local = at + i64::from(zone.offset_at(at)) * SECOND;
        Ok(ColumnarValue::Scalar(match self.answers {
            Answer::Local => ScalarValue::TimestampMicrosecond(Some(local), None),
            Answer::Date => ScalarValue::Date32(Some(
                i32::try_from(local.div_euclid(DAY)).unwrap_or(i32::MAX),
            )),
            Answer::Time => ScalarValue::Time64Microsecond(Some(local.rem_euclid(DAY))),
            _ => ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into())),
        }))
    }
}

/// A moment to so many digits of the seconds, halves away from the year 2000.
pub(crate) fn rounded_moment(at: i64, digits: u32) -> i64 {
    const YEAR_2000: i64 = 10_957 * DAY;
    rounded(at.saturating_sub(YEAR_2000), digits) + YEAR_2000
}

/// To so many digits of the seconds, halves away from zero.
pub fn rounded(at: i64, digits: u32) -> i64 {
    if digits >= 6 {
        return at;
    }
    let step = 10_i64.pow(6 - digits);
    let half = if at < 0 { -step / 2 } else { step / 2 };
    at.saturating_add(half) / step * step
}
