//! Dates and times as people write them and PostgreSQL reads them: ISO order, parts may be left out, a zone may follow.

use arrow::array::timezone::Tz;
use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone,
    Utc,
};

/// What a text says, before it is known which type it is for.
pub(crate) struct Moment {
    pub date: NaiveDate,
    time: NaiveTime,
    zone: Option<Zone>,
}

enum Zone {
    Fixed(FixedOffset),
    Named(Tz),
}

/// It looks like a date: what is wrong is that there is no such day or hour.
pub(crate) fn is_out_of_range(text: &str) -> bool {
    let text = text.trim();
    let shape = text.bytes().take(8).filter(u8::is_ascii_digit).count();
    shape >= 4
        && text
            .bytes()
            .all(|c| c.is_ascii_digit() || b"-/.:+ TZtz".contains(&c))
}

/// `None` if it can't be understood. `now` is for `today`, `tomorrow`, `now`.
pub(crate) fn parse(text: &str, session: Tz, now: DateTime<Utc>) -> Option<Moment> {
    let text = text.trim();
    if let Some(moment) = word(text, session, now) {
        return Some(moment);
    }
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '/' | '.')))
        .unwrap_or(text.len());
    let date = date(&text[..split])?;
    let rest = text[split..].trim_start_matches(['T', 't']).trim();
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.')))
        .unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    let (time, next_day) = clock(time)?;
    let date = if next_day {
        date.checked_add_days(Days::new(1))?
    } else {
        date
    };
    let zone = match zone.trim() {
        "" => None,
        zone => Some(self::zone(zone)?),
    };
    Some(Moment { date, time, zone })
}

impl Moment {
    /// For a type without zone: what is written, whatever zone is written too.
    pub(crate) fn local_micros(&self) -> i64 {
        self.naive().and_utc().timestamp_micros()
    }

    /// For a type with zone: in the zone that is written, or the session's.
    pub(crate) fn utc_micros(&self, session: Tz) -> Option<i64> {
        let naive = self.naive();
        let utc = match &self.zone {
            Some(Zone::Fixed(offset)) => offset.from_local_datetime(&naive).earliest()?.to_utc(),
            Some(Zone::Named(zone)) => in_zone(*zone, naive)?,
            None => in_zone(session, naive)?,
        };
        Some(utc.timestamp_micros())
    }

    /// Days since 1970.
    pub(crate) fn days(&self) -> i32 {
        const EPOCH: i32 = 719_163;
        self.date.num_days_from_ce() - EPOCH
    }

    fn naive(&self) -> NaiveDateTime {
        self.date.and_time(self.time)
    }
}

/// An hour that is skipped in spring is read with the offset before it, as PostgreSQL does.
pub(crate) fn in_zone(zone: Tz, naive: NaiveDateTime) -> Option<DateTime<Utc>> {
    if let Some(found) = zone.from_local_datetime(&naive).earliest() {
        return Some(found.to_utc());
    }
    let before = naive.checked_sub_signed(chrono::Duration::hours(3))?;
    let offset = zone.offset_from_local_datetime(&before).earliest()?.fix();
    Some(offset.from_local_datetime(&naive).earliest()?.to_utc())
}

fn word(text: &str, session: Tz, now: DateTime<Utc>) -> Option<Moment> {
    let local = now.with_timezone(&session).naive_local();
    let midnight = |date: NaiveDate| Moment {
        date,
        time: NaiveTime::MIN,
        zone: None,
    };
    match text.to_ascii_lowercase().as_str() {
        "now" => Some(Moment {
            date: local.date(),
            time: local.time(),
            zone: None,
        }),
        "today" => Some(midnight(local.date())),
        "tomorrow" => Some(midnight(local.date().succ_opt()?)),
        "yesterday" => Some(midnight(local.date().pred_opt()?)),
        "epoch" => Some(Moment {
            date: NaiveDate::from_ymd_opt(1970, 1, 1)?,
            time: NaiveTime::MIN,
            zone: Some(Zone::Fixed(FixedOffset::east_opt(0)?)),
        }),
        _ => None,
    }
}

