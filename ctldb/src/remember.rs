//! What a batch leaves behind besides its rows and entries: the counter of the ledger and what its writer wrote last.

use ledger::WriterName;

use crate::append::Appended;
use crate::connection::SqlValue;
use crate::dialect::Dialect;
use crate::session::Session;
use crate::{Batch, Error};

const ACTION: &str = "remember a writer's batch";

impl Session {
    /// `is_ours`: the writer has a row in `ctlstore_writers`.
    pub(crate) async fn remember(
        &mut self,
        batch: &Batch,
        digest: &[u8],
        appended: &Appended,
        is_ours: bool,
    ) -> Result<(), Error> {
        if is_ours && self.dialect() == Dialect::MySql {
            self.remember_at_once(batch, digest, appended).await?;
        } else {
            self.raise_counter(appended).await?;
            self.remember_batch(batch, digest, appended).await?;
        }
        self.pass("mutate: the batch was remembered")
    }

    /// One round trip in place of three, under the lock for which all writers wait.
    async fn remember_at_once(
        &mut self,
        batch: &Batch,
        digest: &[u8],
        appended: &Appended,
    ) -> Result<(), Error> {
        const SQL: &str = "UPDATE ctlstore_meta c JOIN ctlstore_writers w ON w.writer = ? SET c.last_seq = ?, c.last_digest = ?, c.chain = ?, w.last_digest = ?, w.last_seq = ? WHERE c.id = 1";
        const WITH_COOKIE: &str = "UPDATE ctlstore_meta c JOIN ctlstore_writers w ON w.writer = ? JOIN mutators m ON m.writer = w.writer SET c.last_seq = ?, c.last_digest = ?, c.chain = ?, w.last_digest = ?, w.last_seq = ?, m.cookie = ?, m.clock = m.clock + 1 WHERE c.id = 1";
        let last = &appended.last;
        let mut params: Vec<SqlValue> = vec![
            batch.credentials.writer.as_str().into(),
            last.seq.to_i64().into(),
            last.digest.as_bytes().as_slice().into(),
            last.chain.as_bytes().as_slice().into(),
            digest.into(),
            last.seq.to_i64().into(),
        ];
        params.extend(batch.cookie.as_deref().map(SqlValue::from));
        let sql = if batch.cookie.is_some() { WITH_COOKIE } else { SQL };
        match self.execute(ACTION, sql, &params).await? {
            // The rows were read under the lock that is held.
            0 => Err(Error::Corrupt { what: "the row of ctlstore_meta went away".to_owned() }),
            _ => Ok(()),
        }
    }

    async fn remember_batch(
        &mut self,
        batch: &Batch,
        digest: &[u8],
        appended: &Appended,
    ) -> Result<(), Error> {
        let writer: &WriterName = &batch.credentials.writer;
        let name = || writer.as_str().into();
        if let Some(cookie) = batch.cookie.as_deref() {
            let sql = "UPDATE mutators SET cookie = ?, clock = clock + 1 WHERE writer = ?";
            self.execute(ACTION, sql, &[cookie.into(), name()]).await?;
            self.pass("mutate: the cookie was written")?;
        }
        let params = [digest.into(), appended.last.seq.to_i64().into(), name()];
        let sql = "UPDATE ctlstore_writers SET last_digest = ?, last_seq = ? WHERE writer = ?";
        if self.execute(ACTION, sql, &params).await? == 0 {
            let sql =
                "INSERT INTO ctlstore_writers (last_digest, last_seq, writer) VALUES (?, ?, ?)";
            self.execute(ACTION, sql, &params).await?;
        }
        Ok(())
    }
}
