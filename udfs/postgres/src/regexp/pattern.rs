//! PostgreSQL's advanced regular expressions in the syntax of the regex crate, and how they are matched.

use std::cell::RefCell;

use datafusion_common::{DataFusionError, Result};
use regex::{Captures, Regex, RegexBuilder};
use regex_automata::{
    Anchored, Input, MatchKind,
    nfa::thompson::pikevm::{self, PikeVM},
    util::syntax,
};

use crate::refusal::{not_supported, refuse};

/// Where each group begins and ends, in bytes; the first is the whole match.
pub(crate) type Groups = Vec<Option<(usize, usize)>>;

/// Compiled programs are no larger than that.
const MOST_BYTES: usize = 32 << 20;

#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// If there may be matches of several lengths at one place, and the regex crate may take another than PostgreSQL.
    ends: Option<Ends>,
}

#[derive(Debug)]
struct Ends {
    prefer: Prefer,
    machine: PikeVM,
    cache: RefCell<pikevm::Cache>,
    /// Matches up to the end of the text only.
    to_end: Regex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefer {
    Longest,
    Shortest,
}

impl Pattern {
    /// 2201B if it is none, 0A000 if it needs what the regex crate can't do.
    pub(crate) fn new(pattern: &str, flags: &str) -> Result<Self> {
        let translated = translate(pattern, flags)?;
        let regex = build(&translated.text)?;
        let ends = match translated.prefer {
            Some(prefer) if translated.is_ambiguous => Some(Ends::new(&translated.text, prefer)?),
            _ => None,
        };
        Ok(Self { regex, ends })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first match that begins at a byte or behind it.
    pub(crate) fn find(&self, text: &str, start: usize) -> Option<Groups> {
        if start > text.len() {
            return None;
        }
        if self.regex.captures_len() == 1 && self.ends.is_none() {
            let found = self.regex.find_at(text, start)?;
            return Some(vec![Some((found.start(), found.end()))]);
        }
        let found = groups(&self.regex.captures_at(text, start)?);
        let (Some(ends), Some((from, to))) = (&self.ends, found[0]) else {
            return Some(found);
        };
        let end = ends.end(text, from).unwrap_or(to);
        if end == to {
            return Some(found);
        }
        let other = ends.to_end.captures_at(&text[..end], from);
        let other = other.map(|captures| groups(&captures));
        Some(
            other
                .filter(|other| other[0] == Some((from, end)))
                .unwrap_or(found),
        )
    }

    /// All matches, one after the other; behind one of nothing the next begins a character later.
    pub(crate) fn find_all<'a>(
        &'a self,
        text: &'a str,
        start: usize,
    ) -> impl Iterator<Item = Groups> + 'a {
        let mut at = Some(start);
        std::iter::from_fn(move || {
            let groups = self.find(text, at?)?;
            let (from, to) = groups[0]?;
            at = if from == to {
                text[to..].chars().next().map(|next| to + next.len_utf8())
            } else {
                Some(to)
            };
            Some(groups)
        })
    }
}

fn groups(captures: &Captures) -> Groups {
    captures
        .iter()
        .map(|group| group.map(|group| (group.start(), group.end())))
        .collect()
}

fn build(text: &str) -> Result<Regex> {
    RegexBuilder::new(text)
        .size_limit(MOST_BYTES)
        .build()
        .map_err(|_| invalid("regular expression is too complex"))
}

impl Ends {
    fn new(text: &str, prefer: Prefer) -> Result<Self> {
        let machine = PikeVM::builder()
            .syntax(syntax::Config::new())
            .configure(pikevm::Config::new().match_kind(MatchKind::All))
            .build(text)
            .map_err(|_| invalid("regular expression is too complex"))?;
        let cache = RefCell::new(machine.create_cache());
        Ok(Self {
            prefer,
            machine,
            cache,
            to_end: build(&format!("(?:{text})\\z"))?,
        })
    }

