//! The tables that ctldb keeps for itself: the original's, as it has them except that sequences have 64 bits and times
//! microseconds, and ours beside them. Written once for both dialects.

use crate::dialect::{Dialect, quoted};

/// A table, its columns, and what stands behind the columns.
pub(crate) struct Bookkeeping {
    pub(crate) name: &'static str,
    columns: &'static [(&'static str, Type, &'static str)],
    constraints: &'static str,
}

/// The type of a column, as far as the two dialects differ.
#[derive(Clone, Copy)]
enum Type {
    /// INTEGER that counts by itself, the key.
    Counter,
    /// BIGINT that counts by itself, the key. We always write it ourselves; the original counts.
    BigCounter,
    Tiny,
    Int,
    Big,
    /// VARCHAR of so many characters.
    Name(u16),
    Text,
    MediumText,
    Blob,
    /// 32 bytes.
    Hash,
    /// Microseconds, UTC.
    Time,
}

use Type::{Big, BigCounter, Blob, Counter, Hash, Int, MediumText, Name, Text, Time, Tiny};

const NO: &str = "NOT NULL";
const KEY: &str = "NOT NULL PRIMARY KEY";
const ZERO: &str = "NOT NULL DEFAULT 0";
const NULL: &str = "NULL";

/// The table whose presence tells a ctldb of ours from the original's. Made first, filled last.
pub(crate) const META: Bookkeeping = Bookkeeping {
    name: "ctlstore_meta",
    columns: &[
        ("id", Tiny, KEY),
        ("version", Int, NO),
        ("min_compatible", Int, NO),
        ("history", Name(36), NO),
        ("last_seq", Big, NO),
        ("last_digest", Hash, NO),
        ("chain", Hash, NO),
        ("pruned_through", Big, NO),
        ("epoch", Big, NO),
        ("parent_history", Name(36), NULL),
        ("parent_seq", Big, NULL),
        ("parent_chain", Hash, NULL),
    ],
    constraints: "",
};

pub(crate) const ORIGINAL: [Bookkeeping; 7] = [
    Bookkeeping {
        name: "families",
        columns: &[("id", Counter, ""), ("name", Name(191), "NOT NULL UNIQUE")],
        constraints: "",
    },
    Bookkeeping {
        name: "mutators",
        columns: &[
            ("writer", Name(191), KEY),
            ("secret", Name(255), NO),
            ("cookie", Blob, NO),
            ("clock", Big, ZERO),
        ],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_dml_ledger",
        columns: &[
            ("seq", BigCounter, ""),
            ("leader_ts", Time, NULL),
            ("statement", MediumText, NO),
        ],
        constraints: "",
    },
    Bookkeeping {
        name: "locks",
        columns: &[("id", Name(191), KEY), ("clock", Big, ZERO)],
        constraints: "",
    },
    Bookkeeping {
        name: "max_table_sizes",
        columns: &[
            ("family_name", Name(30), NO),
            ("table_name", Name(50), NO),
            ("warn_size_bytes", Big, ZERO),
            ("max_size_bytes", Big, ZERO),
        ],
        constraints: ", PRIMARY KEY (\"family_name\", \"table_name\")",
    },
    Bookkeeping {
        name: "max_writer_rates",
        columns: &[("writer_name", Name(50), KEY), ("max_rows_per_minute", Big, NO)],
        constraints: "",
    },
    Bookkeeping {
        name: "writer_usage",
        columns: &[("writer_name", Name(50), NO), ("bucket", Big, NO), ("amount", Big, NO)],
        constraints: ", PRIMARY KEY (\"writer_name\", \"bucket\")",
    },
];

pub(crate) const OURS: [Bookkeeping; 5] = [
    Bookkeeping {
        name: "ctlstore_tables",
        columns: &[
            ("table_name", Name(64), KEY),
            ("family", Name(30), NO),
            ("columns_json", MediumText, NO),
            ("key_json", Text, NO),
            ("owners_json", MediumText, NO),
            ("schema_seq", Big, NO),
            ("intent_json", MediumText, NULL),
        ],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_batches",
        columns: &[
            ("first_seq", Big, KEY),
            ("last_seq", Big, "NOT NULL UNIQUE"),
            ("chain", Hash, NO),
            ("writer", Name(50), NULL),
            ("principal", Name(191), NO),
            ("source_address", Name(64), NO),
            ("request_id", Name(64), NO),
            ("reason", Name(1024), NULL),
            ("upserts", Int, NO),
            ("deletes", Int, NO),
        ],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_skips",
        columns: &[
            ("seq", Big, KEY),
            ("reason", Name(1024), NO),
            ("principal", Name(191), NO),
            ("at", Time, NO),
        ],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_writers",
        columns: &[
            ("writer", Name(50), KEY),
            ("families_json", Text, NULL),
            ("last_digest", Hash, NULL),
            ("last_seq", Big, NULL),
        ],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_epochs",
        columns: &[("cluster", Name(63), KEY), ("epoch", Big, NO)],
        constraints: "",
    },
];

/// What version 2 added: the executive's limits, and who began a history.
pub(crate) const SECOND: [Bookkeeping; 4] = [
    Bookkeeping {
        name: "ctlstore_limit_owners",
        columns: &[("table_name", Name(64), KEY), ("owner_json", Text, NO)],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_rate_owners",
        columns: &[("writer_name", Name(50), KEY), ("owner_json", Text, NO)],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_table_sizes",
        columns: &[("table_name", Name(64), KEY), ("bytes", Big, NO), ("measured_at", Big, NO)],
        constraints: "",
    },
    Bookkeeping {
        name: "ctlstore_histories",
        columns: &[
            ("history", Name(36), KEY),
            ("began_at", Time, NO),
            ("last_before", Big, NO),
            ("next_after", Big, NO),
            ("principal", Name(191), NO),
            ("source_address", Name(64), NO),
            ("request_id", Name(64), NO),
            ("reason", Name(1024), NULL),
        ],
        constraints: "",
    },
];

impl Bookkeeping {
    pub(crate) fn create(&self, dialect: Dialect, collation: &str) -> String {
        let column = |(name, column_type, rest): &(&str, Type, &str)| {
            format!("{} {} {rest}", quoted(name), column_type.declared(dialect))
                .trim_end()
                .to_owned()
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        format!(
            "CREATE TABLE {} ({}{}){}",
            quoted(self.name),
            columns.join(", "),
            self.constraints,
            dialect.table_options(collation)
        )
    }
}

impl Type {
    fn declared(self, dialect: Dialect) -> String {
        let (mysql, sqlite) = match self {
            Counter => ("INTEGER AUTO_INCREMENT PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            BigCounter => {
                ("BIGINT AUTO_INCREMENT PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
            }
            Tiny => ("TINYINT", "INTEGER"),
            Int => ("INT", "INTEGER"),
            Big => ("BIGINT", "INTEGER"),
            Name(length) => return format!("VARCHAR({length})"),
            Text => ("TEXT", "TEXT"),
            MediumText => ("MEDIUMTEXT", "TEXT"),
            Blob => ("BLOB", "BLOB"),
            Hash => ("BINARY(32)", "BLOB"),
            Time => ("DATETIME(6)", "TEXT"),
        };
        match dialect {
            Dialect::MySql => mysql.to_owned(),
            Dialect::Sqlite => sqlite.to_owned(),
        }
    }
}
