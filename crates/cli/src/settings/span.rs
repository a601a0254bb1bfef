//! A length of time, written as people write it: `30s`, `5min`, `250ms`, `2h`; 0 stands for "never".

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    pub const NEVER: Span = Span(Duration::ZERO);

    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// `None` if the setting says "never".
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }

    /// For a bound that has to exist: "never" is a year.
    pub fn or_very_long(self) -> Duration {
        self.limit().unwrap_or(Duration::from_secs(365 * 86_400))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a time such as 30s, 5min or 250ms, got {text:?}");
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let seconds = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "ms" => 0.001,
            "" | "s" | "sec" => 1.0,
            "min" | "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(expected()),
        };
        let number: f64 = digits.trim().parse().map_err(|_| expected())?;
        Duration::try_from_secs_f64(number * seconds)
            .map(Self)
            .map_err(|_| expected())
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "min"),
            (1_000, "s"),
        ];
        match units
            .into_iter()
            .find(|(unit, _)| milliseconds.is_multiple_of(*unit))
        {
            _ if milliseconds == 0 => f.write_str("0"),
            Some((unit, name)) => write!(f, "{}{name}", milliseconds / unit),
            None => write!(f, "{milliseconds}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = <figment::value::Value as Deserialize>::deserialize(from)?;
        super::layer::text(&value)
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_printed() {
        for (text, printed, milliseconds) in [
            ("30s", "30s", 30_000),
            ("30", "30s", 30_000),
            ("5 min", "5min", 300_000),
            ("90min", "90min", 5_400_000),
            ("250ms", "250ms", 250),
            ("1.5s", "1500ms", 1_500),
            ("0", "0", 0),
            ("2h", "2h", 7_200_000),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!(
                (span.to_string().as_str(), span.0.as_millis()),
                (printed, milliseconds)
            );
        }
        for text in ["", "soon", "-1s", "5 fortnights"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
