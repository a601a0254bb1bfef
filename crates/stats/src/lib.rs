//! The models' mathematics on plain `f64`: likelihoods, expectations, fitting. No Arrow, no async, no SQL.
//!
//! One file per model: the model in words, its formulas, their source, then the code. What several models need comes
//! first: a number that carries its derivatives ([`dual`]), the maximiser ([`fit`]), special functions ([`special`]).

pub mod dual;
pub mod fit;
pub mod special;

// Customers who come and stop without telling.
pub mod bgbb;
pub mod bgnbd;
pub mod gamma_gamma;
pub mod history;
pub mod mbgnbd;
pub mod nbd;
pub mod pareto_nbd;

// Customers of a contract, who are seen to leave.
pub mod bdw;
pub mod cox;
pub mod sbg;
pub mod survival;

// Journeys: how far, in which order, how often, and which contact gets the credit.
pub mod attribution;
pub mod events;
pub mod markov;
pub mod next_node;
pub mod retention;
pub mod sequence;
pub mod sessions;
pub mod shapley;
pub mod window_funnel;

// Who is who.
pub mod blocking;
pub mod fellegi_sunter;
pub mod identity;
pub mod jaro_winkler;

mod error;
mod linear;

pub use error::{Error, Result};
