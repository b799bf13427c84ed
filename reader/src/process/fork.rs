//! What happens when the process forks. SQLite keeps for each file which locks its process holds; a child inherits those
//! notes, but not the locks. So all connections are closed before the fork, in every thread, and parent and child open
//! their own at their next reads.
#![allow(unsafe_code, reason = "pthread_atfork has no safe form")]

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, Once, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{ASLEEP, FORKS, GATE, Process, TORN, process};

/// How long a read in another thread holds up the fork.
const WAIT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(100);

/// What the forking thread holds from before the fork until after it, so that no other thread is in the middle of it.
struct Held {
    gate: Option<RwLockWriteGuard<'static, ()>>,
    process: MutexGuard<'static, Process>,
    /// All connections are closed.
    clean: bool,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Asks to be told of forks; vfork(2), posix_spawn(3) and a bare clone(2) tell nobody, and the first two need not.
pub(super) fn prepare_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: three functions that live as long as the program. A failure (no memory) leaves forks untold.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

unsafe extern "C" fn before() {
    let deadline = Instant::now() + WAIT;
    let gate = until(deadline, || GATE.try_write().ok());
    let mut clean = gate.is_some();
    let slots: Vec<_> = process().ldbs.iter().flat_map(|known| known.live()).collect();
    for slot in slots {
        clean &= until(deadline, || slot.disconnect().then_some(())).is_some();
    }
    let held = Held { gate, process: process(), clean };
    HELD.try_with(|cell| *cell.borrow_mut() = Some(held)).ok();
}

unsafe extern "C" fn in_parent() {
    drop(HELD.try_with(RefCell::take));
}

unsafe extern "C" fn in_child() {
    let held = HELD.try_with(RefCell::take).ok().flatten();
    FORKS.fetch_add(1, Ordering::Relaxed);
    ASLEEP.store(true, Ordering::SeqCst);
    let Some(Held { gate, mut process, clean }) = held else {
        TORN.store(true, Ordering::Relaxed);
        return;
    };
    if !clean {
        TORN.store(true, Ordering::Relaxed);
    }
    // The keeper stayed behind, and so did the threads with their connections and those who wait.
    std::mem::forget(process.keeper.take());
    for known in &mut process.ldbs {
        std::mem::forget(std::mem::take(&mut known.slots));
        std::mem::forget(std::mem::take(&mut known.waiting));
    }
    drop(process);
    drop(gate);
}

fn until<T>(deadline: Instant, mut get: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        match get() {
            None if Instant::now() < deadline => thread::sleep(PAUSE),
            got => return got,
        }
    }
}
