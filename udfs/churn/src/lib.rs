//! Who leaves, when, and what makes them; and whether those who say so can be trusted.
//!
//! Contracts (`sbg`, `bdw`), durations (`survival`, `cox`, `weibull_aft`), propensity (`logistic`, `ridge_logistic`, `boosting`),
//! how good a score is (`metrics`) and how it is made a probability (`platt`, `isotonic`), and what a campaign changed
//! (`uplift`). A fit is an aggregate that answers a row; scalars take its columns.

mod bdw;
mod boosting;
mod cohorts;
mod cox;
mod durations;
#[cfg(test)]
mod freireich;
mod isotonic;
mod logistic;
mod metrics;
mod platt;
mod ridge_logistic;
mod sbg;
mod survival;
mod uplift;
mod weibull_aft;

use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

/// Every scalar function of this crate.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let families = [
        bdw::SCALARS,
        boosting::SCALARS,
        isotonic::SCALARS,
        logistic::SCALARS,
        sbg::SCALARS,
        weibull_aft::SCALARS,
    ];
    let all = families.iter().flat_map(|family| family.iter());
    all.map(|scalar| scalar.function()).collect()
}

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let families = [
        bdw::AGGREGATES,
        boosting::AGGREGATES,
        cox::AGGREGATES,
        isotonic::AGGREGATES,
        logistic::AGGREGATES,
        metrics::AGGREGATES,
        platt::AGGREGATES,
        ridge_logistic::AGGREGATES,
        sbg::AGGREGATES,
        survival::AGGREGATES,
        uplift::AGGREGATES,
        weibull_aft::AGGREGATES,
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
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/churn");
        check::slts(folder, &super::functions(), &super::aggregate_functions());
    }
}
