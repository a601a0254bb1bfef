//! `pg_prepared_statements` and `pg_cursors`: what a session has made. PostgreSQL, which is asked each statement by itself,
//! knows nothing of it, and is given the rows in a WITH, whose names hide those of the views.

use chrono::{DateTime, SecondsFormat};

use crate::lexer::{self, Token};
use crate::statement::Source;

pub struct PreparedRow<'a> {
    pub name: &'a str,
    pub source: &'a Source,
    pub params: &'a [u32],
}

pub struct CursorRow<'a> {
    pub name: &'a str,
    pub source: &'a Source,
    pub is_holdable: bool,
    pub is_binary: bool,
}

const PREPARED: &str = "pg_prepared_statements";
const CURSORS: &str = "pg_cursors";

/// Whether a query names one of the views.
pub fn are_named(sql: &str) -> bool {
    // Most do not, and need not be read.
    let lower = sql.to_ascii_lowercase();
    let has_view = [PREPARED, CURSORS].iter().any(|view| lower.contains(view));
    has_view && lexer::tokens(sql).iter().any(is_view)
}

/// The query over the session's own rows.
pub fn put_before(sql: &str, statements: &[PreparedRow<'_>], cursors: &[CursorRow<'_>]) -> String {
    let tokens = lexer::tokens(sql);
    let is = |at: usize, words: &[&str]| {
        let token = tokens.get(at);
        token.is_some_and(|token| words.iter().any(|word| token.is_word(word)))
    };
    let is_query = is(0, &["select", "with", "values", "table"])
        || tokens.first().is_some_and(|token| token.is_sign('('));
    if !is_query {
        return sql.to_owned();
    }
    let start = match (is(0, &["with"]), is(1, &["recursive"])) {
        (false, _) => 0,
        (true, false) => tokens[0].end,
        (true, true) => tokens[1].end,
    };
    let (opening, closing) = match start {
        0 => ("WITH ", " "),
        _ => (" ", ","),
    };
    let mut given = format!(
        "{}{opening}{PREPARED} AS ({}), {CURSORS} AS ({}){closing}",
        &sql[..start],
        of_statements(statements),
        of_cursors(cursors),
    );
    let mut end = start;
    for three in tokens.windows(3) {
        let [schema, dot, view] = three else {
            continue;
        };
        if is_view(view) && dot.is_sign('.') && schema.as_name() == Some("pg_catalog") {
            given.push_str(&sql[end..schema.start]);
            end = view.start;
        }
    }
    given.push_str(&sql[end..]);
    given
}

fn is_view(token: &Token) -> bool {
    matches!(token.as_name(), Some(PREPARED | CURSORS))
}

fn of_statements(statements: &[PreparedRow<'_>]) -> String {
    let mut rows = "SELECT NULL::text AS name, NULL::text AS statement, NULL::timestamptz AS prepare_time, \
                    NULL::regtype[] AS parameter_types, NULL::bool AS from_sql, NULL::int8 AS generic_plans, \
                    NULL::int8 AS custom_plans WHERE false"
        .to_owned();
    for statement in statements {
        let params: Vec<String> = statement.params.iter().map(u32::to_string).collect();
        rows += &format!(
            " UNION ALL SELECT {}, {}, {}, '{{{}}}', {}, 0, 0",
            literal(statement.name),
            literal(&statement.source.text),
            time(statement.source.at),
            params.join(","),
            statement.source.from_sql,
        );
    }
    rows
}

fn of_cursors(cursors: &[CursorRow<'_>]) -> String {
    let mut rows = "SELECT NULL::text AS name, NULL::text AS statement, NULL::bool AS is_holdable, \
                    NULL::bool AS is_binary, NULL::bool AS is_scrollable, NULL::timestamptz AS creation_time \
                    WHERE false"
        .to_owned();
    for cursor in cursors {
        // All go forward only.
        rows += &format!(
            " UNION ALL SELECT {}, {}, {}, {}, false, {}",
            literal(cursor.name),
            literal(&cursor.source.text),
            cursor.is_holdable,
            cursor.is_binary,
            time(cursor.source.at),
        );
    }
    rows
}

/// As it is, whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{text}'")
}

fn time(micros: i64) -> String {
    let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    literal(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, before: &str, after: &str) {
        assert!(are_named(sql), "{sql}");
        let source = Source {
            text: "select 'a'".into(),
            at: 1_000_000,
            from_sql: true,
        };
        let statement = PreparedRow {
            name: "p",
            source: &source,
            params: &[23, 25],
        };
        let given = put_before(sql, &[statement], &[]);
        assert!(given.starts_with(before), "{given}");
        assert!(given.ends_with(after), "{given}");
        let row =
            "SELECT E'p', E'select ''a''', E'1970-01-01T00:00:01.000000Z', '{23,25}', true, 0, 0)";
        assert!(given.contains(row), "{given}");
    }

    #[test]
    fn rows_stand_before_the_query() {
        check(
            "select name from pg_catalog.pg_prepared_statements s",
            "WITH pg_prepared_statements AS (SELECT NULL::text",
            " WHERE false) select name from pg_prepared_statements s",
        );
        check(
            "WITH RECURSIVE a AS (select 1) select * from pg_cursors",
            "WITH RECURSIVE pg_prepared_statements AS (",
            " WHERE false), a AS (select 1) select * from pg_cursors",
        );
    }

    #[test]
    fn other_queries_stay_as_they_are() {
        assert!(!are_named("select 'pg_cursors'"));
        assert!(!are_named("select pg_cursors_of"));
        assert_eq!(put_before("show pg_cursors", &[], &[]), "show pg_cursors");
    }
}
