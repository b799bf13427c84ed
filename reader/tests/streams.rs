//! Rows one after the other: pages, limits, resume keys; borrowed rows; raw SQL.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use ledger::{ColumnType, Value};
use reader::testing::TestLdb;
use reader::{Error, Family, KeyValue, Ldb, ResumeKey, ValueRef};

const COLUMNS: [(&str, ColumnType); 4] = [
    ("region", ColumnType::String),
    ("shard", ColumnType::Integer),
    ("hash", ColumnType::ByteString),
    ("value", ColumnType::Decimal),
];

/// 900 rows: more than three pages.
fn rows() -> (TestLdb, Family) {
    let test = TestLdb::new().unwrap();
    test.table("many", "rows", &COLUMNS, &["region", "shard", "hash"]).unwrap();
    test.sql("BEGIN").unwrap();
    for number in 0..900_i64 {
        let region = ["eu", "us", "zürich"][usize::try_from(number % 3).unwrap()];
        let hash =
            vec![u8::try_from(number % 7).unwrap() * 40, u8::try_from(number / 7 % 256).unwrap()];
        let shard = if number == 0 { i64::MIN } else { number % 5 - 2 };
        let values = [
            Value::Text(region.to_owned()),
            Value::Integer(shard),
            Value::Bytes(hash),
            Value::Decimal(0.5),
        ];
        test.insert("many", "rows", &values).unwrap();
    }
    test.sql("COMMIT").unwrap();
    let family = Ldb::open(test.dir()).unwrap().family("many").unwrap();
    (test, family)
}

/// Reads by pages of this size, each with the resume key of the one before, as text.
fn paged(family: &Family, prefix: &[KeyValue<'_>], size: usize) -> Vec<reader::Row> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut page = if prefix.is_empty() {
            family.scan("rows")
        } else {
            family.rows_with_prefix("rows", prefix)
        };
        page = page.limit(size);
        if let Some(token) = &token {
            page = page.after(token.parse::<ResumeKey>().unwrap());
        }
        let rows: Vec<_> = page.by_ref().collect::<Result<_, _>>().unwrap();
        if rows.is_empty() {
            return all;
        }
        all.extend(rows);
        token = page.resume_key().map(ToString::to_string);
    }
}

#[test]
fn pages_join_to_the_whole_for_keys_of_all_types() {
    let (_test, family) = rows();
    let whole = family.all("rows").unwrap();
    assert!(whole.len() > 600);
    for size in [1, 7, 256, 257, 10_000] {
        assert_eq!(paged(&family, &[], size), whole, "{size}");
    }
    assert_eq!(family.scan("rows").collect::<Result<Vec<_>, _>>().unwrap(), whole);
    let hash = &whole[0].values()[2];
    let Value::Bytes(hash) = hash else { panic!("{hash:?}") };
    for prefix in [
        vec![KeyValue::from("eu")],
        vec!["eu".into(), i64::MIN.into()],
        vec!["zürich".into(), (-2_i64).into()],
        vec!["eu".into(), i64::MIN.into(), hash.into()],
        vec!["nowhere".into()],
    ] {
        let want = family.rows("rows", &prefix).unwrap();
        let streamed = family.rows_with_prefix("rows", &prefix).collect::<Result<Vec<_>, _>>();
        assert_eq!(streamed.unwrap(), want);
        // After a whole key nothing is left.
        if prefix.len() < 3 {
            assert_eq!(paged(&family, &prefix, 3), want);
        }
    }
    assert!(family.ldb().stats().full_scans > 600);
}

#[test]
fn rows_written_while_a_stream_is_read_disturb_nothing() {
    let (test, family) = rows();
    let whole = family.all("rows").unwrap().len();
    let mut stream = family.scan("rows");
    let first = stream.next().unwrap().unwrap();
    // Before the place where it stands, and after it.
    test.sql("DELETE FROM many___rows WHERE region = 'eu'").unwrap();
    test.sql("INSERT INTO many___rows VALUES('ö', 1, x'00', 1.0)").unwrap();
    let rest: Vec<_> = stream.by_ref().collect::<Result<_, _>>().unwrap();
    assert_eq!(first.get("region"), Some(&Value::Text("eu".to_owned())));
    assert!(
        rest.len() < whole && rest.last().unwrap().get("region") == Some(&Value::Text("ö".into()))
    );
    assert!(stream.next().is_none());
}

