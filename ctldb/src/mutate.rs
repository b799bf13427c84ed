//! Writes a batch of rows. What can be refused without ctldb is refused first, then what needs no lock, then the rest
//! under the ledger lock.

use std::time::Instant;

use ledger::{LdbTable, Statement, framed};
use sha2::{Digest as _, Sha256};

use crate::append::Rendered;
use crate::facts::Facts;
use crate::session::{Session, pause};
use crate::writers::{Writer, check_cookie_length};
use crate::{
    Batch, Committed, CtlDb, Error, Fault, Fence, IntentKind, Meta, TableMutation, TableRecord,
};

const ACTION: &str = "write a batch";

/// A batch that was checked and rendered.
struct Prepared<'a> {
    batch: &'a Batch,
    rendered: Rendered,
    /// Of the statements: tells a repeated batch.
    digest: [u8; 32],
    tables: Vec<&'a LdbTable>,
}

/// What the writer's cookie says to a batch.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// It is in the ledger already; the writer did not get the answer.
    Repeated,
}

impl CtlDb {
    /// Writes a batch: all its rows or none, in the mirror tables and in the ledger.
    ///
    /// A batch whose commit got no answer is looked for in the ledger before anything is reported. A batch that is repeated
    /// with its cookies is recognised by its statements, also when its tables changed meanwhile; but rows that were checked
    /// against the changed table make other statements, and are a cookie conflict.
    ///
    /// # Errors
    /// The batch makes no sense, the writer may not, the cookie conflicts, a table is unknown, changed or busy, or ctldb
    /// is away. Nothing was written, except after [`Error::Unsure`], when nobody knows.
    pub async fn mutate(&self, batch: &Batch) -> Result<Committed, Error> {
        let prepared = Prepared::new(batch)?;
        let deadline = Instant::now() + self.options().patience;
        loop {
            match self.try_mutate(&prepared, deadline).await {
                Err(Error::Contended { .. }) if Instant::now() < deadline => pause().await,
                result => return result,
            }
        }
    }

    async fn try_mutate(
        &self,
        prepared: &Prepared<'_>,
        deadline: Instant,
    ) -> Result<Committed, Error> {
        let turn = self.writers_turn(deadline).await?;
        // Before the ledger lock: who may not write does not hold up those who may.
        let (session, mut altered) = self.look_first(prepared).await?;
        let mut session = session.with_turn(turn).with_deadline(deadline);
        let facts = loop {
            session.lock_ledger(&altered).await?;
            // Columns may be on their way since we looked; then the lock was taken in the wrong order.
            let now = session.look_at(prepared).await;
            match now {
                Ok((facts, now)) if now.iter().all(|table| altered.contains(table)) => break facts,
                Ok((_, now)) => altered = now,
                Err(error) => return session.end(ACTION, Err(error)).await,
            }
            session.rollback().await;
        };
        let result = session.write_batch(prepared, &facts).await;
        let attempted = result.as_ref().ok().copied();
        match (session.end(ACTION, result).await, attempted) {
            (Err(unsure @ Error::Unsure { .. }), Some(attempted)) => {
                drop(session);
                self.settle(attempted, unsure).await
            }
            (result, _) => result,
        }
    }

