//! Text to syntax trees, one statement at a time, each with its own source text.
//!
//! What a client sends may be made to overflow the stack of whoever walks it, so its size is bounded before it is
//! parsed, its depth before it leaves this file, and long `OR` and `AND` chains are folded flat: what remains can be
//! walked and dropped on any thread.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{self, Visit},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

use rapport_catalog_postgres::is_definition;

use crate::{
    Error, Limits, Result, copy_options, dialect::RapportDialect, join_names, tokens::is_untyped,
    tree,
};

/// One statement of a client's message.
#[derive(Clone, Debug)]
pub struct Statement {
    pub ast: ast::Statement,
    /// What is named before an UPDATE, a DELETE or a MERGE.
    pub with: Option<ast::With>,
    /// Its own source text, without the semicolon.
    pub text: String,
}

/// Tokens between two commas or parentheses: a bound on how deep a chain of operators can get.
const MAX_CHAIN_TOKENS: usize = 40_000;
/// What the parser counts as one level of nesting is less than what a reader does.
const PARSER_LEVELS: usize = 8;
/// Below this many tokens no chain can overflow an ordinary stack.
const FEW_TOKENS: usize = 1_000;
/// Only touched as far as it is used.
const BIG_STACK_BYTES: usize = 512 << 20;

pub(crate) fn parse(sql: &str, limits: &Limits) -> Result<Vec<Statement>> {
    if sql.len() > limits.max_statement_bytes {
        let what = format!(
            "{} bytes, at most {} are taken",
            sql.len(),
            limits.max_statement_bytes
        );
        return Err(Error::TooComplex { what });
    }
    if sql.contains(crate::names::PRIVATE) {
        let message = "invalid character in the statement: U+0001".to_owned();
        return Err(Error::Syntax {
            message,
            position: None,
        });
    }
    parse_trusted(sql, limits)
}

/// One query that we have made ourselves.
pub(crate) fn query(sql: &str) -> Result<ast::Query> {
    let statements = parse_trusted(sql, &Limits::default())?;
    match statements.into_iter().next().map(|statement| statement.ast) {
        Some(ast::Statement::Query(query)) => Ok(*query),
        _ => Err(Error::not_supported("this form of the query", "")),
    }
}

/// As [`parse`], of text that we have made ourselves.
pub(crate) fn parse_trusted(sql: &str, limits: &Limits) -> Result<Vec<Statement>> {
    let dialect = RapportDialect { versions: false };
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| Error::Syntax {
            message: tokenizer_message(&error.message),
            position: Some(character_position(sql, error.location)),
        })?;
    check_shape(&tokens, limits)?;
    if tokens.len() < FEW_TOKENS {
        return parse_tokens(sql, tokens, limits);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("rapport-parse".to_owned())
            .stack_size(BIG_STACK_BYTES)
            .spawn_scoped(scope, || parse_tokens(sql, tokens, limits))
            .map_err(|error| Error::OutOfMemory {
                message: format!("no thread to parse on: {error}"),
            })?
            .join()
            .unwrap_or_else(|_| {
                Err(Error::Panic {
                    message: "the parser failed".to_owned(),
                })
            })
    })
}

fn parse_tokens(sql: &str, tokens: Vec<TokenWithSpan>, limits: &Limits) -> Result<Vec<Statement>> {
    let tokens = spell_out(tokens);
    let dialect = RapportDialect {
        versions: has_version(&tokens),
    };
    let lines = Lines::of(sql);
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(limits.max_depth.saturating_mul(PARSER_LEVELS))
        .with_tokens_with_locations(tokens);
    let mut statements = vec![];
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        let first = parser.peek_token();
        if first.token == Token::EOF {
            return Ok(statements);
        }
        let parsed = parser.parse_statement();
        let after = parser.peek_token();
        let mut ast = match parsed {
            Ok(ast) if matches!(after.token, Token::SemiColon | Token::EOF) => ast,
            // PostgreSQL judges definitions, and it knows more of them.
            _ if statements.is_empty() && is_definition(sql) => {
                return Ok(vec![Statement {
                    ast: unread_definition(),
                    with: None,
                    text: sql.trim_end().trim_end_matches(';').to_owned(),
                }]);
            }
            Ok(_) => return Err(near(sql, &after)),
            Err(error) => return Err(syntax_error(sql, error)),
        };
        tree::flatten(&mut ast);
        tree::check(&ast, limits)?;
        if let ControlFlow::Break(word) = ast.visit(&mut OtherDialects) {
            return Err(Error::Syntax {
                message: format!("syntax error at or near \"{word}\""),
                position: Some(character_position(sql, word.span.start)),
            });
        }
        let start = lines.offset(sql, first.span.start);
        let end = if after.token == Token::EOF {
            sql.len()
        } else {
            lines.offset(sql, after.span.start)
        };
        let (with, ast) = apart(ast)?;
        statements.push(Statement {
            ast,
            with,
            text: sql[start..end].trim_end().to_owned(),
        });
    }
}

