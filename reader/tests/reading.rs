//! What an application sees: rows, keys, errors, changes of tables and of whole files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::os::unix::fs::{FileExt, symlink};

use ledger::{ColumnType, LeaderTs, Value};
use reader::testing::TestLdb;
use reader::{Error, Ldb, Row, layout};

const COLUMNS: [(&str, ColumnType); 6] = [
    // A key whose order differs from the columns', of words that SQL knows.
    ("group", ColumnType::String),
    ("order", ColumnType::Integer),
    ("select", ColumnType::Text),
    ("ratio", ColumnType::Decimal),
    ("table", ColumnType::ByteString),
    ("blob", ColumnType::Binary),
];

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn words() -> TestLdb {
    let test = TestLdb::new().unwrap();
    test.table("words", "sql", &COLUMNS, &["order", "group", "table"]).unwrap();
    for (order, group) in [(2, "b"), (1, "z"), (1, "a")] {
        let values = [
            text(group),
            Value::Integer(order),
            text("it's"),
            Value::Decimal(0.25),
            Value::Bytes(b"k".to_vec()),
            Value::Null,
        ];
        test.insert("words", "sql", &values).unwrap();
    }
    test
}

fn groups(rows: &[Row]) -> Vec<&Value> {
    rows.iter().map(|row| row.get("group").unwrap()).collect()
}

#[test]
fn keys_are_in_key_order_and_names_are_quoted() {
    let test = words();
    let words = Ldb::open(test.dir()).unwrap().family("words").unwrap();
    let row = words.row("sql", &[1.into(), "z".into(), b"k".into()]).unwrap().unwrap();
    assert_eq!(row.get("select"), Some(&text("it's")));
    assert_eq!(row.get("nothing"), None);
    // Text stands for its bytes in a ByteString column, as in the original.
    assert!(words.row("sql", &[2.into(), "b".into(), "k".into()]).unwrap().is_some());
    assert!(words.row("SQL", &[2.into(), "a".into(), "k".into()]).unwrap().is_none());

    assert_eq!(groups(&words.all("sql").unwrap()), [&text("a"), &text("z"), &text("b")]);
    assert_eq!(groups(&words.rows("sql", &[1.into()]).unwrap()), [&text("a"), &text("z")]);
    assert_eq!(
        groups(&words.scan("sql").limit(1).collect::<Result<Vec<_>, _>>().unwrap()),
        [&text("a")]
    );
    assert!(words.scan("sql").limit(0).next().is_none());
    assert!(words.rows("sql", &[7.into()]).unwrap().is_empty());
    assert_eq!(words.schema("sql").unwrap().key()[0].as_str(), "order");
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let test = words();
    let ldb = Ldb::open(test.dir()).unwrap();
    let words = ldb.family("words").unwrap();
    let check = |error: Error, want: &str| assert_eq!(error.to_string(), want);
    check(
        words.row("sql", &[1.into(), "a".into()]).unwrap_err(),
        "2 key values for table words___sql, whose key is (order, group, table): give a value for \"table\"",
    );
    let four = [1.into(), "a".into(), "k".into(), 4.into()];
    check(
        words.rows("sql", &four).unwrap_err(),
        "4 key values for table words___sql, whose key is (order, group, table): leave out those that are too many",
    );
    check(
        words.rows("sql", &["1".into()]).unwrap_err(),
        "key column \"order\" of table words___sql is Integer and takes an integer, not text",
    );
    check(
        words.rows("sql", &[1.into(), 2.into()]).unwrap_err(),
        "key column \"group\" of table words___sql is String and takes text, not an integer",
    );
    assert!(words.rows("sql", &[b"1".into()]).unwrap_err().is_usage());

    let missing = words.all("nosql").unwrap_err();
    assert!(missing.is_not_found() && missing.to_string().contains("words___nosql"), "{missing}");
    let missing = ldb.family("verbs").unwrap_err();
    assert!(missing.is_not_found() && missing.to_string().contains("verbs"), "{missing}");
    assert!(ldb.family("no__name").unwrap_err().is_usage());
    assert!(words.all("1").unwrap_err().is_usage());
}

