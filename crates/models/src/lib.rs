//! Models: made with one statement, fitted to the history as of a moment, judged against a baseline, published whole.
//!
//! ```text
//! statement.rs   CREATE MODEL, REFRESH MODEL … and the functions that say the same, read
//! options.rs     what OPTIONS may say of each type; definition.rs  a model as it was made
//! registry.rs    the tables of the schema models; scores.rs  those of the schema scores
//! refresh.rs     one refresh from lease to publication
//!  ├ clv.rs, churn.rs, segmentation.rs, uplift.rs, recommendation.rs   features, fit, holdout, scores of one type
//!  └ judge.rs      better than the baseline and the version in use, or not published; drift.rs  what has changed
//! answer.rs      what a statement answers; progress.rs  what it says meanwhile
//! ```
//!
//! All that is computed of customers is SQL, run by the engine within its limits: memory grows with the number of
//! customers, not of interactions. What is fitted is fitted by `stats`.

mod answer;
mod churn;
mod clv;
mod drift;
mod error;
mod families;
mod judge;
mod models;
mod options;
mod progress;
mod propensity;
mod recommendation;
mod refresh;
mod registry;
mod scores;
mod segmentation;
mod source;
mod statement;
mod survival;
mod tabular;
mod uplift;
mod work;

pub use answer::{Answer, Shape};
pub use error::{Error, Result};
pub use models::{Limits, Models, Scheduled};
pub use progress::Progress;
pub use statement::{Creation, Statement, Verb};

/// The query over the warehouse's own history that a model reads which was given none.
fn history_of(definition: &registry::Definition) -> String {
    source::purchases(definition)
}
