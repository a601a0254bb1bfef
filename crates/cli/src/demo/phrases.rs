//! Texts that events refer to by number: the JSON of `properties`, and what people write.
//!
//! Both columns hold a few hundred distinct texts, so an event carries two bytes and the file a dictionary.

use super::words::{Language, REASONS, REFUSALS, SAYINGS};

pub const DEVICES: &[&str] = &["desktop", "android", "ios", "tablet"];
pub const FOUND_BY: &[&str] = &["direct", "search", "social", "affiliate", "newsletter"];
pub const PAYMENTS: &[&str] = &["card", "transfer", "blik", "cash", "on_delivery"];
/// What Likert questions are about; the first two are the expectation and what came of it.
pub const ITEMS: &[&str] = &[
    "expected", "received", "price", "quality", "speed", "advice",
];
pub const STORES: usize = 40;
const LOWEST_TEMPERATURE: i32 = -10;
const TEMPERATURES: usize = 101;

pub struct Phrases {
    pub properties: Vec<String>,
    pub bodies: Vec<&'static str>,
    session: u16,
    reason: u16,
    store: u16,
    payment: u16,
    item: u16,
    refusal: u16,
    battery: u16,
    temperature: u16,
}

impl Phrases {
    pub fn new() -> Self {
        // Number 0 stands for "none" in both columns.
        let mut properties = vec![String::new()];
        let mut family = |texts: Vec<String>| {
            let first = properties.len() as u16;
            properties.extend(texts);
            first
        };
        let session = family(
            DEVICES
                .iter()
                .flat_map(|device| {
                    FOUND_BY
                        .iter()
                        .map(move |by| format!(r#"{{"device":"{device}","found_by":"{by}"}}"#))
                })
                .collect(),
        );
        let reason = family(
            REASONS
                .iter()
                .flat_map(|(code, _)| {
                    Language::TEXTS.iter().map(move |language| {
                        format!(r#"{{"reason":"{code}","language":"{language}"}}"#)
                    })
                })
                .collect(),
        );
        let store = family(
            (1..=STORES)
                .map(|n| format!(r#"{{"store":"S{n:02}"}}"#))
                .collect(),
        );
        let payment = family(
            PAYMENTS
                .iter()
                .map(|by| format!(r#"{{"payment":"{by}"}}"#))
                .collect(),
        );
        let item = family(
            ITEMS
                .iter()
                .map(|item| format!(r#"{{"item":"{item}"}}"#))
                .collect(),
        );
        let refusal = family(
            REFUSALS
                .iter()
                .map(|(code, _)| format!(r#"{{"refusal":"{code}"}}"#))
                .collect(),
        );
        let battery = family(
            (0..=100)
                .map(|n| format!(r#"{{"reading":"battery","value":{n},"unit":"%"}}"#))
                .collect(),
        );
        let temperature = family(
            (0..TEMPERATURES as i32)
                .map(|n| {
                    let value = f64::from(LOWEST_TEMPERATURE) + f64::from(n) / 2.0;
                    format!(r#"{{"reading":"temperature","value":{value:.1},"unit":"C"}}"#)
                })
                .collect(),
        );
        let sayings = SAYINGS
            .iter()
            .flatten()
            .flat_map(|five| five.iter().copied());
        let bodies = [""].into_iter().chain(sayings).collect();
        Self {
            properties,
            bodies,
            session,
            reason,
            store,
            payment,
            item,
            refusal,
            battery,
            temperature,
        }
    }

    pub fn session(&self, device: usize, found_by: usize) -> u16 {
        self.session + (device * FOUND_BY.len() + found_by) as u16
    }

    pub fn reason(&self, reason: usize, language: Language) -> u16 {
        self.reason + (reason * Language::TEXTS.len()) as u16 + language as u16
    }

    pub fn store(&self, store: usize) -> u16 {
        self.store + store as u16
    }

    pub fn payment(&self, payment: usize) -> u16 {
        self.payment + payment as u16
    }

    pub fn item(&self, item: usize) -> u16 {
        self.item + item as u16
    }

    pub fn refusal(&self, refusal: usize) -> u16 {
        self.refusal + refusal as u16
    }

    /// Per cent, 0 to 100.
    pub fn battery(&self, level: f64) -> u16 {
        self.battery + level.clamp(0.0, 100.0) as u16
    }

    /// Degrees Celsius, to the nearest half.
    pub fn temperature(&self, degrees: f64) -> u16 {
        let step = (degrees - f64::from(LOWEST_TEMPERATURE)) * 2.0;
        self.temperature + step.round().clamp(0.0, (TEMPERATURES - 1) as f64) as u16
    }

    /// One of five sayings of that language; `mood` is 0 for bad, 1 for neutral, 2 for good.
    pub fn saying(&self, language: Language, mood: usize, which: usize) -> u16 {
        (1 + (language as usize * 3 + mood) * 5 + which) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_is_valid_json() {
        for text in &Phrases::new().properties[1..] {
            let value: serde_json::Value = serde_json::from_str(text).expect(text);
            assert!(value.is_object());
        }
    }

    #[test]
    fn numbers_lead_to_the_text_that_was_meant() {
        let phrases = Phrases::new();
        let property = |n: u16| phrases.properties[usize::from(n)].as_str();
        assert_eq!(
            property(phrases.session(1, 2)),
            r#"{"device":"android","found_by":"social"}"#
        );
        assert_eq!(
            property(phrases.reason(11, Language::Russian)),
            r#"{"reason":"R12","language":"ru"}"#
        );
        assert_eq!(property(phrases.store(39)), r#"{"store":"S40"}"#);
        assert_eq!(
            property(phrases.temperature(21.6)),
            r#"{"reading":"temperature","value":21.5,"unit":"C"}"#
        );
        let saying = phrases.saying(Language::Russian, 2, 4);
        assert_eq!(
            phrases.bodies[usize::from(saying)],
            "Доставили на день раньше, молодцы."
        );
    }
}
