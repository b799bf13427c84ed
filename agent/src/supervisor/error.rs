//! Why no snapshot was published, and why none ever will be.

use store::StoreError;

use crate::snapshot::SnapshotError;
use crate::status::State;
use crate::supervisor::take::TakeError;
use crate::supervisor::told::Outcome;

/// No snapshot was published.
#[derive(Debug, thiserror::Error)]
pub(super) enum SuperviseError {
    #[error("the newest snapshot cannot be looked up")]
    Store(#[from] StoreError),
    #[error("the LDB was not copied")]
    Take(#[from] TakeError),
    #[error("the snapshot was not uploaded")]
    Upload(#[from] SnapshotError),
    #[error("another process was elected to upload snapshots before this one was done")]
    Deposed,
    #[error(
        "replay is {} since the LDB was copied: what was copied may not be in the ledger",
        .0.as_str()
    )]
    Unsure(State),
}

/// What was asked for cannot be done here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnableError {
    #[error("--snapshot-compat names no object: write s3://BUCKET/KEY or file:///FILE")]
    NoObject,
    #[error(
        "--snapshot-upload=elected needs Kubernetes, and neither NODE_NAME nor POD_NAMESPACE says where this is: choose --snapshot-upload=always for a process that uploads, and never for all others"
    )]
    NoCluster,
}

impl SuperviseError {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Take(TakeError::NoRoom { .. } | TakeError::Held) => Outcome::Skipped,
            Self::Deposed => Outcome::Deposed,
            Self::Store(_) | Self::Take(_) | Self::Upload(_) | Self::Unsure(_) => Outcome::Failed,
        }
    }

    /// Does the store refuse it for good?
    pub(super) fn is_refused(&self) -> bool {
        match self {
            Self::Store(source) | Self::Upload(SnapshotError::Store { source }) => {
                source.is_refused()
            }
            Self::Take(_) | Self::Upload(_) | Self::Deposed | Self::Unsure(_) => false,
        }
    }
}
