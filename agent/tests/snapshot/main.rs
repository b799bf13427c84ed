//! Snapshots, on a real S3 server and on folders, with faults at each step.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod conformance;
mod download;
mod ldbs;
mod original;
mod races;
mod stores;
mod unreliable;
mod upload;
