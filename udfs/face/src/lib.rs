//! What the SQL functions over `rapport-stats` have in common: a function is its name, its arguments, a page of the manual
//! and the mathematics; NULL, types, memory, merging and serialising are the same for all of them and live here.
//!
//! - [`Scalar`]: one answer for each row.
//! - [`Aggregate`]: one answer for all rows, which are kept until the last has come.
//!
//! A number of any type is taken as double precision. An argument that is NULL makes a scalar's answer NULL, and an aggregate
//! leave the row out; no rows left give NULL. What the mathematics refuses travels as its own error inside
//! `DataFusionError::External`. Arguments of the wrong types or number are [`NoSuchFunction`].

mod aggregate;
mod answer;
mod argument;
mod batch;
pub mod cancel;
pub mod check;
mod column;
mod fit;
mod of_model;
mod page;
mod rows;
mod scalar;

pub use aggregate::{Aggregate, AggregateFunction, state_fields};
pub use answer::{Answer, Value, Values};
pub use argument::{
    Argument, Kind, NoSuchFunction, constant, is_unknown, no_columns, no_such_function, taken,
    whole, within,
};
pub use fit::told;
pub use page::Page;
pub use rows::Rows;
pub use scalar::{Array, OfModel, Scalar, ScalarFunction, Work};

use datafusion_common::DataFusionError;

/// What the mathematics refuses, on its way to the engine, which knows its SQLSTATE.
pub fn refused(error: rapport_stats::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
