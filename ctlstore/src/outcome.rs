//! How a command ended, as its exit code.

use std::process::ExitCode;

/// How a command ended; errors are 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: done, found.
    Done,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: not found, timed out, or found to be ill; in words, for stderr.
    NotFound(String),
}

impl From<&Outcome> for ExitCode {
    fn from(outcome: &Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Usage => 2,
            Outcome::NotFound(_) => 3,
        })
    }
}
