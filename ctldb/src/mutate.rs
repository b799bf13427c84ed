//! Writes a batch of rows. What can be refused without ctldb is refused first, then what needs no lock, then the rest
//! under the ledger lock.

use std::sync::Arc;
use std::time::Instant;

use ledger::{FamilyName, LdbTable, Mark};

use crate::desk::Reply;
use crate::known::Known;
use crate::prepared::{Prepared, Verdict};
use crate::session::{Session, pause};
use crate::write_all::Written;
use crate::{Author, Batch, Committed, CtlDb, Error, Fault, Fence, TableMutation};

pub(crate) const ACTION: &str = "write a batch";

/// Rows that the product itself writes: no writer, no cookie, no limit.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    pub(crate) mutations: Vec<TableMutation>,
    pub(crate) author: Author,
    pub(crate) fence: Fence,
}

/// How a batch gets into the ledger.
enum Way {
    /// Together with those that others in this process want to write.
    Together,
    /// In a transaction of its own, which reserves these tables first.
    Alone(Vec<LdbTable>),
}

/// What became of batches, and the reply to each.
enum WrittenAs {
    /// None of them may be written.
    Nothing(Vec<Result<Reply, Error>>),
    Committed(Vec<Result<Reply, Error>>),
    /// The commit got no answer.
    Unsure {
        replies: Vec<Result<Reply, Error>>,
        last: Mark,
        error: Error,
    },
}

impl CtlDb {
    /// Writes a batch: all its rows or none, in the mirror tables and in the ledger.
    ///
    /// A batch whose commit got no answer is looked for in the ledger before anything is reported. A batch that is repeated
    /// with its cookies is recognised by its statements, also when its tables changed meanwhile; but rows that were checked
    /// against the changed table make other statements, and are a cookie conflict.
    ///
    /// # Errors
    /// The batch makes no sense, the writer may not, the cookie conflicts, a limit is reached, a table is unknown, changed
    /// or busy, or ctldb is away. Nothing was written, except after [`Error::Unsure`], when nobody knows.
    pub async fn mutate(&self, batch: &Batch) -> Result<Committed, Error> {
        self.write(Arc::new(Prepared::new(batch)?)).await
    }

    /// The same for the product itself.
    pub(crate) async fn mutate_trusted(
        &self,
        family: &FamilyName,
        rows: Trusted,
    ) -> Result<Committed, Error> {
        let Trusted { mutations, author, fence } = rows;
        self.write(Arc::new(Prepared::rendered(family, None, mutations, author, fence)?)).await
    }

    async fn write(&self, prepared: Arc<Prepared>) -> Result<Committed, Error> {
        let deadline = Instant::now() + self.options().patience;
        let mut way = match (&prepared.claim, prepared.fence) {
            (Some(claim), Fence::Open) if self.acquaintances().knows(&claim.credentials) => {
                Way::Together
            }
            (Some(_), Fence::Open) => self.look_first(&prepared).await?,
            (None | Some(_), _) => Way::Alone(Vec::new()),
        };
        loop {
            let reply = match &way {
                Way::Together => self.hand_in(Arc::clone(&prepared), deadline).await,
                Way::Alone(reserved) => self.write_alone(&prepared, reserved, deadline).await,
            };
            match reply {
                // Whatever made the others wait, from now on it makes only this one wait.
                Err(Error::Contended { .. }) if Instant::now() < deadline => {
                    pause().await;
                    if matches!(way, Way::Together) {
                        way = Way::Alone(Vec::new());
                    }
                }
                Ok(Reply::Altered(tables)) => way = Way::Alone(tables),
                Ok(Reply::Done(committed)) => {
                    self.acquaintances().meet(&prepared);
                    return Ok(committed);
                }
                Err(error) => {
                    self.acquaintances().forget(&prepared);
                    return Err(error);
                }
            }
        }
    }

