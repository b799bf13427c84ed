//! Who stands in the way of a schema change, as far as the server tells and our user may see.

use ledger::LdbTable;

use crate::connection::SqlRow;
use crate::dialect::Dialect;
use crate::session::Session;
use crate::{Error, Fault};

/// Each asks for: connection id, user, host, seconds. The best source first.
const SOURCES: [(&str, bool); 3] = [
    // MySQL.
    (
        "SELECT CAST(t.processlist_id AS SIGNED), CAST(t.processlist_user AS CHAR), CAST(t.processlist_host AS CHAR), CAST(t.processlist_time AS SIGNED) FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id WHERE m.object_schema = DATABASE() AND m.object_name = ? AND m.lock_status = 'GRANTED' AND t.processlist_id <> CONNECTION_ID() LIMIT 1",
        true,
    ),
    // MariaDB with the plugin metadata_lock_info.
    (
        "SELECT CAST(p.id AS SIGNED), CAST(p.user AS CHAR), CAST(p.host AS CHAR), CAST(p.time AS SIGNED) FROM information_schema.metadata_lock_info m JOIN information_schema.processlist p ON p.id = m.thread_id WHERE m.table_schema = DATABASE() AND m.table_name = ? AND p.id <> CONNECTION_ID() LIMIT 1",
        true,
    ),
    // Anywhere: the transaction that is open the longest is the likeliest.
    (
        "SELECT CAST(p.id AS SIGNED), CAST(p.user AS CHAR), CAST(p.host AS CHAR), CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS SIGNED) FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.id <> CONNECTION_ID() ORDER BY t.trx_started LIMIT 1",
        false,
    ),
];

impl Session {
    /// Names who keeps a table, for the message. Never fails: the worst answer is that nobody knows.
    pub(crate) async fn blocker(&mut self, table: &LdbTable) -> String {
        if self.dialect() == Dialect::Sqlite {
            return "another process that writes the file".to_owned();
        }
        for (sql, exact) in SOURCES {
            let name = [table.to_string().into()];
            let rows = self.look(sql, if exact { &name } else { &[] }).await;
            if rows.as_ref().is_err_and(Fault::breaks_connection) {
                break;
            }
            if let Ok(rows) = rows
                && let Some(Ok(text)) = rows.first().map(|row| describe(row, exact))
            {
                return text;
            }
        }
        "a connection that uses the table (grant PROCESS to the database user to see which)"
            .to_owned()
    }
}

fn describe(row: &SqlRow, exact: bool) -> Result<String, Error> {
    let user = row.optional(1, SqlRow::text)?.unwrap_or("?");
    let host = row.optional(2, SqlRow::text)?.unwrap_or("?");
    let seconds = row.optional(3, SqlRow::int)?.unwrap_or(0);
    let sure = if exact { "" } else { "probably " };
    Ok(format!("{sure}connection {} of {user}@{host}, at it for {seconds} s", row.int(0)?))
}