    /// The first look at what the batch is about is also the test of the connection, see [`CtlDb::session`].
    async fn look_first<'a>(
        &self,
        prepared: &Prepared<'a>,
    ) -> Result<(Session, Vec<&'a LdbTable>), Error> {
        let mut stale = self.options().max_connections;
        loop {
            let mut session = self.untested().await?;
            match session.look_at(prepared).await {
                Ok((_, altered)) => return Ok((session, altered)),
                Err(Error::Unavailable { source: Fault::Away(_), .. }) if stale > 0 => stale -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds out what became of a commit that got no answer. Whoever has the ledger lock knows that the transaction is
    /// over, for it held the lock.
    async fn settle(&self, attempted: Committed, unsure: Error) -> Result<Committed, Error> {
        let Ok(mut session) = self.write_session().await else { return Err(unsure) };
        if session.begin_locked(Fence::Open).await.is_err() {
            return Err(unsure);
        }
        let found = session.entry(attempted.mark.seq).await;
        session.rollback().await;
        match found {
            Ok(Some(entry)) if entry.digest() == attempted.mark.digest => Ok(attempted),
            // It was rolled back. As after a deadlock, the caller's loop writes it again.
            Ok(_) => match unsure {
                Error::Unsure { action, source } => Err(Error::Contended { action, source }),
                other => Err(other),
            },
            Err(_) => Err(unsure),
        }
    }
}

impl<'a> Prepared<'a> {
    fn new(batch: &'a Batch) -> Result<Self, Error> {
        let Batch { family, cookie, check_cookie, mutations, .. } = batch;
        for cookie in [cookie, check_cookie].into_iter().flatten() {
            check_cookie_length(cookie)?;
        }
        let mut tables: Vec<&LdbTable> = Vec::new();
        for TableMutation { schema, .. } in mutations {
            let table = schema.table();
            if table.family() != family {
                let (family, table) = (family.clone(), table.clone());
                return Err(Error::OtherFamily { family, table });
            }
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        let first = tables.first().ok_or(Error::EmptyBatch)?;
        let statement =
            |TableMutation { schema, mutation }: &TableMutation| mutation.statement(schema);
        let statements: Vec<Statement> = framed(mutations.iter().map(statement).collect());
        let rendered = Rendered::new(first, &statements)?;
        let mut digest = Sha256::new();
        for text in &rendered.texts {
            // With its length, so that no two batches run together to the same bytes.
            digest.update(text.len().to_string());
            digest.update([0]);
            digest.update(text);
        }
        Ok(Self { batch, digest: digest.finalize().into(), rendered, tables })
    }
}

impl Session {
    /// Reads what the batch is judged by, and checks the writer and the tables. Names those that are getting columns just
    /// now. What counts is what is read under the ledger lock.
    async fn look_at<'a>(
        &mut self,
        prepared: &Prepared<'a>,
    ) -> Result<(Facts, Vec<&'a LdbTable>), Error> {
        let Batch { family, credentials, .. } = prepared.batch;
        let facts = self.facts(credentials, &prepared.tables).await?;
        facts.writer.check_family(&credentials.writer, family)?;
        // A batch that is in the ledger already is recognised whatever became of its tables.
        let altered = match judge(prepared.batch, &facts.writer, &prepared.digest) {
            Ok(Verdict::Repeated) => Vec::new(),
            Ok(Verdict::Write) | Err(_) => altered(&facts.records, prepared)?,
        };
        Ok((facts, altered))
    }

    /// Under the ledger lock, by facts that were read under it.
    async fn write_batch(
        &mut self,
        prepared: &Prepared<'_>,
        facts: &Facts,
    ) -> Result<Committed, Error> {
        let Prepared { batch, rendered, digest, .. } = prepared;
        let Facts { meta, writer, .. } = facts;
        if judge(batch, writer, digest)? == Verdict::Repeated {
            return self.repeated(writer, meta).await;
        }
        self.write_rows(&batch.mutations).await?;
        let appended = self.append_entries(meta, rendered, &batch.author).await?;
        self.remember(batch, digest, &appended, writer.is_ours).await?;
        Ok(Committed { mark: appended.mark(), first_seq: appended.first, repeated: false })
    }

    /// Where the writer's last batch stands.
    async fn repeated(&mut self, writer: &Writer, meta: &Meta) -> Result<Committed, Error> {
        let corrupt = || Error::Corrupt { what: "a writer's digest without a sequence".to_owned() };
        let last = writer.last_seq.ok_or_else(corrupt)?;
        let mark = match self.entry(last).await? {
            Some(entry) => {
                ledger::Mark { history: meta.history, seq: last, digest: entry.digest() }
            }
            // Pruned since. The head is behind it, and whoever waits for the head waits long enough.
            None => meta.last.ok_or_else(corrupt)?.mark(),
        };
        let first_seq = self.first_of_batch(last).await?.unwrap_or(last);
        Ok(Committed { mark, first_seq, repeated: true })
    }
}

/// Checks the batch's tables against the registry; names those that are getting columns just now.
fn altered<'a>(
    records: &[TableRecord],
    prepared: &Prepared<'a>,
) -> Result<Vec<&'a LdbTable>, Error> {
    let mut altered = Vec::new();
    for table in &prepared.tables {
        let record = records.iter().find(|record| record.schema.table() == *table);
        let TableRecord { intent, .. } =
            record.ok_or_else(|| Error::TableNotFound((*table).clone()))?;
        match intent.as_ref().map(|intent| &intent.kind) {
            Some(IntentKind::Create | IntentKind::Drop) => {
                return Err(Error::SchemaBusy { table: (*table).clone() });
            }
            Some(IntentKind::AddColumns(_)) => altered.push(*table),
            None => {}
        }
    }
    let moved =
        |change: &&TableMutation| records.iter().all(|record| record.schema != *change.schema);
    match prepared.batch.mutations.iter().find(moved) {
        Some(change) => Err(Error::SchemaMoved(change.schema.table().clone())),
        None => Ok(altered),
    }
}

/// A retry is recognised only so: the batch checks a cookie and sets another, that other one is stored, and the writer's
/// last batch had the same statements. A client that sends one constant cookie for ever loses no batch.
fn judge(batch: &Batch, writer: &Writer, digest: &[u8]) -> Result<Verdict, Error> {
    let Some(check) = &batch.check_cookie else { return Ok(Verdict::Write) };
    if *check == writer.cookie {
        return Ok(Verdict::Write);
    }
    let same = writer.last_digest.as_deref() == Some(digest);
    match &batch.cookie {
        Some(cookie) if *cookie == writer.cookie && same => Ok(Verdict::Repeated),
        Some(_) | None => Err(Error::CookieConflict),
    }
}
