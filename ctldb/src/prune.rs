//! Removes old entries from the ledger. How far is decided in `retention`; here it is done so that nobody is harmed.
//!
//! * The low water is raised first, in a transaction of its own: an agent that needs what goes is told so before it is
//!   gone, and never reads a hole.
//! * Entries go in small batches, each under the ledger lock for a fraction of 100 ms; between two of them writers
//!   have it for longer than the batch had. Under the lock, because a ctldb that was restored meanwhile has another low
//!   water, and a deposed operator no say.
//! * The low water is always the end of a batch of `ctlstore_batches`, whose rows stay: from its chain on, the rest of the
//!   ledger still verifies. The last batch stays whole, so the last entry does.
//!
//! Killed anywhere, it leaves entries below the low water at worst. Nobody reads those, and the next time removes them.

use std::time::{Duration, Instant};

use ledger::{LeaderTs, Seq};

use crate::connection::SqlRow;
use crate::session::Session;
use crate::{CtlDb, Error, Fence, Meta, meta};

/// No batch should hold the ledger lock for longer.
const LONGEST: Duration = Duration::from_millis(100);

/// What pruning up to some sequence would remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prunable {
    /// The end of the last batch that goes; where the ledger was pruned to already, if none does.
    pub through: Seq,
    /// How many entries go, with those that an earlier pruning left behind.
    pub entries: u64,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Entries up to here are gone.
    pub through: Seq,
    /// How many went now.
    pub entries: u64,
    /// In how many batches.
    pub batches: u64,
    /// The longest time that one of them held the ledger lock.
    pub longest: Duration,
}

/// How many entries go at once: few at first, then as many as take about half of what is allowed.
#[derive(Debug)]
struct Pace(u64);

const ACTION: &str = "prune the ledger";
/// Even with statements as large as they can be these take no time.
const FIRST: u64 = 32;
/// When so few take long, it is the commit that does, and fewer would not be quicker.
const FEWEST: u64 = 8;
const MOST: u64 = 4096;
/// Entries whose times are read at once.
const PAGE: u32 = 20_000;

impl CtlDb {
    /// The last entry up to which all were written before `time`, by their own times; where the ledger was pruned to, if
    /// the first one that is left was written later.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn written_before(&self, time: LeaderTs) -> Result<Seq, Error> {
        const SQL: &str = "SELECT MAX(seq), MIN(CASE WHEN leader_ts IS NULL OR leader_ts >= ? THEN seq END) FROM (SELECT seq, leader_ts FROM ctlstore_dml_ledger WHERE seq > ? ORDER BY seq LIMIT ?) page";
        let mut session = self.session().await?;
        let mut through = session.meta().await?.pruned_through;
        loop {
            let params = [time.to_string().into(), through.to_i64().into(), i64::from(PAGE).into()];
            let rows = session.query(ACTION, SQL, &params).await?;
            let Some(row) = rows.first() else { return Ok(through) };
            if let Some(first_younger) = row.optional(1, SqlRow::int)? {
                return Ok(meta::seq(first_younger)?.before().max(through));
            }
            let Some(last) = row.optional(0, SqlRow::int)? else { return Ok(through) };
            through = meta::seq(last)?;
        }
    }

    /// What pruning up to `through` would remove. Changes nothing.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn prunable(&self, through: Seq) -> Result<Prunable, Error> {
        let mut session = self.session().await?;
        let meta = session.meta().await?;
        let through = session.low_water(&meta, through).await?;
        let entries = match session.first_entry(Seq::ZERO, through).await? {
            Some(first) => session.count_between(first.before(), through).await?,
            None => 0,
        };
        Ok(Prunable { through, entries })
    }

    /// Removes entries up to the end of the last whole batch at or below `through`, but never the last batch; also what
    /// an earlier pruning left behind. `seen` is the ledger of which it was decided that they may go.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the fence no longer holds, or [`Error::LedgerReplaced`]: this is not that ledger any
    /// more. What went is gone, and the rest goes next time.
    pub async fn prune(&self, through: Seq, seen: &Meta, fence: Fence) -> Result<Pruned, Error> {
        let through = self.raise_low_water(through, seen, fence).await?;
        self.options().crash.pass("prune: the low water was raised")?;
        let mut pruned = Pruned { through, entries: 0, batches: 0, longest: Duration::ZERO };
        let (mut after, mut pace) = (Seq::ZERO, Pace(FIRST));
        while let Some(first) = self.session().await?.first_entry(after, through).await? {
            let last = first.plus(pace.0 - 1).unwrap_or(Seq::MAX).min(through);
            let (entries, took) = self.remove((first, last), fence).await?;
            pruned.entries += entries;
            pruned.batches += 1;
            pruned.longest = pruned.longest.max(took);
            pace = pace.after(took);
            after = last;
            tokio::time::sleep(2 * took).await;
        }
        Ok(pruned)
    }

    /// Returns where it is then.
    async fn raise_low_water(&self, through: Seq, seen: &Meta, fence: Fence) -> Result<Seq, Error> {
        let mut session = self.write_session().await?;
        let meta = session.begin_locked(fence).await?;
        let result = session.raise_low_water(&meta, through, seen).await;
        session.end(ACTION, result).await
    }

    /// Returns how many went, and how long the ledger lock was held for it.
    async fn remove(
        &self,
        (first, last): (Seq, Seq),
        fence: Fence,
    ) -> Result<(u64, Duration), Error> {
        let mut session = self.write_session().await?;
        let meta = session.begin_locked(fence).await?;
        let since = Instant::now();
        // A ctldb that was restored under our hands still needs what is above its own low water.
        let last = last.min(meta.pruned_through);
        let sql = "DELETE FROM ctlstore_dml_ledger WHERE seq >= ? AND seq <= ?";
        let params = [first.to_i64().into(), last.to_i64().into()];
        let result = session.execute(ACTION, sql, &params).await;
        let removed = session.end(ACTION, result).await?;
        Ok((removed, since.elapsed()))
    }
}

