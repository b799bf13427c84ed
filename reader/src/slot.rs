//! Each thread's own connection. The thread takes its slot out of its list for the length of a read, so a read within a
//! read finds none and gets a second one. The process's timer reaches the slot through a mutex that is free between reads:
//! that is how it ends the view of a thread that sleeps.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::clock::coarse_ms;
use crate::session::Session;
use crate::{Error, process};

/// A connection, or room for one.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    session: Mutex<Option<Session>>,
    /// When the view that is open began; 0 while none is.
    view_since: AtomicU64,
    /// A view of the application's own is not ended before; 0 without one.
    keep_until: AtomicU64,
    /// Its LDB is gone.
    closed: AtomicBool,
}

impl Slot {
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Session>> {
        // A panic in the application's code leaves a whole session behind.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None while a read is in progress.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Option<Session>>> {
        match self.session.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Says that a view began.
    pub(crate) fn began(&self, now_ms: u64) {
        self.view_since.store(now_ms, Ordering::SeqCst);
        process::view_began();
    }

    /// Says that none is open.
    pub(crate) fn ended(&self) {
        self.view_since.store(0, Ordering::SeqCst);
    }

    /// Keeps the view from being ended before; 0 lets it go.
    pub(crate) fn keep_until(&self, until_ms: u64) {
        self.keep_until.store(until_ms, Ordering::SeqCst);
    }

    /// Is the view one of the application's own?
    pub(crate) fn is_kept(&self) -> bool {
        self.keep_until.load(Ordering::Relaxed) != 0
    }

    /// Is a view open?
    pub(crate) fn has_view(&self) -> bool {
        self.view_since.load(Ordering::SeqCst) != 0
    }

    /// Ends the view if it began so long ago, unless a read is in progress.
    pub(crate) fn end_view(&self, now_ms: u64, age_ms: u64) {
        let since = self.view_since.load(Ordering::SeqCst);
        let old = since != 0 && now_ms.saturating_sub(since) >= age_ms;
        if !old || now_ms < self.keep_until.load(Ordering::SeqCst) {
            return;
        }
        let Some(mut guard) = self.try_lock() else { return };
        // It may have been renewed or asked for in between; then the next look ends it.
        let kept = now_ms < self.keep_until.load(Ordering::SeqCst);
        if !kept && self.view_since.load(Ordering::SeqCst) == since {
            if guard.as_mut().is_some_and(|session| session.end().is_err()) {
                *guard = None;
            }
            self.ended();
        }
    }

    /// Is the connection to an older generation? Not said while a read is in progress.
    pub(crate) fn is_older(&self, generation: u64) -> bool {
        let older = |session: &Session| session.generation < generation;
        self.try_lock().is_some_and(|guard| guard.as_ref().is_some_and(older))
    }

    /// Closes the connection if it is to an older generation, unless a read is in progress or a view of the application's
    /// own is open.
    pub(crate) fn disconnect_older(&self, generation: u64) {
        let Some(mut guard) = self.try_lock() else { return };
        if coarse_ms() < self.keep_until.load(Ordering::SeqCst) {
            return;
        }
        if guard.as_ref().is_some_and(|session| session.generation < generation) {
            drop(guard.take());
            self.ended();
        }
    }

    /// Closes the connection, unless a read is in progress.
    pub(crate) fn disconnect(&self) -> bool {
        let Some(mut guard) = self.try_lock() else { return false };
        drop(guard.take());
        self.ended();
        true
    }

    /// Closes the connection when the LDB is let go: no read is in progress then.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.disconnect();
    }
}

/// A slot that this thread may lend.
#[derive(Debug)]
struct Mine {
    ldb: u64,
    fork: u64,
    /// The thread's count of nested reads when its view was renewed the last time.
    nested: u64,
    slot: Arc<Slot>,
}

#[derive(Debug)]
struct Thread {
    mine: RefCell<Vec<Mine>>,
    /// How many slots are lent out.
    lent: Cell<u32>,
    /// How many reads there were within reads.
    nested: Cell<u64>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { mine: RefCell::new(Vec::new()), lent: Cell::new(0), nested: Cell::new(0) }
    };
}

/// A slot in use; goes back to its thread.
#[derive(Debug)]
pub(crate) struct Lent {
    mine: Option<Mine>,
    /// Another connection of this thread may have shown a newer state than this one's view.
    behind: Cell<bool>,
}

impl Lent {
    /// This thread's slot for an LDB, or a new one.
    #[inline]
    pub(crate) fn of(ldb: u64) -> Result<Self, Error> {
        let fork = process::forks()?;
        let found = THREAD.try_with(|thread| {
            let nested = thread.nested.get() + u64::from(thread.lent.get() > 0);
            thread.nested.set(nested);
            thread.lent.set(thread.lent.get() + 1);
            let mut mine = thread.mine.borrow_mut();
            // The last one that came back: of nested reads, that of the outermost.
            let found = mine.iter().rposition(|mine| mine.ldb == ldb && mine.fork == fork);
            (nested, found.map(|found| mine.swap_remove(found)))
        });
        // In the destructor of another thread-local value there may be no list any more.
        let (nested, found) = found.unwrap_or_default();
        let mut mine = found.unwrap_or_else(|| new(ldb, fork));
        let behind = Cell::new(mine.nested != nested);
        mine.nested = nested;
        Ok(Self { mine: Some(mine), behind })
    }

    /// Must its view be renewed, so that this thread sees no older state than the one before?
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.get()
    }

    /// A view began, within a read of this thread.
    pub(crate) fn began(&self, now_ms: u64) {
        self.behind.set(false);
        self.slot().began(now_ms);
    }

    fn slot(&self) -> &Slot {
        &self.mine.as_ref().expect("BUG: it is there until it is dropped").slot
    }
}

impl std::ops::Deref for Lent {
    type Target = Slot;
    #[inline]
    fn deref(&self) -> &Slot {
        self.slot()
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        let Some(mine) = self.mine.take() else { return };
        // Without a list the connection is closed.
        let give_back = |thread: &Thread| {
            thread.lent.set(thread.lent.get().saturating_sub(1));
            thread.mine.borrow_mut().push(mine);
        };
        THREAD.try_with(give_back).ok();
    }
}

#[cold]
fn new(ldb: u64, fork: u64) -> Mine {
    let tidy = |thread: &Thread| {
        let mut mine = thread.mine.borrow_mut();
        let (own, foreign): (Vec<_>, Vec<_>) = mine.drain(..).partition(|mine| mine.fork == fork);
        // Of the process that forked this one: not even closed here.
        std::mem::forget(foreign);
        mine.extend(own.into_iter().filter(|mine| !mine.slot.closed.load(Ordering::Relaxed)));
    };
    THREAD.try_with(tidy).ok();
    let slot = Arc::new(Slot::default());
    process::register(ldb, &slot);
    Mine { ldb, fork, nested: 0, slot }
}
