//! Ledgers of the original: their holes are legal, and their rows are what its reflector makes of them.

use ::ledger::History;
use proptest::prelude::*;

use crate::agent::Agent;
use crate::content;
use crate::ledger::Ledger;

const COLUMNS: [(&str, &str); 6] = [
    ("s", "VARCHAR(191)"),
    ("i", "INTEGER"),
    ("r", "REAL"),
    ("t", "TEXT"),
    ("b", "BLOB"),
    ("x", "BLOB(255)"),
];

/// Every form of literal that the original writes, and its edges.
const LITERALS: [&str; 39] = [
    "NULL",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "007",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "1563217544067280400",
    "10000000000000000000000000",
    "0.1",
    "-0.1",
    "1.5",
    "10.0",
    "0.30000000000000004",
    "3.141592653589793",
    "2.5000000000000001",
    "123456789012345680000",
    "0.000001",
    "0.0000001234",
    "''",
    "'abc'",
    "'it''s'",
    "'12'",
    "'-7'",
    "'1.5'",
    "'1e3'",
    "' 12 '",
    "'0x10'",
    "'a\\b\n\t\"é🦀'",
    "x''",
    "x'00ff'",
    "x'ff'",
    "'true'",
    "'9223372036854775808'",
];

fn tables() -> Vec<String> {
    let columns: Vec<_> =
        COLUMNS.iter().map(|(name, kind)| format!("\"{name}\" {kind}, ")).collect();
    // A rowid table, and with a composite key and no large column one without.
    let small: String = columns
        .iter()
        .filter(|text| !text.contains("TEXT") && !text.contains("BLOB,"))
        .cloned()
        .collect();
    vec![
        format!(
            "CREATE TABLE old___rows (\"id\" INTEGER, {}PRIMARY KEY(\"id\"));",
            columns.concat()
        ),
        format!(
            "CREATE TABLE old___pairs (\"k\" VARCHAR(191), \"id\" INTEGER, {small}PRIMARY KEY(\"k\",\"id\"));"
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_literal_becomes_what_its_text_becomes_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::legacy(dir.path());
    ledger.append(&tables());
    let mut id = 0;
    for literal in LITERALS {
        // Text that has a NUL is our one difference, so no legal UTF-8 in hexadecimal goes into text here.
        let all = if literal.starts_with("x''") { "NULL" } else { literal };
        id += 1;
        ledger.append(&[
            format!("REPLACE INTO old___rows (\"id\",\"s\",\"i\",\"r\",\"t\",\"b\",\"x\") VALUES({id},{all},{literal},{literal},{all},{literal},{literal})"),
            format!("REPLACE INTO old___pairs (\"k\",\"id\",\"s\",\"i\",\"r\",\"x\") VALUES('key',{id},{all},{literal},{literal},{literal})"),
            // Columns in another order, and not all of them.
            format!("REPLACE INTO old___rows (\"t\",\"id\") VALUES({all},{})", id + 1000),
        ]);
    }
    // Keys by text for a number and by a number for text, as affinity has it.
    ledger.append(&[
        "DELETE FROM old___rows WHERE \"id\" = '1001'",
        "DELETE FROM old___pairs WHERE \"k\" = 'key' AND \"id\" = '3'",
    ]);
    ledger.append(&[
        "REPLACE INTO old___pairs (\"k\",\"id\") VALUES(12,'13')",
        "REPLACE INTO old___pairs (\"k\",\"id\") VALUES(14,15)",
        "DELETE FROM old___pairs WHERE \"k\" = 14 AND \"id\" = 15",
    ]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(ledger.head()).await;
    let (have, want) = (content::of_ldb(&agent.dir), content::naive(&ledger.entries));
    for (table, rows) in &want {
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(have[table][index], *row, "{table}");
        }
    }
    assert_eq!(have, want);
    let position = agent.ldb().position().unwrap().unwrap();
    assert_eq!((position.history, position.chain), (History::Legacy, ledger.chain));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_with_a_nul_is_text_and_can_be_found_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::legacy(dir.path());
    ledger
        .append(&["CREATE TABLE old___text (\"k\" VARCHAR(191), \"t\" TEXT, PRIMARY KEY(\"k\"));"]);
    ledger.append(&["REPLACE INTO old___text (\"k\",\"t\") VALUES(x'610062',x'00')"]);
    ledger.append(&["REPLACE INTO old___text (\"k\",\"t\") VALUES(x'63',x'ff')"]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(3).await;
    let rows = &content::of_ldb(&agent.dir)["old___text"];
    assert_eq!(rows, &[r#"k=Text("a\0b") t=Text("\0")"#, r#"k=Text("c") t=Blob([255])"#]);
    let family = agent.ldb().family("old").unwrap();
    assert!(family.row("text", &["a\0b".into()]).unwrap().is_some());
    ledger.append(&["DELETE FROM old___text WHERE \"k\" = x'610062'"]);
    agent.reaches(4).await;
    assert!(family.row("text", &["a\0b".into()]).unwrap().is_none());
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_and_missing_times_are_legal() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::legacy(dir.path());
    ledger.append(&["CREATE TABLE old___num (\"id\" INTEGER, PRIMARY KEY(\"id\"));"]);
    ledger.append_above(7, &["REPLACE INTO old___num (\"id\") VALUES(1)"]);
    ledger.append_above(20, &["REPLACE INTO old___num (\"id\") VALUES(2)"]);
    ledger.sql("UPDATE ctlstore_dml_ledger SET leader_ts = NULL WHERE seq = 21");
    ledger.sql("UPDATE ctlstore_dml_ledger SET leader_ts = '2019-07-15 16:30:01' WHERE seq = 8");
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(21).await;
    agent.enters("following").await;
    let time: String = content::open(&agent.dir)
        .query_row("SELECT CAST(timestamp AS TEXT) FROM _ldb_last_update", [], |row| row.get(0))
        .unwrap();
    assert_eq!(time, "2019-07-15 16:30:01+00:00", "the newest time that is known");
    ledger.append_above(30, &["REPLACE INTO old___num (\"id\") VALUES(3)"]);
    agent.reaches(31).await;

    // The entry that we applied is gone though there are later ones.
    ledger.sql("DELETE FROM ctlstore_dml_ledger WHERE seq = 31");
    ledger.append_above(40, &["REPLACE INTO old___num (\"id\") VALUES(4)"]);
    let message = agent.enters("forked").await;
    assert!(message.contains("no entry there, though it has later ones"), "{message}");
    // And a ledger that reaches back no more.
    ledger.sql("DELETE FROM ctlstore_dml_ledger WHERE seq < 41");
    agent.enters("pruned").await;
    agent.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The shortest text of a double is what the original writes; SQLite's own reading of it is the measure.
    #[test]
    fn doubles_are_read_as_sqlite_reads_them(numbers in prop::collection::vec(prop::num::f64::NORMAL, 1..64)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut ledger = Ledger::legacy(dir.path());
            ledger.append(&tables());
            let texts: Vec<_> = numbers.iter().enumerate().map(|(id, number)| {
                // Beyond this, the text is longer than what the original's JSON decoder gives out in practice.
                let number = if number.abs() > 1e30 || number.abs() < 1e-30 { 0.1 } else { *number };
                format!("REPLACE INTO old___rows (\"id\",\"s\",\"i\",\"r\",\"t\",\"b\") VALUES({id},{number},{number},{number},{number},{number})")
            }).collect();
            ledger.append(&texts);
            let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
            agent.reaches(ledger.head()).await;
            assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
            agent.stop().await;
        });
    }
}
