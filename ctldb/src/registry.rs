//! The registry, `ctlstore_tables`: which tables there are, how they look, who owns them, what is about to change.

use ledger::{Column, ColumnName, FamilyName, LdbTable, Seq, TableSchema};
use serde::{Deserialize, Serialize};

use crate::connection::{SqlRow, SqlValue};
use crate::session::Session;
use crate::{CtlDb, Error, Intent};

/// A table of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRecord {
    /// How it looks.
    pub schema: TableSchema,
    /// Who wants it to be so.
    pub owners: Vec<Owner>,
    /// The last ledger entry that changed its columns; zero while it is being created.
    pub schema_seq: Seq,
    /// A change that is not finished.
    pub intent: Option<Intent>,
}

/// Somebody who wants a table, and what becomes of it when it is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Who.
    pub id: OwnerId,
    /// What becomes of the table without this owner.
    pub deletion: Deletion,
}

/// Who may own a table, or have set a limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnerId {
    /// It was made over HTTP.
    Executive,
    /// A `CtlTable` object. Not its uid: an object that was deleted and applied again is the same owner.
    Object {
        /// The cluster's name.
        cluster: String,
        /// The object's namespace.
        namespace: String,
        /// The object's name.
        name: String,
    },
    /// A `CtlFamily` object: it sets limits of writers and owns no table.
    Family {
        /// The cluster's name.
        cluster: String,
        /// The object's name.
        name: String,
    },
}

/// What becomes of a table whose owner goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deletion {
    /// It stays.
    Retain,
    /// It is dropped.
    Delete,
}

/// As [`read`] takes them.
pub(crate) const COLUMNS: [&str; 6] =
    ["table_name", "columns_json", "key_json", "owners_json", "schema_seq", "intent_json"];
const ACTION: &str = "read the registry of tables";

impl CtlDb {
    /// A table of the registry.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn table(&self, table: &LdbTable) -> Result<Option<TableRecord>, Error> {
        self.session().await?.record(table).await
    }

    /// The tables of the registry by name, of one family or of all.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn tables(&self, family: Option<&FamilyName>) -> Result<Vec<TableRecord>, Error> {
        let mut session = self.session().await?;
        let rows = match family {
            None => {
                let sql = select("ORDER BY table_name");
                session.query(ACTION, &sql, &[]).await?
            }
            Some(family) => {
                let sql = select("WHERE family = ? ORDER BY table_name");
                session.query(ACTION, &sql, &[family.as_str().into()]).await?
            }
        };
        Ok(legible(&rows))
    }
}

impl Session {
    pub(crate) async fn record(&mut self, table: &LdbTable) -> Result<Option<TableRecord>, Error> {
        Ok(self.records(&[table]).await?.pop())
    }

    /// Those of `tables` that are there.
    pub(crate) async fn records(
        &mut self,
        tables: &[&LdbTable],
    ) -> Result<Vec<TableRecord>, Error> {
        let places = vec!["?"; tables.len()].join(", ");
        let sql = select(&format!("WHERE table_name IN ({places})"));
        let names: Vec<SqlValue> = tables.iter().map(|table| table.to_string().into()).collect();
        self.query(ACTION, &sql, &names).await?.iter().map(read).collect()
    }

    /// The tables with an unfinished change, by name.
    pub(crate) async fn unfinished(&mut self) -> Result<Vec<TableRecord>, Error> {
        let sql = select("WHERE intent_json IS NOT NULL ORDER BY table_name");
        Ok(legible(&self.query(ACTION, &sql, &[]).await?))
    }

    /// Writes the whole row of a table.
    pub(crate) async fn put_record(
        &mut self,
        action: &'static str,
        record: &TableRecord,
    ) -> Result<(), Error> {
        const SQL: &str = "REPLACE INTO ctlstore_tables (table_name, family, columns_json, key_json, owners_json, schema_seq, intent_json) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let TableRecord { schema, owners, schema_seq, intent } = record;
        let intent = intent.as_ref().map(json).transpose()?;
        let params = [
            schema.table().to_string().into(),
            schema.table().family().as_str().into(),
            json(&schema.columns())?.into(),
            json(&schema.key())?.into(),
            json(owners)?.into(),
            schema_seq.to_i64().into(),
            intent.into(),
        ];
        self.execute(action, SQL, &params).await.map(|_| ())
    }

    pub(crate) async fn remove_record(
        &mut self,
        action: &'static str,
        table: &LdbTable,
    ) -> Result<(), Error> {
        let sql = "DELETE FROM ctlstore_tables WHERE table_name = ?";
        self.execute(action, sql, &[table.to_string().into()]).await.map(|_| ())
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt { what: error.to_string() })
}

/// All tables that we can read. One of a later release that we cannot is no reason to stop the work on others; asked for by
/// its name, it is an error.
fn legible(rows: &[SqlRow]) -> Vec<TableRecord> {
    let read = |row| {
        let unreadable =
            |error: &Error| tracing::error!(%error, "left out a table of the registry");
        read(row).inspect_err(unreadable).ok()
    };
    rows.iter().filter_map(read).collect()
}

fn select(rest: &str) -> String {
    format!("SELECT {} FROM ctlstore_tables {rest}", COLUMNS.join(", "))
}

pub(crate) fn read(row: &SqlRow) -> Result<TableRecord, Error> {
    let name = row.text(0)?;
    let corrupt = |what: String| Error::Corrupt { what: format!("registry of {name}: {what}") };
    let table = LdbTable::parse(name).map_err(|error| corrupt(error.to_string()))?;
    let columns: Vec<Column> = parse(row.text(1)?).map_err(corrupt)?;
    let key: Vec<ColumnName> = parse(row.text(2)?).map_err(corrupt)?;
    let schema =
        TableSchema::new(table, columns, key).map_err(|error| corrupt(error.to_string()))?;
    let schema_seq = Seq::try_from(row.int(4)?).map_err(|error| corrupt(error.to_string()))?;
    let intent = row.optional(5, SqlRow::text)?.map(|text| parse(text).map_err(corrupt));
    Ok(TableRecord {
        schema,
        owners: parse(row.text(3)?).map_err(corrupt)?,
        schema_seq,
        intent: intent.transpose()?,
    })
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
