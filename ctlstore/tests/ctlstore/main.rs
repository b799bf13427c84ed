//! The binary as its users meet it: started, stopped, killed, asked, and told nonsense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod bad_input;
mod commanding;
mod demo;
mod documented;
mod embedded;
mod examples;
mod executive;
mod manifests;
mod mutating;
mod poison;
mod reading;
mod repairs;
mod running;
mod waiting;
