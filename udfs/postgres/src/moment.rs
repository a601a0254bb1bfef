//! Dates and times as people write them and PostgreSQL reads them (`DateStyle`): a text is cut into fields, and
//! each field is taken for what is still missing.

use datafusion_common::config::ConfigOptions;

use crate::calendar::{JULIAN, civil, day_of, days_in_month};
use crate::clock::{Clock, DateOrder};
use crate::refusal::Refusal;
use crate::zone::{DAY, HOUR, MINUTE, SECOND, Zone};

/// A date that stands for one that never comes.
pub const DATE_INFINITY: i32 = i32::MAX;
/// Its opposite.
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;
/// A moment that never comes, and its opposite is [`MINUS_INFINITY`].
pub const INFINITY: i64 = i64::MAX;
/// A moment before all others.
pub const MINUS_INFINITY: i64 = i64::MIN;

/// 4713 BC, and the end of what 64 bits of microseconds since 1970 reach.
const FIRST_DAY: i64 = -JULIAN;
/// The first day of the year 5874898, which is none any more.
const END_OF_DAYS: i64 = 2_147_483_494 - JULIAN;
const FIRST_MOMENT: i64 = FIRST_DAY * DAY;
const LAST_MOMENT: i64 = i64::MAX - DAY;

/// A result of arithmetic that is a timestamp of PostgreSQL's, or its refusal (22008).
pub(crate) fn in_range(micros: i64) -> Result<i64, Refusal> {
    if (FIRST_MOMENT..=LAST_MOMENT).contains(&micros) {
        Ok(micros)
    } else {
        Err(Refusal::timestamp_out_of_range())
    }
}

/// As [`in_range`], for days.
pub(crate) fn date_in_range(day: i64) -> Result<i32, Refusal> {
    i32::try_from(day)
        .ok()
        .filter(|day| (FIRST_DAY..END_OF_DAYS).contains(&i64::from(*day)))
        .ok_or_else(|| Refusal::new("22008", "date out of range"))
}

pub(crate) fn is_finite(micros: i64) -> bool {
    micros != INFINITY && micros != MINUS_INFINITY
}

pub(crate) fn is_finite_date(day: i32) -> bool {
    day != DATE_INFINITY && day != DATE_MINUS_INFINITY
}

/// What a text is read with.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// For a text without a zone.
    pub zone: Zone,
    pub order: DateOrder,
    /// What `now` and `today` mean; microseconds since 1970 in UTC.
    pub now: i64,
}

impl Reading {
    /// As the session's options have it.
    pub fn of(options: &ConfigOptions) -> Result<Self, Refusal> {
        let clock = Clock::of(options);
        Ok(Self {
            zone: Zone::of_session(options)?,
            order: clock.order,
            now: clock.transaction,
        })
    }

    /// Days since 1970.
    pub fn date(&self, text: &str) -> Result<i32, Refusal> {
        let day = match self.moment(text, "date")? {
            Said::Infinity => return Ok(DATE_INFINITY),
            Said::MinusInfinity => return Ok(DATE_MINUS_INFINITY),
            Said::Epoch => 0,
            Said::At { day, .. } => day,
            Said::Far { day } => day,
        };
        date_in_range(day)
            .map_err(|_| Refusal::new("22008", format!("date out of range: \"{text}\"")))
    }

    /// What clocks show, in microseconds since they showed 1970. A zone in the text is ignored.
    pub fn timestamp(&self, text: &str) -> Result<i64, Refusal> {
        let local = match self.moment(text, "timestamp")? {
            Said::Infinity => return Ok(INFINITY),
            Said::MinusInfinity => return Ok(MINUS_INFINITY),
            Said::Epoch => 0,
            Said::At { local, .. } => local,
            Said::Far { .. } => INFINITY,
        };
        in_range(local).map_err(|_| out_of_range(text))
    }

    /// Microseconds since 1970 in UTC.
    pub fn timestamptz(&self, text: &str) -> Result<i64, Refusal> {
        let moment = match self.moment(text, "timestamp with time zone")? {
            Said::Infinity => return Ok(INFINITY),
            Said::MinusInfinity => return Ok(MINUS_INFINITY),
            Said::Epoch => 0,
            Said::At { local, zone, .. } => {
                let offset = zone.unwrap_or(self.zone).offset_of_clock(local);
                local.saturating_sub(i64::from(offset) * SECOND)
            }
            Said::Far { .. } => INFINITY,
        };
        in_range(moment).map_err(|_| out_of_range(text))
    }

