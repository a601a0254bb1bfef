//! SQL text from values.

/// `name` as an identifier, always quoted.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a literal that means the same whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// `schema.table`, quoted.
pub(crate) fn relation(name: &rapport_lake::TableName) -> String {
    format!("{}.{}", ident(&name.schema), ident(&name.table))
}

/// `"a", "b"`.
pub(crate) fn idents<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| ident(name.as_ref())).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn a_backslash_in_a_literal_stays_a_backslash() {
        assert_eq!(literal(r"it's \n"), r"E'it''s \\n'");
    }
}
