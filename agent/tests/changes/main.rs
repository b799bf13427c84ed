//! Changes, followed from outside: the original's file to the letter, ours through kills, rotations and full disks, and the
//! agent's `/v1/watch`, all by the consumer that applications use.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "../agent/agent.rs"]
#[allow(dead_code, reason = "shared with the tests of the agent")]
mod agent;
mod epoch;
mod follower;
mod full;
mod kill;
#[path = "../agent/ledger.rs"]
#[allow(dead_code, reason = "shared with the tests of the agent")]
mod ledger;
mod original;
mod rotation;
