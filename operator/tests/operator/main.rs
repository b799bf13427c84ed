//! The operator against a real kube-apiserver and a real MariaDB, as users and neighbours meet it.
//!
//! An operator looks at all objects of its cluster, so each test has an API server of its own, and a database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod applying;
mod clusters;
mod deleting;
mod embedded;
mod limits;
mod manifest;
mod outages;
mod presence;
mod pruning;
mod rates;
mod refusing;
mod rights;
mod sizes;
mod world;
