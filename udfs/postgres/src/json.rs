//! JSON as PostgreSQL has it: `json` is the text as it came, `jsonb` is its canonical text.
//!
//! The canonical text has each key once, the last of equal ones, shorter keys first; one space behind `:` and `,`; escapes
//! only where they are needed; numbers without exponents. Values of both types are texts here, and each function reads
//! them once.

mod build;
mod canonical;
mod change;
mod compare;
mod contain;
mod get;
mod order;
mod query;
mod scalar;
mod scan;
mod sets;
mod value;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

pub use build::{AGGREGATED, AGGREGATED_FRAGMENT, FRAGMENT, ITEM, LINE, MEMBER, ROW, ROW_ON_LINES};
pub use canonical::{TO_JSON, TO_JSONB, canonical, check};
pub use get::{GET_JSON, GET_JSON_TEXT, GET_JSONB, GET_JSONB_TEXT};
pub use order::SORT_KEY;
pub use scalar::SCALAR;

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        build::functions(),
        canonical::functions(),
        change::functions(),
        compare::functions(),
        contain::functions(),
        get::functions(),
        order::functions(),
        query::functions(),
        scalar::functions(),
        sets::functions(),
    ]
    .concat()
}
