//! The read API of a node: the original's routes and ours, on a port and through a socket, of a sidecar and of an agent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod access;
#[path = "../agent/agent.rs"]
#[allow(dead_code, reason = "shared with the tests of the agent, which use the rest")]
mod agent;
mod client;
mod conditions;
#[path = "../agent/ledger.rs"]
#[allow(dead_code, reason = "shared with the tests of the agent, which use the rest")]
mod ledger;
mod limits;
mod openapi;
mod original;
mod refusals;
mod reload;
mod rows;
mod sidecar;
mod socket;
mod switches;
mod watch;
mod weird;
