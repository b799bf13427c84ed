//! Proves that the ledger is whole: every batch's entries are there, none was changed, and the chain leads to the head.

use ledger::{Chain, Seq};

use crate::session::Session;
use crate::{CtlDb, Error, Meta, meta};

/// A chain that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The first entry that was read; zero when there is none.
    pub first: Seq,
    /// The last entry; zero when there is none.
    pub last: Seq,
    /// How many were read.
    pub entries: u64,
}

/// A row of `ctlstore_batches`, as far as the chain needs it.
struct BatchEnd {
    first: Seq,
    last: Seq,
    chain: Chain,
}

const ACTION: &str = "verify the ledger";
const PAGE: u32 = 500;
/// Entries read at once: each may have [`crate::MAX_STATEMENT_BYTES`].
const ENTRIES: u32 = 32;

impl CtlDb {
    /// Reads the ledger from the first batch that is kept and follows the chain to its head.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or [`Error::ChainBroken`].
    pub async fn verify(&self) -> Result<Verified, Error> {
        let mut session = self.session().await?;
        loop {
            // The head first: what is appended meanwhile is not looked at.
            let meta = session.meta().await?;
            match session.verify(&meta).await {
                // What is missing was pruned while we read. The low water rises to the head at most.
                Err(Error::ChainBroken { .. })
                    if session.meta().await?.pruned_through > meta.pruned_through => {}
                verified => return verified,
            }
        }
    }
}

impl Session {
    async fn verify(&mut self, meta: &Meta) -> Result<Verified, Error> {
        let mut verified = Verified { first: Seq::ZERO, last: meta.pruned_through, entries: 0 };
        let mut chain = self.chain_at(meta.pruned_through).await?;
        loop {
            let batches = self.batches(verified.last, meta.last_seq()).await?;
            if batches.is_empty() {
                break;
            }
            for batch in &batches {
                chain = Some(self.follow(chain, batch, &mut verified).await?);
            }
        }
        self.check_count(meta, verified).await?;
        check_head(meta, chain.unwrap_or(Chain::GENESIS), verified)
    }
}

fn check_head(meta: &Meta, chain: Chain, verified: Verified) -> Result<Verified, Error> {
    match chain == meta.chain() {
        true => Ok(verified),
        false => {
            let what = "it does not lead to the head in ctlstore_meta".to_owned();
            Err(Error::ChainBroken { at: verified.last, what })
        }
    }
}

impl Session {
    /// The chain where pruning ended; none when its batch is gone too, and the first batch that is kept must be believed.
    async fn chain_at(&mut self, pruned_through: Seq) -> Result<Option<Chain>, Error> {
        if pruned_through == Seq::ZERO {
            return Ok(Some(Chain::GENESIS));
        }
        let sql = "SELECT first_seq, last_seq, chain FROM ctlstore_batches WHERE last_seq = ?";
        let rows = self.query(ACTION, sql, &[pruned_through.to_i64().into()]).await?;
        Ok(rows.first().map(read).transpose()?.map(|batch| batch.chain))
    }

    /// Are there entries that no batch wrote?
    async fn check_count(&mut self, meta: &Meta, verified: Verified) -> Result<(), Error> {
        let sql = "SELECT COUNT(*) FROM ctlstore_dml_ledger WHERE seq > ? AND seq <= ?";
        let params = [meta.pruned_through.to_i64().into(), meta.last_seq().to_i64().into()];
        let rows = self.query(ACTION, sql, &params).await?;
        match rows.first().map(|row| row.unsigned(0)).transpose()? {
            Some(count) if count != verified.entries => {
                let what = format!(
                    "{count} entries stand in the ledger, {} were written",
                    verified.entries
                );
                Err(Error::ChainBroken { at: verified.last, what })
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn batches(&mut self, after: Seq, through: Seq) -> Result<Vec<BatchEnd>, Error> {
        let sql = "SELECT first_seq, last_seq, chain FROM ctlstore_batches WHERE last_seq > ? AND last_seq <= ? ORDER BY last_seq LIMIT ?";
        let params = [after.to_i64().into(), through.to_i64().into(), i64::from(PAGE).into()];
        self.query(ACTION, sql, &params).await?.iter().map(read).collect()
    }

    async fn follow(
        &mut self,
        chain: Option<Chain>,
        batch: &BatchEnd,
        verified: &mut Verified,
    ) -> Result<Chain, Error> {
        let mut link = chain;
        let mut next = batch.first;
        while next <= batch.last {
            let left = u32::try_from(batch.last.since(next) + 1).unwrap_or(ENTRIES).min(ENTRIES);
            let before = next;
            for entry in self.entries(before.before(), left).await? {
                if entry.seq != next {
                    break;
                }
                link = link.map(|link| link.link(entry.digest()));
                next = next.next().unwrap_or(Seq::MAX);
                verified.entries += 1;
                if verified.first == Seq::ZERO {
                    verified.first = entry.seq;
                }
            }
            if next == before {
                let what = "the entry is missing".to_owned();
                return Err(Error::ChainBroken { at: next, what });
            }
        }
        verified.last = batch.last;
        match link {
            Some(link) if link != batch.chain => {
                let what =
                    "the batch that ends here holds other entries than were written".to_owned();
                Err(Error::ChainBroken { at: batch.last, what })
            }
            Some(_) | None => Ok(batch.chain),
        }
    }
}

fn read(row: &crate::connection::SqlRow) -> Result<BatchEnd, Error> {
    let corrupt = || Error::Corrupt { what: "a chain in ctlstore_batches".to_owned() };
    Ok(BatchEnd {
        first: meta::seq(row.int(0)?)?,
        last: meta::seq(row.int(1)?)?,
        chain: Chain::from_slice(row.bytes(2)?).ok_or_else(corrupt)?,
    })
}
