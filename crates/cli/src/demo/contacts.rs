//! When something goes wrong: cases, each with one contact or several, often in more than one channel.
//!
//! A case starts with a purchase or out of the blue. Whoever gets no help comes back, nearly every second time in
//! another channel. A bad contact ends without help and in anger; in the responsive cohort each makes leaving
//! likelier, in the baseline cohort none does.

use super::draw::{Draw, Part};
use super::event::{BAD_SENTIMENT, Event, NO_NUMBER};
use super::life::{ClosedCase, Life};
use super::population::Cohort;
use super::purchases::Planned;
use super::words::{Channel, Context, Direction, Kind, Outcome, REASONS, Touchpoint};
use super::world::unit_cost;

const AFTER_PURCHASE: f64 = 0.18;
const PER_WEEK: f64 = 0.016;
const COMES_BACK: f64 = 0.75;
const CHANGES_CHANNEL: f64 = 0.45;
const BOT_SUFFICES: f64 = 0.55;
const TRIED_ONLINE_FIRST: f64 = 0.2;
const MOST_CONTACTS: u32 = 6;
const HOUR: f64 = 1.0 / 24.0;

/// Adds all cases, and lets the customer leave at a bad contact where the cohort says so.
pub fn add(life: &mut Life, purchases: &[Planned]) {
    let draw = &mut life.draw(Part::Contacts);
    let mut starts = starts(life, draw, purchases);
    starts.sort_by(|a, b| a.day.total_cmp(&b.day));
    for start in starts {
        if start.day >= life.end() {
            break;
        }
        if run(life, draw, &start) == After::Gone {
            break;
        }
    }
}

struct Start {
    day: f64,
    is_about_purchase: bool,
}

#[derive(PartialEq)]
enum After {
    Stays,
    Gone,
}

fn starts(life: &Life, draw: &mut Draw, purchases: &[Planned]) -> Vec<Start> {
    let mut starts = Vec::new();
    for purchase in purchases {
        if draw.chance((AFTER_PURCHASE * life.person.trouble).min(0.4)) {
            let day = purchase.at + draw.between(0.2, 1.0) + draw.exponential(4.0);
            starts.push(Start {
                day,
                is_about_purchase: true,
            });
        }
    }
    let weeks = (life.left - life.person.born) / 7.0;
    for _ in 0..draw.poisson(PER_WEEK * life.person.trouble * weeks) {
        let day = life
            .world
            .clock
            .support_day(draw, life.person.born, life.left);
        starts.push(Start {
            day,
            is_about_purchase: false,
        });
    }
    starts
}

fn run(life: &mut Life, draw: &mut Draw, start: &Start) -> After {
    let world = life.world;
    let case = life.next_case();
    let reason = if start.is_about_purchase {
        draw.below(5)
    } else {
        4 + draw.below(REASONS.len() - 4)
    };
    let properties = world.phrases.reason(reason, life.person.language);
    let mut channel = if draw.chance(0.6) {
        life.person.habit
    } else {
        any_channel(draw)
    };
    let mut at = world.clock.moment(draw, start.day, channel);
    if draw.chance(TRIED_ONLINE_FIRST) {
        tried_online(life, draw, at);
    }
    let mut direction = Direction::Inbound;
    let mut contacts = 0;
    loop {
        if at >= life.end() {
            return After::Stays;
        }
        let mut event = Event::new(
            life.person.number,
            at,
            channel,
            touchpoint(channel, direction),
            Kind::Contact,
        );
        event.case = case;
        event.direction = direction;
        event.properties = properties;
        contacts += 1;
        if channel == Channel::Bot {
            ask_bot(life, draw, &mut event);
        } else {
            speak(life, draw, &mut event, contacts);
        }
        life.events.push(event);

        if event.is_bad_contact() {
            life.bad_contacts.push(at);
            if life.person.cohort == Cohort::Responsive {
                let leaving = world.truth.bad_contacts.leaving;
                let nth = life.bad_contacts.len().min(leaving.len()) - 1;
                if draw.chance(leaving[nth]) && at < life.left {
                    life.left = at;
                    return After::Gone;
                }
            }
        }
        let close = |went_well| ClosedCase {
            at,
            case,
            agent: event.agent,
            contacts,
            went_well,
        };
        match event.outcome {
            Outcome::Resolved => {
                life.closed_cases.push(close(true));
                return After::Stays;
            }
            Outcome::Escalated if channel == Channel::Bot => {
                channel = if draw.chance(0.6) {
                    Channel::Chat
                } else {
                    Channel::Phone
                };
                at += draw.between(3.0, 20.0) / 60.0 * HOUR;
            }
            // Whoever took it higher is called back.
            Outcome::Escalated => {
                channel = Channel::Phone;
                direction = Direction::Outbound;
                at = later(life, draw, at, 0.8, channel);
            }
            _ if contacts < MOST_CONTACTS && draw.chance(COMES_BACK) => {
                if draw.chance(CHANGES_CHANNEL) {
                    channel = other_channel(draw, channel);
                }
                direction = Direction::Inbound;
                at = later(life, draw, at, 1.6, channel);
            }
            _ => {
                life.closed_cases.push(close(false));
                return After::Stays;
            }
        }
    }
}

fn ask_bot(life: &Life, draw: &mut Draw, event: &mut Event) {
    let suffices = draw.chance(BOT_SUFFICES);
    event.outcome = if suffices {
        Outcome::Resolved
    } else {
        Outcome::Escalated
    };
    event.wait_s = 1 + draw.below(3) as u32;
    event.duration_s = draw.lognormal(110.0, 0.6) as u32;
    event.sentiment = feeling(draw, if suffices { 15.0 } else { -15.0 });
    event.cost = unit_cost(Channel::Bot, event.at);
    if draw.chance(0.3) {
        event.body = life
            .world
            .phrases
            .saying(life.person.language, 1, draw.below(5));
    }
}

