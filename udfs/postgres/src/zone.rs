//! Time zones: their names as PostgreSQL takes them, and what clocks in them show.

use std::collections::HashMap;
use std::sync::OnceLock;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use datafusion_common::config::ConfigOptions;

use crate::calendar::{civil, first_of_month, is_leap};
use crate::refusal::Refusal;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// A place's clocks, or an offset that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(Tz),
}

impl Zone {
    pub const UTC: Zone = Zone::Fixed(0);

    /// Understands what `SET TimeZone` takes: names of the tz database in any case, and offsets in POSIX form, where what
    /// stands west of Greenwich is positive.
    pub fn parse(text: &str) -> Option<Zone> {
        Self::name(text.trim()).or_else(|| Self::posix(text.trim()))
    }

    /// Understands what `AT TIME ZONE` takes: `CET` is an abbreviation there, and has no summer time.
    pub(crate) fn parse_or_abbreviation(text: &str) -> Option<Zone> {
        let fixed = Self::abbreviation(text).map(Zone::Fixed);
        fixed
            .or_else(|| Self::abbreviated(text))
            .or_else(|| Self::parse(text))
    }

    /// The zone of an abbreviation that does not always mean the same.
    pub(crate) fn abbreviated(text: &str) -> Option<Zone> {
        let lower = text.to_ascii_lowercase();
        let found = ABBREVIATED.binary_search_by(|(name, _)| name.cmp(&lower.as_str()));
        found.ok().map(|found| Zone::Named(ABBREVIATED[found].1))
    }

