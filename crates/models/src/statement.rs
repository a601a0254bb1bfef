//! Statements about models, read from their text: the verbs of operators and the functions that say the same.
//!
//! ```text
//! CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name TYPE type [OPTIONS (key = value, …)] [AS query] [WITH NO DATA]
//! REFRESH MODEL name [AS OF moment]          SELECT * FROM refresh_model('name' [, 'moment'])
//! REFRESH ALL MODELS                         SELECT * FROM refresh_all_models()
//! SHOW MODELS                                SELECT * FROM show_models()
//! DESCRIBE MODEL name                        SELECT * FROM describe_model('name')
//! PROMOTE MODEL name VERSION n [BECAUSE '…'] SELECT * FROM promote_model('name', n [, '…'])
//! DROP MODEL [IF EXISTS] name [CASCADE]      SELECT * FROM drop_model('name' [, cascade])
//! ```
//!
//! `create_model('name', 'type' [, 'key = value, …' [, 'query']])` is CREATE MODEL. Arguments of the functions are
//! literals or parameters.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    ast::{
        Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName,
        ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement as Ast, TableAlias,
        TableFactor, UnaryOperator, Value,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

use rapport_engine::STATEMENT_FUNCTIONS;

use crate::{Error, Result};

/// A statement about models; some of its arguments may still be parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub verb: Verb,
    arguments: Vec<Argument>,
    is_call: bool,
    /// Where whoever asks looks for tables.
    search_path: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Create,
    Refresh,
    RefreshAll,
    Show,
    Describe,
    Promote,
    Drop,
}

