//! One customer's whole history, in the order in which it happened.

use super::draw::{Draw, Part};
use super::event::Event;
use super::population::Person;
use super::world::World;
use super::{browsing, campaigns, contacts, devices, offers, purchases, surveys};

/// A customer's life while it is being put together. Later parts look at what earlier ones left here.
pub struct Life<'a> {
    pub world: &'a World,
    pub person: Person,
    pub events: Vec<Event>,
    pub purchases: Vec<Purchase>,
    pub closed_cases: Vec<ClosedCase>,
    pub bad_contacts: Vec<f64>,
    /// When the customer left, or the end of the history.
    pub left: f64,
    pub memberships: Vec<Membership>,
    sessions: u16,
    cases: u16,
    orders: u16,
}

#[derive(Clone, Copy, Debug)]
pub struct Purchase {
    pub at: f64,
    pub order: u16,
    pub product: u16,
}

#[derive(Clone, Copy, Debug)]
pub struct ClosedCase {
    pub at: f64,
    pub case: u16,
    pub agent: u16,
    pub contacts: u32,
    pub went_well: bool,
}

/// A customer's part in a campaign, for the book of what is true.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub campaign: u16,
    pub is_treated: bool,
    /// Extra purchases that the campaign makes this member expect to make, if treated.
    pub uplift: f64,
}

impl<'a> Life<'a> {
    pub fn new(world: &'a World, number: u32) -> Self {
        Self::of(world, Person::new(world, number))
    }

    pub fn of(world: &'a World, person: Person) -> Self {
        let mut life = Self {
            left: world.clock.end(),
            world,
            person,
            events: Vec::with_capacity(48),
            purchases: Vec::new(),
            closed_cases: Vec::new(),
            bad_contacts: Vec::new(),
            memberships: Vec::new(),
            sessions: 0,
            cases: 0,
            orders: 0,
        };
        let planned = purchases::plan(&mut life);
        contacts::add(&mut life, &planned);
        purchases::add(&mut life, &planned);
        campaigns::add(&mut life);
        browsing::add(&mut life);
        offers::add(&mut life);
        devices::add(&mut life);
        surveys::add(&mut life);
        let end = world.clock.end();
        life.events.retain(|event| (0.0..end).contains(&event.at));
        life.events.sort_by(|a, b| a.at.total_cmp(&b.at));
        life
    }

    pub fn draw(&self, part: Part) -> Draw {
        self.world.draw(part, self.person.number)
    }

    pub fn end(&self) -> f64 {
        self.world.clock.end()
    }

    /// Interest does not stop on the day of leaving: it fades over a week or two.
    pub fn faded(&self, draw: &mut Draw) -> f64 {
        (self.left + draw.exponential(12.0)).min(self.end())
    }

    pub fn next_session(&mut self) -> u16 {
        self.sessions += 1;
        self.sessions
    }

    pub fn next_case(&mut self) -> u16 {
        self.cases += 1;
        self.cases
    }

    pub fn next_order(&mut self) -> u16 {
        self.orders += 1;
        self.orders
    }
}
