//! The main job, with everything real: a table from YAML, rows over HTTP, the rows back from a node's file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod granting;
mod journey;
mod leaks;
mod outages;
mod steps;