impl Verb {
    pub fn words(self) -> &'static str {
        match self {
            Self::Create => "CREATE MODEL",
            Self::Refresh => "REFRESH MODEL",
            Self::RefreshAll => "REFRESH ALL MODELS",
            Self::Show => "SHOW MODELS",
            Self::Describe => "DESCRIBE MODEL",
            Self::Promote => "PROMOTE MODEL",
            Self::Drop => "DROP MODEL",
        }
    }

    /// Whether it only reads.
    pub fn is_question(self) -> bool {
        matches!(self, Self::Show | Self::Describe)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Argument {
    Is(Option<String>),
    /// `$1` is 1.
    Parameter(usize),
}

/// What is to be done, with all its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    Create(Create),
    Refresh {
        model: String,
        as_of: Option<String>,
    },
    RefreshAll,
    Show,
    Describe {
        model: String,
    },
    Promote {
        model: String,
        version: i64,
        because: Option<String>,
    },
    Drop {
        model: String,
        /// With the views over its scores.
        cascade: bool,
        if_exists: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Create {
    pub model: String,
    pub kind: String,
    pub options: BTreeMap<String, String>,
    /// As it was written; `None` reads the warehouse's own history.
    pub query: Option<String>,
    pub or_replace: bool,
    pub if_not_exists: bool,
    /// Fit it at once.
    pub with_data: bool,
}

/// How a model is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    pub or_replace: bool,
    pub if_not_exists: bool,
    /// Fit it at once.
    pub with_data: bool,
}

const CALLS: [(&str, Verb); 7] = [
    ("create_model", Verb::Create),
    ("refresh_model", Verb::Refresh),
    ("refresh_all_models", Verb::RefreshAll),
    ("show_models", Verb::Show),
    ("describe_model", Verb::Describe),
    ("promote_model", Verb::Promote),
    ("drop_model", Verb::Drop),
];

impl Statement {
    /// `None` if the text is about something else. It is one statement, without its semicolon.
    pub fn read(sql: &str) -> Option<Result<Self>> {
        if !mentions_models(sql) {
            return None;
        }
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
        let mut words = Words::new(sql, tokens.ok()?);
        let verb = words.verb()?;
        match verb {
            Some(verb) => Some(words.rest(verb)),
            None => call(sql),
        }
    }

    /// Asked where tables are looked for in these schemas.
    pub fn within(mut self, search_path: Option<&str>) -> Self {
        const USUAL: [&str; 2] = ["\"$user\", public", "public"];
        self.search_path = search_path
            .filter(|path| !USUAL.contains(path))
            .map(str::to_owned);
        self
    }

    /// The number of its parameters, all of them texts.
    pub fn n_parameters(&self) -> usize {
        let numbers = self.arguments.iter().map(|argument| match argument {
            Argument::Parameter(number) => *number,
            Argument::Is(_) => 0,
        });
        numbers.max().unwrap_or(0)
    }

    /// What PostgreSQL would call it when it is done; a call is a SELECT.
    pub fn tag(&self) -> &'static str {
        if self.is_call {
            return "SELECT";
        }
        self.verb.words()
    }

    /// CREATE MODEL with options as texts.
    pub fn create(
        model: &str,
        kind: &str,
        options: &[(String, String)],
        query: Option<&str>,
        how: Creation,
    ) -> Self {
        let option = |(name, value): &(String, String)| {
            let (name, value) = (name.replace('"', "\"\""), value.replace('\'', "''"));
            format!("\"{name}\" = '{value}'")
        };
        let options: Vec<String> = options.iter().map(option).collect();
        let flags = [
            (how.or_replace, 'r'),
            (how.if_not_exists, 'i'),
            (!how.with_data, 'n'),
        ];
        let flags: String = flags
            .iter()
            .filter_map(|(is_set, flag)| is_set.then_some(*flag))
            .collect();
        let options = options.join(", ");
        let arguments = [Some(model), Some(kind), Some(&options), query, Some(&flags)];
        Self::of(Verb::Create, arguments)
    }

    pub fn refresh(model: &str, as_of: Option<&str>) -> Self {
        Self::of(Verb::Refresh, [Some(model), as_of])
    }

    pub fn refresh_all() -> Self {
        Self::of(Verb::RefreshAll, [])
    }

    pub fn show() -> Self {
        Self::of(Verb::Show, [])
    }

    pub fn describe(model: &str) -> Self {
        Self::of(Verb::Describe, [Some(model)])
    }

    pub fn promote(model: &str, version: i64, because: Option<&str>) -> Self {
        let version = version.to_string();
        Self::of(Verb::Promote, [Some(model), Some(&version), because])
    }

    pub fn drop(model: &str, cascade: bool) -> Self {
        Self::of(Verb::Drop, [Some(model), cascade.then_some("true")])
    }

    fn of<const N: usize>(verb: Verb, arguments: [Option<&str>; N]) -> Self {
        let arguments = arguments.map(|argument| Argument::Is(argument.map(str::to_owned)));
        Self {
            verb,
            arguments: arguments.into(),
            is_call: false,
            search_path: None,
        }
    }

    /// With the values of its parameters.
    pub(crate) fn order(&self, parameters: &[Option<String>]) -> Result<Order> {
        let mut given = vec![];
        for argument in &self.arguments {
            given.push(match argument {
                Argument::Is(value) => value.clone(),
                Argument::Parameter(number) => parameters
                    .get(number - 1)
                    .ok_or(Error::MissingParameter(*number))?
                    .clone(),
            });
        }
        let mut given = given.into_iter();
        let mut next = || given.next().flatten();
        let needed =
            |what: &'static str, value: Option<String>| value.ok_or(Error::NoValue { what });
        Ok(match self.verb {
            Verb::Create => {
                let (model, kind) = (
                    needed("the model's name", next())?,
                    needed("the type", next())?,
                );
                let (options, query) = (next(), next());
                let flags = next().unwrap_or_default();
                let mut options = match options {
                    Some(text) => options_of(&text)?,
                    None => BTreeMap::new(),
                };
                if let (Some(path), Some(_)) = (&self.search_path, &query) {
                    let of_session = || path.clone();
                    options
                        .entry("search_path".to_owned())
                        .or_insert_with(of_session);
                }
                Order::Create(Create {
                    model,
                    kind: kind.to_ascii_lowercase(),
                    options,
                    query,
                    or_replace: flags.contains('r'),
                    if_not_exists: flags.contains('i'),
                    with_data: !flags.contains('n'),
                })
            }
            Verb::Refresh => Order::Refresh {
                model: needed("the model's name", next())?,
                as_of: next(),
            },
            Verb::RefreshAll => Order::RefreshAll,
            Verb::Show => Order::Show,
            Verb::Describe => Order::Describe {
                model: needed("the model's name", next())?,
            },
            Verb::Promote => {
                let model = needed("the model's name", next())?;
                let version = needed("the version", next())?;
                Order::Promote {
                    model,
                    version: version
                        .trim()
                        .parse()
                        .map_err(|_| Error::NoVersion(version))?,
                    because: next(),
                }
            }
            Verb::Drop => Order::Drop {
                model: needed("the model's name", next())?,
                cascade: truth(next())?,
                if_exists: truth(next())?,
            },
        })
    }
}

