//! Queues within the process. Whoever waits for a lock of the database does so without a connection, as far as it is
//! one of us who is before it: else those who wait would hold all connections, and nobody could even read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::fault::cause;
use crate::session::Session;
use crate::watching::Waiting;
use crate::{CtlDb, Error, Fault, Options};

/// Connections that writers leave to others: to readers and to a change of a table.
const FOR_OTHERS: u32 = 3;
const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Queues {
    writers: Arc<Semaphore>,
    schema: Arc<Mutex<()>>,
    pub(crate) waiting: Waiting,
}

/// The right to wait for a lock with a connection.
pub(crate) enum Turn {
    Writer { _permit: OwnedSemaphorePermit },
    Schema { _guard: OwnedMutexGuard<()> },
}

impl Queues {
    pub(crate) fn new(options: &Options) -> Self {
        let writers = options.max_connections.saturating_sub(FOR_OTHERS).max(1);
        let writers = usize::try_from(writers).unwrap_or(1);
        let (writers, waiting) = (Arc::new(Semaphore::new(writers)), Waiting::default());
        Self { writers, schema: Arc::default(), waiting }
    }
}

impl CtlDb {
    /// A connection that was just seen to work.
    pub(crate) async fn session(&self) -> Result<Session, Error> {
        // Those that broke while they lay in the pool, say in a restart of the server, are thrown away.
        let mut stale = self.options().max_connections;
        loop {
            let mut session = self.untested().await?;
            match session.ping().await {
                Ok(()) => return Ok(session),
                Err(Fault::Away(_)) if stale > 0 => stale -= 1,
                Err(fault) => return Err(Error::statement("connect to ctldb", fault)),
            }
        }
    }

    /// A connection for somebody who will take the ledger lock.
    pub(crate) async fn write_session(&self) -> Result<Session, Error> {
        let deadline = Instant::now() + self.options().patience;
        let turn = self.writers_turn(deadline).await?;
        Ok(self.session().await?.with_turn(turn).with_deadline(deadline))
    }

    /// The right to hold a connection while waiting for the ledger lock.
    pub(crate) async fn writers_turn(&self, deadline: Instant) -> Result<Turn, Error> {
        let _waits = self.queues().waiting.enter();
        let queue = Arc::clone(&self.queues().writers).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), queue).await {
            Ok(Ok(permit)) => Ok(Turn::Writer { _permit: permit }),
            Ok(Err(_)) | Err(_) => {
                let busy = "the writers before this one in this process did not get on";
                let source = Fault::Contention(cause(busy));
                Err(Error::Contended { action: "queue for the ledger lock", source })
            }
        }
    }

    /// The right to hold a connection while waiting for the schema lock.
    pub(crate) async fn schema_turn(&self, action: &'static str) -> Result<Turn, Error> {
        let queue = Arc::clone(&self.queues().schema).lock_owned();
        match tokio::time::timeout(SCHEMA_PATIENCE, queue).await {
            Ok(guard) => Ok(Turn::Schema { _guard: guard }),
            Err(_) => {
                let busy = "this process is changing another table";
                Err(Error::Contended { action, source: Fault::Contention(cause(busy)) })
            }
        }
    }
}
