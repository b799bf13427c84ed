//! Where MySQL's SQL and SQLite's differ, beyond what both understand (`?`, `"name"`, `REPLACE INTO`).

use ledger::ColumnType;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MySQL and MariaDB, with ANSI_QUOTES.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Does a transaction hold DDL as it holds rows? MySQL commits at every DDL statement.
    pub(crate) fn ddl_in_transaction(self) -> bool {
        match self {
            Dialect::MySql => false,
            Dialect::Sqlite => true,
        }
    }

    /// The declared type of a column of a mirror table.
    pub(crate) fn column_type(self, column_type: ColumnType) -> &'static str {
        match self {
            Dialect::MySql => column_type.mysql(),
            Dialect::Sqlite => column_type.sqlite(),
        }
    }

    /// What follows the parentheses of a CREATE TABLE.
    pub(crate) fn table_options(self, collation: &str) -> String {
        match self {
            Dialect::MySql => {
                format!(
                    " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
                )
            }
            Dialect::Sqlite => String::new(),
        }
    }

    /// The ledger's time as text.
    pub(crate) fn leader_ts(self) -> &'static str {
        match self {
            Dialect::MySql => "CAST(leader_ts AS CHAR)",
            Dialect::Sqlite => "leader_ts",
        }
    }
}

/// A name between double quotes. Names of ours never hold one.
pub(crate) fn quoted(name: impl std::fmt::Display) -> String {
    format!("\"{name}\"")
}
