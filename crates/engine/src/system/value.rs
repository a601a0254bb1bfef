//! PostgreSQL's values as the engine holds them.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, Date32Array, Float32Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, Field, FieldRef, Schema},
};
use bytes::Bytes;
use rapport_catalog_lake::present_schema;
use rapport_catalog_postgres::Field as Described;
use rapport_lake::PG_TYPE;

use crate::{
    Result, coerce,
    columns::oid,
    pg_type::{self, PgType},
};

/// Between 1970-01-01 and 2000-01-01, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Types whose values are numbers of objects and whose text is the object's name.
const REGS: [(u32, &str); 11] = [
    (24, "regproc"),
    (2202, "regprocedure"),
    (2203, "regoper"),
    (2204, "regoperator"),
    (2205, "regclass"),
    (2206, "regtype"),
    (3734, "regconfig"),
    (3769, "regdictionary"),
    (4089, "regnamespace"),
    (4096, "regrole"),
    (4191, "regcollation"),
];

pub(super) fn reg_name(name: &str) -> Option<&'static str> {
    REGS.iter()
        .find(|(_, reg)| *reg == name)
        .map(|(_, reg)| *reg)
}

/// Which of those types a field is of.
pub(crate) fn reg_type(field: &Field) -> Option<&'static str> {
    let name = field.metadata().get(PG_TYPE)?;
    (field.data_type() == &DataType::Int64).then(|| reg_name(name))?
}

/// A column of PostgreSQL's answer: what it is to the engine, and in which form it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub field: FieldRef,
    pub format: i16,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Four bytes.
    Number,
    Typed(PgType),
}

impl Kind {
    /// A type that the engine knows nothing of is text to it, which is what clients see of it.
    pub(super) fn of(described: &Described) -> Self {
        let reg = REGS.iter().find(|(oid, _)| *oid == described.type_oid);
        let (what, stored, name) = match reg {
            Some((_, name)) => (What::Number, DataType::Int64, (*name).to_owned()),
            None => {
                let known = PgType::of_oid(described.type_oid, described.type_modifier);
                let pg_type = known.unwrap_or_else(PgType::text);
                let (stored, name) = (pg_type.storage(), pg_type.name());
                (What::Typed(pg_type), stored, name)
            }
        };
        let is_binary = match &what {
            What::Number => true,
            What::Typed(pg_type) => matches!(
                pg_type.kind,
                pg_type::Kind::Float4
                    | pg_type::Kind::Float8
                    | pg_type::Kind::Bytea
                    | pg_type::Kind::Date
                    | pg_type::Kind::Timestamp
                    | pg_type::Kind::Timestamptz
            ),
        };
        let field = Field::new(&described.name, stored, true)
            .with_metadata([(PG_TYPE.to_owned(), name)].into());
        let presented = present_schema(&Schema::new(vec![field]));
        Self {
            field: presented.fields()[0].clone(),
            format: i16::from(is_binary),
            what,
        }
    }

    pub(super) fn array(&self, values: &[Option<Bytes>]) -> Result<ArrayRef> {
        let array: ArrayRef = match &self.what {
            What::Number => {
                let numbers = values
                    .iter()
                    .map(|value| Some(i64::from(u32::from_be_bytes(fixed(value)?))));
                Arc::new(numbers.collect::<Int64Array>())
            }
            What::Typed(pg_type) => match pg_type.kind {
                pg_type::Kind::Float4 => {
                    let floats = values
                        .iter()
                        .map(|value| Some(f32::from_be_bytes(fixed(value)?)));
                    Arc::new(floats.collect::<Float32Array>())
                }
                pg_type::Kind::Float8 => {
                    let floats = values
                        .iter()
                        .map(|value| Some(f64::from_be_bytes(fixed(value)?)));
                    Arc::new(floats.collect::<Float64Array>())
                }
                pg_type::Kind::Bytea => {
                    let bytes = values.iter().map(|value| value.as_deref());
                    Arc::new(bytes.collect::<BinaryArray>())
                }
                pg_type::Kind::Date => {
                    let days = values.iter().map(|value| {
                        Some(i32::from_be_bytes(fixed(value)?).saturating_add(EPOCH_DAYS))
                    });
                    Arc::new(days.collect::<Date32Array>())
                }
                pg_type::Kind::Timestamp | pg_type::Kind::Timestamptz => {
                    let micros = values.iter().map(|value| {
                        Some(i64::from_be_bytes(fixed(value)?).saturating_add(EPOCH_MICROS))
                    });
                    Arc::new(
                        micros
                            .collect::<TimestampMicrosecondArray>()
                            .with_timezone("UTC"),
                    )
                }
                _ => {
                    let texts: StringArray = values
                        .iter()
                        .map(|value| value.as_deref().map(String::from_utf8_lossy))
                        .collect();
                    coerce::from_text(&texts, pg_type, &pg_type.storage())?
                }
            },
        };
        Ok(cast(&array, self.field.data_type())?)
    }
}

fn fixed<const N: usize>(value: &Option<Bytes>) -> Option<[u8; N]> {
    value.as_deref()?.try_into().ok()
}

/// The columns of rows that came as bodies of DataRow messages.
pub(super) fn columns(rows: &[Bytes], kinds: &[Kind]) -> Result<Vec<ArrayRef>> {
    let mut values: Vec<Vec<Option<Bytes>>> = vec![Vec::with_capacity(rows.len()); kinds.len()];
    for row in rows {
        let mut rest = row.slice(2.min(row.len())..);
        for values in &mut values {
            values.push(next(&mut rest));
        }
    }
    let arrays = kinds
        .iter()
        .zip(&values)
        .map(|(kind, values)| kind.array(values));
    arrays.collect()
}

/// A length and so many bytes; no length is NULL.
fn next(rest: &mut Bytes) -> Option<Bytes> {
    let (length, _) = rest.split_first_chunk::<4>()?;
    let length = i32::from_be_bytes(*length);
    let _ = rest.split_to(4);
    let length = usize::try_from(length).ok()?;
    Some(rest.split_to(length.min(rest.len())))
}

/// What a parameter holding such values is declared as: numbers of objects are oid.
pub(super) fn parameter_oid(field: &Field) -> u32 {
    match reg_type(field) {
        Some(_) => oid::OID,
        None => crate::columns::column_type(field).oid,
    }
}
