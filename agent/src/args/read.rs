//! How reads are served.

/// Flags about serving reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ReadArgs {}
