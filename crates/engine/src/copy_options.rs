//! The options of COPY: all that PostgreSQL 15 has, in the spelling of today and in the older ones.
//!
//! The parser of statements does not know some of them, so they are read here, from the statement's text.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::{Error, Result, Statement, dialect::RapportDialect};

/// Options of a COPY statement, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyFormat {
    pub kind: CopyKind,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    pub header: Header,
    /// Columns whose values are quoted whether they need it or not.
    pub force_quote: Columns,
    /// Columns whose values are never read as NULL.
    pub force_not_null: Vec<String>,
    /// Columns whose values are read as NULL even in quotes.
    pub force_null: Vec<String>,
    /// As it was given; not looked at here.
    pub encoding: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    Text,
    Csv,
    Binary,
}

/// A line with the columns' names in front of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    No,
    Yes,
    /// The names have to be those of the columns.
    Match,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    All,
    Named(Vec<String>),
}

impl CopyFormat {
    /// Without any options.
    pub fn plain(kind: CopyKind) -> Self {
        let is_csv = kind == CopyKind::Csv;
        Self {
            kind,
            delimiter: if is_csv { b',' } else { b'\t' },
            null: if is_csv { "" } else { "\\N" }.to_owned(),
            quote: b'"',
            escape: b'"',
            header: Header::No,
            force_quote: Columns::Named(Vec::new()),
            force_not_null: Vec::new(),
            force_null: Vec::new(),
            encoding: None,
        }
    }
}

/// Takes the options off a COPY statement, so that the parser gets to see only what is copied, and where.
pub(crate) fn without_options(tokens: &mut Vec<TokenWithSpan>) {
    if let Some(shape) = Shape::of(tokens) {
        tokens.truncate(shape.options);
        if let Some(binary) = shape.binary {
            tokens.remove(binary);
        }
    }
}

/// What a COPY statement says about the form of its rows. A file of the server is refused.
pub fn copy_format(statement: &Statement) -> Result<CopyFormat> {
    let tokens = Tokenizer::new(&RapportDialect { versions: false }, &statement.text)
        .tokenize_with_location()
        .map_err(|error| syntax(error.to_string()))?;
    let shape = Shape::of(&tokens).ok_or_else(|| syntax("this is no COPY statement".to_owned()))?;
    shape.refuse_files()?;
    let rest: Vec<Token> = tokens[shape.options..]
        .iter()
        .map(|token| token.token.clone())
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    let mut given = Given {
        is_from: shape.is_from,
        ..Given::default()
    };
    if shape.binary.is_some() {
        given.kind = Some(CopyKind::Binary);
    }
    let mut reader = Reader { rest: &rest };
    given.read(&mut reader)?;
    given.checked()
}

/// Where things are in a COPY statement.
struct Shape {
    is_from: bool,
    /// `STDIN`, `STDOUT`, `PROGRAM`, or `None` for the name of a file.
    target: Option<String>,
    /// The old `COPY BINARY t`.
    binary: Option<usize>,
    /// The first token behind the target.
    options: usize,
}

impl Shape {
    /// `None` if it is no COPY statement, or one without an end.
    fn of(tokens: &[TokenWithSpan]) -> Option<Self> {
        let mut said = tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)));
        if word(&said.next()?.1.token)? != "copy" {
            return None;
        }
        let mut depth = 0;
        let mut binary = None;
        let mut is_first = true;
        while let Some((at, token)) = said.next() {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                other if depth == 0 => match word(other).as_deref() {
                    Some("binary") if is_first => {
                        let mut ahead = said.clone();
                        let next = ahead.next().and_then(|(_, token)| word(&token.token));
                        let is_name = matches!(next.as_deref(), Some("from" | "to") | None);
                        binary = (!is_name).then_some(at);
                    }
                    Some(way @ ("from" | "to")) if !is_first => {
                        let (mut last, target) = said.next()?;
                        let target = word(&target.token);
                        if target.as_deref() == Some("program") {
                            last = said.next()?.0;
                        }
                        return Some(Self {
                            is_from: way == "from",
                            target,
                            binary,
                            options: last + 1,
                        });
                    }
                    _ => {}
                },
                _ => {}
            }
            is_first = false;
        }
        None
    }

    /// The server's files are not the client's to read or write.
    fn refuse_files(&self) -> Result<()> {
        let what = match self.target.as_deref() {
            Some("stdin" | "stdout") => return Ok(()),
            Some("program") => "COPY to or from a program of the server",
            _ => "COPY to or from a file of the server; use STDIN, STDOUT or psql's \\copy",
        };
        Err(Error::Denied {
            what: what.to_owned(),
        })
    }
}

