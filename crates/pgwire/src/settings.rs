//! A session's settings: what SET changed, what a transaction takes back, and what a client is told about.
//!
//! Whether a name exists and what a value may be is PostgreSQL's to judge, before anything comes in here. Names are in
//! lower case.

use std::collections::BTreeMap;
use std::time::Duration;

use rapport_catalog_postgres::Settings;

use crate::charset::Charset;
use crate::parse;
use crate::sqlstate::{Failure, Result};
use rapport_udf_postgres::Reading;
use rapport_udf_postgres::text::Zone;

/// The settings whose changes PostgreSQL reports to the client without being asked.
pub const REPORTED: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "scram_iterations",
    "server_encoding",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
];

#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    /// What the client asked for when it connected; RESET goes back to it.
    startup: Settings,
    /// What SET changed since; `None` is a value of `startup` that was put back to the server's.
    session: BTreeMap<String, Option<String>>,
    /// What SET LOCAL changed until the end of the transaction.
    local: BTreeMap<String, Option<String>>,
    /// The server's own values of what is reported.
    server: Settings,
    effective: Settings,
}

impl SessionSettings {
    pub fn new(startup: Settings) -> Self {
        let mut settings = Self {
            startup,
            ..Self::default()
        };
        settings.refresh();
        settings
    }

    /// All that differs from the server's own settings, for PostgreSQL and the engine to know. Both speak UTF-8 with
    /// us, whatever the client speaks.
    pub fn relayed(&self) -> Settings {
        let mut relayed = self.effective.clone();
        relayed.remove("client_encoding");
        relayed
    }

    /// The client's encoding of text.
    pub fn charset(&self) -> Charset {
        self.get("client_encoding")
            .and_then(Charset::parse)
            .unwrap_or_default()
    }

    /// Remembers what the server says without being told anything.
    pub fn set_server_value(&mut self, name: &str, value: String) {
        self.server.insert(name.to_lowercase(), value);
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.effective
            .get(&name)
            .or_else(|| self.server.get(&name))
            .map(String::as_str)
    }

    pub fn set(&mut self, name: &str, value: String, local: bool) {
        let name = name.to_lowercase();
        match local {
            true => {
                self.local.insert(name, Some(value));
            }
            false => {
                self.local.remove(&name);
                self.session.insert(name, Some(value));
            }
        }
        self.refresh();
    }

    /// Back to what the session started with.
    pub fn reset(&mut self, name: &str, local: bool) {
        let name = name.to_lowercase();
        let default = self.startup.get(&name).cloned();
        match local {
            true => {
                self.local.insert(name, default);
            }
            false => {
                self.local.remove(&name);
                self.session.remove(&name);
            }
        }
        self.refresh();
    }

    pub fn reset_all(&mut self) {
        self.session.clear();
        self.local.clear();
        self.refresh();
    }

    /// At the end of a transaction that took effect.
    pub fn end_local(&mut self) {
        self.local.clear();
        self.refresh();
    }

    fn refresh(&mut self) {
        self.effective = self.startup.clone();
        for (name, value) in self.session.iter().chain(&self.local) {
            match value {
                Some(value) => {
                    self.effective.insert(name.clone(), value.clone());
                }
                None => {
                    self.effective.remove(name);
                }
            }
        }
    }

    /// Whether `client_min_messages` lets a notice of this severity through.
    pub fn shows(&self, severity: &str) -> bool {
        const LEVELS: [&str; 9] = [
            "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
        ];
        let level = |name: &str| LEVELS.iter().position(|one| one.eq_ignore_ascii_case(name));
        level(severity) >= level(self.get("client_min_messages").unwrap_or("notice"))
    }

    /// The session's time zone; UTC if it is one that only PostgreSQL knows, which [`check`] does not let in.
    pub fn zone(&self) -> Zone {
        self.get("timezone")
            .and_then(Zone::parse)
            .unwrap_or(Zone::UTC)
    }

    /// How the session reads dates and times.
    pub fn reading(&self, now: i64) -> Reading {
        let zone = self
            .get("timezone")
            .and_then(rapport_udf_postgres::Zone::parse);
        Reading {
            order: self
                .get("datestyle")
                .map(rapport_udf_postgres::DateOrder::of)
                .unwrap_or_default(),
            ..parse::reading(zone.unwrap_or(rapport_udf_postgres::Zone::UTC), now)
        }
    }

    /// `None` if there is no limit.
    pub fn timeout(&self, name: &str) -> Option<Duration> {
        self.get(name)
            .and_then(duration)
            .filter(|limit| !limit.is_zero())
    }
}

/// Values that PostgreSQL accepts and our own output can't follow yet are refused, rather than answered in another form.
pub fn check(name: &str, value: &str) -> Result<()> {
    let supported = match name.to_ascii_lowercase().as_str() {
        "standard_conforming_strings" => {
            matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "1")
        }
        "timezone" => Zone::parse(value).is_some(),
        "role" | "session_authorization" => {
            return Err(
                Failure::not_supported(format!("parameter \"{name}\" cannot be changed"))
                    .with_hint("Connect as the other user instead."),
            );
        }
        _ => true,
    };
    match supported {
        true => Ok(()),
        false => Err(Failure::not_supported(format!(
            "setting \"{name}\" to \"{value}\" is not supported"
        ))
        .with_hint("Leave it at its default.")),
    }
}