/// `WITH a AS (…) UPDATE …` without its WITH, that of an INSERT before its query.
fn apart(ast: ast::Statement) -> Result<(Option<ast::With>, ast::Statement)> {
    use ast::SetExpr as S;
    let (mut with, mut ast) = match ast {
        ast::Statement::Query(query) => {
            let query = *query;
            match *query.body {
                S::Insert(change) | S::Update(change) | S::Delete(change) | S::Merge(change) => {
                    (query.with, change)
                }
                body => {
                    let body = Box::new(body);
                    let query = Box::new(ast::Query { body, ..query });
                    (None, ast::Statement::Query(query))
                }
            }
        }
        other => (None, other),
    };
    let refused = with.visit(&mut Changes).is_break() || ast.visit(&mut Changes).is_break();
    if refused {
        return Err(Error::not_supported(
            "a statement in WITH that changes rows is not supported",
            "Run it before, in the same transaction: BEGIN; DELETE … RETURNING …; …; COMMIT.",
        ));
    }
    if let ast::Statement::Insert(insert) = &mut ast
        && let Some(source) = &mut insert.source
        && with.is_some()
    {
        let inner = std::mem::replace(source, Box::new(query("SELECT 1")?));
        *source.body = ast::SetExpr::Query(inner);
        source.with = with.take();
    }
    Ok((with, ast))
}

fn changes(body: &ast::SetExpr) -> bool {
    use ast::SetExpr as S;
    matches!(
        body,
        S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_)
    )
}

/// Finds a query that changes rows.
struct Changes;

impl ast::Visitor for Changes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        match changes(&query.body) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Finds what other databases have: a text in the place of a column's name, `ORDER BY ALL`, columns with types in
/// `CREATE TABLE … AS`.
struct OtherDialects;

impl ast::Visitor for OtherDialects {
    type Break = ast::Ident;

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<ast::Ident> {
        let mut aliases = select.projection.iter().filter_map(|item| match item {
            ast::SelectItem::ExprWithAlias { alias, .. } => Some(alias),
            _ => None,
        });
        broken(aliases.find(|alias| alias.quote_style == Some('\'')))
    }

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<ast::Ident> {
        let kind = query.order_by.as_ref().map(|order_by| &order_by.kind);
        let Some(ast::OrderByKind::Expressions(keys)) = kind else {
            return ControlFlow::Continue(());
        };
        broken(keys.iter().find_map(|key| match &key.expr {
            ast::Expr::Identifier(name) => Some(name).filter(|name| {
                name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all")
            }),
            _ => None,
        }))
    }

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<ast::Ident> {
        let ast::Statement::CreateTable(create) = statement else {
            return ControlFlow::Continue(());
        };
        let is_typed = |column: &&ast::ColumnDef| !is_untyped(&column.data_type);
        let typed = create.columns.iter().find(is_typed);
        broken(
            typed
                .filter(|_| create.query.is_some())
                .map(|typed| &typed.name),
        )
    }
}

fn broken(word: Option<&ast::Ident>) -> ControlFlow<ast::Ident> {
    match word {
        Some(word) => ControlFlow::Break(word.clone()),
        None => ControlFlow::Continue(()),
    }
}

/// Stands for a definition that only PostgreSQL can read: all that is known of it is its text.
fn unread_definition() -> ast::Statement {
    ast::Statement::Comment {
        object_type: ast::CommentObject::Database,
        object_name: ast::ObjectName(vec![]),
        comment: None,
        if_exists: true,
    }
}

