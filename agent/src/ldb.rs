//! The node's LDB, as its one writer has it: the only part of the agent that writes it.
//!
//! Nothing here is async; callers run it where blocking is allowed. The position is read from the file, and stored in
//! the transaction of the change that it names.
//!
//! A [`Generation`] is one file, opened for writing. The [`Writer`] has the directory: the generation that is served,
//! those that were served before and still have readers, and the next one while it is built. Another file takes the
//! served one's place in one way only: a [`Draft`] is filled, then [`Writer::publish`] checks it and switches.

mod adopt;
mod apply;
mod attached;
mod authorize;
mod bind;
mod checkpoint;
mod clean;
pub mod contents;
mod crash;
mod ctl;
mod dir;
mod draft;
mod error;
mod feed;
mod file_control;
mod files;
mod freeze;
mod generation;
mod health;
mod lock;
mod open;
mod poison;
mod rebuild;
mod retired;
mod schema;
mod space;
mod switch;
mod unit;
mod vacuum;
mod weight;
mod writer;

pub(crate) use adopt::adopt;
pub(crate) use apply::{Ahead, Outcome};
pub(crate) use ctl::Heartbeat;
pub(crate) use draft::{Draft, Drafts};
pub(crate) use error::Error;
pub(crate) use freeze::Frozen;
pub(crate) use generation::Generation;
pub(crate) use health::{Condition, Health};
pub(crate) use space::free;
pub(crate) use switch::Claim;
pub(crate) use vacuum::{Pages, vacuum};
pub(crate) use writer::Writer;

#[cfg(test)]
pub(crate) use crash::{Crash, Point};
#[cfg(test)]
pub(crate) use generation::Setting;

#[cfg(test)]
mod tests;
