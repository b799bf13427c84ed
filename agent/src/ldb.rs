//! The node's LDB, as its one writer has it: the only part of the agent that writes it.
//!
//! Nothing here is async; callers run it where blocking is allowed. The position is read from the file, and stored in
//! the transaction of the change that it names.

mod apply;
mod authorize;
mod bind;
mod checkpoint;
mod crash;
mod ctl;
mod error;
mod file_control;
mod lock;
mod open;
mod schema;
mod unit;

pub(crate) use apply::Outcome;
pub(crate) use ctl::Heartbeat;
pub(crate) use error::Error;
pub(crate) use open::Writer;

#[cfg(test)]
mod tests;