impl Session {
    async fn raise_low_water(
        &mut self,
        meta: &Meta,
        through: Seq,
        seen: &Meta,
    ) -> Result<Seq, Error> {
        if !self.continues(meta, seen).await? {
            return Err(Error::LedgerReplaced);
        }
        let through = self.low_water(meta, through).await?;
        if through > meta.pruned_through {
            let sql = "UPDATE ctlstore_meta SET pruned_through = ? WHERE id = 1";
            self.execute(ACTION, sql, &[through.to_i64().into()]).await?;
        }
        Ok(through)
    }

    /// Is this still the ledger that was looked at, grown at most? After a restore, snapshots and nodes were compared with
    /// entries that are not there any more.
    async fn continues(&mut self, meta: &Meta, seen: &Meta) -> Result<bool, Error> {
        const SQL: &str = "SELECT chain FROM ctlstore_batches WHERE last_seq = ?";
        let Some(tip) = seen.last else { return Ok(true) };
        if meta.history != seen.history || meta.last == seen.last {
            return Ok(meta.history == seen.history);
        }
        let rows = self.query(ACTION, SQL, &[tip.seq.to_i64().into()]).await?;
        let chain = rows.first().map_or(Ok(None), |row| row.bytes(0).map(Some))?;
        Ok(chain.is_some_and(|chain| chain == tip.chain.as_bytes()))
    }

    /// Where the low water may be: the end of a batch that is not the last, and never lower than it is.
    async fn low_water(&mut self, meta: &Meta, through: Seq) -> Result<Seq, Error> {
        const SQL: &str = "SELECT MAX(last_seq) FROM ctlstore_batches WHERE last_seq <= ? AND last_seq < (SELECT MAX(last_seq) FROM ctlstore_batches)";
        let rows = self.query(ACTION, SQL, &[through.to_i64().into()]).await?;
        let end = rows.first().map_or(Ok(None), |row| row.optional(0, SqlRow::int))?;
        let end = end.map_or(Ok(Seq::ZERO), meta::seq)?;
        Ok(end.max(meta.pruned_through))
    }

    async fn first_entry(&mut self, after: Seq, through: Seq) -> Result<Option<Seq>, Error> {
        let sql = "SELECT MIN(seq) FROM ctlstore_dml_ledger WHERE seq > ? AND seq <= ?";
        let rows =
            self.query(ACTION, sql, &[after.to_i64().into(), through.to_i64().into()]).await?;
        let first = rows.first().map_or(Ok(None), |row| row.optional(0, SqlRow::int))?;
        first.map(meta::seq).transpose()
    }
}

impl Pace {
    fn after(self, took: Duration) -> Self {
        let Self(entries) = self;
        Self(if took <= LONGEST * 2 / 5 {
            (entries * 2).min(MOST)
        } else if took >= LONGEST * 3 / 5 {
            (entries / 2).max(FEWEST)
        } else {
            entries
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_until_they_take_half_of_the_time_and_shrink_when_they_take_longer() {
        // What an entry costs, and a commit, in microseconds.
        for (entry, commit) in [(0, 100), (1, 1000), (20, 5000), (500, 5000), (2500, 10_000)] {
            let (mut pace, mut gone) = (Pace(FIRST), 0);
            for _ in 0..20 {
                let took = Duration::from_micros(commit + entry * pace.0);
                assert!(took < LONGEST, "{entry} {commit}: {} take {took:?}", pace.0);
                gone += pace.0;
                pace = pace.after(took);
            }
            // At a third of the time for us, at least this many.
            let floor = 20 * 20_000 / (entry + 1);
            assert!(gone >= floor.min(20 * MOST / 2), "{entry} {commit}: {gone}");
        }
        // A disk that became slow, and a commit that takes the time by itself.
        let mut pace = Pace(MOST);
        for _ in 0..20 {
            pace = pace.after(LONGEST);
        }
        assert_eq!(pace.0, FEWEST);
    }
}
