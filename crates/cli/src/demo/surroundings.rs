//! The tables around `interactions`: who the customers are, and what codes and ids stand for.
//!
//! Customers come with the warehouse's own number, which only a lake that is made for them can promise to keep;
//! their interactions do not, and find it through `customer_identities` as anyone's would.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use chrono::Datelike;

use super::clock::date;
use super::columns::{agent_id, campaign_id, customer_ref, product_id};
use super::draw::Part;
use super::population::Person;
use super::words::{Language, REASONS, REFUSALS};
use super::world::{CHANNEL_COSTS, CITIES, World, YEARLY_RISE};

/// What the source that reads the interactions calls its customers' numbers.
const CUSTOMER_KIND: &str = "customer";

pub type Table = (&'static str, RecordBatch);

/// Tables that do not grow with the number of customers.
pub fn shared(world: &World) -> Vec<Table> {
    vec![
        ("products", products(world)),
        ("agents", agents(world)),
        ("campaigns", campaigns(world)),
        ("offers", offers(world)),
        ("channel_costs", channel_costs()),
        ("code_dictionary", code_dictionary()),
    ]
}

/// Tables with a row or more per customer.
pub fn of_people(world: &World, people: &[Person]) -> Vec<Table> {
    vec![
        ("customers", customers(world, people)),
        ("customer_identities", identities(world, people)),
        ("consents", consents(world, people)),
    ]
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let nullable = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(nullable).expect("columns of one length")
}

fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<StringArray>())
}

/// The warehouse's number: from 1, without gaps.
fn numbers(customers: impl IntoIterator<Item = u32>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(
        customers.into_iter().map(|n| i64::from(n) + 1),
    ))
}

