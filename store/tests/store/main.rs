//! Stores, on a real S3 server and on folders, with faults at each step.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod child;
mod conformance;
mod credentials;
mod network;
mod servers;
mod stores;
mod unreliable;
