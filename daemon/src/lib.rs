//! How a long-running process lives and dies.
