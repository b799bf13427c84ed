//! What may be removed from the store. Nothing is, sooner than [`GRACE`] after it was superseded: an upload that relies on a
//! part, and a download that is under way, end within that time.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::snapshot::{Object, PartDigest};
use crate::{Digest, LeaderTs, Seq};

/// How long nothing is removed after it was superseded. An upload or a download that takes half as long gives up.
pub const GRACE: Duration = Duration::from_secs(24 * 3600);

/// How many snapshots to keep. Both must be exceeded before one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many stay; the newest one always.
    pub count: usize,
    /// And those that are younger.
    pub age: Duration,
}

/// A manifest in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its last entry.
    pub seq: Seq,
    /// That entry's digest.
    pub digest: Digest,
    /// When it was written.
    pub modified: LeaderTs,
}

/// A part in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPart {
    /// Its name.
    pub digest: PartDigest,
    /// When it was written last.
    pub modified: LeaderTs,
}

/// The manifests that may go: neither among the newest ones nor young, and superseded [`GRACE`] ago. The one that the
/// pointer names, and those above it, stay in any case.
#[must_use]
pub fn expired(
    manifests: &[StoredManifest],
    pointer: (Seq, Digest),
    retention: Retention,
    now: LeaderTs,
) -> Vec<Object> {
    let mut newest_first = manifests.to_vec();
    newest_first.sort_by_key(|manifest| std::cmp::Reverse((manifest.seq, manifest.modified)));
    let mut gone = Vec::new();
    // What stands above the one looked at: superseded since the first of them was written.
    let mut superseded: Option<LeaderTs> = None;
    for (index, manifest) in newest_first.into_iter().enumerate() {
        let old = is_older(manifest.modified, retention.age, now);
        let settled = superseded.is_some_and(|since| is_older(since, GRACE, now));
        let below = manifest.seq < pointer.0;
        if index >= retention.count.max(1) && old && settled && below {
            gone.push(Object::Manifest(manifest.seq, manifest.digest));
        }
        superseded = Some(superseded.map_or(manifest.modified, |at| at.min(manifest.modified)));
    }
    gone
}

/// The parts that may go: named by no manifest that stays, and written [`GRACE`] ago.
#[must_use]
pub fn unnamed(
    parts: &[StoredPart],
    named: &BTreeSet<PartDigest>,
    now: LeaderTs,
) -> Vec<PartDigest> {
    let goes =
        |part: &&StoredPart| !named.contains(&part.digest) && is_older(part.modified, GRACE, now);
    parts.iter().filter(goes).map(|part| part.digest).collect()
}

/// May an upload that begins now rely on this part, which no manifest may name? Only if it stays for longer than any upload
/// takes; otherwise it is written again, and is new then.
#[must_use]
pub fn fresh(part: &StoredPart, now: LeaderTs) -> bool {
    !is_older(part.modified, GRACE / 2, now)
}

fn is_older(time: LeaderTs, age: Duration, now: LeaderTs) -> bool {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    now.as_micros().saturating_sub(time.as_micros()) > age
}
