//! Finishes schema changes that were written down: ours right away, those of others that died on the way as they were
//! written.

use ledger::{LdbTable, Statement};

use crate::append::Rendered;
use crate::ddl::Patience;
use crate::schema_change::widened;
use crate::session::Session;
use crate::{Applied, CtlDb, Error, Fence, Intent, IntentKind, Live, Meta, TableRecord};

const ACTION: &str = "finish a schema change";
const WITHDRAW: &str = "withdraw a schema change";

impl CtlDb {
    /// Finishes all outstanding schema changes; names those that it finished. One that must wait, or that this database
    /// user may not make, stays for the next time and is logged.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or the fence no longer holds.
    pub async fn finish_intents(&self, fence: Fence) -> Result<Vec<LdbTable>, Error> {
        let mut session = self.session().await?;
        // Most of the time there is nothing to do, and then nobody need wait for the schema lock.
        session.fenced(fence).await?;
        if session.unfinished().await?.is_empty() {
            return Ok(Vec::new());
        }
        drop(session);
        let mut session = self.schema_session(ACTION).await?;
        let mut finished = Vec::new();
        for record in session.unfinished().await? {
            if session.finish_other(&record, fence).await? {
                finished.push(record.schema.table().clone());
            }
        }
        Ok(finished)
    }
}

impl Session {
    /// Before a change of ours: finishes what others left. Only what concerns the same table keeps ours from going on.
    pub(crate) async fn finish_others(
        &mut self,
        table: &LdbTable,
        fence: Fence,
    ) -> Result<(), Error> {
        self.fenced(fence).await?;
        for record in self.unfinished().await? {
            if record.schema.table() == table {
                self.clear_the_way(&record, fence).await?;
            } else {
                self.finish_other(&record, fence).await?;
            }
        }
        Ok(())
    }

    /// Finishes the change that we have just written down. What the database will never do is withdrawn.
    pub(crate) async fn finish_own(
        &mut self,
        record: &TableRecord,
        fence: Fence,
    ) -> Result<Applied, Error> {
        match self.finish(record, fence, Patience::Ours).await {
            Err(error @ Error::Database { .. }) => {
                Err(self.withdraw_after(record, fence, error).await)
            }
            Err(Error::SchemaBusy { table }) => self.finished_by_another(record, table).await,
            result => result,
        }
    }

    /// Finishes what somebody left at the table of ours. That it was withdrawn is as good: the way is free.
    async fn clear_the_way(&mut self, record: &TableRecord, fence: Fence) -> Result<(), Error> {
        let table = record.schema.table();
        let Err(error) = self.finish(record, fence, Patience::Ours).await else { return Ok(()) };
        if !matches!(error, Error::Ddl { .. } | Error::Foreign { .. }) {
            return Err(error);
        }
        match self.record(table).await? {
            Some(TableRecord { intent: Some(_), .. }) => Err(error),
            Some(_) | None => {
                tracing::warn!(%table, %error, "an unfinished schema change was withdrawn");
                Ok(())
            }
        }
    }

    /// False: it stays as it is.
    async fn finish_other(&mut self, record: &TableRecord, fence: Fence) -> Result<bool, Error> {
        let table = record.schema.table();
        match self.finish(record, fence, Patience::Theirs).await {
            Ok(_) => Ok(true),
            // Where nobody can write the ledger, no other change can be finished either.
            Err(
                error @ (Error::Crashed(_) | Error::Deposed { .. } | Error::LedgerTaken { .. }),
            ) => Err(error),
            Err(error) if error.is_unavailable() => Err(error),
            Err(error) => {
                tracing::warn!(%table, %error, "an unfinished schema change cannot be finished now");
                Ok(false)
            }
        }
    }

    /// Our intent is gone. Another process on the same file saw it and was faster; or it withdrew what cannot be.
    async fn finished_by_another(
        &mut self,
        record: &TableRecord,
        table: LdbTable,
    ) -> Result<Applied, Error> {
        let last = self.meta().await?.last;
        let now = self.record(&table).await?;
        let schema_seq = match (&intent(record)?.kind, &now) {
            (IntentKind::Drop, None) => last.map(|last| last.seq),
            (IntentKind::Create, Some(now)) => Some(now.schema_seq),
            (IntentKind::AddColumns(columns), Some(now))
                if columns.iter().all(|column| now.schema.columns().contains(column)) =>
            {
                Some(now.schema_seq)
            }
            _ => None,
        };
        match (last, schema_seq) {
            // The change stands at this place of the ledger or before it.
            (Some(last), Some(schema_seq)) => Ok(Applied { mark: last.mark(), schema_seq }),
            _ => Err(Error::SchemaBusy { table }),
        }
    }

    async fn finish(
        &mut self,
        record: &TableRecord,
        fence: Fence,
        patience: Patience,
    ) -> Result<Applied, Error> {
        match self.carry_out(record, fence, patience).await {
            Err(error @ (Error::Ddl { .. } | Error::Foreign { .. })) => {
                Err(self.withdraw_after(record, fence, error).await)
            }
            result => result,
        }
    }

