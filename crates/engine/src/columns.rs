//! What PostgreSQL would call and type a result column.

use arrow::datatypes::DataType;

/// One column of a result, as a client sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Object identifier in `pg_type`.
    pub pg_type: u32,
    /// -1 when the type has no modifier.
    pub typmod: i32,
    /// What the batches of the stream hold.
    pub data_type: DataType,
}

/// Object identifiers of the types that a result or a parameter may have.
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}
