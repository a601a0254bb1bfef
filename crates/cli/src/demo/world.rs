//! What all customers share: goods, agents, campaigns, towns, and what a contact costs.

use super::clock::{Clock, DAYS};
use super::draw::{Draw, Part};
use super::phrases::Phrases;
use super::truth::Truth;
use super::words::Channel;

pub const PRODUCTS: usize = 400;
const AGENTS: usize = 240;
pub const CAMPAIGNS: usize = 24;
const FIRST_CAMPAIGN_DAY: f64 = 150.0;
const CAMPAIGN_EVERY: f64 = 38.0;

pub const CATEGORIES: &[&str] = &[
    "audio",
    "books",
    "garden",
    "kitchen",
    "lighting",
    "outdoor",
    "stationery",
    "tools",
];

/// Name, country, latitude, longitude, share of customers.
pub const CITIES: &[(&str, &str, f64, f64, f64)] = &[
    ("Warszawa", "PL", 52.23, 21.01, 0.16),
    ("Kraków", "PL", 50.06, 19.94, 0.09),
    ("Wrocław", "PL", 51.11, 17.03, 0.07),
    ("Poznań", "PL", 52.41, 16.93, 0.06),
    ("Gdańsk", "PL", 54.35, 18.65, 0.06),
    ("Łódź", "PL", 51.76, 19.46, 0.05),
    ("Lublin", "PL", 51.25, 22.57, 0.04),
    ("Berlin", "DE", 52.52, 13.41, 0.10),
    ("Leipzig", "DE", 51.34, 12.37, 0.04),
    ("London", "GB", 51.51, -0.13, 0.08),
    ("Dublin", "IE", 53.35, -6.26, 0.04),
    ("Vilnius", "LT", 54.69, 25.28, 0.05),
    ("Riga", "LV", 56.95, 24.11, 0.06),
    ("Tallinn", "EE", 59.44, 24.75, 0.05),
    ("Praha", "CZ", 50.08, 14.44, 0.05),
];

pub struct Product {
    pub name: String,
    pub category: &'static str,
    pub price_cents: i64,
}

pub struct Agent {
    pub name: String,
    pub team: &'static str,
    pub channel: Channel,
    /// 0 is poor, 1 is excellent.
    pub skill: f64,
}

pub struct Campaign {
    pub name: String,
    pub channel: Channel,
    /// Days since the history's first day.
    pub starts: f64,
    pub cost_cents: i64,
    pub product: u16,
    pub discount: f64,
    /// Extra purchases that a treated customer makes within [`super::campaigns::WINDOW_DAYS`], on average.
    pub uplift: f64,
}

pub struct World {
    pub seed: u64,
    pub truth: Truth,
    pub clock: Clock,
    pub phrases: Phrases,
    /// By rising price; numbers in events start at 1.
    pub products: Vec<Product>,
    pub agents: Vec<Agent>,
    pub campaigns: Vec<Campaign>,
    /// Numbers of the agents who answer each channel.
    agents_by_channel: Vec<Vec<u16>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, Part::World, 0);
        let agents = agents(&mut draw);
        let agents_by_channel = Channel::ALL
            .iter()
            .map(|channel| {
                let numbered = (1..).zip(&agents);
                numbered
                    .filter(|(_, a)| a.channel == *channel)
                    .map(|(n, _)| n)
                    .collect()
            })
            .collect();
        Self {
            seed,
            truth: Truth::default(),
            clock: Clock::new(),
            phrases: Phrases::new(),
            products: products(&mut draw),
            campaigns: campaigns(&mut draw),
            agents,
            agents_by_channel,
        }
    }

    pub fn draw(&self, part: Part, customer: u32) -> Draw {
        Draw::new(self.seed, part, customer)
    }

    /// Someone who answers that channel; 0 where nobody does.
    pub fn agent(&self, draw: &mut Draw, channel: Channel) -> u16 {
        let who = &self.agents_by_channel[channel as usize];
        if who.is_empty() { 0 } else { draw.one_of(who) }
    }

    pub fn skill(&self, agent: u16) -> f64 {
        self.agents
            .get(usize::from(agent).wrapping_sub(1))
            .map_or(0.5, |a| a.skill)
    }

    /// Something that costs about this much; its number.
    pub fn product_near(&self, draw: &mut Draw, price_cents: i64) -> u16 {
        let place = self
            .products
            .partition_point(|p| p.price_cents < price_cents);
        let first = place.saturating_sub(4).min(PRODUCTS - 8);
        (1 + first + draw.below(8)) as u16
    }
}

/// What one contact costs, in ten-thousandths of the currency, and how that has grown.
pub const CHANNEL_COSTS: &[(Channel, u32)] = &[
    (Channel::Phone, 48_500),
    (Channel::Chat, 23_000),
    (Channel::Email, 31_000),
    (Channel::Web, 40),
    (Channel::App, 30),
    (Channel::Store, 62_000),
    (Channel::Social, 18_000),
    (Channel::Sms, 450),
    (Channel::Bot, 1_200),
    (Channel::Sensor, 5),
];
/// A message that nobody answers: a newsletter, a push.
pub const MESSAGE_COST: u32 = 25;
pub const YEARLY_RISE: f64 = 1.04;

