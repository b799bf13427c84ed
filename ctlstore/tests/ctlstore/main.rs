//! The binary as its users meet it: started, stopped, killed, asked, and told nonsense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod bad_input;
mod demo;
mod embedded;
mod manifests;
mod poison;
mod reading;
mod repairs;
mod running;
mod waiting;
