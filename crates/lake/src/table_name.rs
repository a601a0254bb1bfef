//! A table's name, and the folder under the lake's root that holds it.

use object_store::path::Path;

use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }

    /// A table of the default schema, `public`.
    pub fn public(table: impl Into<String>) -> Self {
        Self::new("public", table)
    }

    /// Whether both parts can be folders.
    pub(crate) fn check(&self) -> Result<()> {
        const LONGEST_FOLDER: usize = 255;
        for name in [&self.schema, &self.table] {
            if name.is_empty() {
                return Err(Error::BadTableName(
                    self.to_string(),
                    "a part of it is empty",
                ));
            }
            if encode(name).len() > LONGEST_FOLDER {
                return Err(Error::BadTableName(
                    self.to_string(),
                    "it is too long for a folder",
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> Path {
        Path::from_iter([encode(&self.schema), encode(&self.table)])
    }

    /// The reverse of [`TableName::folder`]; `None` for folders that are not ours.
    pub(crate) fn from_folders(schema: &str, table: &str) -> Option<Self> {
        Some(Self::new(decode(schema)?, decode(table)?))
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// A PostgreSQL name may hold any character, a folder's may not. Everything but ASCII letters, digits, `-`, `_` and
/// `.` becomes `=` and two hexadecimal digits per byte; so do a leading `_` or `.`, which mean "hidden" to other readers.
fn encode(name: &str) -> String {
    let mut folder = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || byte == b'-'
            || (at > 0 && (byte == b'_' || byte == b'.'));
        if plain {
            folder.push(char::from(byte));
        } else {
            folder.push_str(&format!("={byte:02X}"));
        }
    }
    folder
}

fn decode(folder: &str) -> Option<String> {
    if folder.starts_with(['_', '.']) {
        return None;
    }
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'=' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, folder: &str) {
        assert_eq!(encode(name), folder);
        assert_eq!(decode(folder).as_deref(), Some(name));
    }

    #[test]
    fn plain_names_are_their_own_folder() {
        check("customer_identities", "customer_identities");
    }

    #[test]
    fn any_postgresql_name_has_a_folder() {
        check("Umsätze 2024/Q1", "Ums=C3=A4tze=202024=2FQ1");
        check("..", "=2E.");
        check("_x", "=5Fx");
        check("a=b%23", "a=3Db=2523");
    }

    #[test]
    fn our_own_folders_are_no_tables() {
        assert_eq!(decode("_rapport"), None);
        assert_eq!(decode("bad=Z1"), None);
    }
}
