//! Waiting for the next commit. The agent writes the control page after each one, and the system tells the keeper.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ledger::Seq;

use crate::ctl::Stand;
use crate::process::Ticket;
use crate::{Error, Ldb};

/// Becomes the sequence at which the LDB stands, once that is another one than the one it was made with. It belongs to no
/// runtime: any executor can poll it.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Changed {
    ldb: Ldb,
    since: Seq,
    ticket: Ticket,
}

impl Ldb {
    /// Waits until the LDB stands at another sequence than this one, and returns that. None when the time is over first.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # use std::time::Duration;
    /// # let test = TestLdb::new()?;
    /// # test.table("billing", "limits", &[("tenant", ColumnType::String)], &["tenant"])?;
    /// let ldb = Ldb::open(test.dir())?;
    /// let seen = ldb.seq()?;
    /// # test.insert("billing", "limits", &[Value::Text("acme".into())])?;
    /// if let Some(seq) = ldb.changed(seen, Duration::from_secs(5))? {
    ///     println!("something was written: {seq}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn changed(&self, since: Seq, timeout: Duration) -> Result<Option<Seq>, Error> {
        let mut changed = pin!(self.changed_async(since));
        block_on(timeout, |context| changed.as_mut().poll(context)).transpose()
    }

    /// The same as a future, without a time limit:
    ///
    /// ```
    /// # use reader::{Error, Ldb};
    /// async fn follow(ldb: &Ldb) -> Result<(), Error> {
    ///     let mut seen = ldb.seq()?;
    ///     loop {
    ///         seen = ldb.changed_async(seen).await?;
    ///         println!("the LDB is at {seen}");
    ///     }
    /// }
    /// ```
    pub fn changed_async(&self, since: Seq) -> Changed {
        Changed { ldb: self.clone(), since, ticket: Ticket::new(self.id()) }
    }

    /// Waits until the LDB may stand elsewhere, at most so long.
    pub(crate) fn wait(
        &self,
        stand: Option<Stand>,
        seq: Seq,
        timeout: Duration,
    ) -> Result<(), Error> {
        let ticket = Ticket::new(self.id());
        let outcome = block_on(timeout, |context| {
            let moved = match stand {
                Some(_) => self.stand() != stand,
                None => match self.seq() {
                    Ok(now) => now != seq,
                    Err(error) => return Poll::Ready(Err(error)),
                },
            };
            if moved {
                return Poll::Ready(Ok(()));
            }
            ticket.wake_on_change(stand, context.waker());
            Poll::Pending
        });
        outcome.unwrap_or(Ok(()))
    }
}

impl Future for Changed {
    type Output = Result<Seq, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Before the look at the file: a commit after it wakes.
        let stand = self.ldb.stand();
        match self.ldb.seq() {
            Ok(seq) if seq == self.since => {
                self.ticket.wake_on_change(stand, context.waker());
                Poll::Pending
            }
            other => Poll::Ready(other),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls on this thread until it is ready. None when the time is over first.
fn block_on<T>(timeout: Duration, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let start = Instant::now();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return Some(value);
        }
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
