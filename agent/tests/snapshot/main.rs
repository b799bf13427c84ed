//! Snapshots, on a real S3 server and on folders, with faults at each step.

mod conformance;
mod download;
mod ldbs;
mod original;
mod races;
mod stores;
mod unreliable;
mod upload;
