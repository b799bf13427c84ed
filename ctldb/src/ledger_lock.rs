//! The one lock under which the ledger is written: a row of the table `locks`, taken by the first statement of a
//! transaction. Whoever has it may decide by what it reads then.

use std::time::Instant;

use ledger::LdbTable;

use crate::connection::{Outcome, Step};
use crate::dialect::{Dialect, quoted};
use crate::session::{Session, pause};
use crate::{Error, Fence, Meta, meta};

const ACTION: &str = "take the ledger lock";
/// Counts, as the original. What was counted comes back with the answer where the database can do that.
const LOCK: &str = "UPDATE locks SET clock = clock + 1 WHERE id = 'ledger'";
const LOCK_MYSQL: &str = "UPDATE locks SET clock = LAST_INSERT_ID(clock + 1) WHERE id = 'ledger'";

/// The lock was taken.
pub(crate) struct Locked {
    /// How often it was, this time included; none where that is not told.
    pub(crate) clock: Option<u64>,
    /// Of the reads under it.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Session {
    /// Begins a transaction, takes the ledger lock as its first statement, and only then reads where the ledger stands
    /// and checks the fence. When it fails, no transaction is open.
    pub(crate) async fn begin_locked(&mut self, fence: Fence) -> Result<Meta, Error> {
        let meta = match self.lock_ledger(&[], &[Step::new(meta::select(), [])]).await {
            Ok(Locked { outcomes, clock: _ }) => self.meta_if(&outcomes, fence).await,
            Err(Error::NotMigrated) => return Err(self.why_not_migrated().await),
            Err(error) => return Err(error),
        };
        if meta.is_err() {
            self.rollback().await;
        }
        meta
    }

    async fn meta_if(&mut self, outcomes: &[Outcome], fence: Fence) -> Result<Meta, Error> {
        let row = outcomes.first().and_then(|outcome| outcome.rows.first());
        let meta = meta::checked(row.ok_or(Error::NotMigrated)?)?;
        self.check_fence(&meta, fence).await?;
        Ok(meta)
    }

    /// Begins a transaction that has the ledger lock, and reads under it. When it fails, none is open.
    ///
    /// An ALTER that waits for a reader makes everybody wait who comes after it; whoever would then hold the ledger lock
    /// already would stop all writers. So the right to write tables that are being altered is taken first. It reads
    /// nothing.
    pub(crate) async fn lock_ledger(
        &mut self,
        altered: &[&LdbTable],
        reads: &[Step],
    ) -> Result<Locked, Error> {
        let lock = match self.dialect() {
            Dialect::MySql => LOCK_MYSQL,
            Dialect::Sqlite => LOCK,
        };
        let mut steps = vec![Step::new(lock, [])];
        steps.extend_from_slice(reads);
        let (asked, deadline) = (Instant::now(), self.deadline());
        loop {
            match self.try_lock(altered, &steps).await {
                Ok(locked) => {
                    self.options().lock_waits.ended(asked.elapsed());
                    return Ok(locked);
                }
                Err(error) => {
                    self.rollback().await;
                    let patient = Instant::now() < deadline && !self.in_doubt();
                    if !(patient && matches!(error, Error::Contended { .. })) {
                        return Err(error);
                    }
                    pause().await;
                }
            }
        }
    }

    async fn try_lock(&mut self, altered: &[&LdbTable], steps: &[Step]) -> Result<Locked, Error> {
        let locked = match (self.dialect(), altered) {
            (Dialect::Sqlite, _) | (Dialect::MySql, []) => self.begin_with(steps).await,
            (Dialect::MySql, altered) => {
                let begun = self.begin_with(&[]).await;
                begun.map_err(|fault| Error::statement("begin a transaction", fault))?;
                for table in altered {
                    let sql = format!("SELECT 1 FROM {} WHERE 1 = 0 FOR UPDATE", quoted(table));
                    let seen = self.look(&sql, &[]).await;
                    seen.map_err(|fault| {
                        Error::statement("reserve a table that is being altered", fault)
                    })?;
                }
                self.script(steps).await
            }
        };
        let mut outcomes = locked.map_err(|fault| Error::bookkeeping(ACTION, fault))?;
        match outcomes.first() {
            Some(&Outcome { changed: 1.., given, .. }) => {
                Ok(Locked { clock: given, outcomes: outcomes.split_off(1) })
            }
            Some(_) | None => Err(Error::LedgerLock),
        }
    }

    /// Where the ledger stands, if the fence still holds.
    pub(crate) async fn fenced(&mut self, fence: Fence) -> Result<Meta, Error> {
        let meta = self.meta().await?;
        self.check_fence(&meta, fence).await?;
        Ok(meta)
    }

    pub(crate) async fn check_fence(&mut self, meta: &Meta, fence: Fence) -> Result<(), Error> {
        match fence {
            Fence::Epoch(mine) if mine != meta.epoch => {
                Err(Error::Deposed { mine, current: meta.epoch })
            }
            Fence::Reign(mine) => self.still_reigns(mine).await,
            Fence::Epoch(_) | Fence::Open => Ok(()),
        }
    }
}
