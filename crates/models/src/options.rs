//! What OPTIONS may say: names, meanings and defaults by type of model.

use std::collections::BTreeMap;

use croner::parser::{CronParser, Seconds, Year};

use crate::{Error, Result};

/// A model's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Clv,
    Churn,
    Segmentation,
    Uplift,
    Recommendation,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Clv,
        Self::Churn,
        Self::Segmentation,
        Self::Uplift,
        Self::Recommendation,
    ];

    pub fn read(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| Error::Invalid {
            message: format!("there is no type of model \"{text}\""),
            hint: "Types are clv, churn, segmentation, uplift and recommendation.".to_owned(),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Clv => "clv",
            Self::Churn => "churn",
            Self::Segmentation => "segmentation",
            Self::Uplift => "uplift",
            Self::Recommendation => "recommendation",
        }
    }

    /// The table that its first model publishes to.
    pub fn scores(self) -> &'static str {
        match self {
            Self::Clv => "clv",
            Self::Churn => "churn",
            Self::Segmentation => "segments",
            Self::Uplift => "uplift",
            Self::Recommendation => "recommendations",
        }
    }

    fn own(self) -> &'static [Known] {
        match self {
            Self::Clv => &CLV,
            Self::Churn => &CHURN,
            Self::Segmentation => &SEGMENTATION,
            Self::Uplift => &UPLIFT,
            Self::Recommendation => &RECOMMENDATION,
        }
    }
}

/// An option: its name and what it may be.
type Known = (&'static str, Sort);

#[derive(Clone, Copy, Debug)]
enum Sort {
    /// Days, at least one: `90`, `'39 weeks'`, `'1 year'`.
    Days,
    Number {
        least: f64,
        most: f64,
    },
    Whole {
        least: i64,
        most: i64,
    },
    Word(&'static [&'static str]),
    Text,
    /// When, as cron says it.
    Cron,
    /// A name of the IANA's list.
    Zone,
    /// `90s`, `30min`, `2h`.
    Span,
}

const COMMON: [Known; 10] = [
    ("refresh", Sort::Cron),
    ("time_zone", Sort::Zone),
    ("max_run_time", Sort::Span),
    ("scores", Sort::Text),
    ("search_path", Sort::Text),
    (
        "keep",
        Sort::Whole {
            least: 1,
            most: 1000,
        },
    ),
    (
        "consent",
        Sort::Word(&["unless_refused", "required", "ignored"]),
    ),
    ("holdout", Sort::Days),
    ("events", Sort::Text),
    ("currency", Sort::Text),
];

const CLV: [Known; 3] = [
    ("horizon", Sort::Days),
    (
        "discount",
        Sort::Number {
            least: 0.0,
            most: 10.0,
        },
    ),
    ("family", Sort::Word(&["auto", "bgnbd", "mbgnbd", "pnbd"])),
];

const CHURN: [Known; 3] = [
    ("horizon", Sort::Days),
    (
        "method",
        Sort::Word(&["alive", "logistic", "boosting", "auto", "survival"]),
    ),
    ("family", Sort::Word(&["auto", "bgnbd", "mbgnbd", "pnbd"])),
];

const SEGMENTATION: [Known; 3] = [
    ("method", Sort::Word(&["rfm", "kmeans", "mixture"])),
    ("segments", Sort::Whole { least: 2, most: 50 }),
    ("window", Sort::Days),
];

const UPLIFT: [Known; 5] = [
    ("method", Sort::Word(&["logistic", "boosting", "auto"])),
    ("learner", Sort::Word(&["t_learner", "x_learner"])),
    ("window", Sort::Days),
    ("rule", Sort::Text),
    ("campaign", Sort::Text),
];

const RECOMMENDATION: [Known; 3] = [
    ("method", Sort::Word(&["items", "als", "auto"])),
    (
        "top",
        Sort::Whole {
            least: 1,
            most: 100,
        },
    ),
    ("window", Sort::Days),
];

/// Options that have been looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    pub fn check(kind: Kind, mut given: BTreeMap<String, String>) -> Result<Self> {
        // As PostgreSQL's setting is called.
        if let Some(zone) = given.remove("timezone")
            && given.insert("time_zone".to_owned(), zone).is_some()
        {
            return Err(Error::OptionTwice("time_zone".to_owned()));
        }
        let known = || COMMON.iter().chain(kind.own());
        for (name, value) in &given {
            let Some((_, sort)) = known().find(|(known, _)| known == name) else {
                let names: Vec<&str> = known().map(|(name, _)| *name).collect();
                return Err(Error::Invalid {
                    message: format!("there is no option \"{name}\" of a {} model", kind.name()),
                    hint: format!("Options are {}.", names.join(", ")),
                });
            };
            sort.check(name, value)?;
        }
        Ok(Self(given))
    }

    /// As they were kept.
    pub fn stored(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("texts")
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn word<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.text(name).unwrap_or(default)
    }

    pub fn days(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(days)
    }

    pub fn number(&self, name: &str, default: f64) -> f64 {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    pub fn whole(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }
}

