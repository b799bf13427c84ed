//! The thread that looks after views, idle connections and waiters. One per process, whatever the number of LDBs and
//! threads.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::signal::SigSet;

use crate::clock::coarse_ms;
use crate::ctl::Ctl;
use crate::process::{ASLEEP, Known, Process, process};

/// How often views are looked at while there are some, and the age at which one is ended.
const TICK: Duration = Duration::from_millis(20);
const AGE_MS: u64 = 20;
/// How often those who wait look for themselves where the system tells nothing: no inotify left, or no control page.
const LOOK: Duration = Duration::from_millis(10);
/// An agent says every second that it lives, so no longer sleep while somebody waits tells anything new.
const LONG: Duration = Duration::from_secs(1);
/// How often connections are looked at. One that nobody reads through keeps its file on the disk, and the agent at work on
/// it, after another file is served.
const FOLLOW: Duration = Duration::from_secs(5);
const FOLLOW_MS: u64 = 5_000;

/// Starts it. It lives as long as the process.
pub(super) fn start() -> io::Result<Arc<EventFd>> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let wake = Arc::new(EventFd::from_flags(flags)?);
    let woken = Arc::clone(&wake);
    thread::Builder::new().name("ctlstore-reader".to_owned()).spawn(move || run(&woken))?;
    Ok(wake)
}

fn run(wake: &EventFd) {
    // Signals are the application's: its handlers should run on threads that it knows.
    SigSet::all().thread_block().ok();
    let mut watch = Watch::new();
    let mut followed_ms = coarse_ms();
    loop {
        if coarse_ms().saturating_sub(followed_ms) >= FOLLOW_MS {
            follow();
            followed_ms = coarse_ms();
        }
        let round = look(&mut process(), &mut watch);
        round.wakers.into_iter().for_each(Waker::wake);
        let pause = round.pause;
        if pause != Some(TICK) {
            ASLEEP.store(true, Ordering::SeqCst);
            // Whoever began a view before that did not wake anybody.
            if process().ldbs.iter().any(|known| known.live().iter().any(|slot| slot.has_view())) {
                ASLEEP.store(false, Ordering::SeqCst);
            }
        }
        let sleepy = ASLEEP.load(Ordering::SeqCst);
        watch.wait(wake, if sleepy { pause } else { Some(TICK) });
        ASLEEP.store(false, Ordering::SeqCst);
        // Empty when it was something else that ended the wait.
        wake.read().ok();
    }
}

/// Closes idle connections to files that are served no more, once the one that is served has answered. Files are opened
/// here, so no lock is held but for moments.
pub(crate) fn follow() {
    let known = |known: &Known| (Arc::clone(&known.place), known.live());
    let ldbs: Vec<_> = process().ldbs.iter().map(known).collect();
    for (place, slots) in ldbs {
        let generation = place.generation();
        let behind = slots.iter().any(|slot| slot.is_older(generation));
        if behind && place.answers(generation) {
            slots.iter().for_each(|slot| slot.disconnect_older(generation));
        }
    }
}

struct Round {
    /// None: until somebody wakes the keeper.
    pause: Option<Duration>,
    /// Called when no lock is held: they may run code of the application.
    wakers: Vec<Waker>,
}

fn look(process: &mut Process, watch: &mut Watch) -> Round {
    let now = coarse_ms();
    let mut round = Round { pause: None, wakers: Vec::new() };
    let mut pause =
        |at_most| round.pause = Some(round.pause.map_or(at_most, |old| at_most.min(old)));
    watch.keep(|id| process.ldbs.iter().any(|known| known.id == id && !known.waiting.is_empty()));
    for known in &mut process.ldbs {
        let (ctl, slots) = (known.place.ctl(), known.live());
        if ctl.is_some() && !slots.is_empty() {
            pause(FOLLOW);
        }
        for slot in slots {
            slot.end_view(now, AGE_MS);
            if slot.has_view() {
                pause(TICK);
            }
        }
        if known.waiting.is_empty() {
            continue;
        }
        let watched = ctl.is_some() && watch.add(known.id, &known.place.ctl_path());
        let stand = ctl.map(Ctl::stand);
        // Without a control page they look for themselves.
        let news = |waiting: &mut super::Waiting| stand.is_none() || waiting.since != stand;
        round.wakers.extend(known.waiting.extract_if(.., news).map(|waiting| waiting.waker));
        if watched { pause(LONG) } else { pause(LOOK) }
    }
    round
}

/// inotify on the control pages for whose changes somebody waits.
struct Watch {
    /// None where the user has no instance left.
    inotify: Option<Inotify>,
    /// None for one that the system refused.
    pages: HashMap<u64, Option<WatchDescriptor>>,
}

impl Watch {
    fn new() -> Self {
        Self { inotify: None, pages: HashMap::new() }
    }

    /// Is this page watched?
    fn add(&mut self, id: u64, path: &std::path::Path) -> bool {
        let inotify = match self.inotify.take() {
            Some(inotify) => Some(inotify),
            None => Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok(),
        };
        self.inotify = inotify;
        let Some(inotify) = &self.inotify else { return false };
        let add = || inotify.add_watch(path, AddWatchFlags::IN_MODIFY).ok();
        self.pages.entry(id).or_insert_with(add).is_some()
    }

    /// Ends the watches that nobody needs, so that commits wake nobody.
    fn keep(&mut self, needed: impl Fn(u64) -> bool) {
        let Some(inotify) = &self.inotify else { return };
        self.pages.retain(|&id, page| {
            let keep = needed(id);
            if let Some(page) = page.filter(|_| !keep) {
                inotify.rm_watch(page).ok();
            }
            keep
        });
    }

    /// Waits until somebody writes a page or wakes the keeper.
    fn wait(&self, wake: &EventFd, pause: Option<Duration>) {
        let timeout = match pause {
            Some(pause) => PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut fds = vec![PollFd::new(wake.as_fd(), PollFlags::POLLIN)];
        if let Some(inotify) = &self.inotify {
            fds.push(PollFd::new(inotify.as_fd(), PollFlags::POLLIN));
        }
        // A signal ends it early, which is harmless.
        poll(&mut fds, timeout).ok();
        if let Some(inotify) = &self.inotify {
            // Which page it was does not matter: all are looked at.
            while inotify.read_events().is_ok() {}
        }
    }
}