const TIMEOUTS: [&str; 4] = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
];

/// What PostgreSQL makes of a value, if that need not be asked: our encodings are not all known to it, and a timeout is not
/// to run while another one is set.
pub fn known_value(name: &str, value: &str) -> Result<Option<String>> {
    if TIMEOUTS
        .iter()
        .any(|timeout| timeout.eq_ignore_ascii_case(name))
    {
        return Ok(plain_timeout(value));
    }
    if !name.eq_ignore_ascii_case("client_encoding") {
        return Ok(None);
    }
    let charset = Charset::find(value)?;
    let is_ascii = charset == Some(Charset::Utf8) && value.to_ascii_lowercase().contains("ascii");
    Ok(match is_ascii {
        true => Some("SQL_ASCII".to_owned()),
        false => charset.map(|charset| charset.name().to_owned()),
    })
}

/// A timeout as PostgreSQL prints it, if it is written plainly: a number behind a 0 is an octal one, and fractions are rounded.
fn plain_timeout(value: &str) -> Option<String> {
    const UNITS: [(i32, &str); 5] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
        (1, "ms"),
    ];
    let is_plain = value == "0" || !(value.starts_with('0') || value.contains("us"));
    let limit = duration(value).filter(|_| is_plain)?;
    let millis = i32::try_from(limit.as_millis()).ok()?;
    if millis == 0 {
        return Some("0".to_owned());
    }
    let (size, unit) = UNITS.into_iter().find(|(size, _)| millis % size == 0)?;
    Some(format!("{}{unit}", millis / size))
}

/// As PostgreSQL prints a setting of time: `0`, `500ms`, `5s`, `1min`, `2h`, `1d`; a bare number is milliseconds.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..unit].parse().ok()?;
    let micros = match text[unit..].trim() {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(micros).map(Duration::from_micros)
}

/// `-c name=value` and `--name=value`, with backslashes before spaces: what libpq's `options` holds.
pub fn startup_options(options: &str) -> Result<Settings> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    let mut settings = Settings::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(setting) = word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            setting.to_owned()
        } else {
            String::new()
        };
        match setting.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                settings.insert(name.replace('-', "_").to_lowercase(), value.to_owned());
            }
            _ => {
                return Err(Failure::fatal(
                    "42601",
                    format!("invalid command-line argument for server process: {word}"),
                ));
            }
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SessionSettings {
        SessionSettings::new([("timezone".to_owned(), "Europe/Paris".to_owned())].into())
    }

    #[test]
    fn plain_timeouts_are_printed_as_postgresql_prints_them() {
        let check = |value: &str, expected: Option<&str>| {
            let known = known_value("Statement_Timeout", value).expect("ours");
            assert_eq!(known.as_deref(), expected, "{value}");
        };
        check("400", Some("400ms"));
        check("0", Some("0"));
        check("1000", Some("1s"));
        check("90s", Some("90s"));
        check("36h", Some("36h"));
        check("1440 min", Some("1d"));
        check("2147483647", Some("2147483647ms"));
        for other in ["2147483648", "010", "1500us", "1.5s", "-1", "soon", ""] {
            check(other, None);
        }
    }

    #[test]
    fn reset_goes_back_to_what_the_connection_asked_for() {
        let mut settings = settings();
        settings.set("TimeZone", "UTC".into(), false);
        assert_eq!(settings.get("timezone"), Some("UTC"));
        settings.reset("timezone", false);
        assert_eq!(settings.get("TIMEZONE"), Some("Europe/Paris"));
    }

    #[test]
    fn local_settings_end_with_the_transaction() {
        let mut settings = settings();
        settings.set("timezone", "UTC".into(), true);
        settings.set("work_mem", "1MB".into(), false);
        assert_eq!(settings.get("timezone"), Some("UTC"));
        settings.end_local();
        assert_eq!(settings.get("timezone"), Some("Europe/Paris"));
        assert_eq!(settings.get("work_mem"), Some("1MB"));
    }

    #[test]
    fn durations_are_read_as_postgresql_prints_them() {
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("2min"), Some(Duration::from_secs(120)));
        assert_eq!(duration("soon"), None);
    }

    #[test]
    fn options_of_libpq_are_read() {
        let settings =
            startup_options("-c search_path=a\\ b --statement-timeout=5s -cwork_mem=1MB")
                .expect("well formed");
        assert_eq!(settings["search_path"], "a b");
        assert_eq!(settings["statement_timeout"], "5s");
        assert_eq!(settings["work_mem"], "1MB");
        assert!(startup_options("-X").is_err());
    }

    #[test]
    fn output_that_we_cannot_follow_is_refused() {
        assert_eq!(
            known_value("client_encoding", "latin-1").expect("ours"),
            Some("LATIN1".to_owned())
        );
        assert_eq!(
            known_value("client_encoding", "EUC_JP")
                .expect_err("many bytes a character")
                .code(),
            "0A000"
        );
        assert_eq!(
            check("role", "postgres").expect_err("fixed").code(),
            "0A000"
        );
        assert!(check("TimeZone", "Europe/Berlin").is_ok());
    }
}
