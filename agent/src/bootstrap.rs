//! How a node begins: with the LDB that it has, with a snapshot, with nothing, or not yet.

pub mod decide;
pub(crate) mod share;
