//! Days, hours and seasons of the synthetic history. Time is counted in days since its first day.

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::draw::Draw;
use super::words::Channel;

/// Three years; the last is 2025-09-30. Fixed, so that a seed means the same history for ever.
pub const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2022, 10, 1).expect("a date");
pub const DAYS: usize = 1_096;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// The shop lives in Warsaw's winter time; daylight saving would only blur the hours. Days are UTC's, so that who
/// counts purchases by day in UTC finds the days that were drawn.
const LOCAL_HOURS_AHEAD: usize = 1;

/// January to December: how much more or less happens than on average.
const SHOPPING: [f64; 12] = [
    0.95, 0.85, 0.95, 1.0, 1.0, 0.95, 0.85, 0.85, 1.0, 1.05, 1.35, 1.55,
];
/// Monday to Sunday.
const SUPPORT_WEEK: [f64; 7] = [1.35, 1.2, 1.1, 1.05, 1.05, 0.5, 0.35];
const LEISURE_WEEK: [f64; 7] = [0.9, 0.9, 0.9, 0.95, 1.05, 1.2, 1.25];

/// Midnight to eleven in the evening, local time.
const OFFICE: [u8; 24] = [
    0, 0, 0, 0, 0, 0, 0, 2, 8, 14, 16, 15, 12, 11, 12, 12, 11, 9, 6, 4, 0, 0, 0, 0,
];
const SHOP: [u8; 24] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 7, 9, 10, 10, 9, 9, 11, 13, 13, 9, 4, 0, 0, 0,
];
const EVENING: [u8; 24] = [
    3, 1, 1, 1, 1, 1, 2, 4, 6, 6, 6, 6, 7, 6, 6, 6, 7, 8, 10, 13, 15, 15, 11, 6,
];
const ALWAYS: [u8; 24] = [1; 24];

pub struct Clock {
    /// How likely a thing is on each day, of the busiest day's: leisure, and a contact centre's work.
    leisure: Vec<f64>,
    support: Vec<f64>,
    hours: [[u16; 25]; 10],
    start: i64,
}

impl Clock {
    pub fn new() -> Self {
        let days = (0..DAYS).map(date);
        let weigh = |week: &[f64; 7]| {
            let weight = |day: NaiveDate| {
                let swing = SHOPPING[day.month0() as usize];
                swing * week[day.weekday().num_days_from_monday() as usize]
            };
            let weights: Vec<f64> = days.clone().map(weight).collect();
            let most = weights.iter().copied().fold(0.0, f64::max);
            weights.into_iter().map(|w| w / most).collect()
        };
        Self {
            leisure: weigh(&LEISURE_WEEK),
            support: weigh(&SUPPORT_WEEK),
            hours: Channel::ALL.map(|channel| cumulate(hours_of(channel))),
            start: FIRST_DAY
                .and_hms_opt(0, 0, 0)
                .expect("midnight")
                .and_utc()
                .timestamp_micros(),
        }
    }

    /// A day in `[from, to)`, likelier in a busy season or on a busy weekday.
    pub fn leisure_day(&self, draw: &mut Draw, from: f64, to: f64) -> f64 {
        thin(&self.leisure, draw, from, to)
    }

    /// The same, with the rhythm of a contact centre.
    pub fn support_day(&self, draw: &mut Draw, from: f64, to: f64) -> f64 {
        thin(&self.support, draw, from, to)
    }

    /// An instant on the day that `day` falls in, at an hour when this channel is used.
    pub fn moment(&self, draw: &mut Draw, day: f64, channel: Channel) -> f64 {
        let hours = &self.hours[channel as usize];
        let pick = draw.below(usize::from(hours[24])) as u16;
        let hour = hours.partition_point(|upto| *upto <= pick) - 1;
        day.floor() + (hour as f64 + draw.unit()) / 24.0
    }

    /// How busy the contact centre is at that instant, 0 to 1.
    pub fn load(&self, at: f64) -> f64 {
        let day = (at as usize).min(DAYS - 1);
        let hour = ((at.fract() * 24.0) as usize + LOCAL_HOURS_AHEAD) % 24;
        self.support[day] * f64::from(OFFICE[hour]) / 16.0
    }

    pub fn micros(&self, at: f64) -> i64 {
        let seconds = at * SECONDS_PER_DAY;
        self.start + (seconds * 1e3) as i64 * (MICROS_PER_SECOND / 1_000)
    }

    /// The last instant of the history, in days.
    pub fn end(&self) -> f64 {
        DAYS as f64
    }
}

impl Channel {
    pub const ALL: [Channel; 10] = [
        Channel::Phone,
        Channel::Chat,
        Channel::Email,
        Channel::Web,
        Channel::App,
        Channel::Store,
        Channel::Social,
        Channel::Sms,
        Channel::Bot,
        Channel::Sensor,
    ];
}

fn hours_of(channel: Channel) -> [u8; 24] {
    match channel {
        Channel::Phone | Channel::Chat | Channel::Email | Channel::Sms => OFFICE,
        Channel::Store => SHOP,
        Channel::Web | Channel::App | Channel::Social | Channel::Bot => EVENING,
        Channel::Sensor => ALWAYS,
    }
}

/// From local hours to running sums over UTC's.
fn cumulate(mut hours: [u8; 24]) -> [u16; 25] {
    hours.rotate_left(LOCAL_HOURS_AHEAD);
    let mut upto = [0; 25];
    for (i, weight) in hours.into_iter().enumerate() {
        upto[i + 1] = upto[i] + u16::from(weight);
    }
    upto
}

fn thin(weights: &[f64], draw: &mut Draw, from: f64, to: f64) -> f64 {
    let mut day = from;
    // Four throws follow the season closely enough, and a narrow interval may hold no busy day at all.
    for _ in 0..4 {
        day = draw.between(from, to);
        if draw.chance(weights[(day as usize).min(DAYS - 1)]) {
            break;
        }
    }
    day
}

pub fn date(day: usize) -> NaiveDate {
    FIRST_DAY + TimeDelta::days(day as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::draw::Part;

    #[test]
    fn the_history_ends_with_september_2025() {
        assert_eq!(date(DAYS - 1).to_string(), "2025-09-30");
        let first = chrono::DateTime::from_timestamp_micros(Clock::new().micros(0.0));
        assert_eq!(
            first.map(|at| at.to_rfc3339()).as_deref(),
            Some("2022-10-01T00:00:00+00:00")
        );
    }

    #[test]
    fn nobody_is_served_when_the_shop_is_closed() {
        let (clock, mut draw) = (Clock::new(), Draw::new(1, Part::World, 0));
        for _ in 0..10_000 {
            let hour = clock.moment(&mut draw, 5.0, Channel::Store).fract() * 24.0;
            assert!((8.0..20.0).contains(&hour), "{hour}");
        }
    }

    #[test]
    fn december_is_busier_than_february() {
        let (clock, mut draw) = (Clock::new(), Draw::new(1, Part::World, 0));
        let mut months = [0; 12];
        for _ in 0..100_000 {
            let day = clock.leisure_day(&mut draw, 0.0, clock.end());
            months[date(day as usize).month0() as usize] += 1;
        }
        assert!(months[11] as f64 > 1.4 * months[1] as f64, "{months:?}");
    }
}
