//! Writes a batch of rows. What can be refused without ctldb is refused first, then what needs no lock, then the rest
//! under the ledger lock.

use std::time::Instant;

use ledger::{LdbTable, Statement, framed};
use sha2::{Digest as _, Sha256};

use crate::append::Rendered;
use crate::session::{Session, pause};
use crate::writers::{Writer, check_cookie_length};
use crate::{Batch, Committed, CtlDb, Error, Fence, IntentKind, Meta, TableMutation, TableRecord};

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
    /// A batch whose commit got no answer is looked for in the ledger before anything is reported.
    ///
    /// # Errors
    /// The batch makes no sense, the writer may not, the cookie conflicts, a table is unknown, changed or busy, or ctldb
    /// is away. Nothing was written, except after [`Error::Unsure`], when nobody knows.
    pub async fn mutate(&self, batch: &Batch) -> Result<Committed, Error> {
        let prepared = Prepared::new(batch)?;
        let start = Instant::now();
        loop {
            match self.try_mutate(&prepared).await {
                Err(Error::Contended { .. }) if start.elapsed() < self.options().patience => {
                    pause().await;
                }
                result => return result,
            }
        }
    }

    async fn try_mutate(&self, prepared: &Prepared<'_>) -> Result<Committed, Error> {
        let mut session = self.session().await?;
        let Batch { family, credentials, .. } = prepared.batch;
        let writer = session.authenticate(credentials).await?;
        writer.check_family(&credentials.writer, family)?;
        let mut altered = session.altered(prepared).await?;
        let meta = loop {
            let meta = session.begin_locked_beside(Fence::Open, &altered).await?;
            // Columns may be on their way since we looked; then the lock was taken in the wrong order.
            let now = session.altered(prepared).await;
            match now {
                Ok(now) if now.iter().all(|table| altered.contains(table)) => break meta,
                Ok(now) => altered = now,
                Err(error) => return session.end(ACTION, Err(error)).await,
            }
            session.rollback().await;
        };
        let result = session.write_batch(prepared, &meta).await;
        let attempted = result.as_ref().ok().copied();
        match (session.end(ACTION, result).await, attempted) {
            (Err(unsure @ Error::Unsure { .. }), Some(attempted)) => {
                drop(session);
                self.settle(attempted, unsure).await
            }
            (result, _) => result,
        }
    }

    /// Finds out what became of a commit that got no answer. Whoever has the ledger lock knows that the transaction is
    /// over, for it held the lock.
    async fn settle(&self, attempted: Committed, unsure: Error) -> Result<Committed, Error> {
        let Ok(mut session) = self.session().await else { return Err(unsure) };
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
    /// Checks the batch's tables against the registry; names those that are getting columns just now.
    async fn altered<'a>(&mut self, prepared: &Prepared<'a>) -> Result<Vec<&'a LdbTable>, Error> {
        let records = self.records(&prepared.tables).await?;
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

    async fn write_batch(
        &mut self,
        prepared: &Prepared<'_>,
        meta: &Meta,
    ) -> Result<Committed, Error> {
        let Prepared { batch, rendered, digest, .. } = prepared;
        // Again, for only what is read under the lock counts.
        let writer = self.authenticate(&batch.credentials).await?;
        if judge(batch, &writer, digest)? == Verdict::Repeated {
            return self.repeated(&writer, meta).await;
        }
        for change in &batch.mutations {
            self.write_row(change).await?;
        }
        let appended = self.append(meta, rendered, &batch.author).await?;
        let name = &batch.credentials.writer;
        let left = (digest.as_slice(), appended.last.seq);
        self.remember_batch(name, batch.cookie.as_deref(), left).await?;
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
