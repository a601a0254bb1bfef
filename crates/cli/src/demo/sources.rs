//! How the synthetic company's files are to be read: by the sources that anyone's files go through.

use rapport_intake::Source;

use crate::failure::Result;

pub struct DemoSource {
    /// Under `files/`; also the table.
    pub folder: &'static str,
    pub source: Source,
}

/// In the order of loading: who the customers are comes first, so that what they did finds them.
const TABLES: &[&str] = &[
    "products",
    "agents",
    "campaigns",
    "offers",
    "channel_costs",
    "code_dictionary",
    "customers",
    "customer_identities",
    "interactions",
    "consents",
];

pub fn all() -> Result<Vec<DemoSource>> {
    TABLES.iter().map(|table| source(table)).collect()
}

fn source(table: &'static str) -> Result<DemoSource> {
    let source = if table == "interactions" {
        Source::find("rapport", &[])?
    } else {
        let text =
            format!("about = \"{table} of the demo\"\nformat = \"parquet\"\ntable = \"{table}\"");
        Source::parse("rapport", &text, "the demo's own")?
    };
    Ok(DemoSource {
        folder: table,
        source,
    })
}
