//! Names longer than PostgreSQL keeps them, cut before anyone reads the statement.

use crate::lexer::{self, Kind, Piece, Token};

/// Bytes of a name that are kept.
const MAX_BYTES: usize = 63;

/// A message whose long names have been cut.
#[derive(Debug, PartialEq)]
pub struct Cut {
    /// Spaces stand where the ends of the names were, so that every place in it is what it was.
    pub sql: String,
    /// What has become of each, for the client.
    pub told: Vec<String>,
}

/// `None` if no name in its statements is too long.
pub fn cut(sql: &str, pieces: &[Piece<'_>]) -> Option<Cut> {
    let is_long = |piece: &Piece| {
        let mut tokens = piece.tokens.iter();
        tokens.any(|token| too_long(token, piece.text).is_some())
    };
    if !pieces.iter().any(is_long) {
        return None;
    }
    let mut cut = Cut {
        sql: String::new(),
        told: vec![],
    };
    let mut taken = 0;
    for token in lexer::tokens(sql) {
        let Some((name, kept)) = too_long(&token, sql) else {
            continue;
        };
        let written = match token.kind {
            Kind::Name(_) => format!("\"{}\"", kept.replace('"', "\"\"")),
            _ => kept.to_owned(),
        };
        let before = sql[token.start..token.end].chars().count();
        let spaces = before - written.chars().count();
        cut.sql.push_str(&sql[taken..token.start]);
        cut.sql.push_str(&written);
        cut.sql.extend(std::iter::repeat_n(' ', spaces));
        cut.told.push(format!(
            "identifier \"{name}\" will be truncated to \"{kept}\""
        ));
        taken = token.end;
    }
    cut.sql.push_str(&sql[taken..]);
    Some(cut)
}

/// The name and what is kept of it.
fn too_long<'a>(token: &'a Token, text: &str) -> Option<(&'a str, &'a str)> {
    let name = token.as_name().filter(|name| name.len() > MAX_BYTES)?;
    // How long `U&"…"` is cannot be seen here.
    if text[..token.start].ends_with("U&") || text[..token.start].ends_with("u&") {
        return None;
    }
    Some((name, &name[..name.floor_char_boundary(MAX_BYTES)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::split;

    fn check(sql: &str, expected: Option<&str>) {
        let cut = cut(sql, &split(sql));
        assert_eq!(cut.as_ref().map(|cut| cut.sql.as_str()), expected);
        if let Some(cut) = cut {
            assert_eq!(cut.sql.chars().count(), sql.chars().count());
        }
    }

    #[test]
    fn names_of_63_bytes_and_long_texts_stay() {
        let name = "n".repeat(63);
        let text = "t".repeat(100);
        check(
            &format!("select {name}, \"{name}\", '{text}' -- {text}"),
            None,
        );
    }

    #[test]
    fn the_end_of_a_long_name_becomes_spaces() {
        let name = "n".repeat(63);
        check(
            &format!("; select {name}xy; select 1 as \"{name}xy\"+1"),
            Some(&format!("; select {name}  ; select 1 as \"{name}\"  +1")),
        );
    }

    #[test]
    fn no_character_is_cut_in_the_middle() {
        let name = "ä".repeat(31);
        check(
            &format!("select \"{name}äb\""),
            Some(&format!("select \"{name}\"  ")),
        );
    }

    #[test]
    fn doubled_quotes_count_once() {
        let name = "\"\"".repeat(63);
        check(&format!("select 1 as \"{name}\""), None);
        check(
            &format!("select 1 as \"{name}\"\"\""),
            Some(&format!("select 1 as \"{name}\"  ")),
        );
    }
}
