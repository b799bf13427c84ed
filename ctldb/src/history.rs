//! What an administrator does to the ledger as a whole: a new history after a restore, a new reign, a skipped entry.

use ledger::{History, Seq};

use crate::append::{cut, now};
use crate::session::Session;
use crate::{Author, CtlDb, Epoch, Error, Fence, Meta, Parent};

const NEW_HISTORY: &str = "start a new history";
const WIN: &str = "raise the operator's epoch";
const SKIP: &str = "skip a ledger entry";

impl CtlDb {
    /// Begins the reign of an operator: whoever reigned before may no longer write.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn win_epoch(&self) -> Result<Epoch, Error> {
        let mut session = self.write_session().await?;
        let meta = session.begin_locked(Fence::Open).await?;
        let epoch = Epoch::new(meta.epoch.get() + 1);
        let sql = "UPDATE ctlstore_meta SET epoch = epoch + 1 WHERE id = 1";
        let result = session.execute(WIN, sql, &[]).await.map(|_| epoch);
        session.end(WIN, result).await
    }

    /// Starts a new history after a restore: the next entry comes above `above` and above all that is there. Copies at
    /// or below the last entry follow on, others begin anew.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn new_history(&self, above: Seq, author: &Author) -> Result<History, Error> {
        let mut session = self.write_session().await?;
        let meta = session.begin_locked(Fence::Open).await?;
        let result = session.branch(&meta, above, author).await;
        let history = session.end(NEW_HISTORY, result).await?;
        tracing::warn!(
            %history, parent = %meta.history, parent_seq = %meta.last_seq(), %above,
            principal = author.principal, reason = author.reason, "a new history of the ledger begins"
        );
        Ok(history)
    }

    /// Lets agents apply an entry as empty: the way past one that they cannot apply.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or the entry is not in the ledger.
    pub async fn skip(&self, seq: Seq, reason: &str, author: &Author) -> Result<(), Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(Fence::Open).await?;
        let result = session.insert_skip(seq, reason, author).await;
        session.end(SKIP, result).await
    }
}

impl Session {
    async fn branch(&mut self, meta: &Meta, above: Seq, author: &Author) -> Result<History, Error> {
        const SQL: &str = "UPDATE ctlstore_meta SET history = ?, last_seq = ?, parent_history = ?, parent_seq = ?, parent_chain = ? WHERE id = 1";
        let history = History::Id(uuid::Uuid::new_v4());
        let parent = self.parent(meta).await?;
        let params = [
            history.to_string().into(),
            above.max(meta.last_seq()).to_i64().into(),
            parent.history.to_string().into(),
            parent.seq.to_i64().into(),
            parent.chain.as_bytes().as_slice().into(),
        ];
        self.execute(NEW_HISTORY, SQL, &params).await?;
        self.record_branch(history, meta, above, author).await?;
        Ok(history)
    }

    /// A new history writes no entry, so who began it is not in `ctlstore_batches`.
    async fn record_branch(
        &mut self,
        history: History,
        meta: &Meta,
        above: Seq,
        author: &Author,
    ) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO ctlstore_histories (history, began_at, last_before, next_after, principal, source_address, request_id, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let Author { writer: _, principal, source_address, request_id, reason } = author;
        let params = [
            history.to_string().into(),
            now().to_string().into(),
            meta.last_seq().to_i64().into(),
            above.max(meta.last_seq()).to_i64().into(),
            cut(principal, 191).into(),
            cut(source_address, 64).into(),
            cut(request_id, 64).into(),
            reason.as_deref().map(|reason| cut(reason, 1024)).into(),
        ];
        self.execute(NEW_HISTORY, SQL, &params).await.map(|_| ())
    }

    /// Which ledger the next history continues: this one, or, when nothing was written since it began, the one that it
    /// continues itself. So nobody begins anew because an administrator asked twice.
    async fn parent(&mut self, meta: &Meta) -> Result<Parent, Error> {
        let own = Parent { history: meta.history, seq: meta.last_seq(), chain: meta.chain() };
        let Some(parent) = meta.parent else { return Ok(own) };
        let sql = "SELECT COUNT(*) FROM ctlstore_batches WHERE first_seq > ?";
        let rows = self.query(NEW_HISTORY, sql, &[parent.seq.to_i64().into()]).await?;
        let written = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(if written == 0 { parent } else { own })
    }

    async fn insert_skip(&mut self, seq: Seq, reason: &str, author: &Author) -> Result<(), Error> {
        self.entry(seq).await?.ok_or(Error::SeqNotFound(seq))?;
        let sql = "REPLACE INTO ctlstore_skips (seq, reason, principal, at) VALUES (?, ?, ?, ?)";
        let params = [
            seq.to_i64().into(),
            cut(reason, 1024).into(),
            cut(&author.principal, 191).into(),
            now().to_string().into(),
        ];
        self.execute(SKIP, sql, &params).await.map(|_| ())
    }
}