fn speak(life: &Life, draw: &mut Draw, event: &mut Event, nth: u32) {
    let world = life.world;
    event.agent = world.agent(draw, event.channel);
    let skill = world.skill(event.agent);
    let load = world.clock.load(event.at);
    let is_bad = event.direction == Direction::Inbound
        && draw
            .chance((0.03 + 0.13 * load + 0.2 * (1.0 - skill)) * (1.0 + 0.2 * f64::from(nth - 1)));
    let (outcome, mean) = if is_bad {
        (Outcome::Unresolved, 0.0)
    } else {
        draw.weighted(&[
            (0.62 + 0.25 * skill, (Outcome::Resolved, 35.0)),
            (0.14, (Outcome::Unresolved, -15.0)),
            (0.07, (Outcome::Escalated, -20.0)),
        ])
    };
    event.outcome = outcome;
    event.sentiment = if is_bad {
        BAD_SENTIMENT - draw.below(46) as i8
    } else {
        feeling(draw, mean)
    };
    wait_and_talk(draw, event, is_bad, load);
    let talk = if event.duration_s == NO_NUMBER {
        1.0
    } else {
        f64::from(event.duration_s) / 350.0
    };
    event.cost = (f64::from(unit_cost(event.channel, event.at)) * talk.max(0.3)) as u32;
    let written = match event.channel {
        Channel::Chat | Channel::Email | Channel::Social => 0.5,
        _ => 0.08,
    };
    if draw.chance(written) {
        let mood = match event.sentiment {
            ..-25 => 0,
            -25..=25 => 1,
            _ => 2,
        };
        event.body = world
            .phrases
            .saying(life.person.language, mood, draw.below(5));
    }
}

/// Long waits belong to bad contacts alone: ten minutes on the line, two days for a letter.
fn wait_and_talk(draw: &mut Draw, event: &mut Event, is_bad: bool, load: f64) {
    const HOUR_S: f64 = 3_600.0;
    let (usual, longest) = match event.channel {
        Channel::Email => (5.0 * HOUR_S, 48.0 * HOUR_S),
        Channel::Social => (3.0 * HOUR_S, 24.0 * HOUR_S),
        Channel::Chat => (40.0, 600.0),
        Channel::Store => (110.0, 600.0),
        _ => (70.0, 600.0),
    };
    event.wait_s = if event.direction == Direction::Outbound {
        0
    } else if is_bad {
        (longest * (1.0 + draw.exponential(0.7))) as u32
    } else {
        (draw.lognormal(usual * (0.5 + load), 0.8)).min(longest - 1.0) as u32
    };
    let talk = match event.channel {
        Channel::Phone => 300.0,
        Channel::Chat => 460.0,
        Channel::Store => 280.0,
        _ => return,
    };
    event.duration_s = (draw.lognormal(talk, 0.5) * if is_bad { 1.6 } else { 1.0 }) as u32;
}

/// How it felt, never as bad as a bad contact.
fn feeling(draw: &mut Draw, mean: f64) -> i8 {
    draw.normal(mean, 20.0)
        .clamp(f64::from(BAD_SENTIMENT) + 1.0, 98.0) as i8
}

/// Looked for help on the web some hours before, and met an error.
fn tried_online(life: &mut Life, draw: &mut Draw, at: f64) {
    let session = life.next_session();
    let before = at - draw.between(0.3, 20.0) * HOUR;
    let properties = life.world.phrases.session(life.person.device, 0);
    let steps = [
        (Touchpoint::Help, Kind::PageView, 0.0),
        (Touchpoint::ErrorPage, Kind::Error, 3.0),
    ];
    for (touchpoint, kind, minutes) in steps {
        let at = before + minutes / 60.0 * HOUR;
        let mut event = Event::new(life.person.number, at, Channel::Web, touchpoint, kind);
        event.context = Context::Situational;
        event.session = session;
        event.properties = properties;
        event.is_known = !draw.chance(0.2);
        life.events.push(event);
    }
}

fn later(life: &Life, draw: &mut Draw, at: f64, mean_days: f64, channel: Channel) -> f64 {
    let next = at + 0.1 + draw.exponential(mean_days);
    let moment = life.world.clock.moment(draw, next, channel);
    if moment > at { moment } else { next }
}

fn any_channel(draw: &mut Draw) -> Channel {
    draw.weighted(&[
        (0.34, Channel::Phone),
        (0.23, Channel::Chat),
        (0.3, Channel::Bot),
        (0.13, Channel::Email),
        (0.05, Channel::Social),
        (0.05, Channel::Store),
    ])
}

fn other_channel(draw: &mut Draw, than: Channel) -> Channel {
    loop {
        let channel = any_channel(draw);
        if channel != than && channel != Channel::Bot {
            return channel;
        }
    }
}

fn touchpoint(channel: Channel, direction: Direction) -> Touchpoint {
    match channel {
        Channel::Phone if direction == Direction::Outbound => Touchpoint::Outbound,
        Channel::Phone => Touchpoint::CallCentre,
        Channel::Chat => Touchpoint::LiveChat,
        Channel::Email => Touchpoint::Inbox,
        Channel::Store => Touchpoint::ServiceDesk,
        Channel::Social => Touchpoint::DirectMessage,
        _ => Touchpoint::Assistant,
    }
}
