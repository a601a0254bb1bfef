//! What customers who never sign off are worth: models of when they buy, whether they are still there, and what they spend.
//!
//! Each model has its fit, an aggregate that answers a row of parameters, and scalars that take these parameters.

mod bgbb;
mod bgnbd;
mod customer_lifetime_value;
mod gamma_gamma;
mod history;
mod mbgnbd;
mod nbd;
mod pnbd;
#[cfg(test)]
mod simulated;

use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

/// Every scalar function of this crate.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let families = [
        bgbb::SCALARS,
        bgnbd::SCALARS,
        customer_lifetime_value::SCALARS,
        gamma_gamma::SCALARS,
        mbgnbd::SCALARS,
        nbd::SCALARS,
        pnbd::SCALARS,
    ];
    let all = families.iter().flat_map(|family| family.iter());
    all.map(|scalar| scalar.function()).collect()
}

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let families = [
        bgbb::AGGREGATES,
        bgnbd::AGGREGATES,
        gamma_gamma::AGGREGATES,
        mbgnbd::AGGREGATES,
        nbd::AGGREGATES,
        pnbd::AGGREGATES,
    ];
    let all = families.iter().flat_map(|family| family.iter());
    all.map(|aggregate| aggregate.function()).collect()
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    #[test]
    fn each_function_has_its_page() {
        check::pages(&super::functions(), &super::aggregate_functions());
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/clv");
        check::slts(folder, &super::functions(), &super::aggregate_functions());
    }
}
