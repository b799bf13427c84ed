//! What is told of changes.

/// Flags about telling of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ChangesArgs {}
