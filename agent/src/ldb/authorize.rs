//! What the writer's connection may do, whatever statement it is given: change rows and tables of families, keep its own
//! three tables. SQLite asks at each prepare.

use ledger::LdbTable;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::ldb::Error;

/// Our own tables.
pub(crate) const OWN: [&str; 3] = ["_ldb_seq", "_ldb_last_update", "_ldb_meta"];

/// What DDL of SQLite itself calls while it edits `sqlite_schema`.
const FUNCTIONS: [&str; 10] = [
    "sqlite_rename_table",
    "sqlite_rename_column",
    "sqlite_rename_test",
    "sqlite_rename_quotefix",
    "sqlite_drop_column",
    "sqlite_fail",
    "substr",
    "printf",
    "length",
    "like",
];

/// Closes all doors but those that replay needs.
pub(crate) fn restrict(connection: &mut Connection) -> Result<(), Error> {
    let off = [
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_DQS_DML,
        DbConfig::SQLITE_DBCONFIG_DQS_DDL,
        DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE,
        DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE,
    ];
    for setting in off {
        connection.set_db_config(setting, false).map_err(Error::sqlite("set up"))?;
    }
    let defensive = DbConfig::SQLITE_DBCONFIG_DEFENSIVE;
    connection.set_db_config(defensive, true).map_err(Error::sqlite("set up"))?;
    connection.authorizer(Some(answer)).map_err(Error::sqlite("set up"))
}

fn answer(context: AuthContext<'_>) -> Authorization {
    let ours = |name: &str| OWN.contains(&name) || LdbTable::parse(name).is_ok();
    let allowed = match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Recursive => true,
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => {
            // The schema itself: defensive mode keeps statements away from it, DDL writes it.
            ours(table_name) || matches!(table_name, "sqlite_master" | "sqlite_schema")
        }
        AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. } => ours(table_name),
        // The index that a key makes.
        AuthAction::CreateIndex { index_name, table_name }
        | AuthAction::DropIndex { index_name, table_name } => {
            index_name.starts_with("sqlite_autoindex_") && ours(table_name)
        }
        AuthAction::Function { function_name } => {
            FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Pragma { pragma_name, .. } => {
            ["wal_checkpoint", "table_info", "busy_timeout", "quick_check"].contains(&pragma_name)
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