#[test]
fn what_does_not_fit_is_the_first_item_and_the_last() {
    let (test, family) = rows();
    test.table("many", "other", &COLUMNS[..2], &["shard"]).unwrap();
    let key = family.scan("rows").limit(1);
    let mut key = key;
    key.next().unwrap().unwrap();
    let resume = key.resume_key().unwrap().clone();
    let check = |mut rows: reader::Rows, want: &str| {
        let error = rows.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), want);
        assert!(error.is_usage() || error.is_not_found());
        assert!(rows.next().is_none());
    };
    check(
        family.scan("other").after(resume.clone()),
        "the resume key does not fit table many___other: begin again without one",
    );
    check(
        family.rows_with_prefix("rows", &[]),
        "no key value for table many___rows: give the first of its key, or say `scan` to read the whole table",
    );
    check(
        family.rows_with_prefix("rows", &[1.into()]),
        "key column \"region\" of table many___rows is String and takes text, not an integer",
    );
    check(
        family.scan("none"),
        "no table many___none in this LDB: create it, or wait until the agent has replayed it",
    );
    assert!(family.rows("rows", &[]).unwrap_err().is_usage());
    for wrong in ["", "x", "i", "i1.", "t0", "tzz", "i1é", "b0g"] {
        assert!(wrong.parse::<ResumeKey>().is_err(), "{wrong}");
    }
    assert_eq!(resume.to_string().parse::<ResumeKey>().unwrap(), resume);
}

#[test]
fn borrowed_rows_tell_their_values_and_name_what_is_wrong() {
    let (_test, family) = rows();
    #[derive(serde::Deserialize)]
    struct Borrowed<'a> {
        region: &'a str,
        #[serde(borrow)]
        hash: &'a [u8],
        shard: i64,
    }
    let key = family.all("rows").unwrap().remove(0);
    let (Value::Text(region), Value::Bytes(hash)) = (&key.values()[0], &key.values()[2]) else {
        panic!("{key:?}")
    };
    let found = family.with_row("rows", &[region.into(), i64::MIN.into(), hash.into()], |row| {
        assert_eq!((row.str(0).unwrap(), row.integer(1).unwrap()), (region.as_str(), i64::MIN));
        assert_eq!((row.bytes(2).unwrap(), row.bytes(0).unwrap()), (&hash[..], region.as_bytes()));
        assert_eq!(
            (row.decimal(3).unwrap(), row.get("value")),
            (0.5, Some(ValueRef::Decimal(0.5)))
        );
        assert!(row.get("none").is_none());
        let borrowed: Borrowed<'_> = row.decode().unwrap();
        assert_eq!(
            (borrowed.region, borrowed.hash, borrowed.shard),
            (region.as_str(), &hash[..], i64::MIN)
        );
        let check = |error: Error, want| assert_eq!(error.to_string(), want);
        check(
            row.str(1).unwrap_err(),
            "column shard of a row of table many___rows: text was asked for, not an integer",
        );
        check(
            row.integer(0).unwrap_err(),
            "column region of a row of table many___rows: an integer was asked for, not text",
        );
        check(
            row.value(9).unwrap_err(),
            "column 9 of a row of table many___rows: a column was asked for, not none there",
        );
    });
    assert_eq!(found.unwrap(), Some(()));
}

#[test]
fn raw_sql_reads_and_does_nothing_else() {
    let (test, family) = rows();
    let ldb = family.ldb();
    let answer = ldb
        .query("SELECT region, max(shard), x'00ff', 1.5, NULL FROM many___rows WHERE region = ?1 GROUP BY 1", &[Value::Text("eu".into())])
        .unwrap();
    let want = [
        Value::Text("eu".into()),
        Value::Integer(2),
        Value::Bytes(vec![0, 255]),
        Value::Decimal(1.5),
        Value::Null,
    ];
    assert_eq!(answer.rows, [want]);
    assert_eq!(ldb.query("PRAGMA table_info(many___rows)", &[]).unwrap().rows.len(), 4);
    let path = test.dir().join("new.db");
    for wrong in [
        "DELETE FROM many___rows",
        "CREATE TEMP TABLE t (a)",
        "BEGIN",
        "PRAGMA journal_mode = delete",
        "PRAGMA locking_mode = exclusive",
        &format!("ATTACH '{}' AS other", path.display()),
        &format!("VACUUM INTO '{}'", path.display()),
        "SELECT 1; DELETE FROM many___rows",
        "nonsense",
    ] {
        assert!(ldb.query(wrong, &[]).is_err(), "{wrong}");
    }
    assert!(!path.exists());
}
