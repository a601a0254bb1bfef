//! Who the customers are: when they come, how often they would buy, what they like.

use super::clock::DAYS;
use super::draw::{Draw, Part};
use super::words::{Channel, Language};
use super::world::{CITIES, World};

/// Newcomers arrive during this much of the history, so that each can be watched for a while.
const ARRIVALS_UNTIL: f64 = 0.93 * DAYS as f64;
const HAVE_DEVICE: f64 = 0.12;
const DECLARE_CHANNEL: f64 = 0.4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cohort {
    Baseline,
    Responsive,
}

impl Cohort {
    pub fn text(self) -> &'static str {
        match self {
            Cohort::Baseline => "baseline",
            Cohort::Responsive => "responsive",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Person {
    /// From 0; the company's own number is `C` and this plus one.
    pub number: u32,
    pub cohort: Cohort,
    /// Day of the first purchase.
    pub born: f64,
    /// Purchases a week.
    pub rate: f64,
    /// Chance to leave after each repeat purchase.
    pub dropout: f64,
    /// Rate of the gamma that spend is drawn from; the mean is `p / spend_rate`.
    pub spend_rate: f64,
    /// About 1: how much this person looks, reads and writes.
    pub engagement: f64,
    /// About 1: how often something goes wrong for this person.
    pub trouble: f64,
    /// Standard deviations from the average satisfaction.
    pub temper: f64,
    pub language: Language,
    pub gender: &'static str,
    pub birth_year: u16,
    pub city: usize,
    pub store: usize,
    pub device: usize,
    pub found_by: usize,
    /// The day from which the app is used.
    pub app_since: Option<f64>,
    /// How this person usually gets in touch, whatever they declared.
    pub habit: Channel,
    pub declared: Option<Channel>,
    pub has_loyalty_card: bool,
    pub has_device: bool,
    pub email_consent: Option<bool>,
    pub sms_consent: Option<bool>,
    pub phone_consent: Option<bool>,
}

impl Person {
    pub fn new(world: &World, number: u32) -> Self {
        let draw = &mut world.draw(Part::Person, number);
        let truth = &world.truth;
        // The growing shop wins more customers each year, and more before Christmas.
        let born = loop {
            let day = world.clock.leisure_day(draw, 1.0, ARRIVALS_UNTIL);
            if draw.chance(0.55 + 0.45 * day / ARRIVALS_UNTIL) {
                break day.floor();
            }
        };
        let cities: Vec<(f64, usize)> = CITIES
            .iter()
            .enumerate()
            .map(|(i, city)| (city.4, i))
            .collect();
        let city = draw.weighted(&cities);
        let language = language_of(draw, CITIES[city].1);
        let birth_year = (1_980.0 + draw.normal(0.0, 14.0)).clamp(1_935.0, 2_006.0) as u16;
        // The young are quicker to take up the app.
        let adopts = 0.2 + 0.5 * (f64::from(birth_year) - 1_935.0) / 71.0;
        let habit = draw.weighted(&[
            (0.36, Channel::Phone),
            (0.24, Channel::Chat),
            (0.30, Channel::Bot),
            (0.12, Channel::Email),
            (0.04, Channel::Social),
            (0.05, Channel::Store),
        ]);
        let declared = draw.chance(DECLARE_CHANNEL).then(|| {
            draw.weighted(&[
                (0.5, Channel::Email),
                (0.2, Channel::Sms),
                (0.15, Channel::App),
                (0.15, Channel::Phone),
            ])
        });
        let mut consent = |asked: f64, agrees: f64| draw.chance(asked).then(|| draw.chance(agrees));
        let (email_consent, sms_consent, phone_consent) =
            (consent(0.9, 0.7), consent(0.7, 0.55), consent(0.6, 0.4));
        Self {
            number,
            cohort: if draw.chance(truth.cohorts.baseline_share) {
                Cohort::Baseline
            } else {
                Cohort::Responsive
            },
            born,
            rate: draw.gamma(truth.purchases.r, truth.purchases.alpha_weeks),
            dropout: draw.beta(truth.purchases.a, truth.purchases.b),
            spend_rate: draw.gamma(truth.spend.q, truth.spend.v),
            engagement: draw.gamma(2.0, 2.0).min(4.0),
            trouble: draw.gamma(1.5, 1.5),
            temper: draw.normal(0.0, 1.0),
            language,
            gender: draw.weighted(&[(0.52, "f"), (0.46, "m"), (0.02, "x")]),
            birth_year,
            city,
            store: (city * 2 + draw.below(3)) % super::phrases::STORES,
            device: draw.weighted(&[(0.42, 0), (0.3, 1), (0.2, 2), (0.08, 3)]),
            found_by: draw.weighted(&[(0.3, 0), (0.34, 1), (0.16, 2), (0.08, 3), (0.12, 4)]),
            app_since: draw
                .chance(adopts)
                .then(|| born + draw.exponential(90.0))
                .filter(|day| *day < DAYS as f64),
            habit,
            declared,
            has_loyalty_card: draw.chance(0.45),
            has_device: draw.chance(HAVE_DEVICE),
            email_consent,
            sms_consent,
            phone_consent,
        }
    }

    pub fn uses_app(&self, at: f64) -> bool {
        self.app_since.is_some_and(|since| at >= since)
    }

    /// Somewhere in the person's town.
    pub fn place(&self, draw: &mut Draw) -> (f64, f64) {
        let (_, _, latitude, longitude, _) = CITIES[self.city];
        // To five decimals, about a metre: what a phone tells.
        let near = |degrees: f64, draw: &mut Draw| (draw.normal(degrees, 0.04) * 1e5).round() / 1e5;
        (near(latitude, draw), near(longitude, draw))
    }
}

fn language_of(draw: &mut Draw, country: &str) -> Language {
    use Language::{English, Polish, Russian};
    match country {
        "PL" => draw.weighted(&[(0.9, Polish), (0.06, English), (0.04, Russian)]),
        "LT" | "LV" | "EE" => draw.weighted(&[(0.55, Russian), (0.45, English)]),
        _ => draw.weighted(&[(0.85, English), (0.1, Polish), (0.05, Russian)]),
    }
}