fn moments(world: &World, days: impl IntoIterator<Item = f64>) -> ArrayRef {
    let micros = days.into_iter().map(|day| world.clock.micros(day));
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn decimals(values: impl IntoIterator<Item = i64>, scale: i8) -> ArrayRef {
    let column = Decimal128Array::from_iter_values(values.into_iter().map(i128::from));
    Arc::new(
        column
            .with_precision_and_scale(18, scale)
            .expect("fits 18 digits"),
    )
}

fn customers(world: &World, people: &[Person]) -> RecordBatch {
    let properties = |person: &Person| {
        let (city, country, ..) = CITIES[person.city];
        format!(
            r#"{{"cohort":"{}","language":"{}","gender":"{}","birth_year":{},"city":"{city}","country":"{country}","found_by":"{}"}}"#,
            person.cohort.text(),
            person.language.text(),
            person.gender,
            person.birth_year,
            super::phrases::FOUND_BY[person.found_by],
        )
    };
    table(vec![
        (
            "customer_id",
            numbers(people.iter().map(|person| person.number)),
        ),
        (
            "customer_ref",
            texts(people.iter().map(|person| customer_ref(person.number))),
        ),
        (
            "first_seen",
            moments(world, people.iter().map(|person| person.born)),
        ),
        ("properties", texts(people.iter().map(properties))),
    ])
}

fn identities(world: &World, people: &[Person]) -> RecordBatch {
    let mut rows: Vec<(&str, String, &Person, f64)> = Vec::with_capacity(people.len() * 4);
    for person in people {
        let n = person.number + 1;
        rows.push((
            CUSTOMER_KIND,
            customer_ref(person.number),
            person,
            person.born,
        ));
        rows.push((
            "email",
            format!("customer.{n}@example.com"),
            person,
            person.born,
        ));
        rows.push((
            "cookie",
            format!(
                "ck-{:016x}",
                u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ),
            person,
            person.born,
        ));
        if person.phone_consent.is_some() || person.sms_consent.is_some() {
            rows.push(("phone", format!("+4850{n:07}"), person, person.born));
        }
        if person.has_loyalty_card {
            rows.push((
                "loyalty_card",
                format!("29{n:09}"),
                person,
                person.born + 1.0,
            ));
        }
        if let Some(since) = person.app_since {
            let device = u64::from(n).wrapping_mul(0xd129_0d3d_7f4a_7c15);
            rows.push(("device", format!("dv-{device:016x}"), person, since));
        }
    }
    table(vec![
        ("kind", texts(rows.iter().map(|row| row.0))),
        ("value", texts(rows.iter().map(|row| row.1.as_str()))),
        ("customer_id", numbers(rows.iter().map(|row| row.2.number))),
        ("since", moments(world, rows.iter().map(|row| row.3))),
    ])
}

/// Whoever is asked whether they may be profiled, and who refuses then.
const ASKED_ABOUT_PROFILING: f64 = 0.6;
const REFUSE_PROFILING: f64 = 0.05;

struct Consent {
    customer: u32,
    purpose: &'static str,
    channel: Option<&'static str>,
    is_granted: bool,
    is_preferred: bool,
    since: f64,
}

/// Consent to marketing is given or refused per channel, and one channel may be declared the preferred one; consent to
/// profiling is asked for once.
fn consents(world: &World, people: &[Person]) -> RecordBatch {
    let mut rows: Vec<Consent> = Vec::with_capacity(people.len() * 3);
    for person in people {
        let asked = [
            ("email", person.email_consent),
            ("sms", person.sms_consent),
            ("phone", person.phone_consent),
        ];
        let declared = person.declared.map(|channel| channel.text());
        let marketing = |channel, is_granted, is_preferred| Consent {
            customer: person.number,
            purpose: "marketing",
            channel: Some(channel),
            is_granted,
            is_preferred,
            since: person.born,
        };
        let mut is_declared_row_there = false;
        for (channel, granted) in asked {
            let Some(granted) = granted else { continue };
            let is_preferred = declared == Some(channel);
            is_declared_row_there |= is_preferred;
            // Who prefers a channel has agreed to it.
            rows.push(marketing(channel, granted || is_preferred, is_preferred));
        }
        if let Some(channel) = declared.filter(|_| !is_declared_row_there) {
            rows.push(marketing(channel, true, true));
        }
        let mut draw = world.draw(Part::Profiling, person.number);
        if draw.chance(ASKED_ABOUT_PROFILING) {
            rows.push(Consent {
                customer: person.number,
                purpose: "profiling",
                channel: None,
                is_granted: !draw.chance(REFUSE_PROFILING),
                is_preferred: false,
                since: person.born,
            });
        }
    }
    let truths = |of: fn(&Consent) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from_iter(rows.iter().map(of).map(Some)))
    };
    let channels = rows.iter().map(|row| row.channel);
    table(vec![
        ("customer_id", numbers(rows.iter().map(|row| row.customer))),
        ("purpose", texts(rows.iter().map(|row| row.purpose))),
        ("channel", Arc::new(channels.collect::<StringArray>())),
        ("granted", truths(|row| row.is_granted)),
        ("preferred", truths(|row| row.is_preferred)),
        ("since", moments(world, rows.iter().map(|row| row.since))),
    ])
}

fn products(world: &World) -> RecordBatch {
    let all = &world.products;
    table(vec![
        ("product_id", texts((1..=all.len() as u16).map(product_id))),
        (
            "name",
            texts(all.iter().map(|product| product.name.as_str())),
        ),
        (
            "category",
            texts(all.iter().map(|product| product.category)),
        ),
        (
            "price",
            decimals(all.iter().map(|product| product.price_cents), 2),
        ),
        ("currency", texts(all.iter().map(|_| "EUR"))),
    ])
}

