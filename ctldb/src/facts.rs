//! All that a batch is judged by, read in one statement: where the ledger stands, the writer, the tables.

use ledger::LdbTable;

use crate::connection::SqlValue;
use crate::session::Session;
use crate::writers::Writer;
use crate::{Credentials, Error, Meta, TableRecord, meta, registry, writers};

/// What ctldb says at one moment.
pub(crate) struct Facts {
    pub(crate) meta: Meta,
    pub(crate) writer: Writer,
    /// Those of the tables that are there.
    pub(crate) records: Vec<TableRecord>,
}

const ACTION: &str = "look up a writer and its tables";

impl Session {
    pub(crate) async fn facts(
        &mut self,
        who: &Credentials,
        tables: &[&LdbTable],
    ) -> Result<Facts, Error> {
        let [meta, writer, table] = [
            prefixed("c", &meta::COLUMNS),
            writers::COLUMNS.to_owned(),
            prefixed("t", &registry::COLUMNS),
        ];
        let places = vec!["?"; tables.len()].join(", ");
        // One row for each table, or one without any.
        let sql = format!(
            "SELECT {meta}, {writer}, {table} FROM ctlstore_meta c LEFT JOIN mutators m ON m.writer = ? LEFT JOIN ctlstore_writers w ON w.writer = m.writer LEFT JOIN ctlstore_tables t ON t.table_name IN ({places}) WHERE c.id = 1"
        );
        let mut params: Vec<SqlValue> = vec![who.writer.as_str().into()];
        params.extend(tables.iter().map(|table| SqlValue::from(table.to_string())));
        let rows = match self.query(ACTION, &sql, &params).await {
            Err(Error::NotMigrated) => return Err(self.why_not_migrated().await),
            other => other?,
        };
        let first = rows.first().ok_or(Error::NotMigrated)?;
        let (of_writer, of_table) =
            (meta::COLUMNS.len(), meta::COLUMNS.len() + writers::COLUMNS_COUNT);
        let meta = meta::checked(first)?;
        let writer = Writer::read(&first.part(of_writer..of_table), who)?;
        let records = rows
            .iter()
            .map(|row| row.part(of_table..of_table + registry::COLUMNS.len()))
            .filter(|row| !matches!(row.0.first(), Some(SqlValue::Null) | None))
            .map(|row| registry::read(&row));
        Ok(Facts { meta, writer, records: records.collect::<Result<_, _>>()? })
    }
}

fn prefixed(alias: &str, columns: &[&str]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| format!("{alias}.{column}")).collect();
    columns.join(", ")
}
