//! A fault run: a real agent with a real MariaDB and a real S3 server, and one fault after the other. In each, all that the
//! agent says of itself (status, command, metrics, readiness, liveness) must be one story, and the true one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod books;
mod disk;
mod faults;
mod node;
mod story;
