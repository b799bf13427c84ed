//! How a node begins and begins anew, with a real agent, ledgers in SQLite files and a MariaDB, snapshots in a real S3
//! server and in folders, and faults on the way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "../agent/agent.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod agent;
mod begin;
#[path = "../agent/content.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod content;
mod control;
mod faults;
mod following;
mod fresh;
mod gaps;
mod kill;
#[path = "../agent/ledger.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod ledger;
mod nodes;
mod original;
mod rows;
#[path = "../agent/writer.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod writer;