fn agents(world: &World) -> RecordBatch {
    let all = &world.agents;
    table(vec![
        ("agent_id", texts((1..=all.len() as u16).map(agent_id))),
        ("name", texts(all.iter().map(|agent| agent.name.as_str()))),
        ("team", texts(all.iter().map(|agent| agent.team))),
        (
            "properties",
            texts(
                all.iter()
                    .map(|agent| format!(r#"{{"channel":"{}"}}"#, agent.channel.text())),
            ),
        ),
    ])
}

fn campaigns(world: &World) -> RecordBatch {
    let all = &world.campaigns;
    let window = world.truth.campaigns.window_days;
    table(vec![
        (
            "campaign_id",
            texts((1..=all.len() as u16).map(campaign_id)),
        ),
        (
            "name",
            texts(all.iter().map(|campaign| campaign.name.as_str())),
        ),
        (
            "channel",
            texts(all.iter().map(|campaign| campaign.channel.text())),
        ),
        (
            "starts_at",
            moments(world, all.iter().map(|campaign| campaign.starts)),
        ),
        (
            "ends_at",
            moments(world, all.iter().map(|campaign| campaign.starts + window)),
        ),
        (
            "cost",
            decimals(all.iter().map(|campaign| campaign.cost_cents), 2),
        ),
        (
            "properties",
            texts(all.iter().map(|_| {
                format!(
                    r#"{{"control_share":{},"window_days":{window}}}"#,
                    world.truth.campaigns.control_share
                )
            })),
        ),
    ])
}

fn offers(world: &World) -> RecordBatch {
    let all = &world.campaigns;
    table(vec![
        (
            "offer_id",
            texts((1..=all.len()).map(|n| format!("F{n:03}"))),
        ),
        (
            "campaign_id",
            texts((1..=all.len() as u16).map(campaign_id)),
        ),
        (
            "product_id",
            texts(all.iter().map(|campaign| product_id(campaign.product))),
        ),
        (
            "name",
            texts(all.iter().map(|c| {
                let product = &world.products[usize::from(c.product) - 1];
                format!("{:.0} % off {}", c.discount * 100.0, product.name)
            })),
        ),
        (
            "discount",
            decimals(
                all.iter().map(|c| (c.discount * 10_000.0).round() as i64),
                4,
            ),
        ),
    ])
}

/// One price per channel and year of the history.
fn channel_costs() -> RecordBatch {
    let rows: Vec<_> = (0..4)
        .flat_map(|year| {
            CHANNEL_COSTS
                .iter()
                .map(move |(channel, cost)| (year, *channel, *cost))
        })
        .collect();
    let days_since_epoch = |year: i32| {
        let day = date((f64::from(year) * 365.25).floor() as usize);
        day.num_days_from_ce() - 719_163
    };
    table(vec![
        ("channel", texts(rows.iter().map(|row| row.1.text()))),
        (
            "valid_from",
            Arc::new(Date32Array::from_iter_values(
                rows.iter().map(|row| days_since_epoch(row.0)),
            )),
        ),
        (
            "unit_cost",
            decimals(
                rows.iter()
                    .map(|row| (f64::from(row.2) * YEARLY_RISE.powi(row.0)).round() as i64),
                4,
            ),
        ),
        ("currency", texts(rows.iter().map(|_| "EUR"))),
    ])
}

fn code_dictionary() -> RecordBatch {
    let mut rows: Vec<(&str, &str, &str, &str)> = Vec::new();
    for (field, codes) in [("reason", REASONS), ("refusal", REFUSALS)] {
        for (code, meaning) in codes {
            for (language, text) in Language::TEXTS.iter().zip(meaning) {
                rows.push((field, code, language, text));
            }
        }
    }
    let start = date(0).num_days_from_ce() - 719_163;
    table(vec![
        ("system", texts(rows.iter().map(|_| "crm"))),
        ("field", texts(rows.iter().map(|row| row.0))),
        ("code", texts(rows.iter().map(|row| row.1))),
        ("lang", texts(rows.iter().map(|row| row.2))),
        ("text", texts(rows.iter().map(|row| row.3))),
        (
            "valid_from",
            Arc::new(Date32Array::from_iter_values(rows.iter().map(|_| start))),
        ),
    ])
}
