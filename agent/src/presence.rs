//! What the agent has to do with Kubernetes: it tells how far its node is, and asks whether it may rebuild.
//!
//! Nothing else of the agent waits for this. An API server that is away, slow or forbids is logged and tried again, and
//! replay, bootstrap and reads do not notice.

mod cluster;

pub use cluster::{Cluster, ClusterError};
