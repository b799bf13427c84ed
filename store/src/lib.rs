//! Where snapshots are kept: an S3 bucket or a folder, behind one trait with one conformance suite.
//!
//! A store knows objects by [`ObjectKey`], which only `ledger::snapshot` makes, and nothing about what is in them; a
//! [`Catalog`] reads what one history has there. Answers are whole or an error: a body that ends early, stalls or is longer than it
//! said is [`StoreError::is_unavailable`]. What came whole may still be wrong; callers check digests.

mod catalog;
mod clock;
mod error;
mod file;
mod location;
mod rate;
mod s3;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ledger::LeaderTs;
use ledger::snapshot::ObjectKey;

pub use catalog::{Catalog, CatalogError, Pointer};
pub use clock::now;
pub(crate) use error::Said;
pub use error::{Kind, StoreError};
pub use file::FileStore;
pub use location::{Location, LocationError, S3Location};
pub use rate::Rate;
pub use s3::S3Store;

/// What stands for the content of an object, for conditional puts: an ETag. Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// An object, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Of the content.
    pub tag: Tag,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its size.
    pub bytes: u64,
    /// When it was written last, by the store's clock.
    pub modified: LeaderTs,
    /// Its `checksum` metadata, which the original writes. Folders keep none.
    pub checksum: Option<String>,
}

/// An object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key, as text: others may have put there what we never name.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written last.
    pub modified: LeaderTs,
}

/// When a put may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Nothing is there.
    Absent,
    /// This is there.
    Is(Tag),
}

/// A store. Each call is bounded in time and retries what passes by itself; none is repeated once it was refused.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Where it is, for messages: without credentials.
    fn place(&self) -> String;

    /// Reads an object whole, up to `limit` bytes.
    async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Found, StoreError>;

    /// Reads up to `bytes` bytes from `offset` on; fewer only at the object's end. At or past the end there are none.
    async fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, StoreError>;

    /// Looks at an object.
    async fn head(&self, key: &ObjectKey) -> Result<Stat, StoreError>;

    /// Writes an object, whole or not at all. A condition that does not hold is [`StoreError::is_changed`]; so may be a
    /// put that was done, if the answer was lost: read again, decide again.
    async fn put(&self, key: &ObjectKey, body: Vec<u8>, when: Condition) -> Result<(), StoreError>;

    /// Writes a file of any size as an object, with its `checksum` metadata, no faster than this.
    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &Path,
        checksum: &str,
        rate: Rate,
    ) -> Result<(), StoreError>;

    /// Shows all objects whose keys begin with `prefix`, in no order.
    async fn list(
        &self,
        prefix: &str,
        each: &mut (dyn FnMut(Listed) + Send),
    ) -> Result<(), StoreError>;

    /// Removes an object; one that is not there is fine.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError>;
}

/// The store at this place. Touches neither network nor disk: an agent that needs no snapshot pays for no client.
#[must_use]
pub fn open(location: &Location) -> Arc<dyn Store> {
    match location {
        Location::S3(location) => Arc::new(S3Store::new((**location).clone())),
        Location::File(dir) => Arc::new(FileStore::new(dir.clone())),
    }
}