    /// A name of the tz database, in any case.
    pub fn name(text: &str) -> Option<Zone> {
        if [
            "UTC",
            "Etc/UTC",
            "GMT",
            "Etc/GMT",
            "Zulu",
            "Universal",
            "UCT",
        ]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(text))
        {
            return Some(Zone::UTC);
        }
        static BY_NAME: OnceLock<HashMap<String, Tz>> = OnceLock::new();
        let by_name = BY_NAME.get_or_init(|| {
            let all = TZ_VARIANTS.iter();
            all.map(|zone| (zone.name().to_ascii_lowercase(), *zone))
                .collect()
        });
        by_name
            .get(&text.to_ascii_lowercase())
            .copied()
            .map(Zone::Named)
    }

    /// As [`Self::parse_or_abbreviation`], or PostgreSQL's refusal (22023).
    pub(crate) fn named(text: &str) -> Result<Zone, Refusal> {
        Self::parse_or_abbreviation(text).ok_or_else(|| {
            Refusal::invalid_parameter(format!("time zone \"{text}\" not recognized"))
        })
    }

    /// As `make_timestamptz` takes it, where a number stands for hours east of Greenwich.
    pub(crate) fn input(text: &str) -> Result<Zone, Refusal> {
        let digits = text.trim().trim_start_matches(['+', '-']);
        let is_offset = text.trim().starts_with(['+', '-'])
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b':');
        match Self::posix(text.trim()) {
            Some(Zone::Fixed(west)) if is_offset => Ok(Zone::Fixed(-west)),
            _ => Self::named(text),
        }
    }

    /// The session's.
    pub fn of_session(options: &ConfigOptions) -> Result<Zone, Refusal> {
        match options.execution.time_zone.as_deref() {
            Some(name) => Self::parse(name).map_or_else(|| Self::named(name), Ok),
            None => Ok(Zone::UTC),
        }
    }

    /// Seconds east of Greenwich of an abbreviation of PostgreSQL's default set that always means the same.
    pub(crate) fn abbreviation(text: &str) -> Option<i32> {
        let lower = text.to_ascii_lowercase();
        let found = ABBREVIATIONS
            .binary_search_by(|(name, _)| name.cmp(&lower.as_str()))
            .ok()?;
        Some(ABBREVIATIONS[found].1)
    }

    /// `<+02>-02`, `EST5`, `+3`, `-03:30`: the sign is turned round. A rule for summer time is not understood.
    fn posix(text: &str) -> Option<Zone> {
        let west = match text.strip_prefix('<') {
            Some(rest) => rest.split_once('>')?.1,
            None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
        };
        let (sign, digits) = match west.strip_prefix('-') {
            Some(digits) => (1, digits),
            None => (-1, west.strip_prefix('+').unwrap_or(west)),
        };
        let mut seconds = 0;
        let mut unit = 3600;
        for part in digits.split(':') {
            let part = part
                .parse::<i32>()
                .ok()
                .filter(|part| (0..168).contains(part))?;
            seconds += part * unit;
            unit /= 60;
        }
        (seconds < 168 * 3600).then_some(Zone::Fixed(sign * seconds))
    }

    /// Seconds east of Greenwich at a moment given in microseconds since 1970.
    pub fn offset_at(self, micros: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(zone) => naive(micros).map_or(0, |at| {
                zone.offset_from_utc_datetime(&at).fix().local_minus_utc()
            }),
        }
    }

    /// Seconds east of Greenwich when the clocks of the zone show `local`.
    ///
    /// In the hour that comes twice in autumn the later one is meant, and an hour that is left out in spring is counted
    /// with the offset from before, as PostgreSQL has it.
    pub fn offset_of_clock(self, local: i64) -> i32 {
        let zone = match self {
            Zone::Fixed(seconds) => return seconds,
            Zone::Named(zone) => zone,
        };
        let Some(clock) = naive(local) else {
            return 0;
        };
        let offset = match zone.offset_from_local_datetime(&clock) {
            chrono::MappedLocalTime::Single(offset) => offset,
            chrono::MappedLocalTime::Ambiguous(_, later) => later,
            chrono::MappedLocalTime::None => {
                zone.offset_from_utc_datetime(&(clock - chrono::TimeDelta::days(1)))
            }
        };
        offset.fix().local_minus_utc()
    }

    /// What the zone calls its time at a moment: `CEST`, or `+03` where it has no name.
    pub(crate) fn abbreviation_at(self, micros: i64) -> String {
        match self {
            Zone::Fixed(0) => "UTC".to_owned(),
            Zone::Fixed(seconds) => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
                match minutes {
                    0 => format!("{sign}{hours:02}"),
                    minutes => format!("{sign}{hours:02}:{minutes:02}"),
                }
            }
            Zone::Named(zone) => naive(micros)
                .map(|at| zone.offset_from_utc_datetime(&at).to_string())
                .unwrap_or_default(),
        }
    }
}

fn naive(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(within_tables(micros)).map(|at| at.naive_utc())
}

/// The same moment of a year before 2100 that has the same days: the tables of time zones end there, their rules do not.
fn within_tables(micros: i64) -> i64 {
    const END: i64 = 47_482 * DAY;
    if micros < END {
        return micros;
    }
    let year = civil(micros.div_euclid(DAY)).year;
    let new_year = |year| first_of_month(year, 1);
    let alike = |other: &i64| {
        is_leap(*other) == is_leap(year) && (new_year(*other) - new_year(year)) % 7 == 0
    };
    // Weekdays and leap years come round in 28 years.
    let other = (2071..2099).find(alike).unwrap_or(2098);
    micros - (new_year(year) - new_year(other)) * DAY
}

/// A zone with a memory, to shift whole arrays: on nearly every day the offset is the same all day long.
pub(crate) struct Clocks {
    zone: Zone,
    /// By the day's number: the day, and its offset in microseconds.
    days: Vec<(i64, i64)>,
}

const SLOTS: usize = 1 << 10;
const NO_DAY: i64 = i64::MIN;
/// The offset changes on that day.
const CHANGES: i64 = i64::MIN;

