//! The PostgreSQL endpoint: login, statements, rows, SQLSTATE.
//!
//! An own connection loop on pgwire's message codec and SCRAM. Each connection is one task with its own
//! [`rapport_engine::Session`]; queries run on a runtime of their own, so that login, cancel and shutdown answer
//! while every core computes.

mod server;

pub use server::{Error, ServerConfig, scram_verifier, serve};
