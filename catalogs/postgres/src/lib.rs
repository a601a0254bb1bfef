//! The catalogue clients see: a real PostgreSQL, embedded in a child process of the same binary.
//!
//! The lake holds the truth about tables; this crate keeps a mirror of them (empty tables, views, comments,
//! keys, roles, grants) in PostgreSQL 17.5, so that what PostgreSQL knows about itself is answered by
//! PostgreSQL and never imitated.
//!
//! ```text
//! child.rs      the process that owns the data folder: one backend, any number of clients
//! launch.rs     finds or starts that process; ends a statement that will not end
//! connection.rs one connection: PostgreSQL's protocol, bytes in and messages out
//! relay.rs      a client's statement, as its own role, read-only, bounded
//! guard.rs      what every role is denied, so that a statement cannot become superuser
//! roles.rs      users and their verifiers
//! relations.rs  tables and views, as PostgreSQL describes them
//! ddl.rs        a definition, judged by PostgreSQL in an open transaction
//! mirror.rs     makes the mirror equal to the lake
//! dump.rs       all of it as SQL text, and back
//! ```

mod seam;

pub use seam::*;
