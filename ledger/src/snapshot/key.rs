//! Names of objects, built and read here only.

use std::fmt;

use crate::snapshot::PartDigest;
use crate::{Digest, History, Seq};

/// The name of an object in a store: segments of plain characters, so that it is a safe path of files too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// Text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name an object: use segments of letters, digits and -_.=+@ with a / between them"
)]
pub struct KeyError(String);

impl ObjectKey {
    /// A key that a user chose, as for a snapshot in the original's layout. Leading slashes are dropped, as the
    /// original does.
    ///
    /// # Errors
    /// It is empty, or has characters or segments that are no name of a file.
    pub fn chosen(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_start_matches('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=+@".contains(&byte);
        let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
        if text.len() <= 900 && text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError(text.to_owned()))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a history's folder in the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A piece of a file.
    Part(PartDigest),
    /// A manifest, by the last entry that its snapshot has.
    Manifest(Seq, Digest),
    /// The copy of the newest manifest.
    Pointer,
}

/// What the keys of all objects begin with.
pub const ROOT: &str = "snapshots/v1/";

/// What the keys of all objects of a history begin with.
#[must_use]
pub fn root(history: History) -> String {
    format!("{ROOT}{history}/")
}

/// The history whose pointer has this key.
#[must_use]
pub fn history_of_pointer(key: &str) -> Option<History> {
    let history = key.strip_prefix(ROOT)?.split('/').next()?.parse().ok()?;
    (Object::parse(history, key) == Some(Object::Pointer)).then_some(history)
}

impl Object {
    /// Its key.
    #[must_use]
    pub fn key(self, history: History) -> ObjectKey {
        let root = root(history);
        ObjectKey(match self {
            Object::Part(digest) => format!("{root}parts/{digest}.zst"),
            Object::Manifest(seq, digest) => format!("{root}{seq}-{digest}.json"),
            Object::Pointer => format!("{root}latest.json"),
        })
    }

    /// The object of this key; none when the key is not one that [`Object::key`] makes.
    #[must_use]
    pub fn parse(history: History, key: &str) -> Option<Self> {
        let name = key.strip_prefix(&root(history))?;
        let object = if name == "latest.json" {
            Object::Pointer
        } else if let Some(part) = name.strip_prefix("parts/") {
            Object::Part(part.strip_suffix(".zst")?.parse().ok()?)
        } else {
            let (seq, digest) = name.strip_suffix(".json")?.split_once('-')?;
            Object::Manifest(Seq::new(seq.parse().ok()?)?, digest.parse().ok()?)
        };
        // One object has one name: no capitals, no leading zeros.
        (object.key(history).as_str() == key).then_some(object)
    }
}
