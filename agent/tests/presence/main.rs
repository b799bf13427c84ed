//! An agent in Kubernetes: what it tells there, with the rights that the chart gives it, and how little it needs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../agent/agent.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod agent;
mod cluster;
#[path = "../agent/ledger.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod ledger;
mod policy;
mod telling;
