//! What is put around a client's statement: its role and its settings.

use std::time::Duration;

use crate::catalogue::{Catalogue, Settings};
use crate::error::{Error, ErrorFields, Result};
use crate::quote;

/// Settings that would undo what surrounds the statement.
const OURS: [&str; 5] = [
    "role",
    "session_authorization",
    "transaction_read_only",
    "transaction_isolation",
    "transaction_deferrable",
];

/// Opens a read-only transaction that is the role's own in every respect.
///
/// The settings come after the role, so that PostgreSQL judges whether the role may set them.
pub(crate) fn begin(role: &str, settings: &Settings) -> Result<String> {
    Ok(format!("BEGIN READ ONLY;{}", become_role(role, settings)?))
}

/// The same behind definitions that nobody else sees.
pub(crate) fn begin_after(
    role: &str,
    earlier: &[(Settings, String)],
    settings: &Settings,
) -> Result<String> {
    if earlier.is_empty() {
        return begin(role, settings);
    }
    Ok(format!(
        "BEGIN;{}SET LOCAL search_path TO DEFAULT;SET TRANSACTION READ ONLY;{}",
        again(role, earlier)?,
        become_role(role, settings)?
    ))
}

/// The rest of the open transaction is the role's own.
pub(crate) fn become_role(role: &str, settings: &Settings) -> Result<String> {
    let mut sql = match role {
        // Who is connected: a server may call its superuser otherwise.
        Catalogue::OWNER => "SET LOCAL ROLE NONE".to_owned(),
        role => format!("SET LOCAL SESSION AUTHORIZATION {}", quote::ident(role)),
    };
    for (name, value) in settings {
        if !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            sql.push(';');
            sql.push_str(&set(name, value)?);
        }
    }
    Ok(sql)
}

/// Definitions that were judged before, each as the role and with its settings. They are single statements: PostgreSQL
/// has taken each through the extended protocol.
pub(crate) fn again(role: &str, definitions: &[(Settings, String)]) -> Result<String> {
    let mut sql = String::new();
    for (settings, definition) in definitions {
        sql.push_str("SET LOCAL search_path TO DEFAULT;");
        sql.push_str(&become_role(role, settings)?);
        // The line's end, because the definition may end with a comment.
        sql.push_str(&format!(";{definition}\n;"));
    }
    Ok(sql)
}

/// `SET LOCAL name = value`.
pub(crate) fn set(name: &str, value: &str) -> Result<String> {
    let quoted = if ["search_path", "temp_tablespaces"]
        .iter()
        .any(|list| list.eq_ignore_ascii_case(name))
    {
        // A list of names: quoted as one, it would be one name.
        let names: Vec<String> = names(value)
            .iter()
            .map(|name| quote::literal(name))
            .collect();
        if names.is_empty() {
            "''".into()
        } else {
            names.join(", ")
        }
    } else {
        quote::literal(value)
    };
    Ok(format!("SET LOCAL {} = {quoted}", self::name(name)?))
}

pub(crate) fn reset(name: &str) -> Result<String> {
    Ok(format!("SET LOCAL {} TO DEFAULT", self::name(name)?))
}

/// A setting's name as SQL takes it; `a.b` for those of extensions.
pub(crate) fn name(name: &str) -> Result<String> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
    };
    if OURS
        .iter()
        .take(2)
        .any(|ours| ours.eq_ignore_ascii_case(name))
        || !name.split('.').all(is_plain)
    {
        return Err(Error::Postgres(Box::new(ErrorFields {
            severity: "ERROR".into(),
            code: "42704".into(),
            message: format!("unrecognized configuration parameter \"{name}\""),
            ..ErrorFields::default()
        })));
    }
    let parts: Vec<String> = name.split('.').map(quote::ident).collect();
    Ok(parts.join("."))
}

/// The names of a list such as `"$user", public`, folded as PostgreSQL does.
fn names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut is_quoted = false;
    let mut chars = list.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                name.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(std::mem::take(&mut name)),
            _ if is_quoted => name.push(char),
            _ if char.is_whitespace() => {}
            _ => name.extend(char.to_lowercase()),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

/// The session's own bound, if it has one.
pub(crate) fn timeout(settings: &Settings) -> Option<Duration> {
    let value = settings
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("statement_timeout"))?
        .1
        .trim();
    let digits = value
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(value.len());
    let number: u64 = value[..digits].parse().ok()?;
    let unit_ms = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    (number > 0).then(|| Duration::from_millis(number.saturating_mul(unit_ms)))
}

/// The first `n` words of a statement in lower case, behind comments and parentheses.
pub(crate) fn first_words(sql: &str, n: usize) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while words.len() < n {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == '(');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if rest.starts_with("/*") {
            rest = behind_comment(rest);
        } else {
            let end = rest
                .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
                .unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            words.push(rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        }
    }
    words
}

/// Comments nest in PostgreSQL.
fn behind_comment(sql: &str) -> &str {
    let bytes = sql.as_bytes();
    let mut depth = 0;
    let mut i = 0;
    while i + 1 < bytes.len() {
        match &bytes[i..i + 2] {
            b"/*" => {
                depth += 1;
                i += 2;
            }
            b"*/" => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return &sql[i..];
                }
            }
            _ => i += 1,
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_stays_a_list() {
        let sql =
            set("search_path", "\"$user\", Public, \"My, \"\"one\"\"\"").expect("a good name");
        assert_eq!(
            sql,
            "SET LOCAL \"search_path\" = '$user', 'public', 'My, \"one\"'"
        );
    }

    #[test]
    fn a_setting_can_not_carry_a_statement() {
        assert!(set("a = 1; commit; --", "x").is_err());
        let sql = set("TimeZone", "x'; commit; --").expect("a good name");
        assert_eq!(sql, "SET LOCAL \"TimeZone\" = 'x''; commit; --'");
    }

    #[test]
    fn a_role_can_not_carry_a_statement() {
        let sql = begin("a\"; commit; --", &Settings::new()).expect("no settings");
        assert_eq!(
            sql,
            "BEGIN READ ONLY;SET LOCAL SESSION AUTHORIZATION \"a\"\"; commit; --\""
        );
    }

    #[test]
    fn what_surrounds_the_statement_is_not_a_setting() {
        let settings = Settings::from([
            ("Role".into(), "postgres".into()),
            ("transaction_read_only".into(), "off".into()),
        ]);
        let sql = begin("ann", &settings).expect("good names");
        assert_eq!(
            sql,
            "BEGIN READ ONLY;SET LOCAL SESSION AUTHORIZATION \"ann\""
        );
    }

    #[test]
    fn a_timeout_is_read_in_every_unit() {
        let of = |value: &str| {
            timeout(&Settings::from([(
                "statement_timeout".into(),
                value.into(),
            )]))
        };
        assert_eq!(of("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(of("2 min"), Some(Duration::from_secs(120)));
        assert_eq!(of("0"), None);
    }
}
