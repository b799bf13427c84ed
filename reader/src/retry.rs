//! How long to try again what passes by itself. SQLite reports five to thirty times in a million reads that the agent
//! is in the middle of something; the next try nearly always succeeds.

use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

/// Tries at once.
const AT_ONCE: u32 = 3;
/// After this long with errors, connections are opened anew: that releases their hold on what the agent left behind.
const REOPEN_AFTER: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_micros(250);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// Then the error is the caller's.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again with the same connection.
    Again,
    /// Try again with a new one.
    Reopen,
    /// Tell the caller.
    GiveUp,
}

pub(crate) struct Retry {
    pub(crate) tries: u32,
    start: Option<Instant>,
    pause: Duration,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self { tries: 0, start: None, pause: FIRST_PAUSE }
    }

    /// Counts a failure; sleeps a little when it is not one of the first.
    pub(crate) fn failed(&mut self) -> Next {
        self.tries += 1;
        let start = *self.start.get_or_insert_with(Instant::now);
        if self.tries <= AT_ONCE {
            return Next::Again;
        }
        if start.elapsed() >= GIVE_UP_AFTER {
            return Next::GiveUp;
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if start.elapsed() >= REOPEN_AFTER { Next::Reopen } else { Next::Again }
    }

    /// Sleeps for a part of the longest pause, so that not all threads and processes open at the same moment.
    pub(crate) fn jitter(&self) {
        let mut hasher = std::hash::DefaultHasher::new();
        (std::thread::current().id(), std::process::id(), Instant::now()).hash(&mut hasher);
        let part = u32::try_from(hasher.finish() % 256).unwrap_or_default();
        std::thread::sleep(LONGEST_PAUSE * part / 256);
    }
}