    /// Before the ledger lock: who may not write does not hold up those who may. It is also the test of the connection,
    /// see [`CtlDb::session`].
    async fn look_first(&self, prepared: &Arc<Prepared>) -> Result<Way, Error> {
        let mut stale = self.options().max_connections;
        loop {
            let mut session = self.untested().await?;
            match session.look_at(std::slice::from_ref(prepared)).await {
                Ok(facts) => {
                    return Ok(match prepared.judge(&facts)? {
                        Verdict::Repeated(_) => Way::Together,
                        Verdict::Write { altered, .. } if altered.is_empty() => Way::Together,
                        Verdict::Write { altered, .. } => Way::Alone(altered),
                    });
                }
                Err(Error::Unavailable { source: Fault::Away(_), .. }) if stale > 0 => stale -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// In a transaction of its own.
    pub(crate) async fn write_alone(
        &self,
        prepared: &Arc<Prepared>,
        reserved: &[LdbTable],
        deadline: Instant,
    ) -> Result<Reply, Error> {
        let one = std::slice::from_ref(prepared);
        let replies = self.write_batches(one, reserved, deadline).await?;
        replies.into_iter().next().expect("BUG: one batch, one reply")
    }

    /// Writes batches in one transaction, each as if it were alone. An error is that of all of them.
    pub(crate) async fn write_batches(
        &self,
        batches: &[Arc<Prepared>],
        reserved: &[LdbTable],
        deadline: Instant,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        loop {
            let (session, known) = self.locked(batches, reserved, deadline).await?;
            // What was known is forgotten with its session: the next one looks.
            let looks_again = known.from_before && Instant::now() < deadline;
            match self.write_locked(batches, reserved, session, known).await {
                Ok(WrittenAs::Nothing(_)) if looks_again => {}
                Err(error) if looks_again && error.may_come_of_memory() => {}
                Ok(WrittenAs::Nothing(replies) | WrittenAs::Committed(replies)) => {
                    return Ok(replies);
                }
                Ok(WrittenAs::Unsure { replies, last, error }) => {
                    return self.settle(last, error, deadline).await.map(|()| replies);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the transaction in any case.
    async fn write_locked(
        &self,
        batches: &[Arc<Prepared>],
        reserved: &[LdbTable],
        mut session: Session,
        mut known: Known,
    ) -> Result<WrittenAs, Error> {
        let Written { replies, last, steps } =
            match session.write_all(batches, &mut known.facts, reserved).await {
                Ok(written) => written,
                Err(error) => return session.end(ACTION, Err(error)).await,
            };
        let Some(last) = last else {
            session.rollback().await;
            return Ok(WrittenAs::Nothing(replies));
        };
        match session.end_with(ACTION, Ok(((), steps))).await {
            Ok(()) => {
                session.remember(known);
                self.keep_warm(session);
                Ok(WrittenAs::Committed(replies))
            }
            Err(error @ Error::Unsure { .. }) => Ok(WrittenAs::Unsure { replies, last, error }),
            Err(error) => Err(error),
        }
    }

    /// A transaction that has the ledger lock, and what is known under it.
    async fn locked(
        &self,
        batches: &[Arc<Prepared>],
        reserved: &[LdbTable],
        deadline: Instant,
    ) -> Result<(Session, Known), Error> {
        let reserved: Vec<&LdbTable> = reserved.iter().collect();
        let mut stale = self.options().max_connections;
        loop {
            let turn = self.writers_turn(deadline).await?;
            let session = match self.warm() {
                Some(session) => session,
                None => self.untested().await?,
            };
            let mut session = session.with_turn(turn).with_deadline(deadline);
            match session.lock_and_look(batches, &reserved).await {
                Ok(known) => return Ok((session, known)),
                // It broke while it lay in the pool; nothing was written yet.
                Err(Error::Unavailable { source: Fault::Away(_), .. }) if stale > 0 => stale -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds out what became of a commit that got no answer. Whoever has the ledger lock knows that the transaction is
    /// over, for it held the lock.
    async fn settle(&self, last: Mark, unsure: Error, deadline: Instant) -> Result<(), Error> {
        let found = loop {
            match self.look_for(last).await {
                Err(error) if error.is_unavailable() && Instant::now() < deadline => pause().await,
                Err(_) => return Err(unsure),
                Ok(found) => break found,
            }
        };
        match (found, unsure) {
            (true, _) => Ok(()),
            // It was rolled back. As after a deadlock, the caller's loop writes it again.
            (false, Error::Unsure { action, source }) => Err(Error::Contended { action, source }),
            (false, other) => Err(other),
        }
    }

    async fn look_for(&self, mark: Mark) -> Result<bool, Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(Fence::Open).await?;
        let found = session.entry(mark.seq).await;
        session.rollback().await;
        Ok(found?.is_some_and(|entry| entry.digest() == mark.digest))
    }
}
