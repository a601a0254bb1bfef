//! The templates of `to_char` and `to_number` for numbers: taken apart, filled in, and read with.
//!
//! Source: PostgreSQL 15, documentation, "Data Type Formatting Functions".

use crate::refusal::Refusal;
use crate::template::ordinal;

/// A template, and what its patterns say together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    /// Digits before and after the point, and those that `V` moves it by.
    before: usize,
    pub after: usize,
    pub shift: usize,
    /// `0` stands first after so many digits, and last.
    zero_start: Option<usize>,
    zero_end: usize,
    fill: bool,
    point: bool,
    anchored: Anchor,
    /// Digits before an `S` that stands in front.
    before_sign: usize,
    has_anchor: bool,
    minus: bool,
    plus: bool,
    bracket: bool,
    blank: bool,
    has_shift: bool,
    pub roman: Option<bool>,
    pub scientific: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Anchor {
    #[default]
    None,
    Front,
    Back,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Nine,
    Zero,
    Point,
    LocalPoint,
    Comma,
    Group,
    Currency,
    Minus,
    Plus,
    Sign,
    /// In capitals or not.
    Roman(bool),
    Th(bool),
    /// Patterns that are said once and for all.
    Silent,
    Character(char),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Comma,
    Point,
    Zero,
    Nine,
    Blank,
    LocalPoint,
    Scientific,
    Fill,
    Group,
    Currency,
    Minus,
    Plus,
    Bracket,
    Roman(bool),
    Sign,
    Anchored,
    Th(bool),
    Shift,
    /// Without effect.
    Nothing,
}

const KEYS: &[(&str, Key)] = &[
    (",", Key::Comma),
    (".", Key::Point),
    ("0", Key::Zero),
    ("9", Key::Nine),
    ("B", Key::Blank),
    ("C", Key::Nothing),
    ("D", Key::LocalPoint),
    ("EEEE", Key::Scientific),
    ("FM", Key::Fill),
    ("G", Key::Group),
    ("L", Key::Currency),
    ("MI", Key::Minus),
    ("PL", Key::Plus),
    ("PR", Key::Bracket),
    ("RN", Key::Roman(true)),
    ("SG", Key::Sign),
    ("SP", Key::Nothing),
    ("S", Key::Anchored),
    ("TH", Key::Th(true)),
    ("V", Key::Shift),
    ("b", Key::Blank),
    ("c", Key::Nothing),
    ("d", Key::LocalPoint),
    ("eeee", Key::Scientific),
    ("fm", Key::Fill),
    ("g", Key::Group),
    ("l", Key::Currency),
    ("mi", Key::Minus),
    ("pl", Key::Plus),
    ("pr", Key::Bracket),
    ("rn", Key::Roman(false)),
    ("sg", Key::Sign),
    ("sp", Key::Nothing),
    ("s", Key::Anchored),
    ("th", Key::Th(false)),
    ("v", Key::Shift),
];

