//! `ctlstore get`, `scan` and `status`: what they print and how they end.

use std::process::{Command, Stdio};

use ledger::{ColumnType, Value};
use reader::testing::TestLdb;
use testkit::program::{Ended, Program, ctlstore};

use crate::running::path;

fn ldb() -> TestLdb {
    let ldb = TestLdb::new().unwrap();
    let columns = [
        ("region", ColumnType::String),
        ("tier", ColumnType::Integer),
        ("tag", ColumnType::ByteString),
        ("price", ColumnType::Decimal),
        ("note", ColumnType::Text),
    ];
    ldb.table("billing", "rates", &columns, &["region", "tier", "tag"]).unwrap();
    for (region, tier, tag) in
        [("eu", 9_007_199_254_740_993, b"\0\xff"), ("eu", -7, b"ab"), ("us", 1, b"ab")]
    {
        let note = if tier < 0 { Value::Null } else { Value::Text("line\nline".to_owned()) };
        let row = [
            Value::Text(region.to_owned()),
            Value::Integer(tier),
            Value::Bytes(tag.to_vec()),
            Value::Decimal(0.1),
            note,
        ];
        ldb.insert("billing", "rates", &row).unwrap();
    }
    ldb
}

async fn ask(ldb: &TestLdb, args: &[&str]) -> Ended {
    let ended = Program::run(&[args, &["--ldb", path(ldb.dir())]].concat()).await.unwrap();
    assert!(ended.stderr.lines().count() <= 1, "{ended:?}");
    ended
}

#[tokio::test]
async fn a_row_is_found_by_its_whole_key_exactly() {
    let ldb = ldb();
    let get = ["get", "billing", "rates", "eu", "9007199254740993", "0x00ff"];
    let json = ask(&ldb, &[&get[..], &["--output", "json"]].concat()).await;
    assert_eq!(
        (json.code(), json.stdout.as_str()),
        (
            Some(0),
            "{\"region\":\"eu\",\"tier\":9007199254740993,\"tag\":\"AP8=\",\"price\":0.1,\"note\":\"line\\nline\"}\n"
        )
    );
    let table = ask(&ldb, &get).await;
    assert_eq!(
        table.stdout,
        "region  tier              tag     price  note\neu      9007199254740993  0x00ff  0.1    line\\nline\n"
    );
    // Negative numbers are no flags, and bytes that are text may be typed as text.
    let negative = ask(&ldb, &["get", "billing", "rates", "eu", "-7", "ab"]).await;
    assert!(negative.stdout.contains("eu      -7    0x6162  0.1    NULL"), "{negative:?}");
    // Names in any case, as the original has it.
    let shouted = ask(&ldb, &["get", "BILLING", "Rates", "eu", "-7", "ab"]).await;
    assert_eq!(shouted.stdout, negative.stdout);

    let absent = ask(&ldb, &["get", "billing", "rates", "eu", "8", "ab"]).await;
    assert_eq!((absent.code(), absent.stdout.as_str()), (Some(3), ""), "{absent:?}");
    assert_eq!(absent.stderr, "ctlstore: no row eu 8 ab in billing___rates\n");
}

