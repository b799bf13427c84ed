//! Takes snapshots of an LDB to a store, and gets them back.
//!
//! Files in the order a byte travels: `piece` (cut, digest, compress), `upload` (parts, then the manifest, then the
//! pointer), `store::Catalog` (what the store has), `download` (parts in parallel into one file, then everything is checked),
//! `collect` (what may go). `original` is the layout of the original, one object.
//!
//! What of it takes the processor runs behind all else (`priority`). It works on files that nobody writes. Freezing a live LDB, and switching to a downloaded one, is up to the LDB.

mod collect;
mod download;
mod error;
mod original;
mod piece;
mod priority;
mod upload;

pub use collect::{Collected, collect};
pub use download::{Download, Progress, space};
pub use error::SnapshotError;
pub use original::{place as original_place, read as read_original, write as write_original};
pub(crate) use priority::behind_all_others;
pub use store::{Catalog, Pointer, Rate};
pub use upload::{Frozen, Outcome, Published, Upload};

pub use crate::ldb::contents;
