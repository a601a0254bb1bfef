//! `pg_prepared_statements` and `pg_cursors`: what a session has made; `pg_stat_ssl`: who is connected, and how; and
//! `pg_backend_pid()`. PostgreSQL, which is asked each statement by itself, knows nothing of it, and is given the rows in a
//! WITH, whose names hide those of the views, and the number as a subquery.

use chrono::{DateTime, SecondsFormat};

use crate::cancel::Who;
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

/// What a session has made, and what it knows of the others.
pub struct Own<'a> {
    pub pid: i32,
    pub role: &'a str,
    pub statements: &'a [PreparedRow<'a>],
    pub cursors: &'a [CursorRow<'a>],
    pub sessions: &'a [(i32, Who)],
}

const PREPARED: &str = "pg_prepared_statements";
const CURSORS: &str = "pg_cursors";
const TLS: &str = "pg_stat_ssl";
const VIEWS: [&str; 3] = [PREPARED, CURSORS, TLS];
const PID: &str = "pg_backend_pid";

/// Whether a query names one of the views, or the function.
pub fn are_named(sql: &str) -> bool {
    // Most do not, and need not be read.
    let lower = sql.to_ascii_lowercase();
    let mut names = VIEWS.iter().chain([&PID]);
    names.any(|name| lower.contains(name)) && lexer::tokens(sql).iter().any(is_ours)
}

impl Own<'_> {
    /// The query over the session's own rows.
    pub fn put_before(&self, sql: &str) -> String {
        let sql = with_pid(sql, self.pid);
        if !lexer::tokens(&sql).iter().any(is_view) {
            return sql;
        }
        let given = format!(
            "{PREPARED} AS ({}), {CURSORS} AS ({}), {TLS} AS ({})",
            of_statements(self.statements),
            of_cursors(self.cursors),
            of_sessions(self.sessions, self.role),
        );
        put_before(&sql, &given)
    }
}

/// The query with the session's number where it asks for it. In FROM the function is a table, and stays one.
fn with_pid(sql: &str, pid: i32) -> String {
    let tokens = lexer::tokens(sql);
    let (mut given, mut end) = (String::new(), 0);
    for (at, three) in tokens.windows(3).enumerate() {
        let [name, open, close] = three else {
            continue;
        };
        if name.as_name() != Some(PID) || !open.is_sign('(') || !close.is_sign(')') {
            continue;
        }
        let is_qualified = at >= 2
            && tokens[at - 1].is_sign('.')
            && tokens[at - 2].as_name() == Some("pg_catalog");
        let first = if is_qualified { at - 2 } else { at };
        let before = first.checked_sub(1).map(|before| &tokens[before]);
        if before.is_some_and(|token| {
            token.is_word("from") || token.is_word("join") || token.is_sign('.')
        }) {
            continue;
        }
        given += &sql[end..tokens[first].start];
        given += &format!("(SELECT CAST({pid} AS int4) AS {PID})");
        end = close.end;
    }
    given + &sql[end..]
}

/// The query with what its views are given before it.
fn put_before(sql: &str, rows: &str) -> String {
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
    let mut given = format!("{}{opening}{rows}{closing}", &sql[..start]);
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
    token.as_name().is_some_and(|name| VIEWS.contains(&name))
}

fn is_ours(token: &Token) -> bool {
    is_view(token) || token.as_name() == Some(PID)
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

/// How other roles' sessions are encrypted is theirs to know.
fn of_sessions(sessions: &[(i32, Who)], role: &str) -> String {
    let mut rows = "SELECT NULL::int4 AS pid, NULL::bool AS ssl, NULL::text AS version, NULL::text AS cipher, NULL::int4 AS bits, \
                    NULL::text AS client_dn, NULL::numeric AS client_serial, NULL::text AS issuer_dn WHERE false"
        .to_owned();
    for (pid, who) in sessions {
        let told = match &who.cipher {
            _ if who.role != role => "NULL, NULL, NULL, NULL".to_owned(),
            None => "false, NULL, NULL, NULL".to_owned(),
            Some(cipher) => format!(
                "true, {}, {}, {}",
                literal(&cipher.version),
                literal(&cipher.name),
                cipher.bits
            ),
        };
        rows += &format!(" UNION ALL SELECT {pid}, {told}, NULL, NULL, NULL");
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
        let own = Own {
            pid: 7,
            role: "anna",
            statements: &[statement],
            cursors: &[],
            sessions: &[],
        };
        let given = own.put_before(sql);
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
        assert_eq!(put_before("show pg_cursors", ""), "show pg_cursors");
    }

    #[test]
    fn a_session_knows_its_number() {
        check_pid(
            "select 1 from pg_locks where pid <> pg_catalog.pg_backend_pid()",
            "select 1 from pg_locks where pid <> (SELECT CAST(7 AS int4) AS pg_backend_pid)",
        );
        check_pid(
            "select a, pg_backend_pid () from t",
            "select a, (SELECT CAST(7 AS int4) AS pg_backend_pid) from t",
        );
        for other in [
            "select * from pg_backend_pid()",
            "select s.pg_backend_pid()",
            "select 'pg_backend_pid()'",
        ] {
            check_pid(other, other);
        }
    }

    fn check_pid(sql: &str, expected: &str) {
        assert_eq!(with_pid(sql, 7), expected);
    }

    #[test]
    fn encryption_is_told_of_one_s_own_sessions() {
        let who = |role: &str, cipher| Who {
            role: role.to_owned(),
            cipher,
        };
        let cipher = crate::tls::Cipher {
            version: "TLSv1.3".to_owned(),
            name: "TLS_AES_256_GCM_SHA384".to_owned(),
            bits: 256,
        };
        let sessions = [
            (1, who("anna", Some(cipher.clone()))),
            (2, who("anna", None)),
            (3, who("ben", Some(cipher))),
        ];
        let rows = of_sessions(&sessions, "anna");
        let expected = " WHERE false UNION ALL SELECT 1, true, E'TLSv1.3', E'TLS_AES_256_GCM_SHA384', 256, NULL, NULL, NULL \
                        UNION ALL SELECT 2, false, NULL, NULL, NULL, NULL, NULL, NULL \
                        UNION ALL SELECT 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL";
        assert!(rows.ends_with(expected), "{rows}");
    }
}
