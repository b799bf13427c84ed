//! `ctlstore sidecar`: the read API in a process of its own, beside an agent whose directory it may read, or over an LDB of
//! the original. What changes it learns through the agent's socket.

mod run;

pub use run::{Started, run};
