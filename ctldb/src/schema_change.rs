//! Changes tables: intent, then DDL, then ledger, registry and the end of the intent in one transaction.

use std::time::Instant;

use ledger::{Column, LdbTable, Mark, Refusal, Statement, TableSchema};

use crate::append::Rendered;
use crate::dialect::{Dialect, quoted};
use crate::session::Session;
use crate::{
    Author, CtlDb, Error, Fence, Intent, IntentKind, Live, Meta, Owner, OwnerId, TableRecord,
};

/// A change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// The table.
    pub table: LdbTable,
    /// On whose behalf. The executive may not change what an object owns.
    pub by: OwnerId,
    /// What to do.
    pub kind: SchemaChangeKind,
}

/// What to do to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChangeKind {
    /// Make it.
    Create {
        /// How it shall look. Its name must be the change's table.
        schema: TableSchema,
        /// Its first owner.
        owner: Owner,
    },
    /// Add columns at its end, in this order.
    AddColumns(Vec<Column>),
    /// Drop it, with its rows and its limit.
    Drop,
    /// The same, if these are still its owners when the lock is held: whoever claimed it meanwhile keeps it.
    DropOwnedBy(Vec<Owner>),
}

/// A change is in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The last entry that it wrote.
    pub mark: Mark,
    /// The last entry that changed the table's columns.
    pub schema_seq: ledger::Seq,
}

const INTENT: &str = "write the intent of a schema change";
const CLEAR: &str = "clear a table";

impl CtlDb {
    /// Creates a table, adds columns to it, or drops it. Unfinished changes are finished first.
    ///
    /// After a crash at any point the change is either not begun or will be finished by whoever comes next.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the fence no longer holds, the change makes no sense for what is there, or the
    /// database refuses it; then nothing is half done. [`Error::WaitingForLock`]: it will be finished later.
    pub async fn change_schema(
        &self,
        change: &SchemaChange,
        author: &Author,
        fence: Fence,
    ) -> Result<Applied, Error> {
        if let SchemaChangeKind::Create { schema, .. } = &change.kind {
            schema.check_width().map_err(Refusal::TooWide)?;
        }
        let mut session = self.schema_session("change a table").await?;
        session.finish_others(&change.table, fence).await?;
        let live = session.live(&change.table).await?;
        let meta = session.begin_locked(fence).await?;
        let result = session.intend(change, &live, author).await;
        let planned = session.end(INTENT, result).await?;
        match planned {
            // No columns to add: it is as it should be.
            None => {
                let schema_seq = session.schema_seq(&change.table).await?;
                let mark = meta.last.ok_or(Error::NotMigrated)?.mark();
                Ok(Applied { mark, schema_seq })
            }
            Some(record) => session.finish_own(&record, fence).await,
        }
    }

    /// Deletes all rows of a table.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the fence no longer holds, or the table is unknown, being changed or retained.
    /// [`Error::TooLargeToClear`]: it took so long that other writers would have failed; all rows are still there.
    pub async fn clear_table(
        &self,
        table: &LdbTable,
        by: &OwnerId,
        author: &Author,
        fence: Fence,
    ) -> Result<Applied, Error> {
        let mut session = self.write_session().await?;
        let settled = session.settled(table).await;
        settled?.may_lose_rows(by)?;
        let meta = session.begin_locked(fence).await?;
        let result = session.clear(&meta, table, by, author).await;
        session.end(CLEAR, result).await
    }
}

impl Session {
    /// Writes the intent, if the change makes sense. None: there is nothing to do.
    async fn intend(
        &mut self,
        change: &SchemaChange,
        live: &Live,
        author: &Author,
    ) -> Result<Option<TableRecord>, Error> {
        let table = &change.table;
        let present = self.record(table).await?;
        if present.as_ref().is_some_and(|record| record.intent.is_some()) {
            return Err(Error::SchemaBusy { table: table.clone() });
        }
        let (mut record, kind) = match (&change.kind, present) {
            (SchemaChangeKind::Create { .. }, Some(_)) => {
                return Err(Error::TableExists(table.clone()));
            }
            (SchemaChangeKind::Create { schema, owner }, None) => {
                (self.new_record(schema, owner, live).await?, IntentKind::Create)
            }
            (
                SchemaChangeKind::AddColumns(_)
                | SchemaChangeKind::Drop
                | SchemaChangeKind::DropOwnedBy(_),
                None,
            ) => {
                return Err(Error::TableNotFound(table.clone()));
            }
            (SchemaChangeKind::AddColumns(columns), Some(record)) => {
                if columns.is_empty() {
                    return Ok(None);
                }
                record.may_be_changed(&change.by)?;
                widened(&record.schema, columns)?;
                (record, IntentKind::AddColumns(columns.clone()))
            }
            (SchemaChangeKind::DropOwnedBy(owners), Some(record)) if *owners != record.owners => {
                return Err(Error::SchemaMoved(table.clone()));
            }
            (SchemaChangeKind::Drop | SchemaChangeKind::DropOwnedBy(_), Some(record)) => {
                record.may_lose_rows(&change.by)?;
                record.may_be_changed(&change.by)?;
                (record, IntentKind::Drop)
            }
        };
        let id = uuid::Uuid::new_v4();
        record.intent = Some(Intent { id, kind, author: author.clone() });
        self.put_record(INTENT, &record).await?;
        Ok(Some(record))
    }

