//! The size a table may have, in `max_table_sizes`.

use ledger::LdbTable;

use crate::connection::SqlValue;
use crate::{CtlDb, Error, Fence};

/// How large a table may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// Beyond this, writes are refused.
    pub max_bytes: u64,
    /// Beyond this, somebody is warned.
    pub warn_bytes: u64,
}

impl CtlDb {
    /// Sets the limit of a table, or removes it.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the table is not in the registry, or the fence no longer holds.
    pub async fn set_table_limit(
        &self,
        table: &LdbTable,
        limit: Option<SizeLimit>,
        fence: Fence,
    ) -> Result<(), Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = session.set_limit(table, limit).await;
        session.end("set the limit of a table", result).await
    }

    /// The limit of a table, if it has one of its own.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn table_limit(&self, table: &LdbTable) -> Result<Option<SizeLimit>, Error> {
        const SQL: &str = "SELECT max_size_bytes, warn_size_bytes FROM max_table_sizes WHERE family_name = ? AND table_name = ?";
        let mut session = self.session().await?;
        let params = [table.family().as_str().into(), table.table().as_str().into()];
        let rows = session.query("read the limit of a table", SQL, &params).await?;
        let limit = rows
            .first()
            .map(|row| Ok(SizeLimit { max_bytes: row.unsigned(0)?, warn_bytes: row.unsigned(1)? }));
        limit.transpose()
    }
}

impl crate::session::Session {
    async fn set_limit(&mut self, table: &LdbTable, limit: Option<SizeLimit>) -> Result<(), Error> {
        const ACTION: &str = "set the limit of a table";
        self.record(table).await?.ok_or_else(|| Error::TableNotFound(table.clone()))?;
        let (family, name): (SqlValue, SqlValue) =
            (table.family().as_str().into(), table.table().as_str().into());
        match limit {
            None => {
                let sql = "DELETE FROM max_table_sizes WHERE family_name = ? AND table_name = ?";
                self.execute(ACTION, sql, &[family, name]).await?;
            }
            Some(SizeLimit { max_bytes, warn_bytes }) => {
                let sql = "REPLACE INTO max_table_sizes (family_name, table_name, warn_size_bytes, max_size_bytes) VALUES (?, ?, ?, ?)";
                let bytes = |number: u64| SqlValue::Int(i64::try_from(number).unwrap_or(i64::MAX));
                self.execute(ACTION, sql, &[family, name, bytes(warn_bytes), bytes(max_bytes)])
                    .await?;
            }
        }
        Ok(())
    }
}