/// 42601
fn wrong(message: &str) -> Refusal {
    Refusal::new("42601", message)
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut template = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((name, key)) = KEYS.iter().find(|(name, _)| rest.starts_with(name)) {
                rest = &rest[name.len()..];
                let node = template.add(*key)?;
                template.nodes.push(node);
                continue;
            }
            let mut chars = rest.chars();
            let Some(c) = chars.next() else { break };
            if c == '"' {
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => {
                            let next = chars.next().unwrap_or('\\');
                            template.nodes.push(Node::Character(next));
                        }
                        c => template.nodes.push(Node::Character(c)),
                    }
                }
            } else {
                let c = match (c, chars.as_str().starts_with('"')) {
                    ('\\', true) => chars.next().unwrap_or(c),
                    (c, _) => c,
                };
                template.nodes.push(Node::Character(c));
            }
            rest = chars.as_str();
        }
        Ok(template)
    }

    fn add(&mut self, key: Key) -> Result<Node, Refusal> {
        if self.scientific && key != Key::Scientific {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        Ok(match key {
            Key::Nine => {
                if self.bracket {
                    return Err(wrong("\"9\" must be ahead of \"PR\""));
                }
                if self.has_shift {
                    self.shift += 1;
                } else if self.point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                Node::Nine
            }
            Key::Zero => {
                if self.bracket {
                    return Err(wrong("\"0\" must be ahead of \"PR\""));
                }
                if self.zero_start.is_none() && !self.point {
                    self.zero_start = Some(self.before);
                }
                if self.point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                self.zero_end = self.before + self.after;
                Node::Zero
            }
            Key::Blank => {
                if self.before == 0 && self.after == 0 && self.zero_start.is_none() {
                    self.blank = true;
                }
                Node::Silent
            }
            Key::Point | Key::LocalPoint => {
                if self.point {
                    return Err(wrong("multiple decimal points"));
                }
                if self.has_shift {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.point = true;
                if key == Key::Point {
                    Node::Point
                } else {
                    Node::LocalPoint
                }
            }
            Key::Fill => {
                self.fill = true;
                Node::Silent
            }
            Key::Anchored => {
                if self.has_anchor {
                    return Err(wrong("cannot use \"S\" twice"));
                }
                if self.plus || self.minus || self.bracket {
                    return Err(wrong(
                        "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together",
                    ));
                }
                if !self.point {
                    self.anchored = Anchor::Front;
                    self.before_sign = self.before;
                } else {
                    self.anchored = Anchor::Back;
                }
                self.has_anchor = true;
                Node::Silent
            }
            Key::Minus => {
                if self.has_anchor {
                    return Err(wrong("cannot use \"S\" and \"MI\" together"));
                }
                self.minus = true;
                Node::Minus
            }
            Key::Plus => {
                if self.has_anchor {
                    return Err(wrong("cannot use \"S\" and \"PL\" together"));
                }
                self.plus = true;
                Node::Plus
            }
            Key::Sign => {
                if self.has_anchor {
                    return Err(wrong("cannot use \"S\" and \"SG\" together"));
                }
                self.minus = true;
                self.plus = true;
                Node::Sign
            }
            Key::Bracket => {
                if self.has_anchor || self.plus || self.minus {
                    return Err(wrong(
                        "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
                    ));
                }
                self.bracket = true;
                Node::Silent
            }
            Key::Roman(upper) => {
                self.roman = Some(upper);
                Node::Roman(upper)
            }
            Key::Currency => Node::Currency,
            Key::Group => Node::Group,
            Key::Comma => Node::Comma,
            Key::Th(upper) => Node::Th(upper),
            Key::Shift => {
                if self.point {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.has_shift = true;
                Node::Silent
            }
            Key::Scientific => {
                if self.scientific {
                    return Err(wrong("cannot use \"EEEE\" twice"));
                }
                if self.blank
                    || self.fill
                    || self.has_anchor
                    || self.bracket
                    || self.minus
                    || self.plus
                    || self.roman.is_some()
                    || self.has_shift
                {
                    return Err(wrong("\"EEEE\" is incompatible with other formats"));
                }
                self.scientific = true;
                Node::Silent
            }
            Key::Nothing => Node::Silent,
        })
    }

    /// Digits before the point, those that `V` moves behind it included.
    fn all_before(&self) -> usize {
        self.before + self.shift
    }

    /// A number of 1 to 3999 as Roman digits, anything else as fifteen `#`.
    pub(crate) fn roman(&self, number: Option<i64>, out: &mut String) {
        let digits = number
            .filter(|number| (1..=3999).contains(number))
            .map_or_else(|| "#".repeat(15), roman);
        for node in &self.nodes {
            match node {
                Node::Roman(upper) => {
                    let digits = match upper {
                        true => digits.clone(),
                        false => digits.to_ascii_lowercase(),
                    };
                    if !self.fill {
                        out.extend(std::iter::repeat_n(
                            ' ',
                            15_usize.saturating_sub(digits.len()),
                        ));
                    }
                    out.push_str(&digits);
                }
                Node::Character(c) => out.push(*c),
                // Nothing but the digits is known of it.
                Node::Comma | Node::Group if !self.fill => out.push(' '),
                Node::Minus | Node::Plus if !self.fill => out.push(' '),
                Node::Currency => out.push(' '),
                _ => {}
            }
        }
    }

    /// What EEEE makes of digits that are laid out already, with a sign or a space in front.
    pub(crate) fn overflowed_scientific(&self) -> String {
        let mut text = "#".repeat(self.before + self.after + 6);
        text.replace_range(0..1, " ");
        text.replace_range(self.before + 1..self.before + 2, ".");
        text
    }

    /// A number given by its digits, rounded to `after` places: `12.30`, no sign. Those are the template's, or fewer for a
    /// floating-point number that has no more to say.
    pub(crate) fn fill(&self, digits: &str, after: usize, negative: bool, out: &mut String) {
        let whole = digits.find('.').unwrap_or(digits.len());
        let before = self.all_before();
        let overflowed;
        let (digits, spaces) = if whole > before {
            overflowed = format!("{}.{}", "#".repeat(before), "#".repeat(after));
            (overflowed.as_str(), 0)
        } else {
            (digits, before - whole)
        };
        Filling::new(self, digits, after, spaces, negative).run(out);
    }
}

fn roman(mut number: i64) -> String {
    const VALUES: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut digits = String::new();
    for (value, text) in VALUES {
        while number >= value {
            digits.push_str(text);
            number -= value;
        }
    }
    digits
}

/// One number on its way into a template.
struct Filling<'a> {
    template: &'a Template,
    digits: &'a [u8],
    after: usize,
    spaces: usize,
    negative: bool,
    anchored: Anchor,
    bracket: bool,
    sign_written: bool,
    /// In fill mode, the last digit after the point that says something; the point itself if none does.
    last_relevant: Option<usize>,
    /// Patterns for digits, less one.
    count: usize,
    current: usize,
    next: usize,
    in_number: bool,
    /// Where the text ends: PostgreSQL writes the end of its digits where a pattern asks for one more.
    end: Option<usize>,
}

impl<'a> Filling<'a> {
    fn new(
        template: &'a Template,
        digits: &'a str,
        after: usize,
        spaces: usize,
        negative: bool,
    ) -> Self {
        let mut anchored = template.anchored;
        let mut bracket = template.bracket;
        let sign_written = if template.plus || template.minus {
            !template.plus || template.minus
        } else {
            if !negative && template.fill {
                bracket = false;
            }
            let written = !negative && template.fill && !template.has_anchor;
            if anchored == Anchor::Front && template.all_before() == template.before_sign {
                anchored = Anchor::Back;
            }
            written
        };
        let last_relevant = (template.fill && template.point)
            .then(|| last_relevant(digits, template.zero_end, spaces))
            .flatten();
        let digit_patterns = template.all_before() + after;
        let count = digit_patterns + usize::from(!sign_written && spaces == 0);
        Self {
            template,
            digits: digits.as_bytes(),
            after,
            spaces,
            negative,
            anchored,
            bracket,
            sign_written,
            last_relevant,
            count: count.saturating_sub(1),
            current: 0,
            next: 0,
            in_number: false,
            end: None,
        }
    }

    fn run(mut self, out: &mut String) {
        let fill = self.template.fill;
        let is_hash = self.digits.first() == Some(&b'#');
        for node in &self.template.nodes {
            match node {
                Node::Nine | Node::Zero | Node::Point | Node::LocalPoint => self.digit(*node, out),
                Node::Comma | Node::Group => match (self.in_number, fill) {
                    (true, _) => out.push(','),
                    (false, false) => out.push(' '),
                    (false, true) => {}
                },
                Node::Currency => out.push(' '),
                Node::Minus => match (self.negative, fill) {
                    (true, _) => out.push('-'),
                    (false, false) => out.push(' '),
                    (false, true) => {}
                },
                Node::Plus => match (self.negative, fill) {
                    (false, _) => out.push('+'),
                    (true, false) => out.push(' '),
                    (true, true) => {}
                },
                Node::Sign => out.push(if self.negative { '-' } else { '+' }),
                Node::Th(upper) => {
                    if !is_hash && !self.negative && !self.template.point {
                        let digits = std::str::from_utf8(self.digits).unwrap_or_default();
                        out.push_str(ordinal(digits, *upper));
                    }
                }
                Node::Character(c) => out.push(*c),
                Node::Roman(_) | Node::Silent => {}
            }
        }
        if let Some(end) = self.end {
            out.truncate(end);
        }
    }

    fn is_zero_pattern(&self) -> bool {
        self.template.zero_start.is_some()
    }

    /// A lone 0 before the point is a space: `.5`.
    fn is_space_before_point(&self) -> bool {
        !self.is_zero_pattern()
            && self.next == 0
            && self.digits.first() == Some(&b'0')
            && self.after != 0
    }

    fn point_is_last_relevant(&self) -> bool {
        self.last_relevant.is_some_and(|at| self.digits[at] == b'.')
    }

    fn sign(&mut self, out: &mut String) {
        let template = self.template;
        if template.has_anchor {
            if self.anchored == Anchor::Front {
                out.push(if self.negative { '-' } else { '+' });
                self.sign_written = true;
            }
        } else if self.bracket {
            out.push(if self.negative { '<' } else { ' ' });
            self.sign_written = true;
        } else if !self.negative {
            if !template.fill {
                out.push(' ');
            }
            self.sign_written = true;
        } else {
            out.push('-');
            self.sign_written = true;
        }
    }

    fn digit(&mut self, node: Node, out: &mut String) {
        let template = self.template;
        let fill = template.fill;
        let zero_starts = template.zero_start;
        self.in_number = false;
        let due = self.current >= self.spaces || zero_starts == Some(self.current);
        if !self.sign_written
            && due
            && (!self.is_space_before_point() || self.point_is_last_relevant())
        {
            self.sign(out);
        }
        if self.current < self.spaces && zero_starts.is_none_or(|start| start > self.current) {
            if !fill {
                out.push(' ');
            }
        } else if self.current < self.spaces {
            out.push('0');
            self.in_number = true;
        } else {
            match self.digits.get(self.next) {
                Some(b'.') => {
                    if !self.point_is_last_relevant() || fill {
                        out.push('.');
                    }
                }
                digit => {
                    let dropped = self.last_relevant.is_some_and(|last| self.next > last)
                        && node != Node::Zero;
                    if dropped {
                    } else if self.is_space_before_point() {
                        if !fill {
                            out.push(' ');
                        } else if self.point_is_last_relevant() {
                            out.push('0');
                        }
                    } else if let Some(digit) = digit {
                        out.push(char::from(*digit));
                        self.in_number = true;
                    } else {
                        self.end.get_or_insert(out.len());
                    }
                }
            }
            if self.next < self.digits.len() {
                self.next += 1;
            }
        }
        let mut end = self.count + usize::from(self.spaces > 0) + usize::from(template.point);
        if self.last_relevant == Some(self.next) {
            end = self.current;
        }
        if self.current + 1 == end {
            if self.sign_written && self.bracket {
                out.push(if self.negative { '>' } else { ' ' });
            } else if template.has_anchor && self.anchored == Anchor::Back {
                out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.current += 1;
    }
}

/// Zeros that the template asks for are relevant.
fn last_relevant(digits: &str, zero_end: usize, spaces: usize) -> Option<usize> {
    let point = digits.find('.')?;
    let last = digits.rfind(|c: char| c != '0').unwrap_or(point).max(point);
    if zero_end > spaces {
        let zero = (zero_end - spaces).min(digits.len() - 1);
        return Some(last.max(zero));
    }
    Some(last)
}

impl Template {
    /// 0A000 for what writes numbers and reads none.
    pub(crate) fn check_readable(&self) -> Result<(), Refusal> {
        if self.scientific {
            return Err(Refusal::new("0A000", "\"EEEE\" not supported for input"));
        }
        if self.roman.is_some() {
            return Err(Refusal::new("0A000", "\"RN\" not supported for input"));
        }
        if self.has_shift {
            return Err(Refusal::not_supported(
                "to_number with V is not supported",
                "Leave V out, and divide by a power of ten.",
            ));
        }
        Ok(())
    }

    /// Reads a number that was written with the template, in units of its last place.
    pub(crate) fn read(&self, text: &str) -> Result<i128, Refusal> {
        let mut reading = Number {
            rest: text,
            sign: None,
            digits: String::new(),
            seen_point: false,
            before: 0,
            after: 0,
        };
        for (index, node) in self.nodes.iter().enumerate() {
            if reading.rest.is_empty() {
                break;
            }
            match node {
                Node::Nine | Node::Zero | Node::Point | Node::LocalPoint => {
                    let is_last = !self.nodes[index + 1..].iter().any(|node| {
                        matches!(
                            node,
                            Node::Nine | Node::Zero | Node::Point | Node::LocalPoint
                        )
                    });
                    reading.digit(self, *node, is_last);
                }
                Node::Comma | Node::Group => {
                    if reading.rest.starts_with(',') && (!reading.digits.is_empty() || !self.fill) {
                        reading.skip(1);
                    }
                }
                Node::Currency => {
                    if !reading.next_is_number() {
                        reading.skip(1);
                    }
                }
                Node::Th(_) => {
                    if !reading.next_is_number() {
                        reading.skip(2);
                    }
                }
                Node::Minus if reading.rest.starts_with('-') => {
                    reading.sign = Some(true);
                    reading.skip(1);
                }
                Node::Plus if reading.rest.starts_with('+') => {
                    reading.sign = Some(false);
                    reading.skip(1);
                }
                Node::Sign if reading.rest.starts_with(['-', '+']) => {
                    reading.sign = Some(reading.rest.starts_with('-'));
                    reading.skip(1);
                }
                Node::Minus | Node::Plus | Node::Sign => {
                    if !reading.next_is_number() {
                        reading.skip(1);
                    }
                }
                Node::Character(_) => reading.skip(1),
                Node::Roman(_) | Node::Silent => {}
            }
        }
        if reading.before + reading.after == 0 {
            return Err(Refusal::new(
                "22P02",
                "invalid input syntax for type numeric: \" \"",
            ));
        }
        if reading.after != self.after {
            return Err(Refusal::not_supported(
                "to_number of a text with fewer decimal places than its template is not supported",
                "Give the template as many places as the texts have.",
            ));
        }
        let digits = reading.digits.replace('.', "");
        let number: i128 = digits
            .parse()
            .map_err(|_| Refusal::new("22003", "numeric field overflow"))?;
        Ok(if reading.sign == Some(true) {
            -number
        } else {
            number
        })
    }
}

/// A text on its way out of a template.
struct Number<'a> {
    rest: &'a str,
    sign: Option<bool>,
    digits: String,
    seen_point: bool,
    before: usize,
    after: usize,
}

impl Number<'_> {
    fn skip(&mut self, characters: usize) {
        for _ in 0..characters {
            let mut chars = self.rest.chars();
            chars.next();
            self.rest = chars.as_str();
        }
    }

    fn next_is_number(&self) -> bool {
        self.rest
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ','))
    }

    fn digit(&mut self, template: &Template, node: Node, is_last: bool) {
        if self.rest.starts_with(' ') {
            self.skip(1);
        }
        if self.rest.is_empty() {
            return;
        }
        // A sign may stand in front.
        if self.digits.is_empty() && self.sign.is_none() {
            if template.bracket && self.rest.starts_with('<') {
                self.sign = Some(true);
                self.skip(1);
            } else if self.rest.starts_with(['-', '+'])
                && (!template.has_anchor || template.anchored == Anchor::Front)
            {
                self.sign = Some(self.rest.starts_with('-'));
                self.skip(1);
            }
        }
        let mut took = false;
        let first = self.rest.chars().next().unwrap_or(' ');
        let is_digit_pattern = matches!(node, Node::Nine | Node::Zero);
        if first.is_ascii_digit() {
            let room = match self.seen_point {
                true => self.after < template.after,
                false => self.before < template.all_before(),
            };
            if room && (is_digit_pattern || !self.seen_point) {
                self.digits.push(first);
                match self.seen_point {
                    true => self.after += 1,
                    false => self.before += 1,
                }
                self.skip(1);
                took = true;
            }
        } else if first == '.' && template.point && !self.seen_point {
            self.digits.push('.');
            self.seen_point = true;
            self.skip(1);
            took = true;
        }
        // A sign may stand behind.
        let may_be_signed = self.sign.is_none() && !self.digits.is_empty();
        if (took || is_last) && may_be_signed && self.rest.starts_with(['-', '+']) {
            let behind = match template.has_anchor {
                true => {
                    template.anchored == Anchor::Back || template.before_sign == template.before
                }
                false => !template.plus && !template.minus,
            };
            if behind {
                self.sign = Some(self.rest.starts_with('-'));
                self.skip(1);
            }
        }
        if template.bracket && is_last && self.rest.starts_with('>') {
            self.skip(1);
        }
    }
}
