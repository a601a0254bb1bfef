//! Forms of texts, operators, `trim`, `substring`, MERGE and rows that the parser does not know, in forms that it does.

use datafusion::sql::sqlparser::{
    ast::DataType,
    keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS},
    tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace},
};

use crate::{dialect::RapportDialect, merge::NOTHING, names::PRIVATE, rows_of_functions::ALL};

/// `trim(both from x)` is `trim(both ' ' from x)`, `trim(x, y)` is `btrim(x, y)`, and `substring(x similar y escape z)` is
/// `substring(x, y, z)`.
pub(crate) fn spell_out(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut tokens = join_lines(tokens);
    let mut at = 0;
    while at < tokens.len() {
        end_operator(&mut tokens, at);
        let opens = next(&tokens, at + 1).filter(|next| tokens[*next].token == Token::LParen);
        match (word(&tokens[at]).as_str(), opens) {
            ("trim", Some(open)) => trim(&mut tokens, at, open),
            ("substring", Some(open)) => substring(&mut tokens, open),
            ("then", None) => do_nothing(&mut tokens, at),
            ("isnull", None) => is_null(&mut tokens, at),
            ("table", _) => columns_of_query(&mut tokens, at),
            _ if tokens[at].token == Token::DoubleEq => {
                // The parser takes it for `=`.
                tokens[at].token = Token::CustomBinaryOperator("==".to_owned());
            }
            _ if tokens[at].token == Token::RParen => all_columns(&mut tokens, at),
            _ => plain_text(&mut tokens, at),
        }
        at += 1;
    }
    tokens
}

/// Texts with the end of a line between them are one.
fn join_lines(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // A text with nothing but white space behind it so far.
    let (mut open, mut ends_line) = (None, false);
    for token in tokens {
        match &token.token {
            Token::Whitespace(Whitespace::MultiLineComment(_)) => open = None,
            Token::Whitespace(space) => {
                ends_line |= !matches!(space, Whitespace::Space | Whitespace::Tab);
            }
            Token::SingleQuotedString(more) => {
                if let Some(at) = open.filter(|_| ends_line)
                    && goes_on(&mut kept[at], more)
                {
                    kept.truncate(at + 1);
                    ends_line = false;
                    continue;
                }
                (open, ends_line) = (Some(kept.len()), false);
            }
            Token::EscapedStringLiteral(_) => (open, ends_line) = (Some(kept.len()), false),
            _ => open = None,
        }
        kept.push(token);
    }
    kept
}

fn goes_on(token: &mut TokenWithSpan, more: &str) -> bool {
    match &mut token.token {
        Token::SingleQuotedString(text) => text.push_str(more),
        // What a backslash means there is not known any more.
        Token::EscapedStringLiteral(text) if !more.contains('\\') => text.push_str(more),
        _ => return false,
    }
    true
}

/// An operator ends before a sign, unless it has one of the characters that PostgreSQL's own operators have not.
fn end_operator(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let Token::CustomBinaryOperator(operator) = &tokens[at].token else {
        return;
    };
    let own = operator.trim_end_matches(['+', '-']);
    let is_free = operator.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?']);
    if is_free || own.is_empty() || own.len() == operator.len() {
        return;
    }
    let signs = operator[own.len()..].chars().map(|sign| match sign {
        '+' => Token::Plus,
        _ => Token::Minus,
    });
    let dialect = RapportDialect { versions: false };
    let Ok(mut parts) = Tokenizer::new(&dialect, own).tokenize() else {
        return;
    };
    parts.extend(signs);
    let span = tokens[at].span;
    let parts = parts.into_iter().map(|token| TokenWithSpan { token, span });
    tokens.splice(at..=at, parts);
}