#[tokio::test]
async fn rows_are_found_by_the_beginning_of_their_key() {
    let ldb = ldb();
    let tiers = async |args: &[&str]| {
        let args = [&["scan", "billing", "rates", "--output", "json"], args].concat();
        let ended = ask(&ldb, &args).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let rows = ended.stdout.lines().map(|row| serde_json::from_str(row).unwrap());
        rows.map(|row: serde_json::Value| row["tier"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(tiers(&[]).await, [-7, 9_007_199_254_740_993, 1]);
    assert_eq!(tiers(&["eu"]).await, [-7, 9_007_199_254_740_993]);
    assert_eq!(tiers(&["us", "1"]).await, [1]);
    assert_eq!(tiers(&["asia"]).await, [0_i64; 0], "no rows are an answer, too");
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error_that_names_it() {
    let ldb = ldb();
    let complains = async |args: &[&str], words: &[&str]| {
        let ended = ask(&ldb, args).await;
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(1), ""), "{args:?}: {ended:?}");
        for words in words {
            assert!(ended.stderr.contains(words), "no {words:?}: {ended:?}");
        }
    };
    complains(&["get", "nope", "rates", "x"], &["no family nope", "wait until"]).await;
    complains(&["scan", "billing", "nope"], &["no table billing___nope", "wait until"]).await;
    complains(&["get", "bill__ing", "rates", "x"], &["bill__ing"]).await;
    complains(&["get", "billing", "rates", "eu"], &["1 key values", "give a value for \"tier\""])
        .await;
    complains(&["get", "billing", "rates", "eu", "1", "a", "b"], &["4 key values", "too many"])
        .await;
    complains(&["scan", "billing", "rates", "eu", "1", "a", "b"], &["4 key values", "too many"])
        .await;
    complains(
        &["get", "billing", "rates", "eu", "one", "a"],
        &["\"tier\" is an Integer, \"one\" is none"],
    )
    .await;
    let huge = "9223372036854775808";
    complains(&["scan", "billing", "rates", "eu", huge], &["\"tier\" is an Integer", huge]).await;
    complains(&["get", "billing", "rates", "eu", "1", "0x0"], &["\"tag\"", "pairs of hexadecimal"])
        .await;

    let usage = Program::run(&["get", "billing", "rates"]).await.unwrap();
    assert_eq!((usage.code(), usage.stdout.as_str()), (Some(2), ""), "{usage:?}");
    assert!(usage.stderr.contains("<KEY>..."), "{usage:?}");
    let nowhere = Program::run(&["status", "--ldb", "/nowhere"]).await.unwrap();
    assert_eq!(nowhere.code(), Some(1), "{nowhere:?}");
    assert!(
        nowhere.stderr.starts_with("ctlstore: no LDB at /nowhere: start `ctlstore agent"),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn the_status_says_where_the_ldb_stands_and_what_is_in_it() {
    let ldb = ldb();
    let status = ask(&ldb, &["status"]).await;
    let lines: Vec<_> = status.stdout.lines().collect();
    assert_eq!(lines[0], format!("ldb           {}", ldb.dir().display()));
    let of = |name: &str| lines.iter().position(|line| line.starts_with(name)).unwrap();
    assert_eq!(lines[of("seq")].split_whitespace().nth(1), Some("3"), "{status:?}");
    assert!(lines[of("newest entry")].ends_with(" ago"), "{status:?}");
    let tables: Vec<_> =
        lines[of("tables")..].iter().flat_map(|line| line.split_whitespace()).collect();
    assert_eq!(tables, ["tables", "1", "billing___rates"]);
    let json = ask(&ldb, &["status", "--output", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["seq"], &json["tables"][0]), (&3.into(), &"billing___rates".into()));
    assert!(json["latency_seconds"].as_f64().unwrap() >= 0.0);
}

#[tokio::test]
async fn a_reader_that_leaves_early_is_no_error_and_a_full_disk_is() {
    let ldb = ldb();
    let big = Value::Text("x".repeat(100_000));
    for tier in 0..30 {
        let bytes = Value::Bytes(vec![1]);
        let row = [Value::Text("xx".into()), Value::Integer(tier), bytes, Value::Null, big.clone()];
        ldb.insert("billing", "rates", &row).unwrap();
    }
    let scan = || {
        let mut command = Command::new(ctlstore().unwrap());
        command.args(["scan", "billing", "rates", "--ldb"]).arg(ldb.dir()).stderr(Stdio::piped());
        command
    };
    let mut early = scan().stdout(Stdio::piped()).spawn().unwrap();
    drop(early.stdout.take());
    let early = early.wait_with_output().unwrap();
    assert_eq!((early.status.code(), early.stderr), (Some(0), vec![]));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let full = scan().stdout(full).output().unwrap();
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8(full.stderr).unwrap().contains("No space left"));
}

#[tokio::test]
async fn the_version_names_the_formats() {
    let version = Program::run(&["--version"]).await.unwrap();
    assert_eq!(version.code(), Some(0));
    let want = concat!(
        "ctlstore ",
        env!("CARGO_PKG_VERSION"),
        " (ctldb schema 2, LDB layout 1, LDB format 1)\n"
    );
    assert_eq!(version.stdout, want);
}
