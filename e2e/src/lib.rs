//! Drives the product from outside, as its users do: applies resources to a real API server and looks at what comes of them.
//!
//! The servers themselves come from `testkit`, re-exported here. Scenarios stand in `tests/`, one file for each promise.
//! [`Stack`] starts the product's processes on them. Never links those processes: it knows what users know.

pub mod cluster;
pub mod grants;
mod namespace;
mod stack;

pub use namespace::Namespace;
pub use stack::{Service, Stack};
pub use testkit::{apiserver, eventually, mariadb, random_name};