/// `TABLE t` is `SELECT * FROM t`, which the parser knows.
fn spell_out(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut spelled = Vec::with_capacity(tokens.len() + 2);
    let (mut is_start, mut inserts) = (true, false);
    let mut first = None;
    for token in tokens {
        let span = token.span;
        if !matches!(token.token, Token::Whitespace(_)) {
            let word = match &token.token {
                Token::Word(word) => word.keyword,
                _ => Keyword::NoKeyword,
            };
            let first = *first.get_or_insert(word);
            inserts |= word == Keyword::INSERT && matches!(first, Keyword::INSERT | Keyword::WITH);
        }
        match &token.token {
            Token::Whitespace(_) => spelled.push(token),
            // No table has another beneath it.
            Token::Word(word) if word.keyword == Keyword::ONLY && names_table(&spelled) => {}
            Token::Word(word) if (is_start || inserts) && word.keyword == Keyword::TABLE => {
                is_start = false;
                for token in [
                    Token::make_keyword("SELECT"),
                    Token::Mul,
                    Token::make_keyword("FROM"),
                ] {
                    spelled.push(TokenWithSpan { token, span });
                }
            }
            other => {
                if *other == Token::SemiColon {
                    (first, inserts) = (None, false);
                }
                // A query may stand here.
                is_start = match other {
                    Token::SemiColon | Token::LParen => true,
                    Token::Word(word) => matches!(
                        word.keyword,
                        Keyword::AS
                            | Keyword::ALL
                            | Keyword::UNION
                            | Keyword::EXCEPT
                            | Keyword::INTERSECT
                    ),
                    _ => false,
                };
                spelled.push(token);
            }
        }
    }
    let spelled = join_names::spell_out(respelled(spelled));
    without_data(crate::tokens::spell_out(spelled))
}

/// Forms that the parser does not know, as others that mean the same to it. The statement's text stays as it is.
fn respelled(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // The words of the statement so far that are no white space.
    let mut words: Vec<String> = vec![];
    for mut token in tokens {
        let word = match &token.token {
            Token::Whitespace(_) => {
                kept.push(token);
                continue;
            }
            Token::SemiColon => {
                words.clear();
                kept.push(token);
                continue;
            }
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            _ => String::new(),
        };
        let first = words.first().map(String::as_str);
        let second = words.get(1).map(String::as_str);
        let last = words.last().map(String::as_str);
        let is_temporary = matches!(word.as_str(), "temp" | "temporary");
        if is_temporary && matches!(last, Some("local" | "global")) && words.len() > 1 {
            // CREATE LOCAL TEMPORARY, INTO LOCAL TEMPORARY
            let before = words[words.len() - 2].as_str();
            if matches!(before, "create" | "into") {
                let at = kept
                    .iter()
                    .rposition(|kept| matches!(kept.token, Token::Word(_)));
                kept.truncate(at.unwrap_or(kept.len()));
                words.pop();
            }
        } else if word == "unlogged" && last == Some("create") && words.len() == 1 {
            // The lake has no log that could be spared.
            continue;
        } else if first == Some("alter") && word == "view" && words.len() == 1 {
            // A view's name and owner are changed by ALTER TABLE too.
            token.token = Token::make_keyword("TABLE");
        } else if first == Some("alter")
            && matches!(second, Some("table" | "view"))
            && last == Some("set")
            && word == "schema"
        {
            // SET SCHEMA: who it is said of matters, and nothing else.
            let at = kept
                .iter()
                .rposition(|kept| matches!(kept.token, Token::Word(_)));
            kept.truncate(at.unwrap_or(kept.len()));
            let span = token.span;
            for word in ["OWNER", "TO"] {
                let token = Token::make_keyword(word);
                kept.push(TokenWithSpan { token, span });
            }
            words.push(word);
            continue;
        }
        words.push(word);
        kept.push(token);
    }
    kept
}

/// Whether the name of a table comes next.
fn names_table(before: &[TokenWithSpan]) -> bool {
    let last = before
        .iter()
        .rev()
        .find(|token| !matches!(token.token, Token::Whitespace(_)));
    last.is_some_and(|last| match &last.token {
        Token::Comma => true,
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::FROM | Keyword::JOIN | Keyword::UPDATE | Keyword::TABLE | Keyword::TRUNCATE
        ),
        _ => false,
    })
}

