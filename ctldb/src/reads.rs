//! Reads the ledger.

use ledger::{Entry, LeaderTs, Seq};

use crate::connection::SqlRow;
use crate::session::Session;
use crate::{CtlDb, Error, meta};

const ACTION: &str = "read the ledger";

impl CtlDb {
    /// Entries after a sequence, in order, at most so many.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn entries(&self, after: Seq, limit: u32) -> Result<Vec<Entry>, Error> {
        self.session().await?.entries(after, limit).await
    }
}

impl Session {
    pub(crate) async fn entries(&mut self, after: Seq, limit: u32) -> Result<Vec<Entry>, Error> {
        let time = self.dialect().leader_ts();
        let sql = format!(
            "SELECT seq, {time}, statement FROM ctlstore_dml_ledger WHERE seq > ? ORDER BY seq LIMIT ?"
        );
        let params = [after.to_i64().into(), i64::from(limit).into()];
        self.query(ACTION, &sql, &params).await?.iter().map(read).collect()
    }

    pub(crate) async fn entry(&mut self, seq: Seq) -> Result<Option<Entry>, Error> {
        let found = self.entries(seq.before(), 1).await?.pop();
        Ok(found.filter(|entry| entry.seq == seq))
    }

    /// The first sequence of the batch that ends here.
    pub(crate) async fn first_of_batch(&mut self, last: Seq) -> Result<Option<Seq>, Error> {
        let sql = "SELECT first_seq FROM ctlstore_batches WHERE last_seq = ?";
        let rows = self.query(ACTION, sql, &[last.to_i64().into()]).await?;
        rows.first().map(|row| meta::seq(row.int(0)?)).transpose()
    }
}

pub(crate) fn read(row: &SqlRow) -> Result<Entry, Error> {
    let seq = meta::seq(row.int(0)?)?;
    let leader_ts = row.optional(1, SqlRow::text)?.map(|text| {
        text.parse().map_err(|error: ledger::LeaderTsError| Error::Corrupt {
            what: format!("ledger entry {seq}: {error}"),
        })
    });
    Ok(Entry {
        seq,
        leader_ts: leader_ts.transpose()?.unwrap_or(LeaderTs::UNKNOWN),
        statement: row.text(2)?.to_owned(),
    })
}
