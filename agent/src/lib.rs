//! Replays the ledger into the node's LDB.
