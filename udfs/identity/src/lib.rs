//! Who is who: how alike two names are.

mod jaro_winkler;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

/// Every scalar function of this crate.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    jaro_winkler::functions()
}

#[cfg(test)]
mod tests {
    use rapport_udf_face::check;

    #[test]
    fn each_function_has_its_page() {
        check::pages(&super::functions(), &[]);
    }

    #[test]
    fn each_function_has_its_slt() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/identity");
        check::slts(folder, &super::functions(), &[]);
    }
}
