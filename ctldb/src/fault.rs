//! What a database did not do, in our words. Vendors' error numbers are known to the back ends only.

use std::sync::Arc;
use std::time::Duration;

/// Whatever a driver said. Shared, for what fails one commit fails all batches that were to be committed by it.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a statement failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// It took too long. The connection is given up, for nobody knows what it does.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// There is no connection, or it broke, or the server is not able to work now.
    #[error("the database is away")]
    Away(#[source] Cause),
    /// The server is there and does not let us in.
    #[error("the server does not let us in, check user, password and database in the URL of ctldb")]
    Login(#[source] Cause),
    /// It has no room left: disk, memory, transactions.
    #[error("the database has no room left")]
    Exhausted(#[source] Cause),
    /// Another connection held a lock for too long, or a deadlock was broken. The transaction is void.
    #[error("a lock is held by another connection")]
    Contention(#[source] Cause),
    /// The table is not there.
    #[error("a table is missing")]
    NoSuchTable(#[source] Cause),
    /// A row with this key is there already.
    #[error("a row with this key is there already")]
    Duplicate(#[source] Cause),
    /// The table cannot be changed in the way that was asked for (INSTANT, INPLACE).
    #[error("the table cannot be changed without copying it")]
    Algorithm(#[source] Cause),
    /// The user may not do this.
    #[error("the database user lacks a privilege")]
    Denied(#[source] Cause),
    /// Anything else that the database refused.
    #[error("the database refused")]
    Refused(#[source] Cause),
}

/// A driver's error, or words of our own.
pub(crate) fn cause(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Cause {
    Arc::from(error.into())
}

impl Fault {
    /// Is the connection of no more use?
    pub(crate) fn breaks_connection(&self) -> bool {
        matches!(self, Fault::Timeout(_) | Fault::Away(_))
    }

    /// The driver's own words, for messages that must name what the database did not like.
    pub(crate) fn words(&self) -> String {
        match self {
            Fault::Timeout(_) => self.to_string(),
            Fault::Away(cause)
            | Fault::Login(cause)
            | Fault::Exhausted(cause)
            | Fault::Contention(cause)
            | Fault::NoSuchTable(cause)
            | Fault::Duplicate(cause)
            | Fault::Algorithm(cause)
            | Fault::Denied(cause)
            | Fault::Refused(cause) => cause.to_string(),
        }
    }
}