/// `U&'…'`, of which the parser has read the characters that have numbers, is a text.
fn plain_text(tokens: &mut [TokenWithSpan], at: usize) {
    let escape = next(tokens, at + 1).filter(|next| word(&tokens[*next]) == "uescape");
    if let Token::UnicodeStringLiteral(text) = &tokens[at].token
        && escape.is_none()
    {
        tokens[at].token = Token::SingleQuotedString(text.clone());
    }
}

/// Whether a value or a name comes behind the word.
fn stands_before(keyword: Keyword) -> bool {
    use Keyword as K;
    match keyword {
        K::END => false,
        K::AS | K::AND | K::OR | K::NOT | K::WHEN | K::THEN | K::ELSE | K::ON | K::BY => true,
        K::DISTINCT | K::ALL | K::CASE | K::IN | K::LIKE | K::ILIKE | K::BETWEEN => true,
        other => RESERVED_FOR_COLUMN_ALIAS.contains(&other),
    }
}

/// `x ISNULL` is `x IS NULL`.
fn is_null(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let before = tokens[..at]
        .iter()
        .rfind(|token| !matches!(token.token, Token::Whitespace(_)));
    let is_value = before.is_some_and(|before| match &before.token {
        Token::Word(name) => name.quote_style.is_some() || !stands_before(name.keyword),
        Token::Number(..) | Token::Placeholder(_) | Token::RParen | Token::RBracket => true,
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => true,
        _ => false,
    });
    if is_value {
        let span = tokens[at].span;
        let words = ["IS", "NULL"].map(|word| TokenWithSpan {
            token: Token::make_keyword(word),
            span,
        });
        let space = Token::Whitespace(Whitespace::Space);
        let [is, null] = words;
        tokens.splice(at..=at, [is, TokenWithSpan { token: space, span }, null]);
    }
}

/// With white space, and IF NOT EXISTS before it.
const MOST_TOKENS_OF_NAME: usize = 40;

/// Whether the column has the type that [`columns_of_query`] gives.
pub(crate) fn is_untyped(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Custom(name, _) if name.to_string().contains(PRIVATE))
}

/// `CREATE TABLE t (a, b) AS …`: the parser wants each column to have a type, which nobody looks at.
fn columns_of_query(tokens: &mut Vec<TokenWithSpan>, table: usize) {
    let mut before = tokens[..table]
        .iter()
        .rev()
        .map(|token| (&token.token, word(token)));
    let creates = before.find(|(token, word)| {
        let is_kind = matches!(word.as_str(), "temp" | "temporary");
        !is_kind && !matches!(token, Token::Whitespace(_))
    });
    if creates.is_none_or(|(_, word)| word != "create") {
        return;
    }
    let near = tokens.len().min(table + MOST_TOKENS_OF_NAME);
    let Some(open) = (table..near).find(|at| tokens[*at].token == Token::LParen) else {
        return;
    };
    let is_name = |token: &TokenWithSpan| match &token.token {
        Token::Word(_) => word(token) != "as",
        token => matches!(token, Token::Period | Token::Whitespace(_)),
    };
    if !tokens[table..open].iter().all(is_name) {
        return;
    }
    let mut names = vec![];
    let mut at = open;
    loop {
        let Some(name) = next(tokens, at + 1) else {
            return;
        };
        let Some(end) = next(tokens, name + 1) else {
            return;
        };
        names.push(name);
        at = end;
        match (&tokens[name].token, &tokens[end].token) {
            (Token::Word(_), Token::Comma) => {}
            (Token::Word(_), Token::RParen) => break,
            _ => return,
        }
    }
    if next(tokens, at + 1).is_none_or(|behind| word(&tokens[behind]) != "as") {
        return;
    }
    for name in names.into_iter().rev() {
        let span = tokens[name].span;
        let token = Token::make_word(&PRIVATE.to_string(), Some('"'));
        tokens.insert(name + 1, TokenWithSpan { token, span });
    }
}

/// In lower case; empty if it is no word or stands in quotes.
fn word(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    }
}

/// The next token that is not white space.
fn next(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let mut places = from..tokens.len();
    places.find(|at| !matches!(tokens[*at].token, Token::Whitespace(_)))
}

