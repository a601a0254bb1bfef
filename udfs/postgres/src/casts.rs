//! Casts of texts to types that are texts with rules: uuid, char(n), varchar(n), and to bytea.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;
use uuid::Uuid;

use crate::{
    codec::bytea,
    refusal::{not_supported, refuse},
    simple::{Call, Kind, Overload, simple},
};

/// What the planner calls them.
pub const TO_UUID: &str = "\u{1}uuid";
pub const TO_CHAR: &str = "\u{1}bpchar";
pub const TO_VARCHAR: &str = "\u{1}varchar";
pub const TO_BYTEA: &str = "\u{1}bytea";
/// A char(n) as text: without the spaces at its end.
pub const UNPADDED: &str = "\u{1}unpadded";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const UUID: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Uuid,
        work: to_uuid,
    }];
    const CHAR: &[Overload] = &[Overload {
        takes: &[Kind::Text, Kind::Int],
        more: None,
        gives: Kind::Text,
        work: to_char,
    }];
    const VARCHAR: &[Overload] = &[Overload {
        takes: &[Kind::Text, Kind::Int],
        more: None,
        gives: Kind::Text,
        work: to_varchar,
    }];
    const BYTEA: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Bytea,
        work: to_bytea,
    }];
    const TYPE_OF: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Text,
        work: unplanned,
    }];
    const RANDOM: &[Overload] = &[Overload {
        takes: &[],
        more: None,
        gives: Kind::Uuid,
        work: random,
    }];
    vec![
        simple(
            TO_UUID,
            "text::uuid",
            "A text as uuid, in lower case with hyphens.",
            UUID,
        )
        .udf(),
        simple(
            TO_CHAR,
            "text::char(n)",
            "A text of exactly so many characters.",
            CHAR,
        )
        .udf(),
        simple(
            TO_VARCHAR,
            "text::varchar(n)",
            "A text of at most so many characters.",
            VARCHAR,
        )
        .udf(),
        simple(
            TO_BYTEA,
            "text::bytea",
            "The bytes that a text describes.",
            BYTEA,
        )
        .udf(),
        unpadded_texts(),
        simple(
            "pg_typeof",
            "pg_typeof(any)",
            "The name of a value's type.",
            TYPE_OF,
        )
        .udf(),
        simple(
            "gen_random_uuid",
            "gen_random_uuid()",
            "A new random uuid.",
            RANDOM,
        )
        .random()
        .udf(),
    ]
}

/// [`UNPADDED`].
pub fn unpadded_texts() -> Arc<ScalarUDF> {
    const PLAIN: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Text,
        work: unpadded,
    }];
    simple(
        UNPADDED,
        "char::text",
        "Without the spaces at the end.",
        PLAIN,
    )
    .udf()
}

/// In any of the ways that PostgreSQL takes. 22P02 if it is none.
pub fn uuid(text: &str) -> Result<Uuid> {
    let invalid = || {
        refuse(
            "22P02",
            format!("invalid input syntax for type uuid: \"{text}\""),
        )
    };
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    // Hyphens may stand behind every four digits.
    let mut digits = String::with_capacity(32);
    let mut may_part = false;
    for c in inner.chars() {
        if c == '-' {
            if !may_part {
                return Err(invalid());
            }
            may_part = false;
        } else if c.is_ascii_hexdigit() && digits.len() < 32 {
            digits.push(c);
            may_part = digits.len().is_multiple_of(4) && digits.len() < 32;
        } else {
            return Err(invalid());
        }
    }
    if digits.len() != 32 {
        return Err(invalid());
    }
    Uuid::try_parse(&digits).map_err(|_| invalid())
}

fn to_uuid(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let value = uuid(texts.of(row))?;
        out.push_str(value.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        Ok(())
    })
}

fn random(call: &Call) -> Result<ArrayRef> {
    call.texts(|_, out| {
        let value = Uuid::new_v4();
        out.push_str(value.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        Ok(true)
    })
}

/// The planner answers it: values do not know their type.
fn unplanned(_: &Call) -> Result<ArrayRef> {
    Err(not_supported("pg_typeof is only planned in a session", ""))
}

fn to_char(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let wanted = usize::try_from(call.int(1, row).unwrap_or(1)).unwrap_or(1);
        out.extend(texts.of(row).chars().take(wanted));
        let missing = wanted.saturating_sub(out.chars().count());
        out.extend(std::iter::repeat_n(' ', missing));
        Ok(())
    })
}

fn to_varchar(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let most = usize::try_from(call.int(1, row).unwrap_or(1)).unwrap_or(1);
        out.extend(texts.of(row).chars().take(most));
        Ok(())
    })
}

fn to_bytea(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.byteas(|row| texts.get(row).map(bytea).transpose())
}

fn unpadded(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        out.push_str(texts.of(row).trim_end_matches(' '));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn uuids_are_read_as_postgres_reads_them() {
        let expected = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            expected,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(uuid(text).expect(text).to_string(), expected);
        }
        for text in [
            "",
            "a0eebc99",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
        ] {
            assert!(uuid(text).is_err(), "{text}");
        }
    }
}
