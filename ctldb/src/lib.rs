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
//! * **Together.** Batches that wait in one process go together, under one ledger lock and with one commit; each is judged,
//!   numbered and recorded by itself.
//!
//! It knows no Kubernetes and no HTTP and never shows a secret. It starts no task but the one that writes what waits while
//! another batch is written.

mod acquaintances;
mod append;
mod author;
mod batch;
mod bookkeeping;
mod collation;
mod connection;
mod crash;
mod db;
mod ddl;
mod desk;
mod dialect;
mod error;
mod facts;
mod families;
mod fault;
mod fence;
mod finish;
mod heartbeat;
mod history;
mod intent;
mod known;
mod ledger_lock;
mod limits;
mod live;
mod meta;
mod migrate;
mod mirror;
mod mutate;
mod mysql;
mod mysql_fault;
mod mysql_text;
mod options;
mod owners;
mod prepared;
mod prune;
mod queue;
mod rate_limit;
mod reads;
mod records;
mod registry;
mod reign;
mod remember;
mod retention;
mod row_history;
mod schema_change;
mod schema_lock;
mod secret;
mod session;
mod sizes;
mod sqlite;
mod verify;
mod waiting;
mod watching;
mod write_all;
mod writers;

pub use author::Author;
pub use batch::{Batch, Committed, MAX_COOKIE_BYTES, MAX_STATEMENT_BYTES, TableMutation};
pub use crash::CrashPoints;
pub use db::CtlDb;
pub use error::Error;
pub use families::{Created, FamilyDeleted};
pub use fault::Fault;
pub use fence::{Epoch, Fence};
pub use intent::{Intent, IntentKind};
pub use limits::{Limits, SizeLimit, TableLimit};
pub use live::Live;
pub use meta::{Meta, Parent};
pub use migrate::{MIN_COMPATIBLE, Migrated, VERSION};
pub use options::Options;
pub use prune::{Prunable, Pruned};
pub use rate_limit::{RateLimit, WriterLimit};
pub use records::{BatchRecord, LedgerRecord, LedgerStats};
pub use registry::{Deletion, Owner, OwnerId, TableRecord};
pub use reign::{ClusterName, NotAClusterName, Reign};
pub use retention::{Bound, Known, Limit, Verdict, prunable_through};
pub use row_history::{RowOperation, RowVersion};
pub use schema_change::{Applied, SchemaChange, SchemaChangeKind};
pub use secret::{Credentials, Secret};
pub use sizes::TableSize;
pub use verify::Verified;
pub use watching::{Connections, LockWaits};
