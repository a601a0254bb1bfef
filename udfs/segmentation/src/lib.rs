//! Customers alike: scores and segments of recency, frequency and spend, clusters, and how good a grouping is.

mod agreement;
mod gmm;
mod kmeans;
mod rfm;

use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

/// Every scalar function of this crate.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let families = [gmm::SCALARS, kmeans::SCALARS, rfm::SCALARS];
    let all = families.iter().flat_map(|family| family.iter());
    all.map(|scalar| scalar.function()).collect()
}

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let families = [
        agreement::AGGREGATES,
        gmm::AGGREGATES,
        kmeans::AGGREGATES,
        rfm::AGGREGATES,
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
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/segmentation");
        check::slts(folder, &super::functions(), &super::aggregate_functions());
    }
}
