//! Reads a node's LDB.
