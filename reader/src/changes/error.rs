//! What can go wrong when following. That changes were missed is no error.

use std::path::PathBuf;

use ledger::NameError;

/// Why changes cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangesError {
    /// A family or a table that cannot exist.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not an address.
    #[error("{url:?} is no address to follow, write http://HOST:PORT")]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody is there.
    #[error(
        "cannot reach the agent at {place}: does it run, and does it serve its read API there?"
    )]
    Connect {
        /// Its socket or address.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The agent says no.
    #[error("the agent refuses to tell changes (HTTP {status}): {message}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it said.
        message: String,
    },
    /// A sidecar that does not reach its agent.
    #[error("only sequences are told there, not what changed: follow the agent itself")]
    SequencesOnly,
    /// The file is there and cannot be read.
    #[error("cannot read the change log {path}: it needs mode 0644, and its directory 0755", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system has no thread left.
    #[error("cannot start a thread to follow changes")]
    Thread(#[source] std::io::Error),
}
