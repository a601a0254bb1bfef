//! `a JOIN b USING (k) AS j`: the parser has no name for what is joined. There are the shared columns in it and nothing else, so
//! `j.k` is `k`.

use datafusion::sql::sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

/// A join that has a name.
struct Named {
    name: String,
    columns: Vec<Token>,
    /// Where AS and the name stand.
    places: [usize; 2],
}

pub(crate) fn spell_out(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut from = 0;
    while let Some(named) = first(&tokens, from) {
        from = named.places[1];
        let (start, end) = statement_around(&tokens, from);
        if is_other_too(&tokens[start..end], &named.name) {
            continue;
        }
        let after = tokens.split_off(end);
        let statement = tokens.split_off(start);
        tokens.extend(without(statement, &named, start));
        tokens.extend(after);
    }
    tokens
}

fn first(tokens: &[TokenWithSpan], from: usize) -> Option<Named> {
    (from..tokens.len()).find_map(|using| {
        if !is_keyword(&tokens[using], Keyword::USING) {
            return None;
        }
        let mut at = next(tokens, using)?;
        if tokens[at].token != Token::LParen {
            return None;
        }
        let mut columns = vec![];
        while tokens[at].token != Token::RParen {
            let column = next(tokens, at)?;
            at = next(tokens, column)?;
            match (&tokens[column].token, &tokens[at].token) {
                (Token::Word(_), Token::Comma | Token::RParen) => {
                    columns.push(tokens[column].token.clone());
                }
                _ => return None,
            }
        }
        let as_word = next(tokens, at)?;
        let name = next(tokens, as_word)?;
        let is_named = is_keyword(&tokens[as_word], Keyword::AS);
        Some(Named {
            name: folded(&tokens[name].token).filter(|_| is_named)?,
            columns,
            places: [as_word, name],
        })
    })
}

fn statement_around(tokens: &[TokenWithSpan], at: usize) -> (usize, usize) {
    let ends = |token: &TokenWithSpan| token.token == Token::SemiColon;
    let start = tokens[..at].iter().rposition(ends).map_or(0, |at| at + 1);
    let end = tokens[at..].iter().position(ends);
    (start, end.map_or(tokens.len(), |end| at + end))
}

/// Whether the name is given to something else in the statement.
fn is_other_too(statement: &[TokenWithSpan], name: &str) -> bool {
    let alone = (0..statement.len()).filter(|at| {
        let is_name = folded(&statement[*at].token).is_some_and(|found| found == name);
        let behind = next(statement, *at).map(|behind| &statement[behind].token);
        let is_column = is_part(&statement[..*at]);
        is_name && !is_column && behind != Some(&Token::Period)
    });
    alone.count() > 1
}

/// The statement, which begins at `start`, with columns alone.
fn without(statement: Vec<TokenWithSpan>, named: &Named, start: usize) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(statement.len());
    let mut at = 0;
    while let Some(token) = statement.get(at) {
        let is_own = folded(&token.token).is_some_and(|found| found == named.name);
        let is_part = is_part(&kept);
        let column = next(&statement, at)
            .filter(|period| is_own && !is_part && statement[*period].token == Token::Period)
            .and_then(|period| next(&statement, period));
        let span = token.span;
        match column {
            _ if named.places.contains(&(start + at)) => {}
            Some(column) if statement[column].token == Token::Mul => {
                for (n, column) in named.columns.iter().enumerate() {
                    if n > 0 {
                        let token = Token::Comma;
                        kept.push(TokenWithSpan { token, span });
                    }
                    let token = column.clone();
                    kept.push(TokenWithSpan { token, span });
                }
                at = column;
            }
            Some(column) if is_shared(&statement[column].token, named) => {
                kept.push(statement[column].clone());
                at = column;
            }
            _ => kept.push(token.clone()),
        }
        at += 1;
    }
    kept
}

/// Whether what follows is of what stands before it.
fn is_part(before: &[TokenWithSpan]) -> bool {
    let mut before = before.iter();
    before
        .rfind(|token| !matches!(token.token, Token::Whitespace(_)))
        .is_some_and(|before| before.token == Token::Period)
}

fn is_shared(column: &Token, named: &Named) -> bool {
    let columns = named.columns.iter().map(folded);
    folded(column).is_some_and(|column| columns.flatten().any(|shared| shared == column))
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

/// A name as PostgreSQL folds it.
fn folded(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
        Token::Word(word) => Some(word.value.clone()),
        _ => None,
    }
}

/// Behind white space.
fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|at| !matches!(tokens[*at].token, Token::Whitespace(_)))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, tokenizer::Tokenizer};

    use super::*;

    fn check(sql: &str, expected: &str) {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
        let spelled = spell_out(tokens.expect("tokens"));
        let texts: Vec<String> = spelled
            .iter()
            .map(|token| token.token.to_string())
            .collect();
        assert_eq!(texts.concat(), expected);
    }

    #[test]
    fn columns_of_a_named_join_stand_alone() {
        check(
            "select J.k, j.*, x.j from a join b using (k, l) as j where j.k = 1; select j.k",
            "select k, k,l, x.j from a join b using (k, l)   where k = 1; select j.k",
        );
    }

    #[test]
    fn what_else_has_the_name_is_left() {
        for sql in [
            "select j.k from a join b using (k) as j, c as j",
            "delete from t using (select 1) as j",
            "select 1 from a join b using (k) where true",
        ] {
            check(sql, sql);
        }
    }
}