#[test]
fn a_directory_without_an_ldb_is_named_with_the_cure() {
    let test = words();
    let path = test.dir().join("nowhere");
    let error = Ldb::open(&path).unwrap_err();
    assert!(error.is_not_found());
    let text = error.to_string();
    assert!(text.contains(&format!("ctlstore agent --ldb-dir {}", path.display())), "{text}");

    std::fs::create_dir(&path).unwrap();
    assert!(Ldb::open(&path).unwrap_err().is_not_found());
    std::fs::write(path.join("ctl"), "short").unwrap();
    assert!(matches!(Ldb::open(&path).unwrap_err(), Error::NotCtl { .. }));
    std::fs::write(path.join("ctl"), [0; 4096]).unwrap();
    assert!(matches!(Ldb::open(&path).unwrap_err(), Error::NotCtl { .. }));
}

#[test]
fn a_reader_too_old_for_the_files_says_so() {
    let test = words();
    let open = Ldb::open(test.dir()).unwrap();
    write_word(&test, layout::word::LEAST_READER, 2);
    for error in [Ldb::open(test.dir()).unwrap_err(), open.family("words").unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("version 2 or later"), "{text}");
    }
}

/// An agent makes the control page last when it starts for the first time. Whoever opened the file before that would
/// never follow a new generation.
#[test]
fn a_directory_that_is_being_made_is_not_there_yet() {
    let test = words();
    std::fs::remove_file(test.dir().join("ctl")).unwrap();
    for path in [test.dir().to_owned(), test.dir().join("ldb.db")] {
        assert!(Ldb::open(path).unwrap_err().is_not_found());
    }
}

#[test]
fn types_of_the_application_take_what_fits_and_name_what_does_not() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Words {
        order: u8,
        group: Group,
        ratio: f32,
        table: Vec<u8>,
        blob: Option<String>,
        #[serde(default)]
        later: Option<i64>,
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Group {
        A,
        B,
        Z,
    }
    let test = words();
    let words = Ldb::open(test.dir()).unwrap().family("words").unwrap();
    let list: Vec<Words> = words.list("sql", &[2.into()]).unwrap();
    let want = Words {
        order: 2,
        group: Group::B,
        ratio: 0.25,
        table: b"k".to_vec(),
        blob: None,
        later: None,
    };
    assert_eq!(list, [want]);

    let key = [300.into(), "b".into(), "k".into()];
    test.sql("UPDATE words___sql SET \"order\" = 300 WHERE \"order\" = 2").unwrap();
    let error = words.get::<Words>("sql", &key).unwrap_err();
    let Error::Decode { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.column(), Some("order"));
    assert!(source.to_string().contains("300"), "{source}");

    #[derive(Debug, serde::Deserialize)]
    struct Other {
        #[expect(dead_code, reason = "never there")]
        absent: i64,
    }
    let error = words.get::<Other>("sql", &key).unwrap_err();
    let Error::Decode { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("`absent`"), "{source}");
    let map: std::collections::BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&serde_json::to_string(&words.all("sql").unwrap()[0]).unwrap())
            .unwrap();
    assert_eq!(map["ratio"], 0.25);
}

#[test]
fn an_open_reader_sees_added_columns_and_new_keys() {
    let test = words();
    let words = Ldb::open(test.dir()).unwrap().family("words").unwrap();
    let key = [1.into(), "a".into(), "k".into()];
    assert_eq!(words.row("sql", &key).unwrap().unwrap().values().len(), 6);
    test.sql("ALTER TABLE words___sql ADD COLUMN \"new\" INTEGER").unwrap();
    let row = words.row("sql", &key).unwrap().unwrap();
    assert_eq!(row.get("new"), Some(&Value::Null));

    test.sql("DROP TABLE words___sql").unwrap();
    assert!(words.row("sql", &key).unwrap_err().is_not_found());
    test.table("words", "sql", &COLUMNS, &["group", "order"]).unwrap();
    assert!(words.row("sql", &["a".into(), 1.into()]).unwrap().is_none());
    assert!(words.row("sql", &key).unwrap_err().is_usage());
}

