//! How a [`CtlDb`](crate::CtlDb) behaves; the defaults are for production.

use std::time::Duration;

use crate::{CrashPoints, Limits, LockWaits};

/// Settings of a [`CtlDb`](crate::CtlDb).
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections held at most. Writers queue for the ledger lock anyway, so few do.
    pub max_connections: u32,
    /// Waiting for a connection.
    pub connect_timeout: Duration,
    /// Waiting for one statement, except for those that change a table.
    pub statement_timeout: Duration,
    /// Waiting for a statement that changes a table; INPLACE may copy much.
    pub ddl_timeout: Duration,
    /// Deleting all rows of a table, for which all writers wait; taking it back may take as long again.
    pub clear_timeout: Duration,
    /// Waiting for the ledger lock, over all tries. Longer than it takes the server to cut a writer that froze inside its
    /// transaction (10 s).
    pub patience: Duration,
    /// What writers and tables without limits of their own are held to. `None`: no limit holds, theirs neither, for those
    /// who write on nobody's behalf.
    pub limits: Option<Limits>,
    /// Who is told how long the ledger lock was waited for.
    pub lock_waits: LockWaits,
    /// For tests.
    pub crash: CrashPoints,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            ddl_timeout: Duration::from_secs(3600),
            clear_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(20),
            limits: None,
            lock_waits: LockWaits::default(),
            crash: CrashPoints::default(),
        }
    }
}
