//! Does a thread get on? The system counts what each one computes, reads and writes.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// A piece of work on a thread, and what was seen of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) what: &'static str,
    thread: Thread,
    seen: Option<Sample>,
    /// When it was last seen to have got on.
    moved: Instant,
}

/// How work comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Getting {
    /// It gets on.
    On,
    /// It waits within the system, which is a disk or what stands for one.
    Disk,
    /// Nothing was seen of it for so long.
    Still(Duration),
}

/// A thread of this process.
#[derive(Debug)]
pub(super) struct Thread(Option<PathBuf>);

/// What a thread has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    /// It waits where no signal reaches it.
    in_system: bool,
    /// Of computing, in the system's ticks.
    ticks: u64,
    /// Bytes and calls of reading and writing.
    io: u64,
}

impl Watched {
    pub(super) fn new(what: &'static str, thread: Thread, now: Instant) -> Self {
        let seen = thread.sample();
        Self { what, thread, seen, moved: now }
    }

    pub(super) fn look(&mut self, now: Instant) -> Getting {
        let seen = self.thread.sample();
        let did = |sample: Option<Sample>| sample.map(|sample| (sample.ticks, sample.io));
        // Where the system does not tell, nobody can say that it gets on.
        let got_on = seen.is_some() && did(seen) != did(self.seen);
        self.seen = seen;
        if got_on {
            self.moved = now;
            return Getting::On;
        }
        match seen {
            Some(Sample { in_system: true, .. }) => Getting::Disk,
            Some(_) | None => Getting::Still(now.duration_since(self.moved)),
        }
    }
}

impl Thread {
    pub(super) fn current() -> Self {
        Self(
            std::fs::read_link("/proc/thread-self")
                .ok()
                .map(|link| PathBuf::from("/proc").join(link)),
        )
    }

    fn sample(&self) -> Option<Sample> {
        let folder = self.0.as_ref()?;
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        // A hardened system may keep it to itself.
        let io = std::fs::read_to_string(folder.join("io")).unwrap_or_default();
        Sample::parse(&stat, &io)
    }
}

impl Sample {
    /// The texts of `stat` and `io`. A name may hold spaces and brackets, so fields are counted from its end.
    fn parse(stat: &str, io: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        let counted = io.lines().filter_map(|line| line.split_once(": ")?.1.trim().parse().ok());
        let io = counted.fold(0_u64, u64::wrapping_add);
        Some(Self { in_system: fields.first() == Some(&"D"), ticks, io })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let stat = |state| format!("4711 (a (b) c) {state} 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 9");
        let io = "rchar: 5\nwchar: 6\nsyscr: 1\nread_bytes: 0\n";
        let want = Sample { in_system: true, ticks: 42, io: 12 };
        assert_eq!(Sample::parse(&stat("D"), io), Some(want));
        assert!(!Sample::parse(&stat("S"), "").unwrap().in_system);
        assert_eq!(Sample::parse("nonsense", io), None);
        assert!(Thread::current().sample().is_some());
    }

    #[test]
    fn what_the_system_does_not_tell_is_not_taken_for_progress() {
        let now = Instant::now();
        let mut work = Watched::new("x", Thread(None), now);
        assert_eq!(work.look(now + Duration::from_secs(9)), Getting::Still(Duration::from_secs(9)));
    }
}
