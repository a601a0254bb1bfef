//! The PostgreSQL endpoint: login, statements, rows, SQLSTATE.
//!
//! An own connection loop on pgwire's message codec and SCRAM. Each connection is one task with its own
//! [`rapport_engine::Session`]; queries run on a runtime of their own, so that login, cancel and shutdown answer
//! while every core computes.
//!
//! ```text
//! server.rs       accepts, counts, ends
//!  └ connection.rs  one client: the loop over its messages, and what guards a running statement
//!     ├ wire.rs        bytes ↔ messages, lengths checked before anything is decoded; tls.rs  encrypted or not;
//!     │                  charset.rs  in the encoding of the client
//!     ├ login.rs       negotiation, SCRAM; cancel.rs  which statement a cancel request means
//!     ├ simple.rs, extended.rs   the two protocols
//!     │   ├ lexer.rs      a message to statements
//!     │   ├ command.rs    statements about the session, read; session.rs  and run
//!     │   ├ prepare.rs    all others: route.rs says whose question it is
//!     │   └ execute.rs    portals (statement.rs) to rows, COPY (copy.rs) both ways
//!     │       ├ models.rs    statements about models, and how far they are
//!     │       └ pump.rs      the engine's batches to messages, with back-pressure
//!     │           └ rows.rs     Arrow to text (text.rs of udfs/postgres, style.rs) and binary
//!     ├ settings.rs, transaction.rs   what a session remembers;
//!     │                  calls.rs, own_views.rs  functions and views that are about the session
//!     ├ value.rs       parameters and fields of COPY to Arrow; parse.rs  PostgreSQL's text forms, read
//!     └ sqlstate.rs    any failure to a code
//! ```

mod calls;
mod charset;
mod command;
mod connection;
mod copy;
mod counters;
mod execute;
mod extended;
mod lexer;
mod login;
mod long_names;
mod models;
mod own_views;
mod parse;
mod prepare;
mod pump;
mod registry;
mod route;
mod rows;
mod server;
mod session;
mod settings;
mod simple;
mod sqlstate;
mod statement;
mod style;
mod tls;
mod transaction;
mod types;
mod value;
mod wire;

pub use counters::Counters;
pub use server::{Error, ServerConfig, scram_verifier, serve};
pub use tls::{Tls, TlsError};
