//! What a table really looks like in the database, to find drift and to make schema changes idempotent.

use ledger::{Column, ColumnName, ColumnType, LdbTable, TableSchema};

use crate::connection::SqlRow;
use crate::dialect::Dialect;
use crate::session::Session;
use crate::{CtlDb, Error};

/// A table as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// It is not there.
    Absent,
    /// It is there, made as we make tables.
    Table(TableSchema),
    /// Something of this name is there that we would not have made so.
    Foreign {
        /// What is different about it.
        what: String,
    },
}

const ACTION: &str = "look at a table";

impl CtlDb {
    /// What a table really looks like in the database, whatever the registry says.
    ///
    /// # Errors
    /// ctldb is away.
    pub async fn live(&self, table: &LdbTable) -> Result<Live, Error> {
        self.session().await?.live(table).await
    }
}

impl Session {
    pub(crate) async fn live(&mut self, table: &LdbTable) -> Result<Live, Error> {
        let found = match self.dialect() {
            Dialect::MySql => self.live_mysql(table).await?,
            Dialect::Sqlite => self.live_sqlite(table).await?,
        };
        Ok(match found {
            None => Live::Absent,
            Some(Err(what)) => Live::Foreign { what },
            Some(Ok((columns, key))) => match TableSchema::new(table.clone(), columns, key) {
                Ok(schema) => Live::Table(schema),
                Err(error) => Live::Foreign { what: error.to_string() },
            },
        })
    }

    async fn live_mysql(&mut self, table: &LdbTable) -> Result<Option<Found>, Error> {
        const TABLE: &str = "SELECT CAST(table_type AS CHAR), CAST(engine AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?";
        const COLUMNS: &str = "SELECT CAST(column_name AS CHAR), CAST(column_type AS CHAR), CAST(collation_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position";
        const KEY: &str = "SELECT CAST(column_name AS CHAR) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index";
        let name = [table.to_string().into()];
        let tables = self.query(ACTION, TABLE, &name).await?;
        let Some(row) = tables.first() else { return Ok(None) };
        let engine = row.optional(1, SqlRow::text)?.unwrap_or("no engine");
        if row.text(0)? != "BASE TABLE" || !engine.eq_ignore_ascii_case("InnoDB") {
            return Ok(Some(Err(format!("it is a {} of {engine}", row.text(0)?))));
        }
        let collation = self.collation().await?;
        let mut columns = Vec::new();
        for row in self.query(ACTION, COLUMNS, &name).await? {
            let own = row.optional(2, SqlRow::text)?;
            if let Some(own) = own
                && own != collation
            {
                return Ok(Some(Err(format!("column {:?} has the collation {own}", row.text(0)?))));
            }
            columns.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
        }
        let key = self.query(ACTION, KEY, &name).await?;
        let key: Result<Vec<_>, _> = key.iter().map(|row| row.text(0).map(str::to_owned)).collect();
        Ok(Some(understand(&columns, &key?, mysql_type)))
    }

    async fn live_sqlite(&mut self, table: &LdbTable) -> Result<Option<Found>, Error> {
        const KIND: &str = "SELECT type FROM sqlite_master WHERE name = ?";
        const COLUMNS: &str = "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid";
        let name = [table.to_string().into()];
        let kinds = self.query(ACTION, KIND, &name).await?;
        let Some(row) = kinds.first() else { return Ok(None) };
        if row.text(0)? != "table" {
            return Ok(Some(Err(format!("it is a {}", row.text(0)?))));
        }
        let mut columns = Vec::new();
        let mut key = Vec::new();
        for row in self.query(ACTION, COLUMNS, &name).await? {
            columns.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
            if row.int(2)? > 0 {
                key.push((row.int(2)?, row.text(0)?.to_owned()));
            }
        }
        key.sort();
        let key: Vec<_> = key.into_iter().map(|(_, name)| name).collect();
        Ok(Some(understand(&columns, &key, ColumnType::from_sqlite)))
    }
}

/// Columns and key, or what is foreign about them.
type Found = Result<(Vec<Column>, Vec<ColumnName>), String>;

fn understand(
    columns: &[(String, String)],
    key: &[String],
    known: fn(&str) -> Option<ColumnType>,
) -> Found {
    let name = |text: &String| ColumnName::parse(text).map_err(|error| error.to_string());
    let column = |(text, declared): &(String, String)| {
        let column_type =
            known(declared).ok_or_else(|| format!("column {text:?} is of type {declared}"))?;
        Ok(Column { name: name(text)?, column_type })
    };
    let columns: Vec<_> = columns.iter().map(column).collect::<Result<_, String>>()?;
    let key = key.iter().map(name).collect::<Result<_, String>>()?;
    Ok((columns, key))
}

/// MariaDB and older servers say `bigint(20)`, newer ones `bigint`.
fn mysql_type(declared: &str) -> Option<ColumnType> {
    match declared.to_ascii_lowercase().as_str() {
        "varchar(191)" => Some(ColumnType::String),
        "bigint" | "bigint(20)" => Some(ColumnType::Integer),
        "double" => Some(ColumnType::Decimal),
        "mediumtext" => Some(ColumnType::Text),
        "mediumblob" => Some(ColumnType::Binary),
        "varbinary(255)" => Some(ColumnType::ByteString),
        _ => None,
    }
}
