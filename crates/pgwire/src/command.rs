//! Statements about the session itself: transactions, settings, prepared statements, cursors.
//!
//! They are read here, from tokens, because the engine's parser knows few of them and none in full.

use crate::lexer::{Cursor, Kind, Piece, Token};
use crate::sqlstate::{Failure, Result};

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `BEGIN` or `START TRANSACTION`; the word is the command tag.
    Begin {
        tag: &'static str,
        modes: Modes,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    SetTransaction(Modes),
    /// For the transactions to come.
    SetCharacteristics(Modes),
    /// `value` of `None` is DEFAULT.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    /// One of the few settings that only the session knows; all else that SHOW asks is PostgreSQL's to answer.
    Show(&'static str),
    Reset(String),
    ResetAll,
    Discard {
        tag: &'static str,
        all: bool,
    },
    Deallocate(Option<String>),
    Close(Option<String>),
    /// No constraint is enforced.
    SetConstraints,
    /// Nothing to do here: nobody notifies.
    Nothing {
        tag: &'static str,
    },
    /// `VACUUM` or `ANALYZE` of tables, as they are written; none is all of them.
    Maintain {
        tag: &'static str,
        tables: Vec<String>,
    },
    Declare {
        name: String,
        hold: bool,
        is_binary: bool,
        /// NO SCROLL was said.
        goes_forward: bool,
        query: String,
    },
    Fetch {
        name: String,
        step: Step,
        is_move: bool,
    },
    Prepare {
        name: String,
        types: Vec<String>,
        query: String,
        /// So many characters stand before the query.
        before: usize,
        /// All of it.
        text: String,
    },
    /// Each argument is the text of an expression.
    Execute {
        name: String,
        arguments: Vec<String>,
    },
}

/// What BEGIN and SET TRANSACTION may ask for. Every isolation level is met by a snapshot per block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    pub read_only: Option<bool>,
    pub isolation: Option<Isolation>,
    pub deferrable: Option<bool>,
}

/// As PostgreSQL spells it.
pub type Isolation = &'static str;

pub const ISOLATIONS: [Isolation; 4] = [
    "serializable",
    "repeatable read",
    "read committed",
    "read uncommitted",
];

/// Where a FETCH goes; only forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many rows; 0 is the current one once more.
    Rows(u64),
    All,
    /// To the row of this number, counted from 1, and that one only; 0 is before the first.
    To(u64),
    /// Over all rows but the last of so many, and that one only.
    Over(u64),
    /// 55000 after NO SCROLL, as in PostgreSQL, and otherwise not supported.
    Backward,
}

/// The command a statement is, if it is one. Errors are PostgreSQL's syntax errors.
pub fn read(piece: &Piece<'_>) -> Result<Option<Command>> {
    let mut cursor = Cursor::new(piece);
    let Some(Token {
        kind: Kind::Word(first),
        ..
    }) = cursor.advance()
    else {
        return Ok(None);
    };
    let command = match first.as_str() {
        "begin" => begin("BEGIN", &mut cursor)?,
        "start" => {
            if !cursor.take("transaction") {
                return Err(cursor.unexpected());
            }
            begin("START TRANSACTION", &mut cursor)?
        }
        "commit" | "end" => {
            cursor.take_any(&["work", "transaction"]);
            if cursor.take("prepared") {
                return Err(two_phase());
            }
            Command::Commit {
                chain: chain(&mut cursor)?,
            }
        }
        "rollback" | "abort" => rollback(&mut cursor)?,
        "savepoint" => Command::Savepoint(cursor.name()?),
        "release" => {
            cursor.take("savepoint");
            Command::Release(cursor.name()?)
        }
        "set" => return set(&mut cursor).map(Some),
        "show" => return Ok(show(&mut cursor)),
        "reset" => reset(&mut cursor)?,
        "discard" => discard(&mut cursor)?,
        "deallocate" => {
            cursor.take("prepare");
            Command::Deallocate(all_or_name(&mut cursor)?)
        }
        "close" => Command::Close(all_or_name(&mut cursor)?),
        "listen" | "notify" => {
            let what = format!("{} is not supported", first.to_uppercase());
            return Err(Failure::not_supported(what)
                .with_hint("Sessions send each other nothing; ask again from time to time."));
        }
        "unlisten" => {
            if !cursor.take_sign('*') {
                cursor.name()?;
            }
            Command::Nothing { tag: "UNLISTEN" }
        }
        "analyze" | "analyse" => maintain("ANALYZE", &mut cursor)?,
        "vacuum" => maintain("VACUUM", &mut cursor)?,
        "declare" => return declare(&mut cursor).map(Some),
        "fetch" => fetch(&mut cursor, false)?,
        "move" => fetch(&mut cursor, true)?,
        "prepare" => return prepare(&mut cursor).map(Some),
        "execute" => return execute(&mut cursor).map(Some),
        _ => return Ok(None),
    };
    cursor.end()?;
    Ok(Some(command))
}

