//! Whatever is written: ctldb, the ledger and the LDB hold the same values, one by one.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use ctldb::CtlDb;
use ledger::{ColumnType, Key, Mutation, Row, TableSchema, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::place::Place;
use crate::replay::{Replayed, sorted};
use crate::shape::{batch, change, create, credentials, family, schema};

/// Texts that databases like to change: quotes, NUL, trailing spaces, and what collations merge.
const TEXTS: [&str; 28] = [
    "",
    " ",
    "a",
    "a ",
    "a  ",
    "A",
    "á",
    "a\u{301}",
    "à",
    "ß",
    "ss",
    "SS",
    "İ",
    "i",
    "ı",
    "ﬁ",
    "fi",
    "\0",
    "a\0",
    "\0b",
    "'",
    "''",
    "\\",
    "\\'",
    "\"",
    "\u{1F600}",
    "x'00'",
    "a\n\r\t\u{1a}%_`;--",
];

const NUMBERS: [f64; 12] = [
    0.0,
    1.0,
    -1.5,
    0.1,
    5e-324,
    2.225_073_858_507_201e-308,
    1e100,
    -1e100,
    f64::MAX,
    f64::MIN,
    9_007_199_254_740_993.0,
    1e18,
];

const INTEGERS: [i64; 7] = [0, 1, -1, i64::MAX, i64::MIN, 1_563_217_544_067_280_401, 1 << 53];

fn value(column_type: ColumnType, key: bool) -> BoxedStrategy<Value> {
    let any = match column_type {
        ColumnType::String => prop_oneof![
            4 => select(&TEXTS[..]).prop_map(|text| Value::Text(text.to_owned())),
            1 => vec(any::<char>(), 0..8).prop_map(|text| Value::Text(text.into_iter().collect())),
            1 => Just(Value::Text("\u{1F600}".repeat(191))),
        ]
        .boxed(),
        ColumnType::Text => prop_oneof![
            4 => select(&TEXTS[..]).prop_map(|text| Value::Text(text.to_owned())),
            1 => any::<String>().prop_map(Value::Text),
            1 => Just(Value::Text("'\\\u{1F600}\0 ".repeat(8000))),
        ]
        .boxed(),
        ColumnType::Integer => prop_oneof![
            3 => select(&INTEGERS[..]),
            1 => any::<i64>(),
        ]
        .prop_map(Value::Integer)
        .boxed(),
        ColumnType::Decimal => prop_oneof![
            2 => select(&NUMBERS[..]),
            1 => any::<i64>().prop_map(|bits| f64::from_bits(bits.cast_unsigned())),
        ]
        .prop_filter_map("not finite", Value::decimal)
        .boxed(),
        ColumnType::Binary => prop_oneof![
            2 => vec(any::<u8>(), 0..20),
            1 => Just(Vec::new()),
            1 => any::<u8>().prop_map(|first| (0..65_536_u32).map(|n| (n % 251) as u8 ^ first).collect()),
        ]
        .prop_map(Value::Bytes)
        .boxed(),
        ColumnType::ByteString => prop_oneof![
            2 => select(vec![vec![], vec![0], vec![0, 0], b"a".to_vec(), b"a ".to_vec(), vec![255; 255]]),
            1 => vec(any::<u8>(), 0..=255),
        ]
        .prop_map(Value::Bytes)
        .boxed(),
    };
    if key { any } else { prop_oneof![6 => any, 1 => Just(Value::Null)].boxed() }
}

#[derive(Debug, Clone)]
struct Case {
    schema: TableSchema,
    /// Rows, and whether each is deleted by its key instead of written.
    batches: Vec<Vec<(Vec<Value>, bool)>>,
}

fn case() -> impl Strategy<Value = Case> {
    let types = vec(select(&ColumnType::ALL[..]), 0..6);
    let first = select(vec![ColumnType::String, ColumnType::Integer, ColumnType::ByteString]);
    let shape = (first, types).prop_flat_map(|(first, mut types)| {
        types.insert(0, first);
        let may: Vec<usize> = (0..types.len()).filter(|&index| types[index].may_be_key()).collect();
        let most = may.len().min(3);
        (Just(types), subsequence(may, 1..=most).prop_shuffle())
    });
    shape.prop_flat_map(|(types, key)| {
        static TABLES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("shop___t{}", TABLES.fetch_add(1, Ordering::SeqCst) + 100);
        let names: Vec<_> = (0..types.len()).map(|index| format!("c{index}")).collect();
        let columns: Vec<_> = names.iter().map(String::as_str).zip(types.clone()).collect();
        let keys: Vec<_> = key.iter().map(|&index| names[index].as_str()).collect();
        let schema = schema(&name, &columns, &keys);
        let row: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(index, column_type)| value(*column_type, key.contains(&index)))
            .collect();
        let change = (row, prop::bool::weighted(0.2));
        (Just(schema), vec(vec(change, 1..6), 1..5))
            .prop_map(|(schema, batches)| Case { schema, batches })
    })
}

