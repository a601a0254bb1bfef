//! The catalogue clients see: a real PostgreSQL, embedded in a child process of the same binary.
//!
//! The lake holds the truth about tables; this crate keeps a mirror of them (empty tables, views, comments, keys,
//! roles, privileges) in PostgreSQL 17.5, so that what PostgreSQL knows about itself is answered by PostgreSQL and
//! never imitated.
//!
//! ```text
//! child.rs       the process that owns the data folder: one backend, any number of clients
//! launch.rs      finds that process, or starts it
//! server.rs      reaches it, or a PostgreSQL server of the user's own; tls.rs encrypts the way to that
//! connection.rs  one connection: messages out, messages in
//! catalogue.rs   the handle, its connections, and what happens when one is lost
//! guard.rs       what every role is denied, so that a statement can't become superuser
//! session.rs     role and settings around a statement
//! relay.rs       a client's query; aside.rs one that is long
//! system.rs      the names that are PostgreSQL's own
//! rewrite.rs     the few queries psql 15 sends that 17 no longer understands
//! ddl.rs         a client's definition, judged in an open transaction
//! roles.rs       users and their verifiers
//! functions.rs   the engine's functions, declared
//! relations.rs   tables and views as PostgreSQL describes them; define.rs the way back
//! mirror.rs      makes the mirror equal to the lake
//! dump.rs        all of it as SQL text, and back
//! ```

mod aside;
mod catalogue;
mod child;
mod connection;
mod ddl;
mod define;
mod dump;
mod error;
mod functions;
mod guard;
mod launch;
mod mirror;
mod quote;
mod relations;
mod relay;
mod rewrite;
mod roles;
mod server;
mod session;
mod system;
mod temporary;
mod tls;

pub use catalogue::{Catalogue, Config, Place, Settings};
pub use child::child_main;
pub use ddl::{Change, Ddl, is_definition};
pub use error::{Error, ErrorFields, Result};
pub use functions::{Argument, Function, FunctionKind};
pub use mirror::Mirrored;
pub use relations::{Column, ForeignKey, Relation, RelationKind};
pub use relay::{Field, Reply, Request};
pub use roles::Role;
pub use system::SystemNames;
