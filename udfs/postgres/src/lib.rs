//! What PostgreSQL has and DataFusion lacks, does differently, or does too slowly.

mod age;
mod anew;
mod arguments;
mod array;
mod array_text;
mod bytes;
mod calendar;
mod casts;
mod clock;
mod codec;
mod concat;
mod date_bin;
mod date_trunc;
mod digits;
mod extract;
mod field;
mod format;
mod from_char;
mod generate_series;
mod isfinite;
pub mod json;
mod justify_days;
mod justify_hours;
mod justify_interval;
mod list;
mod make_date;
mod make_interval;
mod make_time;
mod make_timestamp;
mod make_timestamptz;
pub mod math;
mod moment;
mod moving;
mod now;
mod number_template;
pub mod numeric;
mod operators;
mod ordered_set;
pub mod output;
mod over_intervals;
mod over_times;
mod overflow;
mod overlaps;
mod perhaps;
mod pieces;
mod quantified;
mod quote;
mod reach;
pub mod refusal;
mod regexp;
mod regression;
mod row_key;
mod similar;
mod simple;
mod span;
mod substring;
mod template;
pub mod text;
mod time_cast;
mod time_to_char;
mod timezone;
mod to_char;
mod to_date;
mod to_number;
mod to_timestamp;
mod written;
mod zone;

use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

pub use array::{ARRAY_CONCAT, ARRAY_ITEM, ARRAY_SLICE, same_sizes};
pub use array_text::{TO_TEXTS, array_items, one_dimension};
pub use casts::{TO_BYTEA, TO_CHAR, TO_UUID, TO_VARCHAR, UNPADDED, unpadded_texts, uuid};
pub use clock::{Clock, DateOrder};
pub use codec::bytea;
pub use concat::TEXT_OF;
pub use digits::{DIGITS, to_digits};
pub use moment::Reading;
pub use moving::over_frames;
pub use now::rounded;
pub use operators::{TimeOperator, steps};
pub use over_intervals::over_intervals;
pub use over_times::{over_times, widest};
pub use perhaps::PERHAPS;
pub use quantified::{ALL_OF, ANY_OF};
pub use reach::within_reach;
pub use row_key::{ARRAY_KEY, ROW_KEY};
pub use simple::PG_TYPE;
pub use span::{Span, Unit, Units, by_weight};
pub use time_cast::{has_no_time_cast, time_cast};
pub use written::time_text;
pub use zone::Zone;

/// Every scalar function of this crate; one that bears a name of DataFusion's replaces it.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = vec![
        ScalarUDF::from(age::Age::new()),
        ScalarUDF::from(date_bin::DateBin::new()),
        ScalarUDF::from(date_trunc::DateTrunc::new()),
        ScalarUDF::from(digits::Digits::new()),
        ScalarUDF::from(extract::DatePart::new()),
        ScalarUDF::from(extract::Extract::new()),
        ScalarUDF::from(generate_series::GenerateSeries::new()),
        ScalarUDF::from(isfinite::IsFinite::new()),
        ScalarUDF::from(justify_days::JustifyDays::new()),
        ScalarUDF::from(justify_hours::JustifyHours::new()),
        ScalarUDF::from(justify_interval::JustifyInterval::new()),
        ScalarUDF::from(make_date::MakeDate::new()),
        ScalarUDF::from(make_interval::MakeInterval::new()),
        ScalarUDF::from(make_time::MakeTime::new()),
        ScalarUDF::from(make_timestamp::MakeTimestamp::new()),
        ScalarUDF::from(make_timestamptz::MakeTimestamptz::new()),
        ScalarUDF::from(overlaps::Overlaps::new()),
        ScalarUDF::from(perhaps::Perhaps::new()),
        ScalarUDF::from(timezone::Timezone::new()),
        ScalarUDF::from(to_char::ToChar::new()),
        ScalarUDF::from(to_date::ToDate::new()),
        ScalarUDF::from(to_number::ToNumber::new()),
        ScalarUDF::from(to_timestamp::ToTimestamp::new()),
    ];
    functions.extend(now::Now::all().into_iter().map(ScalarUDF::from));
    let mut functions: Vec<_> = functions.into_iter().map(Arc::new).collect();
    functions.extend(array::functions());
    functions.extend(array_text::functions());
    functions.extend(row_key::functions());
    functions.extend(casts::functions());
    functions.extend(bytes::functions());
    functions.extend(codec::functions());
    functions.extend(concat::functions());
    functions.extend(format::functions());
    functions.extend(json::functions());
    functions.extend(list::functions());
    functions.extend(math::functions());
    functions.extend(pieces::functions());
    functions.extend(quantified::functions());
    functions.extend(quote::functions());
    functions.extend(regexp::functions());
    functions.extend(similar::functions());
    functions.extend(substring::functions());
    functions
}

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [ordered_set::functions(), regression::functions()].concat()
}
