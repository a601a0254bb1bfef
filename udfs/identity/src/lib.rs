//! Who is who: how alike two names are.

mod jaro_winkler;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

/// Every scalar function of this crate.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    jaro_winkler::functions()
}
