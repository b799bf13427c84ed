//! What can go wrong with a Lease.

use std::time::Duration;

use super::config::Timing;

/// Why a candidate could not start, or could not do one step.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// These times do not keep two candidates apart.
    #[error(
        "lease times must be: call timeout < retry < renew deadline < duration, \
         and the duration in whole seconds; they are {0:?}"
    )]
    Timing(Timing),
    /// The API server refused or could not be reached.
    #[error("cannot {call} lease {lease}")]
    Call {
        /// read, create or replace.
        call: &'static str,
        /// Namespace and name.
        lease: String,
        /// What the client said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer; the call may or may not have been carried out.
    #[error("no answer within {within:?} to {call} lease {lease}")]
    Silent {
        /// read, create or replace.
        call: &'static str,
        /// Namespace and name.
        lease: String,
        /// The call timeout.
        within: Duration,
    },
    /// Somebody else wrote the Lease between our read and our write.
    #[error("lease {lease} was changed by another since it was read, it is read again")]
    Conflict {
        /// Namespace and name.
        lease: String,
    },
    /// The API server returned an object that cannot be replaced on condition.
    #[error(
        "lease {lease} has no resourceVersion, check what stands between us and the API server"
    )]
    Versionless {
        /// Namespace and name.
        lease: String,
    },
    /// We led, and the Lease says that we do not.
    #[error("lease {lease} was taken from us, it is held by {}", holder.as_deref().unwrap_or("nobody"))]
    Deposed {
        /// Namespace and name.
        lease: String,
        /// Who has it now.
        holder: Option<String>,
    },
    /// We led and could not renew in time.
    #[error("lease {lease} could not be renewed for {deadline:?}")]
    Late {
        /// Namespace and name.
        lease: String,
        /// The renew deadline.
        deadline: Duration,
    },
}
