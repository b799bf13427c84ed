//! Snapshots, on a real S3 server and on folders, with faults at each step.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(clippy::print_stderr, reason = "figures, for who asks with --nocapture")]

mod download;
mod elected;
mod faults;
mod http;
mod kill;
mod ldbs;
#[allow(dead_code, reason = "shared with the tests of the agent, which use the rest")]
#[path = "../agent/ledger.rs"]
mod ledger_file;
mod lost;
mod original;
mod races;
mod room;
#[path = "../../../store/tests/store/stores.rs"]
mod stores;
mod supervisor;
mod upload;
mod uploader;
