//! PostgreSQL's lexical rules, as far as splitting a message into statements and reading session commands needs them:
//! quotes of all kinds, nested comments, words and signs.

use crate::sqlstate::{Failure, Result};

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Not quoted: a keyword or a name, in lower case.
    Word(String),
    /// A name in double quotes.
    Name(String),
    /// A string literal, unescaped.
    Text(String),
    Number,
    Sign(char),
    /// A quote or comment without end: the parser's error to report.
    Unfinished,
}

/// One token and the bytes it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(given) if given == word)
    }

    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    /// As the name of something: words and quoted names alike.
    pub fn as_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(name) | Kind::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// One statement of a message.
#[derive(Debug, PartialEq)]
pub struct Piece<'a> {
    /// From its first token to its last: without comments around it and without the semicolon.
    pub text: &'a str,
    /// How many characters of the message stand before it.
    pub before: usize,
    /// With positions in `text`.
    pub tokens: Vec<Token>,
}

/// The statements of a message; empty ones (comments, stray semicolons) are left out.
pub fn split(sql: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut current: Vec<Token> = Vec::new();
    let mut finish = |tokens: &mut Vec<Token>| {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return;
        };
        let (start, end) = (first.start, last.end);
        for token in tokens.iter_mut() {
            token.start -= start;
            token.end -= start;
        }
        pieces.push(Piece {
            text: &sql[start..end],
            before: sql[..start].chars().count(),
            tokens: std::mem::take(tokens),
        });
    };
    for token in tokens(sql) {
        if token.is_sign(';') {
            finish(&mut current);
        } else {
            current.push(token);
        }
    }
    finish(&mut current);
    pieces
}

pub fn tokens(sql: &str) -> Vec<Token> {
    let mut lexer = Lexer { sql, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    fn next(&mut self) -> Option<Token> {
        if !self.skip_blank() {
            let start = self.at;
            self.at = self.sql.len();
            return Some(Token {
                kind: Kind::Unfinished,
                start,
                end: self.at,
            });
        }
        let start = self.at;
        let first = self.rest().chars().next()?;
        let kind = match first {
            '\'' => self.quoted('\'', false).map(Kind::Text),
            '"' => self.quoted('"', false).map(Kind::Name),
            'e' | 'E' if self.rest()[1..].starts_with('\'') => {
                self.at += 1;
                self.quoted('\'', true).map(Kind::Text)
            }
            'b' | 'B' | 'x' | 'X' | 'n' | 'N' if self.rest()[1..].starts_with('\'') => {
                self.at += 1;
                self.quoted('\'', false).map(Kind::Text)
            }
            '$' => self.dollar(),
            c if c.is_ascii_digit() => {
                self.skip_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
                Some(Kind::Number)
            }
            c if c.is_alphabetic() || c == '_' || !c.is_ascii() => {
                self.skip_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii());
                Some(Kind::Word(self.sql[start..self.at].to_ascii_lowercase()))
            }
            c => {
                self.at += c.len_utf8();
                Some(Kind::Sign(c))
            }
        };
        let kind = kind.unwrap_or_else(|| {
            self.at = self.sql.len();
            Kind::Unfinished
        });
        Some(Token {
            kind,
            start,
            end: self.at,
        })
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    /// Over spaces and comments; false when a comment does not end.
    fn skip_blank(&mut self) -> bool {
        loop {
            self.skip_while(char::is_whitespace);
            if self.rest().starts_with("--") {
                self.skip_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let Some(length) = comment_length(self.rest()) else {
                    return false;
                };
                self.at += length;
            } else {
                return true;
            }
        }
    }

    /// What stands between two `quote`s; doubled ones mean themselves.
    fn quoted(&mut self, quote: char, escapes: bool) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                if chars.next_if(|(_, next)| *next == quote).is_none() {
                    self.at += at + 1;
                    return Some(text);
                }
                text.push(quote);
            } else if c == '\\' && escapes {
                match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    other => text.push(other),
                }
            } else {
                text.push(c);
            }
        }
        None
    }

    /// `$tag$ … $tag$`, or `$1`, or a sign.
    fn dollar(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let tag_length = rest[1..]
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|&length| rest[1 + length..].starts_with('$'))
            .filter(|_| !rest[1..].starts_with(|c: char| c.is_ascii_digit()));
        let Some(tag_length) = tag_length else {
            self.at += 1;
            let start = self.at;
            self.skip_while(|c| c.is_ascii_digit());
            return Some(if self.at > start {
                Kind::Number
            } else {
                Kind::Sign('$')
            });
        };
        let tag = &rest[..tag_length + 2];
        let body = &rest[tag.len()..];
        let end = body.find(tag)?;
        let text = body[..end].to_owned();
        self.at += 2 * tag.len() + end;
        Some(Kind::Text(text))
    }
}