fn maintain(tag: &'static str, cursor: &mut Cursor<'_>) -> Result<Command> {
    if cursor.peek().is_some_and(|token| token.is_sign('(')) {
        parenthesized(cursor)?;
    }
    while cursor.take_any(&["full", "freeze", "verbose", "analyze", "analyse"]) {}
    let mut tables = Vec::new();
    while !cursor.at_end() {
        let mut table = quote_name(&cursor.name()?);
        while cursor.take_sign('.') {
            table = format!("{table}.{}", quote_name(&cursor.name()?));
        }
        tables.push(table);
        if cursor.peek().is_some_and(|token| token.is_sign('(')) {
            parenthesized(cursor)?;
        }
        if !cursor.take_sign(',') {
            break;
        }
    }
    Ok(Command::Maintain { tag, tables })
}

fn begin(tag: &'static str, cursor: &mut Cursor<'_>) -> Result<Command> {
    cursor.take_any(&["work", "transaction"]);
    Ok(Command::Begin {
        tag,
        modes: modes(cursor)?,
    })
}

fn modes(cursor: &mut Cursor<'_>) -> Result<Modes> {
    let mut modes = Modes::default();
    while !cursor.at_end() {
        if cursor.take_all(&["isolation", "level"]) {
            let mut known = ISOLATIONS.into_iter();
            let level = known.find(|level| {
                let words: Vec<&str> = level.split(' ').collect();
                cursor.take_all(&words)
            });
            modes.isolation = Some(level.ok_or_else(|| cursor.unexpected())?);
        } else if cursor.take_all(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if cursor.take_all(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if cursor.take("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.take_all(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return Err(cursor.unexpected());
        }
        cursor.take_sign(',');
    }
    Ok(modes)
}

fn chain(cursor: &mut Cursor<'_>) -> Result<bool> {
    if !cursor.take("and") {
        return Ok(false);
    }
    let no = cursor.take("no");
    if !cursor.take("chain") {
        return Err(cursor.unexpected());
    }
    Ok(!no)
}

fn rollback(cursor: &mut Cursor<'_>) -> Result<Command> {
    cursor.take_any(&["work", "transaction"]);
    if cursor.take("prepared") {
        return Err(two_phase());
    }
    if cursor.take("to") {
        cursor.take("savepoint");
        return Ok(Command::RollbackTo(cursor.name()?));
    }
    Ok(Command::Rollback {
        chain: chain(cursor)?,
    })
}

fn two_phase() -> Failure {
    Failure::not_supported("two-phase commit is not supported").with_hint(
        "A block that changes one table is committed whole by COMMIT; leave two-phase commit off in the client.",
    )
}

fn set(cursor: &mut Cursor<'_>) -> Result<Command> {
    let local = cursor.take("local");
    if !local {
        let session = cursor.take("session");
        if session && cursor.take_all(&["characteristics", "as", "transaction"]) {
            return Ok(Command::SetCharacteristics(modes(cursor)?));
        }
        if session && cursor.take("authorization") {
            return set_to("session_authorization", local, cursor);
        }
    }
    if cursor.take("transaction") {
        if cursor.take("snapshot") {
            return Err(
                Failure::not_supported("importing a snapshot is not supported")
                    .with_hint("VERSION AS OF reads a table as it was, in any session."),
            );
        }
        return Ok(Command::SetTransaction(modes(cursor)?));
    }
    if cursor.take_all(&["time", "zone"]) {
        return time_zone(local, cursor);
    }
    if cursor.take("constraints") {
        return Ok(Command::SetConstraints);
    }
    if cursor.take("names") {
        return match cursor.at_end() {
            true => Ok(Command::Set {
                name: "client_encoding".into(),
                value: None,
                local,
            }),
            false => set_to("client_encoding", local, cursor),
        };
    }
    if cursor.take("schema") {
        return set_to("search_path", local, cursor);
    }
    if cursor.take("role") {
        return set_to("role", local, cursor);
    }
    let name = setting_name(cursor)?;
    if !cursor.take("to") && !cursor.take_sign('=') {
        return Err(cursor.unexpected());
    }
    set_to(&name, local, cursor)
}

/// Names may have a class before them: `rapport.something`.
fn setting_name(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut name = cursor.name()?;
    while cursor.take_sign('.') {
        name = format!("{name}.{}", cursor.name()?);
    }
    Ok(name)
}

fn set_to(name: &str, local: bool, cursor: &mut Cursor<'_>) -> Result<Command> {
    let name = name.to_owned();
    if cursor.take("default") {
        cursor.end()?;
        return Ok(Command::Set {
            name,
            value: None,
            local,
        });
    }
    // In a list of names each one is quoted again if it has to be, as PostgreSQL does.
    let is_list = [
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
    ]
    .iter()
    .any(|list| name.eq_ignore_ascii_case(list));
    let mut values = Vec::new();
    loop {
        let value = set_value(cursor)?;
        values.push(if is_list { quote_name(&value) } else { value });
        if !cursor.take_sign(',') {
            break;
        }
    }
    cursor.end()?;
    Ok(Command::Set {
        name,
        value: Some(values.join(", ")),
        local,
    })
}

fn set_value(cursor: &mut Cursor<'_>) -> Result<String> {
    let sign = if cursor.take_sign('-') {
        "-"
    } else {
        cursor.take_sign('+');
        ""
    };
    let Some(token) = cursor.peek() else {
        return Err(cursor.unexpected());
    };
    let value = match &token.kind {
        Kind::Word(value) | Kind::Name(value) | Kind::Text(value) if sign.is_empty() => {
            value.clone()
        }
        Kind::Number => format!("{sign}{}", &cursor.text[token.start..token.end]),
        _ => return Err(cursor.unexpected()),
    };
    cursor.advance();
    Ok(value)
}

fn quote_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn time_zone(local: bool, cursor: &mut Cursor<'_>) -> Result<Command> {
    let name = "TimeZone".to_owned();
    if cursor.take_any(&["default", "local"]) {
        cursor.end()?;
        return Ok(Command::Set {
            name,
            value: None,
            local,
        });
    }
    if cursor.take("interval") {
        let offset = set_value(cursor)?;
        cursor.take_all(&["hour", "to", "minute"]);
        cursor.end()?;
        let value = Some(format!("INTERVAL '{}'", offset.replace('\'', "''")));
        return Ok(Command::Set { name, value, local });
    }
    set_to(&name, local, cursor)
}

/// PostgreSQL runs each statement that it answers for us in a transaction of its own making, and would speak of that one.
fn show(cursor: &mut Cursor<'_>) -> Option<Command> {
    let name = if cursor.take_all(&["transaction", "isolation", "level"])
        || cursor.take("transaction_isolation")
    {
        "transaction_isolation"
    } else if cursor.take("transaction_read_only") {
        "transaction_read_only"
    } else if cursor.take("transaction_deferrable") {
        "transaction_deferrable"
    } else if cursor.take("statement_timeout") {
        "statement_timeout"
    } else if cursor.take("client_encoding") {
        "client_encoding"
    } else if cursor.take("lc_collate") {
        "lc_collate"
    } else if cursor.take("lc_ctype") {
        "lc_ctype"
    } else if cursor.take("seed") {
        "seed"
    } else {
        return None;
    };
    cursor.at_end().then_some(Command::Show(name))
}

fn reset(cursor: &mut Cursor<'_>) -> Result<Command> {
    if cursor.take("all") {
        return Ok(Command::ResetAll);
    }
    if cursor.take_all(&["time", "zone"]) {
        return Ok(Command::Reset("TimeZone".into()));
    }
    if cursor.take_all(&["transaction", "isolation", "level"]) {
        return Ok(Command::Nothing { tag: "RESET" });
    }
    if cursor.take_all(&["session", "authorization"]) {
        return Ok(Command::Reset("session_authorization".into()));
    }
    Ok(Command::Reset(setting_name(cursor)?))
}

fn discard(cursor: &mut Cursor<'_>) -> Result<Command> {
    let kinds = [
        ("all", "DISCARD ALL"),
        ("plans", "DISCARD PLANS"),
        ("sequences", "DISCARD SEQUENCES"),
        ("temp", "DISCARD TEMP"),
        ("temporary", "DISCARD TEMP"),
    ];
    for (word, tag) in kinds {
        if cursor.take(word) {
            return Ok(Command::Discard {
                tag,
                all: word == "all",
            });
        }
    }
    Err(cursor.unexpected())
}

fn all_or_name(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.take("all") {
        Ok(None)
    } else {
        cursor.name().map(Some)
    }
}

fn declare(cursor: &mut Cursor<'_>) -> Result<Command> {
    let name = cursor.name()?;
    let mut no = false;
    let mut is_binary = false;
    loop {
        if cursor.take("no") {
            no = true;
        } else if cursor.take("scroll") {
            if !no {
                return Err(
                    Failure::not_supported("scrollable cursors are not supported")
                        .with_hint("Declare it without SCROLL; FETCH goes forward only."),
                );
            }
        } else if cursor.take("binary") {
            is_binary = true;
        } else if !cursor.take_any(&["insensitive", "asensitive"]) {
            break;
        }
    }
    if !cursor.take("cursor") {
        return Err(cursor.unexpected());
    }
    let hold = cursor.take_all(&["with", "hold"]);
    if !hold {
        cursor.take_all(&["without", "hold"]);
    }
    if !cursor.take("for") || !is_at(cursor, &["select", "values", "with", "table"]) {
        return Err(cursor.unexpected());
    }
    Ok(Command::Declare {
        name,
        hold,
        is_binary,
        goes_forward: no,
        query: cursor.rest().to_owned(),
    })
}

fn fetch(cursor: &mut Cursor<'_>, is_move: bool) -> Result<Command> {
    let mut step = Step::Rows(1);
    // The cursor may be called as a direction is, when nothing follows the name.
    let mut ahead = cursor.clone();
    let is_only_name = ahead.name().is_ok() && ahead.at_end();
    if !is_only_name {
        step = direction(cursor)?;
        cursor.take_any(&["from", "in"]);
    }
    Ok(Command::Fetch {
        name: cursor.name()?,
        step,
        is_move,
    })
}

fn direction(cursor: &mut Cursor<'_>) -> Result<Step> {
    if cursor.take("next") {
        return Ok(Step::Rows(1));
    }
    if cursor.take("first") {
        return Ok(Step::To(1));
    }
    if cursor.take_any(&["prior", "last"]) {
        return Ok(Step::Backward);
    }
    let needed = |count: Option<i64>, cursor: &Cursor<'_>| count.ok_or_else(|| cursor.unexpected());
    if cursor.take("absolute") {
        let count = needed(signed(cursor)?, cursor)?;
        return Ok(u64::try_from(count).map_or(Step::Backward, Step::To));
    }
    if cursor.take("relative") {
        return Ok(match needed(signed(cursor)?, cursor)? {
            0 => Step::Rows(0),
            count => u64::try_from(count).map_or(Step::Backward, Step::Over),
        });
    }
    let is_backward = cursor.take("backward");
    if !is_backward {
        cursor.take("forward");
    }
    if cursor.take("all") {
        return Ok(if is_backward {
            Step::Backward
        } else {
            Step::All
        });
    }
    let count = signed(cursor)?.unwrap_or(1);
    let count = if is_backward { -count } else { count };
    Ok(u64::try_from(count).map_or(Step::Backward, Step::Rows))
}

/// A number with or without a sign; `None` if there is none.
fn signed(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    let is_negative = cursor.take_sign('-');
    let has_sign = is_negative || cursor.take_sign('+');
    let Some(Token {
        kind: Kind::Number,
        start,
        end,
    }) = cursor.peek()
    else {
        return match has_sign {
            true => Err(cursor.unexpected()),
            false => Ok(None),
        };
    };
    let count: i32 = cursor.text[*start..*end]
        .parse()
        .map_err(|_| cursor.unexpected())?;
    cursor.advance();
    let count = i64::from(count);
    Ok(Some(if is_negative { -count } else { count }))
}

fn prepare(cursor: &mut Cursor<'_>) -> Result<Command> {
    if cursor.take("transaction") {
        return Err(two_phase());
    }
    let name = cursor.name()?;
    let types = match cursor.peek() {
        Some(token) if token.is_sign('(') => parenthesized(cursor)?,
        _ => Vec::new(),
    };
    const PREPARED: [&str; 8] = [
        "select", "values", "with", "table", "insert", "update", "delete", "merge",
    ];
    if !cursor.take("as") || !is_at(cursor, &PREPARED) {
        return Err(cursor.unexpected());
    }
    let query = cursor.rest();
    let before = &cursor.text[..cursor.text.len() - query.len()];
    Ok(Command::Prepare {
        name,
        types,
        query: query.to_owned(),
        before: before.chars().count(),
        text: cursor.text.to_owned(),
    })
}

/// Before one of the words, or a parenthesis.
fn is_at(cursor: &Cursor<'_>, words: &[&str]) -> bool {
    cursor
        .peek()
        .is_some_and(|token| token.is_sign('(') || words.iter().any(|word| token.is_word(word)))
}

fn execute(cursor: &mut Cursor<'_>) -> Result<Command> {
    let name = cursor.name()?;
    let arguments = if cursor.at_end() {
        Vec::new()
    } else {
        parenthesized(cursor)?
    };
    cursor.end()?;
    Ok(Command::Execute { name, arguments })
}

/// The texts between `(`, commas of the same depth, and `)`.
fn parenthesized(cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    let Some(open) = cursor.peek().filter(|token| token.is_sign('(')) else {
        return Err(cursor.unexpected());
    };
    cursor.advance();
    let mut texts = Vec::new();
    let mut start = open.end;
    let mut depth = 1;
    while depth > 0 {
        let Some(token) = cursor.advance() else {
            return Err(cursor.unexpected());
        };
        match token.kind {
            Kind::Sign('(' | '[') => depth += 1,
            Kind::Sign(')' | ']') => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && token.is_sign(',')) {
            texts.push(cursor.text[start..token.start].trim().to_owned());
            start = token.end;
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::split;

    fn check(sql: &str, expected: Command) {
        assert_eq!(read(&split(sql)[0]), Ok(Some(expected)), "{sql}");
    }

    fn is_none(sql: &str) {
        assert_eq!(read(&split(sql)[0]), Ok(None), "{sql}");
    }

    fn refused(sql: &str, message: &str) {
        let failure = read(&split(sql)[0]).expect_err(sql);
        assert_eq!(failure.message(), message);
    }

    fn set(name: &str, value: Option<&str>) -> Command {
        Command::Set {
            name: name.into(),
            value: value.map(Into::into),
            local: false,
        }
    }

    #[test]
    fn transactions_are_begun_in_many_words() {
        let modes = Modes::default();
        check(
            "BEGIN",
            Command::Begin {
                tag: "BEGIN",
                modes,
            },
        );
        let modes = Modes {
            isolation: Some("repeatable read"),
            ..Modes::default()
        };
        check(
            "begin work isolation level repeatable read",
            Command::Begin {
                tag: "BEGIN",
                modes,
            },
        );
        let read_only = Modes {
            read_only: Some(true),
            isolation: Some("serializable"),
            deferrable: Some(true),
        };
        check(
            "START TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE DEFERRABLE",
            Command::Begin {
                tag: "START TRANSACTION",
                modes: read_only,
            },
        );
        check("END", Command::Commit { chain: false });
        check("commit and chain", Command::Commit { chain: true });
        check("abort and no chain", Command::Rollback { chain: false });
        check("rollback to savepoint a", Command::RollbackTo("a".into()));
        check("RELEASE \"A b\"", Command::Release("A b".into()));
        refused("begin nonsense", "syntax error at or near \"nonsense\"");
        refused("start", "syntax error at end of input");
    }

    #[test]
    fn settings_are_set_in_many_words() {
        check("SET DateStyle = 'ISO'", set("datestyle", Some("ISO")));
        check(
            "set session statement_timeout to 500",
            set("statement_timeout", Some("500")),
        );
        check(
            "set extra_float_digits = -1",
            set("extra_float_digits", Some("-1")),
        );
        check(
            "SET search_path TO \"$user\", public, 'A b'",
            set("search_path", Some("\"$user\", public, \"A b\"")),
        );
        check(
            "SET TIME ZONE 'Europe/Berlin'",
            set("TimeZone", Some("Europe/Berlin")),
        );
        check("SET TIME ZONE LOCAL", set("TimeZone", None));
        check("SET TIME ZONE -3.5", set("TimeZone", Some("-3.5")));
        check(
            "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
            set("TimeZone", Some("INTERVAL '+02:00'")),
        );
        check("SET SCHEMA 'public'", set("search_path", Some("public")));
        check("SET NAMES 'UTF8'", set("client_encoding", Some("UTF8")));
        check("set my.own = on", set("my.own", Some("on")));
        check("set x to default", set("x", None));
        check(
            "SET LOCAL x = 1",
            Command::Set {
                name: "x".into(),
                value: Some("1".into()),
                local: true,
            },
        );
        check(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            Command::SetCharacteristics(Modes {
                read_only: Some(false),
                ..Modes::default()
            }),
        );
        check(
            "set transaction read only",
            Command::SetTransaction(Modes {
                read_only: Some(true),
                ..Modes::default()
            }),
        );
        check("RESET ALL", Command::ResetAll);
        check("RESET my.own", Command::Reset("my.own".into()));
        refused("set x", "syntax error at end of input");
        refused("set x = ", "syntax error at end of input");
        refused("set x = 1 2", "syntax error at or near \"2\"");
    }

    #[test]
    fn maintenance_names_its_tables() {
        let of = |tag, tables: &[&str]| Command::Maintain {
            tag,
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
        };
        check("ANALYZE", of("ANALYZE", &[]));
        check(
            "vacuum (verbose, analyze) a, s.\"B\" (x, y)",
            of("VACUUM", &["a", "s.\"B\""]),
        );
        check("VACUUM FULL ANALYZE a", of("VACUUM", &["a"]));
        refused("listen a", "LISTEN is not supported");
    }

    #[test]
    fn other_statements_are_no_commands() {
        is_none("select 1");
        is_none("show all");
        is_none("with a as (select 1) select * from a");
    }

    #[test]
    fn cursors_are_read() {
        check(
            "declare \"SQL_CUR0x\" cursor with hold for select 1",
            Command::Declare {
                name: "SQL_CUR0x".into(),
                hold: true,
                is_binary: false,
                goes_forward: false,
                query: "select 1".into(),
            },
        );
        check(
            "DECLARE c BINARY NO SCROLL CURSOR WITHOUT HOLD FOR select 2",
            Command::Declare {
                name: "c".into(),
                hold: false,
                is_binary: true,
                goes_forward: true,
                query: "select 2".into(),
            },
        );
        let fetch = |step| Command::Fetch {
            name: "c".into(),
            step,
            is_move: false,
        };
        for (sql, step) in [
            ("fetch 500 in c", Step::Rows(500)),
            ("FETCH FORWARD 100 FROM c", Step::Rows(100)),
            ("fetch forward c", Step::Rows(1)),
            ("fetch all c", Step::All),
            ("fetch forward all c", Step::All),
            ("fetch c", Step::Rows(1)),
            ("fetch from c", Step::Rows(1)),
            ("fetch next from c", Step::Rows(1)),
            ("fetch +2 c", Step::Rows(2)),
            ("fetch 0 c", Step::Rows(0)),
            ("fetch relative 0 c", Step::Rows(0)),
            ("fetch relative 3 c", Step::Over(3)),
            ("fetch first c", Step::To(1)),
            ("fetch absolute 3 c", Step::To(3)),
            ("fetch backward -3 c", Step::Rows(3)),
            ("fetch backward 1 from c", Step::Backward),
            ("fetch backward all c", Step::Backward),
            ("fetch absolute -3 c", Step::Backward),
            ("fetch relative -1 c", Step::Backward),
            ("fetch last c", Step::Backward),
            ("fetch prior in c", Step::Backward),
            ("fetch -1 from c", Step::Backward),
        ] {
            check(sql, fetch(step));
        }
        refused("fetch absolute c", "syntax error at or near \"c\"");
        refused(
            "fetch 3000000000 c",
            "syntax error at or near \"3000000000\"",
        );
        check(
            "move forward all in c",
            Command::Fetch {
                name: "c".into(),
                step: Step::All,
                is_move: true,
            },
        );
        check("CLOSE ALL", Command::Close(None));
    }

    #[test]
    fn prepared_statements_are_read() {
        check(
            "PREPARE p (int, numeric(18,2)) AS select $1, $2",
            Command::Prepare {
                name: "p".into(),
                types: vec!["int".into(), "numeric(18,2)".into()],
                query: "select $1, $2".into(),
                before: 34,
                text: "PREPARE p (int, numeric(18,2)) AS select $1, $2".into(),
            },
        );
        check(
            "execute p",
            Command::Execute {
                name: "p".into(),
                arguments: vec![],
            },
        );
        let arguments = vec!["f(1, 2)".into(), "'a)'".into()];
        check(
            "execute p(f(1, 2), 'a)')",
            Command::Execute {
                name: "p".into(),
                arguments,
            },
        );
        check("DEALLOCATE PREPARE ALL", Command::Deallocate(None));
        refused(
            "prepare p as create table t (a int)",
            "syntax error at or near \"create\"",
        );
        refused(
            "declare c cursor for show timezone",
            "syntax error at or near \"show\"",
        );
        check("deallocate p", Command::Deallocate(Some("p".into())));
    }
}
