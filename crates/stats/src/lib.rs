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
pub mod weibull_aft;

// Customers alike.
pub mod cluster_quality;
pub mod gaussian_mixture;
pub mod kmeans;
pub mod points;
pub mod rfm;

// What to recommend.
pub mod als;
pub mod interactions;
pub mod item_similarity;
pub mod ranking;
pub mod recommendation;

// What customers say.
pub mod voice;

// Who will, how far that can be trusted, and whom it pays to address.
pub mod boosting;
pub mod calibration;
pub mod encoding;
pub mod leakage;
pub mod learner;
pub mod logistic;
pub mod metrics;
pub mod regression;
pub mod trial;
pub mod uplift;

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

mod alike;
mod error;
mod linear;
mod newton;
mod random;
mod scaling;

pub use error::{Error, Result};
