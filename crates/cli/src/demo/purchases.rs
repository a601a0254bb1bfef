//! Who buys when, and for how much: BG/NBD and gamma-gamma.
//!
//! After the first purchase the gaps are exponential with the customer's own rate; after each repeat purchase the
//! customer leaves for good with their own probability (Fader, Hardie & Lee 2005). What is spent is gamma
//! distributed around the customer's own mean (Fader & Hardie 2013). The season and the hour move nothing but the
//! hour of the day, so that fitting the models finds the parameters again.

use super::draw::{Draw, Part};
use super::event::Event;
use super::life::{Life, Purchase};
use super::population::Cohort;
use super::words::{Channel, Context, Direction, Kind, Outcome, Touchpoint};
use super::world::unit_cost;

const RETURNED: f64 = 0.04;
const TOLD_BY_SMS: f64 = 0.2;
const MINUTE: f64 = 1.0 / 1_440.0;

/// A purchase that will happen unless the customer leaves before.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    pub at: f64,
    pub cents: i64,
}

/// Draws purchase times and amounts, and sets when the customer leaves of their own accord.
pub fn plan(life: &mut Life) -> Vec<Planned> {
    let draw = &mut life.draw(Part::Purchases);
    let end = life.end();
    let person = &life.person;
    let mut planned = Vec::new();
    let (mut clock, mut day) = (person.born, person.born);
    loop {
        planned.push(Planned {
            at: day,
            cents: amount(life.world.truth.spend.p, person.spend_rate, draw),
        });
        let is_repeat = planned.len() > 1;
        if is_repeat && draw.chance(person.dropout) {
            // The whole day belongs to the customer: the hour is drawn when the purchase is written.
            life.left = (day + 1.0).min(end);
            return planned;
        }
        clock += draw.exponential(7.0 / person.rate);
        // Analysts count days with a purchase, so a second one on the same day waits for the next; the clock goes
        // on from where it was, so that no purchase is lost.
        day = clock.floor().max(day + 1.0);
        if day >= end {
            return planned;
        }
    }
}

pub fn amount(p: f64, rate: f64, draw: &mut Draw) -> i64 {
    ((draw.gamma(p, rate) * 100.0).round() as i64).max(1)
}

/// Writes the planned purchases that happen before the customer left.
pub fn add(life: &mut Life, planned: &[Planned]) {
    // Another stream than the plan's: how something is bought must not move when.
    let draw = &mut life.draw(Part::Browsing);
    let left = life.left;
    for purchase in planned.iter().filter(|purchase| purchase.at < left) {
        buy(life, draw, purchase.at, purchase.cents, 0);
    }
}

/// One purchase with everything around it. `campaign` is 0 for none.
pub fn buy(life: &mut Life, draw: &mut Draw, day: f64, cents: i64, campaign: u16) {
    let world = life.world;
    let number = life.person.number;
    let uses_app = life.person.uses_app(day);
    let channel = draw.weighted(&[
        (0.36, Channel::Store),
        (if uses_app { 0.2 } else { 0.45 }, Channel::Web),
        (if uses_app { 0.35 } else { 0.0 }, Channel::App),
        (0.05, Channel::Phone),
        (0.02, Channel::Social),
    ]);
    let at = world.clock.moment(draw, day, channel);
    let quantity = draw.weighted(&[(0.72, 1), (0.18, 2), (0.07, 3), (0.03, 4)]);
    let product = world.product_near(draw, cents / i64::from(quantity));
    let order = life.next_order();

    let session = match channel {
        Channel::Web | Channel::App => way_to_checkout(life, draw, at, channel, product, campaign),
        _ => 0,
    };
    let (touchpoint, lag_s) = match channel {
        Channel::Store => (Touchpoint::Till, 600 + draw.below(40_000) as u32),
        Channel::Phone => (Touchpoint::CallCentre, 30),
        Channel::Social => (Touchpoint::DirectMessage, 120),
        _ => (Touchpoint::Checkout, 2),
    };
    let mut event = Event::new(number, at, channel, touchpoint, Kind::Purchase);
    event.lag_s = lag_s;
    event.outcome = Outcome::Purchase;
    event.session = session;
    event.order = order;
    event.product = product;
    event.quantity = quantity;
    event.amount_cents = cents;
    event.campaign = campaign;
    event.cost = unit_cost(channel, at);
    match channel {
        Channel::Store => {
            event.properties = world.phrases.store(life.person.store);
            (event.latitude, event.longitude) = life.person.place(draw);
        }
        _ => event.properties = world.phrases.payment(draw.below(5)),
    }
    if matches!(channel, Channel::Phone | Channel::Social) {
        event.agent = world.agent(draw, channel);
    }
    life.events.push(event);
    life.purchases.push(Purchase { at, order, product });

    if matches!(channel, Channel::Web | Channel::App) && draw.chance(TOLD_BY_SMS) {
        let day = at + draw.between(1.0, 3.0);
        let sent = world.clock.moment(draw, day, Channel::Sms);
        let mut told = Event::new(
            number,
            sent,
            Channel::Sms,
            Touchpoint::Message,
            Kind::Notification,
        );
        told.direction = Direction::Outbound;
        told.outcome = Outcome::Delivered;
        told.order = order;
        told.cost = unit_cost(Channel::Sms, sent);
        life.events.push(told);
    }
    if life.person.cohort == Cohort::Responsive && draw.chance(RETURNED) {
        let day = at + draw.between(2.0, 14.0);
        let back = world.clock.moment(draw, day, Channel::Store);
        let mut returned = Event::new(
            number,
            back,
            Channel::Store,
            Touchpoint::ServiceDesk,
            Kind::Return,
        );
        returned.outcome = Outcome::Returned;
        returned.order = order;
        returned.product = product;
        returned.quantity = -quantity;
        returned.amount_cents = -cents;
        returned.agent = world.agent(draw, Channel::Store);
        returned.properties = world.phrases.store(life.person.store);
        returned.cost = unit_cost(Channel::Store, back);
        life.events.push(returned);
    }
}

/// Product, cart, checkout: the session that ends in the purchase. Returns its number.
fn way_to_checkout(
    life: &mut Life,
    draw: &mut Draw,
    at: f64,
    channel: Channel,
    product: u16,
    campaign: u16,
) -> u16 {
    let session = life.next_session();
    let properties = life
        .world
        .phrases
        .session(life.person.device, life.person.found_by);
    let steps = [
        (
            Touchpoint::Product,
            Kind::ProductView,
            draw.between(4.0, 25.0),
        ),
        (Touchpoint::Cart, Kind::AddToCart, draw.between(2.0, 4.0)),
        (Touchpoint::Checkout, Kind::Checkout, draw.between(0.5, 2.0)),
    ];
    for (touchpoint, kind, minutes_before) in steps {
        let mut event = Event::new(
            life.person.number,
            at - minutes_before * MINUTE,
            channel,
            touchpoint,
            kind,
        );
        event.context = Context::Situational;
        event.session = session;
        event.product = product;
        event.properties = properties;
        // Not logged in yet when the product is looked at; a purchase is never anonymous.
        event.is_known = kind != Kind::ProductView || !draw.chance(0.15);
        event.campaign = campaign;
        life.events.push(event);
    }
    session
}