impl Sort {
    fn check(self, name: &str, value: &str) -> Result<()> {
        let (fits, wanted) = match self {
            Self::Days => (
                days(value).is_some(),
                "days, such as 90 or '39 weeks'".to_owned(),
            ),
            Self::Number { least, most } => (
                value
                    .parse()
                    .is_ok_and(|number: f64| (least..=most).contains(&number)),
                format!("a number from {least} to {most}"),
            ),
            Self::Whole { least, most } => (
                value
                    .parse()
                    .is_ok_and(|number: i64| (least..=most).contains(&number)),
                format!("a whole number from {least} to {most}"),
            ),
            Self::Word(words) => (
                words.contains(&value),
                format!("one of {}", words.join(", ")),
            ),
            Self::Text => (!value.is_empty(), "a text that is not empty".to_owned()),
            Self::Cron => (
                cron(value),
                "five fields as cron has them, such as '0 3 * * *', of a day that comes".to_owned(),
            ),
            Self::Zone => (
                value.parse::<chrono_tz::Tz>().is_ok(),
                "a time zone, such as 'Europe/Warsaw'".to_owned(),
            ),
            Self::Span => (is_span(value), "a time such as '30min' or '2h'".to_owned()),
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Invalid {
                message: format!("option {name} may not be \"{value}\""),
                hint: format!("It is {wanted}."),
            }),
        }
    }
}

fn cron(text: &str) -> bool {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    // One that never comes, such as 31 February, is none.
    let comes = |cron: croner::Cron| {
        cron.find_next_occurrence(&chrono::Utc::now(), false)
            .is_ok()
    };
    parser.parse(text).is_ok_and(comes)
}

/// Up to 36,500 days.
fn is_span(text: &str) -> bool {
    let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let seconds: u64 = match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return false,
    };
    let number: Option<u64> = digits.parse().ok();
    let span = number.and_then(|number| number.checked_mul(seconds));
    span.is_some_and(|span| span <= 36_500 * 86_400)
}

/// `90`, `90 days`, `13 weeks`, `6 months` (of 30 days), `1 year`; from 1 to 36,500.
fn days(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let unit = match words.next().unwrap_or("days").trim_end_matches('s') {
        "day" => 1,
        "week" => 7,
        "month" => 30,
        "year" => 365,
        _ => return None,
    };
    let days = number.checked_mul(unit)?;
    (words.next().is_none() && (1..=36_500).contains(&days)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: Kind, name: &str, value: &str) -> String {
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Options::check(kind, given)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn a_span_is_a_number_of_days() {
        for (text, expected) in [
            ("90", Some(90)),
            ("39 weeks", Some(273)),
            ("1 year", Some(365)),
            ("0", None),
            ("3 fortnights", None),
            ("100 years and a day", None),
        ] {
            assert_eq!(days(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_that_a_run_may_take_is_one_that_a_clock_can_tell() {
        for (text, expected) in [
            ("90s", true),
            ("30 min", true),
            ("36500d", true),
            ("36501d", false),
            ("99999999999999999999d", false),
            ("999999999999999999d", false),
            ("2", false),
            ("h", false),
        ] {
            assert_eq!(is_span(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_zone_is_also_called_as_postgresql_calls_it() {
        let of = |names: &[&str]| {
            let given = names
                .iter()
                .map(|name| ((*name).to_owned(), "Europe/Warsaw".to_owned()));
            Options::check(Kind::Clv, given.collect())
        };
        let options = of(&["timezone"]).expect("known");
        assert_eq!(options.text("time_zone"), Some("Europe/Warsaw"));
        assert!(matches!(
            of(&["timezone", "time_zone"]),
            Err(Error::OptionTwice(_))
        ));
        assert_eq!(
            refusal(Kind::Clv, "timezone", "Middle Earth"),
            "option time_zone may not be \"Middle Earth\""
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(
            refusal(Kind::Clv, "horizn", "90"),
            "there is no option \"horizn\" of a clv model"
        );
        assert_eq!(
            refusal(Kind::Clv, "family", "x"),
            "option family may not be \"x\""
        );
        assert_eq!(
            refusal(Kind::Churn, "horizon", "soon"),
            "option horizon may not be \"soon\""
        );
    }
}
