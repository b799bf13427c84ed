//! A connection in use: every await has a timeout, a transaction ends as its result says, and whatever is left in doubt
//! is closed and not given back.

use std::time::{Duration, Instant};

use ledger::LdbTable;

use crate::connection::{Connection, SqlRow, SqlValue};
use crate::dialect::{Dialect, quoted};
use crate::{Error, Fault, Fence, Meta, Options};

pub(crate) struct Session {
    // Only gone while being dropped.
    connection: Option<Box<dyn Connection>>,
    options: Options,
    in_transaction: bool,
    /// A statement did not end, or the connection broke.
    in_doubt: bool,
}

const LOCK: &str = "take the ledger lock";

impl Session {
    pub(crate) fn new(connection: Box<dyn Connection>, options: Options) -> Self {
        Self { connection: Some(connection), options, in_transaction: false, in_doubt: false }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.connection.as_ref().expect(GONE).dialect()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// A crash point of the tests.
    pub(crate) fn pass(&self, point: &'static str) -> Result<(), Error> {
        self.options.crash.pass(point)
    }

    /// Runs a statement on our own tables.
    pub(crate) async fn execute(
        &mut self,
        action: &'static str,
        sql: &str,
        params: &[SqlValue],
    ) -> Result<u64, Error> {
        self.run(sql, params).await.map_err(|fault| Error::bookkeeping(action, fault))
    }

    /// Reads from our own tables.
    pub(crate) async fn query(
        &mut self,
        action: &'static str,
        sql: &str,
        params: &[SqlValue],
    ) -> Result<Vec<SqlRow>, Error> {
        self.look(sql, params).await.map_err(|fault| Error::bookkeeping(action, fault))
    }

    /// Runs any statement.
    pub(crate) async fn run(&mut self, sql: &str, params: &[SqlValue]) -> Result<u64, Fault> {
        self.run_for(self.options.statement_timeout, sql, params).await
    }

    pub(crate) async fn run_for(
        &mut self,
        limit: Duration,
        sql: &str,
        params: &[SqlValue],
    ) -> Result<u64, Fault> {
        let connection = self.begin_call();
        let answer = within(limit, connection.execute(sql, params)).await;
        self.end_call(answer)
    }

    /// Reads anything.
    pub(crate) async fn look(
        &mut self,
        sql: &str,
        params: &[SqlValue],
    ) -> Result<Vec<SqlRow>, Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call();
        let answer = within(limit, connection.query(sql, params)).await;
        self.end_call(answer)
    }

    pub(crate) async fn lock_schema(&mut self) -> Result<bool, Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call();
        let answer = within(limit, connection.lock_schema()).await;
        self.end_call(answer)
    }

    /// Begins a transaction, takes the ledger lock as its first statement, and only then reads where the ledger stands
    /// and checks the fence. When it fails, no transaction is open.
    pub(crate) async fn begin_locked(&mut self, fence: Fence) -> Result<Meta, Error> {
        self.begin_locked_beside(fence, &[]).await
    }

    /// The same, for rows of tables that are being altered. An ALTER that waits for a reader makes everybody wait who
    /// comes after it; whoever would then hold the ledger lock already would stop all writers. So the right to write these
    /// tables is taken first. It reads nothing.
    pub(crate) async fn begin_locked_beside(
        &mut self,
        fence: Fence,
        altered: &[&LdbTable],
    ) -> Result<Meta, Error> {
        let start = Instant::now();
        loop {
            match self.try_lock(altered).await {
                Ok(()) => break,
                Err(error) => {
                    self.rollback().await;
                    let patient = start.elapsed() < self.options.patience;
                    if !(patient && matches!(error, Error::Contended { .. })) || self.in_doubt {
                        return Err(error);
                    }
                    pause().await;
                }
            }
        }
        let meta = self.fenced(fence).await;
        if meta.is_err() {
            self.rollback().await;
        }
        meta
    }

    async fn try_lock(&mut self, altered: &[&LdbTable]) -> Result<(), Error> {
        self.begin().await.map_err(|fault| Error::statement("begin a transaction", fault))?;
        if self.dialect() == Dialect::MySql {
            for table in altered {
                let sql = format!("SELECT 1 FROM {} WHERE 1 = 0 FOR UPDATE", quoted(table));
                let seen = self.look(&sql, &[]).await;
                seen.map_err(|fault| {
                    Error::statement("reserve a table that is being altered", fault)
                })?;
            }
        }
        let sql = "UPDATE locks SET clock = clock + 1 WHERE id = 'ledger'";
        match self.execute(LOCK, sql, &[]).await? {
            0 => Err(Error::LedgerLock),
            _ => Ok(()),
        }
    }

    /// Where the ledger stands, if the fence still holds.
    pub(crate) async fn fenced(&mut self, fence: Fence) -> Result<Meta, Error> {
        let meta = self.meta().await?;
        match fence {
            Fence::Epoch(mine) if mine != meta.epoch => {
                Err(Error::Deposed { mine, current: meta.epoch })
            }
            Fence::Reign(mine) => self.still_reigns(mine).await.map(|()| meta),
            Fence::Epoch(_) | Fence::Open => Ok(meta),
        }
    }

    /// Begins a transaction without the ledger lock; only where there is no ledger yet.
    pub(crate) async fn begin(&mut self) -> Result<(), Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call();
        let answer = within(limit, connection.begin()).await;
        self.in_transaction = answer.is_ok();
        self.end_call(answer)
    }

    /// Ends the transaction as the result says: commits what went well and rolls back the rest.
    pub(crate) async fn end<T>(
        &mut self,
        action: &'static str,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        let result = result.and_then(|value| self.pass("before the commit").map(|()| value));
        match result {
            Ok(value) => {
                self.commit().await.map_err(|fault| match fault {
                    fault if fault.breaks_connection() => Error::Unsure { action, source: fault },
                    fault => Error::statement(action, fault),
                })?;
                self.pass("after the commit").map(|()| value)
            }
            Err(Error::Crashed(point)) => {
                self.in_doubt = true;
                Err(Error::Crashed(point))
            }
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call();
        let answer = within(limit, connection.commit()).await;
        // Refused, it is still open; what holds it then is closed.
        self.in_transaction = answer.is_err();
        self.end_call(answer)
    }

    /// Gives up the transaction, if one is open. A connection that cannot even do that is closed, which does it too.
    pub(crate) async fn rollback(&mut self) {
        if !self.in_transaction || self.in_doubt {
            return;
        }
        let limit = self.options.statement_timeout;
        let connection = self.begin_call();
        let answer = within(limit, connection.rollback()).await;
        self.in_transaction = answer.is_err();
        self.in_doubt = answer.is_err();
    }

    /// Whoever stops waiting in the middle of a call leaves the connection in doubt.
    fn begin_call(&mut self) -> &mut Box<dyn Connection> {
        self.in_doubt = true;
        self.connection.as_mut().expect(GONE)
    }

    fn end_call<T>(&mut self, answer: Result<T, Fault>) -> Result<T, Fault> {
        self.in_doubt = answer.as_ref().is_err_and(Fault::breaks_connection);
        answer
    }
}

const GONE: &str = "BUG: the connection is only taken on drop";

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.in_transaction
            && !self.in_doubt
        {
            connection.release();
        }
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::time::timeout(limit, call).await.unwrap_or(Err(Fault::Timeout(limit)))
}

/// Between two tries for a lock: short, and not the same for all.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(rand::random_range(5..50))).await;
}
