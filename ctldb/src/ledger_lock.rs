//! The one lock under which the ledger is written: a row of the table `locks`, taken by the first statement of a
//! transaction. Whoever has it may decide by what it reads then.

use std::time::Instant;

use ledger::LdbTable;

use crate::dialect::{Dialect, quoted};
use crate::session::{Session, pause};
use crate::{Error, Fence, Meta};

const ACTION: &str = "take the ledger lock";
const LOCK: &str = "UPDATE locks SET clock = clock + 1 WHERE id = 'ledger'";

impl Session {
    /// Begins a transaction, takes the ledger lock as its first statement, and only then reads where the ledger stands
    /// and checks the fence. When it fails, no transaction is open.
    pub(crate) async fn begin_locked(&mut self, fence: Fence) -> Result<Meta, Error> {
        self.lock_ledger(&[]).await?;
        let meta = self.fenced(fence).await;
        if meta.is_err() {
            self.rollback().await;
        }
        meta
    }

    /// Begins a transaction that has the ledger lock. When it fails, none is open.
    ///
    /// An ALTER that waits for a reader makes everybody wait who comes after it; whoever would then hold the ledger lock
    /// already would stop all writers. So the right to write tables that are being altered is taken first. It reads
    /// nothing.
    pub(crate) async fn lock_ledger(&mut self, altered: &[&LdbTable]) -> Result<(), Error> {
        let deadline = self.deadline();
        loop {
            match self.try_lock(altered).await {
                Ok(()) => return Ok(()),
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

    async fn try_lock(&mut self, altered: &[&LdbTable]) -> Result<(), Error> {
        let locked = match (self.dialect(), altered) {
            (Dialect::Sqlite, _) | (Dialect::MySql, []) => {
                let locked = self.begin_with(Some(LOCK)).await;
                locked.map_err(|fault| Error::bookkeeping(ACTION, fault))?
            }
            (Dialect::MySql, altered) => {
                let begun = self.begin_with(None).await;
                begun.map_err(|fault| Error::statement("begin a transaction", fault))?;
                for table in altered {
                    let sql = format!("SELECT 1 FROM {} WHERE 1 = 0 FOR UPDATE", quoted(table));
                    let seen = self.look(&sql, &[]).await;
                    seen.map_err(|fault| {
                        Error::statement("reserve a table that is being altered", fault)
                    })?;
                }
                self.execute(ACTION, LOCK, &[]).await?
            }
        };
        match locked {
            0 => Err(Error::LedgerLock),
            _ => Ok(()),
        }
    }

    /// Where the ledger stands, if the fence still holds.
    pub(crate) async fn fenced(&mut self, fence: Fence) -> Result<Meta, Error> {
        let meta = self.meta().await?;
        match fence {
            Fence::Epoch(mine) if mine != meta.epoch => {
                Err(Error::Deposed { mine, current: meta.epoch })
            }
            Fence::Reign(mine) => self.still_reigns(mine).await.map(|()| meta),
            Fence::Epoch(_) | Fence::Open => Ok(meta),
        }
    }
}
