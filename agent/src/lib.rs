//! The agent of a node: replays the ledger into the node's LDB, and serves reads from it.
//!
//! Files in the order a byte travels: `source` (where entries come from), `replay` (what to do with them), `ldb` (the
//! file), `snapshot` (copies of it, kept where the crate `store` leads), `read_api` (reading it over HTTP). `bootstrap` decides
//! how a node begins. `run` puts them together; `args` is what the command line says.
//!
//! The agent starts and serves while ctldb is away. It never writes to ctldb, and never wipes an LDB that has data.

pub mod args;
pub mod bootstrap;
mod changes;
pub mod control;
mod ldb;
pub mod metrics;
pub mod presence;
mod read_api;
mod replay;
pub mod run;
pub mod sidecar;
pub mod snapshot;
mod source;
mod status;
mod supervisor;

pub use args::Config;
pub use run::Started;