    /// Microseconds of the day; 24:00 is allowed.
    pub fn time(&self, text: &str) -> Result<i64, Refusal> {
        let name = "time";
        let fields = split(text).ok_or_else(|| syntax(text, name))?;
        let mut decoder = Decoder::new(self, true);
        decoder
            .decode(&fields)
            .map_err(|wrong| wrong.refusal(text, name))?;
        if decoder.have & TIME != TIME {
            return Err(syntax(text, name));
        }
        decoder
            .time_of_day()
            .map_err(|wrong| wrong.refusal(text, name))
    }

    fn moment(&self, text: &str, type_name: &str) -> Result<Said, Refusal> {
        if let Some(local) = plain(text) {
            return Ok(Said::At {
                day: local.div_euclid(DAY),
                local,
                zone: None,
            });
        }
        let fields = split(text).ok_or_else(|| syntax(text, type_name))?;
        let mut decoder = Decoder::new(self, false);
        let said = decoder.decode(&fields).and_then(|()| decoder.finish());
        said.map_err(|wrong| wrong.refusal(text, type_name))
    }
}

fn out_of_range(text: &str) -> Refusal {
    Refusal::new("22008", format!("timestamp out of range: \"{text}\""))
}

fn syntax(text: &str, type_name: &str) -> Refusal {
    Refusal::new(
        "22007",
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// What nearly every text looks like, fast: `2024-01-31`, or with ` 12:34:56` and a fraction.
fn plain(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        bytes.get(from..to)?.iter().try_fold(0, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    if !(is(4, b'-') && is(7, b'-')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if year == 0 || !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let date = day_of(year, month, day) * DAY;
    if bytes.len() == 10 {
        return Some(date);
    }
    if !((is(10, b' ') || is(10, b'T')) && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match bytes.get(19) {
        None => 0,
        Some(b'.') if (21..=26).contains(&bytes.len()) => {
            let digits = bytes.len() - 20;
            number(20, bytes.len())? * 10_i64.pow(6 - digits as u32)
        }
        Some(_) => return None,
    };
    Some(date + hour * HOUR + minute * MINUTE + second * SECOND + fraction)
}

enum Said {
    Infinity,
    MinusInfinity,
    Epoch,
    At {
        /// 24:00 is the end of the day here, and the beginning of the next in `local`.
        day: i64,
        local: i64,
        zone: Option<Zone>,
    },
    /// A date beyond all timestamps.
    Far {
        day: i64,
    },
}

enum Wrong {
    Format,
    Range,
    /// The month or day may have been meant the other way round.
    Order,
    Displacement,
    NoZone(String),
}

impl Wrong {
    fn refusal(self, text: &str, type_name: &str) -> Refusal {
        let range = Refusal::new(
            "22008",
            format!("date/time field value out of range: \"{text}\""),
        );
        match self {
            Self::Format => syntax(text, type_name),
            Self::Range => range,
            Self::Order => range.with_hint("Perhaps you need a different \"datestyle\" setting."),
            Self::Displacement => Refusal::new(
                "22009",
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Self::NoZone(zone) => {
                Refusal::invalid_parameter(format!("time zone \"{zone}\" not recognized"))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Digits, perhaps with a point.
    Number,
    /// With separators: a date, or a zone's name.
    Date,
    /// With colons.
    Time,
    /// With a sign in front.
    Zone,
    Word,
    /// `-infinity`
    Special,
}

/// `None` if there is a character that belongs nowhere.
fn split(text: &str) -> Option<Vec<(Kind, String)>> {
    let lower = text.to_ascii_lowercase();
    let bytes = lower.as_bytes();
    let mut fields = vec![];
    let mut at = 0;
    let take = |at: &mut usize, keep: &dyn Fn(u8) -> bool| {
        while *at < bytes.len() && keep(bytes[*at]) {
            *at += 1;
        }
    };
    let is_digit = |byte: u8| byte.is_ascii_digit();
    while at < bytes.len() {
        let start = at;
        let first = bytes[at];
        let next = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let kind = if first.is_ascii_whitespace() {
            at += 1;
            continue;
        } else if first.is_ascii_digit() {
            take(&mut at, &is_digit);
            match next(at) {
                b':' => {
                    take(&mut at, &|byte| is_digit(byte) || byte == b':');
                    if next(at) == b'.' {
                        at += 1;
                        take(&mut at, &is_digit);
                    }
                    Kind::Time
                }
                separator @ (b'-' | b'/' | b'.') => {
                    at += 1;
                    if is_digit(next(at)) {
                        take(&mut at, &is_digit);
                        if next(at) == separator {
                            take(&mut at, &|byte| is_digit(byte) || byte == separator);
                            Kind::Date
                        } else if separator == b'.' {
                            Kind::Number
                        } else {
                            Kind::Date
                        }
                    } else {
                        take(&mut at, &|byte| {
                            byte.is_ascii_alphanumeric() || byte == separator
                        });
                        Kind::Date
                    }
                }
                _ => Kind::Number,
            }
        } else if first == b'.' {
            at += 1;
            take(&mut at, &is_digit);
            Kind::Number
        } else if first.is_ascii_alphabetic() {
            take(&mut at, &|byte| byte.is_ascii_alphabetic());
            let is_date = match next(at) {
                b'-' | b'/' | b'.' => true,
                b'_' => true,
                byte if byte == b'+' || is_digit(byte) => word(&lower[start..at]).is_none(),
                _ => false,
            };
            if is_date {
                take(&mut at, &|byte| {
                    byte.is_ascii_alphanumeric()
                        || matches!(byte, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
                });
                Kind::Date
            } else {
                Kind::Word
            }
        } else if matches!(first, b'+' | b'-') {
            at += 1;
            take(&mut at, &|byte| byte.is_ascii_whitespace());
            let sign = lower[start..start + 1].to_owned();
            let from = at;
            if is_digit(next(at)) {
                take(&mut at, &|byte| {
                    is_digit(byte) || matches!(byte, b':' | b'.' | b'-')
                });
                fields.push((Kind::Zone, sign + &lower[from..at]));
            } else if next(at).is_ascii_alphabetic() {
                take(&mut at, &|byte| byte.is_ascii_alphabetic());
                fields.push((Kind::Special, sign + &lower[from..at]));
            } else {
                return None;
            }
            continue;
        } else if first.is_ascii_punctuation() {
            at += 1;
            continue;
        } else {
            return None;
        };
        fields.push((kind, lower[start..at].to_owned()));
    }
    Some(fields)
}

const YEAR: u32 = 1;
const MONTH: u32 = 2;
const DAY_: u32 = 4;
const DATE: u32 = YEAR | MONTH | DAY_;
const TIME: u32 = 8;
const ZONE: u32 = 16;
const DAY_OF_YEAR: u32 = 32;
const HALF: u32 = 64;
const ERA: u32 = 128;
const WEEKDAY: u32 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Month(i64),
    Weekday,
    Afternoon(bool),
    BeforeChrist(bool),
    Now,
    Today(i64),
    Epoch,
    Infinity(bool),
    Midnight,
    Julian,
    Clock,
    Summer,
    Ignored,
    /// PostgreSQL knows it and takes it nowhere here.
    Unit,
}

fn word(text: &str) -> Option<Word> {
    Some(match text {
        "january" | "jan" => Word::Month(1),
        "february" | "feb" => Word::Month(2),
        "march" | "mar" => Word::Month(3),
        "april" | "apr" => Word::Month(4),
        "may" => Word::Month(5),
        "june" | "jun" => Word::Month(6),
        "july" | "jul" => Word::Month(7),
        "august" | "aug" => Word::Month(8),
        "september" | "sep" | "sept" => Word::Month(9),
        "october" | "oct" => Word::Month(10),
        "november" | "nov" => Word::Month(11),
        "december" | "dec" => Word::Month(12),
        "sunday" | "sun" | "monday" | "mon" | "tuesday" | "tue" | "tues" | "wednesday" | "wed"
        | "weds" | "thursday" | "thu" | "thur" | "thurs" | "friday" | "fri" | "saturday"
        | "sat" => Word::Weekday,
        "am" => Word::Afternoon(false),
        "pm" => Word::Afternoon(true),
        "ad" => Word::BeforeChrist(false),
        "bc" => Word::BeforeChrist(true),
        "now" => Word::Now,
        "today" => Word::Today(0),
        "tomorrow" => Word::Today(1),
        "yesterday" => Word::Today(-1),
        "epoch" => Word::Epoch,
        "infinity" | "+infinity" => Word::Infinity(true),
        "-infinity" => Word::Infinity(false),
        "allballs" => Word::Midnight,
        "j" | "jd" | "julian" => Word::Julian,
        "t" => Word::Clock,
        "dst" => Word::Summer,
        "at" | "on" => Word::Ignored,
        "d" | "h" | "m" | "s" | "y" | "mm" | "isodow" | "isoyear" | "dow" | "doy" => Word::Unit,
        _ => return None,
    })
}

struct Decoder<'a> {
    reading: &'a Reading,
    time_only: bool,
    have: u32,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    zone: Option<Zone>,
    two_digits: bool,
    is_julian: bool,
    before_christ: bool,
    afternoon: Option<bool>,
    text_month: bool,
    /// What the field before says of the next one.
    expects: Option<Word>,
    fixed: Option<Said>,
}

type Decoded<T> = Result<T, Wrong>;

impl<'a> Decoder<'a> {
    fn new(reading: &'a Reading, time_only: bool) -> Self {
        Self {
            reading,
            time_only,
            have: 0,
            year: 0,
            month: 0,
            day: 0,
            day_of_year: 0,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
            zone: None,
            two_digits: false,
            is_julian: false,
            before_christ: false,
            afternoon: None,
            text_month: false,
            expects: None,
            fixed: None,
        }
    }

    fn decode(&mut self, fields: &[(Kind, String)]) -> Decoded<()> {
        if fields.is_empty() {
            return Err(Wrong::Format);
        }
        for (index, (kind, text)) in fields.iter().enumerate() {
            let next = fields.get(index + 1).map(|(kind, _)| *kind);
            let found = match kind {
                Kind::Date => self.date_field(text)?,
                Kind::Time => {
                    if self.expects.take().is_some_and(|word| word != Word::Clock) {
                        return Err(Wrong::Format);
                    }
                    self.clock(text)?;
                    TIME
                }
                Kind::Zone => {
                    self.zone = Some(Zone::Fixed(displacement(text)?));
                    ZONE
                }
                Kind::Number => self.number_field(text)?,
                Kind::Word | Kind::Special => self.word_field(text, next)?,
            };
            if found & self.have != 0 {
                return Err(Wrong::Format);
            }
            self.have |= found;
        }
        if self.expects.is_some() {
            return Err(Wrong::Format);
        }
        Ok(())
    }

    fn date_field(&mut self, text: &str) -> Decoded<u32> {
        match self.expects.take() {
            Some(Word::Julian) => return self.julian(text),
            Some(Word::Clock) => return self.run_together_with_zone(text),
            _ => {}
        }
        let have_date = self.have & DATE == DATE || self.time_only && !starts_with_digit(text);
        if !have_date {
            return self.separated_date(text);
        }
        if starts_with_digit(text) {
            return self.run_together_with_zone(text);
        }
        match Zone::parse(text) {
            Some(zone) => {
                self.zone = Some(zone);
                Ok(ZONE)
            }
            None => Err(Wrong::NoZone(text.to_owned())),
        }
    }

    /// `040506-08`
    fn run_together_with_zone(&mut self, text: &str) -> Decoded<u32> {
        let (digits, zone) = text
            .find('-')
            .map(|at| text.split_at(at))
            .ok_or(Wrong::Format)?;
        if self.have & TIME != 0 {
            return Err(Wrong::Format);
        }
        let seconds = displacement(zone)?;
        let found = self.run_together(digits)?;
        self.zone = Some(Zone::Fixed(seconds));
        Ok(found | ZONE)
    }

    fn number_field(&mut self, text: &str) -> Decoded<u32> {
        match self.expects.take() {
            Some(Word::Julian) => return self.julian(text),
            Some(Word::Clock) => {
                let found = self.run_together(text)?;
                return if found == TIME {
                    Ok(found)
                } else {
                    Err(Wrong::Format)
                };
            }
            Some(_) => return Err(Wrong::Format),
            None => {}
        }
        let point = text.find('.');
        if self.time_only {
            let have = self.have;
            self.have |= DATE;
            let found = match point {
                Some(at) if at > 2 => self.run_together(text),
                Some(_) => Err(Wrong::Format),
                None => self.run_together(text),
            };
            self.have = have;
            return found;
        }
        match point {
            Some(_) if self.have & DATE == 0 => self.separated_date(text),
            Some(at) if at > 2 => self.run_together(text),
            _ if text.len() >= 6 && (self.have & DATE == 0 || self.have & TIME == 0) => {
                self.run_together(text)
            }
            _ => self.number(text),
        }
    }

    fn word_field(&mut self, text: &str, next: Option<Kind>) -> Decoded<u32> {
        if let Some(seconds) = Zone::abbreviation(text) {
            self.zone = Some(Zone::Fixed(seconds));
            return Ok(ZONE);
        }
        let Some(found) = word(text) else {
            return match Zone::abbreviated(text).or_else(|| Zone::name(text)) {
                Some(zone) => {
                    self.zone = Some(zone);
                    Ok(ZONE)
                }
                None => Err(Wrong::Format),
            };
        };
        let reading = self.reading;
        Ok(match found {
            Word::Month(month) => {
                let mut found = MONTH;
                // A number that was taken for the month is the day.
                if self.have & MONTH != 0
                    && !self.text_month
                    && self.have & DAY_ == 0
                    && (1..=31).contains(&self.month)
                {
                    self.day = self.month;
                    found = DAY_;
                }
                self.text_month = true;
                self.month = month;
                found
            }
            Word::Weekday => WEEKDAY,
            Word::Afternoon(afternoon) => {
                self.afternoon = Some(afternoon);
                HALF
            }
            Word::BeforeChrist(before) => {
                self.before_christ = before;
                ERA
            }
            Word::Now => {
                let local = reading.now + i64::from(reading.zone.offset_at(reading.now)) * SECOND;
                self.set_day(local.div_euclid(DAY));
                self.set_time(local.rem_euclid(DAY));
                DATE | TIME | ZONE
            }
            Word::Today(days) => {
                let local = reading.now + i64::from(reading.zone.offset_at(reading.now)) * SECOND;
                self.set_day(local.div_euclid(DAY) + days);
                DATE
            }
            Word::Epoch => {
                self.fixed = Some(Said::Epoch);
                DATE | TIME | ZONE
            }
            Word::Infinity(positive) => {
                self.fixed = Some(match positive {
                    true => Said::Infinity,
                    false => Said::MinusInfinity,
                });
                DATE | TIME | ZONE
            }
            Word::Midnight => {
                self.zone = Some(Zone::UTC);
                TIME | ZONE
            }
            Word::Julian => {
                self.expects = Some(found);
                0
            }
            Word::Clock => {
                let fits = matches!(next, Some(Kind::Number | Kind::Time | Kind::Date));
                if !fits || self.have & DATE != DATE && !self.time_only {
                    return Err(Wrong::Format);
                }
                self.expects = Some(found);
                0
            }
            Word::Summer | Word::Unit => return Err(Wrong::Format),
            Word::Ignored => 0,
        })
    }

    fn set_day(&mut self, day: i64) {
        let date = civil(day);
        (self.year, self.month, self.day) = (date.year, date.month, date.day);
        // Nothing is to be made of the year.
        self.is_julian = true;
    }

    fn set_time(&mut self, micros: i64) {
        self.hour = micros / HOUR;
        self.minute = micros / MINUTE % 60;
        self.second = micros / SECOND % 60;
        self.micros = micros % SECOND;
    }

    fn julian(&mut self, text: &str) -> Decoded<u32> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let day: i64 = whole.parse().map_err(|_| Wrong::Format)?;
        self.set_day(day - JULIAN);
        if fraction.is_empty() {
            return Ok(DATE);
        }
        let part: f64 = format!("0.{fraction}").parse().map_err(|_| Wrong::Format)?;
        self.set_time((part * DAY as f64) as i64);
        Ok(DATE | TIME)
    }

    /// `2024-01-31`, `1/31/2024`, `31-Jan-2024`, `2024.031`.
    fn separated_date(&mut self, text: &str) -> Decoded<u32> {
        let before = self.have;
        let parts = parts(text);
        let mut found = 0;
        for part in parts.iter().filter(|part| !starts_with_digit(part)) {
            match word(part) {
                Some(Word::Month(month)) if found & MONTH == 0 => {
                    self.month = month;
                    self.text_month = true;
                    found |= MONTH;
                }
                Some(Word::Ignored) => {}
                _ => return Err(Wrong::Format),
            }
        }
        self.have |= found;
        for part in parts.iter().filter(|part| starts_with_digit(part)) {
            let number = self.number(part)?;
            if number & found != 0 {
                return Err(Wrong::Format);
            }
            found |= number;
            self.have |= number;
        }
        self.have = before;
        match found & !DAY_OF_YEAR == DATE {
            true => Ok(found),
            false => Err(Wrong::Format),
        }
    }

    /// A number by its place.
    fn number(&mut self, text: &str) -> Decoded<u32> {
        let digits = text.len();
        if let Some(at) = text.find('.') {
            return match at > 2 {
                true => self.run_together(text),
                false => Err(Wrong::Format),
            };
        }
        let value: i64 = text.parse().map_err(|_| Wrong::Format)?;
        if value > i64::from(i32::MAX) {
            return Err(Wrong::Range);
        }
        if digits == 3 && self.have & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(DAY_OF_YEAR | MONTH | DAY_);
        }
        let order = self.reading.order;
        let found = match self.have & DATE {
            0 if digits >= 3 || order == DateOrder::Ymd => YEAR,
            0 if order == DateOrder::Dmy => DAY_,
            0 => MONTH,
            YEAR => MONTH,
            MONTH if self.text_month && (digits >= 3 || order == DateOrder::Ymd) => YEAR,
            MONTH => DAY_,
            found if found == YEAR | MONTH => {
                if self.text_month && digits >= 3 && self.two_digits {
                    // The first number was the day.
                    self.day = self.year;
                    self.year = value;
                    self.two_digits = false;
                    return Ok(DAY_);
                }
                DAY_
            }
            DAY_ => MONTH,
            found if found == MONTH | DAY_ => YEAR,
            DATE => return self.run_together(text),
            _ => return Err(Wrong::Format),
        };
        match found {
            YEAR => {
                self.year = value;
                self.two_digits = digits <= 2;
            }
            MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(found)
    }

    /// `20240131`, `240131`, `040506.789`, `0405`.
    fn run_together(&mut self, text: &str) -> Decoded<u32> {
        let (digits, fraction) = text.split_once('.').unwrap_or((text, ""));
        let number = |text: &str| text.parse::<i64>().map_err(|_| Wrong::Format);
        let length = digits.len();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Wrong::Format);
        }
        if digits.len() < text.len() {
            self.micros = fraction_micros(fraction)?;
        } else if self.have & DATE != DATE && length >= 6 {
            self.day = number(&digits[length - 2..])?;
            self.month = number(&digits[length - 4..length - 2])?;
            self.year = number(&digits[..length - 4])?;
            self.two_digits = length == 6;
            return Ok(DATE);
        }
        if self.have & TIME != TIME {
            if length == 6 {
                self.hour = number(&digits[..2])?;
                self.minute = number(&digits[2..4])?;
                self.second = number(&digits[4..])?;
                return Ok(TIME);
            }
            if length == 4 {
                self.hour = number(&digits[..2])?;
                self.minute = number(&digits[2..])?;
                self.second = 0;
                return Ok(TIME);
            }
        }
        Err(Wrong::Format)
    }

    fn clock(&mut self, text: &str) -> Decoded<()> {
        let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
        let parts: Vec<&str> = clock.split(':').collect();
        let number = |text: &str| text.parse::<i64>().map_err(|_| Wrong::Format);
        self.micros = fraction_micros(fraction)?;
        (self.hour, self.minute, self.second) = match parts.as_slice() {
            [minute, second] if clock.len() < text.len() => (0, number(minute)?, number(second)?),
            [hour, minute] => (number(hour)?, number(minute)?, 0),
            [hour, minute, second] => (number(hour)?, number(minute)?, number(second)?),
            _ => return Err(Wrong::Format),
        };
        if self.minute > 59 || self.second > 60 || self.hour > 24 {
            return Err(Wrong::Range);
        }
        Ok(())
    }

    fn time_of_day(&self) -> Decoded<i64> {
        let hour = match self.afternoon {
            Some(_) if self.hour > 12 => return Err(Wrong::Range),
            Some(false) if self.hour == 12 => 0,
            Some(true) if self.hour != 12 => self.hour + 12,
            _ => self.hour,
        };
        let time = hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.micros;
        match self.minute <= 59 && self.second <= 60 && time <= DAY {
            true => Ok(time),
            false => Err(Wrong::Range),
        }
    }

    fn finish(&mut self) -> Decoded<Said> {
        if let Some(fixed) = self.fixed.take() {
            return Ok(fixed);
        }
        if !self.is_julian && self.have & YEAR != 0 {
            if self.before_christ {
                if self.year <= 0 {
                    return Err(Wrong::Range);
                }
                self.year = 1 - self.year;
            } else if self.two_digits {
                self.year += match self.year {
                    ..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            } else if self.year <= 0 {
                return Err(Wrong::Range);
            }
        }
        if self.have & DAY_OF_YEAR != 0 {
            let date = civil(day_of(self.year, 1, 1) + self.day_of_year - 1);
            (self.year, self.month, self.day) = (date.year, date.month, date.day);
        }
        if self.have & MONTH != 0 && !(1..=12).contains(&self.month)
            || self.have & DAY_ != 0 && !(1..=31).contains(&self.day)
        {
            return Err(Wrong::Order);
        }
        if self.have & DATE != DATE {
            return Err(Wrong::Format);
        }
        if self.day > days_in_month(self.year, self.month) {
            return Err(Wrong::Range);
        }
        let time = self.time_of_day()?;
        let day = day_of(self.year, self.month, self.day);
        Ok(
            match day
                .checked_mul(DAY)
                .and_then(|start| start.checked_add(time))
            {
                Some(local) => Said::At {
                    day,
                    local,
                    zone: self.zone,
                },
                None => Said::Far { day },
            },
        )
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit)
}

/// Runs of digits and runs of letters; what is between them only separates.
fn parts(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut parts = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let same = |byte: u8| {
            if bytes[start].is_ascii_digit() {
                byte.is_ascii_digit()
            } else {
                byte.is_ascii_alphabetic()
            }
        };
        while at < bytes.len() && same(bytes[at]) {
            at += 1;
        }
        if at > start {
            parts.push(&text[start..at]);
        } else {
            at += 1;
        }
    }
    parts
}

fn fraction_micros(digits: &str) -> Decoded<i64> {
    if digits.is_empty() {
        return Ok(0);
    }
    let part: f64 = format!("0.{digits}").parse().map_err(|_| Wrong::Format)?;
    Ok((part * 1e6).round_ties_even() as i64)
}

/// `+02`, `-0330`, `+05:30`, `+05:30:15`, in seconds east of Greenwich.
fn displacement(text: &str) -> Decoded<i32> {
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(Wrong::Format),
    };
    let digits = &text[1..];
    let number = |text: &str| text.parse::<i32>().map_err(|_| Wrong::Format);
    let parts: Vec<&str> = digits.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [together] if together.len() > 2 => {
            let number = number(together)?;
            (number / 100, number % 100, 0)
        }
        [hours] => (number(hours)?, 0, 0),
        [hours, minutes] => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return Err(Wrong::Format),
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(Wrong::Displacement);
    }
    Ok(sign * (hours * 3600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written;

    // What PostgreSQL 15 answers, in the zone Europe/Warsaw at 2026-03-01 22:30 UTC.
    fn check(type_name: &str, text: &str, expected: &str) {
        let zone = Zone::parse("Europe/Warsaw").expect("a zone");
        let reading = Reading {
            zone,
            order: DateOrder::Mdy,
            now: 1_772_404_200_000_000,
        };
        let mut shown = String::new();
        let read = match type_name {
            "date" => reading
                .date(text)
                .map(|day| written::push_date(&mut shown, day)),
            "time" => reading
                .time(text)
                .map(|time| written::push_time(&mut shown, time)),
            "timestamp" => reading
                .timestamp(text)
                .map(|at| written::push_timestamp(&mut shown, at)),
            _ => reading.timestamptz(text).map(|at| {
                written::push_timestamptz(&mut shown, at, zone.offset_at(at));
            }),
        };
        if let Err(refusal) = read {
            shown.push_str(refusal.code);
        }
        assert_eq!(shown, expected, "{type_name} {text}");
    }

    #[test]
    fn dates_are_read_in_every_order() {
        for text in [
            "2024-01-31",
            "20240131",
            "240131",
            "1/31/2024",
            "1/31/24",
            "Jan 31, 2024",
            "31 January 2024",
            "31-Jan-2024",
            "2024-Jan-31",
            "January 31 2024",
            "2024.031",
            "J2460341",
            "Wed 31 Jan 2024",
            "2024/1/31",
            "2024-01-31 12:00:00+02",
            "31 jan 2024 ad",
        ] {
            check("date", text, "2024-01-31");
        }
        check("date", "today", "2026-03-01");
        check("date", "tomorrow", "2026-03-02");
        check("date", "yesterday", "2026-02-28");
        check("date", "now", "2026-03-01");
        check("date", "epoch", "1970-01-01");
        check("date", "infinity", "infinity");
        check("date", "0044-03-15 BC", "0044-03-15 BC");
        check("date", "99-1-8", "22008");
        check("date", "2024-02-30", "22008");
        check("date", "2024-13-01", "22008");
        check("date", "31/1/2024", "22008");
        check("date", "soon", "22007");
        check("date", "2024-01", "22007");
        check("date", "", "22007");
        check("date", "0000-01-01", "22008");
    }

    #[test]
    fn times_may_have_zones_and_halves_of_the_day() {
        check(
            "timestamp",
            "2024-01-31 12:34:56.789",
            "2024-01-31 12:34:56.789",
        );
        check("timestamp", "2024-01-31T12:34", "2024-01-31 12:34:00");
        check("timestamp", "2024-01-31 01:34 PM", "2024-01-31 13:34:00");
        check("timestamp", "20240131T123456", "2024-01-31 12:34:56");
        check("timestamp", "20240131 123456", "2024-01-31 12:34:56");
        check("timestamp", "2024-01-31 24:00", "2024-02-01 00:00:00");
        check("timestamp", "2024-01-31 25:00", "22008");
        check("timestamp", "today 10:00", "2026-03-01 10:00:00");
        check(
            "timestamp",
            "2024-01-31 12:34:56.7890123",
            "2024-01-31 12:34:56.789012",
        );
        check("timestamptz", "2024-01-31 12:00", "2024-01-31 12:00:00+01");
        check("timestamptz", "2024-01-31 12:00Z", "2024-01-31 13:00:00+01");
        check(
            "timestamptz",
            "2024-01-31 12:00 America/New_York",
            "2024-01-31 18:00:00+01",
        );
        check(
            "timestamptz",
            "2024-07-31 12:00 EST",
            "2024-07-31 19:00:00+02",
        );
        check(
            "timestamptz",
            "2024-01-31 12:00+05:30",
            "2024-01-31 07:30:00+01",
        );
        check(
            "timestamptz",
            "2024-01-31 12:00 -0330",
            "2024-01-31 16:30:00+01",
        );
        check("timestamptz", "2024-01-31 12:00 Nowhere/Land", "22023");
        check("timestamptz", "2024-01-31 12:00+20", "22009");
        check("timestamptz", "epoch", "1970-01-01 01:00:00+01");
        check("time", "04:05:06.789", "04:05:06.789");
        check("time", "040506", "04:05:06");
        check("time", "04:05 PM", "16:05:00");
        check("time", "allballs", "00:00:00");
        check("time", "24:00", "24:00:00");
        check("time", "25:00", "22008");
        check("time", "2024-01-31 04:05:06+02", "04:05:06");
        check("time", "noon", "22007");
    }
}