/// An argument that may be left out, and is false then.
fn truth(value: Option<String>) -> Result<bool> {
    match value.map(|text| text.trim().to_lowercase()).as_deref() {
        None | Some("f" | "false" | "no" | "off" | "0") => Ok(false),
        Some("t" | "true" | "yes" | "on" | "1") => Ok(true),
        Some(other) => Err(Error::Invalid {
            message: format!("\"{other}\" is neither true nor false"),
            hint: "Such an argument is true, false, or left out.".to_owned(),
        }),
    }
}

/// Cheap to tell for the many statements that have nothing to do with models.
fn mentions_models(sql: &str) -> bool {
    let bytes = sql.as_bytes();
    bytes
        .windows(5)
        .any(|window| window.eq_ignore_ascii_case(b"model"))
}

/// The options of OPTIONS (…), without the parentheses.
fn options_of(text: &str) -> Result<BTreeMap<String, String>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| Error::Syntax {
        message: error.message,
        position: None,
    })?;
    let mut words = Words::new(text, tokens);
    let options = words.options()?;
    match words.peek() {
        None => Ok(options),
        Some(_) => Err(words.unexpected()),
    }
}

/// Tokens that mean something.
struct Words<'a> {
    sql: &'a str,
    tokens: Vec<TokenWithSpan>,
    at: usize,
}

