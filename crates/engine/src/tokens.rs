//! Forms of `trim`, `substring`, MERGE and rows that the parser does not know, in forms that it does.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::{merge::NOTHING, rows_of_functions::ALL};

/// `trim(both from x)` is `trim(both ' ' from x)`, `trim(x, y)` is `btrim(x, y)`, and `substring(x similar y escape z)` is
/// `substring(x, y, z)`.
pub(crate) fn spell_out(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = 0;
    while at < tokens.len() {
        let opens = next(&tokens, at + 1).filter(|next| tokens[*next].token == Token::LParen);
        match (word(&tokens[at]).as_str(), opens) {
            ("trim", Some(open)) => trim(&mut tokens, at, open),
            ("substring", Some(open)) => substring(&mut tokens, open),
            ("then", None) => do_nothing(&mut tokens, at),
            _ if tokens[at].token == Token::RParen => all_columns(&mut tokens, at),
            _ => {}
        }
        at += 1;
    }
    tokens
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