    async fn carry_out(
        &mut self,
        record: &TableRecord,
        fence: Fence,
        patience: Patience,
    ) -> Result<Applied, Error> {
        let intent = intent(record)?;
        self.pass("change: before the DDL")?;
        if !self.dialect().ddl_in_transaction() {
            // The connection holds the schema lock; whoever was deposed meanwhile stops here.
            self.fenced(fence).await?;
            self.alter(record, &intent.kind, patience).await?;
        }
        self.pass("change: after the DDL")?;
        let meta = self.begin_locked(fence).await?;
        let result = self.conclude(&meta, record, intent).await;
        self.end(ACTION, result).await
    }

    /// Ledger, registry and the end of the intent, in one transaction.
    async fn conclude(
        &mut self,
        meta: &Meta,
        record: &TableRecord,
        intent: &Intent,
    ) -> Result<Applied, Error> {
        let table = record.schema.table();
        let now = self.record(table).await?;
        let owned = |now: &TableRecord| now.intent.as_ref().is_some_and(|now| now.id == intent.id);
        let Some(mut now) = now.filter(owned) else {
            // Another process on the same file was faster.
            return Err(Error::SchemaBusy { table: table.clone() });
        };
        if self.dialect().ddl_in_transaction() {
            // It waits for nobody: the transaction has the whole file.
            self.alter(&now, &intent.kind, Patience::Theirs).await?;
            self.pass("change: the DDL, inside the transaction")?;
        }
        let rendered = Rendered::new(table, &statements(&now, &intent.kind))?;
        let appended = self.append(meta, &rendered, &intent.author).await?;
        match &intent.kind {
            IntentKind::Drop => {
                self.remove_record(ACTION, table).await?;
                self.forget_limit(table).await?;
                self.forget_size(table).await?;
            }
            IntentKind::Create => {}
            IntentKind::AddColumns(columns) => now.schema = widened(&now.schema, columns)?,
        }
        if intent.kind != IntentKind::Drop {
            now.schema_seq = appended.last.seq;
            now.intent = None;
            self.put_record(ACTION, &now).await?;
        }
        self.pass("change: the registry was written")?;
        Ok(Applied { mark: appended.mark(), schema_seq: appended.last.seq })
    }

    /// Withdraws what was refused; says why it was refused, whatever becomes of the withdrawal.
    async fn withdraw_after(&mut self, record: &TableRecord, fence: Fence, why: Error) -> Error {
        let table = record.schema.table();
        match self.withdraw(record, fence).await {
            Ok(()) => why,
            Err(crashed @ Error::Crashed(_)) => crashed,
            Err(error) => {
                tracing::warn!(%table, %error, "a schema change that was refused stays in the registry");
                why
            }
        }
    }

    /// Takes the intent back, if the database shows that the change was not made. Else it stays: the change is only not
    /// in the ledger yet, and whoever comes next writes it there.
    async fn withdraw(&mut self, record: &TableRecord, fence: Fence) -> Result<(), Error> {
        let intent = intent(record)?;
        if is_done(&self.live(record.schema.table()).await?, record, &intent.kind) {
            return Ok(());
        }
        self.begin_locked(fence).await?;
        let result = self.remove_intent(record.schema.table(), intent).await;
        self.end(WITHDRAW, result).await
    }

    async fn remove_intent(&mut self, table: &LdbTable, intent: &Intent) -> Result<(), Error> {
        let Some(mut now) = self.record(table).await? else { return Ok(()) };
        if now.intent.as_ref().is_none_or(|now| now.id != intent.id) {
            return Ok(());
        }
        match intent.kind {
            IntentKind::Create => self.remove_record(WITHDRAW, table).await,
            IntentKind::AddColumns(_) | IntentKind::Drop => {
                now.intent = None;
                self.put_record(WITHDRAW, &now).await
            }
        }
    }
}

fn intent(record: &TableRecord) -> Result<&Intent, Error> {
    let corrupt = || Error::Corrupt { what: "an unfinished change without an intent".to_owned() };
    record.intent.as_ref().ok_or_else(corrupt)
}

/// Is the table as it is after the change? Several columns come all at once or not at all.
fn is_done(live: &Live, record: &TableRecord, kind: &IntentKind) -> bool {
    match (kind, live) {
        (IntentKind::Create, Live::Table(now)) => *now == record.schema,
        (IntentKind::AddColumns(columns), Live::Table(now)) => {
            columns.iter().all(|column| now.columns().contains(column))
        }
        (IntentKind::Drop, live) => *live == Live::Absent,
        (IntentKind::Create | IntentKind::AddColumns(_), Live::Absent | Live::Foreign { .. }) => {
            false
        }
    }
}

/// What the change is in the ledger: one entry, or one for each column.
fn statements(record: &TableRecord, kind: &IntentKind) -> Vec<Statement> {
    let table = || record.schema.table().clone();
    match kind {
        IntentKind::Create => vec![Statement::CreateTable(record.schema.clone())],
        IntentKind::AddColumns(columns) => {
            let add = |column| Statement::AddColumn { table: table(), column };
            columns.iter().cloned().map(add).collect()
        }
        IntentKind::Drop => vec![Statement::DropTable(table())],
    }
}
