//! The agent as a whole, against real ledgers: SQLite files and a MariaDB.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod agent;
mod content;
mod ctldb_rows;
mod directory;
mod faults;
mod healing;
mod http;
mod kill;
mod ledger;
mod legacy;
mod mariadb;
mod replay;
mod stops;
mod victim;
mod wal;
mod writer;
