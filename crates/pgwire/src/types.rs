//! What the protocol has to know about PostgreSQL's types: sizes, and which array holds which element.

use rapport_engine::oid;

/// `pg_type.typlen`: what RowDescription says about the size.
pub fn size(type_oid: u32) -> i16 {
    match type_oid {
        oid::BOOL | CHAR => 1,
        oid::INT2 => 2,
        oid::INT4 | oid::FLOAT4 | oid::OID | oid::DATE => 4,
        oid::INT8 | oid::FLOAT8 | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME => 8,
        TIMETZ => 12,
        oid::UUID | oid::INTERVAL => 16,
        oid::NAME => 64,
        oid::UNKNOWN => -2,
        _ => -1,
    }
}

/// `"char"`, one byte.
pub const CHAR: u32 = 18;
pub const TIMETZ: u32 = 1266;

const ARRAYS: [(u32, u32); 24] = [
    (1000, oid::BOOL),
    (1001, oid::BYTEA),
    (1002, CHAR),
    (1003, oid::NAME),
    (1005, oid::INT2),
    (1007, oid::INT4),
    (1009, oid::TEXT),
    (1014, oid::BPCHAR),
    (1015, oid::VARCHAR),
    (1016, oid::INT8),
    (1021, oid::FLOAT4),
    (1022, oid::FLOAT8),
    (1028, oid::OID),
    (199, oid::JSON),
    (1115, oid::TIMESTAMP),
    (1182, oid::DATE),
    (1183, oid::TIME),
    (1185, oid::TIMESTAMPTZ),
    (1187, oid::INTERVAL),
    (1231, oid::NUMERIC),
    (1270, TIMETZ),
    (2287, oid::RECORD),
    (2951, oid::UUID),
    (3807, oid::JSONB),
];

/// The array type of such elements.
pub fn array_of(element_oid: u32) -> Option<u32> {
    let mut arrays = ARRAYS.iter();
    let found = arrays.find(|(_, element)| *element == element_oid);
    found.map(|(array, _)| *array)
}

/// Whether values of the type are text in the binary form too; `None` if parts of them are.
pub fn is_text_in_binary(type_oid: u32) -> Option<bool> {
    const XML: u32 = 142;
    match type_oid {
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN | CHAR | XML => {
            Some(true)
        }
        oid::JSON | oid::JSONB => Some(true),
        oid::RECORD => None,
        other => match element_of(other) {
            Some(element) if is_text_in_binary(element) != Some(false) => None,
            _ => Some(false),
        },
    }
}

/// The type of an array's elements.
pub fn element_of(array_oid: u32) -> Option<u32> {
    ARRAYS
        .iter()
        .find(|(array, _)| *array == array_oid)
        .map(|(_, element)| *element)
}
