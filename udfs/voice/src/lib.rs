//! What customers say: NPS, CSAT, CES and the shares of a Likert scale, each with its confidence interval.
//!
//! All of them add up answers to one question. The score comes first, then constants that may be left out from the end on,
//! then, where a sample does not look like the base, the weight of each answer.

mod answers;
mod ces;
mod csat;
mod likert;
mod nps;
mod scale;
mod tally;

use std::sync::Arc;

use datafusion_expr::AggregateUDF;

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [
        nps::functions(),
        csat::functions(),
        ces::functions(),
        likert::functions(),
    ]
    .concat()
}
