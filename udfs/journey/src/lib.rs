//! What customers did, in the order of time: sessions, funnels, sequences, retention, the summary of their purchases, and
//! which contact gets the credit.
//!
//! `window_funnel`, `sequence_match`, `sequence_count` and `sequence_next` answer as ClickHouse's windowFunnel, sequenceMatch,
//! sequenceCount and sequenceNextNode do, `retention` as its retention. Rows may come in any order.

mod arguments;
mod attribution_credits;
mod conditions;
mod grouped;
mod journeys;
mod lists;
mod moments;
mod retention;
mod rfm_summary;
mod sequence_count;
mod sequence_match;
mod sequence_next;
mod session_id;
mod window_funnel;

use std::sync::Arc;

use arrow::datatypes::Fields;
use datafusion_expr::{AggregateUDF, WindowUDF};

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let functions = vec![
        AggregateUDF::from(retention::Retention::new()),
        AggregateUDF::from(rfm_summary::RfmSummary::new()),
        AggregateUDF::from(sequence_count::SequenceCount::new()),
        AggregateUDF::from(sequence_match::SequenceMatch::new()),
        AggregateUDF::from(sequence_next::SequenceNext::new()),
        AggregateUDF::from(window_funnel::WindowFunnel::new()),
    ];
    let mut all: Vec<Arc<AggregateUDF>> = functions.into_iter().map(Arc::new).collect();
    all.push(attribution_credits::AGGREGATE.function());
    all
}

/// The columns of the row that a function of this crate answers.
pub fn columns(function: &AggregateUDF) -> Option<&'static Fields> {
    let function = function.inner().downcast_ref::<rfm_summary::RfmSummary>();
    function.map(|_| &*rfm_summary::FIELDS)
}

/// Every window function of this crate.
pub fn window_functions() -> Vec<Arc<WindowUDF>> {
    vec![Arc::new(WindowUDF::from(session_id::SessionId::new()))]
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    #[test]
    fn each_function_has_its_page() {
        check::pages(&[], &super::aggregate_functions());
        for function in super::window_functions() {
            check::documented(function.name(), function.documentation());
        }
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/journey");
        check::slts(folder, &[], &super::aggregate_functions());
        let windows = super::window_functions();
        check::called(folder, windows.iter().map(|function| function.name()));
    }
}
