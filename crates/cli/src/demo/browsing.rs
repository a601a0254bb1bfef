//! Looking around: web and app sessions, visits to the shop, posts, newsletters.

use super::draw::{Draw, Part};
use super::event::Event;
use super::life::Life;
use super::words::{Channel, Context, Direction, Kind, Outcome, Touchpoint};
use super::world::{MESSAGE_COST, PRODUCTS};

const SESSIONS_A_WEEK: f64 = 0.042;
const VISITS_A_WEEK: f64 = 0.006;
const POSTS_A_WEEK: f64 = 0.006;
const ONE_MORE_PAGE: f64 = 0.66;
const NEWSLETTER_EVERY: f64 = 122.0;
const NEWSLETTER_OPENED: f64 = 0.22;
const MINUTE: f64 = 1.0 / 1_440.0;

pub fn add(life: &mut Life) {
    // The purchases' own sessions came out of this stream's beginning; go on with another customer's number that
    // nobody has.
    let draw = &mut life.world.draw(Part::Browsing, !life.person.number);
    let until = life.faded(draw);
    // People look around before they buy for the first time.
    let from = (life.person.born - 14.0).max(1.0);
    let weeks = (until - from) / 7.0;
    let activity = life.person.engagement * weeks;
    for _ in 0..draw.poisson(SESSIONS_A_WEEK * activity) {
        let day = life.world.clock.leisure_day(draw, from, until);
        session(life, draw, day);
    }
    for _ in 0..draw.poisson(VISITS_A_WEEK * activity) {
        let day = life.world.clock.leisure_day(draw, from, until);
        visit(life, draw, day);
    }
    for _ in 0..draw.poisson(POSTS_A_WEEK * activity) {
        let day = life
            .world
            .clock
            .leisure_day(draw, life.person.born.min(until), until);
        post(life, draw, day);
    }
    newsletters(life, draw, until);
}

fn session(life: &mut Life, draw: &mut Draw, day: f64) {
    let world = life.world;
    let channel = if life.person.uses_app(day) && draw.chance(0.65) {
        Channel::App
    } else {
        Channel::Web
    };
    let mut at = world.clock.moment(draw, day, channel);
    let session = life.next_session();
    let device = if channel == Channel::App {
        1 + draw.below(2)
    } else {
        life.person.device
    };
    let found_by = if draw.chance(0.6) {
        life.person.found_by
    } else {
        draw.below(5)
    };
    let properties = world.phrases.session(device, found_by);
    let logs_in_at = draw.below(8);
    let mut page = draw.weighted(&[
        (0.5, (Touchpoint::Home, Kind::PageView)),
        (0.3, (Touchpoint::Search, Kind::Search)),
        (0.2, (Touchpoint::Product, Kind::ProductView)),
    ]);
    let mut product = 0;
    for step in 0.. {
        let (touchpoint, kind) = page;
        if kind == Kind::ProductView {
            product = 1 + draw.below(PRODUCTS) as u16;
        }
        let mut event = Event::new(life.person.number, at, channel, touchpoint, kind);
        event.context = Context::Situational;
        event.session = session;
        event.properties = properties;
        event.is_known = channel == Channel::App || step >= logs_in_at || logs_in_at > 1;
        if matches!(kind, Kind::ProductView | Kind::AddToCart) {
            event.product = product;
        }
        let goes_on = draw.chance(ONE_MORE_PAGE);
        // What is bought has a session of its own.
        if kind == Kind::AddToCart {
            event.outcome = Outcome::Abandoned;
        }
        life.events.push(event);
        if !goes_on || step == 20 {
            return;
        }
        at += draw.exponential(1.5 * MINUTE) + 0.1 * MINUTE;
        page = match kind {
            Kind::ProductView => draw.weighted(&[
                (0.4, (Touchpoint::Cart, Kind::AddToCart)),
                (0.3, (Touchpoint::Product, Kind::ProductView)),
                (0.3, (Touchpoint::Catalog, Kind::PageView)),
            ]),
            _ => draw.weighted(&[
                (0.55, (Touchpoint::Product, Kind::ProductView)),
                (0.2, (Touchpoint::Catalog, Kind::PageView)),
                (0.15, (Touchpoint::Search, Kind::Search)),
                (0.1, (Touchpoint::Account, Kind::PageView)),
            ]),
        };
    }
}

/// A beacon at the door knows who came in, if the app is installed or the card is shown.
fn visit(life: &mut Life, draw: &mut Draw, day: f64) {
    let at = life.world.clock.moment(draw, day, Channel::Store);
    let mut event = Event::new(
        life.person.number,
        at,
        Channel::Store,
        Touchpoint::ShopFloor,
        Kind::Visit,
    );
    event.context = Context::Situational;
    event.duration_s = draw.lognormal(700.0, 0.6) as u32;
    event.properties = life.world.phrases.store(life.person.store);
    event.lag_s = 5 + draw.below(60) as u32;
    (event.latitude, event.longitude) = life.person.place(draw);
    life.events.push(event);
}

/// What is said in public follows what happened before: anger after a bad contact, otherwise temper.
fn post(life: &mut Life, draw: &mut Draw, day: f64) {
    let at = life.world.clock.moment(draw, day, Channel::Social);
    let is_sore = life
        .bad_contacts
        .iter()
        .any(|bad| (0.0..60.0).contains(&(at - bad)));
    let mood = draw.normal(
        18.0 + 12.0 * life.person.temper - if is_sore { 55.0 } else { 0.0 },
        25.0,
    );
    let is_referral = mood > 45.0 && draw.chance(0.4);
    let (touchpoint, kind) = match is_referral {
        true => (Touchpoint::Post, Kind::Referral),
        false if draw.chance(0.5) => (Touchpoint::Review, Kind::Post),
        false => (Touchpoint::Post, Kind::Post),
    };
    let mut event = Event::new(life.person.number, at, Channel::Social, touchpoint, kind);
    event.context = Context::Personal;
    event.sentiment = mood.clamp(-98.0, 98.0) as i8;
    let tone = match event.sentiment {
        ..-20 => 0,
        -20..=20 => 1,
        _ => 2,
    };
    event.body = life
        .world
        .phrases
        .saying(life.person.language, tone, draw.below(5));
    event.lag_s = 60 + draw.below(7_200) as u32;
    life.events.push(event);
}

/// Three a year to those who agreed, and to a few who did not: a report has to find them.
fn newsletters(life: &mut Life, draw: &mut Draw, until: f64) {
    let is_sent = match life.person.email_consent {
        Some(agreed) => agreed || draw.chance(0.02),
        None => false,
    };
    if !is_sent {
        return;
    }
    let mut day = draw.between(2.0, NEWSLETTER_EVERY);
    while day < life.end() {
        if day > life.person.born {
            let at = life.world.clock.moment(draw, day, Channel::Email);
            let mut sent = Event::new(
                life.person.number,
                at,
                Channel::Email,
                Touchpoint::Newsletter,
                Kind::MessageSent,
            );
            sent.direction = Direction::Outbound;
            sent.outcome = Outcome::Delivered;
            sent.cost = MESSAGE_COST;
            life.events.push(sent);
            if at < until && draw.chance(NEWSLETTER_OPENED) {
                let mut opened = sent;
                opened.kind = Kind::MessageOpened;
                opened.direction = Direction::Inbound;
                opened.outcome = Outcome::None;
                opened.context = Context::Personal;
                opened.cost = super::event::NO_NUMBER;
                opened.at = at + draw.exponential(0.4);
                life.events.push(opened);
            }
        }
        day += NEWSLETTER_EVERY;
    }
}
