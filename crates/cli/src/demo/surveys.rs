//! What customers answer when asked: NPS, CSAT, CES and Likert questions.
//!
//! Answers follow what happened. Each bad contact costs more than a point of NPS, and a case that took many contacts was
//! an effort.

use super::draw::{Draw, Part};
use super::event::Event;
use super::life::Life;
use super::phrases::ITEMS;
use super::words::{Channel, Context, Kind, Survey, Touchpoint};

const NPS_EVERY: f64 = 182.0;
const NPS_ANSWERED: f64 = 0.35;
const CSAT_ANSWERED: f64 = 0.3;
const CES_ANSWERED: f64 = 0.12;
const LIKERT_ANSWERED: f64 = 0.04;

pub fn add(life: &mut Life) {
    let draw = &mut life.draw(Part::Surveys);
    after_cases(life, draw);
    after_purchases(life, draw);
    in_general(life, draw);
}

fn after_cases(life: &mut Life, draw: &mut Draw) {
    for i in 0..life.closed_cases.len() {
        let case = life.closed_cases[i];
        if draw.chance(CSAT_ANSWERED) {
            let mean = if case.went_well { 4.1 } else { 1.8 } + 0.3 * life.person.temper;
            let event = answer(life, draw, case.at, Survey::Csat, mean, 0.8, 1.0, 5.0);
            event.case = case.case;
            event.agent = case.agent;
        }
        if draw.chance(CES_ANSWERED) {
            // 7 is "made it easy".
            let mean = if case.went_well { 6.2 } else { 3.0 } - 0.9 * f64::from(case.contacts - 1);
            let event = answer(life, draw, case.at, Survey::Ces, mean, 1.0, 1.0, 7.0);
            event.case = case.case;
            event.agent = case.agent;
        }
    }
}

/// Either what was expected and what came of it, or one question about one thing.
fn after_purchases(life: &mut Life, draw: &mut Draw) {
    for i in 0..life.purchases.len() {
        let purchase = life.purchases[i];
        if !draw.chance(LIKERT_ANSWERED) {
            continue;
        }
        let expectation = draw.normal(3.8, 0.6);
        let experience = draw.normal(3.7 + 0.35 * life.person.temper, 0.9);
        let asked: &[(usize, f64)] = if draw.chance(0.4) {
            &[(0, expectation), (1, experience)]
        } else {
            &[(2 + draw.below(ITEMS.len() - 2), experience)]
        };
        for (item, mean) in asked {
            let properties = life.world.phrases.item(*item);
            let event = answer(
                life,
                draw,
                purchase.at + 2.0,
                Survey::Likert,
                *mean,
                0.1,
                1.0,
                5.0,
            );
            event.order = purchase.order;
            event.product = purchase.product;
            event.properties = properties;
        }
    }
}

fn in_general(life: &mut Life, draw: &mut Draw) {
    let mut day = life.person.born + draw.between(30.0, NPS_EVERY);
    while day < life.left {
        if draw.chance(NPS_ANSWERED) {
            let bad = life
                .bad_contacts
                .iter()
                .filter(|at| **at < day)
                .count()
                .min(3);
            let mean = 8.0 + 1.2 * life.person.temper - 1.2 * bad as f64;
            let event = answer(life, draw, day, Survey::Nps, mean, 1.2, 0.0, 10.0);
            let (score, at) = (event.score, event.at);
            if draw.chance(0.25) {
                let mood = match score {
                    ..=6 => 0,
                    7..=8 => 1,
                    _ => 2,
                };
                let body = life
                    .world
                    .phrases
                    .saying(life.person.language, mood, draw.below(5));
                let last = life.events.last_mut().expect("the answer was just written");
                debug_assert_eq!(last.at, at);
                last.body = body;
            }
        }
        day += NPS_EVERY;
    }
}

/// Writes one answer and hands it back for what else is known of it.
#[expect(
    clippy::too_many_arguments,
    reason = "a scale has a mean, a spread and two ends"
)]
fn answer<'l>(
    life: &'l mut Life,
    draw: &mut Draw,
    asked: f64,
    survey: Survey,
    mean: f64,
    spread: f64,
    lowest: f64,
    highest: f64,
) -> &'l mut Event {
    let channel = if life.person.uses_app(asked) && draw.chance(0.5) {
        Channel::App
    } else {
        draw.weighted(&[
            (0.6, Channel::Email),
            (0.25, Channel::Sms),
            (0.15, Channel::Web),
        ])
    };
    let at = asked + draw.exponential(0.15);
    let mut event = Event::new(
        life.person.number,
        at,
        channel,
        Touchpoint::Questionnaire,
        Kind::Survey,
    );
    event.context = Context::Personal;
    event.survey = survey;
    event.score = draw.normal(mean, spread).round().clamp(lowest, highest) as i8;
    life.events.push(event);
    life.events.last_mut().expect("just pushed")
}
