//! Writers that showed the right secret a moment ago. Their next batch need not be looked at before the ledger lock is
//! taken; under the lock it is judged all the same.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger::WriterName;

use crate::Credentials;
use crate::prepared::Prepared;

#[derive(Default)]
pub(crate) struct Acquaintances(Mutex<HashMap<WriterName, Seen>>);

struct Seen {
    /// Of the secret that was right.
    hash: String,
    at: Instant,
}

/// So long a writer is known, and so many at once.
const KNOWN: Duration = Duration::from_secs(10);
const MOST: usize = 4096;

impl Acquaintances {
    pub(crate) fn knows(&self, who: &Credentials) -> bool {
        let seen = self.seen();
        let Some(Seen { hash, at }) = seen.get(&who.writer) else { return false };
        who.secret.matches(hash) && at.elapsed() < KNOWN
    }

    /// Its batch was written.
    pub(crate) fn meet(&self, prepared: &Prepared) {
        let Some(claim) = &prepared.claim else { return };
        let Credentials { writer, secret } = &claim.credentials;
        let mut seen = self.seen();
        if seen.len() >= MOST {
            seen.retain(|_, seen| seen.at.elapsed() < KNOWN);
        }
        if seen.len() < MOST {
            seen.insert(writer.clone(), Seen { hash: secret.hash(), at: Instant::now() });
        }
    }

    /// Its batch was refused: the next one is looked at first.
    pub(crate) fn forget(&self, prepared: &Prepared) {
        if let Some(claim) = &prepared.claim {
            self.seen().remove(&claim.credentials.writer);
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<WriterName, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
