//! `pg_prepared_statements` and `pg_cursors`: what a session has made; `pg_stat_activity` and `pg_stat_ssl`: who is connected,
//! how, and what each one does; and `pg_backend_pid()`. PostgreSQL, which is asked each statement by itself, knows nothing of it, and is given the rows in a
//! WITH, whose names hide those of the views, and the number as a subquery.

use chrono::{DateTime, SecondsFormat};

use crate::lexer::{self, Token};
use crate::registry::{Doing, Seen};
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
    pub sessions: &'a [Seen],
}

const PREPARED: &str = "pg_prepared_statements";
const CURSORS: &str = "pg_cursors";
const TLS: &str = "pg_stat_ssl";
const ACTIVITY: &str = "pg_stat_activity";
const VIEWS: [&str; 4] = [PREPARED, CURSORS, TLS, ACTIVITY];
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
        let tokens = lexer::tokens(&sql);
        let named = VIEWS.iter().filter(|view| {
            let mut tokens = tokens.iter();
            tokens.any(|token| token.as_name() == Some(view))
        });
        let given = named.map(|view| {
            let rows = match *view {
                PREPARED => of_statements(self.statements),
                CURSORS => of_cursors(self.cursors),
                TLS => of_sessions(self.sessions, self.role),
                _ => of_activity(self.sessions),
            };
            format!("{view} AS ({rows})")
        });
        let given: Vec<String> = given.collect();
        match given.as_slice() {
            [] => sql,
            given => put_before(&sql, &given.join(", ")),
        }
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
    let columns = [
        ("name", "text"),
        ("statement", "text"),
        ("prepare_time", "timestamptz"),
        ("parameter_types", "regtype[]"),
        ("from_sql", "bool"),
        ("generic_plans", "int8"),
        ("custom_plans", "int8"),
    ];
    let rows = statements.iter().map(|statement| {
        let params: Vec<String> = statement.params.iter().map(u32::to_string).collect();
        format!(
            "{}, {}, {}, '{{{}}}', {}, 0, 0",
            literal(statement.name),
            literal(&statement.source.text),
            time(statement.source.at),
            params.join(","),
            statement.source.from_sql,
        )
    });
    relation(&columns, rows)
}

