//! Offers made in passing, at the till, on the phone, in a chat, and mostly refused.

use super::draw::Part;
use super::event::Event;
use super::life::Life;
use super::words::{Channel, Direction, Kind, Outcome, REFUSALS, Touchpoint};
use super::world::{PRODUCTS, unit_cost};

const PER_WEEK: f64 = 0.012;
const REFUSED: f64 = 0.8;

pub fn add(life: &mut Life) {
    let draw = &mut life.draw(Part::Offers);
    let weeks = (life.left - life.person.born) / 7.0;
    for _ in 0..draw.poisson(PER_WEEK * weeks) {
        let day = life
            .world
            .clock
            .support_day(draw, life.person.born, life.left);
        let (channel, touchpoint) = draw.weighted(&[
            (0.4, (Channel::Phone, Touchpoint::Outbound)),
            (0.25, (Channel::Store, Touchpoint::Till)),
            (0.2, (Channel::Chat, Touchpoint::LiveChat)),
            (0.15, (Channel::Email, Touchpoint::Inbox)),
        ]);
        let at = life.world.clock.moment(draw, day, channel);
        let mut event = Event::new(life.person.number, at, channel, touchpoint, Kind::Offer);
        event.direction = Direction::Outbound;
        event.outcome = if draw.chance(REFUSED) {
            Outcome::Refusal
        } else {
            Outcome::Postponed
        };
        event.product = 1 + draw.below(PRODUCTS) as u16;
        event.agent = life.world.agent(draw, channel);
        event.cost = unit_cost(channel, at) / 3;
        event.sentiment = draw.normal(-5.0, 15.0).clamp(-45.0, 45.0) as i8;
        let why = draw.weighted(&[(0.42, 0), (0.26, 1), (0.18, 2), (0.1, 3), (0.04, 4)]);
        debug_assert!(why < REFUSALS.len());
        event.properties = life.world.phrases.refusal(why);
        if channel == Channel::Phone {
            event.duration_s = draw.lognormal(90.0, 0.5) as u32;
        }
        life.events.push(event);
    }
}