impl Clocks {
    pub(crate) fn of(zone: Zone) -> Self {
        let slots = match zone {
            Zone::Fixed(_) => 0,
            Zone::Named(_) => SLOTS,
        };
        Self {
            zone,
            days: vec![(NO_DAY, 0); slots],
        }
    }

    pub(crate) fn zone(&self) -> Zone {
        self.zone
    }

    /// Microseconds that the clocks are ahead of Greenwich at a moment.
    #[inline]
    pub(crate) fn offset(&mut self, moment: i64) -> i64 {
        if let Zone::Fixed(seconds) = self.zone {
            return i64::from(seconds) * SECOND;
        }
        match self.of_day(moment.div_euclid(DAY)) {
            CHANGES => i64::from(self.zone.offset_at(moment)) * SECOND,
            offset => offset,
        }
    }

    /// What the clocks show at a moment.
    #[inline]
    pub(crate) fn local(&mut self, moment: i64) -> i64 {
        moment.saturating_add(self.offset(moment))
    }

    /// The moment when the clocks show this.
    #[inline]
    pub(crate) fn moment(&mut self, local: i64) -> i64 {
        if let Zone::Fixed(seconds) = self.zone {
            return local.saturating_sub(i64::from(seconds) * SECOND);
        }
        let day = local.div_euclid(DAY);
        // No clock is more than a day off.
        let offset = match (self.of_day(day - 1), self.of_day(day), self.of_day(day + 1)) {
            (before, here, after) if before == here && here == after && here != CHANGES => here,
            _ => i64::from(self.zone.offset_of_clock(local)) * SECOND,
        };
        local.saturating_sub(offset)
    }

    /// The offset of a whole day (in UTC), or [`CHANGES`].
    #[inline]
    fn of_day(&mut self, day: i64) -> i64 {
        let slot = (day as usize) & (SLOTS - 1);
        let (known, offset) = self.days[slot];
        if known == day {
            return offset;
        }
        let start = day.saturating_mul(DAY);
        let (first, last) = (
            self.zone.offset_at(start),
            self.zone.offset_at(start.saturating_add(DAY - 1)),
        );
        let offset = if first == last {
            i64::from(first) * SECOND
        } else {
            CHANGES
        };
        self.days[slot] = (day, offset);
        offset
    }
}

/// Abbreviations of PostgreSQL's default set that mean what a zone's clocks show at the time.
const ABBREVIATED: &[(&str, Tz)] = &[
    ("amst", Tz::Asia__Yerevan),
    ("anast", Tz::Asia__Anadyr),
    ("anat", Tz::Asia__Anadyr),
    ("arst", Tz::America__Argentina__Buenos_Aires),
    ("art", Tz::America__Argentina__Buenos_Aires),
    ("azst", Tz::Asia__Baku),
    ("azt", Tz::Asia__Baku),
    ("ckt", Tz::Pacific__Rarotonga),
    ("clt", Tz::America__Santiago),
    ("davt", Tz::Antarctica__Davis),
    ("easst", Tz::Pacific__Easter),
    ("east", Tz::Pacific__Easter),
    ("fkst", Tz::Atlantic__Stanley),
    ("fkt", Tz::Atlantic__Stanley),
    ("gest", Tz::Asia__Tbilisi),
    ("get", Tz::Asia__Tbilisi),
    ("gyt", Tz::America__Guyana),
    ("iot", Tz::Indian__Chagos),
    ("irkst", Tz::Asia__Irkutsk),
    ("irkt", Tz::Asia__Irkutsk),
    ("kgt", Tz::Asia__Bishkek),
    ("kost", Tz::Pacific__Kosrae),
    ("krast", Tz::Asia__Krasnoyarsk),
    ("krat", Tz::Asia__Krasnoyarsk),
    ("lhdt", Tz::Australia__Lord_Howe),
    ("lint", Tz::Pacific__Kiritimati),
    ("lkt", Tz::Asia__Colombo),
    ("magst", Tz::Asia__Magadan),
    ("magt", Tz::Asia__Magadan),
    ("mawt", Tz::Antarctica__Mawson),
    ("msk", Tz::Europe__Moscow),
    ("novst", Tz::Asia__Novosibirsk),
    ("novt", Tz::Asia__Novosibirsk),
    ("nut", Tz::Pacific__Niue),
    ("omsst", Tz::Asia__Omsk),
    ("omst", Tz::Asia__Omsk),
    ("petst", Tz::Asia__Kamchatka),
    ("pett", Tz::Asia__Kamchatka),
    ("pyt", Tz::America__Asuncion),
    ("sgt", Tz::Asia__Singapore),
    ("tkt", Tz::Pacific__Fakaofo),
    ("tmt", Tz::Asia__Ashgabat),
    ("ulat", Tz::Asia__Ulaanbaatar),
    ("vet", Tz::America__Caracas),
    ("vlast", Tz::Asia__Vladivostok),
    ("vlat", Tz::Asia__Vladivostok),
    ("volt", Tz::Europe__Volgograd),
    ("yakst", Tz::Asia__Yakutsk),
    ("yakt", Tz::Asia__Yakutsk),
    ("yekt", Tz::Asia__Yekaterinburg),
];

