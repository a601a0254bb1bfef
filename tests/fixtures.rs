//! What the tests stand on: the binary, a warehouse with its server, a private PostgreSQL, object stores, files.

pub mod failure;
pub mod files;
pub mod place;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod reader;
pub mod seats;
pub mod shared;
pub mod stores;
pub mod tls;
pub mod trial;
pub mod warehouse;
pub mod worker;