/// A word that is not quoted, in lower case.
fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
        _ => None,
    }
}

struct Reader<'a> {
    rest: &'a [Token],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn is_at(&self, wanted: &str) -> bool {
        let next = self.rest.first();
        next.is_some_and(|token| word(token).as_deref() == Some(wanted))
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_next = self.is_at(wanted);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn take_token(&mut self, wanted: &Token) -> bool {
        let is_next = self.rest.first() == Some(wanted);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn unexpected(&self) -> Error {
        syntax(match self.rest.first() {
            Some(token) => format!("syntax error at or near \"{token}\""),
            None => "syntax error at end of input".to_owned(),
        })
    }

    /// A string, after an AS that need not be there.
    fn string(&mut self) -> Result<String> {
        self.take("as");
        match self.rest.first() {
            Some(
                Token::SingleQuotedString(text)
                | Token::EscapedStringLiteral(text)
                | Token::UnicodeStringLiteral(text),
            ) => {
                self.rest = &self.rest[1..];
                Ok(text.clone())
            }
            Some(Token::DollarQuotedString(text)) => {
                self.rest = &self.rest[1..];
                Ok(text.value.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn name(&mut self) -> Result<String> {
        match self.rest.first() {
            Some(Token::Word(name)) => {
                self.rest = &self.rest[1..];
                Ok(match name.quote_style {
                    Some(_) => name.value.clone(),
                    None => name.value.to_lowercase(),
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn names(&mut self) -> Result<Vec<String>> {
        let mut names = vec![self.name()?];
        while self.take_token(&Token::Comma) {
            names.push(self.name()?);
        }
        Ok(names)
    }

    /// What may stand behind the name of an option.
    fn argument(&mut self) -> Result<Argument> {
        if self.take_token(&Token::LParen) {
            let names = self.names()?;
            if !self.take_token(&Token::RParen) {
                return Err(self.unexpected());
            }
            return Ok(Argument::Names(names));
        }
        if self.take_token(&Token::Mul) {
            return Ok(Argument::All);
        }
        match self.rest.first() {
            Some(Token::Number(number, _)) => {
                self.rest = &self.rest[1..];
                Ok(Argument::Text(number.clone()))
            }
            Some(Token::Word(_)) => Ok(Argument::Text(self.name()?)),
            Some(Token::Comma | Token::RParen) | None => Ok(Argument::None),
            Some(_) => Ok(Argument::Text(self.string()?)),
        }
    }
}

enum Argument {
    None,
    Text(String),
    Names(Vec<String>),
    All,
}

impl Argument {
    fn text(self, option: &str) -> Result<String> {
        match self {
            Argument::Text(text) => Ok(text),
            _ => Err(syntax(format!("{option} requires a parameter"))),
        }
    }

    fn names(self, option: &str) -> Result<Vec<String>> {
        match self {
            Argument::Names(names) => Ok(names),
            _ => Err(wrong(format!(
                "argument to option \"{option}\" must be a list of column names"
            ))),
        }
    }
}

#[derive(Default)]
struct Given {
    is_from: bool,
    kind: Option<CopyKind>,
    freeze: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    header: Option<Header>,
    force_quote: Option<Columns>,
    force_not_null: Option<Vec<String>>,
    force_null: Option<Vec<String>>,
    encoding: Option<String>,
}

impl Given {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        reader.take("with");
        if reader.take_token(&Token::LParen) {
            loop {
                let option = reader.name()?;
                let argument = reader.argument()?;
                self.option(&option, argument)?;
                if !reader.take_token(&Token::Comma) {
                    break;
                }
            }
            if !reader.take_token(&Token::RParen) {
                return Err(reader.unexpected());
            }
        } else {
            while !reader.rest.is_empty() && !reader.is_at("where") {
                self.old_option(reader)?;
            }
        }
        if self.is_from && reader.take("where") {
            return Err(Error::not_supported(
                "COPY FROM with WHERE is not supported",
                "Copy into a temporary table, and insert from there what is wanted.",
            ));
        }
        match reader.rest.is_empty() {
            true => Ok(()),
            false => Err(reader.unexpected()),
        }
    }

    fn option(&mut self, option: &str, argument: Argument) -> Result<()> {
        match option {
            "format" => {
                let name = argument.text(option)?;
                once(&mut self.kind, kind(&name)?)
            }
            "freeze" => {
                let freeze = match argument {
                    Argument::None => true,
                    other => boolean(&other.text(option)?)
                        .ok_or_else(|| syntax("freeze requires a Boolean value".to_owned()))?,
                };
                once(&mut self.freeze, freeze)
            }
            "delimiter" => once(&mut self.delimiter, argument.text(option)?),
            "null" => once(&mut self.null, argument.text(option)?),
            "header" => {
                let header = header(argument)?;
                if header == Header::Match && !self.is_from {
                    return Err(Error::not_supported(
                        "cannot use \"match\" with HEADER in COPY TO",
                        "",
                    ));
                }
                once(&mut self.header, header)
            }
            "quote" => once(&mut self.quote, argument.text(option)?),
            "escape" => once(&mut self.escape, argument.text(option)?),
            "force_quote" => {
                let columns = match argument {
                    Argument::All => Columns::All,
                    other => Columns::Named(other.names(option)?),
                };
                once(&mut self.force_quote, columns)
            }
            "force_not_null" => once(&mut self.force_not_null, argument.names(option)?),
            "force_null" => once(&mut self.force_null, argument.names(option)?),
            "encoding" => once(&mut self.encoding, argument.text(option)?),
            other => Err(syntax(format!("option \"{other}\" not recognized"))),
        }
    }

    fn old_option(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let unexpected = reader.unexpected();
        let Some(option) = reader.next().and_then(word) else {
            return Err(unexpected);
        };
        match option.as_str() {
            "binary" => once(&mut self.kind, CopyKind::Binary),
            "csv" => once(&mut self.kind, CopyKind::Csv),
            "freeze" => once(&mut self.freeze, true),
            "header" => once(&mut self.header, Header::Yes),
            "delimiter" => once(&mut self.delimiter, reader.string()?),
            "null" => once(&mut self.null, reader.string()?),
            "quote" => once(&mut self.quote, reader.string()?),
            "escape" => once(&mut self.escape, reader.string()?),
            "encoding" => once(&mut self.encoding, reader.string()?),
            "force" if reader.take("quote") => {
                let columns = match reader.take_token(&Token::Mul) {
                    true => Columns::All,
                    false => Columns::Named(reader.names()?),
                };
                once(&mut self.force_quote, columns)
            }
            "force" if reader.take("not") => {
                if !reader.take("null") {
                    return Err(reader.unexpected());
                }
                once(&mut self.force_not_null, reader.names()?)
            }
            "force" if reader.take("null") => once(&mut self.force_null, reader.names()?),
            _ => Err(unexpected),
        }
    }

    /// In the order in which PostgreSQL looks.
    fn checked(self) -> Result<CopyFormat> {
        let kind = self.kind.unwrap_or(CopyKind::Text);
        let plain = CopyFormat::plain(kind);
        let is_csv = kind == CopyKind::Csv;
        if kind == CopyKind::Binary {
            for (is_given, option) in [
                (self.delimiter.is_some(), "DELIMITER"),
                (self.null.is_some(), "NULL"),
            ] {
                if is_given {
                    return Err(syntax(format!("cannot specify {option} in BINARY mode")));
                }
            }
        }
        let breaks = |text: &str| text.contains(['\r', '\n']);
        let delimiter = byte(self.delimiter.as_deref(), plain.delimiter, "delimiter")?;
        if matches!(delimiter, b'\r' | b'\n') {
            return Err(wrong(
                "COPY delimiter cannot be newline or carriage return".to_owned(),
            ));
        }
        let null = self.null.unwrap_or(plain.null);
        if breaks(&null) {
            return Err(wrong(
                "COPY null representation cannot use newline or carriage return".to_owned(),
            ));
        }
        if !is_csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
            return Err(wrong(format!(
                "COPY delimiter cannot be \"{}\"",
                char::from(delimiter)
            )));
        }
        let header = self.header.unwrap_or(Header::No);
        let refuse = |what: &str| Err(Error::not_supported(what, ""));
        if kind == CopyKind::Binary && header != Header::No {
            return refuse("cannot specify HEADER in BINARY mode");
        }
        if !is_csv && self.quote.is_some() {
            return refuse("COPY quote available only in CSV mode");
        }
        let quote = byte(self.quote.as_deref(), plain.quote, "quote")?;
        if is_csv && delimiter == quote {
            return Err(wrong(
                "COPY delimiter and quote must be different".to_owned(),
            ));
        }
        if !is_csv && self.escape.is_some() {
            return refuse("COPY escape available only in CSV mode");
        }
        let escape = byte(self.escape.as_deref(), quote, "escape")?;
        for (is_given, what, is_for_from) in [
            (self.force_quote.is_some(), "force quote", false),
            (self.force_not_null.is_some(), "force not null", true),
            (self.force_null.is_some(), "force null", true),
        ] {
            if is_given && !is_csv {
                return refuse(&format!("COPY {what} available only in CSV mode"));
            }
            if is_given && is_for_from != self.is_from {
                let way = if is_for_from { "FROM" } else { "TO" };
                return refuse(&format!("COPY {what} only available using COPY {way}"));
            }
        }
        if null.as_bytes().contains(&delimiter) {
            return refuse("COPY delimiter must not appear in the NULL specification");
        }
        if is_csv && null.as_bytes().contains(&quote) {
            return refuse("CSV quote character must not appear in the NULL specification");
        }
        Ok(CopyFormat {
            kind,
            delimiter,
            null,
            quote,
            escape,
            header,
            force_quote: self.force_quote.unwrap_or(plain.force_quote),
            force_not_null: self.force_not_null.unwrap_or_default(),
            force_null: self.force_null.unwrap_or_default(),
            encoding: self.encoding,
        })
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(syntax("conflicting or redundant options".to_owned())),
    }
}

fn kind(name: &str) -> Result<CopyKind> {
    match name {
        "text" => Ok(CopyKind::Text),
        "csv" => Ok(CopyKind::Csv),
        "binary" => Ok(CopyKind::Binary),
        other => Err(wrong(format!("COPY format \"{other}\" not recognized"))),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn header(argument: Argument) -> Result<Header> {
    let text = match argument {
        Argument::None => return Ok(Header::Yes),
        Argument::Text(text) => text,
        Argument::Names(_) | Argument::All => String::new(),
    };
    match boolean(&text) {
        Some(true) => Ok(Header::Yes),
        Some(false) => Ok(Header::No),
        None if text.eq_ignore_ascii_case("match") => Ok(Header::Match),
        None => Err(syntax(
            "header requires a Boolean value or \"match\"".to_owned(),
        )),
    }
}

fn byte(given: Option<&str>, default: u8, what: &str) -> Result<u8> {
    match given.map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => Err(Error::not_supported(
            format!("COPY {what} must be a single one-byte character"),
            "",
        )),
    }
}

fn wrong(message: String) -> Error {
    Error::InvalidParameter {
        message,
        hint: None,
    }
}

fn syntax(message: String) -> Error {
    Error::Syntax {
        message,
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, parse};

    fn format(sql: &str) -> Result<CopyFormat> {
        let statement = parse::parse(sql, &Limits::default())
            .expect("it parses")
            .remove(0);
        copy_format(&statement)
    }

    fn refused(sql: &str, message: &str) {
        let error = format(sql).expect_err(sql);
        assert_eq!(error.to_string(), message, "{sql}");
    }

    #[test]
    fn text_is_the_default() {
        assert_eq!(
            format("COPY t FROM STDIN").expect("valid"),
            CopyFormat::plain(CopyKind::Text)
        );
        assert_eq!(
            format("COPY (SELECT a FROM t) TO STDOUT").expect("valid"),
            CopyFormat::plain(CopyKind::Text)
        );
    }

    #[test]
    fn old_and_new_options_mean_the_same() {
        for (new, old) in [
            (
                "COPY t FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';', NULL 'x')",
                "COPY t FROM STDIN DELIMITER ';' NULL AS 'x' CSV HEADER",
            ),
            (
                "COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE (a, \"B\"), ESCAPE '\\')",
                "COPY t TO STDOUT WITH CSV FORCE QUOTE a, \"B\" ESCAPE '\\'",
            ),
            (
                "COPY t FROM STDIN (FORMAT binary)",
                "COPY BINARY t FROM STDIN",
            ),
            (
                "COPY t FROM STDIN (FORMAT 'binary')",
                "COPY t FROM STDIN BINARY",
            ),
            (
                "COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
                "COPY t TO STDOUT CSV FORCE QUOTE *",
            ),
            (
                "COPY t (a) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (a), FORCE_NULL (b))",
                "COPY t (a) FROM STDIN CSV FORCE NOT NULL a FORCE NULL b",
            ),
            (
                "COPY t FROM STDIN (DELIMITER E'\\x01')",
                "COPY t FROM STDIN DELIMITER E'\\x01'",
            ),
        ] {
            assert_eq!(format(new).expect(new), format(old).expect(old), "{old}");
        }
    }

    #[test]
    fn a_table_may_be_called_binary() {
        let format = format("COPY binary FROM STDIN").expect("valid");
        assert_eq!(format.kind, CopyKind::Text);
    }

    #[test]
    fn a_header_may_have_to_match() {
        let header = |sql: &str| format(sql).map(|format| format.header);
        for (value, expected) in [
            ("", Header::Yes),
            ("on", Header::Yes),
            ("0", Header::No),
            ("MATCH", Header::Match),
            ("'match'", Header::Match),
        ] {
            let sql = format!("COPY t FROM STDIN (HEADER {value})");
            assert_eq!(header(&sql).expect("valid"), expected, "{sql}");
        }
        refused(
            "COPY t FROM STDIN (HEADER maybe)",
            "header requires a Boolean value or \"match\"",
        );
        refused(
            "COPY t TO STDOUT (HEADER match)",
            "cannot use \"match\" with HEADER in COPY TO",
        );
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for (options, message) in [
            (
                "FORMAT binary, HEADER",
                "cannot specify HEADER in BINARY mode",
            ),
            (
                "FORMAT binary, NULL 'x'",
                "cannot specify NULL in BINARY mode",
            ),
            ("QUOTE '\"'", "COPY quote available only in CSV mode"),
            (
                "FORMAT csv, DELIMITER '\"'",
                "COPY delimiter and quote must be different",
            ),
            ("FORMAT xml", "COPY format \"xml\" not recognized"),
            ("FORMAT csv, FORMAT csv", "conflicting or redundant options"),
            ("COLOUR blue", "option \"colour\" not recognized"),
            ("DELIMITER 'a'", "COPY delimiter cannot be \"a\""),
            (
                "DELIMITER '||'",
                "COPY delimiter must be a single one-byte character",
            ),
            (
                "FORMAT csv, FORCE_QUOTE (a)",
                "COPY force quote only available using COPY TO",
            ),
            (
                "FORCE_NULL (a)",
                "COPY force null available only in CSV mode",
            ),
            (
                "DELIMITER '|', NULL 'a|b'",
                "COPY delimiter must not appear in the NULL specification",
            ),
            ("FORMAT csv", ""),
        ] {
            let sql = format!("COPY t FROM STDIN ({options})");
            match message {
                "" => drop(format(&sql).expect("valid")),
                _ => refused(&sql, message),
            }
        }
    }

    #[test]
    fn files_of_the_server_are_refused() {
        for sql in [
            "COPY t FROM '/etc/passwd'",
            "COPY t FROM PROGRAM 'cat /etc/passwd' WITH (FORMAT csv)",
            "COPY (SELECT 1) TO '/tmp/x'",
        ] {
            assert!(matches!(format(sql), Err(Error::Denied { .. })), "{sql}");
        }
    }
}
