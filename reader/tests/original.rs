//! LDBs of the original: what only it writes, and files that no agent of ours keeps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use ledger::{ColumnType, Value};
use reader::Ldb;
use reader::testing::TestLdb;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn content_that_only_the_original_writes_is_read_as_it_is() {
    let test = TestLdb::new().unwrap();
    let columns =
        [("id", ColumnType::Integer), ("name", ColumnType::String), ("n", ColumnType::Integer)];
    test.table("old", "rows", &columns, &["id"]).unwrap();
    test.sql(
        "REPLACE INTO old___rows VALUES(1, x'610062', 'abc');
         REPLACE INTO old___rows VALUES(2, x'ff00', 1.5);
         REPLACE INTO old___rows VALUES(3, CAST(x'ff00' AS TEXT), NULL);
         REPLACE INTO old___rows VALUES(4, true, x'01');",
    )
    .unwrap();
    let old = Ldb::open(test.dir()).unwrap().family("old").unwrap();
    let values: Vec<_> =
        old.all("rows").unwrap().iter().map(|row| row.values()[1..].to_vec()).collect();
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    assert_eq!(values[0], [text("a\0b"), text("abc")]);
    assert_eq!(values[1], [bytes(&[255, 0]), Value::Decimal(1.5)]);
    assert_eq!(values[2], [bytes(&[255, 0]), Value::Null]);
    assert_eq!(values[3], [text("1"), bytes(&[1])]);
    let json = serde_json::to_string(&old.all("rows").unwrap()[1]).unwrap();
    assert_eq!(json, r#"{"id":2,"name":"/wA=","n":1.5}"#);

    test.sql("CREATE TABLE old___odd (id VARCHAR(20) PRIMARY KEY)").unwrap();
    let error = old.all("odd").unwrap_err().to_string();
    assert!(error.contains("column \"id\" is of type \"VARCHAR(20)\""), "{error}");
}

#[test]
fn a_file_of_the_original_can_be_read() {
    let test = TestLdb::new().unwrap();
    test.table("old", "rows", &[("id", ColumnType::Integer)], &["id"]).unwrap();
    for id in 1..=3 {
        test.insert("old", "rows", &[Value::Integer(id)]).unwrap();
    }
    test.sql("DROP TABLE _ldb_meta").unwrap();
    // A copy without its WAL, in a directory that nobody serves, with a name that means something in a URI.
    let copy = tempfile::Builder::new().prefix("what?#%41 ").tempdir().unwrap();
    let file = copy.path().join("ldb.db");
    test.sql(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    let writer = rusqlite::Connection::open(&file).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    writer.close().unwrap();
    assert_eq!(std::fs::read_dir(copy.path()).unwrap().count(), 1);
    let twice = format!("/{}", file.display());
    for path in [copy.path().to_owned(), file, twice.into()] {
        let ldb = Ldb::open(path).unwrap();
        assert_eq!(
            (ldb.generation(), ldb.position().unwrap(), ldb.seq().unwrap().get()),
            (0, None, 3)
        );
        assert_eq!(ldb.family("old").unwrap().all("rows").unwrap().len(), 3);
    }
}
