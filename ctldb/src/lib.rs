//! The system of record: families, tables, rows, writers and the ledger, in MySQL, MariaDB or an embedded SQLite file.
//!
//! Every change goes through [`CtlDb`]. The logic stands here once, over a small connection trait with two back ends:
//!
//! * **Order.** A write transaction takes the ledger lock first and reads everything it decides by after it: the last
//!   sequence, the registry, intents, the epoch, cookies. Sequences come from a stored counter, so they are dense and
//!   their order is commit order.
//! * **Proof.** Each append writes one row of `ctlstore_batches` with the chain at its end and who did it.
//! * **Schema changes** are recoverable: an intent row, then the DDL, then ledger, registry and the end of the intent in
//!   one transaction. Whoever gets the schema lock finishes the intents of others first, as they were written.
//! * **Values.** The mirror row in ctldb is written with bound, typed parameters. The ledger's text is never run here.
//!
//! It knows no Kubernetes and no HTTP, starts no task, and never shows a secret.

#![allow(dead_code, reason = "the implementation comes with the next commit")]

mod author;
mod batch;
mod crash;
mod error;
mod fault;
mod fence;
mod intent;
mod live;
mod options;
mod secret;
mod stub;

pub use author::Author;
pub use batch::{Batch, Committed, MAX_COOKIE_BYTES, MAX_STATEMENT_BYTES, TableMutation};
pub use crash::CrashPoints;
pub use error::Error;
pub use fault::Fault;
pub use fence::{Epoch, Fence};
pub use intent::{Intent, IntentKind};
pub use live::Live;
pub use options::Options;
pub use secret::{Credentials, Secret};
pub use stub::*;
