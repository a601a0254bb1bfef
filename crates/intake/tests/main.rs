//! Loading as a whole, on a lake in a temporary folder. One binary, because each links all of DataFusion.

mod formats;
mod history;
mod identities;
mod lab;
mod once;
mod real;
mod refusals;
mod speed;
mod targets;
