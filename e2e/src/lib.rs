//! Drives the product from outside, as its users do: applies resources to a real API server and looks at what comes of them.
//!
//! The servers themselves come from `testkit`, re-exported here. Scenarios stand in `tests/`, one file for each promise.
//! Never links the product's processes: it knows what users know.

mod namespace;

pub use namespace::Namespace;
pub use testkit::{apiserver, eventually, mariadb, random_name};
