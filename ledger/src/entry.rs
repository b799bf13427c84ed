//! One entry of the ledger: its sequence, when its writer wrote it, and its text.

use serde::{Deserialize, Serialize};

use crate::{Digest, LeaderTs, Seq};

/// An entry. Never edited, only followed by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// When it was written.
    pub leader_ts: LeaderTs,
    /// Its text, see [`Statement`](crate::Statement).
    pub statement: String,
}

impl Entry {
    /// BLAKE3 of the sequence and the microseconds since 1970 (both 8 bytes, little-endian, the time signed) and the
    /// statement's UTF-8 bytes, in this order.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (seq, time) = (self.seq.get().to_le_bytes(), self.leader_ts.as_micros().to_le_bytes());
        let text = self.statement.as_bytes();
        let mut small = [0; 1024];
        // Twice as fast as pieces, and most entries are small.
        let hash = match small.get_mut(..16 + text.len()) {
            Some(whole) => {
                whole[..8].copy_from_slice(&seq);
                whole[8..16].copy_from_slice(&time);
                whole[16..].copy_from_slice(text);
                blake3::hash(whole)
            }
            None => blake3::Hasher::new().update(&seq).update(&time).update(text).finalize(),
        };
        Digest::from_bytes(*hash.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::entry;

    proptest! {
        #[test]
        fn every_part_of_an_entry_is_in_its_digest(entry in entry()) {
            let Entry { seq, leader_ts, statement } = entry.clone();
            let others = [
                Entry { seq: seq.before(), ..entry.clone() },
                Entry { leader_ts: LeaderTs::from_micros(leader_ts.as_micros() ^ 1), ..entry.clone() },
                Entry { statement: statement.clone() + " ", ..entry.clone() },
                Entry { statement: statement[1..].to_owned(), ..entry.clone() },
            ];
            for other in others {
                prop_assert_ne!(other.digest(), entry.digest());
            }
        }

        #[test]
        fn an_entry_survives_json(entry in entry()) {
            let json = serde_json::to_string(&entry).unwrap();
            prop_assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
        }
    }
}
