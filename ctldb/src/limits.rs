//! The size a table may have, in `max_table_sizes`, and who set it: what an object says wins over what was said over HTTP.

use ledger::{FamilyName, LdbTable, TableName};

use crate::connection::{SqlRow, SqlValue};
use crate::session::Session;
use crate::{CtlDb, Error, Fence, OwnerId, RateLimit};

/// How large a table may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// Beyond this, writes are refused.
    pub max_bytes: u64,
    /// Beyond this, somebody is warned.
    pub warn_bytes: u64,
}

/// What holds for writers and tables that have no limit of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each writer.
    pub rate: RateLimit,
    /// Of each table.
    pub size: SizeLimit,
}

/// The limit of a table, and who set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLimit {
    /// The table.
    pub table: LdbTable,
    /// How large it may become.
    pub limit: SizeLimit,
    /// Who says so.
    pub set_by: OwnerId,
}

impl Default for SizeLimit {
    /// The original's.
    fn default() -> Self {
        Self { max_bytes: 100 << 20, warn_bytes: 50 << 20 }
    }
}

const LIST: &str = "list the limits of tables";
const SET: &str = "set the limit of a table";

impl CtlDb {
    /// Sets the limit of a table, or removes it. Says whether there was one before.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the table is not in the registry, it is an object's and the executive asks, or the
    /// fence no longer holds.
    pub async fn set_table_limit(
        &self,
        table: &LdbTable,
        limit: Option<SizeLimit>,
        by: &OwnerId,
        fence: Fence,
    ) -> Result<bool, Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = session.set_limit(table, limit, by).await;
        session.end(SET, result).await
    }

    /// The limit of a table, if it has one of its own.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn table_limit(&self, table: &LdbTable) -> Result<Option<SizeLimit>, Error> {
        const SQL: &str = "SELECT max_size_bytes, warn_size_bytes FROM max_table_sizes WHERE family_name = ? AND table_name = ?";
        let mut session = self.session().await?;
        let rows = session.query("read the limit of a table", SQL, &named(table)).await?;
        rows.first().map(|row| size_limit(row, 0)).transpose()
    }

    /// The tables that have a limit of their own, by name.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn table_limits(&self) -> Result<Vec<TableLimit>, Error> {
        const LIMITS: &str = "SELECT max_size_bytes, warn_size_bytes, family_name, table_name FROM max_table_sizes ORDER BY family_name, table_name";
        const OWNERS: &str = "SELECT table_name, owner_json FROM ctlstore_limit_owners";
        let mut session = self.session().await?;
        let limits = session.query(LIST, LIMITS, &[]).await?;
        let owners = session.query(LIST, OWNERS, &[]).await?;
        let owner = |row: &SqlRow| {
            let owner = serde_json::from_str(row.text(1)?);
            let owner: OwnerId = owner.map_err(|error| Error::Corrupt {
                what: format!("the owner of a limit: {error}"),
            })?;
            Ok::<_, Error>((row.text(0)?.to_owned(), owner))
        };
        let owners: std::collections::HashMap<_, _> =
            owners.iter().map(owner).collect::<Result<_, _>>()?;
        let limit = |row: &SqlRow| {
            let table = table(row.text(2)?, row.text(3)?)?;
            let set_by = owners.get(&table.to_string()).cloned();
            let set_by = set_by.unwrap_or(OwnerId::Executive);
            Ok(TableLimit { limit: size_limit(row, 0)?, table, set_by })
        };
        limits.iter().map(limit).collect()
    }
}

impl Session {
    async fn set_limit(
        &mut self,
        table: &LdbTable,
        limit: Option<SizeLimit>,
        by: &OwnerId,
    ) -> Result<bool, Error> {
        let record =
            self.record(table).await?.ok_or_else(|| Error::TableNotFound(table.clone()))?;
        record.may_be_changed(by)?;
        let had = self.forget_limit(table).await?;
        if let Some(SizeLimit { max_bytes, warn_bytes }) = limit {
            let sql = "INSERT INTO max_table_sizes (family_name, table_name, warn_size_bytes, max_size_bytes) VALUES (?, ?, ?, ?)";
            let [family, name] = named(table);
            let bytes = |number: u64| SqlValue::Int(i64::try_from(number).unwrap_or(i64::MAX));
            self.execute(SET, sql, &[family, name, bytes(warn_bytes), bytes(max_bytes)]).await?;
            let owner = serde_json::to_string(by)
                .map_err(|error| Error::Corrupt { what: error.to_string() })?;
            let sql = "INSERT INTO ctlstore_limit_owners (table_name, owner_json) VALUES (?, ?)";
            self.execute(SET, sql, &[table.to_string().into(), owner.into()]).await?;
        }
        Ok(had)
    }

    pub(crate) async fn forget_limit(&mut self, table: &LdbTable) -> Result<bool, Error> {
        let sql = "DELETE FROM max_table_sizes WHERE family_name = ? AND table_name = ?";
        let had = self.execute(SET, sql, &named(table)).await? > 0;
        let sql = "DELETE FROM ctlstore_limit_owners WHERE table_name = ?";
        self.execute(SET, sql, &[table.to_string().into()]).await?;
        Ok(had)
    }
}

fn named(table: &LdbTable) -> [SqlValue; 2] {
    [table.family().as_str().into(), table.table().as_str().into()]
}

/// `max_size_bytes, warn_size_bytes` from this column on.
pub(crate) fn size_limit(row: &SqlRow, first: usize) -> Result<SizeLimit, Error> {
    Ok(SizeLimit { max_bytes: row.unsigned(first)?, warn_bytes: row.unsigned(first + 1)? })
}

fn table(family: &str, table: &str) -> Result<LdbTable, Error> {
    let corrupt = |what: String| Error::Corrupt { what };
    let family = FamilyName::parse(family).map_err(|error| corrupt(error.to_string()))?;
    let table = TableName::parse(table).map_err(|error| corrupt(error.to_string()))?;
    LdbTable::new(family, table).map_err(|error| corrupt(error.to_string()))
}
