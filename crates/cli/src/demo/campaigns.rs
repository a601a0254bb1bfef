//! Campaigns with control groups that stay untouched, so that what a campaign did can be measured.
//!
//! Members are drawn from the responsive cohort. Chance alone decides who is a control. A treated member makes
//! extra purchases: a Bernoulli trial with a known probability, on top of what they buy anyway.

use super::draw::{Draw, Part};
use super::event::Event;
use super::life::{Life, Membership};
use super::population::Cohort;
use super::purchases;
use super::words::{Channel, Context, Direction, Kind, Outcome, Touchpoint};
use super::world::{Campaign, MESSAGE_COST, unit_cost};

const TARGETED: f64 = 0.22;
const OPENED: f64 = 0.32;
const CLICKED: f64 = 0.3;
const REFUSED: f64 = 0.25;
const HOUR: f64 = 1.0 / 24.0;

pub fn add(life: &mut Life) {
    if life.person.cohort != Cohort::Responsive {
        return;
    }
    let draw = &mut life.draw(Part::Campaigns);
    let world = life.world;
    for (number, campaign) in (1..).zip(&world.campaigns) {
        let is_customer = life.person.born + 7.0 < campaign.starts;
        if !draw.chance(TARGETED) || !is_customer {
            continue;
        }
        let is_treated = !draw.chance(world.truth.campaigns.control_share);
        let uplift = uplift(life, campaign);
        life.memberships.push(Membership {
            campaign: number,
            is_treated,
            uplift,
        });
        assign(life, number, campaign, is_treated);
        if is_treated {
            treat(life, draw, number, campaign, uplift);
        }
    }
}

fn uplift(life: &Life, campaign: &Campaign) -> f64 {
    if campaign.starts >= life.left {
        return 0.0;
    }
    let rules = &life.world.truth.campaigns;
    let is_preferred = life.person.declared == Some(campaign.channel);
    campaign.uplift
        * if is_preferred {
            rules.if_preferred_channel
        } else {
            rules.otherwise
        }
}

/// Who is treated and who is a control is known before anything is sent. It is not a contact.
fn assign(life: &mut Life, number: u16, campaign: &Campaign, is_treated: bool) {
    let at = campaign.starts + 9.0 * HOUR;
    let mut event = Event::new(
        life.person.number,
        at,
        campaign.channel,
        Touchpoint::None,
        Kind::Assignment,
    );
    event.direction = Direction::Internal;
    event.outcome = if is_treated {
        Outcome::Treated
    } else {
        Outcome::Control
    };
    event.campaign = number;
    life.events.push(event);
}

fn treat(life: &mut Life, draw: &mut Draw, number: u16, campaign: &Campaign, uplift: f64) {
    let world = life.world;
    let customer = life.person.number;
    let channel = campaign.channel;
    let day = campaign.starts + draw.between(1.0, 3.0);
    let sent_at = world.clock.moment(draw, day, channel);
    let touchpoint = match channel {
        Channel::Phone => Touchpoint::Outbound,
        Channel::App => Touchpoint::Push,
        Channel::Sms => Touchpoint::Message,
        _ => Touchpoint::Newsletter,
    };
    let mut sent = Event::new(customer, sent_at, channel, touchpoint, Kind::MessageSent);
    sent.direction = Direction::Outbound;
    sent.outcome = Outcome::Delivered;
    sent.campaign = number;
    sent.product = campaign.product;
    sent.cost = MESSAGE_COST;
    if matches!(channel, Channel::Phone | Channel::Sms) {
        sent.cost = unit_cost(channel, sent_at);
    }
    let is_there = sent_at < life.left;
    let buys = draw.chance(uplift) && is_there;
    let heeds = buys || (is_there && draw.chance(OPENED));
    if channel == Channel::Phone {
        sent.agent = world.agent(draw, channel);
        sent.duration_s = if heeds {
            draw.lognormal(140.0, 0.5) as u32
        } else {
            0
        };
    }
    life.events.push(sent);
    if !heeds {
        return;
    }

    let heeded_at = sent_at + draw.exponential(6.0) * HOUR;
    if channel != Channel::Phone {
        let mut steps = vec![(heeded_at, Kind::MessageOpened)];
        if buys || draw.chance(CLICKED) {
            steps.push((heeded_at + 0.02 * HOUR, Kind::MessageClicked));
        }
        for (at, kind) in steps {
            let mut event = Event::new(customer, at, channel, touchpoint, kind);
            event.campaign = number;
            event.product = campaign.product;
            event.context = Context::Personal;
            life.events.push(event);
        }
    }
    if buys {
        let within = world.truth.campaigns.window_days;
        let day = (sent_at + draw.exponential(3.0)).min(campaign.starts + within - 1.0);
        let cents = purchases::amount(world.truth.spend.p, life.person.spend_rate, draw);
        purchases::buy(life, draw, day, cents, number);
    } else if draw.chance(REFUSED) {
        let at = if channel == Channel::Phone {
            sent_at + 0.05 * HOUR
        } else {
            heeded_at + HOUR
        };
        let mut event = Event::new(customer, at, channel, touchpoint, Kind::Offer);
        event.outcome = Outcome::Refusal;
        event.campaign = number;
        event.product = campaign.product;
        event.agent = sent.agent;
        event.properties = world
            .phrases
            .refusal(draw.below(super::words::REFUSALS.len()));
        life.events.push(event);
    }
}
