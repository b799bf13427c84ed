//! The executive over a real socket, in front of a real ctldb: SQLite and MariaDB.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod attacks;
mod audit;
mod auth;
mod bodies;
mod client;
mod concurrency;
mod ctldb_away;
mod hold;
mod kill;
mod ldb;
mod limits;
mod log;
mod openapi;
mod routes;
mod server;
mod shutdown;
mod soak;
mod tls;
mod values;
mod view;
