//! A connection in use: every await has a timeout, a transaction ends as its result says, and whatever is left in doubt
//! is closed and not given back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::{Backend, Connection, Outcome, SqlRow, SqlValue, Step};
use crate::dialect::Dialect;
use crate::fault::cause;
use crate::known::Known;
use crate::queue::Turn;
use crate::{Error, Fault, Options};

pub(crate) struct Session {
    // Only gone while being dropped.
    connection: Option<Box<dyn Connection>>,
    /// The database that it leads to.
    origin: Arc<dyn Backend>,
    options: Options,
    in_transaction: bool,
    /// A statement did not end, or the connection broke. It remains so.
    in_doubt: bool,
    /// When waiting for the ledger lock ends, if that was said.
    deadline: Option<Instant>,
    /// From the last transaction that had the ledger lock.
    known: Option<Box<Known>>,
    // Held for its end, which comes after the connection's.
    turn: Option<Turn>,
}

impl Session {
    pub(crate) fn new(
        connection: Box<dyn Connection>,
        origin: Arc<dyn Backend>,
        options: Options,
    ) -> Self {
        let (in_transaction, in_doubt) = (false, false);
        let connection = Some(connection);
        let (deadline, known, turn) = (None, None, None);
        Self { connection, origin, options, in_transaction, in_doubt, deadline, known, turn }
    }

    /// The same, for somebody who queued.
    pub(crate) fn with_turn(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// The same without its place in a queue, to be used again; none when it is of no more use.
    pub(crate) fn at_rest(mut self) -> Option<Self> {
        (self.turn, self.deadline) = (None, None);
        (!self.in_transaction && !self.in_doubt).then_some(self)
    }

    /// Keeps what is known after a commit.
    pub(crate) fn remember(&mut self, known: Known) {
        self.known = Some(Box::new(known));
    }

    pub(crate) fn forget(&mut self) -> Option<Box<Known>> {
        self.known.take()
    }

    pub(crate) fn leads_to(&self, backend: &Arc<dyn Backend>) -> bool {
        Arc::ptr_eq(&self.origin, backend)
    }

    pub(crate) fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// When waiting for the ledger lock ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + self.options.patience)
    }

    /// Is the connection of no more use?
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    pub(crate) async fn ping(&mut self) -> Result<(), Fault> {
        let limit = self.options.connect_timeout;
        let connection = self.begin_call()?;
        let answer = within(limit, connection.ping()).await;
        self.end_call(answer)
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
        let connection = self.begin_call()?;
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
        let connection = self.begin_call()?;
        let answer = within(limit, connection.query(sql, params)).await;
        self.end_call(answer)
    }

    pub(crate) async fn lock_schema(&mut self) -> Result<bool, Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call()?;
        let answer = within(limit, connection.lock_schema()).await;
        self.end_call(answer)
    }

    /// Runs statements on our own tables, in one round trip.
    pub(crate) async fn script(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call()?;
        let answer = within(limit, connection.script(steps)).await;
        self.end_call(answer)
    }

    /// Begins a transaction with its first statements, of which the first takes the ledger lock, except where there is no
    /// ledger yet. After a failure, roll back.
    pub(crate) async fn begin_with(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call()?;
        let answer = within(limit, connection.begin_with(steps)).await;
        self.in_transaction = true;
        self.end_call(answer)
    }

    /// Ends the transaction as the result says: commits what went well and rolls back the rest.
    pub(crate) async fn end<T>(
        &mut self,
        action: &'static str,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        self.end_with(action, result.map(|value| (value, Vec::new()))).await
    }

    /// The same with last statements, which go with the commit.
    pub(crate) async fn end_with<T>(
        &mut self,
        action: &'static str,
        result: Result<(T, Vec<Step>), Error>,
    ) -> Result<T, Error> {
        let result = result.and_then(|value| self.pass("before the commit").map(|()| value));
        match result {
            Ok((value, steps)) => {
                if let Err(fault) = self.commit(&steps).await {
                    self.rollback().await;
                    return Err(match fault {
                        source if source.breaks_connection() => Error::Unsure { action, source },
                        source @ Fault::Duplicate(_) => Error::LedgerTaken { source },
                        fault => Error::statement(action, fault),
                    });
                }
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

    async fn commit(&mut self, steps: &[Step]) -> Result<(), Fault> {
        let limit = self.options.statement_timeout;
        let connection = self.begin_call()?;
        let answer = within(limit, connection.commit_with(steps)).await;
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
        let Ok(connection) = self.begin_call() else { return };
        let answer = within(limit, connection.rollback()).await;
        self.in_transaction = answer.is_err();
        self.in_doubt = answer.is_err();
    }

    /// Whoever stops waiting in the middle of a call leaves the connection in doubt, and then there are no more calls: a new
    /// transaction would commit what the last one left.
    fn begin_call(&mut self) -> Result<&mut Box<dyn Connection>, Fault> {
        if self.in_doubt {
            return Err(Fault::Away(cause("an earlier call on this connection did not end well")));
        }
        self.in_doubt = true;
        Ok(self.connection.as_mut().expect(GONE))
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
