//! What a warm point read costs, beside SQLite's own interface in a transaction that is open:
//! `cargo run --release -p reader --example latency`. The bench `ldb` measures the same with more around it.
#![allow(
    clippy::print_stdout,
    unsafe_code,
    reason = "a program that prints, and SQLite's own interface to compare with"
)]

use std::ffi::CString;
use std::ptr::null_mut;
use std::time::Instant;

use reader::testing::{LdbBuilder, schema};
use reader::{ColumnType, Ldb, Value};
use rusqlite::ffi;

const ROWS: usize = 4_000;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("reader-latency-{}", std::process::id()));
    let columns =
        [("key", ColumnType::String), ("value", ColumnType::String), ("n", ColumnType::Integer)];
    let table = schema("bench", "rows", &columns, &["key"])?;
    let mut builder = LdbBuilder::new();
    builder.table(table.clone())?;
    let keys: Vec<String> = (0..ROWS).map(|number| format!("key-{number:08}")).collect();
    for (number, key) in (0_i64..).zip(&keys) {
        let value = format!("{number:0160}");
        let values = vec![Value::Text(key.clone()), Value::Text(value), Value::Integer(number)];
        builder.row(table.table(), values)?;
    }
    builder.build(&dir)?;
    let order: Vec<&str> = (0..200_000).map(|n| keys[n * 7919 % ROWS].as_str()).collect();
    let family = Ldb::open(&dir)?.family("bench")?;
    for _ in 0..ROUNDS {
        let raw = raw(&dir, &order)?;
        let lent = median(&order, |key| {
            let read = |row: reader::RowRef<'_>| row.str(1).map(str::len);
            assert!(matches!(family.with_row("rows", &[key.into()], read), Ok(Some(Ok(160)))));
        });
        let row = median(&order, |key| {
            assert!(matches!(family.row("rows", &[key.into()]), Ok(Some(_))));
        });
        println!("raw, in a transaction {raw} ns; with_row {lent} ns; row {row} ns");
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

fn median(order: &[&str], mut read: impl FnMut(&str)) -> u128 {
    let mut times: Vec<_> = order
        .iter()
        .map(|key| {
            let start = Instant::now();
            read(key);
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn raw(dir: &std::path::Path, order: &[&str]) -> Result<u128, Box<dyn std::error::Error>> {
    let uri = CString::new(format!("file:{}/ldb.db?mode=ro&readonly_shm=1", dir.display()))?;
    let sql = c"SELECT key, value, n FROM bench___rows WHERE key = ?1";
    // SAFETY: a program of one thread that checks what it opens.
    unsafe {
        let (mut db, mut statement) = (null_mut(), null_mut());
        let flags = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_URI | ffi::SQLITE_OPEN_NOMUTEX;
        assert_eq!(ffi::sqlite3_open_v2(uri.as_ptr(), &mut db, flags, std::ptr::null()), 0);
        ffi::sqlite3_exec(db, c"BEGIN".as_ptr(), None, null_mut(), null_mut());
        assert_eq!(ffi::sqlite3_prepare_v2(db, sql.as_ptr(), -1, &mut statement, null_mut()), 0);
        let time = median(order, |key| {
            let length = i32::try_from(key.len()).unwrap_or(0);
            ffi::sqlite3_bind_text(statement, 1, key.as_ptr().cast(), length, ffi::SQLITE_STATIC());
            assert_eq!(ffi::sqlite3_step(statement), ffi::SQLITE_ROW);
            let _text = ffi::sqlite3_column_text(statement, 1);
            assert_eq!(ffi::sqlite3_column_bytes(statement, 1), 160);
            ffi::sqlite3_reset(statement);
        });
        ffi::sqlite3_finalize(statement);
        ffi::sqlite3_close(db);
        Ok(time)
    }
}
