//! One interaction while it is being made up: small, without text, cheap to sort.

use super::words::{Channel, Context, Direction, Kind, Outcome, Survey, Touchpoint};

/// Numbers that start at 1 use 0 for "none"; the others have a constant for it.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Days since the history's first day.
    pub at: f64,
    /// Seconds until the warehouse heard of it.
    pub lag_s: u32,
    pub customer: u32,
    pub channel: Channel,
    pub touchpoint: Touchpoint,
    pub kind: Kind,
    pub direction: Direction,
    pub context: Context,
    pub outcome: Outcome,
    pub survey: Survey,
    /// False when the touchpoint did not know who it was.
    pub is_known: bool,
    /// Counted per customer.
    pub session: u16,
    pub case: u16,
    pub order: u16,
    pub campaign: u16,
    pub agent: u16,
    pub product: u16,
    /// An index into [`super::phrases::Phrases`].
    pub properties: u16,
    pub body: u16,
    pub quantity: i32,
    pub amount_cents: i64,
    /// In ten-thousandths of the currency.
    pub cost: u32,
    pub duration_s: u32,
    pub wait_s: u32,
    pub score: i8,
    /// In hundredths, from -100 to 100.
    pub sentiment: i8,
    pub latitude: f64,
    pub longitude: f64,
}

pub const NO_AMOUNT: i64 = i64::MIN;
pub const NO_NUMBER: u32 = u32::MAX;
pub const NO_SCORE: i8 = -1;
pub const NO_SENTIMENT: i8 = i8::MIN;

impl Event {
    pub fn new(
        customer: u32,
        at: f64,
        channel: Channel,
        touchpoint: Touchpoint,
        kind: Kind,
    ) -> Self {
        Self {
            at,
            lag_s: 1,
            customer,
            channel,
            touchpoint,
            kind,
            direction: Direction::Inbound,
            context: Context::Relationship,
            outcome: Outcome::None,
            survey: Survey::None,
            is_known: true,
            session: 0,
            case: 0,
            order: 0,
            campaign: 0,
            agent: 0,
            product: 0,
            properties: 0,
            body: 0,
            quantity: 0,
            amount_cents: NO_AMOUNT,
            cost: NO_NUMBER,
            duration_s: NO_NUMBER,
            wait_s: NO_NUMBER,
            score: NO_SCORE,
            sentiment: NO_SENTIMENT,
            latitude: f64::NAN,
            longitude: f64::NAN,
        }
    }

    /// A contact that did harm: it ended without help and in anger. The definition that queries use is the same.
    pub fn is_bad_contact(&self) -> bool {
        self.kind == Kind::Contact
            && self.outcome == Outcome::Unresolved
            && self.sentiment != NO_SENTIMENT
            && self.sentiment <= BAD_SENTIMENT
    }
}

/// Only bad contacts are felt to be this bad.
pub const BAD_SENTIMENT: i8 = -50;