impl<'a> Words<'a> {
    fn new(sql: &'a str, tokens: Vec<TokenWithSpan>) -> Self {
        let mut tokens = tokens;
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
        while tokens
            .last()
            .is_some_and(|last| last.token == Token::SemiColon)
        {
            tokens.pop();
        }
        Self { sql, tokens, at: 0 }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let token = self.tokens.get(self.at + ahead).map(|token| &token.token);
        matches!(token, Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.is_word(0, word);
        self.at += usize::from(is_there);
        is_there
    }

    fn take_all(&mut self, words: &[&str]) -> bool {
        let are_there = words
            .iter()
            .enumerate()
            .all(|(n, word)| self.is_word(n, word));
        if are_there {
            self.at += words.len();
        }
        are_there
    }

    /// Which verb it begins with. `None` is a statement of another kind, `Some(None)` one that may be a call.
    fn verb(&mut self) -> Option<Option<Verb>> {
        if self.is_word(0, "select") || self.is_word(0, "with") {
            return Some(None);
        }
        let verb = if self.take_all(&["refresh", "all", "models"]) {
            Verb::RefreshAll
        } else if self.take_all(&["refresh", "model"]) {
            Verb::Refresh
        } else if self.take_all(&["show", "models"]) {
            Verb::Show
        } else if self.take_all(&["describe", "model"]) || self.take_all(&["desc", "model"]) {
            Verb::Describe
        } else if self.take_all(&["promote", "model"]) {
            Verb::Promote
        } else if self.take_all(&["drop", "model"]) {
            Verb::Drop
        } else if self.take_all(&["create", "model"]) {
            Verb::Create
        } else if self.is_word(0, "create")
            && ["or", "replace", "model"]
                .iter()
                .enumerate()
                .all(|(n, word)| self.is_word(n + 1, word))
        {
            self.at += 1;
            Verb::Create
        } else {
            return None;
        };
        Some(Some(verb))
    }

    fn rest(&mut self, verb: Verb) -> Result<Statement> {
        let arguments = match verb {
            Verb::Create => self.create()?,
            Verb::Refresh => {
                let model = self.name()?;
                let as_of = match self.take_all(&["as", "of"]) {
                    true => Some(self.moment()?),
                    false => None,
                };
                vec![Some(model), as_of]
            }
            Verb::RefreshAll | Verb::Show => vec![],
            Verb::Describe => vec![Some(self.name()?)],
            Verb::Promote => {
                let model = self.name()?;
                if !self.take("version") {
                    return Err(self.unexpected());
                }
                let version = self.number()?;
                let because = match self.take("because") {
                    true => Some(self.text()?),
                    false => None,
                };
                vec![Some(model), Some(version), because]
            }
            Verb::Drop => {
                let if_exists = self.take_all(&["if", "exists"]);
                let model = self.name()?;
                let cascade = self.take("cascade");
                let _ = cascade || self.take("restrict");
                let flag = |is_set: bool| is_set.then(|| "true".to_owned());
                vec![Some(model), flag(cascade), flag(if_exists)]
            }
        };
        if self.peek().is_some() {
            return Err(self.unexpected());
        }
        Ok(Statement {
            verb,
            arguments: arguments.into_iter().map(Argument::Is).collect(),
            is_call: false,
            search_path: None,
        })
    }

    fn create(&mut self) -> Result<Vec<Option<String>>> {
        let mut flags = String::new();
        if self.take_all(&["or", "replace", "model"]) {
            flags.push('r');
        } else if self.take_all(&["if", "not", "exists"]) {
            flags.push('i');
        }
        let model = self.name()?;
        if !self.take("type") {
            return Err(self.unexpected());
        }
        let kind = self.name()?;
        let mut options = None;
        if self.take("options") {
            self.expect(&Token::LParen)?;
            let start = self.offset(self.at);
            self.options()?;
            let end = self.offset(self.at);
            options = Some(self.sql[start..end].to_owned());
            self.expect(&Token::RParen)?;
        }
        let mut query = None;
        if self.take("as") {
            let start = self.offset(self.at);
            let n = self.tokens.len();
            let ends_so = n >= self.at + 3 && {
                let (at, end) = (self.at, n - 3);
                self.at = end;
                let found = ["with", "no", "data"]
                    .iter()
                    .enumerate()
                    .all(|(n, word)| self.is_word(n, word));
                self.at = at;
                found
            };
            let end = if ends_so { n - 3 } else { n };
            if end <= self.at {
                return Err(self.unexpected());
            }
            query = Some(
                self.sql[start..self.offset(end)]
                    .trim_end()
                    .trim_end_matches(';')
                    .to_owned(),
            );
            self.at = end;
        }
        if self.take_all(&["with", "no", "data"]) {
            flags.push('n');
        }
        Ok(vec![Some(model), Some(kind), options, query, Some(flags)])
    }

    /// `key = value` with commas between; a value is a word, a number or a text.
    fn options(&mut self) -> Result<BTreeMap<String, String>> {
        let mut options = BTreeMap::new();
        if matches!(self.peek(), None | Some(Token::RParen)) {
            return Ok(options);
        }
        loop {
            let key = self.name()?;
            self.expect(&Token::Eq)?;
            let value = self.value()?;
            if options.insert(key.clone(), value).is_some() {
                return Err(Error::OptionTwice(key));
            }
            if self.peek() != Some(&Token::Comma) {
                return Ok(options);
            }
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<String> {
        // interval '90 days'
        if self.take("interval") {
            return self.text();
        }
        match self.peek() {
            Some(Token::Minus | Token::Number(..)) => self.number(),
            Some(Token::Word(_)) => self.name(),
            _ => self.text(),
        }
    }

    fn number(&mut self) -> Result<String> {
        let is_negative = self.peek() == Some(&Token::Minus);
        self.at += usize::from(is_negative);
        let number = match self.peek() {
            Some(Token::Number(number, _)) if is_negative => format!("-{number}"),
            Some(Token::Number(number, _)) => number.clone(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(number)
    }

    fn name(&mut self) -> Result<String> {
        let name = match self.peek() {
            Some(Token::Word(word)) => folded(&word.value, word.quote_style),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(name)
    }

    fn text(&mut self) -> Result<String> {
        let text = match self.peek() {
            Some(
                Token::SingleQuotedString(text)
                | Token::EscapedStringLiteral(text)
                | Token::UnicodeStringLiteral(text)
                | Token::NationalStringLiteral(text),
            ) => text.clone(),
            Some(Token::DollarQuotedString(text)) => text.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(text)
    }

    /// `'2026-01-31'`, with or without the type before it.
    fn moment(&mut self) -> Result<String> {
        let _ = self.take("date") || self.take("timestamptz") || self.take("timestamp");
        self.text()
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        if self.peek() == Some(token) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn unexpected(&self) -> Error {
        match self.tokens.get(self.at) {
            Some(found) => Error::Syntax {
                message: format!("syntax error at or near \"{}\"", found.token),
                position: Some(self.sql[..self.offset(self.at)].chars().count() + 1),
            },
            None => Error::Syntax {
                message: "syntax error at end of input".to_owned(),
                position: Some(self.sql.chars().count() + 1),
            },
        }
    }

    /// Where a token begins, in bytes.
    fn offset(&self, token: usize) -> usize {
        match self.tokens.get(token) {
            Some(token) => offset(self.sql, token.span.start),
            None => self.sql.len(),
        }
    }
}

fn offset(sql: &str, at: Location) -> usize {
    let mut rest = sql;
    let mut before = 0;
    for _ in 1..at.line {
        let Some(end) = rest.find('\n') else { break };
        before += end + 1;
        rest = &rest[end + 1..];
    }
    let column = (at.column.max(1) - 1) as usize;
    before
        + rest
            .char_indices()
            .nth(column)
            .map_or(rest.len(), |(byte, _)| byte)
}

/// A name as PostgreSQL knows it: what is not quoted is in small letters, of ASCII's.
fn folded(name: &str, quote: Option<char>) -> String {
    match quote {
        Some(_) => name.to_owned(),
        None => name.to_ascii_lowercase(),
    }
}

/// `SELECT * FROM refresh_model('clv')` and `SELECT refresh_model('clv')`; everything else is a query like any other.
fn call(sql: &str) -> Option<Result<Statement>> {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    let (Some(Ast::Query(query)), 0) = (statements.pop(), statements.len()) else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let (name, arguments) = called(select)?;
    let name = function_name(name)?;
    let (name, verb) = CALLS.into_iter().find(|call| call.0 == name)?;
    let known = STATEMENT_FUNCTIONS
        .iter()
        .find(|known| known.name == name)?;
    let (least, most) = known.n_arguments();
    if !is_alone(&query, select) {
        return Some(Err(Error::Alone(name)));
    }
    if !(least..=most).contains(&arguments.len()) {
        return Some(Err(Error::ArgumentCount { name, least, most }));
    }
    let mut given = vec![Argument::Is(None); most];
    for (n, argument) in arguments.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(value) => (Some(n), value),
            FunctionArg::Named {
                name: of,
                arg: value,
                ..
            }
            | FunctionArg::ExprNamed {
                name: Expr::Identifier(of),
                arg: value,
                ..
            } => (known.place_of(&of.value), value),
            _ => return Some(Err(Error::NotLiteral(name))),
        };
        let (Some(place), FunctionArgExpr::Expr(value)) = (place, value) else {
            return Some(Err(Error::ArgumentCount { name, least, most }));
        };
        match literal(name, value) {
            Ok(value) => given[place] = value,
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(Statement {
        verb,
        arguments: given,
        is_call: true,
        search_path: None,
    }))
}

/// The function that the rows come from, or that is all there is to be answered.
fn called(select: &Select) -> Option<(&ObjectName, &[FunctionArg])> {
    match (select.from.as_slice(), select.projection.as_slice()) {
        ([from], _) if from.joins.is_empty() => match &from.relation {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => Some((name, args.args.as_slice())),
            TableFactor::Function { name, args, .. } => Some((name, args.as_slice())),
            _ => None,
        },
        (
            [],
            [
                SelectItem::UnnamedExpr(Expr::Function(function))
                | SelectItem::ExprWithAlias {
                    expr: Expr::Function(function),
                    ..
                },
            ],
        ) => match &function.args {
            FunctionArguments::List(list) => Some((&function.name, list.args.as_slice())),
            _ => None,
        },
        _ => None,
    }
}

/// Without the schema that they are found in.
fn function_name(name: &ObjectName) -> Option<String> {
    let parts: Option<Vec<&Ident>> = name.0.iter().map(ObjectNamePart::as_ident).collect();
    let parts: Vec<String> = parts?
        .into_iter()
        .map(|part| folded(&part.value, part.quote_style))
        .collect();
    match parts.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "public" => Some(name.clone()),
        _ => None,
    }
}

/// Nothing is done with the answer.
fn is_alone(query: &Query, select: &Select) -> bool {
    let is_all = match (select.from.as_slice(), select.projection.as_slice()) {
        ([from], [SelectItem::Wildcard(_)]) => is_plain(&from.relation),
        ([], [_]) => true,
        _ => false,
    };
    let is_grouped = match &select.group_by {
        GroupByExpr::Expressions(by, with) => !by.is_empty() || !with.is_empty(),
        GroupByExpr::All(_) => true,
    };
    is_all
        && !is_grouped
        && query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && select.distinct.is_none()
        && select.into.is_none()
        && select.selection.is_none()
        && select.having.is_none()
        && select.named_window.is_empty()
}

/// It may have another name, but its columns have their own.
fn is_plain(relation: &TableFactor) -> bool {
    let is_plain =
        |alias: &Option<TableAlias>| alias.as_ref().is_none_or(|alias| alias.columns.is_empty());
    match relation {
        TableFactor::Table {
            alias,
            with_ordinality,
            sample,
            ..
        } => is_plain(alias) && !with_ordinality && sample.is_none(),
        TableFactor::Function {
            alias,
            with_ordinality,
            ..
        } => is_plain(alias) && !with_ordinality,
        _ => false,
    }
}

fn literal(name: &'static str, expr: &Expr) -> Result<Argument> {
    let value = match expr {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => {
            return match literal(name, expr)? {
                Argument::Is(Some(number)) if number.parse::<f64>().is_ok() => {
                    Ok(Argument::Is(Some(format!("-{number}"))))
                }
                _ => Err(Error::NotLiteral(name)),
            };
        }
        Expr::Value(value) => &value.value,
        Expr::Cast { expr, .. } => return literal(name, expr),
        Expr::TypedString(typed) => &typed.value.value,
        Expr::Nested(inner) => return literal(name, inner),
        _ => return Err(Error::NotLiteral(name)),
    };
    Ok(match value {
        Value::Null => Argument::Is(None),
        Value::Number(number, _) => Argument::Is(Some(number.clone())),
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text)
        | Value::NationalStringLiteral(text) => Argument::Is(Some(text.clone())),
        Value::DollarQuotedString(text) => Argument::Is(Some(text.value.clone())),
        Value::Boolean(truth) => Argument::Is(Some(truth.to_string())),
        Value::Placeholder(placeholder) => match placeholder.trim_start_matches('$').parse() {
            Ok(number) if number > 0 => Argument::Parameter(number),
            _ => return Err(Error::NotLiteral(name)),
        },
        _ => return Err(Error::NotLiteral(name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use rapport_engine::oid;

    #[test]
    fn the_catalogue_knows_each_function_with_its_columns() {
        assert_eq!(STATEMENT_FUNCTIONS.len(), CALLS.len());
        for (function, (name, verb)) in STATEMENT_FUNCTIONS.iter().zip(CALLS) {
            assert_eq!(function.name, name);
            let pg_type = |oid| match oid {
                oid::TEXT => "text",
                oid::INT8 => "bigint",
                oid::FLOAT8 => "double precision",
                oid::BOOL => "boolean",
                oid::DATE => "date",
                oid::TIMESTAMPTZ => "timestamp with time zone",
                other => panic!("{name}: {other}"),
            };
            let columns = Shape::of(verb).columns();
            let columns: Vec<(&str, &str)> = columns
                .iter()
                .map(|column| (column.name.as_str(), pg_type(column.pg_type)))
                .collect();
            assert_eq!(function.columns, columns, "{name}");
        }
    }

    fn order(sql: &str) -> Order {
        let statement = Statement::read(sql).expect("about models").expect(sql);
        statement.order(&[]).expect(sql)
    }

    fn refused(sql: &str) -> String {
        match Statement::read(sql) {
            Some(Err(error)) => error.to_string(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn a_model_is_made_of_options_and_a_query() {
        let sql = "CREATE OR REPLACE MODEL \"Worth\" TYPE clv\n OPTIONS (horizon = 90, refresh = '0 3 * * *', \
                   discount = 0.1, past = interval '1 year') AS SELECT 'é', model FROM t -- all\n WITH NO DATA;";
        let Order::Create(create) = order(sql) else {
            panic!()
        };
        assert_eq!(
            (create.model.as_str(), create.kind.as_str()),
            ("Worth", "clv")
        );
        assert_eq!(create.options["refresh"], "0 3 * * *");
        assert_eq!(create.options["past"], "1 year");
        assert_eq!(
            create.query.as_deref(),
            Some("SELECT 'é', model FROM t -- all")
        );
        assert!(create.or_replace && !create.with_data);
    }

    #[test]
    fn a_call_says_the_same_as_a_verb() {
        for (verb, call) in [
            (
                "REFRESH MODEL clv AS OF DATE '2026-01-31'",
                "select * from refresh_model('clv', '2026-01-31')",
            ),
            ("refresh all models", "SELECT * FROM refresh_all_models()"),
            (
                "PROMOTE MODEL clv VERSION 3 BECAUSE 'told so'",
                "SELECT promote_model('clv', 3, 'told so')",
            ),
            (
                "DESC MODEL clv",
                "SELECT * FROM describe_model('clv'::text)",
            ),
            ("DROP MODEL clv RESTRICT", "SELECT * FROM drop_model('clv')"),
            (
                "DROP MODEL clv CASCADE",
                "SELECT * FROM drop_model('clv', cascade => true)",
            ),
            (
                "create model c type churn options (horizon = 30) as select 1",
                "select * from create_model('c', 'churn', 'horizon = 30', 'select 1')",
            ),
            (
                "create model c type churn options (horizon = 30) as select 'a\\b' -- c",
                "select * from create_model('c', E'churn', $$horizon = 30$$, query => $q$select 'a\\b' -- c$q$)",
            ),
            ("SHOW MODELS", "SELECT * FROM public.show_models() AS shown"),
            ("DROP MODEL clv", "SELECT drop_model('clv') AS dropped"),
            (
                "PROMOTE MODEL clv VERSION -1 BECAUSE E'it\\'s'",
                "SELECT Public.Promote_Model('clv', -1, N'it''s')",
            ),
            (
                "CREATE MODEL C TYPE CLV OPTIONS (Family = BGNBD, discount = 0.2)",
                "SELECT * FROM create_model('c', 'clv', 'family = ''bgnbd'', discount = $$0.2$$')",
            ),
        ] {
            assert_eq!(order(verb), order(call));
        }
    }

    #[test]
    fn names_are_folded_as_postgresql_folds_them() {
        for (sql, name) in [
            ("DESCRIBE MODEL Clv", "clv"),
            ("DESCRIBE MODEL ŻYWE", "Żywe"),
            ("DESCRIBE MODEL \"Clv\"", "Clv"),
        ] {
            let model = name.to_owned();
            assert_eq!(order(sql), Order::Describe { model });
        }
    }

    #[test]
    fn nothing_is_done_with_what_a_call_answers() {
        for sql in [
            "SELECT model FROM show_models()",
            "SELECT DISTINCT * FROM show_models()",
            "SELECT * FROM show_models() WHERE model = 'clv'",
            "SELECT * FROM show_models() GROUP BY model",
            "SELECT * FROM show_models() HAVING true",
            "SELECT * FROM show_models() ORDER BY 1",
            "SELECT * FROM show_models() LIMIT 1",
            "SELECT * FROM show_models() OFFSET 1",
            "SELECT * FROM show_models() FETCH FIRST 1 ROW ONLY",
            "SELECT * FROM show_models() FOR UPDATE",
            "SELECT * FROM show_models() AS s (a, b, c)",
            "SELECT * FROM show_models() WITH ORDINALITY",
            "WITH a AS (SELECT 1) SELECT * FROM show_models()",
        ] {
            assert!(refused(sql).contains("stands alone"), "{sql}");
        }
    }

    #[test]
    fn a_model_may_be_made_of_parts() {
        let how = Creation {
            or_replace: true,
            if_not_exists: false,
            with_data: false,
        };
        let options = [("time_zone".to_owned(), "it's".to_owned())];
        let made = Statement::create("Worth", "CLV", &options, Some("SELECT 1"), how);
        let text = "CREATE OR REPLACE MODEL \"Worth\" TYPE clv OPTIONS (time_zone = 'it''s') AS SELECT 1 WITH NO DATA";
        assert_eq!(made.order(&[]).expect("all is said"), order(text));
    }

    #[test]
    fn parameters_are_arguments_of_calls() {
        let read = Statement::read("SELECT * FROM refresh_model($1, $2)");
        let statement = read.expect("a call").expect("a call");
        assert_eq!(statement.n_parameters(), 2);
        let order = statement.order(&[Some("clv".to_owned()), None]);
        assert_eq!(
            order.expect("both"),
            Order::Refresh {
                model: "clv".to_owned(),
                as_of: None
            }
        );
    }

    #[test]
    fn other_statements_are_left_alone() {
        for sql in [
            "SELECT model FROM models.versions",
            "CREATE TABLE model (a int)",
            "SELECT 'REFRESH MODEL clv'",
            "DROP TABLE models",
            "show model",
        ] {
            assert!(Statement::read(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            refused("REFRESH MODEL clv NOW"),
            "syntax error at or near \"NOW\""
        );
        assert_eq!(refused("CREATE MODEL clv"), "syntax error at end of input");
        assert_eq!(
            refused("CREATE MODEL c TYPE clv OPTIONS (a = 1, a = 2)"),
            "option \"a\" is given twice"
        );
        assert_eq!(
            refused("CREATE MODEL c TYPE clv OPTIONS (a = 1,)"),
            "syntax error at or near \")\""
        );
        assert_eq!(
            refused("CREATE OR REPLACE MODEL IF NOT EXISTS c TYPE clv"),
            "syntax error at or near \"NOT\""
        );
        assert!(refused("SELECT * FROM refresh_model(lower('A'))").contains("literals"));
    }
}
