//! The sources in `catalogs/sources`, embedded in the binary.

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../catalogs/sources/", $name, ".toml")))),+]
    };
}

/// Name and TOML text.
pub const SOURCES: &[(&str, &str)] = shipped!(
    "cdnow",
    "csv",
    "ecom_events",
    "hillstrom",
    "jsonl",
    "online_retail",
    "rapport",
    "support_tickets",
);
