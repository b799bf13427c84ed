//! Which ledger, and where in it: histories, digests, the chain, positions.
//!
//! Dense numbers alone cannot show that a restored or failed-over database writes other entries under numbers that a
//! copy has applied already. So each ledger bears an id, its *history*; each entry has a *digest*; and the *chain*
//! folds all digests up to an entry into one value. Two copies with the same chain at the same sequence applied
//! the same entries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Seq;

/// The identity of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum History {
    /// A ledger of the original, which has no identity. Written `legacy`.
    Legacy,
    /// A ledger of ours.
    Id(Uuid),
}

impl fmt::Display for History {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            History::Legacy => out.write_str("legacy"),
            History::Id(id) => fmt::Display::fmt(id, out),
        }
    }
}

impl FromStr for History {
    type Err = MarkError;
    fn from_str(text: &str) -> Result<Self, MarkError> {
        match text {
            "legacy" => Ok(History::Legacy),
            // Without hyphens, in braces or in capitals a UUID is not what we wrote.
            _ => Uuid::parse_str(text)
                .map(History::Id)
                .ok()
                .filter(|history| history.to_string() == text)
                .ok_or(MarkError),
        }
    }
}

impl TryFrom<String> for History {
    type Error = MarkError;
    fn try_from(text: String) -> Result<Self, MarkError> {
        text.parse()
    }
}

impl From<History> for String {
    fn from(history: History) -> String {
        history.to_string()
    }
}

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: 64 hexadecimal digits expected")]
pub struct HexError;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// From a slice, which must have 32 bytes.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The 32 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                blake3::Hash::from_bytes(self.0).fmt(out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| HexError)
            }
        }

        impl TryFrom<String> for $name {
            type Error = HexError;
            fn try_from(text: String) -> Result<Self, HexError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(hash: $name) -> String {
                hash.to_string()
            }
        }
    };
}

hash!(
    /// The digest of one entry; see [`Entry::digest`](crate::Entry::digest).
    Digest
);
hash!(
    /// All digests up to an entry, folded: `c(n) = BLAKE3(c(n-1) || digest(n))`, and 32 zero bytes before the first.
    Chain
);

impl Chain {
    /// The chain before the first entry of the first history.
    pub const GENESIS: Chain = Chain([0; 32]);

    /// The chain after one more entry.
    #[must_use]
    pub fn link(self, digest: Digest) -> Self {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&self.0);
        both[32..].copy_from_slice(&digest.0);
        Self(*blake3::hash(&both).as_bytes())
    }
}

/// Where a copy stands: the last entry that it applied, and proof of all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The ledger.
    pub history: History,
    /// The last entry applied.
    pub seq: Seq,
    /// That entry's digest.
    pub digest: Digest,
    /// The chain at that entry.
    pub chain: Chain,
}

impl Position {
    /// What a client needs of it to wait for its own write.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { history: self.history, seq: self.seq, digest: self.digest }
    }
}

/// A position as clients carry it, in the header `ctlstore-position`: opaque to them, `history.seq.digest` to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mark {
    /// The ledger.
    pub history: History,
    /// The entry.
    pub seq: Seq,
    /// Its digest.
    pub digest: Digest,
}

/// Text that is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger position: pass on the value of a ctlstore-position header as it came")]
pub struct MarkError;

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.history, self.seq, self.digest)
    }
}

impl FromStr for Mark {
    type Err = MarkError;
    fn from_str(text: &str) -> Result<Self, MarkError> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(MarkError);
        let history = part()?.parse()?;
        let seq = part()?.parse().ok().and_then(Seq::new).ok_or(MarkError)?;
        let digest = part()?.parse().map_err(|_| MarkError)?;
        let mark = Self { history, seq, digest };
        // One position has one text: no signs, leading zeros or capitals.
        if mark.to_string() == text { Ok(mark) } else { Err(MarkError) }
    }
}

impl TryFrom<String> for Mark {
    type Error = MarkError;
    fn try_from(text: String) -> Result<Self, MarkError> {
        text.parse()
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> String {
        mark.to_string()
    }
}

#[cfg(test)]
mod tests;