/// Of PostgreSQL's default set, those that have one meaning at all times; seconds east of Greenwich.
///
/// Source: PostgreSQL 15, view `pg_timezone_abbrevs`.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("acdt", 37800),
    ("acsst", 37800),
    ("acst", 34200),
    ("act", -18000),
    ("acwst", 31500),
    ("adt", -10800),
    ("aedt", 39600),
    ("aesst", 39600),
    ("aest", 36000),
    ("aft", 16200),
    ("akdt", -28800),
    ("akst", -32400),
    ("almst", 25200),
    ("almt", 21600),
    ("amt", -14400),
    ("ast", -14400),
    ("awsst", 32400),
    ("awst", 28800),
    ("azost", 0),
    ("azot", -3600),
    ("bdst", 7200),
    ("bdt", 21600),
    ("bnt", 28800),
    ("bort", 28800),
    ("bot", -14400),
    ("bra", -10800),
    ("brst", -7200),
    ("brt", -10800),
    ("bst", 3600),
    ("btt", 21600),
    ("cadt", 37800),
    ("cast", 34200),
    ("cct", 28800),
    ("cdt", -18000),
    ("cest", 7200),
    ("cet", 3600),
    ("cetdst", 7200),
    ("chadt", 49500),
    ("chast", 45900),
    ("chut", 36000),
    ("clst", -10800),
    ("cot", -18000),
    ("cst", -21600),
    ("cxt", 25200),
    ("ddut", 36000),
    ("eat", 10800),
    ("edt", -14400),
    ("eest", 10800),
    ("eet", 7200),
    ("eetdst", 10800),
    ("egst", 0),
    ("egt", -3600),
    ("est", -18000),
    ("fet", 10800),
    ("fjst", 46800),
    ("fjt", 43200),
    ("fnst", -3600),
    ("fnt", -7200),
    ("galt", -21600),
    ("gamt", -32400),
    ("gft", -10800),
    ("gilt", 43200),
    ("gmt", 0),
    ("hkt", 28800),
    ("hst", -36000),
    ("ict", 25200),
    ("idt", 10800),
    ("irt", 12600),
    ("ist", 7200),
    ("jayt", 32400),
    ("jst", 32400),
    ("kdt", 36000),
    ("kgst", 21600),
    ("kst", 32400),
    ("lhst", 37800),
    ("ligt", 36000),
    ("mart", -34200),
    ("mdt", -21600),
    ("mest", 7200),
    ("mesz", 7200),
    ("met", 3600),
    ("metdst", 7200),
    ("mez", 3600),
    ("mht", 43200),
    ("mmt", 23400),
    ("mpt", 36000),
    ("msd", 14400),
    ("mst", -25200),
    ("must", 18000),
    ("mut", 14400),
    ("mvt", 18000),
    ("myt", 28800),
    ("ndt", -9000),
    ("nft", -12600),
    ("npt", 20700),
    ("nst", -12600),
    ("nzdt", 46800),
    ("nzst", 43200),
    ("nzt", 43200),
    ("pdt", -25200),
    ("pet", -18000),
    ("pgt", 36000),
    ("pht", 28800),
    ("pkst", 21600),
    ("pkt", 18000),
    ("pmdt", -7200),
    ("pmst", -10800),
    ("pont", 39600),
    ("pst", -28800),
    ("pwt", 32400),
    ("pyst", -10800),
    ("ret", 14400),
    ("sadt", 37800),
    ("sast", 7200),
    ("sct", 14400),
    ("taht", -36000),
    ("tft", 18000),
    ("tjt", 18000),
    ("tot", 46800),
    ("trut", 36000),
    ("tvt", 43200),
    ("uct", 0),
    ("ulast", 32400),
    ("ut", 0),
    ("utc", 0),
    ("uyst", -7200),
    ("uyt", -10800),
    ("uzst", 21600),
    ("uzt", 18000),
    ("vut", 39600),
    ("wadt", 28800),
    ("wakt", 43200),
    ("wast", 25200),
    ("wat", 3600),
    ("wdt", 32400),
    ("wet", 0),
    ("wetdst", 3600),
    ("wft", 43200),
    ("wgst", -7200),
    ("wgt", -10800),
    ("xjt", 21600),
    ("yapt", 36000),
    ("yekst", 21600),
    ("z", 0),
    ("zulu", 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time");
        at.and_utc().timestamp_micros()
    }

    #[test]
    fn zones_are_known_by_name_abbreviation_and_offset() {
        assert_eq!(
            Zone::parse("europe/warsaw"),
            Some(Zone::Named(Tz::Europe__Warsaw))
        );
        assert_eq!(Zone::parse("utc"), Some(Zone::UTC));
        assert_eq!(
            Zone::parse_or_abbreviation("EST"),
            Some(Zone::Fixed(-5 * 3600))
        );
        assert_eq!(Zone::parse("<+02>-02"), Some(Zone::Fixed(2 * 3600)));
        assert_eq!(Zone::parse("+03:30"), Some(Zone::Fixed(-12_600)));
        assert_eq!(Zone::parse("Europe/Nowhere"), None);
    }

    #[test]
    fn abbreviations_are_sorted() {
        assert!(ABBREVIATIONS.is_sorted_by_key(|(name, _)| name));
        assert!(ABBREVIATED.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn the_hour_that_comes_twice_is_the_later_and_the_one_left_out_keeps_the_offset() {
        let zone = Zone::parse("Europe/Berlin").expect("a zone");
        assert_eq!(zone.offset_of_clock(micros("2024-10-27 02:30")), 3600);
        assert_eq!(zone.offset_of_clock(micros("2024-03-31 02:30")), 3600);
        assert_eq!(zone.offset_of_clock(micros("2150-07-01 12:00")), 7200);
    }

    #[test]
    fn a_memory_of_days_changes_nothing() {
        for name in [
            "Europe/Berlin",
            "America/Havana",
            "Australia/Lord_Howe",
            "Pacific/Apia",
        ] {
            let zone = Zone::parse(name).expect("a zone");
            let mut clocks = Clocks::of(zone);
            let mut at = micros("2009-01-01 00:07");
            while at < micros("2026-01-01 00:00") {
                assert_eq!(clocks.offset(at), i64::from(zone.offset_at(at)) * SECOND);
                let expected = at - i64::from(zone.offset_of_clock(at)) * SECOND;
                assert_eq!(clocks.moment(at), expected, "{name} {at}");
                at += 37 * MINUTE;
            }
        }
    }
}
