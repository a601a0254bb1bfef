//! The parts of a time that `extract` and `date_trunc` name.

use crate::refusal::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
    Julian,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Epoch,
}

impl Field {
    /// As PostgreSQL knows them: in any case, and by their first ten letters.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let short: String = lower.chars().take(10).collect();
        Some(match short.as_str() {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Self::Microseconds,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" => Self::Milliseconds,
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "qtr" | "quarter" => Self::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennium" | "millennia" => Self::Millennium,
            "timezone" => Self::Timezone,
            "timezone_h" => Self::TimezoneHour,
            "timezone_m" => Self::TimezoneMinute,
            "j" | "jd" | "julian" => Self::Julian,
            "isoyear" => Self::IsoYear,
            "dow" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "doy" => Self::DayOfYear,
            "epoch" => Self::Epoch,
            _ => return None,
        })
    }
}

/// 22023
pub(crate) fn not_recognized(name: &str, type_name: &str) -> Refusal {
    Refusal::invalid_parameter(format!(
        "unit \"{}\" not recognized for type {type_name}",
        name.to_lowercase()
    ))
}

/// 0A000, as PostgreSQL says it.
pub(crate) fn not_supported(name: &str, type_name: &str) -> Refusal {
    Refusal::new(
        "0A000",
        format!(
            "unit \"{}\" not supported for type {type_name}",
            name.to_lowercase()
        ),
    )
}
