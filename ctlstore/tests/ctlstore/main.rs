//! The binary as its users meet it: started, stopped, killed, asked, and told nonsense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod bad_input;
mod commanding;
mod completing;
mod demo;
mod doctoring;
mod documented;
mod embedded;
mod examples;
mod executive;
mod logging;
mod manifests;
mod mutating;
mod poison;
mod pruning;
mod reading;
mod rebuilding;
mod repairs;
mod running;
mod telling;
mod waiting;
mod watching;
