//! Waiting for something to happen in a directory.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How often to look where the system tells nothing.
const LOOK: Duration = Duration::from_millis(20);
/// How often to look all the same.
const LONG: Duration = Duration::from_secs(1);

/// inotify on a directory.
#[derive(Debug)]
pub(crate) struct Wait(Option<Inotify>);

impl Wait {
    pub(crate) fn on(dir: &Path) -> Self {
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE;
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
            inotify.add_watch(dir, flags).ok()?;
            Some(inotify)
        };
        Self(watch())
    }

    /// Until something happened since the last call, at most so long.
    pub(crate) fn wait(&self, time: Duration) {
        let Some(inotify) = &self.0 else { return thread::sleep(time.min(LOOK)) };
        let timeout = PollTimeout::try_from(time.min(LONG)).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).ok();
        // Empty when the time was over.
        while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
    }
}
