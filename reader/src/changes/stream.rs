//! The same for async programs: a thread follows, and wakes whoever polls. It belongs to no runtime.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::changes::{Changes, ChangesError, Event, Resume};

/// What waits for a slow reader; then the thread waits.
const MOST: usize = 1024;
/// So often the thread looks whether anybody still reads.
const LOOK: Duration = Duration::from_millis(200);

/// What changes, one event after the other. It never ends by itself; when it is dropped, its thread ends within a moment.
#[derive(Debug)]
pub struct ChangeStream {
    shared: Arc<Shared>,
    resume: Option<Resume>,
}

/// What comes next, and from where to go on after it.
type Ready = (Result<Event, ChangesError>, Option<Resume>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    room: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Ready>,
    waker: Option<Waker>,
    over: bool,
}

impl ChangeStream {
    pub(super) fn of(changes: Changes) -> Result<Self, ChangesError> {
        let (shared, resume) = (Arc::new(Shared::default()), changes.resume());
        let fed = Arc::clone(&shared);
        let named = thread::Builder::new().name("ctlstore-changes".to_owned());
        named.spawn(move || feed(changes, &fed)).map_err(ChangesError::Thread)?;
        Ok(Self { shared, resume })
    }

    /// The next event, waited for. May be dropped and called again.
    ///
    /// # Errors
    /// The agent refuses, or the file cannot be read; it may be asked again.
    pub async fn next(&mut self) -> Result<Event, ChangesError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Changes::resume`], after the last event that was taken.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        self.resume.clone()
    }

    /// The same for those who poll.
    ///
    /// # Errors
    /// As [`ChangeStream::next`].
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, ChangesError>> {
        let mut queue = self.shared.queue();
        match queue.events.pop_front() {
            Some((event, resume)) => {
                drop(queue);
                self.resume = resume;
                self.shared.room.notify_one();
                Poll::Ready(event)
            }
            None => {
                queue.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for ChangeStream {
    fn drop(&mut self) {
        self.shared.queue().over = true;
        self.shared.room.notify_one();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn feed(mut changes: Changes, shared: &Shared) {
    loop {
        let event = changes.next_within(LOOK).transpose();
        let mut queue = shared.queue();
        if let Some(event) = event {
            queue.events.push_back((event, changes.resume()));
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
        while queue.events.len() >= MOST && !queue.over {
            queue = shared.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.over {
            return;
        }
    }
}
