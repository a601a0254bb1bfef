//! A synthetic company: who its customers are, what they did in three years, and what is true of it.
//!
//! ```text
//! truth.rs        the parameters that models should find again
//! world.rs        goods, agents, campaigns, towns        population.rs  who the customers are
//! life.rs         one customer from first to last day, put together from
//!                 purchases, contacts, campaigns, browsing, offers, devices, surveys
//! columns.rs      events → Arrow        surroundings.rs  the other tables        files.rs  → Parquet, on all cores
//! clock.rs, draw.rs, words.rs, phrases.rs, event.rs      what these are made of
//! book.rs         demo.json        sources.rs  how it is loaded        questions.rs  what it is asked
//! models.rs      the models that are made of it
//! ```
//!
//! The seed decides everything; nothing depends on today's date or on the number of cores.

pub mod book;
mod browsing;
mod campaigns;
mod clock;
mod columns;
mod contacts;
mod devices;
mod draw;
mod event;
pub mod files;
mod life;
pub mod models;
mod offers;
mod phrases;
mod population;
mod purchases;
pub mod questions;
pub mod sources;
mod surroundings;
mod surveys;
pub mod truth;
pub mod words;
pub mod world;

#[cfg(test)]
mod tests;