/// Comments nest.
fn comment_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

/// Walks over the tokens of one statement.
#[derive(Clone)]
pub struct Cursor<'a> {
    pub text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Cursor<'a> {
    pub fn new(piece: &'a Piece<'_>) -> Self {
        Self {
            text: piece.text,
            tokens: &piece.tokens,
        }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    pub fn advance(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    pub fn at_end(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Takes the word if it comes next.
    pub fn take(&mut self, word: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is_word(word));
        if is_next {
            self.advance();
        }
        is_next
    }

    /// Takes one of the words if it comes next.
    pub fn take_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.take(word))
    }

    /// Takes all of the words if they come next, or none.
    pub fn take_all(&mut self, words: &[&str]) -> bool {
        let mut ahead = self.clone();
        let all = words.iter().all(|word| ahead.take(word));
        if all {
            *self = ahead;
        }
        all
    }

    pub fn take_sign(&mut self, sign: char) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is_sign(sign));
        if is_next {
            self.advance();
        }
        is_next
    }

    /// The name that comes next, quoted or not.
    pub fn name(&mut self) -> Result<String> {
        match self.peek().and_then(Token::as_name) {
            Some(name) => {
                let name = name.to_owned();
                self.advance();
                Ok(name)
            }
            None => Err(self.unexpected()),
        }
    }

    /// The source text of what has not been taken yet.
    pub fn rest(&self) -> &'a str {
        self.peek().map_or("", |token| &self.text[token.start..])
    }

    pub fn end(&self) -> Result<()> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// 42601, in PostgreSQL's words.
    pub fn unexpected(&self) -> Failure {
        match self.peek() {
            None => {
                Failure::new("42601", "syntax error at end of input")
                    .at(self.text.chars().count() + 1)
            }
            Some(token) => Failure::new(
                "42601",
                format!(
                    "syntax error at or near \"{}\"",
                    &self.text[token.start..token.end]
                ),
            )
            .at(self.text[..token.start].chars().count() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &[&str]) {
        let pieces: Vec<&str> = split(sql).into_iter().map(|piece| piece.text).collect();
        assert_eq!(pieces, expected);
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes() {
        check("select 1; select ';' ;;", &["select 1", "select ';'"]);
        check(
            "select \"a;b\", E'it\\';s', 'it'';s'; x",
            &["select \"a;b\", E'it\\';s', 'it'';s'", "x"],
        );
        check(
            "do $$ a; b $$; do $x$ $$;$$ $x$",
            &["do $$ a; b $$", "do $x$ $$;$$ $x$"],
        );
        check("select $1;select 2", &["select $1", "select 2"]);
    }

    #[test]
    fn comments_are_no_statements() {
        check("", &[]);
        check(" -- nothing; here\n /* a /* nested; */ one */ ; ", &[]);
        check("-- Looker Query Context\nselect 1 -- end", &["select 1"]);
    }

    #[test]
    fn what_does_not_end_stays_in_one_piece() {
        check("select 'a; b", &["select 'a; b"]);
        check("select 1; /* no end; ", &["select 1", "/* no end; "]);
    }

    #[test]
    fn positions_count_characters_of_the_message() {
        let pieces = split("select 'ż'; select 2");
        assert_eq!(pieces[1].before, 12);
    }

    #[test]
    fn words_are_folded_and_names_are_not() {
        let tokens = tokens("SeLect \"SeLect\" E'a\\nb'");
        assert_eq!(tokens[0].kind, Kind::Word("select".into()));
        assert_eq!(tokens[1].kind, Kind::Name("SeLect".into()));
        assert_eq!(tokens[2].kind, Kind::Text("a\nb".into()));
    }
}
