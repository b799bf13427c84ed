//! What was read under the ledger lock, with what was written since: kept with the connection for the batch that comes
//! next. Taking the lock counts it, and all that batches are judged by is changed under it. So whoever finds, under the
//! lock, that nobody else had it in between knows without another look that nothing changed. A restore into a running
//! server takes no lock: so the counter is raised only where it stands as we know it, and whatever else does not go well
//! with what is known from before is done again after a look.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ledger::LdbTable;

use crate::facts::{Facts, steps};
use crate::ledger_lock::Locked;
use crate::prepared::Prepared;
use crate::session::Session;
use crate::{Error, Limits};

pub(crate) struct Known {
    pub(crate) facts: Facts,
    /// How often the lock was taken, this time included; none where that is not told.
    clock: Option<u64>,
    /// When the oldest of it was read.
    read: Instant,
    /// Nobody else had the lock of late: it is worth coming without a look.
    alone: bool,
    /// Nothing of it was read under the lock that is held now.
    pub(crate) from_before: bool,
}

/// After this it is read again all the same, for the sake of rows that somebody changes by hand, without the lock.
const LASTS: Duration = Duration::from_millis(250);

impl Session {
    /// Takes the ledger lock as the first statement of a transaction and finds out, under it, what batches are judged by.
    /// When that must be read, it is in the same round trip, unless it was a surprise.
    pub(crate) async fn lock_and_look(
        &mut self,
        batches: &[Arc<Prepared>],
        reserved: &[&LdbTable],
    ) -> Result<Known, Error> {
        let now = SystemTime::now();
        let limits = self.options().limits;
        let known = self.forget().filter(|known| known.lasts(limits, now));
        let sure = |known: &Known| known.alone && known.facts.cover(batches);
        let sure = reserved.is_empty() && known.as_deref().is_some_and(sure);
        let looks = || steps(batches, limits, now);
        let reads = if sure { Vec::new() } else { looks() };
        let locked = match self.lock_ledger(reserved, &reads).await {
            Err(Error::NotMigrated) => return Err(self.why_not_migrated().await),
            locked => locked?,
        };
        let Locked { clock, mut outcomes } = locked;
        let stranger = known.is_none();
        let known = known.filter(|known| known.is_before(clock));
        // Who is new here takes it that nobody else writes.
        let alone = stranger || known.is_some();
        match known {
            Some(known) if sure => return Ok(known.at(clock, now)),
            None if sure => outcomes = self.look_again(&looks()).await?,
            Some(_) | None => {}
        }
        match Facts::read(outcomes, limits, now) {
            Ok(facts) => Ok(Known::read(clock, facts, known, alone)),
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }
}

impl Known {
    /// It was just read, and what was known before still holds.
    fn read(clock: Option<u64>, facts: Facts, before: Option<Box<Self>>, alone: bool) -> Self {
        let read = Instant::now();
        let mut known = Self { facts, clock, read, alone, from_before: false };
        // Where the ledger stands elsewhere, somebody restored another state.
        if let Some(before) = before.filter(|before| before.facts.meta == known.facts.meta) {
            let Self { facts, read, clock: _, alone: _, from_before: _ } = *before;
            if known.facts.absorb(facts) {
                known.read = read;
            }
        }
        known
    }

    fn at(self: Box<Self>, clock: Option<u64>, now: SystemTime) -> Self {
        let mut known = *self;
        (known.clock, known.from_before) = (clock, true);
        known.facts.now = now;
        known
    }

    fn lasts(&self, limits: Option<Limits>, now: SystemTime) -> bool {
        self.read.elapsed() < LASTS && self.facts.is_of_window(limits, now)
    }

    /// Is `clock` the next one, so that nobody else had the lock?
    fn is_before(&self, clock: Option<u64>) -> bool {
        self.clock.is_some_and(|own| own.checked_add(1) == clock)
    }
}