/// `2024-01-31`, `2024/1/31`, `20240131`.
fn date(text: &str) -> Option<NaiveDate> {
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if year.len() >= 3 => (*year, *month, *day),
        [all] if all.len() == 8 => (&all[..4], &all[4..6], &all[6..]),
        _ => return None,
    };
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// `10`, `10:30`, `10:30:15.25`, nothing; and whether it is 24:00.
fn clock(text: &str) -> Option<(NaiveTime, bool)> {
    if text.is_empty() {
        return Some((NaiveTime::MIN, false));
    }
    let mut parts = text.split(':');
    let hour: u32 = parts.next()?.parse().ok()?;
    let minute: u32 = parts.next().map_or(Some(0), |minute| minute.parse().ok())?;
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(second) => {
            let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
            let fraction = format!("{fraction:0<7}");
            let micros: u32 = fraction.get(..6)?.parse().ok()?;
            let round = u32::from(fraction.as_bytes()[6] >= b'5');
            (second.parse().ok()?, micros + round)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    if (hour, minute, second, micros) == (24, 0, 0, 0) {
        return Some((NaiveTime::MIN, true));
    }
    let carried = NaiveTime::from_hms_opt(hour, minute, second.min(59))?;
    let rest = chrono::Duration::microseconds(i64::from(micros))
        + chrono::Duration::seconds(i64::from(second / 60));
    let (time, days) = carried.overflowing_add_signed(rest);
    (second <= 60).then_some((time, days > 0))
}

/// `Z`, `+02`, `-0330`, `+05:30`, `UTC`, `Europe/Warsaw`.
fn zone(text: &str) -> Option<Zone> {
    if text.eq_ignore_ascii_case("z") {
        return Some(Zone::Fixed(FixedOffset::east_opt(0)?));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return text.parse().ok().map(Zone::Named),
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.parse::<i32>().ok()?, 0),
        3 | 4 => {
            let (hours, minutes) = digits.split_at(digits.len() - 2);
            (hours.parse().ok()?, minutes.parse().ok()?)
        }
        _ => return None,
    };
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)).map(Zone::Fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, zone: &str, expected: Option<&str>) {
        let session: Tz = zone.parse().expect("a zone");
        let now = Utc
            .with_ymd_and_hms(2026, 3, 1, 23, 30, 0)
            .single()
            .expect("a time");
        let micros = parse(text, session, now).and_then(|moment| moment.utc_micros(session));
        let shown = micros.map(|micros| {
            let at = DateTime::from_timestamp_micros(micros).expect("in range");
            at.format("%Y-%m-%d %H:%M:%S%.f").to_string()
        });
        assert_eq!(shown.as_deref(), expected, "{text}");
    }

    #[test]
    fn parts_may_be_left_out() {
        check("2024-01-31", "UTC", Some("2024-01-31 00:00:00"));
        check("2024-01-31 10", "UTC", Some("2024-01-31 10:00:00"));
        check("2024-01-31 10:30", "UTC", Some("2024-01-31 10:30:00"));
        check(
            "2024-01-31T10:30:15.25Z",
            "UTC",
            Some("2024-01-31 10:30:15.250"),
        );
        check("20240131 10:30", "UTC", Some("2024-01-31 10:30:00"));
        check("2024/1/31 24:00", "UTC", Some("2024-02-01 00:00:00"));
        check("2024-01-31 23:59:60", "UTC", Some("2024-02-01 00:00:00"));
    }

    #[test]
    fn a_zone_is_heeded_and_else_the_sessions() {
        check(
            "2024-01-31 10:30+02",
            "America/New_York",
            Some("2024-01-31 08:30:00"),
        );
        check(
            "2024-01-31 10:30:00 -0330",
            "UTC",
            Some("2024-01-31 14:00:00"),
        );
        check(
            "2024-01-31 10:30 Europe/Warsaw",
            "UTC",
            Some("2024-01-31 09:30:00"),
        );
        check(
            "2024-07-31 10:30",
            "Europe/Warsaw",
            Some("2024-07-31 08:30:00"),
        );
        check(
            "2024-03-31 02:30",
            "Europe/Warsaw",
            Some("2024-03-31 01:30:00"),
        );
        check("today", "Europe/Warsaw", Some("2026-03-01 23:00:00"));
    }

    #[test]
    fn nonsense_is_not_understood() {
        for text in [
            "",
            "abc",
            "2024-02-30",
            "2024-01-31 25:00",
            "2024-01-31 10:30 Nowhere",
            "10:30",
            "1-2-3",
        ] {
            check(text, "UTC", None);
        }
    }
}
