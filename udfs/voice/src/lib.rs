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

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    #[test]
    fn each_function_has_its_page() {
        check::pages(&[], &super::aggregate_functions());
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/voice");
        check::slts(folder, &[], &super::aggregate_functions());
    }
}