#[test]
fn reads_follow_a_new_generation() {
    let test = words();
    // Through the path of the original too.
    let ldb = Ldb::open(test.dir().join("ldb.db")).unwrap();
    let words = ldb.family("words").unwrap();
    assert_eq!((ldb.generation(), words.all("sql").unwrap().len()), (1, 3));

    let second = test.dir().join("gen-2");
    std::fs::create_dir(&second).unwrap();
    test.sql(&format!("VACUUM INTO '{}'", second.join("ldb.db").display())).unwrap();
    symlink("gen-2", test.dir().join("next")).unwrap();
    test.insert(
        "words",
        "sql",
        &[text("c"), Value::Integer(9), text(""), Value::Null, Value::Bytes(vec![]), Value::Null],
    )
    .unwrap();
    assert_eq!(words.all("sql").unwrap().len(), 4);

    std::fs::rename(test.dir().join("next"), test.dir().join("current")).unwrap();
    write_word(&test, layout::word::GENERATION, 2);
    assert_eq!((ldb.generation(), words.all("sql").unwrap().len()), (2, 3));

    // A generation that cannot be opened: reads go on from the last one.
    std::fs::remove_file(test.dir().join("current")).unwrap();
    write_word(&test, layout::word::GENERATION, 3);
    assert_eq!(words.all("sql").unwrap().len(), 3);
}

#[test]
fn position_and_latency_are_told_once_something_is_applied() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    assert_eq!((ldb.position().unwrap(), ldb.latency().unwrap()), (None, None));
    assert_eq!(ldb.seq().unwrap().get(), 0);
    assert!(ldb.families().unwrap().is_empty());

    test.table("words", "sql", &COLUMNS, &["order"]).unwrap();
    let digest = "7".repeat(64);
    test.sql(&format!(
        "INSERT INTO _ldb_meta VALUES(1, 1, 'legacy', 42, x'{digest}', x'{digest}');
         INSERT INTO _ldb_seq VALUES(1, 42);"
    ))
    .unwrap();
    let position = ldb.position().unwrap().unwrap();
    assert_eq!(position.mark().to_string(), format!("legacy.42.{digest}"));
    assert_eq!(ldb.seq().unwrap().get(), 42);
    assert_eq!(ldb.families().unwrap()[0].as_str(), "words");

    for form in ["2019-07-15 16:30:01+00:00", "2019-07-15T16:30:01.5Z", "2019-07-15 16:30:01"] {
        test.sql(&format!("REPLACE INTO _ldb_last_update VALUES('ledger', '{form}')")).unwrap();
        assert!(ldb.latency().unwrap().unwrap().as_secs() > 200_000_000);
    }
    let ahead = LeaderTs::from_micros(4_000_000_000_000_000).to_go_text();
    test.sql(&format!("REPLACE INTO _ldb_last_update VALUES('ledger', '{ahead}')")).unwrap();
    assert_eq!(ldb.latency().unwrap().unwrap().as_secs(), 0);
    test.sql("REPLACE INTO _ldb_last_update VALUES('ledger', 'soon')").unwrap();
    assert!(ldb.latency().unwrap_err().to_string().contains("soon"));
    test.sql("UPDATE _ldb_meta SET format = 2").unwrap();
    assert!(ldb.position().unwrap_err().to_string().contains("format 2"));
}

fn write_word(test: &TestLdb, word: usize, value: u64) {
    let ctl = std::fs::File::options().write(true).open(test.dir().join("ctl")).unwrap();
    ctl.write_all_at(&value.to_le_bytes(), u64::try_from(word * 8).unwrap()).unwrap();
}