fn of_cursors(cursors: &[CursorRow<'_>]) -> String {
    let columns = [
        ("name", "text"),
        ("statement", "text"),
        ("is_holdable", "bool"),
        ("is_binary", "bool"),
        ("is_scrollable", "bool"),
        ("creation_time", "timestamptz"),
    ];
    let rows = cursors.iter().map(|cursor| {
        // All go forward only.
        format!(
            "{}, {}, {}, {}, false, {}",
            literal(cursor.name),
            literal(&cursor.source.text),
            cursor.is_holdable,
            cursor.is_binary,
            time(cursor.source.at),
        )
    });
    relation(&columns, rows)
}

/// How other roles' sessions are encrypted is theirs to know.
fn of_sessions(sessions: &[Seen], role: &str) -> String {
    let columns = [
        ("pid", "int4"),
        ("ssl", "bool"),
        ("version", "text"),
        ("cipher", "text"),
        ("bits", "int4"),
        ("client_dn", "text"),
        ("client_serial", "numeric"),
        ("issuer_dn", "text"),
    ];
    let rows = sessions.iter().map(|Seen { pid, who, .. }| {
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
        format!("{pid}, {told}, NULL, NULL, NULL")
    });
    relation(&columns, rows)
}

/// What other roles do is theirs to know, and that of who may read all statistics.
fn of_activity(sessions: &[Seen]) -> String {
    let columns = [
        ("pid", "int4"),
        ("role", "text"),
        ("application", "text"),
        ("address", "inet"),
        ("port", "int4"),
        ("since", "timestamptz"),
        ("transaction_since", "timestamptz"),
        ("query_since", "timestamptz"),
        ("state_since", "timestamptz"),
        ("state", "text"),
        ("query", "text"),
    ];
    let or_null = |given: Option<String>| given.unwrap_or_else(|| "NULL".to_owned());
    let rows = sessions.iter().map(|Seen { pid, who, activity }| {
        let state = match activity.state {
            Doing::Active => "active",
            Doing::Idle => "idle",
            Doing::IdleInTransaction => "idle in transaction",
            Doing::IdleInFailed => "idle in transaction (aborted)",
        };
        // A socket for both kinds of address has IPv4 ones in another form.
        let address = who.peer.map(|peer| peer.ip().to_canonical().to_string());
        format!(
            "{pid}, {}, {}, {}, {}, {}, {}, {}, {}, '{state}', {}",
            literal(&who.role),
            literal(&activity.application),
            or_null(address.map(|address| literal(&address))),
            or_null(who.peer.map(|peer| peer.port().to_string())),
            time(activity.since),
            or_null(activity.transaction_since.map(time)),
            or_null(activity.query_since.map(time)),
            time(activity.state_since),
            literal(&activity.query),
        )
    });
    let rows = relation(&columns, rows);
    let if_told = [
        ("address", "client_addr"),
        ("NULL::text", "client_hostname"),
        ("port", "client_port"),
        ("since", "backend_start"),
        ("transaction_since", "xact_start"),
        ("query_since", "query_start"),
        ("state_since", "state_change"),
        (
            "CASE WHEN state <> 'active' THEN 'Client' END",
            "wait_event_type",
        ),
        (
            "CASE WHEN state <> 'active' THEN 'ClientRead' END",
            "wait_event",
        ),
        ("state", "state"),
    ];
    let if_told =
        if_told.map(|(value, name)| format!("CASE WHEN is_told THEN {value} END AS {name}"));
    format!(
        "SELECT d.oid AS datid, d.datname, s.pid, NULL::int4 AS leader_pid, s.usesysid, s.usename, \
         s.application AS application_name, {}, NULL::xid AS backend_xid, NULL::xid AS backend_xmin, NULL::int8 AS query_id, \
         CASE WHEN is_told THEN query ELSE '<insufficient privilege>' END AS query, \
         CASE WHEN is_told THEN 'client backend' END AS backend_type \
         FROM (SELECT s.*, r.oid AS usesysid, r.rolname AS usename, \
         pg_catalog.pg_has_role(r.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS is_told \
         FROM ({rows}) s LEFT JOIN pg_catalog.pg_roles r ON r.rolname = s.role) s \
         JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()",
        if_told.join(", "),
    )
}

/// Rows of columns with these names and types; the first is never NULL.
fn relation(columns: &[(&str, &str)], rows: impl Iterator<Item = String>) -> String {
    let names = columns.iter().map(|(name, _)| *name);
    let names: Vec<&str> = names.collect();
    let nulls = columns.iter().map(|(_, kind)| format!("NULL::{kind}"));
    let nulls: Vec<String> = nulls.collect();
    let mut values = format!("VALUES ({})", nulls.join(", "));
    for row in rows {
        values += &format!(", ({row})");
    }
    format!(
        "SELECT * FROM ({values}) AS given ({}) WHERE {} IS NOT NULL",
        names.join(", "),
        names[0],
    )
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
    use crate::registry::{Activity, Who};

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
        let row = "(E'p', E'select ''a''', E'1970-01-01T00:00:01.000000Z', '{23,25}', true, 0, 0)";
        assert!(!given.contains(PREPARED) || given.contains(row), "{given}");
    }

    #[test]
    fn rows_stand_before_the_query() {
        check(
            "select name from pg_catalog.pg_prepared_statements s",
            "WITH pg_prepared_statements AS (SELECT * FROM (VALUES (NULL::text, ",
            " WHERE name IS NOT NULL) select name from pg_prepared_statements s",
        );
        check(
            "WITH RECURSIVE a AS (select 1) select * from pg_cursors",
            "WITH RECURSIVE pg_cursors AS (",
            " WHERE name IS NOT NULL), a AS (select 1) select * from pg_cursors",
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
        let seen = |pid, role: &str, cipher| Seen {
            pid,
            who: Who {
                role: role.to_owned(),
                cipher,
                peer: None,
            },
            activity: Activity::default(),
        };
        let cipher = crate::tls::Cipher {
            version: "TLSv1.3".to_owned(),
            name: "TLS_AES_256_GCM_SHA384".to_owned(),
            bits: 256,
        };
        let sessions = [
            seen(1, "anna", Some(cipher.clone())),
            seen(2, "anna", None),
            seen(3, "ben", Some(cipher)),
        ];
        let rows = of_sessions(&sessions, "anna");
        let expected = "(1, true, E'TLSv1.3', E'TLS_AES_256_GCM_SHA384', 256, NULL, NULL, NULL), \
                        (2, false, NULL, NULL, NULL, NULL, NULL, NULL), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL))";
        assert!(rows.contains(expected), "{rows}");
    }
}
