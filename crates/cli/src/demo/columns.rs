//! Events of many customers → the columns of `interactions`, as a company would hand them over.
//!
//! The file has `customer`, the company's own number, where the warehouse has `customer_id`, and neither
//! `interaction_id` nor `source`: those are the warehouse's to give.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int32Array, StringArray,
    TimestampMicrosecondArray, UInt8Array, UInt16Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{UInt8Type, UInt16Type};
use arrow::record_batch::RecordBatch;

use super::event::{Event, NO_AMOUNT, NO_NUMBER, NO_SCORE, NO_SENTIMENT};
use super::words::{Channel, Context, Direction, Kind, Outcome, Survey, Touchpoint};
use super::world::World;

/// Texts that do not depend on the customer, as dictionaries are built from them.
pub struct Vocabulary {
    channels: ArrayRef,
    touchpoints: ArrayRef,
    kinds: ArrayRef,
    directions: ArrayRef,
    contexts: ArrayRef,
    outcomes: ArrayRef,
    surveys: ArrayRef,
    properties: ArrayRef,
    bodies: ArrayRef,
    campaigns: ArrayRef,
    agents: ArrayRef,
    products: ArrayRef,
    currencies: ArrayRef,
}

impl Vocabulary {
    pub fn new(world: &World) -> Self {
        let texts = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        // Number 0 is "none" and never looked up.
        let numbered = |many: usize, id: fn(u16) -> String| -> ArrayRef {
            Arc::new(StringArray::from(
                (0..=many as u16).map(id).collect::<Vec<_>>(),
            ))
        };
        Self {
            channels: texts(Channel::TEXTS),
            touchpoints: texts(Touchpoint::TEXTS),
            kinds: texts(Kind::TEXTS),
            directions: texts(Direction::TEXTS),
            contexts: texts(Context::TEXTS),
            outcomes: texts(Outcome::TEXTS),
            surveys: texts(Survey::TEXTS),
            properties: Arc::new(StringArray::from(world.phrases.properties.clone())),
            bodies: texts(&world.phrases.bodies),
            campaigns: numbered(world.campaigns.len(), campaign_id),
            agents: numbered(world.agents.len(), agent_id),
            products: numbered(world.products.len(), product_id),
            currencies: texts(&["EUR"]),
        }
    }
}

pub fn campaign_id(n: u16) -> String {
    format!("M{n:03}")
}

pub fn agent_id(n: u16) -> String {
    format!("A{n:03}")
}

pub fn product_id(n: u16) -> String {
    format!("P{n:04}")
}

/// The company's own number of a customer.
pub fn customer_ref(customer: u32) -> String {
    format!("C{:07}", customer + 1)
}

/// `events` of whole customers, each in order of time.
pub fn interactions(world: &World, words: &Vocabulary, events: &[Event]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 29] = [
        ("source_id", source_ids(events)),
        (
            "customer",
            ids(events, |e| e.is_known.then_some(("C", e.customer, None))),
        ),
        ("occurred_at", times(events, |e| world.clock.micros(e.at))),
        (
            "received_at",
            times(events, |e| {
                world.clock.micros(e.at) + i64::from(e.lag_s) * 1_000_000
            }),
        ),
        (
            "channel",
            bytes(&words.channels, events, |e| Some(e.channel as u8)),
        ),
        (
            "touchpoint",
            bytes(&words.touchpoints, events, |e| some(e.touchpoint as u8)),
        ),
        (
            "interaction_type",
            bytes(&words.kinds, events, |e| Some(e.kind as u8)),
        ),
        (
            "direction",
            bytes(&words.directions, events, |e| Some(e.direction as u8)),
        ),
        (
            "context",
            bytes(&words.contexts, events, |e| Some(e.context as u8)),
        ),
        (
            "session_id",
            ids(events, |e| {
                (e.session > 0).then_some(("W", e.customer, Some(e.session)))
            }),
        ),
        (
            "case_id",
            ids(events, |e| {
                (e.case > 0).then_some(("K", e.customer, Some(e.case)))
            }),
        ),
        (
            "campaign_id",
            shorts(&words.campaigns, events, |e| some(e.campaign)),
        ),
        ("agent_id", shorts(&words.agents, events, |e| some(e.agent))),
        (
            "product_id",
            shorts(&words.products, events, |e| some(e.product)),
        ),
        (
            "order_id",
            ids(events, |e| {
                (e.order > 0).then_some(("O", e.customer, Some(e.order)))
            }),
        ),
        (
            "quantity",
            Arc::new(Int32Array::from_iter(
                events.iter().map(|e| some(e.quantity)),
            )),
        ),
        ("amount", amounts(events)),
        (
            "currency",
            bytes(&words.currencies, events, |e| {
                (e.amount_cents != NO_AMOUNT || e.cost != NO_NUMBER).then_some(0)
            }),
        ),
        ("cost", costs(events)),
        ("duration_s", integers(events, |e| e.duration_s)),
        ("wait_s", integers(events, |e| e.wait_s)),
        (
            "outcome",
            bytes(&words.outcomes, events, |e| some(e.outcome as u8)),
        ),
        (
            "survey",
            bytes(&words.surveys, events, |e| some(e.survey as u8)),
        ),
        ("score", scores(events)),
        ("sentiment", sentiments(events)),
        ("body", shorts(&words.bodies, events, |e| some(e.body))),
        ("latitude", degrees(events, |e| e.latitude)),
        ("longitude", degrees(events, |e| e.longitude)),
        (
            "properties",
            shorts(&words.properties, events, |e| some(e.properties)),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .expect("columns of one length")
}

/// 0 is "none".
fn some<T: PartialEq + Default>(n: T) -> Option<T> {
    (n != T::default()).then_some(n)
}

fn times(events: &[Event], of: impl Fn(&Event) -> i64) -> ArrayRef {
    Arc::new(
        TimestampMicrosecondArray::from_iter_values(events.iter().map(of)).with_timezone("UTC"),
    )
}

fn bytes(words: &ArrayRef, events: &[Event], of: impl Fn(&Event) -> Option<u8>) -> ArrayRef {
    let keys = UInt8Array::from_iter(events.iter().map(of));
    Arc::new(DictionaryArray::<UInt8Type>::new(keys, Arc::clone(words)))
}

fn shorts(words: &ArrayRef, events: &[Event], of: impl Fn(&Event) -> Option<u16>) -> ArrayRef {
    let keys = UInt16Array::from_iter(events.iter().map(of));
    Arc::new(DictionaryArray::<UInt16Type>::new(keys, Arc::clone(words)))
}

fn integers(events: &[Event], of: impl Fn(&Event) -> u32) -> ArrayRef {
    let number = |e: &Event| Some(of(e)).filter(|n| *n != NO_NUMBER).map(|n| n as i32);
    Arc::new(Int32Array::from_iter(events.iter().map(number)))
}

fn amounts(events: &[Event]) -> ArrayRef {
    let cents = |e: &Event| (e.amount_cents != NO_AMOUNT).then_some(i128::from(e.amount_cents));
    let column = Decimal128Array::from_iter(events.iter().map(cents));
    Arc::new(
        column
            .with_precision_and_scale(18, 2)
            .expect("cents fit numeric(18,2)"),
    )
}

fn costs(events: &[Event]) -> ArrayRef {
    let cost = |e: &Event| (e.cost != NO_NUMBER).then_some(i128::from(e.cost));
    let column = Decimal128Array::from_iter(events.iter().map(cost));
    Arc::new(
        column
            .with_precision_and_scale(18, 4)
            .expect("costs fit numeric(18,4)"),
    )
}

fn scores(events: &[Event]) -> ArrayRef {
    let score = |e: &Event| (e.score != NO_SCORE).then_some(f64::from(e.score));
    Arc::new(Float64Array::from_iter(events.iter().map(score)))
}

fn sentiments(events: &[Event]) -> ArrayRef {
    let sentiment =
        |e: &Event| (e.sentiment != NO_SENTIMENT).then_some(f64::from(e.sentiment) / 100.0);
    Arc::new(Float64Array::from_iter(events.iter().map(sentiment)))
}

fn degrees(events: &[Event], of: impl Fn(&Event) -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter(
        events.iter().map(|e| Some(of(e)).filter(|d| !d.is_nan())),
    ))
}