/// `(row).*` is a column of the row that no row has.
fn all_columns(tokens: &mut [TokenWithSpan], close: usize) {
    let is = |at: Option<usize>, wanted: &Token| at.filter(|at| tokens[*at].token == *wanted);
    let point = is(next(tokens, close + 1), &Token::Period);
    if let Some(all) = point.and_then(|point| is(next(tokens, point + 1), &Token::Mul)) {
        tokens[all].token = Token::make_word(ALL, Some('"'));
    }
}

fn trim(tokens: &mut Vec<TokenWithSpan>, name: usize, open: usize) {
    let Some(mut first) = next(tokens, open + 1) else {
        return;
    };
    if matches!(
        word(&tokens[first]).as_str(),
        "both" | "leading" | "trailing"
    ) {
        match next(tokens, first + 1) {
            Some(second) => first = second,
            None => return,
        }
    }
    if word(&tokens[first]) == "from" {
        let token = Token::SingleQuotedString(" ".to_owned());
        let span = tokens[first].span;
        tokens.insert(first, TokenWithSpan { token, span });
        let token = Token::make_keyword("FROM");
        tokens[first + 1].token = token;
        return;
    }
    let (from, commas, _) = inside(tokens, open);
    if from.is_none() && !commas.is_empty() {
        tokens[name].token = Token::make_word("btrim", None);
    }
}

fn substring(tokens: &mut [TokenWithSpan], open: usize) {
    let (_, _, words) = inside(tokens, open);
    let similar = words.iter().find(|at| word(&tokens[**at]) == "similar");
    let escape = words.iter().find(|at| word(&tokens[**at]) == "escape");
    if let (Some(similar), Some(escape)) = (similar.copied(), escape.copied()) {
        tokens[similar].token = Token::Comma;
        tokens[escape].token = Token::Comma;
    }
}

/// `THEN DO NOTHING` of a MERGE is an action on a column that no table has.
fn do_nothing(tokens: &mut Vec<TokenWithSpan>, then: usize) {
    let is = |at: Option<usize>, wanted| at.filter(|at| word(&tokens[*at]) == wanted);
    let verb = is(next(tokens, then + 1), "do");
    let nothing = verb.and_then(|verb| is(next(tokens, verb + 1), "nothing"));
    let (Some(verb), Some(nothing)) = (verb, nothing) else {
        return;
    };
    let when = (0..then).rfind(|at| word(&tokens[*at]) == "when");
    let Some(first) = when.and_then(|when| next(tokens, when + 1)) else {
        return;
    };
    let column = Token::make_word(NOTHING, Some('"'));
    let zero = Token::Number("0".to_owned(), false);
    let action = match word(&tokens[first]) == "not" {
        true => vec![
            Token::make_keyword("INSERT"),
            Token::LParen,
            column,
            Token::RParen,
            Token::make_keyword("VALUES"),
            Token::LParen,
            zero,
            Token::RParen,
        ],
        false => vec![
            Token::make_keyword("UPDATE"),
            Token::make_keyword("SET"),
            column,
            Token::Eq,
            zero,
        ],
    };
    let span = tokens[verb].span;
    let action = action
        .into_iter()
        .map(|token| TokenWithSpan { token, span });
    tokens.splice(verb..=nothing, action);
}

/// Of one pair of parentheses, and not of those in it: the first FROM, the commas, the words.
fn inside(tokens: &[TokenWithSpan], open: usize) -> (Option<usize>, Vec<usize>, Vec<usize>) {
    let (mut from, mut commas, mut words) = (None, vec![], vec![]);
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            Token::Comma if depth == 1 => commas.push(at),
            Token::Word(_) if depth == 1 => {
                words.push(at);
                if word(token) == "from" && from.is_none() {
                    from = Some(at);
                }
            }
            _ => {}
        }
    }
    (from, commas, words)
}
