//! The ledger as people look at it: entries with who wrote them and why, and how large it is.

use ledger::{Chain, Entry, LeaderTs, Position, Seq, WriterName};

use crate::connection::SqlRow;
use crate::dialect::Dialect;
use crate::session::Session;
use crate::{Author, CtlDb, Error, meta};

/// A row of `ctlstore_batches`: what was committed together, and who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    /// Its first entry.
    pub first_seq: Seq,
    /// Its last entry.
    pub last_seq: Seq,
    /// The chain at its last entry.
    pub chain: Chain,
    /// Who wrote it, from where, and why.
    pub author: Author,
    /// Rows that it wrote.
    pub upserts: u64,
    /// Rows that it deleted.
    pub deletes: u64,
}

/// An entry, with the batch that it came in; one that the original wrote came in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRecord {
    /// The entry.
    pub entry: Entry,
    /// Its batch.
    pub batch: Option<BatchRecord>,
}

/// How large ctldb is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerStats {
    /// The last entry; none while the ledger is empty.
    pub head: Option<Position>,
    /// When that was written.
    pub last_at: Option<LeaderTs>,
    /// Entries that are still there.
    pub entries: u64,
    /// What the ledger takes on disk, as far as the database tells.
    pub bytes: u64,
    /// Tables of the registry.
    pub tables: u64,
}

const ACTION: &str = "read the ledger";
const COLUMNS: &str = "first_seq, last_seq, chain, writer, principal, source_address, request_id, reason, upserts, deletes";

impl CtlDb {
    /// Entries after a sequence, in order, at most so many, each with who wrote it.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn ledger(&self, after: Seq, limit: u32) -> Result<Vec<LedgerRecord>, Error> {
        let mut session = self.session().await?;
        let entries = session.entries(after, limit).await?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(Vec::new());
        };
        let mut batches = session.batch_records(first.seq, last.seq).await?.into_iter().peekable();
        let with_batch = |entry: Entry| {
            while batches.next_if(|batch| batch.last_seq < entry.seq).is_some() {}
            let batch = batches.peek().filter(|batch| batch.first_seq <= entry.seq).cloned();
            LedgerRecord { entry, batch }
        };
        Ok(entries.into_iter().map(with_batch).collect())
    }

    /// How large the ledger is, and how many tables there are.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn ledger_stats(&self) -> Result<LedgerStats, Error> {
        let mut session = self.session().await?;
        let meta = session.meta().await?;
        let last_at = session.entry(meta.last_seq()).await?.map(|entry| entry.leader_ts);
        let sql = "SELECT COUNT(*) FROM ctlstore_tables WHERE schema_seq > 0";
        let tables = session.one_number(sql).await?;
        Ok(LedgerStats {
            head: meta.last,
            last_at,
            entries: session.count_between(meta.pruned_through, meta.last_seq()).await?,
            bytes: session.ledger_bytes().await?,
            tables,
        })
    }
}

impl Session {
    /// The batches that have an entry in this range, in order.
    pub(crate) async fn batch_records(
        &mut self,
        first: Seq,
        last: Seq,
    ) -> Result<Vec<BatchRecord>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM ctlstore_batches WHERE last_seq >= ? AND first_seq <= ? ORDER BY last_seq"
        );
        let params = [first.to_i64().into(), last.to_i64().into()];
        self.query(ACTION, &sql, &params).await?.iter().map(read).collect()
    }

    /// Entries after `after`, up to `through`. Sequences are dense, except where a new history began: counting rows would
    /// read the whole ledger.
    pub(crate) async fn count_between(&mut self, after: Seq, through: Seq) -> Result<u64, Error> {
        let sql = "SELECT COALESCE(SUM(next_after - last_before), 0) FROM ctlstore_histories WHERE last_before >= ? AND next_after <= ?";
        let sql = match self.dialect() {
            Dialect::MySql => {
                sql.replace("COALESCE(", "CAST(COALESCE(").replace(", 0)", ", 0) AS SIGNED)")
            }
            Dialect::Sqlite => sql.to_owned(),
        };
        let params = [after.to_i64().into(), through.to_i64().into()];
        let rows = self.query(ACTION, &sql, &params).await?;
        let skipped = rows.first().map_or(Ok(0), |row| row.unsigned(0))?;
        Ok(through.since(after).saturating_sub(skipped))
    }

    async fn ledger_bytes(&mut self) -> Result<u64, Error> {
        self.fresh_statistics().await?;
        let sql = match self.dialect() {
            Dialect::MySql => {
                "SELECT CAST(data_length + index_length AS SIGNED) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'ctlstore_dml_ledger'"
            }
            Dialect::Sqlite => {
                "SELECT SUM(pgsize) FROM dbstat WHERE name = 'ctlstore_dml_ledger' AND aggregate = TRUE"
            }
        };
        self.one_number(sql).await
    }

    async fn one_number(&mut self, sql: &str) -> Result<u64, Error> {
        let rows = self.query(ACTION, sql, &[]).await?;
        rows.first()
            .map_or(Ok(None), |row| row.optional(0, SqlRow::unsigned))
            .map(Option::unwrap_or_default)
    }
}

fn read(row: &SqlRow) -> Result<BatchRecord, Error> {
    let corrupt = |what: String| Error::Corrupt { what: format!("ctlstore_batches: {what}") };
    let writer = row.optional(3, SqlRow::text)?.map(WriterName::parse);
    Ok(BatchRecord {
        first_seq: meta::seq(row.int(0)?)?,
        last_seq: meta::seq(row.int(1)?)?,
        chain: Chain::from_slice(row.bytes(2)?).ok_or_else(|| corrupt("a chain".to_owned()))?,
        author: Author {
            writer: writer.transpose().map_err(|error| corrupt(error.to_string()))?,
            principal: row.text(4)?.to_owned(),
            source_address: row.text(5)?.to_owned(),
            request_id: row.text(6)?.to_owned(),
            reason: row.optional(7, SqlRow::text)?.map(str::to_owned),
        },
        upserts: row.unsigned(8)?,
        deletes: row.unsigned(9)?,
    })
}
