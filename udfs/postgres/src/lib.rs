//! What PostgreSQL has and DataFusion lacks, does differently, or does too slowly.

mod calendar;
mod date_trunc;
pub mod math;
pub mod numeric;
mod ordered_set;
pub mod refusal;

use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

/// Every scalar function of this crate; one that bears a name of DataFusion's replaces it.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = vec![Arc::new(ScalarUDF::from(date_trunc::DateTrunc::new()))];
    functions.extend(math::functions());
    functions
}

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    ordered_set::functions()
}
