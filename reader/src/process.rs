//! What there is once in a process: the list of open LDBs with the connections of all threads, and the *keeper*, a thread
//! that ends views nobody uses, closes connections to files that are served no more, and wakes those who wait for a commit.
//! While there is no view and nobody waits, it looks about every few seconds.

mod fork;
mod keeper;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::task::Waker;

use ledger::FamilyName;
use nix::sys::eventfd::EventFd;

#[cfg(test)]
pub(crate) use crate::process::keeper::follow;

use crate::Error;
use crate::ctl::Stand;
use crate::place::Place;
use crate::slot::Slot;

static PROCESS: Mutex<Process> = Mutex::new(Process { keeper: None, ldbs: Vec::new() });
/// Closed while the process forks: nobody opens a connection then.
static GATE: RwLock<()> = RwLock::new(());
/// How often this process is the child of a fork.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// Forked while another thread was in SQLite, whose state is of no use any more.
static TORN: AtomicBool = AtomicBool::new(false);
/// The keeper sleeps longer than a view lives, or is not there yet.
static ASLEEP: AtomicBool = AtomicBool::new(true);
/// No thread can be had, so views end with the reads that began them.
static NO_KEEPER: AtomicBool = AtomicBool::new(false);

struct Process {
    /// To wake it.
    keeper: Option<Arc<EventFd>>,
    ldbs: Vec<Known>,
}

/// An open LDB.
struct Known {
    id: u64,
    place: Arc<Place>,
    /// Names of families, by their number. Here, under the lock that no fork leaves locked.
    families: Vec<FamilyName>,
    slots: Vec<Weak<Slot>>,
    waiting: Vec<Waiting>,
}

/// Somebody who waits for a commit.
struct Waiting {
    number: u64,
    since: Option<Stand>,
    waker: Waker,
}

/// Enters an LDB. Its number is never used again.
pub(crate) fn enter(place: Arc<Place>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    fork::prepare_once();
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (families, slots, waiting) = (Vec::new(), Vec::new(), Vec::new());
    process().ldbs.push(Known { id, place, families, slots, waiting });
    id
}

/// Strikes an LDB off and closes its connections.
pub(crate) fn leave(id: u64) {
    let slots = slots(id);
    process().ldbs.retain(|known| known.id != id);
    slots.iter().for_each(|slot| slot.close());
}

/// The number of a family in an LDB.
pub(crate) fn family_number(id: u64, family: &FamilyName) -> usize {
    let mut process = process();
    let families = &mut process.ldb(id).expect("BUG: it is there while somebody asks").families;
    families.iter().position(|known| known == family).unwrap_or_else(|| {
        families.push(family.clone());
        families.len() - 1
    })
}

/// Enters a connection, or room for one.
pub(crate) fn register(id: u64, slot: &Arc<Slot>) {
    if let Some(known) = process().ldb(id) {
        known.slots.retain(|slot| slot.strong_count() > 0);
        known.slots.push(Arc::downgrade(slot));
    }
}

/// All connections to an LDB.
pub(crate) fn slots(id: u64) -> Vec<Arc<Slot>> {
    process().ldb(id).map_or_else(Vec::new, |known| known.live())
}

/// How often this process is the child of a fork.
///
/// # Errors
/// It was forked in the middle of a read.
#[inline]
pub(crate) fn forks() -> Result<u64, Error> {
    if TORN.load(Ordering::Relaxed) {
        return Err(Error::ForkedInRead);
    }
    Ok(FORKS.load(Ordering::Relaxed))
}

/// Held while a connection is opened. Waits while the process forks.
pub(crate) fn gate() -> RwLockReadGuard<'static, ()> {
    GATE.read().unwrap_or_else(PoisonError::into_inner)
}

/// May a view outlive its read?
#[inline]
pub(crate) fn keeps_views() -> bool {
    !NO_KEEPER.load(Ordering::Relaxed)
}

/// Tells the keeper that there is a view, if it sleeps.
pub(crate) fn view_began() {
    if ASLEEP.load(Ordering::SeqCst) {
        wake_keeper(&mut process());
    }
}

/// A place among those who wait for a commit; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    ldb: u64,
    number: u64,
}

impl Ticket {
    pub(crate) fn new(ldb: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { ldb, number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Wakes this one when the LDB stands elsewhere than it did; now and then where nothing says how it stands.
    pub(crate) fn wake_on_change(&self, since: Option<Stand>, waker: &Waker) {
        let waiting = Waiting { number: self.number, since, waker: waker.clone() };
        drop(self.give_up());
        let mut process = process();
        let Some(known) = process.ldb(self.ldb) else { return };
        known.waiting.push(waiting);
        wake_keeper(&mut process);
    }

    /// What was entered under this number, to be dropped when no lock is held: the end of a waker may run any code.
    fn give_up(&self) -> Option<Waiting> {
        let mut process = process();
        let waiting = &mut process.ldb(self.ldb)?.waiting;
        let place = waiting.iter().position(|waiting| waiting.number == self.number)?;
        Some(waiting.swap_remove(place))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        drop(self.give_up());
    }
}

impl Process {
    fn ldb(&mut self, id: u64) -> Option<&mut Known> {
        self.ldbs.iter_mut().find(|known| known.id == id)
    }
}

impl Known {
    fn live(&self) -> Vec<Arc<Slot>> {
        self.slots.iter().filter_map(Weak::upgrade).collect()
    }
}

fn process() -> MutexGuard<'static, Process> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the keeper where there is none.
fn wake_keeper(process: &mut Process) {
    ASLEEP.store(false, Ordering::SeqCst);
    let started = match &process.keeper {
        Some(keeper) => {
            // It cannot be full: the keeper empties it.
            keeper.write(1).ok();
            return;
        }
        None => keeper::start(),
    };
    process.keeper = started.ok();
    NO_KEEPER.store(process.keeper.is_none(), Ordering::Relaxed);
    ASLEEP.store(process.keeper.is_none(), Ordering::SeqCst);
}