/// `CREATE TABLE … AS … WITH [NO] DATA`: the parser does not know its end. It is looked for again in the text.
fn without_data(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token.token == Token::SemiColon {
            drop_with_data(&mut kept);
        }
        kept.push(token);
    }
    drop_with_data(&mut kept);
    without_copy_options(kept)
}

/// The options of COPY are looked for again in the text, because the parser does not know all of them.
fn without_copy_options(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut statement = vec![];
    for token in tokens {
        if token.token == Token::SemiColon {
            copy_options::without_options(&mut statement);
            kept.append(&mut statement);
            kept.push(token);
        } else {
            statement.push(token);
        }
    }
    copy_options::without_options(&mut statement);
    kept.append(&mut statement);
    kept
}

fn drop_with_data(statement: &mut Vec<TokenWithSpan>) {
    let word = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    };
    let last: Vec<(usize, String)> = statement
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .take(3)
        .map(|(at, token)| (at, word(token)))
        .collect();
    let words: Vec<&str> = last.iter().map(|(_, word)| word.as_str()).collect();
    match words.as_slice() {
        ["data", "no", "with"] => statement.truncate(last[2].0),
        ["data", "with", _] => statement.truncate(last[1].0),
        _ => {}
    }
}

fn check_shape(tokens: &[TokenWithSpan], limits: &Limits) -> Result<()> {
    let mut enclosing = vec![];
    let mut length = 0_usize;
    let mut prefixes = 0_usize;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::Minus | Token::Plus | Token::Tilde => prefixes += 1,
            Token::Word(word) if word.keyword == Keyword::NOT => prefixes += 1,
            _ => prefixes = 0,
        }
        match &token.token {
            Token::LParen | Token::LBracket => {
                enclosing.push(length + 1);
                length = 0;
            }
            Token::Word(word) if word.keyword == Keyword::CASE => {
                enclosing.push(length + 1);
                length = 0;
            }
            Token::RParen | Token::RBracket => length = enclosing.pop().unwrap_or(0),
            Token::Word(word) if word.keyword == Keyword::END => {
                length = enclosing.pop().unwrap_or(0)
            }
            Token::Comma | Token::SemiColon => length = 0,
            _ => length += 1,
        }
        // The parser would give up in the middle, and call it a syntax error.
        if prefixes.max(enclosing.len()) > limits.max_depth {
            return Err(Error::TooComplex {
                what: format!("it is nested over {} levels", limits.max_depth),
            });
        }
        if length > MAX_CHAIN_TOKENS {
            let what = "an expression has too many terms; put the values into a table and join it";
            return Err(Error::TooComplex {
                what: what.to_owned(),
            });
        }
    }
    Ok(())
}

fn has_version(tokens: &[TokenWithSpan]) -> bool {
    let mut words = [None; 2];
    for token in tokens {
        let keyword = match &token.token {
            Token::Whitespace(_) => continue,
            Token::Word(word) => Some(word.keyword),
            _ => None,
        };
        let what = matches!(
            words[0],
            Some(Keyword::VERSION | Keyword::TIMESTAMP | Keyword::SYSTEM_TIME)
        );
        if what && words[1] == Some(Keyword::AS) && keyword == Some(Keyword::OF) {
            return true;
        }
        words = [words[1], keyword];
    }
    false
}

fn syntax_error(sql: &str, error: ParserError) -> Error {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return Error::TooComplex {
                what: "it is nested too deeply".to_owned(),
            };
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let location = location_in(&message);
    let position = location.map(|location| character_position(sql, location));
    let found = message.split_once("found: ").map(|(_, found)| {
        found
            .split_once(" at Line:")
            .map_or(found, |(found, _)| found)
    });
    let message = match found {
        Some("EOF") => {
            let message = "syntax error at end of input".to_owned();
            return Error::Syntax {
                message,
                position: Some(sql.chars().count() + 1),
            };
        }
        Some(found) => format!("syntax error at or near \"{found}\""),
        None => {
            let told = message
                .split_once(" at Line:")
                .map_or(&*message, |(told, _)| told);
            format!("syntax error: {told}")
        }
    };
    Error::Syntax { message, position }
}

