//! Reads the control data that `ctlstore agent` keeps on this node, with no network in the path.
//!
//! The data is one SQLite file, the *LDB*. Open the agent's directory once, keep the [`Ldb`] (it is cheap to clone and
//! may be shared between threads), and read rows through a [`Family`]:
//!
//! ```
//! # use reader::testing::TestLdb;
//! # use ledger::{ColumnType, Value};
//! # let test = TestLdb::new()?;
//! # test.table("billing", "limits", &[("tenant", ColumnType::String), ("max", ColumnType::Integer)], &["tenant"])?;
//! # test.insert("billing", "limits", &[Value::Text("acme".into()), Value::Integer(10)])?;
//! # let dir = test.dir();
//! use reader::Ldb;
//!
//! #[derive(serde::Deserialize)]
//! struct Limit {
//!     tenant: String,
//!     max: u32,
//! }
//!
//! let ldb = Ldb::open(dir)?;
//! let billing = ldb.family("billing")?;
//! let limit: Option<Limit> = billing.get("limits", &["acme".into()])?;
//! assert_eq!(limit.unwrap().max, 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading never waits for the agent, and works while the agent is down, as another user and through a read-only mount.
//! What SQLite reports while the agent is being replaced is retried inside (see [`Error::is_unavailable`]). Whoever empties
//! the directory of a node by hand must restart its readers: they stay with the files that they have open.
//!
//! # What a read sees
//! Each call reads one consistent state; two calls may read two. [`Family::view`] runs several reads on one. No promise
//! goes beyond one family. Within a thread no read sees an older state than the one before
//! (but after a crash of the machine, or when the system of record was restored). A state is at most 50 ms
//! old, and not at all when the agent said that there is a newer one; [`Family::max_staleness`] refuses an LDB that is
//! itself behind, [`Ldb::at_least`] waits for one's own write, [`Ldb::changed`] and [`Ldb::changed_async`] for the next.
//!
//! # What a read costs
//! A warm read by key costs about what SQLite's own lookup costs, and no system call: each thread keeps a connection,
//! its statements, and its read transaction for up to 50 ms. [`Family::with_row`] copies nothing. A thread's first read, and
//! its first one after a table changed, reads the schema: about a millisecond for each hundred tables.
//!
//! One thread per process (`ctlstore-reader`) ends transactions that are idle, and wakes every five seconds to close
//! connections to files that the agent has replaced. A connection takes two file descriptors and up to 3 MB of memory, and is
//! closed when its thread ends: a program with thousands of threads should read on few of them. A read within a read ([`Family::with_row`], [`Family::view`]) has a connection of its own.
//!
//! # Forks
//! A process may fork: connections are closed before it (views of [`Family::view`] are then over), and parent and child open
//! their own at their next reads. A child
//! that was forked while a thread was in SQLite for more than 100 ms, or out of the closure of [`Family::with_row`],
//! refuses to read ([`Error::ForkedInRead`]). A bare `clone` system call tells nobody: do not read after one. Do not open or
//! close the files of the LDB by other means (a second copy of SQLite, plain file calls) in a process that reads them: POSIX
//! would drop SQLite's locks.
//!
//! The feature `testing` brings the module `testing`, which makes LDBs for unit tests.

mod changed;
pub mod changes;
mod clock;
mod connect;
mod ctl;
mod de;
mod error;
mod family;
mod freshness;
mod key;
pub mod layout;
mod ldb;
pub mod meta;
mod place;
mod process;
mod query;
mod reads;
mod resume_key;
mod retry;
mod row;
mod row_ref;
mod rows;
mod schema;
mod session;
mod slot;
mod statement;
mod stats;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod value_ref;
mod view;

pub use changed::Changed;
pub use de::DecodeError;
pub use error::Error;
pub use family::Family;
pub use freshness::Goal;
pub use key::KeyValue;
pub use ldb::Ldb;
pub use ledger::{
    Column, ColumnType, FamilyName, Mark, Position, Seq, TableName, TableSchema, Value,
};
pub use query::Answer;
pub use resume_key::{ResumeKey, ResumeKeyError};
pub use row::Row;
pub use row_ref::RowRef;
pub use rows::Rows;
pub use stats::Stats;
pub use value_ref::ValueRef;
pub use view::View;
