//! What a snapshot is: a manifest over content-addressed parts, and a pointer to the newest manifest.
//!
//! ```text
//! snapshots/v1/<history>/parts/<blake3>.zst     a piece of the file, named after its content, compressed by itself
//! snapshots/v1/<history>/<seq>-<digest>.json    a manifest, named after its last entry; never changed
//! snapshots/v1/<history>/latest.json            a copy of the newest manifest, moved by a conditional put
//! ```
//!
//! Writers and readers agree here, and nowhere else, on names ([`Object`]), on what a manifest says ([`Manifest`]), on when
//! the pointer may move ([`may_move`]) and on what may be removed ([`expired`], [`unnamed`]). Pure, like the rest of this
//! crate: what the store holds comes in as values.
//!
//! Parts go first, then the manifest, then the pointer; whatever is removed was superseded [`GRACE`] ago. So whoever reads
//! the pointer finds all that it names, at any moment, whatever crashes.

mod content;
mod key;
mod manifest;
mod part;
mod pointer;
mod retain;
mod table;

pub use content::{Cell, Content};
pub use key::{KeyError, Object, ObjectKey, ROOT, history_of_pointer, root};
pub use manifest::{
    FORMAT, MAX_MANIFEST_BYTES, Manifest, ManifestError, Method, Scope, Signature, SnapshotFile,
};
pub use part::{FileDigest, PIECE_BYTES, Part, PartDigest, pieces};
pub use pointer::{Refused, may_move};
pub use retain::{GRACE, Retention, StoredManifest, StoredPart, expired, fresh, unnamed};
pub use table::{TableContent, TableDigest};

#[cfg(test)]
mod tests;
