//! How large tables are: measured by whoever leads, kept in `ctlstore_table_sizes`, so that every executive refuses by the
//! same figures.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::LdbTable;

use crate::connection::{SqlRow, SqlValue};
use crate::dialect::Dialect;
use crate::limits::size_limit;
use crate::session::Session;
use crate::{CtlDb, Error, Fault, Fence, SizeLimit};

/// How large a table was when it was last measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// The table.
    pub table: LdbTable,
    /// Rows and indexes, as far as the database tells.
    pub bytes: u64,
    /// How long ago that was.
    pub age: Duration,
    /// The limit of its own that the table has.
    pub limit: Option<SizeLimit>,
}

const MEASURE: &str = "measure tables";
const READ: &str = "read the sizes of tables";
/// Usage of writers older than this is forgotten, as the original does.
const USAGE_KEPT: Duration = Duration::from_secs(24 * 3600);

impl CtlDb {
    /// Measures all tables of the registry and stores what was found. Also forgets which rows writers wrote more than a day
    /// ago. Meant to be done every minute, by one process.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or the fence no longer holds.
    pub async fn measure_table_sizes(&self, fence: Fence) -> Result<Vec<TableSize>, Error> {
        let measured = self.session().await?.measured().await?;
        let now = unix(SystemTime::now());
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = session.store_sizes(&measured, now).await;
        session.end(MEASURE, result).await?;
        let old = i64::try_from(now.saturating_sub(USAGE_KEPT).as_secs()).unwrap_or(0);
        let sql = "DELETE FROM writer_usage WHERE bucket < ?";
        session.execute(MEASURE, sql, &[old.into()]).await?;
        session.table_sizes().await
    }

    /// What was measured last, by table.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn table_sizes(&self) -> Result<Vec<TableSize>, Error> {
        self.session().await?.table_sizes().await
    }
}

impl Session {
    /// Under the ledger lock, like all that batches are judged by: so whoever writes next sees it.
    async fn store_sizes(
        &mut self,
        measured: &HashMap<String, i64>,
        now: Duration,
    ) -> Result<(), Error> {
        let rows = self.query(MEASURE, "SELECT table_name FROM ctlstore_tables", &[]).await?;
        let names = rows.iter().map(|row| row.text(0));
        let mut sizes = Vec::new();
        for name in names {
            let name = name?;
            if let Some(bytes) = measured.get(name) {
                sizes.push((name, *bytes));
            }
        }
        for chunk in sizes.chunks(64) {
            let places = vec!["(?, ?, ?)"; chunk.len()].join(", ");
            let sql = format!(
                "REPLACE INTO ctlstore_table_sizes (table_name, bytes, measured_at) VALUES {places}"
            );
            let row = |(name, bytes): &(&str, i64)| {
                [SqlValue::from(*name), SqlValue::Int(*bytes), SqlValue::Int(millis(now))]
            };
            let params: Vec<SqlValue> = chunk.iter().flat_map(row).collect();
            self.execute(MEASURE, &sql, &params).await?;
        }
        Ok(())
    }

    /// What the database says now: bytes by table.
    async fn measured(&mut self) -> Result<HashMap<String, i64>, Error> {
        self.fresh_statistics().await?;
        let sql = match self.dialect() {
            Dialect::MySql => {
                "SELECT CAST(table_name AS CHAR), CAST(data_length + index_length AS SIGNED) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
            }
            Dialect::Sqlite => {
                "SELECT m.tbl_name, SUM(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
            }
        };
        let rows = self.query(MEASURE, sql, &[]).await?;
        let read = |row: &SqlRow| {
            let bytes = row.optional(1, SqlRow::int)?.unwrap_or(0);
            Ok((row.text(0)?.to_owned(), bytes))
        };
        rows.iter().map(read).collect()
    }

    /// MySQL 8 answers from a cache that is a day old, unless it is told not to.
    pub(crate) async fn fresh_statistics(&mut self) -> Result<(), Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        match self.run("SET SESSION information_schema_stats_expiry = 0", &[]).await {
            // MariaDB has no such cache.
            Ok(_) | Err(Fault::Refused(_)) => Ok(()),
            Err(fault) => Err(Error::statement(MEASURE, fault)),
        }
    }

    async fn table_sizes(&mut self) -> Result<Vec<TableSize>, Error> {
        const SQL: &str = "SELECT t.table_name, s.bytes, s.measured_at, l.max_size_bytes, l.warn_size_bytes FROM ctlstore_table_sizes s JOIN ctlstore_tables t ON t.table_name = s.table_name LEFT JOIN max_table_sizes l ON l.family_name = t.family AND l.table_name = SUBSTR(t.table_name, LENGTH(t.family) + 4) ORDER BY t.table_name";
        let now = unix(SystemTime::now());
        let rows = self.query(READ, SQL, &[]).await?;
        let read = |row: &SqlRow| {
            let table = LdbTable::parse(row.text(0)?)
                .map_err(|error| Error::Corrupt { what: error.to_string() })?;
            let at = Duration::from_millis(row.unsigned(2)?);
            let limit = row.optional(3, size_limit)?;
            Ok(TableSize { table, bytes: row.unsigned(1)?, age: now.saturating_sub(at), limit })
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn forget_size(&mut self, table: &LdbTable) -> Result<(), Error> {
        let sql = "DELETE FROM ctlstore_table_sizes WHERE table_name = ?";
        self.execute(MEASURE, sql, &[table.to_string().into()]).await.map(|_| ())
    }
}

fn unix(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
