//! What to recommend, from who has had what: items alike, the best new items for each customer, and how good they were.
//!
//! Customers and items are texts, numbers or whatever else names them; the answer has them in the type in which they came.

mod als_recommend;
mod item_neighbours;
mod ranking_quality;
mod who_had_what;

use std::sync::Arc;

use datafusion_expr::AggregateUDF;

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let all = [
        als_recommend::AGGREGATE,
        item_neighbours::AGGREGATE,
        ranking_quality::AGGREGATE,
    ];
    all.map(|aggregate| aggregate.function()).to_vec()
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    #[test]
    fn each_function_has_its_page() {
        check::pages(&[], &super::aggregate_functions());
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/slt/recommendation"
        );
        check::slts(folder, &[], &super::aggregate_functions());
    }
}
