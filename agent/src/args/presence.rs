//! What the agent tells Kubernetes of itself.

/// Flags about presence in Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct PresenceArgs {}