    fn end(&self, text: &str, start: usize) -> Option<usize> {
        let input = Input::new(text)
            .range(start..)
            .anchored(Anchored::Yes)
            .earliest(self.prefer == Prefer::Shortest);
        let mut cache = self.cache.borrow_mut();
        let mut slots = [None, None];
        self.machine.search_slots(&mut cache, &input, &mut slots)?;
        slots[1].map(|end| end.get())
    }
}

fn invalid(message: &str) -> DataFusionError {
    refuse("2201B", format!("invalid regular expression: {message}"))
}

fn beyond(what: &str) -> DataFusionError {
    not_supported(
        format!("{what} in a regular expression is not supported"),
        "Write the expression without it, or match in two steps.",
    )
}

struct Translated {
    text: String,
    prefer: Option<Prefer>,
    is_ambiguous: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    any_case: bool,
    expanded: bool,
    literal: bool,
    /// `.` and `[^…]` do not match a line's end.
    stop_at_lines: bool,
    /// `^` and `$` match at every line.
    each_line: bool,
}

impl Flags {
    fn set(&mut self, option: char) -> Result<()> {
        match option {
            'c' => self.any_case = false,
            'i' => self.any_case = true,
            'n' | 'm' => (self.stop_at_lines, self.each_line) = (true, true),
            'p' => (self.stop_at_lines, self.each_line) = (true, false),
            'w' => (self.stop_at_lines, self.each_line) = (false, true),
            's' => (self.stop_at_lines, self.each_line) = (false, false),
            'q' => self.literal = true,
            't' => self.expanded = false,
            'x' => self.expanded = true,
            'b' | 'e' => return Err(beyond("another syntax (flag b or e)")),
            other => {
                return Err(refuse(
                    "22023",
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        }
        Ok(())
    }
}

fn translate(pattern: &str, options: &str) -> Result<Translated> {
    let mut flags = Flags::default();
    for option in options.chars() {
        flags.set(option)?;
    }
    let mut rest = pattern;
    if let Some(plain) = rest.strip_prefix("***=") {
        flags.literal = true;
        rest = plain;
    } else {
        rest = rest.strip_prefix("***:").unwrap_or(rest);
        if let Some((options, after)) = embedded(rest) {
            for option in options.chars() {
                flags
                    .set(option)
                    .map_err(|_| invalid("invalid embedded option"))?;
            }
            rest = after;
        }
    }
    let mut head = String::new();
    for (letter, is_on) in [
        ('i', flags.any_case),
        ('s', !flags.stop_at_lines),
        ('m', flags.each_line),
    ] {
        if is_on {
            head.push(letter);
        }
    }
    if !head.is_empty() {
        head = format!("(?{head})");
    }
    if flags.literal {
        return Ok(Translated {
            text: head + &regex::escape(rest),
            prefer: None,
            is_ambiguous: false,
        });
    }
    let mut parser = Parser {
        chars: rest.chars().collect(),
        at: 0,
        flags,
        repetitions: 0,
        alternations: 0,
        depth: 0,
    };
    let whole = parser.expression()?;
    if parser.at < parser.chars.len() {
        return Err(invalid("parentheses () not balanced"));
    }
    let ends_by_itself = whole.ends_text && !flags.each_line;
    Ok(Translated {
        text: head + &whole.text,
        prefer: whole.prefer,
        is_ambiguous: !ends_by_itself && (parser.repetitions > 1 || parser.alternations > 0),
    })
}

/// `(?xyz)` at the very beginning.
fn embedded(pattern: &str) -> Option<(&str, &str)> {
    let (options, after) = pattern.strip_prefix("(?")?.split_once(')')?;
    let are_letters = !options.is_empty() && options.bytes().all(|byte| byte.is_ascii_lowercase());
    are_letters.then_some((options, after))
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    /// Repetitions of no fixed length.
    repetitions: usize,
    alternations: usize,
    depth: usize,
}

/// A part of the expression, translated.
struct Part {
    text: String,
    /// Which of several matches it prefers, if it is for it to say.
    prefer: Option<Prefer>,
    /// Its last thing is `$`.
    ends_text: bool,
    /// Only characters that stand for themselves.
    is_literal: bool,
}

const MOST_NESTED: usize = 200;
/// PostgreSQL's limit of a repetition's count.
const MOST_REPEATED: u32 = 255;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let is_next = text
            .chars()
            .enumerate()
            .all(|(ahead, c)| self.chars.get(self.at + ahead) == Some(&c));
        if is_next {
            self.at += text.chars().count();
        }
        is_next
    }

    /// Branches up to a closing parenthesis or the end.
    fn expression(&mut self) -> Result<Part> {
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(invalid("regular expression is too complex"));
        }
        let mut branches = vec![self.branch()?];
        while self.peek() == Some('|') {
            self.at += 1;
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        if branches.len() == 1 {
            return Ok(branches.remove(0));
        }
        self.alternations += 1;
        // The regex crate takes the first that fits, PostgreSQL the longest.
        if branches.iter().all(|branch| branch.is_literal) {
            branches.sort_by_key(|branch| std::cmp::Reverse(branch.text.len()));
        }
        let ends_text = branches.iter().all(|branch| branch.ends_text);
        let texts: Vec<String> = branches.into_iter().map(|branch| branch.text).collect();
        Ok(Part {
            text: texts.join("|"),
            prefer: Some(Prefer::Longest),
            ends_text,
            is_literal: false,
        })
    }

    fn branch(&mut self) -> Result<Part> {
        let mut branch = Part {
            text: String::new(),
            prefer: None,
            ends_text: false,
            is_literal: true,
        };
        loop {
            self.skip_blanks()?;
            let Some(c) = self.peek() else { break };
            if c == '|' || c == ')' {
                break;
            }
            let part = self.quantified()?;
            branch.text.push_str(&part.text);
            branch.prefer = branch.prefer.or(part.prefer);
            branch.ends_text = part.ends_text;
            branch.is_literal &= part.is_literal;
        }
        Ok(branch)
    }

    /// Comments, and white space if the expression is an expanded one.
    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            if self.take("(?#") {
                while self
                    .next()
                    .ok_or_else(|| invalid("parentheses () not balanced"))?
                    != ')'
                {}
            } else if self.flags.expanded && self.peek().is_some_and(char::is_whitespace) {
                self.at += 1;
            } else if self.flags.expanded && self.peek() == Some('#') {
                while self.next().is_some_and(|c| c != '\n') {}
            } else {
                return Ok(());
            }
        }
    }

    fn quantified(&mut self) -> Result<Part> {
        let (mut part, may_repeat) = self.atom()?;
        self.skip_blanks()?;
        let Some((least, most)) = self.count()? else {
            return Ok(part);
        };
        if !may_repeat {
            return Err(invalid("quantifier operand invalid"));
        }
        let is_lazy = self.peek() == Some('?');
        if is_lazy {
            self.at += 1;
        }
        let is_fixed = most == Some(least);
        let mark = if is_lazy && !is_fixed { "?" } else { "" };
        let count = match (least, most) {
            (0, None) => "*".to_owned(),
            (1, None) => "+".to_owned(),
            (0, Some(1)) => "?".to_owned(),
            (least, None) => format!("{{{least},}}"),
            (least, Some(most)) => format!("{{{least},{most}}}"),
        };
        // A part that is as long as it likes is made short by `{1,1}?`.
        let turned = is_lazy && is_fixed && part.prefer == Some(Prefer::Longest);
        part.text = if turned {
            format!("(?U:{}){count}", part.text)
        } else {
            format!("{}{count}{mark}", part.text)
        };
        if !is_fixed {
            self.repetitions += 1;
        }
        if !is_fixed || part.prefer.is_some() {
            part.prefer = Some(if is_lazy {
                Prefer::Shortest
            } else {
                Prefer::Longest
            });
        }
        part.ends_text = false;
        part.is_literal = false;
        self.skip_blanks()?;
        if self.count()?.is_some() {
            return Err(invalid("quantifier operand invalid"));
        }
        Ok(part)
    }

    /// How often, if that is said here.
    fn count(&mut self) -> Result<Option<(u32, Option<u32>)>> {
        let count = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{')
                if self
                    .chars
                    .get(self.at + 1)
                    .is_some_and(char::is_ascii_digit) =>
            {
                self.at += 1;
                let least = self.number()?;
                let most = if self.take(",") {
                    match self.peek() {
                        Some('}') => None,
                        _ => Some(self.number()?),
                    }
                } else {
                    Some(least)
                };
                if self.peek() != Some('}') {
                    return Err(invalid("braces {} not balanced"));
                }
                if most.is_some_and(|most| most < least) {
                    return Err(invalid("invalid repetition count(s)"));
                }
                (least, most)
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(count))
    }

    fn number(&mut self) -> Result<u32> {
        let mut number = 0_u32;
        let start = self.at;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            number = number.saturating_mul(10).saturating_add(digit);
        }
        if self.at == start || number > MOST_REPEATED {
            return Err(invalid("invalid repetition count(s)"));
        }
        Ok(number)
    }

    /// And whether it may be repeated.
    fn atom(&mut self) -> Result<(Part, bool)> {
        let plain = |text: String| Part {
            text,
            prefer: None,
            ends_text: false,
            is_literal: false,
        };
        let Some(c) = self.next() else {
            return Err(invalid("quantifier operand invalid"));
        };
        Ok(match c {
            '.' => (plain(".".to_owned()), true),
            '^' => (plain("^".to_owned()), false),
            '$' => {
                let mut end = plain("$".to_owned());
                end.ends_text = true;
                (end, false)
            }
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                return Err(invalid("quantifier operand invalid"));
            }
            '(' => (self.group()?, true),
            '[' if self.take("[:<:]]") => (plain("\\b{start}".to_owned()), false),
            '[' if self.take("[:>:]]") => (plain("\\b{end}".to_owned()), false),
            '[' => (plain(self.bracket()?), true),
            '\\' => match self.escape()? {
                Escape::Char(c) => {
                    let mut part = plain(literal(c));
                    part.is_literal = true;
                    (part, true)
                }
                Escape::Class(class) => (plain(format!("[{class}]")), true),
                Escape::Constraint(text) => {
                    let mut part = plain(text.to_owned());
                    part.ends_text = text == "\\z";
                    (part, false)
                }
            },
            c => {
                let mut part = plain(literal(c));
                part.is_literal = true;
                (part, true)
            }
        })
    }

    fn group(&mut self) -> Result<Part> {
        let open = if self.take("?:") {
            "(?:"
        } else if self.take("?=") || self.take("?!") || self.take("?<=") || self.take("?<!") {
            return Err(beyond("looking ahead or behind"));
        } else if self.peek() == Some('?') {
            return Err(invalid("quantifier operand invalid"));
        } else {
            "("
        };
        let inner = self.expression()?;
        if self.next() != Some(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        Ok(Part {
            text: format!("{open}{})", inner.text),
            is_literal: false,
            ..inner
        })
    }

    fn escape(&mut self) -> Result<Escape> {
        let bad = || invalid("invalid escape \\ sequence");
        let c = self.next().ok_or_else(bad)?;
        Ok(match c {
            'a' => Escape::Char('\u{7}'),
            'b' => Escape::Char('\u{8}'),
            'B' => Escape::Char('\\'),
            'c' => {
                let c = self.next().ok_or_else(bad)?;
                Escape::Char(char::from_u32(u32::from(c) & 0x1f).ok_or_else(bad)?)
            }
            'e' => Escape::Char('\u{1b}'),
            'f' => Escape::Char('\u{c}'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            'v' => Escape::Char('\u{b}'),
            'u' => Escape::Char(self.code(4, 4)?),
            'U' => Escape::Char(self.code(8, 8)?),
            'x' => Escape::Char(self.code(1, 255)?),
            'd' => Escape::Class(DIGIT),
            'D' => Escape::Class("^0-9"),
            's' => Escape::Class(SPACE),
            'S' => Escape::Class("\\S\\u{a0}\\u{2007}\\u{202f}"),
            'w' => Escape::Class(WORD),
            'W' => Escape::Class("^\\p{Alphabetic}\\p{Nd}_"),
            'A' => Escape::Constraint("\\A"),
            'm' => Escape::Constraint("\\b{start}"),
            'M' => Escape::Constraint("\\b{end}"),
            'y' => Escape::Constraint("\\b"),
            'Y' => Escape::Constraint("\\B"),
            'Z' => Escape::Constraint("\\z"),
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.at += 1;
                    code = code * 8 + digit;
                }
                Escape::Char(char::from_u32(code).ok_or_else(bad)?)
            }
            '1'..='9' => return Err(beyond("a reference back to a group")),
            c if c.is_ascii_alphanumeric() => return Err(bad()),
            c => Escape::Char(c),
        })
    }

    fn code(&mut self, least: usize, most: usize) -> Result<char> {
        let (mut code, mut digits) = (0_u32, 0);
        while digits < most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                break;
            };
            self.at += 1;
            digits += 1;
            code = code.saturating_mul(16).saturating_add(digit);
        }
        let code = (digits >= least).then_some(code).and_then(char::from_u32);
        code.ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    fn bracket(&mut self) -> Result<String> {
        let unbalanced = || invalid("brackets [] not balanced");
        let mut out = String::from("[");
        if self.take("^") {
            out.push('^');
            if self.flags.stop_at_lines {
                out.push_str("\\n");
            }
        }
        let mut is_first = true;
        loop {
            let c = self.peek().ok_or_else(unbalanced)?;
            if c == ']' && !is_first {
                self.at += 1;
                out.push(']');
                return Ok(out);
            }
            is_first = false;
            if self.take("[:") {
                out.push_str(class(&self.name(":]")?)?);
                continue;
            }
            let from = match self.member()? {
                Member::Char(from) => from,
                Member::Class(class) => {
                    out.push_str(class);
                    continue;
                }
            };
            let is_range = self.peek() == Some('-')
                && self
                    .chars
                    .get(self.at + 1)
                    .is_some_and(|after| *after != ']');
            if !is_range {
                out.push_str(&literal(from));
                continue;
            }
            self.at += 1;
            match self.member()? {
                Member::Char(to) if from <= to => {
                    out.push_str(&literal(from));
                    out.push('-');
                    out.push_str(&literal(to));
                }
                _ => return Err(invalid("invalid character range")),
            }
        }
    }

    fn member(&mut self) -> Result<Member> {
        if self.take("[=") {
            return Ok(Member::Char(one(&self.name("=]")?)?));
        }
        if self.take("[.") {
            return Ok(Member::Char(one(&self.name(".]")?)?));
        }
        match self.next() {
            Some('\\') => match self.escape()? {
                Escape::Char(c) => Ok(Member::Char(c)),
                Escape::Class(class) => Ok(Member::Class(nested(class))),
                Escape::Constraint(_) => Err(invalid("invalid escape \\ sequence")),
            },
            Some(c) => Ok(Member::Char(c)),
            None => Err(invalid("brackets [] not balanced")),
        }
    }

    fn name(&mut self, end: &str) -> Result<String> {
        let mut name = String::new();
        while !self.take(end) {
            name.push(
                self.next()
                    .ok_or_else(|| invalid("brackets [] not balanced"))?,
            );
        }
        Ok(name)
    }
}

