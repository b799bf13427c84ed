//! Why a ledger could not be read, in kinds that one can act on.

use std::error::Error as StdError;

/// Why a ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("ctldb is away")]
    Away { source: Box<dyn StdError + Send + Sync> },
    #[error("ctldb did not answer within {seconds} s")]
    Timeout { seconds: u64 },
    #[error(
        "ctldb refuses: check user, password and grants (SELECT on ctlstore_dml_ledger, ctlstore_meta, ctlstore_batches and ctlstore_skips)"
    )]
    Denied { source: Box<dyn StdError + Send + Sync> },
    #[error("ctldb has no ledger yet: start the operator or the executive, which make it")]
    NoLedger,
    #[error("ctldb's books hold {what}, which ctlstore never writes")]
    Broken { what: String },
    #[error("the file {path} does not say where ctldb is", path = path.display())]
    Url { path: std::path::PathBuf, source: Box<dyn StdError + Send + Sync> },
}

/// A label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Away,
    Timeout,
    Denied,
    NoLedger,
    Broken,
    Url,
}

impl SourceError {
    pub(crate) fn away(source: impl StdError + Send + Sync + 'static) -> Self {
        SourceError::Away { source: source.into() }
    }

    pub(crate) fn broken(what: impl Into<String>) -> Self {
        SourceError::Broken { what: what.into() }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            SourceError::Away { .. } => Kind::Away,
            SourceError::Timeout { .. } => Kind::Timeout,
            SourceError::Denied { .. } => Kind::Denied,
            SourceError::NoLedger => Kind::NoLedger,
            SourceError::Broken { .. } => Kind::Broken,
            SourceError::Url { .. } => Kind::Url,
        }
    }
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Away => "away",
            Kind::Timeout => "timeout",
            Kind::Denied => "denied",
            Kind::NoLedger => "no_ledger",
            Kind::Broken => "broken",
            Kind::Url => "url",
        }
    }
}