pub fn unit_cost(channel: Channel, at: f64) -> u32 {
    let (_, cost) = CHANNEL_COSTS[channel as usize];
    let years = (at / 365.25).floor().max(0.0);
    (f64::from(cost) * YEARLY_RISE.powi(years as i32)).round() as u32
}

fn products(draw: &mut Draw) -> Vec<Product> {
    const ADJECTIVES: &[&str] = &[
        "compact", "classic", "smart", "light", "sturdy", "quiet", "bright", "little", "grand",
    ];
    let mut all: Vec<Product> = (0..PRODUCTS)
        .map(|i| {
            let category = CATEGORIES[i % CATEGORIES.len()];
            let noun = match category {
                "audio" => draw.one_of(&["speaker", "headphones", "radio", "turntable"]),
                "books" => draw.one_of(&["atlas", "novel", "cookbook", "dictionary"]),
                "garden" => draw.one_of(&["hose", "spade", "planter", "bench"]),
                "kitchen" => draw.one_of(&["kettle", "pan", "grinder", "scales"]),
                "lighting" => draw.one_of(&["lamp", "lantern", "spotlight", "night light"]),
                "outdoor" => draw.one_of(&["tent", "backpack", "stove", "hammock"]),
                "stationery" => draw.one_of(&["notebook", "fountain pen", "planner", "folder"]),
                _ => draw.one_of(&["drill", "saw", "toolbox", "level"]),
            };
            let rank = i as f64 / (PRODUCTS - 1) as f64;
            // 3 to 900, evenly on a logarithmic scale, ending in .99 as shops like it.
            let price = 3.0 * 300_f64.powf(rank);
            Product {
                name: format!("{} {noun} {}", draw.one_of(ADJECTIVES), 100 + i),
                category,
                price_cents: (price.round() as i64) * 100 - 1,
            }
        })
        .collect();
    all.sort_by_key(|product| product.price_cents);
    all
}

fn agents(draw: &mut Draw) -> Vec<Agent> {
    const FIRST: &[&str] = &[
        "Anna", "Piotr", "Maria", "Jan", "Olga", "Tomasz", "Irina", "Marek", "Sofia", "Adam",
        "Elena", "Paweł", "Emma", "Igor", "Zofia", "Viktor",
    ];
    const LAST: &[&str] = &[
        "Nowak",
        "Kowalska",
        "Smirnova",
        "Lis",
        "Baker",
        "Wójcik",
        "Kalnina",
        "Petrov",
        "Adams",
        "Zielińska",
        "Mazur",
        "Berg",
        "Sokolov",
        "Dudek",
        "Fox",
    ];
    const TEAMS: &[(&str, Channel, f64)] = &[
        ("phone north", Channel::Phone, 0.68),
        ("phone south", Channel::Phone, 0.55),
        ("phone evening", Channel::Phone, 0.40),
        ("chat one", Channel::Chat, 0.66),
        ("chat two", Channel::Chat, 0.52),
        ("written answers", Channel::Email, 0.58),
        ("social care", Channel::Social, 0.62),
        ("stores east", Channel::Store, 0.70),
        ("stores west", Channel::Store, 0.60),
    ];
    (0..AGENTS)
        .map(|i| {
            let (team, channel, skill) = TEAMS[i % TEAMS.len()];
            Agent {
                name: format!("{} {}", draw.one_of(FIRST), draw.one_of(LAST)),
                team,
                channel,
                skill: draw.normal(skill, 0.12).clamp(0.05, 0.98),
            }
        })
        .collect()
}

fn campaigns(draw: &mut Draw) -> Vec<Campaign> {
    const CHANNELS: [Channel; 4] = [Channel::Email, Channel::Sms, Channel::App, Channel::Phone];
    const THEMES: &[&str] = &[
        "come back",
        "spring",
        "thank you",
        "bundle",
        "free delivery",
        "new arrivals",
    ];
    (0..CAMPAIGNS)
        .map(|i| {
            let starts = (FIRST_CAMPAIGN_DAY + CAMPAIGN_EVERY * i as f64).floor();
            debug_assert!(
                starts + 30.0 < DAYS as f64,
                "a campaign ends within the history"
            );
            let theme = THEMES[i % THEMES.len()];
            Campaign {
                name: format!(
                    "{theme} {}",
                    super::clock::date(starts as usize).format("%Y-%m")
                ),
                channel: CHANNELS[i % CHANNELS.len()],
                starts,
                cost_cents: (draw.between(800.0, 6_000.0) * 100.0) as i64,
                product: 1 + draw.below(PRODUCTS) as u16,
                discount: draw.one_of(&[0.05, 0.1, 0.15, 0.2]),
                // One in six does nothing at all: a report has to be able to say so.
                uplift: if i % 6 == 5 {
                    0.0
                } else {
                    draw.between(0.01, 0.06)
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_table_is_in_the_order_of_channels() {
        for channel in Channel::ALL {
            assert_eq!(CHANNEL_COSTS[channel as usize].0, channel);
        }
    }

    #[test]
    fn a_product_costs_about_what_is_spent() {
        let world = World::new(1);
        let mut draw = world.draw(Part::Purchases, 1);
        for wanted in [500, 2_000, 8_000, 40_000] {
            let product = world.product_near(&mut draw, wanted);
            let price = world.products[usize::from(product) - 1].price_cents;
            assert!(
                (price as f64 / wanted as f64 - 1.0).abs() < 0.25,
                "{price} for {wanted}"
            );
        }
    }
}