fn near(sql: &str, token: &TokenWithSpan) -> Error {
    Error::Syntax {
        message: format!("syntax error at or near \"{}\"", token.token),
        position: Some(character_position(sql, token.span.start)),
    }
}

fn tokenizer_message(message: &str) -> String {
    if message.starts_with("Unterminated string literal") {
        "unterminated quoted string".to_owned()
    } else {
        format!("syntax error: {message}")
    }
}

/// sqlparser tells the place of an error only in its text.
fn location_in(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location {
        line: line.parse().ok()?,
        column: column.trim().parse().ok()?,
    })
}

fn character_position(sql: &str, location: Location) -> usize {
    let offset = Lines::of(sql).offset(sql, location);
    sql[..offset].chars().count() + 1
}

/// Where lines begin, to turn a line and column into a byte offset.
struct Lines(Vec<usize>);

impl Lines {
    fn of(sql: &str) -> Self {
        let breaks = sql.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        )
    }

    fn offset(&self, sql: &str, location: Location) -> usize {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = self.0.get(line) else {
            return sql.len();
        };
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        sql[*start..]
            .char_indices()
            .nth(column)
            .map_or(sql.len(), |(at, _)| start + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        let statements = parse(sql, &Limits::default()).expect("it parses");
        statements
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    fn error(sql: &str) -> Error {
        parse(sql, &Limits::default()).expect_err("it does not parse")
    }

    #[test]
    fn each_statement_has_its_own_text() {
        assert_eq!(
            texts(";; SELECT 'ä;ö' ;\n  SELECT\n 2 -- two\n;"),
            ["SELECT 'ä;ö'", "SELECT\n 2 -- two"]
        );
    }

    #[test]
    fn an_empty_text_is_no_statement() {
        assert_eq!(texts(" ; -- nothing\n"), Vec::<String>::new());
    }

    #[test]
    fn a_version_may_follow_a_table() {
        texts("SELECT * FROM interactions VERSION AS OF 3 AS i");
        texts("SELECT * FROM interactions TIMESTAMP AS OF '2026-01-01' i JOIN customers c ON true");
    }

    #[test]
    fn at_and_before_and_changes_are_names() {
        texts("SELECT * FROM a at JOIN b before ON true JOIN c changes ON true");
    }

    #[test]
    fn a_syntax_error_names_the_token_and_its_place() {
        match error("SELECT\n  FRM x WHERE") {
            Error::Syntax { message, position } => {
                assert_eq!(message, "syntax error at end of input");
                assert_eq!(position, Some(21));
            }
            other => panic!("{other:?}"),
        }
        match error("SELECT a b c") {
            Error::Syntax { message, position } => {
                assert_eq!(message, "syntax error at or near \"c\"");
                assert_eq!(position, Some(12));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn twenty_thousand_sums_are_refused() {
        let sum = format!("SELECT {}", vec!["1"; 20_000].join("+"));
        assert!(matches!(error(&sum), Error::TooComplex { .. }));
    }

    #[test]
    fn a_million_sums_are_refused() {
        let sum = format!("SELECT {}", vec!["1"; 1_000_000].join("+"));
        assert!(matches!(error(&sum), Error::TooComplex { .. }));
    }

    #[test]
    fn deep_parentheses_are_refused() {
        for (open, close) in [
            ("(", ")"),
            ("NOT ", ""),
            ("- ", ""),
            ("abs(", ")"),
            ("(SELECT ", ")"),
        ] {
            let sql = format!("SELECT {}1{}", open.repeat(5_000), close.repeat(5_000));
            assert!(matches!(error(&sql), Error::TooComplex { .. }), "{open}");
        }
    }

    #[test]
    fn five_thousand_ors_of_one_column_become_one_list() {
        let terms: Vec<String> = (0..5_000).map(|i| format!("a = {i}")).collect();
        let sql = format!("SELECT * FROM t WHERE {}", terms.join(" OR "));
        let statements = parse(&sql, &Limits::default()).expect("it parses");
        assert!(statements[0].ast.to_string().contains("a IN (0, 1, 2, "));
    }

    #[test]
    fn a_long_chain_of_different_terms_becomes_shallow() {
        let terms: Vec<String> = (0..3_000).map(|i| format!("a{i} > {i}")).collect();
        texts(&format!("SELECT * FROM t WHERE {}", terms.join(" AND ")));
    }
}
