//! Keeps the work of a snapshot from taking the processor from those who apply and read: on a small machine, to compress
//! beside them would cost them a third of their speed.

use std::panic::resume_unwind;
use std::thread;

/// Such a thread runs when no other wants the processor; see setpriority(2).
const LEAST: i32 = 19;

/// Does the work on a thread of the least priority and waits for it. The thread is a new one each time: to raise the
/// priority again takes a privilege that the agent does not have.
pub(crate) fn behind_all_others<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let lowered = scope.spawn(|| {
            // Not worth a failure: the work is then done at the priority of all else.
            if let Err(error) = rustix::process::setpriority_process(None, LEAST) {
                tracing::debug!(error = %error, "a snapshot is taken at full priority");
            }
            work()
        });
        lowered.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_has_the_least_priority_and_its_caller_keeps_its_own() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        assert_eq!(behind_all_others(own), LEAST);
        assert_eq!(own(), before);
    }
}
