//! A node's LDB, made by an agent of its own from the ledger, and its rows as values.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use ledger::{CtlDbUrl, Seq, TableSchema, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use testkit::eventually;
use testkit::program::Program;

/// The rows of a table in a SQLite file, in the key's order.
pub(crate) fn rows(file: &Path, schema: &TableSchema) -> Vec<Vec<Value>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(file, flags).unwrap();
    let quoted = |name: &str| format!("\"{name}\"");
    let columns: Vec<_> = schema.columns().iter().map(|c| quoted(c.name.as_str())).collect();
    let key: Vec<_> = schema.key().iter().map(|name| quoted(name.as_str())).collect();
    let sql =
        format!("SELECT {} FROM {} ORDER BY {}", columns.join(","), schema.table(), key.join(","));
    let mut query = file.prepare(&sql).unwrap();
    let rows = query.query_map([], |row| {
        (0..columns.len()).map(|index| row.get_ref(index).map(value)).collect()
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Decimal(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// The rows of a table on a node whose LDB has reached a sequence.
pub(crate) async fn node_rows(url: &CtlDbUrl, seq: Seq, schema: &TableSchema) -> Vec<Vec<Value>> {
    let dir = tempfile::tempdir().unwrap();
    let url_file = dir.path().join("url");
    let text = match url {
        CtlDbUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        CtlDbUrl::MySql(url) => testkit::mariadb::MariaDb::shared().url(&url.database),
    };
    std::fs::write(&url_file, text).unwrap();
    let ldb = dir.path().join("ldb");
    let (ldb_dir, url_file) = (ldb.to_str().unwrap(), url_file.to_str().unwrap());
    let args =
        ["agent", "--ldb-dir", ldb_dir, "--ctldb-url-file", url_file, "--poll-interval", "50ms"];
    let agent = Program::ctlstore(&args).unwrap();
    let file = ldb.join("ldb.db");
    let reached = eventually(Duration::from_secs(60), async || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let open = Connection::open_with_flags(&file, flags)?;
        let at: i64 = open.query_row("SELECT seq FROM _ldb_seq", [], |row| row.get(0))?;
        ensure!(
            at == seq.to_i64(),
            "the node is at {at}, the ledger at {seq}:\n{}",
            agent.stderr()
        );
        Ok(())
    });
    reached.await.unwrap();
    rows(&file, schema)
}
