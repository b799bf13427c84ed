//! What changed, for those who follow: the last changes in memory, for `/v1/watch`, and, where asked for, a file of them.
//!
//! [`Change`] is one entry of the ledger as it was applied. [`Hub`] holds the newest ones. Neither reads the ledger's text:
//! they get parsed statements. Nothing here is told before SQLite has committed it, and whoever was away too long is told
//! so and reloads.

mod change;
mod hub;

pub(crate) use change::{Change, Op, Table};
pub(crate) use hub::{Follower, Hub, Since};