/// `C0000123-17`: the customer and the running number of the interaction.
fn source_ids(events: &[Event]) -> ArrayRef {
    let (mut customer, mut nth) = (u32::MAX, 0_u16);
    let mut texts = Texts::with_capacity(events.len(), 13);
    for event in events {
        nth = if event.customer == customer {
            nth + 1
        } else {
            1
        };
        customer = event.customer;
        texts.push(Some(("I", customer, Some(nth))));
    }
    texts.finish()
}

type Id = Option<(&'static str, u32, Option<u16>)>;

fn ids(events: &[Event], of: impl Fn(&Event) -> Id) -> ArrayRef {
    let mut texts = Texts::with_capacity(events.len(), 11);
    for event in events {
        texts.push(of(event));
    }
    texts.finish()
}

/// Builds a text column without a `String` per row.
struct Texts {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Texts {
    fn with_capacity(rows: usize, width: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            bytes: Vec::with_capacity(rows * width),
            offsets,
            valid: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, id: Id) {
        self.valid.push(id.is_some());
        if let Some((letter, customer, number)) = id {
            self.bytes.extend_from_slice(letter.as_bytes());
            self.digits(customer + 1, 7);
            if let Some(number) = number {
                self.bytes.push(b'-');
                self.digits(u32::from(number), 1);
            }
        }
        self.offsets.push(self.bytes.len() as i32);
    }

    fn digits(&mut self, mut n: u32, at_least: usize) {
        let mut digits = [b'0'; 10];
        let mut first = digits.len();
        while n > 0 {
            first -= 1;
            digits[first] = b'0' + (n % 10) as u8;
            n /= 10;
        }
        self.bytes
            .extend_from_slice(&digits[first.min(digits.len() - at_least)..]);
    }

    fn finish(self) -> ArrayRef {
        Arc::new(StringArray::new(
            OffsetBuffer::new(ScalarBuffer::from(self.offsets)),
            Buffer::from_vec(self.bytes),
            Some(NullBuffer::from(self.valid)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;
    use crate::demo::life::Life;

    #[test]
    fn ids_are_padded_and_counted() {
        let mut texts = Texts::with_capacity(3, 10);
        texts.push(Some(("C", 122, None)));
        texts.push(None);
        texts.push(Some(("W", 12_345_678, Some(40))));
        let column = texts.finish();
        let column = column.as_string::<i32>();
        assert_eq!(
            column.iter().collect::<Vec<_>>(),
            [Some("C0000123"), None, Some("W12345679-40")]
        );
        assert_eq!(customer_ref(122), "C0000123");
    }

    #[test]
    fn source_ids_are_unique() {
        let world = World::new(1);
        let events: Vec<Event> = (0..50).flat_map(|n| Life::new(&world, n).events).collect();
        let batch = interactions(&world, &Vocabulary::new(&world), &events);
        let ids: std::collections::HashSet<_> = batch
            .column(0)
            .as_string::<i32>()
            .iter()
            .map(|id| id.expect("an id"))
            .collect();
        assert_eq!(ids.len(), events.len());
    }
}
