//! What PostgreSQL has and DataFusion lacks, does differently, or does too slowly.

mod calendar;
mod date_trunc;
pub mod refusal;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

/// Every scalar function of this crate; one that bears a name of DataFusion's replaces it.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::from(date_trunc::DateTrunc::new()))]
}
