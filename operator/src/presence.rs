//! What the operator makes of the nodes' agents: how far tables have come, which Leases are of nodes that are gone, and which
//! new nodes may be used.
//!
//! Two watches, of the agents' Leases and pods, feed the [`fleet`]: a few words for each node. Every few seconds a
//! [`census`] is taken of it. All that reconciles know of nodes is the last census; a round wakes the tables whose status
//! says something else, few at a time, so that the number of writes does not depend on how often nodes report.

mod census;
mod fleet;
mod listed;
mod objects;
mod round;
mod sweep;
mod taint;
mod way;

pub(crate) use census::Census;
pub(crate) use fleet::Fleet;
pub(crate) use objects::AnyNode;
pub(crate) use round::{Rounds, run};
pub(crate) use taint::Tainted;
pub(crate) use way::{known_seq, way};