    async fn new_record(
        &mut self,
        schema: &TableSchema,
        owner: &Owner,
        live: &Live,
    ) -> Result<TableRecord, Error> {
        let table = schema.table();
        if !self.has_family(table.family()).await? {
            return Err(Error::FamilyNotFound(table.family().clone()));
        }
        let foreign = |what: &str| Error::Foreign { table: table.clone(), what: what.to_owned() };
        match live {
            Live::Absent => {}
            Live::Table(_) => return Err(foreign("it is not in the registry")),
            Live::Foreign { what } => return Err(foreign(what)),
        }
        Ok(TableRecord {
            schema: schema.clone(),
            owners: vec![owner.clone()],
            schema_seq: ledger::Seq::ZERO,
            intent: None,
        })
    }

    async fn schema_seq(&mut self, table: &LdbTable) -> Result<ledger::Seq, Error> {
        let record = self.record(table).await?;
        record.map(|record| record.schema_seq).ok_or_else(|| Error::TableNotFound(table.clone()))
    }

    /// The table's record, if nothing is being changed about it.
    async fn settled(&mut self, table: &LdbTable) -> Result<TableRecord, Error> {
        let record =
            self.record(table).await?.ok_or_else(|| Error::TableNotFound(table.clone()))?;
        match record.intent {
            Some(_) => Err(Error::SchemaBusy { table: table.clone() }),
            None => Ok(record),
        }
    }

    async fn clear(
        &mut self,
        meta: &Meta,
        table: &LdbTable,
        by: &OwnerId,
        author: &Author,
    ) -> Result<Applied, Error> {
        let record = self.settled(table).await?;
        record.may_lose_rows(by)?;
        let deleted = self.delete_rows(table).await?;
        self.pass("clear: the rows are gone")?;
        let mut rendered = Rendered::new(table, &[Statement::ClearTable(table.clone())])?;
        rendered.deletes = i64::try_from(deleted).unwrap_or(i64::MAX);
        let appended = self.append(meta, &rendered, author).await?;
        Ok(Applied { mark: appended.mark(), schema_seq: record.schema_seq })
    }

    /// All writers wait meanwhile, so it ends when its time is over. A server does not end a statement because nobody waits
    /// for it any more; so there it goes by pieces.
    async fn delete_rows(&mut self, table: &LdbTable) -> Result<u64, Error> {
        const PIECE: u64 = 5_000;
        let limit = self.options().clear_timeout;
        let start = Instant::now();
        let (sql, piece) = match self.dialect() {
            Dialect::MySql => (format!("DELETE FROM {} LIMIT {PIECE}", quoted(table)), PIECE),
            Dialect::Sqlite => (format!("DELETE FROM {}", quoted(table)), u64::MAX),
        };
        let mut all = 0;
        loop {
            let deleted = self.run(&sql, &[]).await;
            let deleted = deleted.map_err(|fault| Error::statement(CLEAR, fault))?;
            all += deleted;
            if deleted < piece {
                return Ok(all);
            }
            if start.elapsed() > limit {
                return Err(Error::TooLargeToClear { table: table.clone(), limit });
            }
        }
    }
}

/// The table with more columns, if it may have them.
pub(crate) fn widened(schema: &TableSchema, columns: &[Column]) -> Result<TableSchema, Error> {
    let table = schema.table();
    if let Some(there) = columns.iter().find(|column| schema.column(&column.name).is_some()) {
        return Err(Error::ColumnExists { table: table.clone(), column: there.name.clone() });
    }
    let wide = schema.with_columns(columns.iter().cloned()).map_err(|error| match error {
        ledger::SchemaError::DuplicateColumn { table, column } => {
            Error::ColumnExists { table, column }
        }
        other => Error::Corrupt { what: other.to_string() },
    })?;
    wide.check_width().map_err(Refusal::TooWide)?;
    Ok(wide)
}