enum Escape {
    Char(char),
    /// What stands between brackets.
    Class(&'static str),
    Constraint(&'static str),
}

enum Member {
    Char(char),
    Class(&'static str),
}

fn literal(c: char) -> String {
    match c {
        c if c.is_ascii_punctuation() => format!("\\{c}"),
        ' ' => "\\x20".to_owned(),
        '\n' => "\\n".to_owned(),
        c if c.is_control() => format!("\\x{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    }
}

fn one(name: &str) -> Result<char> {
    let mut chars = name.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(invalid("invalid collating element")),
    }
}

const DIGIT: &str = "0-9";
/// Without the spaces that no line is broken at.
const SPACE: &str = "\\s--[\\u{a0}\\u{2007}\\u{202f}]";
const WORD: &str = "\\p{Alphabetic}\\p{Nd}_";

/// A class inside of brackets.
fn nested(class: &'static str) -> &'static str {
    match class {
        SPACE => "[\\s--[\\u{a0}\\u{2007}\\u{202f}]]",
        "^0-9" => "[^0-9]",
        "^\\p{Alphabetic}\\p{Nd}_" => "[^\\p{Alphabetic}\\p{Nd}_]",
        other => other,
    }
}

fn class(name: &str) -> Result<&'static str> {
    Ok(match name {
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "alpha" => "\\p{Alphabetic}",
        "ascii" => "\\x00-\\x7f",
        "blank" => "\\t\\x20\\u{1680}\\u{2000}-\\u{2006}\\u{2008}-\\u{200a}\\u{205f}\\u{3000}",
        "cntrl" => "\\p{Cc}\\u{2028}\\u{2029}",
        "digit" => "0-9",
        "graph" => "[^\\s\\p{Cc}\\p{Cn}\\p{Cs}]",
        "lower" => "\\p{Lowercase}",
        "print" => "[^\\p{Cc}\\p{Cn}\\p{Cs}]",
        "punct" => "\\p{P}\\p{S}",
        "space" => "[\\s--[\\u{a0}\\u{2007}\\u{202f}]]",
        "upper" => "\\p{Uppercase}",
        "word" => WORD,
        "xdigit" => "0-9A-Fa-f",
        _ => return Err(invalid("invalid character class")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let pattern = Pattern::new(pattern, "").expect("a pattern");
        let found = pattern.find(text, 0).and_then(|groups| groups[0]);
        assert_eq!(
            found.map(|(from, to)| &text[from..to]),
            expected,
            "{pattern:?} {text}"
        );
    }

    #[test]
    fn the_longest_match_is_taken_or_the_shortest() {
        check("foo|foobar", "a foobar", Some("foobar"));
        check("a?(ab)?", "ab", Some("ab"));
        check(".*?x.*", "aaxbx", Some("aax"));
        check("(?:.*?x)?.*", "aaxbx", Some("aaxbx"));
        check("x*", "xxxy", Some("xxx"));
        check("x*?y", "xxxy", Some("xxxy"));
    }

    #[test]
    fn what_stands_in_brackets_is_plain() {
        check("[]a-]+", "x]a-y", Some("]a-"));
        check("[a&&b~~[]+", "x&&[y", Some("&&["));
        check("[[:alpha:]_]+\\d", "1ab_2", Some("ab_2"));
        check("[^\\s,]+", " ,ab c", Some("ab"));
        check("[\\d-]+", "a1-2", Some("1-2"));
    }

    #[test]
    fn words_have_a_beginning_and_an_end() {
        check("\\mcat\\M", "concat cat", Some("cat"));
        check("\\ycat", "concat", None);
        check("[[:<:]]c", "ac c", Some("c"));
        check("a{", "a{", Some("a{"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, code) in [
            ("(", "2201B"),
            ("a)", "2201B"),
            ("[a", "2201B"),
            ("*a", "2201B"),
            ("a**", "2201B"),
            ("a{300}", "2201B"),
            ("\\", "2201B"),
            ("[[:nosuch:]]", "2201B"),
            ("(?=a)", "0A000"),
            ("(a)\\1", "0A000"),
        ] {
            let error = Pattern::new(pattern, "").expect_err(pattern).to_string();
            assert_eq!(
                error.contains("not supported"),
                code == "0A000",
                "{pattern}"
            );
        }
    }
}