async fn check(place: &Place, ctldb: &CtlDb, ldb: &mut Replayed, case: &Case) -> Result<()> {
    change(ctldb, &create(&case.schema)).await?;
    let schema = Arc::new(case.schema.clone());
    for rows in &case.batches {
        let mut mutations = Vec::new();
        for (values, delete) in rows {
            let row = Row::new(&schema, values.clone())?;
            let mutation = match delete {
                true => Mutation::Delete(Key::new(&schema, row.key(&schema).values().to_vec())?),
                false => Mutation::Upsert(row),
            };
            mutations.push(ctldb::TableMutation { schema: Arc::clone(&schema), mutation });
        }
        ctldb.mutate(&batch(mutations)).await?;
    }
    let wanted = sorted(model(case));
    let ctldb_holds = sorted(place.mirror(&schema).await?);
    ldb.follow(ctldb).await?;
    let ldb_holds = sorted(ldb.rows(&schema)?);
    anyhow::ensure!(
        bits(&ctldb_holds) == bits(&wanted),
        "ctldb {ctldb_holds:?}\nwanted {wanted:?}"
    );
    anyhow::ensure!(bits(&ldb_holds) == bits(&wanted), "LDB {ldb_holds:?}\nwanted {wanted:?}");
    Ok(())
}

/// What must be there: the last row of each key, keys compared byte by byte.
fn model(case: &Case) -> Vec<Vec<Value>> {
    let mut rows: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for (values, delete) in case.batches.iter().flatten() {
        let row = Row::new(&case.schema, values.clone()).unwrap();
        let key = row.key(&case.schema).values().to_vec();
        rows.retain(|(other, _)| *other != key);
        if !delete {
            rows.push((key, values.clone()));
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Doubles to the bit.
fn bits(rows: &[Vec<Value>]) -> Vec<String> {
    let bits = |value: &Value| match value {
        Value::Decimal(number) => format!("{:x}", number.to_bits()),
        other => format!("{other:?}"),
    };
    rows.iter().map(|row| row.iter().map(bits).collect::<Vec<_>>().join("|")).collect()
}

fn hold_for(place: &Place, cases: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ctldb = runtime.block_on(async {
        let ctldb = place.migrated().await?;
        ctldb.create_family(&family("shop"), ctldb::Fence::Open).await?;
        let ctldb::Credentials { writer, secret } = credentials();
        ctldb.register_writer(&writer, &secret).await?;
        anyhow::Ok(ctldb)
    })?;
    let config =
        Config { cases, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    let ldb = RefCell::new(Replayed::nothing()?);
    let mut runner = TestRunner::new(config);
    runner.run(&case(), |case| {
        // Shrunk cases have the name of the case they came from.
        let gone = runtime.block_on(async {
            if ctldb.table(case.schema.table()).await?.is_some() {
                change(&ctldb, &crate::shape::drop_table(case.schema.table())).await?;
            }
            anyhow::Ok(())
        });
        gone.map_err(|error| TestCaseError::reject(format!("{error:#}")))?;
        let held = runtime.block_on(check(place, &ctldb, &mut ldb.borrow_mut(), &case));
        held.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    })?;
    runtime.block_on(ctldb.verify())?;
    Ok(())
}

#[test]
fn sqlite_the_ledger_and_the_ldb_hold_the_same() -> Result<()> {
    hold_for(&Place::sqlite()?, 150)
}

#[test]
fn the_server_the_ledger_and_the_ldb_hold_the_same() -> Result<()> {
    hold_for(&Place::server()?, 60)
}
